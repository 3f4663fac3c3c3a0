//! A record whose bytes come later: it has its place in the order, and memory at an address that stays.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::block::Payload;
use crate::error::Result;
use crate::recorder::Recorder;

/// Memory that is registered with a device is counted in pages.
const PAGE: usize = 4096;

const FILLING: u8 = 0;
const READY: u8 = 1;
const WITHDRAWN: u8 = 2;

/// Zeroed pages, and whether their owner is done with them.
pub(crate) struct Pages {
    start: NonNull<u8>,
    layout: Layout,
    state: AtomicU8,
}

// SAFETY: the memory is owned. Whoever holds the slot writes it while the state is FILLING and nobody else touches it
// then; it is read by the drainer after the state was set to READY, which the owner of the slot does as his last act.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Pages {
    /// None if there can be no memory of that size.
    pub(crate) fn new(bytes: usize) -> Option<Self> {
        let size = bytes.max(1).checked_next_multiple_of(PAGE)?;
        let layout = Layout::from_size_align(size, PAGE).ok()?;
        // SAFETY: the size is at least one page.
        let start = unsafe { alloc_zeroed(layout) };
        Some(Self {
            start: NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout)),
            layout,
            state: AtomicU8::new(FILLING),
        })
    }

    pub(crate) fn capacity(&self) -> usize {
        self.layout.size()
    }

    /// Make pages that nobody else holds ready to be filled again.
    pub(crate) fn reset(&mut self) {
        *self.state.get_mut() = FILLING;
    }

    pub(crate) fn is_filling(&self) -> bool {
        self.state.load(Ordering::Acquire) == FILLING
    }

    pub(crate) fn is_withdrawn(&self) -> bool {
        self.state.load(Ordering::Acquire) == WITHDRAWN
    }

    /// What was filled in; nothing before that is done.
    pub(crate) fn filled(&self, bytes: usize) -> &[u8] {
        if self.state.load(Ordering::Acquire) != READY {
            return &[];
        }
        // SAFETY: the pages are this long at least, and the owner of the slot is done with them.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), bytes.min(self.capacity())) }
    }

    /// Fill pages whose slot nobody else was given.
    pub(crate) fn fill(&self, payload: Payload) {
        let start = self.start.as_ptr();
        // SAFETY: the pages are this long, and before the commit only the slot's owner touches them.
        payload.copy_to(unsafe { std::slice::from_raw_parts_mut(start, self.capacity()) });
    }

    /// End the filling; false if it had ended before.
    pub(crate) fn finish(&self, ready: bool) -> bool {
        let state = if ready { READY } else { WITHDRAWN };
        self.state
            .compare_exchange(FILLING, state, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and nobody else holds it.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// The memory of a slot, which stays where it is for as long as this is held. Pages are used again for a later slot
/// when nobody holds them.
#[derive(Clone)]
pub struct SlotMemory {
    pages: Arc<Pages>,
    bytes: usize,
}

impl SlotMemory {
    /// Address of the first byte, at the start of a page. It may be written until the slot is committed or dropped.
    pub fn address(&self) -> *mut u8 {
        self.pages.start.as_ptr()
    }

    /// Bytes of the record.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes at the address: whole pages.
    pub fn capacity(&self) -> usize {
        self.pages.capacity()
    }
}

/// A record that has its sequence number and waits for its bytes. Dropped without a commit it is no record.
pub struct Slot {
    recorder: Arc<Recorder>,
    memory: SlotMemory,
    sequence: u64,
}

impl Slot {
    pub(crate) fn new(
        recorder: Arc<Recorder>,
        pages: Arc<Pages>,
        bytes: usize,
        sequence: u64,
    ) -> Self {
        Self {
            recorder,
            memory: SlotMemory { pages, bytes },
            sequence,
        }
    }

    /// Run-wide sequence number of the record.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// A handle on the memory, for those who fill it through its address.
    pub fn memory(&self) -> &SlotMemory {
        &self.memory
    }

    /// The bytes to fill in. What they hold before that is left over from an earlier record.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the pages are this long at least, and before the commit only the slot's owner touches them.
        unsafe { std::slice::from_raw_parts_mut(self.memory.address(), self.memory.bytes) }
    }

    /// Record what was filled in; returns the sequence number.
    pub fn commit(self) -> Result<u64> {
        self.recorder
            .commit_slot(&self.memory.pages, self.memory.bytes)?;
        Ok(self.sequence)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.recorder.withdraw_slot(&self.memory.pages);
    }
}
