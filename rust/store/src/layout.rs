//! Where everything stands in a chunk: a complete Arrow IPC file with one record batch of fixed capacity.

use std::ops::Range;

use arrow_ipc::convert::IpcSchemaEncoder;
use arrow_ipc::{
    Block, Buffer, FieldNode, FooterBuilder, MessageBuilder, MessageHeader, MetadataVersion,
    RecordBatchBuilder,
};
use arrow_schema::Schema;
use flatbuffers::FlatBufferBuilder;

use crate::columns::{Columns, Extent, Storage};
use crate::superblock::{SUPERBLOCK_BYTES, Superblock};

pub(crate) const MAGIC: &[u8; 8] = b"ARROW1\0\0";
pub(crate) const PAGE: usize = 4096;
const ALIGNMENT: usize = 64;
/// Where the first column of a large chunk starts: the page cache takes large writes there in large pieces.
const LARGE_START: usize = 64 << 10;
const LARGE_BODY_BYTES: usize = 1 << 20;
const CONTINUATION: [u8; 4] = [0xff; 4];
const END_OF_STREAM: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// Offsets of one chunk, and the parts of it that never change.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) preamble: Vec<u8>,
    pub(crate) ending: Vec<u8>,
    pub(crate) ending_offset: u64,
    pub(crate) capacity: Extent,
    pub(crate) offsets: Vec<u64>,
    pub(crate) text_offsets: Vec<u64>,
    buffers: Vec<Buffer>,
    body_bytes: usize,
}

impl Layout {
    /// The text region of each string view gets the items.
    pub(crate) fn new(columns: &Columns, capacity: Extent) -> Self {
        let mut layout = Self {
            preamble: Vec::new(),
            ending: Vec::new(),
            ending_offset: 0,
            capacity,
            offsets: Vec::new(),
            text_offsets: Vec::new(),
            buffers: Vec::new(),
            body_bytes: 0,
        };
        layout.place_columns(columns, 0);
        let header_bytes = layout.record_message(columns, Extent::default()).len();
        let schema = schema_message(columns.schema());
        // The superblock and the record header end at a page boundary, so that a commit stays inside one page.
        let body_offset =
            (MAGIC.len() + schema.len() + SUPERBLOCK_BYTES + header_bytes).next_multiple_of(PAGE);
        if layout.body_bytes >= LARGE_BODY_BYTES {
            let start = body_offset.next_multiple_of(LARGE_START) - body_offset;
            layout.place_columns(columns, start);
        }
        let record_offset = body_offset - header_bytes;
        layout.preamble = preamble(&schema, record_offset - SUPERBLOCK_BYTES);
        for offset in layout.offsets.iter_mut().chain(&mut layout.text_offsets) {
            *offset += body_offset as u64;
        }
        layout.ending_offset = (body_offset + layout.body_bytes) as u64;
        layout.ending = ending(
            columns.schema(),
            record_offset,
            header_bytes,
            layout.body_bytes,
        );
        layout
    }

    /// Place the regions one behind the other, the first one `start` bytes into the body.
    fn place_columns(&mut self, columns: &Columns, start: usize) {
        self.offsets.clear();
        self.text_offsets.clear();
        self.buffers.clear();
        let mut end = start;
        for storage in columns.storages() {
            let none = Buffer::new(end as i64, 0);
            self.buffers
                .extend(std::iter::repeat_n(none, storage.empty_buffers()));
            self.offsets.push(end as u64);
            if !matches!(storage, Storage::Struct) {
                end = self.place(end, storage.bytes(self.capacity));
            }
            if matches!(storage, Storage::View) {
                self.text_offsets.push(end as u64);
                end = self.place(end, Some(self.capacity.items));
            }
        }
        self.body_bytes = end;
    }

    /// Add a buffer; returns where the next one may start.
    fn place(&mut self, start: usize, bytes: Option<u64>) -> usize {
        // Capacities follow from the size of a chunk, or from a record that is in memory.
        let bytes = bytes.unwrap_or(0) as usize;
        self.buffers.push(Buffer::new(start as i64, bytes as i64));
        (start + bytes).next_multiple_of(ALIGNMENT)
    }

    /// Where the superblock starts, and with it what a commit writes.
    pub(crate) fn commit_offset(&self) -> u64 {
        self.preamble.len() as u64
    }

    /// The bytes of one commit: the superblock and the header of the record batch.
    pub(crate) fn commit(&self, columns: &Columns, superblock: Superblock, items: u64) -> Vec<u8> {
        let rows = superblock.rows;
        let mut bytes = superblock.to_bytes().to_vec();
        bytes.extend_from_slice(&self.record_message(columns, Extent { rows, items }));
        bytes
    }

    pub(crate) fn file_bytes(&self) -> u64 {
        self.ending_offset + self.ending.len() as u64
    }

    /// Size of one commit.
    pub(crate) fn commit_bytes(&self) -> usize {
        (self.body_offset() - self.commit_offset()) as usize
    }

    /// What lies between the regions.
    pub(crate) fn gaps(&self) -> impl Iterator<Item = Range<u64>> {
        let body = self.body_offset();
        let regions = self.buffers.iter().map(move |buffer| {
            let start = body + buffer.offset() as u64;
            start..start + buffer.length() as u64
        });
        let ending = self.ending_offset..self.ending_offset;
        let mut end = body;
        regions
            .chain(std::iter::once(ending))
            .map(move |region| std::mem::replace(&mut end, region.end)..region.start)
    }

    fn body_offset(&self) -> u64 {
        self.ending_offset - self.body_bytes as u64
    }

    fn record_message(&self, columns: &Columns, extent: Extent) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::with_capacity(1024);
        // A zero row count must take its eight bytes too: the message may not change its size.
        builder.force_defaults(true);
        let mut nodes = Vec::with_capacity(columns.storages().len() + 2);
        let mut views: Vec<i64> = Vec::new();
        let rows = extent.rows as i64;
        for storage in columns.storages() {
            match storage {
                Storage::Items { .. } => nodes.push(FieldNode::new(extent.items as i64, 0)),
                // Its array is that of the offsets.
                Storage::Text => {}
                _ => nodes.push(FieldNode::new(rows, 0)),
            }
            match storage {
                Storage::List { length, .. } => {
                    nodes.push(FieldNode::new(rows * *length as i64, 0))
                }
                Storage::View => views.push(1),
                _ => {}
            }
        }
        let buffers = builder.create_vector(&self.buffers);
        let nodes = builder.create_vector(&nodes);
        let views = (!views.is_empty()).then(|| builder.create_vector(&views));
        let mut batch = RecordBatchBuilder::new(&mut builder);
        batch.add_length(rows);
        batch.add_nodes(nodes);
        batch.add_buffers(buffers);
        if let Some(views) = views {
            batch.add_variadicBufferCounts(views);
        }
        let batch = batch.finish().as_union_value();
        let mut message = MessageBuilder::new(&mut builder);
        message.add_version(MetadataVersion::V5);
        message.add_header_type(MessageHeader::RecordBatch);
        message.add_bodyLength(self.body_bytes as i64);
        message.add_header(batch);
        let message = message.finish();
        builder.finish(message, None);
        let data = builder.finished_data();
        encapsulated(data, (8 + data.len()).next_multiple_of(ALIGNMENT))
    }
}

fn encapsulated(message: &[u8], total: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(total);
    bytes.extend_from_slice(&CONTINUATION);
    bytes.extend_from_slice(&((total - 8) as u32).to_le_bytes());
    bytes.extend_from_slice(message);
    bytes.resize(total, 0);
    bytes
}

fn schema_message(schema: &Schema) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let schema = IpcSchemaEncoder::new()
        .schema_to_fb_offset(&mut builder, schema)
        .as_union_value();
    let mut message = MessageBuilder::new(&mut builder);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(MessageHeader::Schema);
    message.add_bodyLength(0);
    message.add_header(schema);
    let message = message.finish();
    builder.finish(message, None);
    let data = builder.finished_data();
    encapsulated(data, 8 + data.len())
}

/// Magic and schema message; the declared size of the message reaches over the superblock to the record batch.
fn preamble(schema: &[u8], end: usize) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&CONTINUATION);
    let size = end + SUPERBLOCK_BYTES - MAGIC.len() - 8;
    bytes.extend_from_slice(&(size as u32).to_le_bytes());
    bytes.extend_from_slice(&schema[8..]);
    bytes.resize(end, 0);
    bytes
}

fn ending(
    schema: &Schema,
    record_offset: usize,
    header_bytes: usize,
    body_bytes: usize,
) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let schema = IpcSchemaEncoder::new().schema_to_fb_offset(&mut builder, schema);
    let block = Block::new(record_offset as i64, header_bytes as i32, body_bytes as i64);
    let blocks = builder.create_vector(&[block]);
    let dictionaries = builder.create_vector::<Block>(&[]);
    let mut footer = FooterBuilder::new(&mut builder);
    footer.add_version(MetadataVersion::V5);
    footer.add_schema(schema);
    footer.add_dictionaries(dictionaries);
    footer.add_recordBatches(blocks);
    let footer = footer.finish();
    builder.finish(footer, None);
    let data = builder.finished_data();
    let mut bytes = END_OF_STREAM.to_vec();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(&(data.len() as i32).to_le_bytes());
    bytes.extend_from_slice(&MAGIC[..6]);
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::io::Cursor;

    use arrow_ipc::reader::FileReader;

    use super::*;
    use crate::index_row::index_columns;
    use crate::kind::Kind;
    use crate::metric_row::metric_columns;
    use crate::value_type::ValueType;

    fn file(columns: &Columns, layout: &Layout, extent: Extent) -> Vec<u8> {
        let superblock = Superblock {
            rows: extent.rows,
            capacity: layout.capacity.rows,
            ..Superblock::default()
        };
        let mut bytes = layout.preamble.clone();
        bytes.extend_from_slice(&layout.commit(columns, superblock, extent.items));
        bytes.resize(layout.ending_offset as usize, 0);
        bytes.extend_from_slice(&layout.ending);
        bytes
    }

    fn kinds() -> Vec<Columns> {
        let mut kinds = vec![index_columns(), metric_columns()];
        for &value_type in ValueType::ALL {
            kinds.extend([vec![], vec![3], vec![2, 3]].map(|shape| {
                let kind = Kind::Tensor { value_type, shape };
                kind.columns("outputs")
            }));
            kinds.extend([1, 2, 64].map(|dimensions| {
                let kind = Kind::Ragged {
                    value_type,
                    dimensions,
                };
                kind.columns("outputs")
            }));
        }
        kinds.extend([true, false].map(|json| Kind::Text { json }.columns("outputs")));
        kinds
    }

    #[test]
    fn every_kind_of_chunk_is_an_arrow_file_at_every_count_of_rows() {
        for columns in kinds() {
            let capacity = Extent {
                rows: 100,
                items: 64,
            };
            let layout = Layout::new(&columns, capacity);
            for (rows, items) in [(0, 0), (1, 0), (1, 1), (99, 63), (100, 64)] {
                let bytes = file(&columns, &layout, Extent { rows, items });
                let reader = FileReader::try_new(Cursor::new(bytes), None).unwrap();
                let batches: Vec<_> = reader.map(Result::unwrap).collect();
                assert_eq!(
                    batches.iter().map(|batch| batch.num_rows()).sum::<usize>(),
                    rows as usize
                );
                for column in batches.iter().flat_map(|batch| batch.columns()) {
                    column.to_data().validate_full().unwrap();
                }
            }
        }
    }

    #[test]
    fn a_commit_lies_inside_one_page() {
        for columns in kinds() {
            for rows in [0, 1, 1000, 1 << 30] {
                let layout = Layout::new(&columns, Extent { rows, items: rows });
                let start = layout.commit_offset() as usize;
                let bytes = layout.commit(&columns, Superblock::default(), 0).len();
                assert_eq!(start / PAGE, (start + bytes - 1) / PAGE);
                assert_eq!((start + bytes) % PAGE, 0);
            }
        }
    }

    #[test]
    fn a_header_does_not_change_its_size() {
        for columns in kinds() {
            let capacity = Extent {
                rows: 1 << 30,
                items: 1 << 30,
            };
            let layout = Layout::new(&columns, capacity);
            let sizes = [0, 1, 1 << 30].map(|rows| {
                layout
                    .record_message(&columns, Extent { rows, items: rows })
                    .len()
            });
            assert!(sizes.iter().all(|&size| size == sizes[0]));
        }
    }
}
