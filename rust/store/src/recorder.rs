//! Recording: copy into staging memory, and write what is staged. Shared by a store, its channels and its drainer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::block::{Block, Entry, Key, Payload, Target};
use crate::error::{Result, StoreError};
use crate::lock::fork_generation;
use crate::slot::Pages;
use crate::staging::{Room, Staging, Take};
use crate::writer::Writer;

/// How long a record waits for the drainer before it takes memory that is not in the cache.
const PATIENCE: Duration = Duration::from_millis(5);
/// How long a record waits for somebody to fill in a slot that stands before it in a full staging memory.
const SLOT_PATIENCE: Duration = Duration::from_secs(5);

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
        let writer = self.writer();
        Ok(Statistics {
            records,
            bytes,
            stalls: self.stalls.load(Ordering::Relaxed),
            stall_nanoseconds: self.stall_nanoseconds.load(Ordering::Relaxed),
            drains: self.drains.load(Ordering::Relaxed),
            chunks: writer.chunks(),
            dropped: writer.lost(),
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
        loop {
            let sync_wait = self.writer().sync_wait();
            let Some(take) = self.staging.wait(interval, sync_wait) else {
                return;
            };
            // A failure is kept by the staging and raised by the next call of the user.
            let drained = catch_unwind(AssertUnwindSafe(|| {
                self.drain(take).and_then(|_| self.sync_if_due())
            }));
            if drained.is_err() {
                // Taking the lock notes that it is poisoned: the user need not wait for a sync to hear of it.
                drop(self.writer());
            }
        }
    }

    fn sync_if_due(&self) -> Result<()> {
        let mut writer = self.writer();
        if writer.sync_is_due() {
            self.make_durable(&mut writer)?;
        }
        Ok(())
    }

    fn make_durable(&self, writer: &mut Writer) -> Result<()> {
        writer.make_durable().inspect_err(|error| {
            if writer.failure().is_some() {
                self.staging.refuse(error.clone());
            }
        })
    }

    /// Write some of the staged records; any thread may help. Returns the last number that was written or given up,
    /// and that of the slot at which it ended, if it did.
    fn drain(&self, take: Take) -> Result<(u64, Option<u64>)> {
        let mut guard = self.writer();
        let writer = &mut *guard;
        let mut blocks = std::mem::take(&mut writer.blocks);
        let filling = self.staging.take(take, &mut blocks);
        let written = self.write(writer, &mut blocks);
        writer.blocks = blocks;
        written?;
        Ok((writer.sequence(), filling))
    }

    /// Write all records that are staged now. Returns the watermark.
    pub(crate) fn drain_all(&self) -> Result<u64> {
        let last = self.staging.last_sequence();
        loop {
            let (written, filling) = self.drain(Take::Everything)?;
            if written >= last {
                return Ok(self.writer().published());
            }
            if let Some(sequence) = filling {
                return Err(self.uncommitted(sequence));
            }
        }
    }

    /// Write all records that are staged now, and put everything on disk. Returns the watermark.
    pub(crate) fn drain_to_disk(&self) -> Result<u64> {
        self.drain_all()?;
        let mut writer = self.writer();
        self.make_durable(&mut writer)?;
        Ok(writer.published())
    }

    fn uncommitted(&self, sequence: u64) -> StoreError {
        StoreError::Uncommitted {
            path: self.folder.clone(),
            sequence,
        }
    }

    fn write(&self, writer: &mut Writer, blocks: &mut Vec<Block>) -> Result<()> {
        if blocks.is_empty() {
            return writer.failure().cloned().map_or(Ok(()), Err);
        }
        self.drains.fetch_add(1, Ordering::Relaxed);
        blocks.iter_mut().for_each(Block::note_check);
        let written = writer.write_blocks(blocks);
        if let Err(error) = &written {
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
        payload: Payload,
    ) -> Result<Option<u64>> {
        self.check_process()?;
        if payload.bytes() > self.staging.largest() {
            return Ok(None);
        }
        self.staging.push(Room::Hot, target, key, rows, payload)
    }

    pub(crate) fn record(
        &self,
        target: Target,
        key: Key,
        rows: u32,
        payload: Payload,
    ) -> Result<u64> {
        self.check_process()?;
        if payload.bytes() > self.staging.largest() {
            return self.record_through(target, key, rows, payload);
        }
        if let Some(sequence) = self.staging.push(Room::Hot, target, key, rows, payload)? {
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
            if let Some(sequence) = self.staging.push(room, target, key, rows, payload)? {
                break sequence;
            }
            if room == Room::All {
                self.help(start)?;
            }
        };
        self.count_stall(start);
        Ok(sequence)
    }

    /// Write some records so that there is room again. A slot that is not filled in is waited for only so long.
    fn help(&self, start: Instant) -> Result<()> {
        let (_, filling) = self.drain(Take::Full)?;
        match filling {
            Some(sequence) if start.elapsed() > SLOT_PATIENCE => Err(self.uncommitted(sequence)),
            _ => Ok(()),
        }
    }

    fn count_stall(&self, start: Instant) {
        self.stalls.fetch_add(1, Ordering::Relaxed);
        self.stall_nanoseconds
            .fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }

    /// Write a record that is larger than a block from the caller's memory, behind everything staged before it.
    fn record_through(&self, target: Target, key: Key, rows: u32, payload: Payload) -> Result<u64> {
        match self.drain_all() {
            Err(StoreError::Uncommitted { .. }) => {
                return self.record_in_slot(target, key, rows, payload);
            }
            drained => drained?,
        };
        let mut guard = self.writer();
        let writer = &mut *guard;
        let mut blocks = std::mem::take(&mut writer.blocks);
        let numbered = self.staging.take_and_number(payload.bytes(), &mut blocks);
        let written = self.write(writer, &mut blocks);
        writer.blocks = blocks;
        let Some(sequence) = numbered? else {
            drop(guard);
            return self.record_in_slot(target, key, rows, payload);
        };
        written
            .and_then(|()| writer.write_one(Entry::new(target, key, rows, sequence), payload))
            .inspect_err(|error| self.staging.refuse(error.clone()))?;
        Ok(sequence)
    }

    /// Copy a record that is larger than a block, because a slot before it is not filled in yet.
    fn record_in_slot(&self, target: Target, key: Key, rows: u32, payload: Payload) -> Result<u64> {
        let (sequence, pages) = self.acquire(target, key, rows, payload.bytes())?;
        pages.fill(payload);
        self.commit_slot(&pages, payload.bytes())?;
        Ok(sequence)
    }

    pub(crate) fn try_acquire(
        &self,
        target: Target,
        key: Key,
        rows: u32,
        bytes: usize,
    ) -> Result<Option<(u64, Arc<Pages>)>> {
        self.check_process()?;
        self.staging.push_slot(target, key, rows, bytes)
    }

    /// Give a record its place and memory for its bytes, waiting if need be.
    pub(crate) fn acquire(
        &self,
        target: Target,
        key: Key,
        rows: u32,
        bytes: usize,
    ) -> Result<(u64, Arc<Pages>)> {
        let start = Instant::now();
        loop {
            if let Some(acquired) = self.try_acquire(target, key, rows, bytes)? {
                if start.elapsed() > PATIENCE {
                    self.count_stall(start);
                }
                return Ok(acquired);
            }
            self.staging.wait_for_slot(bytes, PATIENCE);
            self.help(start)?;
        }
    }

    pub(crate) fn commit_slot(&self, pages: &Pages, bytes: usize) -> Result<()> {
        self.check_process()?;
        self.staging.commit_slot(pages, bytes)
    }

    pub(crate) fn withdraw_slot(&self, pages: &Pages) {
        // In a forked child the lock may be held for ever; the slot is the parent's.
        if self.check_process().is_ok() {
            self.staging.withdraw_slot(pages);
        }
    }

    /// The number of the last record that was accepted.
    pub(crate) fn last_sequence(&self) -> Result<u64> {
        self.check()?;
        Ok(self.staging.last_sequence())
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

    use std::thread;

    use super::*;
    use crate::policy::Policy;
    use crate::watermark::Watermark;

    const KEY: Key = Key {
        epoch: 0,
        batch: 0,
        step: 0,
        time: None,
    };

    #[test]
    fn a_panic_in_the_middle_of_a_write_is_raised_and_hangs_nobody() {
        let folder = std::env::temp_dir().join(format!("specplan-panic-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let writer = Writer::create(&folder, Watermark::default(), Policy::default()).unwrap();
        let recorder = Arc::new(Recorder::new(&folder, 1, writer));
        let target = Target::Metrics(0);
        assert_eq!(
            recorder.record(target, KEY, 0, Payload::of(&[])).unwrap(),
            1
        );
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
        let later = recorder
            .record(target, KEY, 0, Payload::of(&[]))
            .unwrap_err();
        assert_eq!(later.to_string(), error);
        let finished = recorder.writer().finish().unwrap_err();
        assert_eq!(finished.to_string(), error);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
