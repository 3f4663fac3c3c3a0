//! Hot memory between the recording threads and the files: one run-wide log of records, in blocks.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::block::{Block, Entry, Key, Payload, Target};
use crate::error::{Result, StoreError};
use crate::slot::Pages;

const BLOCK_BYTES: usize = 512 << 10;
const SMALLEST_BLOCK_BYTES: usize = 16 << 10;
/// An entry counts its bytes in 32 bits.
const MOST_SLOT_BYTES: usize = u32::MAX as usize;
/// A slot takes pages that are left over if they are not much too large.
const SLACK_BYTES: usize = 64 << 10;
/// Full blocks that wake the drainer before its interval is over: few commits, and still in the cache.
const WAKE_BLOCKS: usize = 2;
/// Blocks that are used while the drainer makes progress: more of them would be colder than waiting is long.
const HOT_BLOCKS: usize = 16;
/// Most blocks that are written before they are filled again: they should not leave the cache.
const ROUND_BLOCKS: usize = 4;

struct State {
    // The block being filled and the full ones are taken under one lock: else the order could turn round.
    current: Option<Block>,
    full: VecDeque<Block>,
    pool: Vec<Block>,
    blocks: usize,
    // Slots that are written and wait to be used again, and the bytes of those that are not.
    slots: Vec<Block>,
    slot_bytes: usize,
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
    bytes: usize,
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
                slots: Vec::new(),
                slot_bytes: 0,
                last_sequence,
                records: 0,
                bytes: 0,
                drainer_sleeps: false,
                refusal: None,
                stopping: false,
            }),
            wake: Condvar::new(),
            returned: Condvar::new(),
            bytes,
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
        payload: Payload,
    ) -> Result<Option<u64>> {
        let mut state = self.lock();
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone());
        }
        if !state
            .current
            .as_ref()
            .is_some_and(|block| block.fits(payload.bytes()))
            && !self.next_block(room, &mut state)
        {
            return Ok(None);
        }
        let sequence = state.last_sequence + 1;
        let Some(block) = &mut state.current else {
            return Ok(None);
        };
        block.append(Entry::new(target, key, rows, sequence), payload);
        state.last_sequence = sequence;
        state.records += 1;
        state.bytes += payload.bytes() as u64;
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

    /// Give a record its place in the order and pages for its bytes. None if too many bytes wait to be written.
    pub(crate) fn push_slot(
        &self,
        target: Target,
        key: Key,
        rows: u32,
        bytes: usize,
    ) -> Result<Option<(u64, Arc<Pages>)>> {
        let mut state = self.lock();
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone());
        }
        let too_large = || StoreError::Size {
            what: "the slot",
            found: bytes,
            expected: MOST_SLOT_BYTES,
        };
        if bytes > MOST_SLOT_BYTES {
            return Err(too_large());
        }
        if state.slot_bytes > 0 && state.slot_bytes + bytes > self.bytes {
            return Ok(None);
        }
        let mut block = match state.reusable_slot(bytes) {
            Some(block) => block,
            None => Block::of_slot(Pages::new(bytes).ok_or_else(too_large)?),
        };
        let begun = state.current.take_if(|block| !block.is_empty());
        state.full.extend(begun);
        let sequence = state.last_sequence + 1;
        block.begin_slot(Entry::new(target, key, rows, sequence), bytes);
        let Some(pages) = block.pages().map(Arc::clone) else {
            return Ok(None);
        };
        state.full.push_back(block);
        state.last_sequence = sequence;
        state.slot_bytes += bytes;
        Ok(Some((sequence, pages)))
    }

    /// Count a slot that was filled in, and wake the drainer.
    pub(crate) fn commit_slot(&self, pages: &Pages, bytes: usize) -> Result<()> {
        let mut state = self.lock();
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone());
        }
        if pages.finish(true) {
            state.records += 1;
            state.bytes += bytes as u64;
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Make a slot that was not committed a gap in the order.
    pub(crate) fn withdraw_slot(&self, pages: &Pages) {
        if pages.finish(false) {
            let _state = self.lock();
            self.wake.notify_one();
        }
    }

    /// Take the next blocks in order. The caller holds the writer, so that nobody can write later ones first.
    /// The answer is the number of the slot at which this ended because it is not filled in yet.
    pub(crate) fn take(&self, take: Take, blocks: &mut Vec<Block>) -> Option<u64> {
        let mut state = self.lock();
        let ready = state.ready(ROUND_BLOCKS);
        blocks.extend(state.full.drain(..ready));
        if take == Take::Everything && state.full.is_empty() {
            blocks.extend(state.current.take_if(|block| !block.is_empty()));
        }
        state.filling()
    }

    /// Take all that is left and the sequence number after it, for a record that does not go through a block. None if a
    /// slot before it is not filled in yet.
    pub(crate) fn take_and_number(
        &self,
        bytes: usize,
        blocks: &mut Vec<Block>,
    ) -> Result<Option<u64>> {
        let mut state = self.lock();
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone());
        }
        if state.ready(usize::MAX) < state.full.len() {
            return Ok(None);
        }
        blocks.extend(state.full.drain(..));
        blocks.extend(state.current.take_if(|block| !block.is_empty()));
        state.last_sequence += 1;
        state.records += 1;
        state.bytes += bytes as u64;
        Ok(Some(state.last_sequence))
    }

    /// The number of the last record that was accepted.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.lock().last_sequence
    }

    /// Return written blocks; the last one written is the first one to be filled again.
    pub(crate) fn give_back(&self, blocks: &mut Vec<Block>) {
        let mut state = self.lock();
        for mut block in blocks.drain(..) {
            if block.pages().is_some() {
                state.slot_bytes -= block.slot_bytes();
                state.slots.push(block);
            } else {
                block.clear();
                state.pool.push(block);
            }
        }
        drop(state);
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

    /// Wait until the bytes of a slot may fit, or this long.
    pub(crate) fn wait_for_slot(&self, bytes: usize, patience: Duration) {
        let full =
            |state: &mut State| state.slot_bytes > 0 && state.slot_bytes + bytes > self.bytes;
        drop(
            self.returned
                .wait_timeout_while(self.lock(), patience, full),
        );
    }

    /// Refuse every later record with this error; the first one stays.
    pub(crate) fn refuse(&self, error: StoreError) {
        self.lock().refusal.get_or_insert(error);
    }

    pub(crate) fn refusal(&self) -> Option<StoreError> {
        self.lock().refusal.clone()
    }

    /// Wait in the drainer until there is something to write, or this long. None when the store is closing.
    pub(crate) fn wait(&self, interval: Duration, idle: Option<Duration>) -> Option<Take> {
        let mut state = self.lock();
        loop {
            if state.stopping {
                return None;
            }
            if state.ready(self.wake_blocks) == self.wake_blocks {
                return Some(Take::Full);
            }
            let filling = state.filling().is_some();
            let empty = filling || state.full.is_empty() && state.is_unused();
            // Nothing behind a slot can be written before it is filled in, which wakes by itself.
            state.drainer_sleeps = empty && !filling;
            let patience = if empty { idle } else { Some(interval) };
            let Some(patience) = patience else {
                state = self
                    .wake
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (guard, timeout) = self
                .wake
                .wait_timeout(state, patience)
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

    /// End the drainer. Slots that are not filled in become gaps: nobody waits for them.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        for pages in state.full.iter().filter_map(Block::pages) {
            pages.finish(false);
        }
        drop(state);
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How many of the blocks at the front can be written, counted up to `most`.
    fn ready(&self, most: usize) -> usize {
        let blocks = self.full.iter().take(most);
        blocks.take_while(|block| block.is_ready()).count()
    }

    /// The number of the slot that comes next, if it is not filled in yet.
    fn filling(&self) -> Option<u64> {
        let next = self.full.front().filter(|block| !block.is_ready());
        next.and_then(Block::last_sequence)
    }

    fn is_unused(&self) -> bool {
        self.current.as_ref().is_none_or(Block::is_empty)
    }

    /// The smallest slot that nobody holds and that has room for so many bytes, but not for twice as many.
    fn reusable_slot(&mut self, bytes: usize) -> Option<Block> {
        let sizes = bytes..=SLACK_BYTES.max(2 * bytes);
        let slots = self.slots.iter_mut().enumerate();
        let free = slots.filter_map(|(place, block)| Some((block.free_bytes()?, place)));
        let (_, place) = free.filter(|(size, _)| sizes.contains(size)).min()?;
        Some(self.slots.swap_remove(place))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const KEY: Key = Key {
        epoch: 0,
        batch: 0,
        step: 0,
        time: None,
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
            let pushed = staging.push(Room::Hot, Target::Channel(0), KEY, 1, Payload::of(&[&data]));
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
                .push(Room::Hot, Target::Channel(0), KEY, 1, Payload::of(&[&data]))
                .unwrap(),
            Some(5)
        );
    }

    #[test]
    fn memory_that_is_not_hot_is_only_taken_on_demand() {
        let staging = Staging::new(64 << 20, 0);
        let data = vec![7; staging.largest()];
        let count = |room| {
            let push = || staging.push(room, Target::Channel(0), KEY, 1, Payload::of(&[&data]));
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
            .push(Room::Hot, Target::Metrics(0), KEY, 1, Payload::of(&[]))
            .unwrap_err();
        assert!(error.to_string().contains("first"));
    }

    #[test]
    fn a_record_without_bytes_takes_its_place_in_the_order() {
        let staging = Staging::new(1 << 20, 0);
        for expected in 1..=3 {
            assert_eq!(
                staging
                    .push(Room::Hot, Target::Channel(1), KEY, 0, Payload::of(&[]))
                    .unwrap(),
                Some(expected)
            );
        }
    }
}
