//! What readers of all kinds of channels share: chunks of rows, and the index that names their batches.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::batch_index::{BatchEntry, BatchIndex, IndexRow};
use crate::chunk_map::ChunkMap;
use crate::columns::Columns;
use crate::description::ChannelDescription;
use crate::error::{Result, StoreError};
use crate::fault_guard::any_broken;
use crate::folder::{CHANNEL_FILE, ChannelKey, chunk_path, index_path};
use crate::index_files::index_columns;
use crate::kind::Kind;
use crate::parts::{Part, Stretch, cut, end, extend, part_of, stretches, visible_count};
use crate::private_rows::PrivateRows;
use crate::rows::Rows;
use crate::watermark::Watermark;

/// A file, its first visible row, and how many visible rows follow from there.
pub type VisibleFile = (PathBuf, u64, u64);

#[derive(Default)]
struct Snapshot {
    index: BatchIndex,
    chunks: Vec<Part>,
    visible: Vec<Stretch>,
}

/// A reader of one channel.
pub struct ChannelReader {
    folder: PathBuf,
    name: String,
    key: ChannelKey,
    order: u32,
    kind: Arc<Kind>,
    columns: Columns,
    index_columns: Columns,
    check: bool,
    snapshot: RwLock<Snapshot>,
}

impl ChannelReader {
    pub(crate) fn new(
        folder: PathBuf,
        description: ChannelDescription,
        check: bool,
    ) -> Result<Self> {
        let kind = Kind::parse(&description, &folder.join(CHANNEL_FILE))?;
        let columns = kind.columns(&description.field);
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
            kind: Arc::new(kind),
            columns,
            index_columns: index_columns(),
            check,
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

    /// What its rows are.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Number of visible rows.
    pub fn rows(&self) -> u64 {
        visible_count(&self.read().visible)
    }

    /// Number of visible batches.
    pub fn batches(&self) -> usize {
        self.read().index.batches()
    }

    /// The rows of a batch. The latest one if it was recorded more than once.
    pub fn get(&self, epoch: i32, batch: i32) -> Result<Rows> {
        self.look(|snapshot| {
            let position = snapshot.index.find(epoch, batch)?;
            let row = position.and_then(|position| snapshot.index.place(position));
            let row = row.ok_or_else(|| StoreError::NoBatch {
                channel: self.name.clone(),
                epoch,
                batch,
            })?;
            self.batch(snapshot, row)
        })
    }

    /// The rows of a batch of tensors, on a map of their own that may be written to.
    pub fn private(&self, epoch: i32, batch: i32) -> Result<PrivateRows> {
        self.get(epoch, batch)?.private(&self.columns)
    }

    /// The rows of the batch at a position in the order of recording.
    pub fn at(&self, position: usize) -> Result<Rows> {
        self.look(|snapshot| self.batch(snapshot, self.place(snapshot, position)?))
    }

    /// What the index says of the batch at a position.
    pub fn entry(&self, position: usize) -> Result<BatchEntry> {
        self.look(|snapshot| {
            let entry = self.place(snapshot, position)?.entry()?;
            Ok(snapshot.with_visible_start(entry))
        })
    }

    /// Position of the latest batch with these numbers.
    pub fn position(&self, epoch: i32, batch: i32) -> Result<Option<usize>> {
        self.look(|snapshot| snapshot.index.find(epoch, batch))
    }

    /// What the index says of every batch.
    pub fn index(&self) -> Result<Vec<BatchEntry>> {
        self.look(|snapshot| {
            let rows = snapshot.index.visible();
            rows.map(|row| Ok(snapshot.with_visible_start(row.entry()?)))
                .collect()
        })
    }

    /// All visible rows, one item for each stretch of them in a file.
    pub fn chunks(&self) -> Result<Vec<Rows>> {
        self.look(|snapshot| {
            if self.check {
                for row in snapshot.index.visible() {
                    if !snapshot.index.is_checked(row) {
                        self.batch(snapshot, row)?;
                    }
                }
            }
            let rows = snapshot.visible.iter().map(|stretch| {
                let map = &snapshot.chunks[stretch.part].map;
                Rows::new(map, &self.kind, stretch.rows.clone())
            });
            rows.collect()
        })
    }

    /// Where all visible rows stand.
    pub fn files(&self) -> Vec<VisibleFile> {
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
        let ranges = snapshot.index.show(watermark, end(&snapshot.chunks));
        snapshot.intact()?;
        snapshot.visible = stretches(&snapshot.chunks, &ranges?);
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
    pub(crate) fn prove(&self, watermark: &Watermark, found: &mut Vec<u64>) -> Result<()> {
        let mut snapshot = self.write();
        let (mut intact, mut last) = (0, 0);
        for row in snapshot.index.all_rows() {
            let entry = row.entry().ok().filter(|entry| entry.sequence > last);
            let Some(entry) = entry else { break };
            (intact, last) = (intact + 1, entry.sequence);
            let durable = last <= watermark.durable;
            if watermark.shows(last) && (durable || self.proves(&snapshot, row, entry).is_ok()) {
                found.push(last);
            }
        }
        snapshot.intact()?;
        snapshot.index.cut(intact);
        Ok(())
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

    /// The rows of a batch; where it is asked for, compared with their checksum the first time.
    fn batch(&self, snapshot: &Snapshot, row: IndexRow) -> Result<Rows> {
        let rows = self.rows_of(snapshot, row)?;
        if self.check && !snapshot.index.is_checked(row) {
            rows.check(row.entry()?)?;
            snapshot.index.note_checked(row);
        }
        Ok(rows)
    }

    fn proves(&self, snapshot: &Snapshot, row: IndexRow, entry: BatchEntry) -> Result<()> {
        let rows = self.rows_of(snapshot, row)?;
        rows.check_keys(entry)?;
        rows.check(entry)
    }

    fn rows_of(&self, snapshot: &Snapshot, row: IndexRow) -> Result<Rows> {
        let found = row.rows().and_then(|rows| {
            let (part, first) = part_of(&snapshot.chunks, rows.start)?;
            let last = first + (rows.end - rows.start);
            (rows.end <= part.end()).then_some((part, first..last))
        });
        let beyond = || row.damaged("the index points beyond the rows");
        let (part, rows) = found.ok_or_else(beyond)?;
        Rows::new(&part.map, &self.kind, rows)
    }

    /// What is found in the files, or that one of them lost bytes, which explains whatever was found.
    fn look<T>(&self, find: impl FnOnce(&Snapshot) -> Result<T>) -> Result<T> {
        let snapshot = self.read();
        let found = find(&snapshot);
        snapshot.intact().and(found)
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
    fn intact(&self) -> Result<()> {
        if !any_broken() {
            return Ok(());
        }
        let mut parts = self.chunks.iter().chain(&self.index.parts);
        parts.try_for_each(|part| part.map.intact())
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
