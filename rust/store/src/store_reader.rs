//! A store as a reader sees it: everything at or below the watermark that is not hidden.

use std::collections::HashSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::channel_reader::ChannelReader;
use crate::chunk_map::ChunkMap;
use crate::description::{Session, StoreDescription, read_description};
use crate::error::{IoContext, Result, StoreError};
use crate::folder::{CHANNEL_FILE, METRICS_FOLDER, STORE_FILE, WATERMARK_FILE, chunk_path};
use crate::mapped_files::VisibleFile;
use crate::metric_reader::MetricReader;
use crate::metric_row::check_row;
use crate::metric_table::MetricTable;
use crate::power_loss::{last_proven, lost_power};
use crate::watermark::{SEQUENCE_OFFSET, Watermark, read_watermark};

/// An error does not repeat all of a text that may have any length.
const LONGEST_REASON: usize = 200;

/// A reader of a live, crashed or closed store. It takes no lock and writes nothing.
pub struct StoreReader {
    folder: PathBuf,
    check: bool,
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) description: StoreDescription,
    /// As the file has it.
    pub(crate) written: Watermark,
    /// As far as it can be believed.
    pub(crate) watermark: Watermark,
    /// The machine was started again while the store was open.
    pub(crate) lost_power: bool,
    pub(crate) channels: Vec<Arc<ChannelReader>>,
    pub(crate) metrics: MetricReader,
}

impl StoreReader {
    /// Open the store in a folder. Batches are compared with their checksums the first time that they are read.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::new(folder, true)
    }

    /// Open the store in a folder, and believe what its files hold.
    pub fn open_unchecked(folder: &Path) -> Result<Self> {
        Self::new(folder, false)
    }

    fn new(folder: &Path, check: bool) -> Result<Self> {
        let description = folder.join(STORE_FILE);
        if !description.exists() {
            return Err(StoreError::Missing {
                path: folder.to_path_buf(),
            });
        }
        let written = read_watermark(&folder.join(WATERMARK_FILE))?;
        let state = State {
            // A session is described before its first watermark is written.
            description: StoreDescription::read(&description)?,
            watermark: written.clone(),
            written: written.clone(),
            lost_power: false,
            channels: Vec::new(),
            metrics: MetricReader::new(folder.join(METRICS_FOLDER)),
        };
        let reader = Self {
            folder: folder.to_path_buf(),
            check,
            state: Mutex::new(state),
        };
        reader.follow(written)?;
        Ok(reader)
    }

    /// Look again how far the writer has come; returns the watermark.
    pub fn refresh(&self) -> Result<u64> {
        // Read first: everything up to it is then found in the files.
        self.follow(read_watermark(&self.folder.join(WATERMARK_FILE))?)
    }

    /// See what this watermark promises.
    fn follow(&self, written: Watermark) -> Result<u64> {
        let mut guard = self.lock();
        let state = &mut *guard;
        if written.session != state.written.session {
            state.description = StoreDescription::read(&self.folder.join(STORE_FILE))?;
        }
        self.check_session(&written, &state.description)?;
        let had_lost_power = std::mem::replace(
            &mut state.lost_power,
            lost_power(&written, &state.description),
        );
        if !state.lost_power {
            if had_lost_power {
                // Another session has put the files in order.
                state.forget();
            }
            if let Some(failure) = self.find_channels(state)?.into_iter().next() {
                return Err(failure);
            }
            state.load()?;
            state.show(written.clone())?;
        } else if !had_lost_power || written != state.written {
            let proven = self.prove(state, &written)?;
            state.show(proven)?;
        }
        state.written = written;
        Ok(state.watermark.sequence)
    }

    /// A session is described before its first watermark is written.
    fn check_session(&self, written: &Watermark, description: &StoreDescription) -> Result<()> {
        let mut sessions = description.sessions.iter();
        if sessions.any(|known| known.session == written.session) {
            return Ok(());
        }
        let reason = format!(
            "it lacks session {}, which wrote the watermark",
            written.session
        );
        let path = self.folder.join(STORE_FILE);
        Err(StoreError::damaged(&path, 0, reason))
    }

    /// Look at all files anew, and at each record beyond those that are durable.
    fn prove(&self, state: &mut State, written: &Watermark) -> Result<Watermark> {
        state.forget();
        let mut failures = self.find_channels(state)?;
        let mut found = Vec::new();
        for channel in &state.channels {
            failures.extend(channel.load_readable());
            channel.prove(written, &mut found)?;
        }
        failures.extend(state.metrics.load().err());
        state.metrics.prove(written, &mut found)?;
        // Only what is torn is lost: what cannot be read now may be readable later.
        let torn = |failure: &&StoreError| matches!(failure, StoreError::Damaged { .. });
        if let Some(failure) = failures.iter().find(|failure| !torn(failure)) {
            return Err(failure.clone());
        }
        let sequence = last_proven(found, written).map_err(|missing| {
            let reason = format!("record {missing} was on disk and is in no file");
            let path = self.folder.join(WATERMARK_FILE);
            let missing = StoreError::damaged(&path, SEQUENCE_OFFSET, reason);
            failures.into_iter().next().unwrap_or(missing)
        })?;
        for channel in &state.channels {
            channel.cut(sequence)?;
        }
        state.metrics.cut(sequence)?;
        Ok(Watermark {
            sequence,
            ..written.clone()
        })
    }

    /// Sequence number up to which everything is seen.
    pub fn watermark(&self) -> u64 {
        self.lock().watermark.sequence
    }

    /// True once the writer closed the store.
    pub fn closed(&self) -> bool {
        self.lock().watermark.closed
    }

    /// Number up to which records survive a loss of power.
    pub fn durable(&self) -> u64 {
        self.lock().watermark.durable
    }

    /// Records of the whole run that were accepted and lost.
    pub fn dropped(&self) -> u64 {
        self.lock().watermark.dropped
    }

    /// The sessions that wrote the store, in order.
    pub fn sessions(&self) -> Vec<Session> {
        self.lock().description.sessions.clone()
    }

    /// Folder of the store.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every channel, in order of creation.
    pub fn channels(&self) -> Vec<Arc<ChannelReader>> {
        self.lock().channels.clone()
    }

    /// Where all visible rows of the metrics stand, which have been compared with their checksums.
    pub fn metric_files(&self) -> Result<Vec<VisibleFile>> {
        let mut state = self.lock();
        if self.check {
            state.check_complete(&self.folder.join(WATERMARK_FILE))?;
        }
        Ok(state.metrics.visible_files())
    }

    /// The visible rows of the metrics from row `first` on, which have been compared with their checksums.
    pub fn metrics(&self, run_id: &str, first: u64) -> Result<MetricTable> {
        let mut state = self.lock();
        if self.check {
            state.check_complete(&self.folder.join(WATERMARK_FILE))?;
        }
        let mut table = MetricTable::new(run_id);
        let mut skipped = first;
        for (map, rows) in state.metrics.rows() {
            let start = rows.end.min(rows.start.saturating_add(skipped));
            skipped -= start - rows.start;
            for row in start..rows.end {
                table.add(&map, row, &state.description.sessions)?;
            }
            map.intact()?;
        }
        Ok(table)
    }

    /// Number of the record of the last visible row of the metrics; 0 where there is none.
    pub fn last_metric(&self) -> Result<u64> {
        let rows = self.lock().metrics.rows();
        let Some((map, rows)) = rows.last() else {
            return Ok(0);
        };
        rows.end
            .checked_sub(1)
            .map_or(Ok(0), |row| check_row(map, row))
    }

    /// The visible rows of each chunk of the metrics.
    pub(crate) fn metric_rows(&self) -> Vec<(Arc<ChunkMap>, Range<u64>)> {
        self.lock().metrics.rows()
    }

    pub(crate) fn into_state(self) -> State {
        self.state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Add the channels that are new; returns what is wrong with those that cannot be read.
    fn find_channels(&self, state: &mut State) -> Result<Vec<StoreError>> {
        let mut failures = Vec::new();
        let channels = state.channels.iter();
        let known: HashSet<String> = channels.map(|channel| channel.name().to_owned()).collect();
        for entry in fs::read_dir(&self.folder).context("list", &self.folder)? {
            let folder = entry.context("list", &self.folder)?.path();
            let Some(name) = folder.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let description = folder.join(CHANNEL_FILE);
            if known.contains(name) {
                continue;
            }
            if !description.exists() {
                // A channel has rows only after it was described.
                if name != METRICS_FOLDER && chunk_path(&folder, 0).exists() {
                    failures.push(StoreError::damaged(&description, 0, "the file is missing"));
                }
                continue;
            }
            match self.open_channel(&folder, name) {
                Ok(channel) => state.channels.push(Arc::new(channel)),
                Err(failure) => failures.push(failure),
            }
        }
        state.channels.sort_by_key(|channel| channel.order());
        Ok(failures)
    }

    fn open_channel(&self, folder: &Path, name: &str) -> Result<ChannelReader> {
        let description = folder.join(CHANNEL_FILE);
        let parsed = read_description(&description)?;
        let channel = ChannelReader::new(folder.to_path_buf(), parsed, self.check)
            .map_err(|error| wrong_channel(&description, &error))?;
        if channel.name() == name {
            return Ok(channel);
        }
        let reason = format!("its labels are those of `{}`", channel.name());
        Err(StoreError::damaged(&description, 0, reason))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Look for files and rows that are new.
    fn load(&mut self) -> Result<()> {
        self.metrics.load()?;
        self.channels.iter().try_for_each(|channel| channel.load())
    }

    /// Decide what is visible.
    pub(crate) fn show(&mut self, watermark: Watermark) -> Result<()> {
        self.channels
            .iter()
            .try_for_each(|channel| channel.show(&watermark))?;
        self.metrics.show(&watermark)?;
        self.watermark = watermark;
        Ok(())
    }

    /// Every visible number is that of a record that is there. The error names the watermark, at this path.
    pub(crate) fn check_complete(&mut self, path: &Path) -> Result<()> {
        let metrics = self.metrics.check()?;
        let batches = self.channels.iter().map(|channel| channel.batches() as u64);
        let found = metrics + batches.sum::<u64>();
        let visible = self.watermark.hidden.visible(self.watermark.sequence);
        let promised: u64 = visible.map(|range| range.through - range.after).sum();
        if found == promised {
            return Ok(());
        }
        let reason = format!("it promises {promised} records, and {found} are there");
        Err(StoreError::damaged(path, SEQUENCE_OFFSET, reason))
    }

    fn forget(&mut self) {
        self.channels.iter().for_each(|channel| channel.forget());
        self.metrics.forget();
    }
}

/// A description that matches its checksum and yet describes nothing.
fn wrong_channel(description: &Path, error: &StoreError) -> StoreError {
    if let StoreError::Damaged { .. } | StoreError::Newer { .. } = error {
        return error.clone();
    }
    let reason: String = error.to_string().chars().take(LONGEST_REASON).collect();
    StoreError::damaged(description, 0, reason)
}
