//! Where everything stands in a chunk: a complete Arrow IPC file with one record batch of fixed capacity.

use std::collections::HashMap;

use arrow_ipc::convert::IpcSchemaEncoder;
use arrow_ipc::{
    Block, Buffer, FieldNode, FooterBuilder, MessageBuilder, MessageHeader, MetadataVersion,
    RecordBatchBuilder,
};
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};
use flatbuffers::FlatBufferBuilder;

use crate::superblock::{SUPERBLOCK_BYTES, Superblock};
use crate::value_type::ValueType;

pub(crate) const MAGIC: &[u8; 8] = b"ARROW1\0\0";
pub(crate) const PAGE: usize = 4096;
const ALIGNMENT: usize = 64;
/// Where the first column of a large chunk starts: the page cache takes large writes there in large pieces.
const LARGE_START: usize = 64 << 10;
const LARGE_BODY_BYTES: usize = 1 << 20;
const CONTINUATION: [u8; 4] = [0xff; 4];
const END_OF_STREAM: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// How the rows of a column are stored.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    /// One number of this many bytes.
    Plain { bytes: usize },
    /// A fixed number of numbers.
    List { length: usize, item_bytes: usize },
    /// A string view of 16 bytes; text longer than 12 bytes stands in the column's text region.
    Text,
}

impl Storage {
    pub(crate) fn row_bytes(&self) -> usize {
        match self {
            Self::Plain { bytes } => *bytes,
            Self::List { length, item_bytes } => length * item_bytes,
            Self::Text => 16,
        }
    }
}

/// The columns that all chunks of one channel have.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    schema: Schema,
    storages: Vec<Storage>,
}

impl Columns {
    pub(crate) fn new(columns: Vec<(Field, Storage)>) -> Self {
        let (fields, storages): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        Self {
            schema: Schema::new(fields),
            storages,
        }
    }

    pub(crate) fn row_bytes(&self) -> usize {
        self.storages.iter().map(Storage::row_bytes).sum()
    }

    pub(crate) fn fields(&self) -> &Fields {
        self.schema.fields()
    }

    pub(crate) fn storages(&self) -> &[Storage] {
        &self.storages
    }
}

pub(crate) fn plain(name: &str, data_type: DataType, bytes: usize) -> (Field, Storage) {
    (Field::new(name, data_type, false), Storage::Plain { bytes })
}

pub(crate) fn text(name: &str) -> (Field, Storage) {
    (Field::new(name, DataType::Utf8View, false), Storage::Text)
}

pub(crate) fn time(name: &str) -> (Field, Storage) {
    plain(
        name,
        DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        8,
    )
}

/// The Arrow field of a tensor column, with its logical dtype and shape in the metadata.
pub(crate) fn tensor_field(
    name: &str,
    item: DataType,
    length: Option<usize>,
    dtype: &str,
    shape: &[usize],
) -> Field {
    let data_type = match length {
        None => item,
        // Row lengths come from shapes that were checked to fit i32 when the channel was made.
        Some(length) => {
            DataType::FixedSizeList(Field::new("item", item, false).into(), length as i32)
        }
    };
    Field::new(name, data_type, false).with_metadata(HashMap::from([
        ("specplan.dtype".to_owned(), dtype.to_owned()),
        ("specplan.shape".to_owned(), format!("{shape:?}")),
    ]))
}

/// Stored numbers in a row, None where a row is one plain number.
pub(crate) fn row_length(value_type: ValueType, shape: &[usize]) -> Option<usize> {
    if shape.is_empty() && value_type.parts() == 1 {
        return None;
    }
    Some(shape.iter().product::<usize>() * value_type.parts())
}

/// Offsets of one chunk, and the parts of it that never change.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) preamble: Vec<u8>,
    pub(crate) ending: Vec<u8>,
    pub(crate) ending_offset: u64,
    pub(crate) capacity: u64,
    pub(crate) text_capacity: usize,
    pub(crate) column_offsets: Vec<u64>,
    pub(crate) text_offsets: Vec<u64>,
    buffers: Vec<Buffer>,
    body_bytes: usize,
}

impl Layout {
    pub(crate) fn new(columns: &Columns, capacity: u64, text_capacity: usize) -> Self {
        let mut layout = Self {
            preamble: Vec::new(),
            ending: Vec::new(),
            ending_offset: 0,
            capacity,
            text_capacity,
            column_offsets: Vec::new(),
            text_offsets: Vec::new(),
            buffers: Vec::new(),
            body_bytes: 0,
        };
        layout.place_columns(columns, 0);
        let header_bytes = layout.record_message(columns, 0).len();
        let schema = schema_message(&columns.schema);
        // The superblock and the record header end at a page boundary, so that a commit stays inside one page.
        let body_offset =
            (MAGIC.len() + schema.len() + SUPERBLOCK_BYTES + header_bytes).next_multiple_of(PAGE);
        if layout.body_bytes >= LARGE_BODY_BYTES {
            let start = body_offset.next_multiple_of(LARGE_START) - body_offset;
            layout.place_columns(columns, start);
        }
        let record_offset = body_offset - header_bytes;
        layout.preamble = preamble(&schema, record_offset - SUPERBLOCK_BYTES);
        for offset in layout
            .column_offsets
            .iter_mut()
            .chain(&mut layout.text_offsets)
        {
            *offset += body_offset as u64;
        }
        layout.ending_offset = (body_offset + layout.body_bytes) as u64;
        layout.ending = ending(
            &columns.schema,
            record_offset,
            header_bytes,
            layout.body_bytes,
        );
        layout
    }

    /// Place the columns one behind the other, the first one `start` bytes into the body.
    fn place_columns(&mut self, columns: &Columns, start: usize) {
        self.column_offsets.clear();
        self.text_offsets.clear();
        self.buffers.clear();
        let mut end = start;
        let none = |end: usize| Buffer::new(end as i64, 0);
        for storage in &columns.storages {
            let bytes = storage.row_bytes() * self.capacity as usize;
            self.column_offsets.push(end as u64);
            self.buffers.push(none(end));
            if matches!(storage, Storage::List { .. }) {
                self.buffers.push(none(end));
            }
            self.buffers.push(Buffer::new(end as i64, bytes as i64));
            end = (end + bytes).next_multiple_of(ALIGNMENT);
            if matches!(storage, Storage::Text) {
                self.text_offsets.push(end as u64);
                self.buffers
                    .push(Buffer::new(end as i64, self.text_capacity as i64));
                end = (end + self.text_capacity).next_multiple_of(ALIGNMENT);
            }
        }
        self.body_bytes = end;
    }

    /// Where the superblock starts, and with it what a commit writes.
    pub(crate) fn commit_offset(&self) -> u64 {
        self.preamble.len() as u64
    }

    /// The bytes of one commit: the superblock and the header of the record batch.
    pub(crate) fn commit(&self, columns: &Columns, superblock: Superblock) -> Vec<u8> {
        let mut bytes = superblock.to_bytes().to_vec();
        bytes.extend_from_slice(&self.record_message(columns, superblock.rows));
        bytes
    }

    pub(crate) fn file_bytes(&self) -> u64 {
        self.ending_offset + self.ending.len() as u64
    }

    fn record_message(&self, columns: &Columns, rows: u64) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::with_capacity(1024);
        // A zero row count must take its eight bytes too: the message may not change its size.
        builder.force_defaults(true);
        let mut nodes = Vec::with_capacity(columns.storages.len() + 1);
        let mut texts: Vec<i64> = Vec::new();
        for storage in &columns.storages {
            nodes.push(FieldNode::new(rows as i64, 0));
            match storage {
                Storage::List { length, .. } => {
                    nodes.push(FieldNode::new(rows as i64 * *length as i64, 0))
                }
                Storage::Text => texts.push(1),
                Storage::Plain { .. } => {}
            }
        }
        let buffers = builder.create_vector(&self.buffers);
        let nodes = builder.create_vector(&nodes);
        let texts = (!texts.is_empty()).then(|| builder.create_vector(&texts));
        let mut batch = RecordBatchBuilder::new(&mut builder);
        batch.add_length(rows as i64);
        batch.add_nodes(nodes);
        batch.add_buffers(buffers);
        if let Some(texts) = texts {
            batch.add_variadicBufferCounts(texts);
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
    use crate::metric_files::metric_columns;
    use crate::tensor_files::{index_columns, value_columns};

    fn file(columns: &Columns, layout: &Layout, rows: u64) -> Vec<u8> {
        let superblock = Superblock {
            rows,
            capacity: layout.capacity,
            ..Superblock::default()
        };
        let mut bytes = layout.preamble.clone();
        bytes.extend_from_slice(&layout.commit(columns, superblock));
        bytes.resize(layout.ending_offset as usize, 0);
        bytes.extend_from_slice(&layout.ending);
        bytes
    }

    fn kinds() -> Vec<Columns> {
        let mut kinds = vec![index_columns(), metric_columns()];
        for &value_type in ValueType::ALL {
            kinds.extend(
                [&[][..], &[3], &[2, 3]].map(|shape| value_columns("outputs", value_type, shape)),
            );
        }
        kinds
    }

    #[test]
    fn every_kind_of_chunk_is_an_arrow_file_at_every_count_of_rows() {
        for columns in kinds() {
            let layout = Layout::new(&columns, 100, 64);
            for rows in [0, 1, 99, 100] {
                let reader =
                    FileReader::try_new(Cursor::new(file(&columns, &layout, rows)), None).unwrap();
                let batches: Vec<_> = reader.map(Result::unwrap).collect();
                assert_eq!(
                    batches.iter().map(|batch| batch.num_rows()).sum::<usize>(),
                    rows as usize
                );
            }
        }
    }

    #[test]
    fn a_commit_lies_inside_one_page() {
        for columns in kinds() {
            for capacity in [0, 1, 1000, 1 << 30] {
                let layout = Layout::new(&columns, capacity, 1 << 16);
                let start = layout.commit_offset() as usize;
                let bytes = layout.commit(&columns, Superblock::default()).len();
                assert_eq!(start / PAGE, (start + bytes - 1) / PAGE);
                assert_eq!((start + bytes) % PAGE, 0);
            }
        }
    }

    #[test]
    fn a_header_does_not_change_its_size() {
        for columns in kinds() {
            let layout = Layout::new(&columns, 1 << 30, 64);
            let sizes = [0, 1, 1 << 30].map(|rows| layout.record_message(&columns, rows).len());
            assert!(sizes.iter().all(|&size| size == sizes[0]));
        }
    }
}
