//! Recording: copy into staging memory, and write what is staged. Shared by a store, its channels and its drainer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Result, StoreError};
use crate::lock::fork_generation;
use crate::staging::{Block, Entry, Key, Room, Staging, Take, Target, now};
use crate::writer::Writer;

/// How long a record waits for the drainer before it takes memory that is not in the cache.
const PATIENCE: Duration = Duration::from_millis(5);

pub(crate) struct Recorder {
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

impl Recorder {
    pub(crate) fn new(folder: &Path, staging_bytes: usize, writer: Writer) -> Self {
        Self {
            folder: folder.to_path_buf(),
            staging: Staging::new(staging_bytes, writer.sequence()),
            writer: Mutex::new(writer),
            generation: fork_generation(),
            owner: std::process::id(),
            stalls: AtomicU64::new(0),
            stall_nanoseconds: AtomicU64::new(0),
            drains: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer
            .lock()
            .unwrap_or_else(|poisoned| self.abandon(poisoned))
    }

    /// A thread that panicked while it wrote took its records along: nobody may write behind the gap.
    fn abandon<'a>(&self, poisoned: PoisonError<MutexGuard<'a, Writer>>) -> MutexGuard<'a, Writer> {
        let mut writer = poisoned.into_inner();
        let error = StoreError::Abandoned {
            path: self.folder.clone(),
        };
        writer.fail(error.clone());
        self.staging.refuse(error);
        writer
    }

    pub(crate) fn statistics(&self) -> Result<Statistics> {
        self.check_process()?;
        let (records, bytes) = self.staging.accepted();
        Ok(Statistics {
            records,
            bytes,
            stalls: self.stalls.load(Ordering::Relaxed),
            stall_nanoseconds: self.stall_nanoseconds.load(Ordering::Relaxed),
            drains: self.drains.load(Ordering::Relaxed),
            chunks: self.writer().chunks(),
            dropped: self.dropped.load(Ordering::Relaxed),
        })
    }

    /// Refuse every later record and end the drainer.
    pub(crate) fn stop(&self) {
        self.staging.refuse(StoreError::Closed {
            path: self.folder.clone(),
        });
        self.staging.stop();
    }

    pub(crate) fn run(&self, interval: Duration) {
        while let Some(take) = self.staging.wait(interval) {
            // A failure is kept by the staging and raised by the next call of the user.
            let drained = catch_unwind(AssertUnwindSafe(|| self.drain(take)));
            if drained.is_err() {
                // Taking the lock notes that it is poisoned: the user need not wait for a sync to hear of it.
                drop(self.writer());
            }
        }
    }

    /// Write some of the staged records; any thread may help. Returns the watermark.
    fn drain(&self, take: Take) -> Result<u64> {
        let mut guard = self.writer();
        let writer = &mut *guard;
        let mut blocks = std::mem::take(&mut writer.blocks);
        self.staging.take(take, &mut blocks);
        let written = self.write(writer, &mut blocks);
        writer.blocks = blocks;
        written?;
        Ok(writer.sequence())
    }

    /// Write all records that are staged now. Returns the watermark.
    pub(crate) fn drain_all(&self) -> Result<u64> {
        let last = self.staging.last_sequence();
        loop {
            let watermark = self.drain(Take::Everything)?;
            if watermark >= last {
                return Ok(watermark);
            }
        }
    }

    fn write(&self, writer: &mut Writer, blocks: &mut Vec<Block>) -> Result<()> {
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

    pub(crate) fn try_record(
        &self,
        target: Target,
        key: Key,
        rows: u32,
        data: &[u8],
    ) -> Result<Option<u64>> {
        self.check_process()?;
        if data.len() > self.staging.largest() {
            return Ok(None);
        }
        self.staging.push(Room::Hot, target, key, rows, data)
    }

    pub(crate) fn record(&self, target: Target, key: Key, rows: u32, data: &[u8]) -> Result<u64> {
        self.check_process()?;
        if data.len() > self.staging.largest() {
            return self.record_through(target, key, rows, data);
        }
        if let Some(sequence) = self.staging.push(Room::Hot, target, key, rows, data)? {
            return Ok(sequence);
        }
        let start = Instant::now();
        let sequence = loop {
            // Waiting beats helping: the drainer is awake, and its files are written by one thread at a time.
            let room = if self.staging.wait_for_block(PATIENCE) {
                Room::Hot
            } else {
                Room::All
            };
            if let Some(sequence) = self.staging.push(room, target, key, rows, data)? {
                break sequence;
            }
            if room == Room::All {
                self.drain(Take::Full)?;
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
        let mut guard = self.writer();
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

    pub(crate) fn check(&self) -> Result<()> {
        self.check_process()?;
        self.staging.refusal().map_or(Ok(()), Err)
    }

    pub(crate) fn check_process(&self) -> Result<()> {
        if self.generation == fork_generation() {
            return Ok(());
        }
        Err(StoreError::Forked {
            path: self.folder.clone(),
            owner: self.owner,
        })
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::watermark::Watermark;

    const KEY: Key = Key {
        epoch: 0,
        batch: 0,
        step: 0,
    };

    #[test]
    fn a_panic_in_the_middle_of_a_write_is_raised_and_hangs_nobody() {
        let folder = std::env::temp_dir().join(format!("specplan-panic-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let writer = Writer::create(&folder, Watermark::default()).unwrap();
        let recorder = Arc::new(Recorder::new(&folder, 1, writer));
        let target = Target::Metrics(0);
        assert_eq!(recorder.record(target, KEY, 0, &[]).unwrap(), 1);
        let writing = Arc::clone(&recorder);
        let panicked = thread::spawn(move || {
            let _writer = writing.writer();
            let mut taken = Vec::new();
            writing.staging.take(Take::Everything, &mut taken);
            panic!("in the middle of a write");
        });
        assert!(panicked.join().is_err());
        let error = recorder.drain_all().unwrap_err().to_string();
        assert!(error.starts_with("a thread panicked while it wrote `"));
        let later = recorder.record(target, KEY, 0, &[]).unwrap_err();
        assert_eq!(later.to_string(), error);
        let finished = recorder.writer().finish().unwrap_err();
        assert_eq!(finished.to_string(), error);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
