//! A store as a reader sees it: everything at or below the watermark.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::chunk_map::ChunkMap;
use crate::description::{Session, StoreDescription, read_description};
use crate::error::{IoContext, Result, StoreError};
use crate::folder::{CHANNEL_FILE, METRICS_FOLDER, STORE_FILE, WATERMARK_FILE, chunk_path};
use crate::layout::Columns;
use crate::metric_files::metric_columns;
use crate::parts::{Part, extend, rows_below};
use crate::tensor_reader::TensorReader;
use crate::watermark::{Watermark, read_watermark};

pub(crate) const SEQUENCE: usize = 9;

struct State {
    watermark: Watermark,
    description: StoreDescription,
    tensors: Vec<Arc<TensorReader>>,
    metrics: Vec<Part>,
    metric_rows: u64,
}

/// A reader of a live, crashed or closed store. It takes no lock and writes nothing.
pub struct StoreReader {
    folder: PathBuf,
    metric_columns: Columns,
    state: Mutex<State>,
}

impl StoreReader {
    /// Open the store in a folder.
    pub fn open(folder: &Path) -> Result<Self> {
        let description = folder.join(STORE_FILE);
        if !description.exists() {
            return Err(StoreError::Missing {
                path: folder.to_path_buf(),
            });
        }
        let reader = Self {
            folder: folder.to_path_buf(),
            metric_columns: metric_columns(),
            state: Mutex::new(State {
                watermark: Watermark::default(),
                description: StoreDescription::read(&description)?,
                tensors: Vec::new(),
                metrics: Vec::new(),
                metric_rows: 0,
            }),
        };
        reader.refresh()?;
        Ok(reader)
    }

    /// Look again how far the writer has come; returns the watermark.
    pub fn refresh(&self) -> Result<u64> {
        let mut state = self.lock();
        // Read first: everything up to it is then found in the files below.
        let watermark = read_watermark(&self.folder.join(WATERMARK_FILE))?;
        if watermark.session != state.watermark.session {
            // A session is described before its first watermark is written.
            state.description = StoreDescription::read(&self.folder.join(STORE_FILE))?;
        }
        self.find_channels(&mut state.tensors)?;
        for tensor in &state.tensors {
            tensor.refresh(watermark.sequence)?;
        }
        let metrics = self.folder.join(METRICS_FOLDER);
        extend(&mut state.metrics, |number| {
            ChunkMap::open(chunk_path(&metrics, number), &self.metric_columns)
        })?;
        state.metric_rows = rows_below(&state.metrics, SEQUENCE, watermark.sequence);
        state.watermark = watermark;
        Ok(state.watermark.sequence)
    }

    /// Sequence number up to which everything is seen.
    pub fn watermark(&self) -> u64 {
        self.lock().watermark.sequence
    }

    /// True once the writer closed the store.
    pub fn closed(&self) -> bool {
        self.lock().watermark.closed
    }

    /// Folder of the store.
    pub fn folder(&self) -> &Path {
        &self.folder
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

    /// Every tensor channel, in order of creation.
    pub fn tensors(&self) -> Vec<Arc<TensorReader>> {
        self.lock().tensors.clone()
    }

    /// The metric files, each with its rows at or below the watermark.
    pub fn metric_files(&self) -> Vec<(PathBuf, u64)> {
        self.metric_parts()
            .iter()
            .map(|part| (part.map.path().to_path_buf(), part.rows))
            .collect()
    }

    /// The metric chunks, their rows clamped to the watermark.
    pub(crate) fn metric_parts(&self) -> Vec<Part> {
        let state = self.lock();
        let clamp = |part: &Part| Part {
            rows: state
                .metric_rows
                .saturating_sub(part.map.first_row())
                .min(part.rows),
            ..part.clone()
        };
        state.metrics.iter().map(clamp).collect()
    }

    fn find_channels(&self, tensors: &mut Vec<Arc<TensorReader>>) -> Result<()> {
        for entry in fs::read_dir(&self.folder).context("list", &self.folder)? {
            let folder = entry.context("list", &self.folder)?.path();
            let Some(name) = folder.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let description = folder.join(CHANNEL_FILE);
            if tensors.iter().any(|tensor| tensor.name() == name) || !description.exists() {
                continue;
            }
            let channel = TensorReader::new(folder.clone(), read_description(&description)?)?;
            if channel.name() != name {
                let reason = format!("its labels are those of `{}`", channel.name());
                return Err(StoreError::damaged(&description, 0, reason));
            }
            tensors.push(Arc::new(channel));
        }
        tensors.sort_by_key(|tensor| tensor.order());
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
