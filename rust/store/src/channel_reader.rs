//! What readers of all kinds of channels share: chunks of rows, and the index that names their batches.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::batch_index::BatchIndex;
use crate::description::ChannelDescription;
use crate::error::{Result, StoreError};
use crate::folder::{CHANNEL_FILE, ChannelKey, chunk_path};
use crate::index_row::{BatchEntry, IndexRow};
use crate::kind::Kind;
use crate::mapped_files::{MappedFiles, Stretch, VisibleFile, visible_count};
use crate::private_rows::PrivateRows;
use crate::rows::Rows;
use crate::watermark::Watermark;

/// What was in the files when they were last looked at.
struct Snapshot {
    index: BatchIndex,
    chunks: MappedFiles,
    visible: Vec<Stretch>,
}

/// A reader of one channel.
pub struct ChannelReader {
    folder: PathBuf,
    name: String,
    key: ChannelKey,
    order: u32,
    kind: Arc<Kind>,
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
        let key = description.key();
        Ok(Self {
            snapshot: RwLock::new(Snapshot {
                index: BatchIndex::new(folder.clone()),
                chunks: MappedFiles::new(folder.clone(), chunk_path, columns),
                visible: Vec::new(),
            }),
            folder,
            name: key.folder_name(),
            key,
            order: description.order,
            kind: Arc::new(kind),
            check,
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
        self.with_snapshot(|snapshot| {
            let position = snapshot.index.find(epoch, batch)?;
            let row = position.and_then(|position| snapshot.index.at(position));
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
        self.get(epoch, batch)?
            .private(self.read().chunks.columns())
    }

    /// The rows of the batch at a position in the order of recording.
    pub fn at(&self, position: usize) -> Result<Rows> {
        self.with_snapshot(|snapshot| self.batch(snapshot, self.row_at(snapshot, position)?))
    }

    /// What the index says of the batch at a position.
    pub(crate) fn entry(&self, position: usize) -> Result<BatchEntry> {
        self.with_snapshot(|snapshot| {
            let entry = self.row_at(snapshot, position)?.entry()?;
            Ok(snapshot.with_visible_start(entry))
        })
    }

    /// Position of the latest batch with these numbers.
    pub(crate) fn position(&self, epoch: i32, batch: i32) -> Result<Option<usize>> {
        self.with_snapshot(|snapshot| snapshot.index.find(epoch, batch))
    }

    /// What the index says of every batch.
    pub fn index(&self) -> Result<Vec<BatchEntry>> {
        self.with_snapshot(|snapshot| {
            let rows = snapshot.index.visible();
            rows.map(|row| Ok(snapshot.with_visible_start(row.entry()?)))
                .collect()
        })
    }

    /// All visible rows, one item for each stretch of them in a file.
    pub fn chunks(&self) -> Result<Vec<Rows>> {
        self.with_snapshot(|snapshot| {
            if self.check {
                for row in snapshot.index.visible() {
                    if !snapshot.index.is_checked(row) {
                        self.batch(snapshot, row)?;
                    }
                }
            }
            let rows = snapshot.visible.iter().map(|stretch| {
                let map = &snapshot.chunks.files()[stretch.file].map;
                Rows::new(map, &self.kind, stretch.rows.clone())
            });
            rows.collect()
        })
    }

    /// Where all visible rows stand.
    pub fn files(&self) -> Vec<VisibleFile> {
        let snapshot = self.read();
        snapshot.chunks.visible_files(&snapshot.visible)
    }

    /// Look for files and rows that are new.
    pub(crate) fn load(&self) -> Result<()> {
        let mut snapshot = self.write();
        snapshot.index.files.load()?;
        snapshot.chunks.load()
    }

    /// Decide what is visible.
    pub(crate) fn show(&self, watermark: &Watermark) -> Result<()> {
        let mut guard = self.write();
        let snapshot = &mut *guard;
        let ranges = snapshot.index.show(watermark, snapshot.chunks.rows());
        snapshot.intact()?;
        snapshot.visible = snapshot.chunks.stretches(&ranges?);
        Ok(())
    }

    /// Look at all files anew the next time.
    pub(crate) fn forget(&self) {
        let mut snapshot = self.write();
        snapshot.index.forget();
        snapshot.chunks.forget();
        snapshot.visible.clear();
    }

    /// Look for files and rows that are new, up to the first file of each kind that cannot be read.
    pub(crate) fn load_readable(&self) -> Vec<StoreError> {
        let mut snapshot = self.write();
        let results = [snapshot.index.files.load(), snapshot.chunks.load()];
        results.into_iter().filter_map(Result::err).collect()
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
        snapshot.index.keep(intact);
        Ok(())
    }

    /// Forget what was found of later records.
    pub(crate) fn cut(&self, sequence: u64) -> Result<()> {
        let mut snapshot = self.write();
        let last = snapshot.index.cut_behind(sequence)?;
        let (rows, last) = last.map_or((0, 0), |last| (last.row_end(), last.sequence));
        snapshot.chunks.cut(rows, last);
        Ok(())
    }

    /// The index files and the chunks.
    pub(crate) fn mapped_files(&self) -> [MappedFiles; 2] {
        let snapshot = self.read();
        [snapshot.index.files.clone(), snapshot.chunks.clone()]
    }

    /// Epoch and batch of the last visible batch.
    pub(crate) fn last_key(&self) -> Result<Option<(i32, i32)>> {
        let Some(last) = self.batches().checked_sub(1) else {
            return Ok(None);
        };
        self.entry(last)
            .map(|entry| Some((entry.epoch, entry.batch)))
    }

    fn row_at<'a>(&self, snapshot: &'a Snapshot, position: usize) -> Result<IndexRow<'a>> {
        let row = snapshot.index.at(position);
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
            let (chunk, first) = snapshot.chunks.find(rows.start)?;
            let last = first + (rows.end - rows.start);
            (rows.end <= chunk.end()).then_some((chunk, first..last))
        });
        let beyond = || row.damaged("the index points beyond the rows");
        let (chunk, rows) = found.ok_or_else(beyond)?;
        Rows::new(&chunk.map, &self.kind, rows)
    }

    /// What is found in the files, or that one of them lost bytes, which explains whatever was found.
    fn with_snapshot<T>(&self, find: impl FnOnce(&Snapshot) -> Result<T>) -> Result<T> {
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
        self.chunks.intact()?;
        self.index.files.intact()
    }

    /// An entry whose start does not count hidden rows.
    fn with_visible_start(&self, entry: BatchEntry) -> BatchEntry {
        let first_row =
            |stretch: &Stretch| self.chunks.files()[stretch.file].first_row() + stretch.rows.start;
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
