//! The files of one tensor channel: chunks of rows, and an index with one row for each record.

use std::path::PathBuf;

use arrow_schema::DataType;

use crate::chunk::{Compacted, FIRST_CHUNK_BYTES, chunk_bytes};
use crate::error::Result;
use crate::folder::{chunk_path, index_path};
use crate::growing_files::GrowingFiles;
use crate::layout::{Columns, Storage, plain, row_length, tensor_field, time};
use crate::recovery::ChannelEnd;
use crate::staging::{Block, Entry};
use crate::superblock::KEYS_UNSORTED;
use crate::unsynced::Unsynced;
use crate::value_type::ValueType;

/// Runs of records below this are gathered before they are written; longer ones are written from where they are.
const GATHER_BYTES: usize = 64 << 10;
const GATHER_CAPACITY: usize = 256 << 10;
/// A large record is written in parts that are still in the cache after their checksum was computed.
const THROUGH_BYTES: usize = 512 << 10;

pub(crate) const VALUE: usize = 0;
pub(crate) const EPOCH: usize = 1;
pub(crate) const BATCH: usize = 2;
/// Names of the columns beside the value.
pub(crate) const KEY_COLUMNS: [&str; 2] = ["epoch", "batch"];

/// Columns of the chunks of a channel, value first.
pub(crate) fn value_columns(field: &str, value_type: ValueType, shape: &[usize]) -> Columns {
    let length = row_length(value_type, shape);
    let item_bytes = value_type.item_bytes() / value_type.parts();
    let storage = match length {
        None => Storage::Plain { bytes: item_bytes },
        Some(length) => Storage::List { length, item_bytes },
    };
    Columns::new(vec![
        (
            tensor_field(field, value_type.stored(), length, value_type.name(), shape),
            storage,
        ),
        plain(KEY_COLUMNS[0], DataType::Int32, 4),
        plain(KEY_COLUMNS[1], DataType::Int32, 4),
    ])
}

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

/// Records of a channel that stand one behind the other in a block.
#[derive(Clone, Copy, Default)]
struct Run {
    block: usize,
    start: u32,
    end: u32,
}

pub(crate) struct TensorFiles {
    chunks: GrowingFiles,
    index: GrowingFiles,
    last_key: Option<(i32, i32)>,
    flags: u32,
    // Reused from drain to drain.
    pending: Vec<(u32, u32)>,
    run: Run,
    gathered: Vec<u8>,
    epochs: Vec<u8>,
    batches: Vec<u8>,
    index_rows: Vec<IndexRow>,
}

impl TensorFiles {
    pub(crate) fn new(
        folder: PathBuf,
        field: &str,
        value_type: ValueType,
        shape: &[usize],
    ) -> Self {
        Self {
            chunks: GrowingFiles::new(
                folder.clone(),
                chunk_path,
                value_columns(field, value_type, shape),
            ),
            index: GrowingFiles::new(folder, index_path, index_columns()),
            last_key: None,
            flags: 0,
            pending: Vec::new(),
            run: Run::default(),
            gathered: Vec::with_capacity(GATHER_CAPACITY),
            epochs: Vec::new(),
            batches: Vec::new(),
            index_rows: Vec::new(),
        }
    }

    /// Begin behind what earlier sessions left.
    pub(crate) fn continue_after(&mut self, end: &ChannelEnd) {
        self.chunks.continue_after(end.chunks);
        self.index.continue_after(end.index);
        self.last_key = end.last_key;
    }

    pub(crate) fn chunks(&self) -> u64 {
        u64::from(self.chunks.files()) + u64::from(self.index.files())
    }

    /// Note a record of the blocks that are being drained. True for the first one.
    pub(crate) fn stage(&mut self, block: usize, entry: usize) -> bool {
        self.pending.push((block as u32, entry as u32));
        self.pending.len() == 1
    }

    /// Write everything that was staged: rows, commit, index, commit.
    pub(crate) fn write_staged(&mut self, blocks: &[Block]) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let mut added = 0;
        for &(block, entry) in &pending {
            added = self.add(blocks, block as usize, entry as usize, added)?;
        }
        self.end_run(blocks, added)?;
        self.commit_rows(added)?;
        self.pending = pending;
        self.pending.clear();
        self.write_index()
    }

    /// Write one record straight from the caller's memory, and note its checksum on the way.
    pub(crate) fn write_one(&mut self, mut entry: Entry, data: &[u8]) -> Result<()> {
        let rows = u64::from(entry.rows);
        if !self.chunks.has_room(rows) {
            self.next_chunk(rows)?;
        }
        let mut hasher = crc32fast::Hasher::new();
        for (part, bytes) in data.chunks(THROUGH_BYTES).enumerate() {
            hasher.update(bytes);
            if let Some(chunk) = self.chunks.last() {
                chunk.write_bytes(VALUE, part * THROUGH_BYTES, bytes)?;
            }
        }
        entry.crc = hasher.finalize();
        self.note(entry, 0);
        self.commit_rows(rows)?;
        self.write_index()
    }

    /// Add the rows of one record behind `added` uncommitted ones; returns how many are uncommitted now.
    fn add(&mut self, blocks: &[Block], block: usize, entry: usize, mut added: u64) -> Result<u64> {
        let entry = blocks[block].entries()[entry];
        let rows = u64::from(entry.rows);
        if !self.chunks.has_room(added + rows) {
            self.end_run(blocks, added)?;
            self.commit_rows(added)?;
            added = 0;
            self.next_chunk(rows)?;
        }
        if self.run.block != block || self.run.end != entry.start {
            self.end_run(blocks, added)?;
            self.run = Run {
                block,
                start: entry.start,
                end: entry.start,
            };
        }
        self.run.end = entry.end;
        self.note(entry, added);
        Ok(added + rows)
    }

    /// Gather or write the values of the current run, which end at `added` uncommitted rows.
    fn end_run(&mut self, blocks: &[Block], added: u64) -> Result<()> {
        let run = std::mem::take(&mut self.run);
        if run.start == run.end {
            return Ok(());
        }
        let data = blocks[run.block].bytes(run.start..run.end);
        let before = added - self.rows_in(data);
        if self.gathered.len() + data.len() > GATHER_CAPACITY {
            self.write_gathered(before)?;
        }
        if data.len() < GATHER_BYTES {
            self.gathered.extend_from_slice(data);
            return Ok(());
        }
        self.write_gathered(before)?;
        self.chunks.write(VALUE, before, data)
    }

    fn rows_in(&self, data: &[u8]) -> u64 {
        (data.len() / self.chunks.columns().storages()[VALUE].row_bytes()) as u64
    }

    /// Note the keys of a record whose rows stand behind `added` uncommitted ones.
    fn note(&mut self, entry: Entry, added: u64) {
        for _ in 0..entry.rows {
            self.epochs
                .extend_from_slice(&entry.key.epoch.to_le_bytes());
            self.batches
                .extend_from_slice(&entry.key.batch.to_le_bytes());
        }
        let key = (entry.key.epoch, entry.key.batch);
        if self.last_key.is_some_and(|last| last >= key) {
            self.flags |= KEYS_UNSORTED;
        }
        self.last_key = Some(key);
        self.index_rows.push(IndexRow {
            entry,
            row_start: self.chunks.rows() + added,
        });
    }

    /// Write the gathered values, which end at `added` uncommitted rows.
    fn write_gathered(&mut self, added: u64) -> Result<()> {
        if !self.gathered.is_empty() {
            let row = added - self.rows_in(&self.gathered);
            self.chunks.write(VALUE, row, &self.gathered)?;
            self.gathered.clear();
        }
        Ok(())
    }

    fn commit_rows(&mut self, added: u64) -> Result<()> {
        self.write_gathered(added)?;
        if let Some(last) = self.index_rows.last()
            && added > 0
        {
            self.chunks.write(EPOCH, 0, &self.epochs)?;
            self.chunks.write(BATCH, 0, &self.batches)?;
            self.epochs.clear();
            self.batches.clear();
            self.chunks.commit(added, last.entry.sequence, 0)?;
        }
        Ok(())
    }

    fn next_chunk(&mut self, rows: u64) -> Result<()> {
        let wanted = chunk_bytes(self.chunks.files()) / self.chunks.columns().row_bytes();
        self.chunks.begin((wanted as u64).max(rows).max(1), 0)
    }

    fn write_index(&mut self) -> Result<()> {
        let flags = self.flags;
        let index_rows = std::mem::take(&mut self.index_rows);
        let mut rest = index_rows.as_slice();
        while !rest.is_empty() {
            if self.index.room() == 0 {
                self.next_index()?;
            }
            let (now, later) = rest.split_at(rest.len().min(self.index.room() as usize));
            write_index_rows(&mut self.index, now, flags)?;
            rest = later;
        }
        self.index_rows = index_rows;
        self.index_rows.clear();
        Ok(())
    }

    fn next_index(&mut self) -> Result<()> {
        let bytes = FIRST_CHUNK_BYTES.max(chunk_bytes(self.index.files()));
        self.index
            .begin((bytes / self.index.columns().row_bytes()) as u64, 0)
    }

    /// Go back to what is committed, after a write that failed.
    pub(crate) fn abandon(&mut self) {
        self.pending.clear();
        self.run = Run::default();
        self.gathered.clear();
        self.epochs.clear();
        self.batches.clear();
        self.index_rows.clear();
    }

    /// Let go of the descriptors until the next write.
    pub(crate) fn rest(&mut self) {
        self.chunks.rest();
        self.index.rest();
    }

    pub(crate) fn take_unsynced(&mut self, unsynced: &mut Unsynced) {
        self.chunks.take_unsynced(unsynced);
        self.index.take_unsynced(unsynced);
    }

    /// Close the last chunk and the last index.
    pub(crate) fn finish(&mut self, compacted: &mut Vec<Compacted>) -> Result<()> {
        compacted.extend(self.chunks.finish(&[])?);
        compacted.extend(self.index.finish(&[])?);
        Ok(())
    }
}

fn write_index_rows(index: &mut GrowingFiles, rows: &[IndexRow], flags: u32) -> Result<()> {
    fn bytes<const N: usize>(rows: &[IndexRow], value: impl Fn(&IndexRow) -> [u8; N]) -> Vec<u8> {
        rows.iter().flat_map(value).collect()
    }
    index.write(
        index_column::SEQUENCE,
        0,
        &bytes(rows, |row| row.entry.sequence.to_le_bytes()),
    )?;
    index.write(
        index_column::ROW_START,
        0,
        &bytes(rows, |row| row.row_start.to_le_bytes()),
    )?;
    index.write(
        index_column::TIME,
        0,
        &bytes(rows, |row| row.entry.time.to_le_bytes()),
    )?;
    index.write(
        index_column::ROWS,
        0,
        &bytes(rows, |row| row.entry.rows.to_le_bytes()),
    )?;
    index.write(
        index_column::EPOCH,
        0,
        &bytes(rows, |row| row.entry.key.epoch.to_le_bytes()),
    )?;
    index.write(
        index_column::BATCH,
        0,
        &bytes(rows, |row| row.entry.key.batch.to_le_bytes()),
    )?;
    index.write(
        index_column::CRC,
        0,
        &bytes(rows, |row| row.entry.crc.to_le_bytes()),
    )?;
    index.write(
        index_column::CHECK,
        0,
        &bytes(rows, |row| row.check().to_le_bytes()),
    )?;
    let last_sequence = rows.last().map_or(0, |row| row.entry.sequence);
    index.commit(rows.len() as u64, last_sequence, flags)
}
