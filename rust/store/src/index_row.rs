//! A row of an index: what it says of a batch, and where each number of it stands.

use std::ops::Range;

use arrow_schema::DataType;

use crate::chunk_map::ChunkMap;
use crate::columns::{Columns, plain, time};
use crate::error::{Result, StoreError};
use crate::superblock::MOST_SEQUENCE;

/// Places of the columns of `index_columns`.
pub(crate) mod index_column {
    pub(crate) const SEQUENCE: usize = 0;
    pub(crate) const ROW_START: usize = 1;
    pub(crate) const TIME: usize = 2;
    pub(crate) const ROWS: usize = 3;
    pub(crate) const EPOCH: usize = 4;
    pub(crate) const BATCH: usize = 5;
    pub(crate) const CRC: usize = 6;
    pub(crate) const CHECK: usize = 7;
}

/// Columns of the index; the reader finds them by name.
pub(crate) fn index_columns() -> Columns {
    Columns::new(vec![
        plain("sequence", DataType::UInt64, 8),
        plain("row_start", DataType::Int64, 8),
        time("time"),
        plain("rows", DataType::Int32, 4),
        plain("epoch", DataType::Int32, 4),
        plain("batch", DataType::Int32, 4),
        plain("crc32", DataType::UInt32, 4),
        plain("check", DataType::UInt32, 4),
    ])
}

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

impl BatchEntry {
    /// Row of the channel behind the batch. An entry from a file was checked to have one.
    pub(crate) fn row_end(&self) -> u64 {
        self.row_start + u64::from(self.rows)
    }

    /// Checksum of the entry: its other columns in their order.
    pub(crate) fn check(&self) -> u32 {
        let mut numbers = [0; 40];
        numbers[..8].copy_from_slice(&self.sequence.to_le_bytes());
        numbers[8..16].copy_from_slice(&self.row_start.to_le_bytes());
        numbers[16..24].copy_from_slice(&self.time.to_le_bytes());
        numbers[24..28].copy_from_slice(&self.rows.to_le_bytes());
        numbers[28..32].copy_from_slice(&self.epoch.to_le_bytes());
        numbers[32..36].copy_from_slice(&self.batch.to_le_bytes());
        numbers[36..40].copy_from_slice(&self.crc.to_le_bytes());
        crc32fast::hash(&numbers)
    }
}

/// One row of an index file.
#[derive(Clone, Copy)]
pub(crate) struct IndexRow<'a> {
    pub(crate) map: &'a ChunkMap,
    pub(crate) row: u64,
}

impl IndexRow<'_> {
    /// Number of the row in all files of the index.
    pub(crate) fn number(&self) -> u64 {
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
        if entry.check() != u32::from_le_bytes(map.number(index_column::CHECK, row)) {
            return Err(self.damaged("the index entry of a batch does not match its checksum"));
        }
        let end = entry.row_start.checked_add(u64::from(entry.rows));
        if end.is_none() || entry.sequence > MOST_SEQUENCE {
            return Err(self.damaged("the index entry of a batch counts more than there can be"));
        }
        Ok(entry)
    }

    pub(crate) fn damaged(&self, reason: &str) -> StoreError {
        let offset = self.map.row_offset(index_column::SEQUENCE, self.row);
        self.map.damaged(offset, reason)
    }
}
