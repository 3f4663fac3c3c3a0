//! The files of one channel as a reader sees them: chunks or indexes, in order.

use std::sync::Arc;

use crate::chunk_map::ChunkMap;
use crate::error::Result;
use crate::superblock::KEYS_UNSORTED;

/// A chunk or index file, and what its superblock said when it was last looked at.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) map: Arc<ChunkMap>,
    pub(crate) rows: u64,
    pub(crate) unsorted: bool,
    pub(crate) last_sequence: u64,
}

impl Part {
    fn new(map: Arc<ChunkMap>) -> Result<Self> {
        let superblock = map.superblock()?;
        Ok(Self {
            map,
            rows: superblock.rows,
            unsorted: superblock.flags & KEYS_UNSORTED != 0,
            last_sequence: superblock.last_sequence,
        })
    }

    fn end(&self) -> u64 {
        self.map.first_row() + self.rows
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
        if map.first_row() != parts.last().map_or(0, Part::end) {
            return Err(map.damaged(0, "the rows do not follow those of the file before"));
        }
        parts.push(Part::new(Arc::new(map))?);
    }
    Ok(())
}

fn look_at_last_again(parts: &mut [Part]) -> Result<()> {
    if let Some(last) = parts.last_mut() {
        *last = Part::new(Arc::clone(&last.map))?;
    }
    Ok(())
}

/// Number of committed rows, in all parts, whose sequence number is at most `watermark`.
pub(crate) fn rows_below(parts: &[Part], sequence_column: usize, watermark: u64) -> u64 {
    let Some(last) = parts.iter().rposition(|part| part.rows > 0) else {
        return 0;
    };
    // The superblocks have checksums and the rows' own numbers have not: ask these only where it is needed.
    let partly =
        parts[..=last].partition_point(|part| part.rows == 0 || part.last_sequence <= watermark);
    let Some(part) = parts[..=last].get(partly) else {
        return parts[last].end();
    };
    let (mut low, mut high) = (0, part.rows);
    while low < high {
        let middle = low + (high - low) / 2;
        if u64::from_le_bytes(part.map.number(sequence_column, middle)) <= watermark {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    part.map.first_row() + low
}

/// The part that holds a row of the channel, and the row's place in it.
pub(crate) fn part_of(parts: &[Part], row: u64) -> Option<(&Part, u64)> {
    let after = parts.partition_point(|part| part.map.first_row() <= row);
    let part = &parts[after.checked_sub(1)?];
    Some((part, row - part.map.first_row()))
}
