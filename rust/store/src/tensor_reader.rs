//! The batches of one tensor channel, found by their keys or by their position.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use crate::chunk_map::ChunkMap;
use crate::description::ChannelDescription;
use crate::error::{Result, StoreError};
use crate::folder::{ChannelKey, chunk_path, index_path};
use crate::layout::Columns;
use crate::parts::{Part, extend, part_of, rows_below};
use crate::tensor_files::{
    BATCH, EPOCH, VALUE, index_check, index_column, index_columns, value_columns,
};
use crate::value_type::{ValueType, row_bytes};

/// One batch of a channel, as its index says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchEntry {
    /// Run-wide sequence number.
    pub sequence: u64,
    /// Row of the channel at which the batch starts.
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
    check: u32,
}

impl BatchEntry {
    fn read(index: &ChunkMap, row: u64) -> Self {
        Self {
            sequence: u64::from_le_bytes(index.number(index_column::SEQUENCE, row)),
            row_start: u64::from_le_bytes(index.number(index_column::ROW_START, row)),
            time: i64::from_le_bytes(index.number(index_column::TIME, row)),
            rows: u32::from_le_bytes(index.number(index_column::ROWS, row)),
            epoch: i32::from_le_bytes(index.number(index_column::EPOCH, row)),
            batch: i32::from_le_bytes(index.number(index_column::BATCH, row)),
            crc: u32::from_le_bytes(index.number(index_column::CRC, row)),
            check: u32::from_le_bytes(index.number(index_column::CHECK, row)),
        }
    }

    /// Whether the entry is as it was written.
    pub(crate) fn is_intact(&self) -> bool {
        let keys = (self.epoch, self.batch);
        let check = index_check(
            self.sequence,
            self.row_start,
            self.time,
            self.rows,
            keys,
            self.crc,
        );
        check == self.check
    }
}

/// Consecutive rows in a mapped file.
#[derive(Clone, Debug)]
pub struct Rows {
    map: Arc<ChunkMap>,
    first: u64,
    count: u64,
}

impl Rows {
    /// Number of rows.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// Their values, aliasing the map for as long as this lives.
    pub fn bytes(&self) -> &[u8] {
        self.map.rows(VALUE, self.first..self.first + self.count)
    }

    /// Epoch and batch of every row.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (i32, i32)> {
        let numbers = |column| {
            let bytes = self.map.rows(column, self.first..self.first + self.count);
            bytes.as_chunks().0.iter().copied().map(i32::from_le_bytes)
        };
        numbers(EPOCH).zip(numbers(BATCH))
    }

    pub(crate) fn damaged(&self, reason: &str) -> StoreError {
        self.map
            .damaged(self.map.row_offset(VALUE, self.first), reason)
    }
}

#[derive(Default)]
struct Snapshot {
    chunks: Vec<Part>,
    indexes: Vec<Part>,
    batches: usize,
    rows: u64,
    unsorted: bool,
    positions: OnceLock<HashMap<(i32, i32), usize>>,
}

/// A reader of one tensor channel.
pub struct TensorReader {
    folder: PathBuf,
    name: String,
    key: ChannelKey,
    order: u32,
    value_type: ValueType,
    shape: Vec<usize>,
    columns: Columns,
    index_columns: Columns,
    snapshot: RwLock<Snapshot>,
}

impl TensorReader {
    pub(crate) fn new(folder: PathBuf, description: ChannelDescription) -> Result<Self> {
        let value_type = ValueType::parse(&description.dtype)?;
        let shape = description.shape;
        row_bytes(value_type, &shape)?;
        let columns = value_columns(&description.field, value_type, &shape);
        let key = ChannelKey {
            phase: description.phase,
            node: description.node,
            role: description.role,
            field: description.field,
        };
        Ok(Self {
            folder,
            name: key.folder_name(),
            key,
            order: description.order,
            columns,
            index_columns: index_columns(),
            value_type,
            shape,
            snapshot: RwLock::default(),
        })
    }

    /// Name of the channel's folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Labels of the channel.
    pub fn key(&self) -> &ChannelKey {
        &self.key
    }

    /// Type of the recorded numbers.
    pub fn value_type(&self) -> ValueType {
        self.value_type
    }

    /// Shape of one row.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub(crate) fn order(&self) -> u32 {
        self.order
    }

    /// Rows at or below the watermark.
    pub fn rows(&self) -> u64 {
        self.read().rows
    }

    /// Batches at or below the watermark.
    pub fn batches(&self) -> usize {
        self.read().batches
    }

    /// The rows of a batch. The latest one if it was recorded more than once.
    pub fn get(&self, epoch: i32, batch: i32) -> Result<Rows> {
        let snapshot = self.read();
        let place = snapshot
            .find(epoch, batch)
            .and_then(|position| snapshot.place(position));
        let (index, row) = place.ok_or_else(|| StoreError::NoBatch {
            channel: self.name.clone(),
            epoch,
            batch,
        })?;
        snapshot.batch(index, row)
    }

    /// The rows of the batch at a position in the order of recording.
    pub fn at(&self, position: usize) -> Result<Rows> {
        let snapshot = self.read();
        let place = snapshot.place(position);
        let (index, row) = place.ok_or_else(|| self.no_position(&snapshot, position))?;
        snapshot.batch(index, row)
    }

    /// What the index says of the batch at a position.
    pub fn entry(&self, position: usize) -> Result<BatchEntry> {
        let snapshot = self.read();
        let place = snapshot.place(position);
        let (index, row) = place.ok_or_else(|| self.no_position(&snapshot, position))?;
        Ok(BatchEntry::read(&index.map, row))
    }

    /// Position of the latest batch with these numbers.
    pub fn position(&self, epoch: i32, batch: i32) -> Option<usize> {
        self.read().find(epoch, batch)
    }

    /// What the index says of every batch.
    pub fn index(&self) -> Vec<BatchEntry> {
        let snapshot = self.read();
        let places = (0..snapshot.batches).filter_map(|position| snapshot.place(position));
        places
            .map(|(index, row)| BatchEntry::read(&index.map, row))
            .collect()
    }

    /// All rows at or below the watermark, one item for each file that has any.
    pub fn chunks(&self) -> Vec<Rows> {
        let snapshot = self.read();
        let parts = snapshot.chunks.iter().map(|part| Rows {
            map: Arc::clone(&part.map),
            first: 0,
            count: snapshot.visible(part),
        });
        parts.filter(|rows| rows.count > 0).collect()
    }

    /// The chunk files, each with its rows at or below the watermark.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let snapshot = self.read();
        snapshot
            .chunks
            .iter()
            .map(|part| (part.map.path().to_path_buf(), snapshot.visible(part)))
            .collect()
    }

    /// Look for rows up to a watermark.
    pub(crate) fn refresh(&self, watermark: u64) -> Result<()> {
        let mut snapshot = self
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        extend(&mut snapshot.indexes, |number| {
            ChunkMap::open(index_path(&self.folder, number), &self.index_columns)
        })?;
        extend(&mut snapshot.chunks, |number| {
            ChunkMap::open(chunk_path(&self.folder, number), &self.columns)
        })?;
        snapshot.clamp(watermark)
    }

    fn no_position(&self, snapshot: &Snapshot, position: usize) -> StoreError {
        StoreError::NoPosition {
            channel: self.name.clone(),
            position,
            batches: snapshot.batches,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Snapshot> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    fn clamp(&mut self, watermark: u64) -> Result<()> {
        self.batches = rows_below(&self.indexes, index_column::SEQUENCE, watermark) as usize;
        self.rows = 0;
        self.positions = OnceLock::new();
        self.unsorted = self.indexes.iter().any(|part| part.unsorted);
        if let Some((index, row)) = self
            .batches
            .checked_sub(1)
            .and_then(|last| self.place(last))
        {
            self.batch(index, row)?;
            let entry = BatchEntry::read(&index.map, row);
            self.rows = entry.row_start + u64::from(entry.rows);
        }
        Ok(())
    }

    /// Rows of a chunk at or below the watermark.
    fn visible(&self, part: &Part) -> u64 {
        self.rows
            .saturating_sub(part.map.first_row())
            .min(part.rows)
    }

    /// The index row of the batch at a position.
    fn place(&self, position: usize) -> Option<(&Part, u64)> {
        if position < self.batches {
            part_of(&self.indexes, position as u64)
        } else {
            None
        }
    }

    fn find(&self, epoch: i32, batch: i32) -> Option<usize> {
        let wanted = (epoch, batch);
        if self.unsorted {
            let positions = self.positions.get_or_init(|| self.all_positions());
            return positions.get(&wanted).copied();
        }
        let after = self
            .indexes
            .partition_point(|part| self.keys(part).next().is_some_and(|key| key <= wanted));
        let part = &self.indexes[after.checked_sub(1)?];
        let (epochs, batches) = self.key_columns(part);
        let (mut low, mut high) = (0, epochs.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let key = (
                i32::from_le_bytes(epochs[middle]),
                i32::from_le_bytes(batches[middle]),
            );
            match key.cmp(&wanted) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Some(part.map.first_row() as usize + middle),
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn all_positions(&self) -> HashMap<(i32, i32), usize> {
        let keys = self.indexes.iter().flat_map(|part| self.keys(part));
        keys.enumerate()
            .map(|(position, key)| (key, position))
            .collect()
    }

    fn keys<'a>(&self, part: &'a Part) -> impl Iterator<Item = (i32, i32)> + 'a {
        let (epochs, batches) = self.key_columns(part);
        let keys = epochs.iter().zip(batches);
        keys.map(|(epoch, batch)| (i32::from_le_bytes(*epoch), i32::from_le_bytes(*batch)))
    }

    /// The keys of the batches at or below the watermark in one index file.
    fn key_columns<'a>(&self, part: &'a Part) -> (&'a [[u8; 4]], &'a [[u8; 4]]) {
        let visible = (self.batches as u64)
            .saturating_sub(part.map.first_row())
            .min(part.rows);
        (
            part.map.rows(index_column::EPOCH, 0..visible).as_chunks().0,
            part.map.rows(index_column::BATCH, 0..visible).as_chunks().0,
        )
    }

    fn batch(&self, index: &Part, row: u64) -> Result<Rows> {
        let row_start = u64::from_le_bytes(index.map.number(index_column::ROW_START, row));
        let count = u64::from(u32::from_le_bytes(
            index.map.number(index_column::ROWS, row),
        ));
        let inside = part_of(&self.chunks, row_start)
            .filter(|(part, first)| first.checked_add(count).is_some_and(|end| end <= part.rows));
        let Some((part, first)) = inside else {
            let offset = index.map.row_offset(index_column::ROW_START, row);
            return Err(index
                .map
                .damaged(offset, "the index points beyond the rows"));
        };
        Ok(Rows {
            map: Arc::clone(&part.map),
            first,
            count,
        })
    }
}
