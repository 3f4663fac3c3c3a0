//! A chunk as a reader sees it: checked before anything in it is trusted, then mapped.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::{Message, root_as_message};
use arrow_schema::{DataType, Field, Schema};
use memmap2::Mmap;

use crate::error::{IoContext, Result, StoreError};
use crate::layout::{Columns, MAGIC};
use crate::superblock::{SUPERBLOCK_BYTES, Superblock, u32_at};

const PREFIX_BYTES: usize = 8;
const MOST_MESSAGE_BYTES: usize = 16 << 20;
const TRAILER: &[u8; 6] = b"ARROW1";
const ALIGNMENT: u64 = 64;
/// A read can meet a commit half way; the next one does not.
const ATTEMPTS: usize = 100;

/// Where one column stands in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColumnPlace {
    pub(crate) offset: u64,
    pub(crate) row_bytes: usize,
    text: Option<(u64, u64)>,
}

/// A mapped chunk. Its rows below the committed count never change again.
#[derive(Debug)]
pub(crate) struct ChunkMap {
    path: PathBuf,
    map: Mmap,
    superblock_offset: u64,
    columns: Vec<ColumnPlace>,
    first: Superblock,
}

impl ChunkMap {
    /// Open a chunk that must have these columns. None if there is no such file.
    pub(crate) fn open(path: PathBuf, columns: &Columns) -> Result<Option<Self>> {
        let file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.context("open", &path)?,
        };
        let bytes = file.metadata().context("inspect", &path)?.len();
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
            map,
            superblock_offset,
            columns: places,
            first,
        }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn superblock_offset(&self) -> u64 {
        self.superblock_offset
    }

    /// Bytes of the text region of each column that has one.
    pub(crate) fn text_capacity(&self) -> usize {
        let texts = self.columns.iter().filter_map(|column| column.text);
        texts.map(|(_, bytes)| bytes as usize).max().unwrap_or(0)
    }

    /// Rows of the channel before this chunk.
    pub(crate) fn first_row(&self) -> u64 {
        self.first.first_row
    }

    /// The superblock as it is now.
    pub(crate) fn superblock(&self) -> Result<Superblock> {
        // Through the map: a reader of many files must not keep a descriptor for each.
        let now = read_superblock(&self.path, self.superblock_offset, || {
            let start = self.superblock_offset as usize;
            // SAFETY: the superblock was read from the file before it was mapped. The writer may change it
            // during this read; the copy is volatile, and its checksum tells whether it is of one piece.
            Ok(unsafe { std::ptr::read_volatile(self.map.as_ptr().add(start).cast()) })
        })?;
        if now.capacity != self.first.capacity || now.first_row != self.first.first_row {
            return Err(self.damaged(
                self.superblock_offset,
                "the superblock changed its capacity",
            ));
        }
        Ok(now)
    }

    /// The bytes of committed rows of a column.
    pub(crate) fn rows(&self, column: usize, rows: Range<u64>) -> &[u8] {
        let place = self.columns[column];
        let rows = rows.start.min(self.first.capacity)..rows.end.min(self.first.capacity);
        let start = place.offset as usize + rows.start as usize * place.row_bytes;
        let length = rows.end.saturating_sub(rows.start) as usize * place.row_bytes;
        // SAFETY: `places` proved that all rows up to the capacity lie inside the map, and committed
        // rows are not written again, so nothing changes under the slice.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(start), length) }
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
        let place = self.columns[column];
        let offset = place.offset + row * place.row_bytes as u64;
        let length = u32_at(view, 0) as usize;
        let bytes = if length <= 12 {
            &view[4..4 + length]
        } else {
            let position = u64::from(u32_at(view, 12));
            let (start, size) = place.text.unwrap_or((0, 0));
            if position + length as u64 > size {
                return Err(self.damaged(offset, "a label lies outside its text region"));
            }
            let start = (start + position) as usize;
            // SAFETY: the text region lies inside the map, and a text is written before the rows that use it.
            unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(start), length) }
        };
        std::str::from_utf8(bytes).map_err(|_| self.damaged(offset, "a label is not UTF-8"))
    }

    pub(crate) fn row_offset(&self, column: usize, row: u64) -> u64 {
        self.columns[column].offset + row * self.columns[column].row_bytes as u64
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

    /// Find the wanted columns by name; others may be there too.
    fn places(&self, columns: &Columns, capacity: u64, path: &Path) -> Result<Vec<ColumnPlace>> {
        let mut found = Vec::new();
        let mut buffers = self.buffers.iter();
        for field in self.schema.fields() {
            let buffer = take_buffers(field, &mut buffers).ok_or_else(|| {
                StoreError::damaged(
                    path,
                    self.record_offset,
                    "the buffers do not fit the schema",
                )
            })?;
            found.push((field, buffer));
        }
        let wanted = columns.fields().iter().zip(columns.storages());
        wanted
            .map(|(want, storage)| {
                let wrong = |what: &str| {
                    StoreError::damaged(path, 16, format!("column `{}` {what}", want.name()))
                };
                let (field, (data, text)) = found
                    .iter()
                    .find(|(field, _)| field.name() == want.name())
                    .ok_or_else(|| wrong("is missing"))?;
                if field.data_type() != want.data_type() {
                    return Err(wrong("has another type"));
                }
                let row_bytes = storage.row_bytes();
                if capacity
                    .checked_mul(row_bytes as u64)
                    .is_none_or(|needed| needed > data.1)
                {
                    return Err(wrong("is shorter than the capacity"));
                }
                Ok(ColumnPlace {
                    offset: self.body_offset + data.0,
                    row_bytes,
                    text: text.map(|(offset, length)| (self.body_offset + offset, length)),
                })
            })
            .collect()
    }
}

type Range64 = (u64, u64);

/// The data buffer of a field, and its text buffer if it has one. Validity buffers are empty.
fn take_buffers<'a>(
    field: &Field,
    buffers: &mut impl Iterator<Item = &'a Range64>,
) -> Option<(Range64, Option<Range64>)> {
    buffers.next()?;
    match field.data_type() {
        DataType::FixedSizeList(item, _) if item.data_type().primitive_width().is_some() => {
            buffers.next()?;
            Some((*buffers.next()?, None))
        }
        DataType::Utf8View => Some((*buffers.next()?, Some(*buffers.next()?))),
        data_type if data_type.primitive_width().is_some() => Some((*buffers.next()?, None)),
        _ => None,
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
