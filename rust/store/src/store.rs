use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::{IoContext, Result, StoreError};
use crate::folder::{
    CHANNEL_FILE, ChannelDescription, ChannelKey, METRICS_FOLDER, STORE_FILE, StoreDescription,
    write_description,
};
use crate::lock::{Lock, fork_generation};
use crate::metric_files::Series;
use crate::staging::{Entry, Key, Staging, Take, Target, now};
use crate::superblock::FORMAT;
use crate::tensor_files::TensorFiles;
use crate::value_type::{ValueType, row_bytes};
use crate::writer::Writer;

/// How a store is created.
#[derive(Clone, Debug)]
pub struct Options {
    /// Id of the run, copied into exports.
    pub run_id: String,
    /// Number of the session, copied into exports.
    pub session: u32,
    /// Most memory for records that are not on file yet.
    pub staging_bytes: usize,
    /// Longest time that a record waits there.
    pub flush_interval: Duration,
}

/// Counters of a store.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statistics {
    /// Records that were accepted.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Calls that waited because the staging memory was full.
    pub stalls: u64,
    /// Time that they waited.
    pub stall_nanoseconds: u64,
    /// Rounds in which staged records were written.
    pub drains: u64,
    /// Chunk and index files that were created.
    pub chunks: u64,
    /// Accepted records that were lost to a failed write.
    pub dropped: u64,
}

/// The one writer of a run's records.
pub struct Store {
    shared: Arc<Shared>,
    channels: Mutex<HashMap<String, TensorChannel>>,
    running: Mutex<Option<Running>>,
}

struct Running {
    drainer: JoinHandle<()>,
    _lock: Lock,
}

struct Shared {
    folder: PathBuf,
    staging: Staging,
    // Locked before the staging's own lock, never the other way round.
    writer: Mutex<Writer>,
    generation: u64,
    owner: u32,
    stalls: AtomicU64,
    stall_nanoseconds: AtomicU64,
    drains: AtomicU64,
    dropped: AtomicU64,
}

impl Store {
    /// Create the folder and start the drainer thread.
    pub fn create(folder: &Path, options: &Options) -> Result<Self> {
        fs::create_dir_all(folder).context("create", folder)?;
        let lock = Lock::acquire(folder)?;
        let description = folder.join(STORE_FILE);
        if description.exists() {
            return Err(StoreError::Exists {
                path: folder.to_path_buf(),
            });
        }
        let metrics = folder.join(METRICS_FOLDER);
        fs::create_dir_all(&metrics).context("create", &metrics)?;
        let shared = Arc::new(Shared {
            folder: folder.to_path_buf(),
            staging: Staging::new(options.staging_bytes),
            writer: Mutex::new(Writer::create(folder)?),
            generation: fork_generation(),
            owner: std::process::id(),
            stalls: AtomicU64::new(0),
            stall_nanoseconds: AtomicU64::new(0),
            drains: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        write_description(&description, &describe(options))?;
        let interval = options.flush_interval;
        let drained = Arc::clone(&shared);
        let drainer = thread::Builder::new()
            .name("specplan-drainer".to_owned())
            .spawn(move || drained.run(interval))
            .context("start the drainer of", folder)?;
        Ok(Self {
            shared,
            channels: Mutex::new(HashMap::new()),
            running: Mutex::new(Some(Running {
                drainer,
                _lock: lock,
            })),
        })
    }

    /// Open the channel of one recorded value; the same channel if it is open already.
    pub fn tensor(
        &self,
        key: &ChannelKey,
        value_type: ValueType,
        shape: &[usize],
    ) -> Result<TensorChannel> {
        self.shared.check()?;
        let row_bytes = row_bytes(value_type, shape)?;
        let name = key.folder_name();
        let mut channels = lock(&self.channels);
        if let Some(channel) = channels.get(&name) {
            return channel.matching(name, value_type, shape);
        }
        let folder = self.shared.folder.join(&name);
        fs::create_dir_all(&folder).context("create", &folder)?;
        let description = ChannelDescription {
            format: FORMAT,
            order: channels.len() as u32,
            phase: key.phase.clone(),
            node: key.node.clone(),
            role: key.role.clone(),
            field: key.field.clone(),
            dtype: value_type.name().to_owned(),
            shape: shape.to_vec(),
        };
        write_description(&folder.join(CHANNEL_FILE), &description)?;
        let files = TensorFiles::new(folder, &key.field, value_type, shape);
        let number = lock(&self.shared.writer).add_tensor(files);
        let channel = TensorChannel {
            shared: Arc::clone(&self.shared),
            target: Target::Tensor(number),
            value_type,
            shape: shape.into(),
            row_bytes,
        };
        channels.insert(name, channel.clone());
        Ok(channel)
    }

    /// Open a group of series that are logged together.
    pub fn metrics(&self, series: Vec<Series>) -> Result<MetricGroup> {
        self.shared.check()?;
        Ok(MetricGroup {
            shared: Arc::clone(&self.shared),
            length: series.len(),
            target: Target::Metrics(lock(&self.shared.writer).add_metrics(series)),
        })
    }

    /// Wait until everything recorded so far is on file; returns the watermark.
    pub fn sync(&self) -> Result<u64> {
        self.shared.check()?;
        self.shared.drain_all()
    }

    /// What was counted so far.
    pub fn statistics(&self) -> Result<Statistics> {
        self.shared.check_process()?;
        let (records, bytes) = self.shared.staging.accepted();
        Ok(Statistics {
            records,
            bytes,
            stalls: self.shared.stalls.load(Ordering::Relaxed),
            stall_nanoseconds: self.shared.stall_nanoseconds.load(Ordering::Relaxed),
            drains: self.shared.drains.load(Ordering::Relaxed),
            chunks: lock(&self.shared.writer).chunks(),
            dropped: self.shared.dropped.load(Ordering::Relaxed),
        })
    }

    /// Write what is staged, close every file and stop the thread. Does nothing a second time or in a forked child.
    pub fn close(&self) -> Result<()> {
        if self.shared.check_process().is_err() {
            return Ok(());
        }
        let Some(running) = lock(&self.running).take() else {
            return Ok(());
        };
        let shared = &self.shared;
        shared.staging.refuse(StoreError::Closed {
            path: shared.folder.clone(),
        });
        shared.staging.stop();
        // A panic of the drainer shows as records that the drain below still writes.
        let _ = running.drainer.join();
        shared.drain_all()?;
        lock(&shared.writer).finish()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.shared.check_process().is_err() {
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

impl Shared {
    fn run(&self, interval: Duration) {
        while let Some(take) = self.staging.wait(interval) {
            // A failure is kept by the staging and raised by the next call of the user.
            let _ = self.drain(take);
        }
    }

    /// Write some of the staged records; any thread may help. Returns the watermark.
    fn drain(&self, take: Take) -> Result<u64> {
        let mut guard = lock(&self.writer);
        let writer = &mut *guard;
        let mut blocks = std::mem::take(&mut writer.blocks);
        self.staging.take(take, &mut blocks);
        let written = self.write(writer, &mut blocks);
        writer.blocks = blocks;
        written?;
        Ok(writer.sequence())
    }

    /// Write all records that are staged now. Returns the watermark.
    fn drain_all(&self) -> Result<u64> {
        let last = self.staging.last_sequence();
        loop {
            let watermark = self.drain(Take::Everything)?;
            if watermark >= last {
                return Ok(watermark);
            }
        }
    }

    fn write(
        &self,
        writer: &mut Writer,
        blocks: &mut Vec<Box<crate::staging::Block>>,
    ) -> Result<()> {
        if blocks.is_empty() {
            return writer.failure().cloned().map_or(Ok(()), Err);
        }
        self.drains.fetch_add(1, Ordering::Relaxed);
        let written = writer.write_blocks(blocks);
        if let Err(error) = &written {
            let lost: usize = blocks.iter().map(|block| block.entries().len()).sum();
            self.dropped.fetch_add(lost as u64, Ordering::Relaxed);
            self.staging.refuse(error.clone());
        }
        self.staging.give_back(blocks);
        written
    }

    fn try_record(&self, target: Target, key: Key, rows: u32, data: &[u8]) -> Result<Option<u64>> {
        self.check_process()?;
        if data.len() > self.staging.largest() {
            return Ok(None);
        }
        self.staging.push(target, key, rows, data)
    }

    fn record(&self, target: Target, key: Key, rows: u32, data: &[u8]) -> Result<u64> {
        self.check_process()?;
        if data.len() > self.staging.largest() {
            return self.record_through(target, key, rows, data);
        }
        if let Some(sequence) = self.staging.push(target, key, rows, data)? {
            return Ok(sequence);
        }
        let start = Instant::now();
        let sequence = loop {
            self.drain(Take::Full)?;
            if let Some(sequence) = self.staging.push(target, key, rows, data)? {
                break sequence;
            }
        };
        self.stalls.fetch_add(1, Ordering::Relaxed);
        self.stall_nanoseconds
            .fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        Ok(sequence)
    }

    /// Write a record that is larger than a block from the caller's memory, behind everything staged before it.
    fn record_through(&self, target: Target, key: Key, rows: u32, data: &[u8]) -> Result<u64> {
        self.drain_all()?;
        let mut guard = lock(&self.writer);
        let writer = &mut *guard;
        let mut blocks = std::mem::take(&mut writer.blocks);
        let numbered = self.staging.take_and_number(data.len(), &mut blocks);
        let written = self.write(writer, &mut blocks);
        writer.blocks = blocks;
        let sequence = numbered?;
        let entry = Entry {
            target,
            key,
            sequence,
            time: now(),
            rows,
            crc: 0,
            start: 0,
            end: 0,
        };
        written
            .and_then(|()| writer.write_one(entry, data))
            .inspect_err(|error| {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                self.staging.refuse(error.clone());
            })?;
        Ok(sequence)
    }

    fn check(&self) -> Result<()> {
        self.check_process()?;
        self.staging.refusal().map_or(Ok(()), Err)
    }

    fn check_process(&self) -> Result<()> {
        if self.generation == fork_generation() {
            return Ok(());
        }
        Err(StoreError::Forked {
            path: self.folder.clone(),
            owner: self.owner,
        })
    }
}

/// A growing column of equal-shaped rows.
#[derive(Clone)]
pub struct TensorChannel {
    shared: Arc<Shared>,
    target: Target,
    value_type: ValueType,
    shape: Arc<[usize]>,
    row_bytes: usize,
}

impl TensorChannel {
    /// Type of the recorded numbers.
    pub fn value_type(&self) -> ValueType {
        self.value_type
    }

    /// Shape of one row.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Copy a batch into staging memory. None if that is full or too small: then `record` waits or writes.
    pub fn try_record(
        &self,
        data: &[u8],
        rows: usize,
        epoch: i32,
        batch: i32,
    ) -> Result<Option<u64>> {
        let rows = self.check(data, rows)?;
        self.shared.try_record(
            self.target,
            Key {
                epoch,
                batch,
                step: 0,
            },
            rows,
            data,
        )
    }

    /// Record a batch, waiting if need be; returns its run-wide sequence number.
    pub fn record(&self, data: &[u8], rows: usize, epoch: i32, batch: i32) -> Result<u64> {
        let rows = self.check(data, rows)?;
        self.shared.record(
            self.target,
            Key {
                epoch,
                batch,
                step: 0,
            },
            rows,
            data,
        )
    }

    fn check(&self, data: &[u8], rows: usize) -> Result<u32> {
        match i32::try_from(rows) {
            Ok(count) if data.len() == rows * self.row_bytes => Ok(count as u32),
            _ => Err(StoreError::Size {
                what: "the batch",
                found: data.len(),
                expected: rows.saturating_mul(self.row_bytes),
            }),
        }
    }

    fn matching(&self, channel: String, value_type: ValueType, shape: &[usize]) -> Result<Self> {
        if self.value_type == value_type && *self.shape == *shape {
            return Ok(self.clone());
        }
        let describe =
            |value_type: ValueType, shape: &[usize]| format!("{} {shape:?}", value_type.name());
        Err(StoreError::ChannelMismatch {
            channel,
            existing: describe(self.value_type, &self.shape),
            requested: describe(value_type, shape),
        })
    }
}

/// Series that are logged together.
#[derive(Clone)]
pub struct MetricGroup {
    shared: Arc<Shared>,
    target: Target,
    length: usize,
}

impl MetricGroup {
    /// Number of series.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Log one value (eight little-endian bytes) for each series. None if the staging memory is full.
    pub fn try_log(&self, values: &[u8], epoch: i32, batch: i32, step: i64) -> Result<Option<u64>> {
        self.check(values)?;
        self.shared.try_record(
            self.target,
            Key { epoch, batch, step },
            self.length as u32,
            values,
        )
    }

    /// Log one value for each series, waiting if need be; returns the sequence number.
    pub fn log(&self, values: &[u8], epoch: i32, batch: i32, step: i64) -> Result<u64> {
        self.check(values)?;
        self.shared.record(
            self.target,
            Key { epoch, batch, step },
            self.length as u32,
            values,
        )
    }

    fn check(&self, values: &[u8]) -> Result<()> {
        if values.len() == self.length * size_of::<f64>() {
            return Ok(());
        }
        Err(StoreError::Size {
            what: "the buffer of values",
            found: values.len(),
            expected: self.length * size_of::<f64>(),
        })
    }
}

fn describe(options: &Options) -> StoreDescription {
    // Host and boot are for people who look at a crashed store: it is complete without them.
    let kernel = |name: &str| {
        let text = fs::read_to_string(Path::new("/proc/sys/kernel").join(name)).unwrap_or_default();
        text.trim().to_owned()
    };
    StoreDescription {
        format: FORMAT,
        run_id: options.run_id.clone(),
        session: options.session,
        created: now(),
        process: std::process::id(),
        host: kernel("hostname"),
        boot_id: kernel("random/boot_id"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
