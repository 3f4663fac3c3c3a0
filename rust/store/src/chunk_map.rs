//! A chunk as a reader sees it: checked before anything in it is trusted, then mapped.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::{Message, root_as_message};
use arrow_schema::{DataType, Schema};
use memmap2::{Mmap, MmapMut, MmapOptions};

use crate::columns::{Columns, Extent, Storage};
use crate::error::{IoContext, Result, StoreError};
use crate::fault_guard::{GuardedMap, any_broken};
use crate::input::open_input;
use crate::layout::{Layout, MAGIC};
use crate::superblock::{SUPERBLOCK_BYTES, Superblock, u32_at};

const PREFIX_BYTES: usize = 8;
const MOST_MESSAGE_BYTES: usize = 16 << 20;
const TRAILER: &[u8; 6] = b"ARROW1";
const ALIGNMENT: u64 = 64;
/// Text up to this length stands in its view.
const INLINE_BYTES: usize = 12;
/// A read can meet a commit half way; the next one does not.
pub(crate) const ATTEMPTS: usize = 100;

/// Where one region stands in the file.
#[derive(Clone, Copy, Debug)]
struct RegionPlace {
    offset: u64,
    bytes: u64,
    row_bytes: usize,
    item_bytes: usize,
    /// Offset and size of the text of a string view.
    text: (u64, u64),
}

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

/// The two messages of a chunk, parsed.
struct Header {
    schema: Schema,
    record_offset: u64,
    body_offset: u64,
    // Offset and length of every buffer, relative to the body.
    buffers: Vec<(u64, u64)>,
}

impl Header {
    fn read(file: &File, path: &Path, bytes: u64) -> Result<Self> {
        let start = read_part(file, path, bytes, 0, MAGIC.len())?;
        if start != MAGIC {
            return Err(StoreError::damaged(path, 0, "this is not an Arrow file"));
        }
        let (schema_message, record_offset) = read_message(file, path, bytes, MAGIC.len() as u64)?;
        if schema_message.len() < SUPERBLOCK_BYTES || record_offset % ALIGNMENT != 0 {
            return Err(StoreError::damaged(
                path,
                8,
                "the schema message has no superblock",
            ));
        }
        let schema = parse_message(&schema_message, path, 16)?
            .header_as_schema()
            .and_then(|schema| try_fb_to_schema(schema).ok())
            .ok_or_else(|| StoreError::damaged(path, 16, "the first message is not a schema"))?;
        let (record_message, body_offset) = read_message(file, path, bytes, record_offset)?;
        let record = record_offset + PREFIX_BYTES as u64;
        if body_offset % ALIGNMENT != 0 {
            let reason = "the record batch does not start at a multiple of 64";
            return Err(StoreError::damaged(path, record_offset, reason));
        }
        let message = parse_message(&record_message, path, record)?;
        let batch = message
            .header_as_record_batch()
            .filter(|batch| batch.compression().is_none())
            .ok_or_else(|| {
                StoreError::damaged(
                    path,
                    record,
                    "the second message is not a plain record batch",
                )
            })?;
        let body_bytes = u64::try_from(message.bodyLength())
            .ok()
            .filter(|body| {
                body_offset
                    .checked_add(*body)
                    .is_some_and(|end| end <= bytes)
            })
            .ok_or_else(|| {
                StoreError::damaged(path, record, "the body reaches beyond the end of the file")
            })?;
        let mut buffers = Vec::new();
        for buffer in batch.buffers().iter().flatten() {
            let range = u64::try_from(buffer.offset())
                .ok()
                .zip(u64::try_from(buffer.length()).ok());
            let range = range.filter(|(offset, length)| {
                offset % ALIGNMENT == 0
                    && offset
                        .checked_add(*length)
                        .is_some_and(|end| end <= body_bytes)
            });
            let outside = || StoreError::damaged(path, record, "a buffer lies outside the body");
            buffers.push(range.ok_or_else(outside)?);
        }
        let end = bytes.saturating_sub(TRAILER.len() as u64);
        if body_offset + body_bytes > end
            || read_part(file, path, bytes, end, TRAILER.len())? != TRAILER
        {
            return Err(StoreError::damaged(path, end, "the file has no footer"));
        }
        Ok(Self {
            schema,
            record_offset,
            body_offset,
            buffers,
        })
    }

    /// Find the regions of the wanted columns by the columns' names; others may be there too.
    fn places(&self, columns: &Columns, capacity: u64, path: &Path) -> Result<Vec<RegionPlace>> {
        let mut found = Vec::new();
        let mut rest = self.buffers.as_slice();
        for field in self.schema.fields() {
            let own =
                buffer_count(field.data_type()).and_then(|count| rest.split_at_checked(count));
            let (buffers, others) = own.ok_or_else(|| {
                StoreError::damaged(
                    path,
                    self.record_offset,
                    "the buffers do not fit the schema",
                )
            })?;
            found.push((field, buffers));
            rest = others;
        }
        let mut places = Vec::new();
        for (want, storages) in columns.fields() {
            let wrong = |what: &str| {
                StoreError::damaged(path, 16, format!("column `{}` {what}", want.name()))
            };
            let (field, buffers) = found
                .iter()
                .find(|(field, _)| field.name() == want.name())
                .ok_or_else(|| wrong("is missing"))?;
            if field.data_type() != want.data_type() {
                return Err(wrong("has another type"));
            }
            let mut buffers = buffers.iter();
            for storage in storages {
                let place = self.place(storage, &mut buffers);
                let place = place.ok_or_else(|| wrong("lacks a buffer"))?;
                let needed = storage.bytes(Extent::rows(capacity));
                if needed.is_none_or(|needed| needed > place.bytes) {
                    return Err(wrong("is shorter than the capacity"));
                }
                places.push(place);
            }
        }
        Ok(places)
    }

    /// The place of a region whose buffers come next.
    fn place<'a>(
        &self,
        storage: &Storage,
        buffers: &mut impl Iterator<Item = &'a (u64, u64)>,
    ) -> Option<RegionPlace> {
        for _ in 0..storage.empty_buffers() {
            buffers.next()?;
        }
        let (offset, bytes) = match storage {
            Storage::Struct => (0, 0),
            _ => *buffers.next()?,
        };
        let (text_offset, text_bytes) = match storage {
            Storage::View => *buffers.next()?,
            _ => (0, 0),
        };
        Some(RegionPlace {
            offset: self.body_offset + offset,
            bytes,
            row_bytes: storage.row_bytes(),
            item_bytes: storage.item_bytes(),
            text: (self.body_offset + text_offset, text_bytes),
        })
    }
}

/// How many buffers a column of this type has. None for types that no chunk has.
fn buffer_count(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::FixedSizeList(item, _) => Some(1 + buffer_count(item.data_type())?),
        DataType::List(item) => Some(2 + buffer_count(item.data_type())?),
        DataType::Struct(members) => members.iter().try_fold(1, |count, member| {
            Some(count + buffer_count(member.data_type())?)
        }),
        DataType::Utf8 | DataType::Utf8View => Some(3),
        data_type => data_type.primitive_width().map(|_| 2),
    }
}

fn read_part(file: &File, path: &Path, bytes: u64, offset: u64, length: usize) -> Result<Vec<u8>> {
    if offset
        .checked_add(length as u64)
        .is_none_or(|end| end > bytes)
    {
        return Err(StoreError::damaged(path, bytes, "the file is cut short"));
    }
    let mut part = vec![0; length];
    file.read_exact_at(&mut part, offset)
        .context("read", path)?;
    Ok(part)
}

/// The flatbuffer of the message at an offset, and where it ends.
fn read_message(file: &File, path: &Path, bytes: u64, offset: u64) -> Result<(Vec<u8>, u64)> {
    let prefix = read_part(file, path, bytes, offset, PREFIX_BYTES)?;
    let length = u32_at(&prefix, 4) as usize;
    if prefix[..4] != [0xff; 4] || length > MOST_MESSAGE_BYTES {
        return Err(StoreError::damaged(path, offset, "no message starts here"));
    }
    let start = offset + PREFIX_BYTES as u64;
    Ok((
        read_part(file, path, bytes, start, length)?,
        start + length as u64,
    ))
}

fn parse_message<'a>(message: &'a [u8], path: &Path, offset: u64) -> Result<Message<'a>> {
    root_as_message(message).map_err(|error| StoreError::damaged(path, offset, error.to_string()))
}
