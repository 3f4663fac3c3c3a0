//! The files of one channel as a reader sees them: chunks or indexes, in order.

use std::ops::Range;
use std::sync::Arc;

use crate::chunk_map::ChunkMap;
use crate::error::Result;
use crate::superblock::KEYS_UNSORTED;
use crate::watermark::Watermark;

/// A chunk or index file, and what its superblock said when it was last looked at.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) map: Arc<ChunkMap>,
    pub(crate) rows: u64,
    pub(crate) unsorted: bool,
    /// Of the last record in this part or, where that has none, in those before it.
    pub(crate) last_sequence: u64,
}

impl Part {
    fn new(map: Arc<ChunkMap>, last_sequence_before: u64) -> Result<Self> {
        let superblock = map.superblock()?;
        Ok(Self {
            map,
            rows: superblock.rows,
            unsorted: superblock.flags & KEYS_UNSORTED != 0,
            last_sequence: superblock.last_sequence.max(last_sequence_before),
        })
    }

    pub(crate) fn first_row(&self) -> u64 {
        self.map.first_row()
    }

    pub(crate) fn end(&self) -> u64 {
        self.first_row() + self.rows
    }
}

/// Look at the last part again and open the parts that came after it.
pub(crate) fn extend(
    parts: &mut Vec<Part>,
    open: impl Fn(u32) -> Result<Option<ChunkMap>>,
) -> Result<()> {
    look_at_last_again(parts)?;
    while let Some(map) = open(parts.len() as u32)? {
        // A file comes into being after its predecessor was sealed, so that one's count is final now.
        look_at_last_again(parts)?;
        if map.first_row() != end(parts) {
            return Err(map.damaged(0, "the rows do not follow those of the file before"));
        }
        parts.push(Part::new(Arc::new(map), last_sequence(parts))?);
    }
    Ok(())
}

fn look_at_last_again(parts: &mut Vec<Part>) -> Result<()> {
    if let Some(last) = parts.pop() {
        let before = last_sequence(parts);
        parts.push(Part::new(last.map, before)?);
    }
    Ok(())
}

/// Rows of all parts.
pub(crate) fn end(parts: &[Part]) -> u64 {
    parts.last().map_or(0, Part::end)
}

pub(crate) fn last_sequence(parts: &[Part]) -> u64 {
    parts.last().map_or(0, |part| part.last_sequence)
}

/// The part that holds a row of the channel, and the row's place in it.
pub(crate) fn part_of(parts: &[Part], row: u64) -> Option<(&Part, u64)> {
    let after = parts.partition_point(|part| part.first_row() <= row);
    let part = &parts[after.checked_sub(1)?];
    Some((part, row - part.first_row()))
}

/// Keep so many rows, the last of them of this record.
pub(crate) fn cut(parts: &mut Vec<Part>, rows: u64, last_sequence: u64) {
    if rows >= end(parts) {
        return;
    }
    // A batch without rows still needs a file to lie in.
    parts.retain(|part| part.first_row() < rows.max(1));
    if let Some(last) = parts.last_mut() {
        last.rows = rows - last.first_row();
        last.last_sequence = last_sequence;
    }
}

/// Keep so many rows of files that have sequence numbers.
pub(crate) fn cut_numbered(parts: &mut Vec<Part>, rows: u64, sequences: Sequences) {
    let last = rows.checked_sub(1).and_then(|last| part_of(parts, last));
    let last_sequence = last.map_or(0, |(part, row)| {
        u64::from_le_bytes(part.map.number(sequences.column, row))
    });
    cut(parts, rows, last_sequence);
}

/// Where the rows of a kind of file have their sequence numbers.
#[derive(Clone, Copy)]
pub(crate) struct Sequences {
    pub(crate) column: usize,
    /// Compare a row with its checksum.
    pub(crate) check: fn(&ChunkMap, u64) -> Result<u64>,
}

/// The rows that readers show: one range for each stretch of visible numbers that has any.
pub(crate) fn visible_rows(
    parts: &[Part],
    sequences: Sequences,
    watermark: &Watermark,
) -> Result<Vec<Range<u64>>> {
    let mut visible = Vec::new();
    for stretch in watermark.hidden.visible(watermark.sequence) {
        let rows = rows_below(parts, sequences, stretch.after)?
            ..rows_below(parts, sequences, stretch.through)?;
        if !rows.is_empty() {
            visible.push(rows);
        }
    }
    Ok(visible)
}

/// Number of committed rows, in all parts, whose sequence number is at most `limit`.
pub(crate) fn rows_below(parts: &[Part], sequences: Sequences, limit: u64) -> Result<u64> {
    if limit == 0 {
        return Ok(0);
    }
    // The superblocks have checksums and the rows' own numbers have not: ask these only where it is needed.
    let partly = parts.partition_point(|part| part.last_sequence <= limit);
    let Some(part) = parts.get(partly) else {
        return Ok(end(parts));
    };
    let (mut low, mut high) = (0, part.rows);
    while low < high {
        let middle = low + (high - low) / 2;
        if u64::from_le_bytes(part.map.number(sequences.column, middle)) <= limit {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    // In ascending numbers the place is right if it is right for its two neighbours.
    for row in low.saturating_sub(1)..part.rows.min(low + 1) {
        (sequences.check)(&part.map, row)?;
    }
    Ok(part.first_row() + low)
}

/// Consecutive rows of one part that readers show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) part: usize,
    pub(crate) rows: Range<u64>,
    /// Visible rows before these.
    pub(crate) before: u64,
}

/// Ascending ranges of the channel's rows, cut where a part ends and joined where nothing lies between.
pub(crate) fn stretches(parts: &[Part], ranges: &[Range<u64>]) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    let mut before = 0;
    for range in ranges {
        let first = parts.partition_point(|part| part.end() <= range.start);
        for (number, part) in parts.iter().enumerate().skip(first) {
            let start = range.start.max(part.first_row());
            let end = range.end.min(part.end());
            if start >= range.end {
                break;
            }
            let rows = start - part.first_row()..end - part.first_row();
            let count = end - start;
            match found.last_mut() {
                Some(last) if last.part == number && last.rows.end == rows.start => {
                    last.rows.end = rows.end;
                }
                _ if count == 0 => {}
                _ => found.push(Stretch {
                    part: number,
                    rows,
                    before,
                }),
            }
            before += count;
        }
    }
    found
}

/// Visible rows of all stretches.
pub(crate) fn visible_count(stretches: &[Stretch]) -> u64 {
    stretches
        .last()
        .map_or(0, |last| last.before + (last.rows.end - last.rows.start))
}
