//! Creating a store, opening its channels, and closing it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::block::now;
use crate::channel_files::ChannelFiles;
use crate::channels::{Channel, MetricGroup, RaggedChannel, TensorChannel, TextChannel};
use crate::description::{
    ChannelDescription, Session, StoreDescription, replace_description, write_description,
};
use crate::disk::{create_folder, sync_folder};
use crate::error::{IoContext, Result, StoreError};
use crate::folder::{CHANNEL_FILE, ChannelKey, STORE_FILE};
use crate::kind::{KEY_COLUMNS, Kind};
use crate::lock::Lock;
use crate::metric_files::Series;
use crate::policy::{Durability, OnError, Policy};
use crate::recorder::{Recorder, Statistics, lock};
use crate::recovery::{ChannelEnd, recover};
use crate::superblock::FORMAT;
use crate::value_type::{ValueType, row_bytes};
use crate::watermark::Watermark;
use crate::writer::Writer;

/// How a store is created.
#[derive(Clone, Debug)]
pub struct Options {
    /// Id of the run, copied into exports.
    pub run_id: String,
    /// Number of the session, copied into exports; larger than those before.
    pub session: u32,
    /// Most memory for records that are not on file yet.
    pub staging_bytes: usize,
    /// Longest time that a record waits there.
    pub flush_interval: Duration,
    /// When records survive a loss of power.
    pub durability: Durability,
    /// What a failed write does.
    pub on_error: OnError,
}

impl Options {
    fn policy(&self) -> Policy {
        Policy {
            durability: self.durability,
            on_error: self.on_error,
        }
    }
}

/// The one writer of a run's records.
pub struct Store {
    recorder: Arc<Recorder>,
    channels: Mutex<Channels>,
    running: Mutex<Option<Running>>,
}

#[derive(Default)]
struct Channels {
    open: HashMap<String, Channel>,
    /// What earlier sessions left.
    left: HashMap<String, ChannelEnd>,
    /// Place of the next new one in the order of creation.
    next: u32,
}

struct Running {
    drainer: JoinHandle<()>,
    _lock: Lock,
}

impl Store {
    /// Create the folder and start the drainer thread.
    pub fn create(folder: &Path, options: &Options) -> Result<Self> {
        create_folder(folder)?;
        let lock = Lock::acquire(folder)?;
        let description = folder.join(STORE_FILE);
        if description.exists() {
            return Err(StoreError::Exists {
                path: folder.to_path_buf(),
            });
        }
        let watermark = Watermark {
            session: options.session,
            ..Watermark::default()
        };
        let writer = Writer::create(folder, watermark, options.policy())?;
        // The description comes last: a store that has one has everything.
        sync_folder(folder)?;
        let store = StoreDescription::begin(&options.run_id, options.session);
        replace_description(&description, &store)?;
        Self::start(folder, options, lock, writer, HashMap::new())
    }

    /// Continue the store in a folder as another session, whatever ended the one before.
    ///
    /// With `rewind_to`, records after that number are hidden from every reader. `run_id` stays as it was.
    pub fn open(folder: &Path, options: &Options, rewind_to: Option<u64>) -> Result<Self> {
        let description = folder.join(STORE_FILE);
        if !description.exists() {
            return Err(StoreError::Missing {
                path: folder.to_path_buf(),
            });
        }
        let lock = Lock::acquire(folder)?;
        let recovered = recover(folder, options.session, rewind_to)?;
        let first = recovered.watermark.sequence + 1;
        let session = Session::begin(options.session, first, rewind_to, now());
        let mut store = recovered.description;
        store.sessions.push(session);
        replace_description(&description, &store)?;
        let writer = Writer::continuing(
            folder,
            recovered.watermark,
            recovered.metrics,
            options.policy(),
        )?;
        Self::start(folder, options, lock, writer, recovered.channels)
    }

    fn start(
        folder: &Path,
        options: &Options,
        lock: Lock,
        writer: Writer,
        left: HashMap<String, ChannelEnd>,
    ) -> Result<Self> {
        let recorder = Arc::new(Recorder::new(folder, options.staging_bytes, writer));
        let interval = options.flush_interval;
        let drained = Arc::clone(&recorder);
        let drainer = thread::Builder::new()
            .name("specplan-drainer".to_owned())
            .spawn(move || drained.run(interval))
            .context("start the drainer of", folder)?;
        let orders = left.values().map(|channel| channel.description.order);
        Ok(Self {
            recorder,
            channels: Mutex::new(Channels {
                open: HashMap::new(),
                next: orders.max().map_or(0, |last| last.saturating_add(1)),
                left,
            }),
            running: Mutex::new(Some(Running {
                drainer,
                _lock: lock,
            })),
        })
    }

    /// Open the channel of a value whose rows have one shape; the same channel if it is open already.
    pub fn tensor(
        &self,
        key: &ChannelKey,
        value_type: ValueType,
        shape: &[usize],
    ) -> Result<TensorChannel> {
        let row_bytes = row_bytes(value_type, shape)?;
        let kind = Kind::Tensor {
            value_type,
            shape: shape.to_vec(),
        };
        let channel = self.channel(key, kind)?;
        Ok(TensorChannel::new(channel, value_type, shape, row_bytes))
    }

    /// Open the channel of a value whose rows are arrays of different shapes.
    pub fn ragged(
        &self,
        key: &ChannelKey,
        value_type: ValueType,
        dimensions: usize,
    ) -> Result<RaggedChannel> {
        let kind = Kind::Ragged {
            value_type,
            dimensions,
        };
        let channel = self.channel(key, kind)?;
        Ok(RaggedChannel::new(channel, value_type, dimensions))
    }

    /// Open the channel of a value whose rows are strings, or JSON documents.
    pub fn text(&self, key: &ChannelKey, json: bool) -> Result<TextChannel> {
        let channel = self.channel(key, Kind::Text { json })?;
        Ok(TextChannel::new(channel, json))
    }

    fn channel(&self, key: &ChannelKey, kind: Kind) -> Result<Channel> {
        self.recorder.check()?;
        kind.check()?;
        if KEY_COLUMNS.contains(&key.field.as_str()) {
            return Err(StoreError::ReservedField {
                name: key.field.clone(),
                taken: KEY_COLUMNS.join(", "),
            });
        }
        let name = key.folder_name();
        let mut channels = lock(&self.channels);
        if let Some(channel) = channels.open.get(&name) {
            return channel.matching(name, &kind);
        }
        let folder = self.recorder.folder().join(&name);
        let description = ChannelDescription {
            format: FORMAT,
            order: channels.next,
            kind: kind.label(),
            phase: key.phase.clone(),
            node: key.node.clone(),
            role: key.role.clone(),
            field: key.field.clone(),
            dtype: kind.dtype().to_owned(),
            shape: kind.shape(),
        };
        let mut files = ChannelFiles::new(folder.clone(), &key.field, kind.clone());
        match channels.left.get(&name) {
            Some(left) => {
                description.check_same(&left.description, &name)?;
                files.continue_after(left);
            }
            None => {
                fs::create_dir_all(&folder).context("create", &folder)?;
                write_description(&folder.join(CHANNEL_FILE), &description)?;
                channels.next += 1;
            }
        }
        let number = self.recorder.writer().add_channel(&folder, files);
        let channel = Channel::new(Arc::clone(&self.recorder), number, kind);
        channels.open.insert(name, channel.clone());
        Ok(channel)
    }

    /// Open a group of series that are logged together.
    pub fn metrics(&self, series: Vec<Series>) -> Result<MetricGroup> {
        self.recorder.check()?;
        let length = series.len();
        let number = self.recorder.writer().add_metrics(series);
        Ok(MetricGroup::new(Arc::clone(&self.recorder), number, length))
    }

    /// Wait until everything recorded so far is on file; returns the watermark.
    pub fn sync(&self) -> Result<u64> {
        self.recorder.check()?;
        self.recorder.drain_all()
    }

    /// Wait until everything recorded so far is on disk, where it survives a loss of power; returns the watermark.
    pub fn sync_to_disk(&self) -> Result<u64> {
        self.recorder.check()?;
        self.recorder.drain_to_disk()
    }

    /// Everything up to this number survives a loss of power.
    pub fn durable(&self) -> Result<u64> {
        self.recorder.check_process()?;
        Ok(self.recorder.writer().durable())
    }

    /// What was counted so far.
    pub fn statistics(&self) -> Result<Statistics> {
        self.recorder.statistics()
    }

    /// Write what is staged, close every file and stop the thread. Does nothing a second time or in a forked child.
    pub fn close(&self) -> Result<()> {
        if self.recorder.check_process().is_err() {
            return Ok(());
        }
        let Some(running) = lock(&self.running).take() else {
            return Ok(());
        };
        self.recorder.stop();
        // A panic of the drainer shows as records that the drain below still writes.
        let _ = running.drainer.join();
        self.recorder.drain_all()?;
        self.recorder.writer().finish()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.recorder.check_process().is_err() {
            // The thread and the lock belong to the parent.
            std::mem::forget(
                self.running
                    .get_mut()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take(),
            );
        } else if let Err(error) = self.close() {
            // Nobody is left to tell: readers see the watermark of the last good write.
            drop(error);
        }
    }
}
