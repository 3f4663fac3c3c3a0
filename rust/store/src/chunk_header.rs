//! The messages in front of a chunk's columns, checked before anything that they say is trusted.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::{Buffer, Message, root_as_message};
use arrow_schema::{DataType, Schema};

use crate::columns::{Columns, Extent, Storage};
use crate::error::{IoContext, Result, StoreError};
use crate::layout::MAGIC;
use crate::superblock::{SUPERBLOCK_BYTES, u32_at};

const PREFIX_BYTES: usize = 8;
const MOST_MESSAGE_BYTES: usize = 16 << 20;
const TRAILER: &[u8; 6] = b"ARROW1";
const ALIGNMENT: u64 = 64;

/// Where one region stands in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RegionPlace {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) row_bytes: usize,
    pub(crate) item_bytes: usize,
    /// Offset and size of the text of a string view.
    pub(crate) text: (u64, u64),
}

/// The two messages of a chunk, parsed.
pub(crate) struct Header {
    pub(crate) schema: Schema,
    pub(crate) record_offset: u64,
    body_offset: u64,
    // Offset and length of every buffer, relative to the body.
    buffers: Vec<(u64, u64)>,
}

impl Header {
    /// Read the header of a file of this size.
    pub(crate) fn read(file: &File, path: &Path, bytes: u64) -> Result<Self> {
        let input = Input { file, path, bytes };
        if input.part(0, MAGIC.len())? != MAGIC {
            return Err(input.damaged(0, "this is not an Arrow file"));
        }
        let (schema, record_offset) = input.message(MAGIC.len() as u64)?;
        if schema.len() < SUPERBLOCK_BYTES || record_offset % ALIGNMENT != 0 {
            return Err(input.damaged(8, "the schema message has no superblock"));
        }
        let schema = input
            .parse(&schema, 16)?
            .header_as_schema()
            .and_then(|schema| try_fb_to_schema(schema).ok())
            .ok_or_else(|| input.damaged(16, "the first message is not a schema"))?;
        let (record, body_offset) = input.message(record_offset)?;
        if body_offset % ALIGNMENT != 0 {
            let reason = "the record batch does not start at a multiple of 64";
            return Err(input.damaged(record_offset, reason));
        }
        let place = record_offset + PREFIX_BYTES as u64;
        let (buffers, body_bytes) =
            input.buffers(&input.parse(&record, place)?, place, body_offset)?;
        let end = bytes.saturating_sub(TRAILER.len() as u64);
        if body_offset + body_bytes > end || input.part(end, TRAILER.len())? != TRAILER {
            return Err(input.damaged(end, "the file has no footer"));
        }
        Ok(Self {
            schema,
            record_offset,
            body_offset,
            buffers,
        })
    }

    /// Find the regions of the wanted columns by the columns' names; others may be there too.
    pub(crate) fn places(
        &self,
        columns: &Columns,
        capacity: u64,
        path: &Path,
    ) -> Result<Vec<RegionPlace>> {
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

/// A file that may hold anything.
struct Input<'a> {
    file: &'a File,
    path: &'a Path,
    bytes: u64,
}

impl Input<'_> {
    fn part(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let end = offset.checked_add(length as u64);
        if end.is_none_or(|end| end > self.bytes) {
            return Err(self.damaged(self.bytes, "the file is cut short"));
        }
        let mut part = vec![0; length];
        self.file
            .read_exact_at(&mut part, offset)
            .context("read", self.path)?;
        Ok(part)
    }

    /// The flatbuffer of the message at an offset, and where it ends.
    fn message(&self, offset: u64) -> Result<(Vec<u8>, u64)> {
        let prefix = self.part(offset, PREFIX_BYTES)?;
        let length = u32_at(&prefix, 4) as usize;
        if prefix[..4] != [0xff; 4] || length > MOST_MESSAGE_BYTES {
            return Err(self.damaged(offset, "no message starts here"));
        }
        let start = offset + PREFIX_BYTES as u64;
        Ok((self.part(start, length)?, start + length as u64))
    }

    fn parse<'m>(&self, message: &'m [u8], offset: u64) -> Result<Message<'m>> {
        root_as_message(message).map_err(|error| self.damaged(offset, &error.to_string()))
    }

    /// Offset and length of every buffer of a record batch, and the size of its body, which starts here.
    fn buffers(
        &self,
        message: &Message,
        offset: u64,
        body_offset: u64,
    ) -> Result<(Vec<(u64, u64)>, u64)> {
        let batch = message
            .header_as_record_batch()
            .filter(|batch| batch.compression().is_none())
            .ok_or_else(|| {
                self.damaged(offset, "the second message is not a plain record batch")
            })?;
        let is_inside = |body: &u64| {
            let end = body_offset.checked_add(*body);
            end.is_some_and(|end| end <= self.bytes)
        };
        let body_bytes = u64::try_from(message.bodyLength())
            .ok()
            .filter(is_inside)
            .ok_or_else(|| self.damaged(offset, "the body reaches beyond the end of the file"))?;
        let buffers = batch.buffers().into_iter().flatten().map(|buffer| {
            let range = range_of(buffer, body_bytes);
            range.ok_or_else(|| self.damaged(offset, "a buffer lies outside the body"))
        });
        Ok((buffers.collect::<Result<_>>()?, body_bytes))
    }

    fn damaged(&self, offset: u64, reason: &str) -> StoreError {
        StoreError::damaged(self.path, offset, reason)
    }
}

/// Offset and length of a buffer, if it lies inside a body of this size.
fn range_of(buffer: &Buffer, body_bytes: u64) -> Option<(u64, u64)> {
    let offset = u64::try_from(buffer.offset()).ok()?;
    let length = u64::try_from(buffer.length()).ok()?;
    let end = offset.checked_add(length)?;
    (offset % ALIGNMENT == 0 && end <= body_bytes).then_some((offset, length))
}
