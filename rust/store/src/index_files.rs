//! The index of a channel of any kind: one row for each record.

use std::path::PathBuf;

use arrow_schema::DataType;

use crate::chunk::{Compacted, FIRST_CHUNK_BYTES, chunk_bytes};
use crate::columns::{Columns, Extent, plain, time};
use crate::error::Result;
use crate::folder::index_path;
use crate::growing_files::GrowingFiles;
use crate::recovery::FilesEnd;
use crate::staging::Entry;
use crate::superblock::KEYS_UNSORTED;
use crate::unsynced::Unsynced;

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

struct IndexRow {
    entry: Entry,
    row_start: u64,
}

impl IndexRow {
    fn check(&self) -> u32 {
        let Entry {
            key,
            sequence,
            time,
            rows,
            crc,
            ..
        } = self.entry;
        index_check(
            sequence,
            self.row_start,
            time,
            rows,
            (key.epoch, key.batch),
            crc,
        )
    }
}

/// Checksum of an index row: its other columns in their order.
pub(crate) fn index_check(
    sequence: u64,
    row_start: u64,
    time: i64,
    rows: u32,
    (epoch, batch): (i32, i32),
    crc: u32,
) -> u32 {
    let mut numbers = [0; 40];
    numbers[..8].copy_from_slice(&sequence.to_le_bytes());
    numbers[8..16].copy_from_slice(&row_start.to_le_bytes());
    numbers[16..24].copy_from_slice(&time.to_le_bytes());
    numbers[24..28].copy_from_slice(&rows.to_le_bytes());
    numbers[28..32].copy_from_slice(&epoch.to_le_bytes());
    numbers[32..36].copy_from_slice(&batch.to_le_bytes());
    numbers[36..40].copy_from_slice(&crc.to_le_bytes());
    crc32fast::hash(&numbers)
}

pub(crate) struct IndexFiles {
    files: GrowingFiles,
    last_key: Option<(i32, i32)>,
    flags: u32,
    // Reused from drain to drain.
    added: Vec<IndexRow>,
}

impl IndexFiles {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            files: GrowingFiles::new(folder, index_path, index_columns()),
            last_key: None,
            flags: 0,
            added: Vec::new(),
        }
    }

    /// Begin behind what earlier sessions left, whose last visible batch had this key.
    pub(crate) fn continue_after(&mut self, end: FilesEnd, last_key: Option<(i32, i32)>) {
        self.files.continue_after(end);
        self.last_key = last_key;
    }

    pub(crate) fn files(&self) -> u32 {
        self.files.files()
    }

    /// Note a record whose rows start at this row of the channel; `write` shows it.
    pub(crate) fn add(&mut self, entry: Entry, row_start: u64) {
        let key = (entry.key.epoch, entry.key.batch);
        if self.last_key.is_some_and(|last| last >= key) {
            self.flags |= KEYS_UNSORTED;
        }
        self.last_key = Some(key);
        self.added.push(IndexRow { entry, row_start });
    }

    /// Sequence number of the record that was added last.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.added.last().map_or(0, |row| row.entry.sequence)
    }

    /// Write what was added, after the rows that it points at.
    pub(crate) fn write(&mut self) -> Result<()> {
        let mut rest = self.added.as_slice();
        while !rest.is_empty() {
            if self.files.room().rows == 0 {
                let bytes = FIRST_CHUNK_BYTES.max(chunk_bytes(self.files.files()));
                let capacity = bytes / self.files.columns().row_bytes();
                self.files.begin(Extent::rows(capacity as u64))?;
            }
            let room = self.files.room().rows as usize;
            let (now, later) = rest.split_at(rest.len().min(room));
            write_rows(&mut self.files, now, self.flags)?;
            rest = later;
        }
        self.added.clear();
        Ok(())
    }

    /// Forget what was added.
    pub(crate) fn abandon(&mut self) {
        self.added.clear();
    }

    /// Let go of the descriptor until the next write.
    pub(crate) fn rest(&mut self) {
        self.files.rest();
    }

    pub(crate) fn take_unsynced(&mut self, unsynced: &mut Unsynced) {
        self.files.take_unsynced(unsynced);
    }

    /// Close the last file.
    pub(crate) fn finish(&mut self) -> Result<Option<Compacted>> {
        self.files.finish(&[])
    }
}

fn write_rows(files: &mut GrowingFiles, rows: &[IndexRow], flags: u32) -> Result<()> {
    fn bytes<const N: usize>(rows: &[IndexRow], value: impl Fn(&IndexRow) -> [u8; N]) -> Vec<u8> {
        rows.iter().flat_map(value).collect()
    }
    let columns = [
        bytes(rows, |row| row.entry.sequence.to_le_bytes()),
        bytes(rows, |row| row.row_start.to_le_bytes()),
        bytes(rows, |row| row.entry.time.to_le_bytes()),
        bytes(rows, |row| row.entry.rows.to_le_bytes()),
        bytes(rows, |row| row.entry.key.epoch.to_le_bytes()),
        bytes(rows, |row| row.entry.key.batch.to_le_bytes()),
        bytes(rows, |row| row.entry.crc.to_le_bytes()),
        bytes(rows, |row| row.check().to_le_bytes()),
    ];
    for (column, bytes) in columns.iter().enumerate() {
        files.write(column, 0, bytes)?;
    }
    let last_sequence = rows.last().map_or(0, |row| row.entry.sequence);
    files.commit(Extent::rows(rows.len() as u64), last_sequence, flags)
}
