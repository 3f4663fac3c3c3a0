//! Hot memory between the recording threads and the files: one run-wide log of records, in blocks.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{Result, StoreError};

const BLOCK_BYTES: usize = 512 << 10;
const SMALLEST_BLOCK_BYTES: usize = 16 << 10;
const BLOCK_RECORDS: usize = 4096;
/// Full blocks that wake the drainer before its interval is over: few commits, and still in the cache.
const WAKE_BLOCKS: usize = 2;
/// Blocks that are used while the drainer makes progress: more of them would be colder than waiting is long.
const HOT_BLOCKS: usize = 16;
/// Most blocks that are written before they are filled again: they should not leave the cache.
const ROUND_BLOCKS: usize = 4;

/// Whose record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Tensor(u32),
    Metrics(u32),
}

/// Where a record belongs in the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) epoch: i32,
    pub(crate) batch: i32,
    pub(crate) step: i64,
}

impl Key {
    /// The key of tensors, whose channels hold no steps.
    pub(crate) fn of_batch(epoch: i32, batch: i32) -> Self {
        Self {
            epoch,
            batch,
            step: 0,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) target: Target,
    pub(crate) key: Key,
    pub(crate) sequence: u64,
    pub(crate) time: i64,
    pub(crate) rows: u32,
    pub(crate) crc: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

pub(crate) struct Block {
    bytes: Box<[u8]>,
    used: usize,
    entries: Vec<Entry>,
}

impl Block {
    fn new(size: usize) -> Self {
        Self {
            bytes: vec![0; size].into_boxed_slice(),
            used: 0,
            entries: Vec::with_capacity(BLOCK_RECORDS),
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn data(&self, entry: &Entry) -> &[u8] {
        self.bytes(entry.start..entry.end)
    }

    pub(crate) fn bytes(&self, range: Range<u32>) -> &[u8] {
        &self.bytes[range.start as usize..range.end as usize]
    }

    fn fits(&self, bytes: usize) -> bool {
        self.used + bytes <= self.bytes.len() && self.entries.len() < BLOCK_RECORDS
    }
}

struct State {
    // The block being filled and the full ones are taken under one lock: else the order could turn round.
    current: Option<Block>,
    full: VecDeque<Block>,
    pool: Vec<Block>,
    blocks: usize,
    last_sequence: u64,
    records: u64,
    bytes: u64,
    drainer_sleeps: bool,
    refusal: Option<StoreError>,
    stopping: bool,
}

pub(crate) struct Staging {
    state: Mutex<State>,
    wake: Condvar,
    returned: Condvar,
    block_bytes: usize,
    most_blocks: usize,
    wake_blocks: usize,
}

/// What a round of the drainer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    Full,
    Everything,
}

/// How much memory a record may find in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// What stays in the cache.
    Hot,
    /// All that the store was given.
    All,
}

impl Staging {
    /// Memory for records that are numbered from the one after `last_sequence`.
    pub(crate) fn new(bytes: usize, last_sequence: u64) -> Self {
        let block_bytes = (bytes / 4).clamp(SMALLEST_BLOCK_BYTES, BLOCK_BYTES);
        let most_blocks = (bytes / block_bytes).max(2);
        Self {
            state: Mutex::new(State {
                current: None,
                full: VecDeque::new(),
                pool: Vec::new(),
                blocks: 0,
                last_sequence,
                records: 0,
                bytes: 0,
                drainer_sleeps: false,
                refusal: None,
                stopping: false,
            }),
            wake: Condvar::new(),
            returned: Condvar::new(),
            block_bytes,
            most_blocks,
            wake_blocks: WAKE_BLOCKS.min(most_blocks - 1),
        }
    }

    /// The largest record that goes through a block.
    pub(crate) fn largest(&self) -> usize {
        self.block_bytes
    }

    /// Copy a record into the current block. None if every block of this room is waiting to be written.
    pub(crate) fn push(
        &self,
        room: Room,
        target: Target,
        key: Key,
        rows: u32,
        data: &[u8],
    ) -> Result<Option<u64>> {
        let mut state = self.lock();
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone());
        }
        if !state
            .current
            .as_ref()
            .is_some_and(|block| block.fits(data.len()))
            && !self.next_block(room, &mut state)
        {
            return Ok(None);
        }
        let sequence = state.last_sequence + 1;
        let Some(block) = &mut state.current else {
            return Ok(None);
        };
        let start = block.used;
        let end = start + data.len();
        let copy = &mut block.bytes[start..end];
        copy.copy_from_slice(data);
        block.used = end;
        block.entries.push(Entry {
            target,
            key,
            sequence,
            time: now(),
            rows,
            crc: crc32fast::hash(copy),
            start: start as u32,
            end: end as u32,
        });
        state.last_sequence = sequence;
        state.records += 1;
        state.bytes += data.len() as u64;
        if state.drainer_sleeps {
            state.drainer_sleeps = false;
            self.wake.notify_one();
        }
        Ok(Some(sequence))
    }

    fn next_block(&self, room: Room, state: &mut State) -> bool {
        let most = match room {
            Room::Hot => self.most_blocks.min(HOT_BLOCKS),
            Room::All => self.most_blocks,
        };
        let block = match state.pool.pop() {
            Some(block) => block,
            None if state.blocks < most => {
                state.blocks += 1;
                Block::new(self.block_bytes)
            }
            None => return false,
        };
        if let Some(full) = state.current.replace(block) {
            state.full.push_back(full);
            if state.full.len() == self.wake_blocks {
                self.wake.notify_one();
            }
        }
        true
    }

    /// Take the next blocks in order. The caller holds the writer, so that nobody can write later ones first.
    pub(crate) fn take(&self, take: Take, blocks: &mut Vec<Block>) {
        let mut state = self.lock();
        let full = state.full.len();
        blocks.extend(state.full.drain(..full.min(ROUND_BLOCKS)));
        if take == Take::Everything && full <= ROUND_BLOCKS {
            blocks.extend(state.current.take_if(|block| !block.entries.is_empty()));
        }
    }

    /// Take all that is left and the sequence number after it, for a record that does not go through a block.
    pub(crate) fn take_and_number(&self, bytes: usize, blocks: &mut Vec<Block>) -> Result<u64> {
        let mut state = self.lock();
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone());
        }
        blocks.extend(state.full.drain(..));
        blocks.extend(state.current.take_if(|block| !block.entries.is_empty()));
        state.last_sequence += 1;
        state.records += 1;
        state.bytes += bytes as u64;
        Ok(state.last_sequence)
    }

    /// The number of the last record that was accepted.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.lock().last_sequence
    }

    /// Return written blocks; the last one written is the first one to be filled again.
    pub(crate) fn give_back(&self, blocks: &mut Vec<Block>) {
        for block in blocks.iter_mut() {
            block.used = 0;
            block.entries.clear();
        }
        self.lock().pool.append(blocks);
        self.returned.notify_all();
    }

    /// Wait until a block has been returned. False if none was after this long.
    pub(crate) fn wait_for_block(&self, patience: Duration) -> bool {
        let (state, _) = self
            .returned
            .wait_timeout_while(self.lock(), patience, |state| state.pool.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        !state.pool.is_empty()
    }

    /// Refuse every later record with this error; the first one stays.
    pub(crate) fn refuse(&self, error: StoreError) {
        self.lock().refusal.get_or_insert(error);
    }

    pub(crate) fn refusal(&self) -> Option<StoreError> {
        self.lock().refusal.clone()
    }

    /// Wait in the drainer until there is something to write. None when the store is closing.
    pub(crate) fn wait(&self, interval: Duration) -> Option<Take> {
        let mut state = self.lock();
        loop {
            if state.stopping {
                return None;
            }
            if state.full.len() >= self.wake_blocks {
                return Some(Take::Full);
            }
            let empty = state.full.is_empty()
                && state
                    .current
                    .as_ref()
                    .is_none_or(|block| block.entries.is_empty());
            if empty {
                state.drainer_sleeps = true;
                state = self
                    .wake
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (guard, timeout) = self
                .wake
                .wait_timeout(state, interval)
                .unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if timeout.timed_out() {
                return Some(Take::Everything);
            }
        }
    }

    /// Records and bytes that were accepted.
    pub(crate) fn accepted(&self) -> (u64, u64) {
        let state = self.lock();
        (state.records, state.bytes)
    }

    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nanoseconds since 1970, UTC.
pub(crate) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_nanos() as i64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const KEY: Key = Key {
        epoch: 0,
        batch: 0,
        step: 0,
    };

    fn sequences(blocks: &[Block]) -> Vec<u64> {
        blocks
            .iter()
            .flat_map(|block| block.entries().iter().map(|entry| entry.sequence))
            .collect()
    }

    #[test]
    fn blocks_are_taken_in_order_and_run_out() {
        let staging = Staging::new(1, 0);
        let data = vec![7; staging.largest() / 2];
        let accepted = (0..10).take_while(|_| {
            let pushed = staging.push(Room::Hot, Target::Tensor(0), KEY, 1, &data);
            pushed.unwrap().is_some()
        });
        assert_eq!(accepted.count(), 4);
        let mut blocks = Vec::new();
        staging.take(Take::Full, &mut blocks);
        assert_eq!(sequences(&blocks), [1, 2]);
        staging.take(Take::Everything, &mut blocks);
        assert_eq!(sequences(&blocks), [1, 2, 3, 4]);
        assert_eq!(blocks[1].data(&blocks[1].entries()[1]), data);
        staging.give_back(&mut blocks);
        assert_eq!(
            staging
                .push(Room::Hot, Target::Tensor(0), KEY, 1, &data)
                .unwrap(),
            Some(5)
        );
    }

    #[test]
    fn memory_that_is_not_hot_is_only_taken_on_demand() {
        let staging = Staging::new(64 << 20, 0);
        let data = vec![7; staging.largest()];
        let count = |room| {
            let push = || staging.push(room, Target::Tensor(0), KEY, 1, &data);
            std::iter::from_fn(|| push().unwrap()).count()
        };
        assert_eq!(count(Room::Hot), HOT_BLOCKS);
        assert_eq!(count(Room::All), staging.most_blocks - HOT_BLOCKS);
    }

    #[test]
    fn the_first_refusal_stays() {
        let staging = Staging::new(1, 0);
        for path in ["first", "second"] {
            staging.refuse(StoreError::Missing { path: path.into() });
        }
        let error = staging
            .push(Room::Hot, Target::Metrics(0), KEY, 1, &[])
            .unwrap_err();
        assert!(error.to_string().contains("first"));
    }

    #[test]
    fn a_record_without_bytes_takes_its_place_in_the_order() {
        let staging = Staging::new(1 << 20, 0);
        for expected in 1..=3 {
            assert_eq!(
                staging
                    .push(Room::Hot, Target::Tensor(1), KEY, 0, &[])
                    .unwrap(),
                Some(expected)
            );
        }
    }
}
