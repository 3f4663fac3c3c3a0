//! The index of one channel: which batches readers show, found by their keys or by their position.

use std::cmp::Ordering as Order;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::chunk_map::ChunkMap;
use crate::error::{Result, StoreError};
use crate::index_files::{index_check, index_column};
use crate::parts::{
    Part, Sequences, Stretch, cut_numbered, end, part_of, rows_below, stretches, visible_count,
    visible_rows,
};
use crate::watermark::Watermark;

/// One batch of a channel, as its index says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchEntry {
    /// Run-wide sequence number.
    pub sequence: u64,
    /// Row of the channel at which the batch starts, counted without those that are hidden.
    pub row_start: u64,
    /// Nanoseconds since 1970, UTC.
    pub time: i64,
    /// Number of rows.
    pub rows: u32,
    /// The epoch.
    pub epoch: i32,
    /// The batch in the epoch.
    pub batch: i32,
    /// CRC-32 of the rows' values.
    pub crc: u32,
}

/// One row of an index.
#[derive(Clone, Copy)]
pub(crate) struct IndexRow<'a> {
    pub(crate) map: &'a ChunkMap,
    pub(crate) row: u64,
}

impl IndexRow<'_> {
    /// Number of the row in all files of the index.
    fn number(&self) -> u64 {
        self.map.first_row() + self.row
    }

    /// The rows of the batch among all rows of the channel's chunks.
    pub(crate) fn rows(&self) -> Option<Range<u64>> {
        let start = u64::from_le_bytes(self.map.number(index_column::ROW_START, self.row));
        let count = u32::from_le_bytes(self.map.number(index_column::ROWS, self.row));
        Some(start..start.checked_add(u64::from(count))?)
    }

    fn key(&self) -> (i32, i32) {
        (
            i32::from_le_bytes(self.map.number(index_column::EPOCH, self.row)),
            i32::from_le_bytes(self.map.number(index_column::BATCH, self.row)),
        )
    }

    /// What the row says, once it was compared with its checksum.
    pub(crate) fn entry(&self) -> Result<BatchEntry> {
        let Self { map, row } = *self;
        let (epoch, batch) = self.key();
        let entry = BatchEntry {
            sequence: u64::from_le_bytes(map.number(index_column::SEQUENCE, row)),
            row_start: u64::from_le_bytes(map.number(index_column::ROW_START, row)),
            time: i64::from_le_bytes(map.number(index_column::TIME, row)),
            rows: u32::from_le_bytes(map.number(index_column::ROWS, row)),
            epoch,
            batch,
            crc: u32::from_le_bytes(map.number(index_column::CRC, row)),
        };
        let check = index_check(
            entry.sequence,
            entry.row_start,
            entry.time,
            entry.rows,
            (epoch, batch),
            entry.crc,
        );
        if check == u32::from_le_bytes(map.number(index_column::CHECK, row)) {
            return Ok(entry);
        }
        Err(self.damaged("the index entry of a batch does not match its checksum"))
    }

    pub(crate) fn damaged(&self, reason: &str) -> StoreError {
        let offset = self.map.row_offset(index_column::SEQUENCE, self.row);
        self.map.damaged(offset, reason)
    }
}

const SEQUENCES: Sequences = Sequences {
    column: index_column::SEQUENCE,
    check: |map, row| Ok(IndexRow { map, row }.entry()?.sequence),
};

/// The index files of a channel, and what of them is visible.
#[derive(Default)]
pub(crate) struct BatchIndex {
    pub(crate) parts: Vec<Part>,
    visible: Vec<Stretch>,
    batches: usize,
    unsorted: bool,
    positions: OnceLock<HashMap<(i32, i32), usize>>,
    // A bit for each row: its batch was compared with its checksum.
    checked: Vec<AtomicU64>,
}

impl BatchIndex {
    /// Number of visible batches.
    pub(crate) fn batches(&self) -> usize {
        self.batches
    }

    /// Decide what is visible, where the channel has so many rows. Returns those of the visible batches.
    pub(crate) fn show(&mut self, watermark: &Watermark, rows: u64) -> Result<Vec<Range<u64>>> {
        let visible = visible_rows(&self.parts, SEQUENCES, watermark)?;
        self.visible = stretches(&self.parts, &visible);
        self.batches = visible_count(&self.visible) as usize;
        self.unsorted = self.parts.iter().any(|part| part.unsorted);
        self.positions = OnceLock::new();
        let words = end(&self.parts).div_ceil(u64::from(u64::BITS)) as usize;
        self.checked.resize_with(words, AtomicU64::default);
        let mut channel_rows = Vec::with_capacity(visible.len());
        let mut shown = 0;
        for stretch in visible {
            let found = self.channel_rows(stretch, shown..rows)?;
            shown = found.end;
            channel_rows.push(found);
        }
        Ok(channel_rows)
    }

    /// The rows of the channel that stand behind a range of rows of the index; they must lie inside another range.
    fn channel_rows(&self, rows: Range<u64>, inside: Range<u64>) -> Result<Range<u64>> {
        let (Some(first), Some(last)) = (self.row(rows.start), self.row(rows.end - 1)) else {
            return Ok(inside.start..inside.start);
        };
        let (start, end) = (first.entry()?, last.entry()?);
        let (start, end) = (start.row_start, end.row_start + u64::from(end.rows));
        if end > inside.end {
            return Err(last.damaged("the index points beyond the rows"));
        }
        if start < inside.start || start > end {
            return Err(first.damaged("a batch is out of order"));
        }
        Ok(start..end)
    }

    pub(crate) fn row(&self, number: u64) -> Option<IndexRow<'_>> {
        let (part, row) = part_of(&self.parts, number)?;
        Some(IndexRow {
            map: &part.map,
            row,
        })
    }

    /// Every row in the order of the files, also those that are hidden.
    pub(crate) fn all_rows(&self) -> impl Iterator<Item = IndexRow<'_>> {
        self.parts.iter().flat_map(|part| {
            let map = &*part.map;
            (0..part.rows).map(move |row| IndexRow { map, row })
        })
    }

    /// The rows of the visible batches.
    pub(crate) fn visible(&self) -> impl Iterator<Item = IndexRow<'_>> {
        self.visible.iter().flat_map(|stretch| {
            let map = &*self.parts[stretch.part].map;
            stretch.rows.clone().map(move |row| IndexRow { map, row })
        })
    }

    /// Number of rows, also hidden ones, up to a sequence number.
    pub(crate) fn rows_below(&self, sequence: u64) -> Result<u64> {
        rows_below(&self.parts, SEQUENCES, sequence)
    }

    /// Keep so many rows.
    pub(crate) fn cut(&mut self, rows: u64) {
        cut_numbered(&mut self.parts, rows, SEQUENCES);
    }

    /// The row of a visible batch.
    pub(crate) fn place(&self, position: usize) -> Option<IndexRow<'_>> {
        if position >= self.batches {
            return None;
        }
        let position = position as u64;
        let after = self
            .visible
            .partition_point(|stretch| stretch.before <= position);
        let stretch = &self.visible[after.checked_sub(1)?];
        Some(IndexRow {
            map: &self.parts[stretch.part].map,
            row: stretch.rows.start + (position - stretch.before),
        })
    }

    /// Position of the latest visible batch with these numbers.
    pub(crate) fn find(&self, epoch: i32, batch: i32) -> Result<Option<usize>> {
        let wanted = (epoch, batch);
        if self.unsorted {
            return Ok(self.positions()?.get(&wanted).copied());
        }
        let position = match self.search(wanted) {
            Ok(position) => return Ok(Some(position)),
            Err(position) => position,
        };
        // In ascending keys there is none if there is none between these two.
        for neighbour in position.saturating_sub(1)..=position {
            if let Some(row) = self.place(neighbour) {
                row.entry()?;
            }
        }
        Ok(None)
    }

    /// Search keys that ascend: the position of a key, or where it would stand.
    fn search(&self, wanted: (i32, i32)) -> Result<usize, usize> {
        let after = self
            .visible
            .partition_point(|stretch| self.keys(stretch).next().is_some_and(|key| key <= wanted));
        let stretch = &self.visible[after.checked_sub(1).ok_or(0_usize)?];
        let (epochs, batches) = self.key_columns(stretch);
        let before = stretch.before as usize;
        let (mut low, mut high) = (0, epochs.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let key = (
                i32::from_le_bytes(epochs[middle]),
                i32::from_le_bytes(batches[middle]),
            );
            match key.cmp(&wanted) {
                Order::Less => low = middle + 1,
                Order::Equal => return Ok(before + middle),
                Order::Greater => high = middle,
            }
        }
        Err(before + low)
    }

    fn positions(&self) -> Result<&HashMap<(i32, i32), usize>> {
        if let Some(positions) = self.positions.get() {
            return Ok(positions);
        }
        let mut found = HashMap::with_capacity(self.batches);
        for (position, row) in self.visible().enumerate() {
            let entry = row.entry()?;
            found.insert((entry.epoch, entry.batch), position);
        }
        Ok(self.positions.get_or_init(|| found))
    }

    fn keys<'a>(&'a self, stretch: &Stretch) -> impl Iterator<Item = (i32, i32)> + 'a {
        let (epochs, batches) = self.key_columns(stretch);
        let keys = epochs.iter().zip(batches);
        keys.map(|(epoch, batch)| (i32::from_le_bytes(*epoch), i32::from_le_bytes(*batch)))
    }

    fn key_columns(&self, stretch: &Stretch) -> (&[[u8; 4]], &[[u8; 4]]) {
        let map = &self.parts[stretch.part].map;
        (
            map.rows(index_column::EPOCH, stretch.rows.clone())
                .as_chunks()
                .0,
            map.rows(index_column::BATCH, stretch.rows.clone())
                .as_chunks()
                .0,
        )
    }

    /// Whether the batch of a row was compared with its checksum before.
    pub(crate) fn is_checked(&self, row: IndexRow) -> bool {
        let (word, bit) = place_of_bit(row.number());
        self.checked
            .get(word)
            .is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// Remember that the batch of a row is as it was recorded.
    pub(crate) fn note_checked(&self, row: IndexRow) {
        let (word, bit) = place_of_bit(row.number());
        if let Some(word) = self.checked.get(word) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }
}

fn place_of_bit(number: u64) -> (usize, u64) {
    let bits = u64::from(u64::BITS);
    ((number / bits) as usize, 1 << (number % bits))
}
