//! A chunk as a reader sees it: checked before anything in it is trusted, then mapped.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use arrow_schema::Schema;
use memmap2::{Mmap, MmapMut, MmapOptions};

use crate::chunk_header::{Header, RegionPlace};
use crate::columns::{Columns, Storage};
use crate::error::{IoContext, Result, StoreError};
use crate::fault_guard::{GuardedMap, any_broken};
use crate::input::open_input;
use crate::layout::Layout;
use crate::superblock::{SUPERBLOCK_BYTES, Superblock, u32_at};

/// Text up to this length stands in its view.
const INLINE_BYTES: usize = 12;
/// A read can meet a commit half way; the next one does not.
pub(crate) const ATTEMPTS: usize = 100;

/// A mapped chunk. Its rows below the committed count never change again.
#[derive(Debug)]
pub(crate) struct ChunkMap {
    path: PathBuf,
    map: GuardedMap<Mmap>,
    superblock_offset: u64,
    /// The superblock is not that of the file.
    implied: bool,
    regions: Vec<RegionPlace>,
    first: Superblock,
}

impl ChunkMap {
    /// Open a chunk that must have these columns. None if there is no such file.
    pub(crate) fn open(path: PathBuf, columns: &Columns) -> Result<Option<Self>> {
        let (file, bytes) = match open_input(&path) {
            Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Ok(None);
            }
            opened => opened?,
        };
        let header = Header::read(&file, &path, bytes)?;
        let superblock_offset = header.record_offset - SUPERBLOCK_BYTES as u64;
        let first = read_superblock(&path, superblock_offset, || {
            let mut bytes = [0; SUPERBLOCK_BYTES];
            file.read_exact_at(&mut bytes, superblock_offset)
                .context("read", &path)?;
            Ok(bytes)
        })?;
        let places = header.places(columns, first.capacity, &path)?;
        // SAFETY: the writer of this format never shortens a chunk; the checks above have shown that
        // every place lies inside the file, and only rows that are committed are looked at.
        let map = unsafe { Mmap::map(&file) }.context("map", &path)?;
        if (map.len() as u64) < bytes {
            return Err(StoreError::damaged(
                &path,
                map.len() as u64,
                "the file became shorter",
            ));
        }
        Ok(Some(Self {
            path,
            map: GuardedMap::new(map),
            superblock_offset,
            implied: false,
            regions: places,
            first,
        }))
    }

    /// A chunk whose file is not as it should be: what the file has, and zeros behind it, at the places of a layout.
    pub(crate) fn implied(
        path: &Path,
        file: &File,
        columns: &Columns,
        layout: &Layout,
        superblock: Superblock,
    ) -> Result<Self> {
        let size = layout.file_bytes() as usize;
        let zeros = MmapOptions::new().len(size).no_reserve_swap().map_anon();
        let map = zeros
            .and_then(MmapMut::make_read_only)
            .context("map", path)?;
        let bytes = file.metadata().context("inspect", path)?.len();
        let bytes = size.min(usize::try_from(bytes).unwrap_or(size));
        if bytes > 0 {
            let start = map.as_ptr().cast_mut().cast();
            let descriptor = file.as_raw_fd();
            let flags = libc::MAP_PRIVATE | libc::MAP_FIXED;
            // SAFETY: the range lies inside the map of zeros, which nobody else knows yet, and which takes the pages
            // of the file with it when it is unmapped.
            let mapped = unsafe { libc::mmap(start, bytes, libc::PROT_READ, flags, descriptor, 0) };
            if mapped == libc::MAP_FAILED {
                return Err(io::Error::last_os_error()).context("map", path);
            }
        }
        let mut texts = layout.text_offsets.iter();
        let places = columns.storages().iter().zip(&layout.offsets);
        let regions = places.map(|(storage, &offset)| RegionPlace {
            offset,
            bytes: storage.bytes(layout.capacity).unwrap_or(0),
            row_bytes: storage.row_bytes(),
            item_bytes: storage.item_bytes(),
            text: match storage {
                Storage::View => (texts.next().copied().unwrap_or(0), layout.capacity.items),
                _ => (0, 0),
            },
        });
        Ok(Self {
            path: path.to_path_buf(),
            regions: regions.collect(),
            map: GuardedMap::new(map),
            superblock_offset: layout.commit_offset(),
            implied: true,
            first: superblock,
        })
    }

    /// What a chunk says of its columns.
    pub(crate) fn schema(path: &Path) -> Result<Schema> {
        let (file, bytes) = open_input(path)?;
        Ok(Header::read(&file, path, bytes)?.schema)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// An error if a page of the file could not be brought, so that what was read may be zeros. Ask after reading.
    pub(crate) fn intact(&self) -> Result<()> {
        if !any_broken() {
            return Ok(());
        }
        match self.map.broken_at() {
            None => Ok(()),
            Some(offset) => Err(self.damaged(
                offset,
                "it was shortened while it was mapped, or the disk cannot read it",
            )),
        }
    }

    pub(crate) fn file_bytes(&self) -> u64 {
        self.map.len() as u64
    }

    /// Bytes that never change, fewer where the file ends before.
    pub(crate) fn part(&self, start: u64, length: usize) -> &[u8] {
        let rest = self.map.get(start as usize..).unwrap_or_default();
        &rest[..length.min(rest.len())]
    }

    /// A copy of bytes that the writer may be changing, fewer where the file ends before.
    pub(crate) fn changing_part(&self, start: u64, length: usize) -> Vec<u8> {
        let bytes = self.part(start, length).iter();
        // SAFETY: each is a byte of the map; the copy is volatile, because the writer may change them meanwhile.
        bytes
            .map(|byte| unsafe { std::ptr::read_volatile(byte) })
            .collect()
    }

    /// Whether everything stands where this layout has it.
    pub(crate) fn has_layout(&self, layout: &Layout) -> bool {
        let offsets = self.regions.iter().map(|place| place.offset);
        offsets.eq(layout.offsets.iter().copied())
            && self.superblock_offset == layout.commit_offset()
    }

    pub(crate) fn superblock_offset(&self) -> u64 {
        self.superblock_offset
    }

    /// Items that there is room for, or bytes in the text region of each string view.
    pub(crate) fn item_capacity(&self) -> u64 {
        let regions = self.regions.iter();
        let items = regions.map(
            |place| match place.bytes.checked_div(place.item_bytes as u64) {
                Some(items) => items,
                None => place.text.1,
            },
        );
        items.max().unwrap_or(0)
    }

    /// Rows of the channel before this chunk.
    pub(crate) fn first_row(&self) -> u64 {
        self.first.first_row
    }

    /// The superblock as it is now.
    pub(crate) fn superblock(&self) -> Result<Superblock> {
        if self.implied {
            return Ok(self.first);
        }
        // Through the map: a reader of many files must not keep a descriptor for each.
        let now = read_superblock(&self.path, self.superblock_offset, || {
            let start = self.superblock_offset as usize;
            // SAFETY: the superblock was read from the file before it was mapped. The writer may change it
            // during this read; the copy is volatile, and its checksum tells whether it is of one piece.
            Ok(unsafe { std::ptr::read_volatile(self.map.as_ptr().add(start).cast()) })
        });
        self.intact()?;
        let now = now?;
        if now.capacity != self.first.capacity || now.first_row != self.first.first_row {
            return Err(self.damaged(
                self.superblock_offset,
                "the superblock changed its capacity",
            ));
        }
        Ok(now)
    }

    /// The bytes of committed rows of a region.
    pub(crate) fn rows(&self, region: usize, rows: Range<u64>) -> &[u8] {
        let place = self.regions[region];
        let rows = rows.start.min(self.first.capacity)..rows.end.min(self.first.capacity);
        let start = place.offset as usize + rows.start as usize * place.row_bytes;
        let length = rows.end.saturating_sub(rows.start) as usize * place.row_bytes;
        // SAFETY: `places` proved that all rows up to the capacity lie inside the map, and committed
        // rows are not written again, so nothing changes under the slice.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(start), length) }
    }

    /// Where a committed row starts among the items; that of the row after the last is where they end.
    pub(crate) fn offset(&self, region: usize, row: u64) -> u64 {
        let place = self.regions[region];
        let row = row.min(self.first.capacity);
        let start = place.offset as usize + row as usize * place.row_bytes;
        // SAFETY: `places` proved that one offset more than rows lies inside the map, and those of
        // committed rows are not written again.
        let bytes = unsafe { self.map.as_ptr().add(start).cast::<[u8; 4]>().read() };
        // A negative offset is larger than any region.
        i64::from(i32::from_le_bytes(bytes)) as u64
    }

    /// The bytes of items between two offsets. None if there are no such items.
    pub(crate) fn items(&self, region: usize, items: &Range<u64>) -> Option<&[u8]> {
        let place = self.regions[region];
        let most = place.bytes.checked_div(place.item_bytes as u64)?;
        if items.start > items.end || items.end > most {
            return None;
        }
        let start = place.offset as usize + items.start as usize * place.item_bytes;
        let length = (items.end - items.start) as usize * place.item_bytes;
        // SAFETY: the items lie inside the region, and the region inside the map. Those of committed
        // rows are not written again; where a damaged offset points beyond them, their bytes may change,
        // as bytes of any number may, and text is copied after it was looked at.
        Some(unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(start), length) })
    }

    pub(crate) fn number<const N: usize>(&self, column: usize, row: u64) -> [u8; N] {
        let mut number = [0; N];
        let bytes = self.rows(column, row..row + 1);
        number[..bytes.len().min(N)].copy_from_slice(&bytes[..bytes.len().min(N)]);
        number
    }

    /// The text of one row of a string column.
    pub(crate) fn text(&self, column: usize, row: u64) -> Result<&str> {
        let view = self.rows(column, row..row + 1);
        let place = self.regions[column];
        let offset = place.offset + row * place.row_bytes as u64;
        let length = u32_at(view, 0) as usize;
        let bytes = if length <= INLINE_BYTES {
            &view[4..4 + length]
        } else {
            let position = u64::from(u32_at(view, 12));
            let (start, size) = place.text;
            if position + length as u64 > size {
                return Err(self.damaged(offset, "a label lies outside its text region"));
            }
            let start = (start + position) as usize;
            // SAFETY: the text region lies inside the map, and a text is written before the rows that use it.
            unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(start), length) }
        };
        std::str::from_utf8(bytes).map_err(|_| self.damaged(offset, "a label is not UTF-8"))
    }

    /// Whether what a view says beside the text itself is right: our readers do not use it, others do.
    pub(crate) fn view_fits(&self, column: usize, row: u64, text: &str) -> bool {
        let view = self.rows(column, row..row + 1);
        match text.len() {
            length @ ..=INLINE_BYTES => view[4 + length..].iter().all(|&byte| byte == 0),
            _ => view[4..8] == text.as_bytes()[..4] && u32_at(view, 8) == 0,
        }
    }

    pub(crate) fn row_offset(&self, region: usize, row: u64) -> u64 {
        self.regions[region].offset + row * self.regions[region].row_bytes as u64
    }

    pub(crate) fn item_offset(&self, region: usize, item: u64) -> u64 {
        self.regions[region].offset + item * self.regions[region].item_bytes as u64
    }

    pub(crate) fn damaged(&self, offset: u64, reason: &str) -> StoreError {
        StoreError::damaged(&self.path, offset, reason)
    }
}

fn read_superblock(
    path: &Path,
    offset: u64,
    read: impl Fn() -> Result<[u8; SUPERBLOCK_BYTES]>,
) -> Result<Superblock> {
    let mut attempt = 0;
    loop {
        let bytes = read()?;
        attempt += 1;
        match Superblock::parse(&bytes, path, offset) {
            Ok(superblock) if superblock.rows > superblock.capacity => {
                return Err(StoreError::damaged(
                    path,
                    offset,
                    "more rows than the chunk can hold",
                ));
            }
            Err(StoreError::Damaged { .. }) if attempt < ATTEMPTS => std::thread::yield_now(),
            result => return result,
        }
    }
}
