//! One Parquet table of a phase: a row for each sample, a column for each channel.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Int32Array, Int64Array, ListArray,
    RecordBatch, StringArray, StructArray, make_array,
};
use arrow_buffer::{BooleanBuffer, Buffer, MutableBuffer, OffsetBuffer};
use arrow_data::ArrayData;
use arrow_schema::{ArrowError, DataType, Field, Schema};

use crate::channel_reader::ChannelReader;
use crate::error::{Result, StoreError};
use crate::index_row::BatchEntry;
use crate::kind::{Kind, row_length};
use crate::parquet_file::{Encodings, ParquetFile, failed};
use crate::rows::Rows;
use crate::store_reader::StoreReader;
use crate::value_type::ValueType;

const SAMPLE_ID: &str = "sample_id";
const DEFAULT_ROLE: &str = "default";
/// Small batches are put together to this size before they are encoded. They then share a page.
const BYTES_AT_ONCE: usize = 512 << 10;
/// Arrow counts the items of one array of lists or texts in 31 bits.
const MOST_BYTES: usize = i32::MAX as usize;
/// Few enough that the page index of the keys leads to one batch.
const KEY_PAGE_ROWS: usize = 4096;

/// Write one phase's tensor channels as Parquet, one row per sample; returns the rows.
///
/// With an epoch, only the rows that were recorded in it; with nodes, only their channels.
pub fn export_execution(
    store: &Path,
    phase: &str,
    path: &Path,
    run_id: &str,
    epoch: Option<i32>,
    nodes: Option<&[String]>,
) -> Result<u64> {
    let reader = StoreReader::open_unchecked(store)?;
    let channels = channels_of(&reader, phase, nodes)?;
    let sample_ids = channels.iter().position(|channel| is_sample_id(channel));
    let columns: Vec<Column> = channels
        .iter()
        .enumerate()
        .filter(|(position, _)| Some(*position) != sample_ids)
        .map(|(_, channel)| Column::new(channel))
        .collect();
    // The channel of the sample ids gives the order; any other does where there is none.
    let reference = &channels[sample_ids.unwrap_or(0)];
    let encodings = Encodings {
        repeated: &["run_id", "phase", "epoch", "batch"],
        counting: &[SAMPLE_ID],
        page_rows: KEY_PAGE_ROWS,
    };
    let file = ParquetFile::create(path, schema(&columns), &encodings, run_id)?;
    let mut table = Table {
        file,
        columns,
        keys: Vec::new(),
        sample_ids: sample_ids.map(|_| Vec::new()),
        bytes: 0,
        run_id,
        phase,
    };
    for position in 0..reference.batches() {
        let recorded_in = reference.entry(position)?.epoch;
        if epoch.is_some_and(|epoch| epoch != recorded_in) {
            continue;
        }
        table.add(reference, position)?;
        if table.bytes >= BYTES_AT_ONCE {
            table.write()?;
        }
    }
    table.write()?;
    table.file.finish()
}

fn channels_of(
    reader: &StoreReader,
    phase: &str,
    nodes: Option<&[String]>,
) -> Result<Vec<Arc<ChannelReader>>> {
    let (channels, others): (Vec<_>, Vec<_>) = reader.channels().into_iter().partition(|channel| {
        channel.key().phase == phase
            && nodes.is_none_or(|nodes| nodes.contains(&channel.key().node))
    });
    if channels.is_empty() {
        let mut known: Vec<&str> = others
            .iter()
            .map(|channel| channel.key().phase.as_str())
            .collect();
        known.sort_unstable();
        known.dedup();
        return Err(StoreError::NoPhase {
            path: reader.folder().to_path_buf(),
            phase: phase.to_owned(),
            known: known.join(", "),
        });
    }
    Ok(channels)
}

fn is_sample_id(channel: &ChannelReader) -> bool {
    let numbers = Kind::Tensor {
        value_type: ValueType::Int64,
        shape: Vec::new(),
    };
    channel.key().field == SAMPLE_ID && *channel.kind() == numbers
}

fn schema(columns: &[Column]) -> Schema {
    let mut fields = vec![
        Field::new("run_id", DataType::Utf8, false),
        Field::new("phase", DataType::Utf8, false),
        Field::new("epoch", DataType::Int32, true),
        Field::new("batch", DataType::Int32, true),
        Field::new(SAMPLE_ID, DataType::Int64, true),
    ];
    fields.extend(columns.iter().map(|column| column.field.clone()));
    Schema::new(fields)
}

/// One channel on its way into the table.
struct Column {
    channel: Arc<ChannelReader>,
    field: Field,
    values: MutableBuffer,
    // Of rows that differ in length.
    lengths: Vec<usize>,
    shapes: Vec<i32>,
}

impl Column {
    fn new(channel: &Arc<ChannelReader>) -> Self {
        let item = match channel.kind() {
            Kind::Tensor { value_type, .. } | Kind::Ragged { value_type, .. } => {
                exported(*value_type)
            }
            Kind::Text { .. } => DataType::Utf8,
        };
        Self {
            field: channel.kind().field(&column_name(channel), item),
            channel: Arc::clone(channel),
            values: MutableBuffer::new(0),
            lengths: Vec::new(),
            shapes: Vec::new(),
        }
    }

    /// Gather the rows of a batch, which match their checksum.
    fn add(&mut self, rows: &Rows) {
        self.values.extend_from_slice(rows.bytes());
        self.lengths
            .extend(rows.lengths().map(|items| items as usize));
        self.shapes.extend(rows.shapes());
    }

    /// The gathered values as an array of so many rows.
    fn take(&mut self, rows: usize) -> Result<ArrayRef, ArrowError> {
        let values = Buffer::from(std::mem::replace(&mut self.values, MutableBuffer::new(0)));
        let lengths = std::mem::take(&mut self.lengths);
        let shapes = std::mem::take(&mut self.shapes);
        match (self.channel.kind(), self.field.data_type()) {
            (Kind::Tensor { value_type, shape }, DataType::FixedSizeList(item, length)) => {
                let items = rows * row_length(*value_type, shape).unwrap_or(1);
                let numbers = numbers(*value_type, items, values)?;
                let list = FixedSizeListArray::try_new(Arc::clone(item), *length, numbers, None)?;
                Ok(Arc::new(list))
            }
            (Kind::Ragged { value_type, .. }, DataType::Struct(members)) => {
                let numbers = numbers(*value_type, lengths.iter().sum(), values)?;
                let offsets = OffsetBuffer::from_lengths(lengths);
                let data = ListArray::try_new(item_of(&members[0]), offsets, numbers, None)?;
                let shapes: ArrayRef = Arc::new(Int32Array::from(shapes));
                let dimensions = self.channel.kind().shape().len() as i32;
                let shape = item_of(&members[1]);
                let shape = FixedSizeListArray::try_new(shape, dimensions, shapes, None)?;
                let arrays: Vec<ArrayRef> = vec![Arc::new(data), Arc::new(shape)];
                Ok(Arc::new(StructArray::try_new(
                    members.clone(),
                    arrays,
                    None,
                )?))
            }
            (Kind::Text { .. }, _) => {
                let offsets = OffsetBuffer::from_lengths(lengths);
                Ok(Arc::new(StringArray::try_new(offsets, values, None)?))
            }
            (Kind::Tensor { value_type, .. } | Kind::Ragged { value_type, .. }, _) => {
                numbers(*value_type, rows, values)
            }
        }
    }
}

/// The field of the items of a list.
fn item_of(list: &Field) -> Arc<Field> {
    match list.data_type() {
        DataType::List(item) | DataType::FixedSizeList(item, _) => Arc::clone(item),
        _ => Arc::new(list.clone()),
    }
}

/// `<node>.<field>`, with the role between them where it is not the default one.
fn column_name(channel: &ChannelReader) -> String {
    let key = channel.key();
    let role = if key.role == DEFAULT_ROLE {
        ""
    } else {
        &key.role
    };
    let labels = [key.node.as_str(), role, key.field.as_str()];
    labels
        .into_iter()
        .filter(|label| !label.is_empty())
        .collect::<Vec<_>>()
        .join(".")
}

/// The Arrow type of an exported number: those that tables lack are widened.
fn exported(value_type: ValueType) -> DataType {
    match value_type {
        ValueType::Bool => DataType::Boolean,
        ValueType::Bfloat16 => DataType::Float32,
        _ => value_type.stored(),
    }
}

fn numbers(value_type: ValueType, items: usize, values: Buffer) -> Result<ArrayRef, ArrowError> {
    match value_type {
        ValueType::Bool => {
            let bits = BooleanBuffer::collect_bool(items, |item| values[item] != 0);
            Ok(Arc::new(BooleanArray::new(bits, None)))
        }
        ValueType::Bfloat16 => {
            let halves = values.as_chunks().0.iter().copied().map(u16::from_le_bytes);
            Ok(Arc::new(Float32Array::from_iter_values(
                halves.map(|half| f32::from_bits(u32::from(half) << 16)),
            )))
        }
        _ => {
            let data = ArrayData::builder(value_type.stored())
                .len(items)
                .add_buffer(values)
                .build()?;
            Ok(make_array(data))
        }
    }
}

struct Table<'a> {
    file: ParquetFile,
    columns: Vec<Column>,
    keys: Vec<(i32, i32)>,
    sample_ids: Option<Vec<i64>>,
    bytes: usize,
    run_id: &'a str,
    phase: &'a str,
}

impl Table<'_> {
    /// Add one batch of all channels, unless one of them lacks it or it was recorded again later.
    fn add(&mut self, reference: &ChannelReader, position: usize) -> Result<()> {
        let entry = reference.entry(position)?;
        if reference.position(entry.epoch, entry.batch)? != Some(position) {
            return Ok(());
        }
        let mut found = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let channel = &column.channel;
            let Some(position) = channel.position(entry.epoch, entry.batch)? else {
                return Ok(());
            };
            let rows = channel.at(position)?;
            if rows.count() != entry.rows as usize {
                return Err(unequal(entry, reference, channel, rows.count()));
            }
            rows.check(channel.entry(position)?)?;
            found.push(rows);
        }
        let bytes: usize = found.iter().map(|rows| rows.bytes().len()).sum();
        if self.bytes + bytes > MOST_BYTES {
            self.write()?;
        }
        if let Some(sample_ids) = &mut self.sample_ids {
            let rows = reference.at(position)?;
            rows.check(entry)?;
            sample_ids.extend(
                rows.bytes()
                    .as_chunks()
                    .0
                    .iter()
                    .copied()
                    .map(i64::from_le_bytes),
            );
        }
        for (column, rows) in self.columns.iter_mut().zip(found) {
            column.add(&rows);
            self.bytes += rows.bytes().len();
        }
        self.bytes += size_of::<i64>() * entry.rows as usize;
        self.keys.extend(std::iter::repeat_n(
            (entry.epoch, entry.batch),
            entry.rows as usize,
        ));
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        let arrow = |error: ArrowError| failed(self.file.path(), &error.into());
        let rows = self.keys.len();
        let text = |text: &str| {
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
                text, rows,
            )))
        };
        let positive = |number: i32| (number >= 0).then_some(number);
        let mut arrays: Vec<ArrayRef> = vec![
            text(self.run_id),
            text(self.phase),
            Arc::new(
                self.keys
                    .iter()
                    .map(|key| positive(key.0))
                    .collect::<Int32Array>(),
            ),
            Arc::new(
                self.keys
                    .iter()
                    .map(|key| positive(key.1))
                    .collect::<Int32Array>(),
            ),
            match &mut self.sample_ids {
                Some(sample_ids) => Arc::new(Int64Array::from(std::mem::take(sample_ids))),
                None => Arc::new(Int64Array::new_null(rows)),
            },
        ];
        for column in &mut self.columns {
            arrays.push(column.take(rows).map_err(arrow)?);
        }
        let batch = RecordBatch::try_new(Arc::clone(self.file.schema()), arrays).map_err(arrow)?;
        self.keys.clear();
        self.bytes = 0;
        if rows > 0 {
            self.file.write(&batch)
        } else {
            Ok(())
        }
    }
}

fn unequal(
    entry: BatchEntry,
    reference: &ChannelReader,
    channel: &ChannelReader,
    found: usize,
) -> StoreError {
    StoreError::UnequalRows {
        epoch: entry.epoch,
        batch: entry.batch,
        channel: channel.name().to_owned(),
        found,
        reference: reference.name().to_owned(),
        expected: entry.rows as usize,
    }
}
