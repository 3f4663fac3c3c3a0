//! What readers of all kinds of channels share: chunks of rows, and the index that names their batches.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::batch_index::{BatchEntry, BatchIndex, IndexRow};
use crate::chunk_map::ChunkMap;
use crate::description::ChannelDescription;
use crate::error::{Result, StoreError};
use crate::folder::{ChannelKey, chunk_path, index_path};
use crate::layout::Columns;
use crate::parts::{Part, Stretch, cut, end, extend, part_of, stretches, visible_count};
use crate::tensor_files::{BATCH, EPOCH, VALUE, index_columns};
use crate::watermark::Watermark;

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

    /// Compare the values with the checksum of the index.
    pub(crate) fn check(&self, entry: BatchEntry) -> Result<()> {
        if crc32fast::hash(self.bytes()) == entry.crc {
            return Ok(());
        }
        Err(self.damaged("a batch does not match its checksum"))
    }

    /// Compare the keys beside the rows with those of the index.
    pub(crate) fn check_keys(&self, entry: BatchEntry) -> Result<()> {
        if self.keys().all(|key| key == (entry.epoch, entry.batch)) {
            return Ok(());
        }
        Err(self.damaged("the keys of a batch are not those of the index"))
    }
}

/// A file, its first visible row, and how many visible rows follow from there.
pub type VisibleFile = (PathBuf, u64, u64);

#[derive(Default)]
struct Snapshot {
    index: BatchIndex,
    chunks: Vec<Part>,
    visible: Vec<Stretch>,
}

/// The files of one channel as a reader sees them.
pub(crate) struct ChannelReader {
    folder: PathBuf,
    name: String,
    key: ChannelKey,
    order: u32,
    columns: Columns,
    index_columns: Columns,
    check: bool,
    snapshot: RwLock<Snapshot>,
}

impl ChannelReader {
    pub(crate) fn new(
        folder: PathBuf,
        description: ChannelDescription,
        columns: Columns,
        check: bool,
    ) -> Self {
        let key = ChannelKey {
            phase: description.phase,
            node: description.node,
            role: description.role,
            field: description.field,
        };
        Self {
            folder,
            name: key.folder_name(),
            key,
            order: description.order,
            columns,
            index_columns: index_columns(),
            check,
            snapshot: RwLock::default(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn key(&self) -> &ChannelKey {
        &self.key
    }

    pub(crate) fn order(&self) -> u32 {
        self.order
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn columns(&self) -> &Columns {
        &self.columns
    }

    pub(crate) fn index_columns(&self) -> &Columns {
        &self.index_columns
    }

    pub(crate) fn rows(&self) -> u64 {
        visible_count(&self.read().visible)
    }

    pub(crate) fn batches(&self) -> usize {
        self.read().index.batches()
    }

    pub(crate) fn get(&self, epoch: i32, batch: i32) -> Result<Rows> {
        let snapshot = self.read();
        let position = snapshot.index.find(epoch, batch)?;
        let row = position.and_then(|position| snapshot.index.place(position));
        let row = row.ok_or_else(|| StoreError::NoBatch {
            channel: self.name.clone(),
            epoch,
            batch,
        })?;
        snapshot.batch(row, self.check)
    }

    pub(crate) fn at(&self, position: usize) -> Result<Rows> {
        let snapshot = self.read();
        snapshot.batch(self.place(&snapshot, position)?, self.check)
    }

    pub(crate) fn entry(&self, position: usize) -> Result<BatchEntry> {
        let snapshot = self.read();
        let entry = self.place(&snapshot, position)?.entry()?;
        Ok(snapshot.with_visible_start(entry))
    }

    pub(crate) fn position(&self, epoch: i32, batch: i32) -> Result<Option<usize>> {
        self.read().index.find(epoch, batch)
    }

    pub(crate) fn index(&self) -> Result<Vec<BatchEntry>> {
        let snapshot = self.read();
        let rows =
            (0..snapshot.index.batches()).filter_map(|position| snapshot.index.place(position));
        rows.map(|row| Ok(snapshot.with_visible_start(row.entry()?)))
            .collect()
    }

    /// All visible rows, one item for each stretch of a file.
    pub(crate) fn chunks(&self) -> Result<Vec<Rows>> {
        let snapshot = self.read();
        if self.check {
            for position in 0..snapshot.index.batches() {
                snapshot.batch(self.place(&snapshot, position)?, true)?;
            }
        }
        let rows = snapshot.visible.iter().map(|stretch| Rows {
            map: Arc::clone(&snapshot.chunks[stretch.part].map),
            first: stretch.rows.start,
            count: stretch.rows.end - stretch.rows.start,
        });
        Ok(rows.collect())
    }

    pub(crate) fn files(&self) -> Vec<VisibleFile> {
        let snapshot = self.read();
        visible_files(&snapshot.chunks, &snapshot.visible)
    }

    /// Look for files and rows that are new.
    pub(crate) fn load(&self) -> Result<()> {
        let mut snapshot = self.write();
        self.load_index(&mut snapshot)?;
        self.load_chunks(&mut snapshot)
    }

    /// Decide what is visible.
    pub(crate) fn show(&self, watermark: &Watermark) -> Result<()> {
        let mut guard = self.write();
        let snapshot = &mut *guard;
        let ranges = snapshot.index.show(watermark, end(&snapshot.chunks))?;
        snapshot.visible = stretches(&snapshot.chunks, &ranges);
        Ok(())
    }

    /// Look at all files anew the next time.
    pub(crate) fn forget(&self) {
        *self.write() = Snapshot::default();
    }

    /// Look for files and rows that are new, up to the first file of each kind that cannot be read.
    pub(crate) fn load_readable(&self) -> Vec<StoreError> {
        let mut snapshot = self.write();
        let results = [
            self.load_index(&mut snapshot),
            self.load_chunks(&mut snapshot),
        ];
        results.into_iter().filter_map(Result::err).collect()
    }

    fn load_index(&self, snapshot: &mut Snapshot) -> Result<()> {
        extend(&mut snapshot.index.parts, |number| {
            ChunkMap::open(index_path(&self.folder, number), &self.index_columns)
        })
    }

    fn load_chunks(&self, snapshot: &mut Snapshot) -> Result<()> {
        extend(&mut snapshot.chunks, |number| {
            ChunkMap::open(chunk_path(&self.folder, number), &self.columns)
        })
    }

    /// Add the numbers of the visible records: all that are durable, and later ones that match their checksums.
    pub(crate) fn prove(&self, watermark: &Watermark, found: &mut Vec<u64>) {
        let mut snapshot = self.write();
        let (mut intact, mut last) = (0, 0);
        for row in snapshot.index.all_rows() {
            let entry = row.entry().ok().filter(|entry| entry.sequence > last);
            let Some(entry) = entry else { break };
            (intact, last) = (intact + 1, entry.sequence);
            let durable = last <= watermark.durable;
            if watermark.shows(last) && (durable || snapshot.proves(row, entry).is_ok()) {
                found.push(last);
            }
        }
        snapshot.index.cut(intact);
    }

    /// Forget what was found of later records.
    pub(crate) fn cut(&self, sequence: u64) -> Result<()> {
        let mut snapshot = self.write();
        let rows = snapshot.index.rows_below(sequence)?;
        let last = rows
            .checked_sub(1)
            .and_then(|last| snapshot.index.row(last));
        let (last, end) = match last {
            Some(row) => row
                .entry()
                .map(|entry| (entry.sequence, entry.row_start + u64::from(entry.rows)))?,
            None => (0, 0),
        };
        snapshot.index.cut(rows);
        cut(&mut snapshot.chunks, end, last);
        Ok(())
    }

    /// The index files and the chunks.
    pub(crate) fn parts(&self) -> [Vec<Part>; 2] {
        let snapshot = self.read();
        [snapshot.index.parts.clone(), snapshot.chunks.clone()]
    }

    /// Epoch and batch of the last visible batch.
    pub(crate) fn last_key(&self) -> Result<Option<(i32, i32)>> {
        let Some(last) = self.batches().checked_sub(1) else {
            return Ok(None);
        };
        self.entry(last)
            .map(|entry| Some((entry.epoch, entry.batch)))
    }

    fn place<'a>(&self, snapshot: &'a Snapshot, position: usize) -> Result<IndexRow<'a>> {
        let row = snapshot.index.place(position);
        row.ok_or_else(|| StoreError::NoPosition {
            channel: self.name.clone(),
            position,
            batches: snapshot.index.batches(),
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, Snapshot> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Snapshot> {
        self.snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    /// The rows of a batch; if `check` is set, compared with their checksum the first time.
    fn batch(&self, row: IndexRow, check: bool) -> Result<Rows> {
        let rows = self.rows_of(row)?;
        if check && !self.index.is_checked(row) {
            rows.check(row.entry()?)?;
            self.index.note_checked(row);
        }
        Ok(rows)
    }

    fn proves(&self, row: IndexRow, entry: BatchEntry) -> Result<()> {
        let rows = self.rows_of(row)?;
        rows.check_keys(entry)?;
        rows.check(entry)
    }

    fn rows_of(&self, row: IndexRow) -> Result<Rows> {
        let found = row.rows().and_then(|rows| {
            let (part, first) = part_of(&self.chunks, rows.start)?;
            (rows.end <= part.end()).then(|| Rows {
                map: Arc::clone(&part.map),
                first,
                count: rows.end - rows.start,
            })
        });
        found.ok_or_else(|| row.damaged("the index points beyond the rows"))
    }

    /// An entry whose start does not count hidden rows.
    fn with_visible_start(&self, entry: BatchEntry) -> BatchEntry {
        let first_row =
            |stretch: &Stretch| self.chunks[stretch.part].first_row() + stretch.rows.start;
        let after = self
            .visible
            .partition_point(|stretch| first_row(stretch) <= entry.row_start);
        let row_start = after.checked_sub(1).map_or(0, |last| {
            let stretch = &self.visible[last];
            let inside = entry.row_start - first_row(stretch);
            stretch.before + inside.min(stretch.rows.end - stretch.rows.start)
        });
        BatchEntry { row_start, ..entry }
    }
}

/// The stretches of some files.
pub(crate) fn visible_files(parts: &[Part], visible: &[Stretch]) -> Vec<VisibleFile> {
    let file = |stretch: &Stretch| {
        let rows = &stretch.rows;
        let path = parts[stretch.part].map.path().to_path_buf();
        (path, rows.start, rows.end - rows.start)
    };
    visible.iter().map(file).collect()
}
