use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use crate::chunk_map::ChunkMap;
use crate::error::{Result, StoreError};
use crate::folder::{ChannelDescription, ChannelKey, chunk_path, index_path};
use crate::layout::Columns;
use crate::superblock::KEYS_UNSORTED;
use crate::tensor_files::{VALUE, index_columns, value_columns};
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

    pub(crate) fn damaged(&self, reason: &str) -> StoreError {
        self.map
            .damaged(self.map.row_offset(VALUE, self.first), reason)
    }
}

/// A chunk or index file, and its committed rows when it was last looked at.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) map: Arc<ChunkMap>,
    pub(crate) rows: u64,
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
    pub(crate) fn new(
        folder: PathBuf,
        name: String,
        description: ChannelDescription,
    ) -> Result<Self> {
        let value_type = ValueType::parse(&description.dtype)?;
        let shape = description.shape;
        row_bytes(value_type, &shape)?;
        Ok(Self {
            folder,
            name,
            order: description.order,
            columns: value_columns(&description.field, value_type, &shape),
            index_columns: index_columns(),
            key: ChannelKey {
                phase: description.phase,
                node: description.node,
                role: description.role,
                field: description.field,
            },
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
        let position = snapshot
            .find(epoch, batch)
            .ok_or_else(|| StoreError::NoBatch {
                channel: self.name.clone(),
                epoch,
                batch,
            })?;
        snapshot.batch(position)
    }

    /// The rows of the batch at a position in the order of recording.
    pub fn at(&self, position: usize) -> Result<Rows> {
        let snapshot = self.read();
        self.check_position(&snapshot, position)?;
        snapshot.batch(position)
    }

    /// What the index says of the batch at a position.
    pub fn entry(&self, position: usize) -> Result<BatchEntry> {
        let snapshot = self.read();
        self.check_position(&snapshot, position)?;
        Ok(snapshot.entry(position))
    }

    /// Position of the latest batch with these numbers.
    pub fn position(&self, epoch: i32, batch: i32) -> Option<usize> {
        self.read().find(epoch, batch)
    }

    /// What the index says of every batch.
    pub fn index(&self) -> Vec<BatchEntry> {
        let snapshot = self.read();
        (0..snapshot.batches)
            .map(|position| snapshot.entry(position))
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

    fn check_position(&self, snapshot: &Snapshot, position: usize) -> Result<()> {
        if position < snapshot.batches {
            return Ok(());
        }
        Err(StoreError::NoPosition {
            channel: self.name.clone(),
            position,
            batches: snapshot.batches,
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, Snapshot> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Look at the last part again and open the parts that came after it.
pub(crate) fn extend(
    parts: &mut Vec<Part>,
    open: impl Fn(u32) -> Result<Option<ChunkMap>>,
) -> Result<()> {
    if let Some(last) = parts.last_mut() {
        last.rows = last.map.superblock()?.rows;
    }
    while let Some(map) = open(parts.len() as u32)? {
        // The predecessor was sealed before this file came into being, so its count is final now.
        let before = match parts.last_mut() {
            None => 0,
            Some(last) => {
                last.rows = last.map.superblock()?.rows;
                last.map.first_row() + last.rows
            }
        };
        if map.first_row() != before {
            return Err(map.damaged(0, "the rows do not follow those of the file before"));
        }
        let rows = map.superblock()?.rows;
        parts.push(Part {
            map: Arc::new(map),
            rows,
        });
    }
    Ok(())
}

/// Number of committed rows, in all parts, whose sequence number is at most `watermark`.
pub(crate) fn rows_below(parts: &[Part], column: usize, watermark: u64) -> u64 {
    let below = |part: &Part, row| u64::from_le_bytes(part.map.number(column, row)) <= watermark;
    let part = parts.partition_point(|part| part.rows > 0 && below(part, 0));
    let Some(part) = part.checked_sub(1).map(|part| &parts[part]) else {
        return 0;
    };
    let (mut low, mut high) = (0, part.rows);
    while low < high {
        let middle = low + (high - low) / 2;
        if below(part, middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    part.map.first_row() + low
}

/// The part that holds a row or batch of the channel.
fn part_of(parts: &[Part], row: u64) -> Option<(&Part, u64)> {
    let after = parts.partition_point(|part| part.map.first_row() <= row);
    let part = &parts[after.checked_sub(1)?];
    Some((part, row - part.map.first_row()))
}

impl Snapshot {
    fn clamp(&mut self, watermark: u64) -> Result<()> {
        self.batches = rows_below(&self.indexes, 0, watermark) as usize;
        self.rows = 0;
        self.positions = OnceLock::new();
        if let Some(last) = self.indexes.last() {
            self.unsorted = last.map.superblock()?.flags & KEYS_UNSORTED != 0;
        }
        if let Some(last) = self.batches.checked_sub(1) {
            self.batch(last)?;
            let entry = self.entry(last);
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

    fn entry(&self, position: usize) -> BatchEntry {
        let Some((part, row)) = part_of(&self.indexes, position as u64) else {
            return BatchEntry {
                sequence: 0,
                row_start: 0,
                time: 0,
                rows: 0,
                epoch: 0,
                batch: 0,
                crc: 0,
            };
        };
        let map = &part.map;
        BatchEntry {
            sequence: u64::from_le_bytes(map.number(0, row)),
            row_start: u64::from_le_bytes(map.number(1, row)),
            time: i64::from_le_bytes(map.number(2, row)),
            rows: u32::from_le_bytes(map.number(3, row)),
            epoch: i32::from_le_bytes(map.number(4, row)),
            batch: i32::from_le_bytes(map.number(5, row)),
            crc: u32::from_le_bytes(map.number(6, row)),
        }
    }

    fn key(&self, position: usize) -> (i32, i32) {
        match part_of(&self.indexes, position as u64) {
            Some((part, row)) => {
                let map = &part.map;
                (
                    i32::from_le_bytes(map.number(4, row)),
                    i32::from_le_bytes(map.number(5, row)),
                )
            }
            None => (0, 0),
        }
    }

    fn find(&self, epoch: i32, batch: i32) -> Option<usize> {
        let wanted = (epoch, batch);
        if self.unsorted {
            let positions = self
                .positions
                .get_or_init(|| (0..self.batches).map(|p| (self.key(p), p)).collect());
            return positions.get(&wanted).copied();
        }
        let (mut low, mut high) = (0, self.batches);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle).cmp(&wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn batch(&self, position: usize) -> Result<Rows> {
        let entry = self.entry(position);
        let count = u64::from(entry.rows);
        let inside = part_of(&self.chunks, entry.row_start)
            .filter(|(part, first)| first.checked_add(count).is_some_and(|end| end <= part.rows));
        if let Some((part, first)) = inside {
            return Ok(Rows {
                map: Arc::clone(&part.map),
                first,
                count,
            });
        }
        let (index, row) =
            part_of(&self.indexes, position as u64).ok_or_else(|| StoreError::NoPosition {
                channel: String::new(),
                position,
                batches: self.batches,
            })?;
        Err(index.map.damaged(
            index.map.row_offset(1, row),
            "the index points beyond the rows",
        ))
    }
}
