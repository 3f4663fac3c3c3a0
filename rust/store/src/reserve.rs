//! Space on the disk that is taken ahead of the rows: writing into it costs less than filling a hole.

use std::cell::Cell;
use std::fs::File;

use crate::columns::{Columns, Extent};
use crate::layout::Layout;

/// Regions of at least this size get space ahead. Smaller ones are those of channels that have written little, and
/// there may be thousands of them.
const LEAST_REGION: u64 = 2 << 20;
/// So much at a time: this share of the region, but not more than `MOST_AHEAD`.
const SHARE: u64 = 4;
const MOST_AHEAD: u64 = 4 << 20;
/// Less than this is not worth giving back.
const LEAST_RELEASED: u64 = 512 << 10;

/// How far the regions of a growing chunk have space.
pub(crate) struct Reserve {
    ends: Vec<Cell<u64>>,
}

impl Reserve {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self {
            ends: layout.offsets.iter().map(|_| Cell::new(0)).collect(),
        }
    }

    /// Take space for bytes of a region that end `end` bytes after its start, and for some more. Failing is none:
    /// there may be room for the bytes all the same, and if not their write says so.
    pub(crate) fn cover(&self, file: &File, region: usize, place: Place, end: u64) {
        let reserved = self.ends[region].get();
        if end <= reserved || place.bytes < LEAST_REGION {
            return;
        }
        let ahead = (place.bytes / SHARE).min(MOST_AHEAD);
        let until = end.max(reserved + ahead).min(place.bytes);
        let taken = allocate(file, place.offset + reserved, until - reserved);
        self.ends[region].set(if taken { until } else { u64::MAX });
    }
}

/// Where a region stands in its chunk.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

impl Place {
    pub(crate) fn of(layout: &Layout, columns: &Columns, region: usize) -> Self {
        Self {
            offset: layout.offsets[region],
            // The capacity is on file, so that it can be counted.
            bytes: columns.storages()[region].bytes(layout.capacity).unwrap_or(0),
        }
    }
}

/// Give back the space behind the last row of a chunk, which reads as zeros then. The file keeps its size.
pub(crate) fn release(file: &File, layout: &Layout, columns: &Columns, committed: Extent) {
    for (region, storage) in columns.storages().iter().enumerate() {
        let place = Place::of(layout, columns, region);
        let used = storage.bytes(committed).unwrap_or(place.bytes);
        let unused = place.bytes.saturating_sub(used);
        if place.bytes >= LEAST_REGION && unused >= LEAST_RELEASED {
            punch(file, place.offset + used, unused);
        }
    }
}

/// Whether the file system could do it.
#[cfg(target_os = "linux")]
fn change(file: &File, mode: libc::c_int, offset: u64, bytes: u64) -> bool {
    use std::os::fd::AsRawFd;
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and the call takes no pointer.
    unsafe { libc::fallocate(file.as_raw_fd(), mode, offset as i64, bytes as i64) == 0 }
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, offset: u64, bytes: u64) -> bool {
    change(file, libc::FALLOC_FL_KEEP_SIZE, offset, bytes)
}

#[cfg(target_os = "linux")]
fn punch(file: &File, offset: u64, bytes: u64) {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    change(file, mode, offset, bytes);
}

#[cfg(not(target_os = "linux"))]
fn allocate(_file: &File, _offset: u64, _bytes: u64) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn punch(_file: &File, _offset: u64, _bytes: u64) {}
