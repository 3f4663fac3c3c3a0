//! Blocks of records on their way to the files.

use std::ops::Range;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::slot::Pages;

const BLOCK_RECORDS: usize = 4096;

/// Whose record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Channel(u32),
    Metrics(u32),
}

/// Where a record belongs in the run.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// -1 for a phase without epochs.
    pub epoch: i32,
    /// -1 for a value of the whole epoch or phase.
    pub batch: i32,
    /// Count of the optimizer, or of the program.
    pub step: i64,
    /// When it was, in nanoseconds since 1970, UTC; None for now.
    pub time: Option<i64>,
}

impl Key {
    /// The key of a value that is logged now.
    #[must_use]
    pub fn now(epoch: i32, batch: i32, step: i64) -> Self {
        Self {
            epoch,
            batch,
            step,
            time: None,
        }
    }

    /// The key of a channel, which holds no steps.
    pub(crate) fn of_batch(epoch: i32, batch: i32) -> Self {
        Self::now(epoch, batch, 0)
    }

    /// Epoch and batch, as channels store them.
    pub(crate) fn numbers(self) -> [i32; 2] {
        [self.epoch, self.batch]
    }
}

/// The bytes of a record, wherever they lie.
#[derive(Clone, Copy)]
pub(crate) struct Payload<'a> {
    /// What is said of each row in front of the values.
    pub(crate) header: &'a [u8],
    pub(crate) values: &'a [&'a [u8]],
}

impl<'a> Payload<'a> {
    /// Values whose rows are all alike.
    pub(crate) fn of(values: &'a [&'a [u8]]) -> Self {
        Self {
            header: &[],
            values,
        }
    }

    pub(crate) fn bytes(self) -> usize {
        self.parts().map(<[u8]>::len).sum()
    }

    /// Copy it to a place of this size.
    pub(crate) fn copy_to(self, mut place: &mut [u8]) {
        for part in self.parts() {
            let (now, later) = place.split_at_mut(part.len());
            now.copy_from_slice(part);
            place = later;
        }
    }

    fn parts(self) -> impl Iterator<Item = &'a [u8]> {
        std::iter::once(self.header).chain(self.values.iter().copied())
    }
}

/// A record: what it is of, its place in the order, and where its bytes stand in its block.
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

impl Entry {
    /// A record of the time that its key says; its bytes are not known yet.
    pub(crate) fn new(target: Target, key: Key, rows: u32, sequence: u64) -> Self {
        Self {
            target,
            key,
            sequence,
            time: key.time.unwrap_or_else(now),
            rows,
            crc: 0,
            start: 0,
            end: 0,
        }
    }
}

/// Records that are written together: many in memory of the block's own, or one in the pages of a slot.
pub(crate) struct Block {
    bytes: Bytes,
    used: usize,
    entries: Vec<Entry>,
}

enum Bytes {
    Own(Box<[u8]>),
    Slot(Arc<Pages>),
}

impl Block {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            bytes: Bytes::Own(vec![0; size].into_boxed_slice()),
            used: 0,
            entries: Vec::with_capacity(BLOCK_RECORDS),
        }
    }

    pub(crate) fn of_slot(pages: Pages) -> Self {
        Self {
            bytes: Bytes::Slot(Arc::new(pages)),
            used: 0,
            entries: Vec::with_capacity(1),
        }
    }

    /// Its records: none if it is a slot that was withdrawn.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.bytes {
            Bytes::Slot(pages) if pages.is_withdrawn() => &[],
            _ => &self.entries,
        }
    }

    pub(crate) fn data(&self, entry: &Entry) -> &[u8] {
        self.bytes(entry.start..entry.end)
    }

    pub(crate) fn bytes(&self, range: Range<u32>) -> &[u8] {
        let bytes = match &self.bytes {
            Bytes::Own(bytes) => bytes,
            Bytes::Slot(pages) => pages.filled(self.used),
        };
        &bytes[range.start as usize..range.end as usize]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The largest number that it takes up in the order.
    pub(crate) fn last_sequence(&self) -> Option<u64> {
        self.entries.last().map(|entry| entry.sequence)
    }

    /// The number of a slot that was withdrawn.
    pub(crate) fn withdrawn(&self) -> Option<u64> {
        self.last_sequence()
            .filter(|_| self.entries().len() < self.entries.len())
    }

    /// Whether a record of so many bytes can be added.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        match &self.bytes {
            Bytes::Own(own) => self.used + bytes <= own.len() && self.entries.len() < BLOCK_RECORDS,
            Bytes::Slot(_) => false,
        }
    }

    /// Copy a record that fits.
    pub(crate) fn append(&mut self, mut entry: Entry, payload: Payload) {
        if let Bytes::Own(bytes) = &mut self.bytes {
            let end = self.used + payload.bytes();
            let copy = &mut bytes[self.used..end];
            payload.copy_to(copy);
            entry.crc = crc32fast::hash(copy);
            entry.start = self.used as u32;
            entry.end = end as u32;
            self.used = end;
            self.entries.push(entry);
        }
    }

    /// Make it empty, to be filled again.
    pub(crate) fn clear(&mut self) {
        self.used = 0;
        self.entries.clear();
    }

    /// The pages of a slot; None for a block with memory of its own.
    pub(crate) fn pages(&self) -> Option<&Arc<Pages>> {
        match &self.bytes {
            Bytes::Own(_) => None,
            Bytes::Slot(pages) => Some(pages),
        }
    }

    /// Bytes of the pages, if this is a slot that was written and that nobody holds any more.
    pub(crate) fn free_bytes(&mut self) -> Option<usize> {
        match &mut self.bytes {
            Bytes::Own(_) => None,
            Bytes::Slot(pages) => Arc::get_mut(pages).map(|pages| pages.capacity()),
        }
    }

    /// Let the one record of a slot have so many bytes, to be filled in.
    pub(crate) fn begin_slot(&mut self, mut entry: Entry, bytes: usize) {
        self.clear();
        if let Bytes::Slot(pages) = &mut self.bytes
            && let Some(pages) = Arc::get_mut(pages)
        {
            pages.reset();
        }
        entry.end = bytes as u32;
        self.used = bytes;
        self.entries.push(entry);
    }

    /// Whether its bytes are there, or never will be.
    pub(crate) fn is_ready(&self) -> bool {
        self.pages().is_none_or(|pages| !pages.is_filling())
    }

    /// Bytes of the record of a slot.
    pub(crate) fn slot_bytes(&self) -> usize {
        self.pages().map_or(0, |_| self.used)
    }

    /// Note the checksum of a slot's bytes, which were not there when it got its number.
    pub(crate) fn note_check(&mut self) {
        if let Bytes::Slot(pages) = &self.bytes
            && let [entry] = self.entries.as_mut_slice()
        {
            entry.crc = crc32fast::hash(pages.filled(self.used));
        }
    }
}

/// Nanoseconds since 1970, UTC.
pub(crate) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_nanos() as i64)
}
