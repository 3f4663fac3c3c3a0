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
            bytes: columns.storages()[region]
                .bytes(layout.capacity)
                .unwrap_or(0),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::unix::fs::{FileExt, MetadataExt};
    use std::path::PathBuf;

    use super::*;
    use crate::columns::plain;

    const ROWS: u64 = 1 << 20;

    fn layout() -> (Columns, Layout) {
        let numbers = plain("number", arrow_schema::DataType::Int64, 8);
        let columns = Columns::new(vec![numbers]);
        let layout = Layout::new(&columns, Extent::rows(ROWS));
        (columns, layout)
    }

    fn file(name: &str, bytes: u64) -> (PathBuf, File) {
        let name = format!("specplan-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .unwrap();
        file.set_len(bytes).unwrap();
        (path, file)
    }

    #[test]
    fn space_is_taken_in_parts_and_given_back_behind_the_rows() {
        let (columns, layout) = layout();
        let (path, file) = file("reserve", layout.file_bytes());
        let place = Place::of(&layout, &columns, 0);
        let reserve = Reserve::new(&layout);
        let mut ends = Vec::new();
        for end in [8, 16, 1 << 20, 5 << 20, 8 << 20] {
            reserve.cover(&file, 0, place, end);
            ends.push(reserve.ends[0].get() >> 20);
        }
        assert_eq!(ends, [2, 2, 2, 5, 8]);
        let rows = [7; 80];
        file.write_all_at(&rows, place.offset).unwrap();
        release(&file, &layout, &columns, Extent::rows(10));
        let left = file.metadata().unwrap();
        assert_eq!(left.len(), layout.file_bytes());
        assert!(left.blocks() * 512 < LEAST_RELEASED);
        let mut found = [1; 160];
        file.read_exact_at(&mut found, place.offset).unwrap();
        assert_eq!(found[..80], rows);
        assert_eq!(found[80..], [0; 80]);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_file_without_space_is_asked_once() {
        let (columns, layout) = layout();
        let (path, _) = file("refused", layout.file_bytes());
        let place = Place::of(&layout, &columns, 0);
        let reserve = Reserve::new(&layout);
        reserve.cover(&File::open(&path).unwrap(), 0, place, 8);
        assert_eq!(reserve.ends[0].get(), u64::MAX);
        std::fs::remove_file(path).unwrap();
    }
}
