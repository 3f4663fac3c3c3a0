//! Metrics as Arrow: the columns of their table, and a table of them read again.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampNanosecondType};
use arrow_array::{
    Array, ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, RecordBatchReader,
    StringArray, TimestampNanosecondArray,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::error::{Result, StoreError};
use crate::input::open_input;
use crate::metric_row::LABELS;
use crate::metric_table::{Label, MetricRow, MetricTable};
use crate::parquet_digest::verify_parquet;

/// The texts of so many rows are far below what the offsets of one array can tell.
const ROWS_AT_ONCE: usize = 1 << 16;

/// The columns of a table of metrics.
pub(crate) fn metric_schema() -> Schema {
    Schema::new(vec![
        Field::new("run_id", DataType::Utf8, false),
        Field::new("session", DataType::Int32, false),
        Field::new("phase", DataType::Utf8, false),
        Field::new("node", DataType::Utf8, true),
        Field::new("split", DataType::Utf8, true),
        Field::new("name", DataType::Utf8, false),
        Field::new("epoch", DataType::Int32, true),
        Field::new("batch", DataType::Int32, true),
        Field::new("step", DataType::Int64, false),
        Field::new(
            "time",
            DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            false,
        ),
        Field::new("value", DataType::Float64, false),
    ])
}

impl MetricTable {
    /// Some rows as the columns of `metric_schema`.
    pub(crate) fn columns(&self, rows: Range<usize>) -> Vec<ArrayRef> {
        let rows = &self.rows[rows];
        let texts = |label: Label| {
            rows.iter()
                .map(move |row| label.of(&self.series()[row.series as usize]))
        };
        let given = |label| StringArray::from_iter_values(texts(label));
        let optional = |label| {
            let texts = texts(label);
            texts
                .map(|text| (!text.is_empty()).then_some(text))
                .collect::<StringArray>()
        };
        let positive = |number: fn(&MetricRow) -> i32| {
            let numbers = rows.iter().map(number);
            numbers
                .map(|number| (number >= 0).then_some(number))
                .collect::<Int32Array>()
        };
        let run_ids = std::iter::repeat_n(&self.run_id, rows.len());
        let times = TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| row.time));
        vec![
            Arc::new(StringArray::from_iter_values(run_ids)),
            Arc::new(Int32Array::from_iter_values(
                rows.iter().map(|row| row.session),
            )),
            Arc::new(given(Label::Phase)),
            Arc::new(optional(Label::Node)),
            Arc::new(optional(Label::Split)),
            Arc::new(given(Label::Name)),
            Arc::new(positive(|row| row.epoch)),
            Arc::new(positive(|row| row.batch)),
            Arc::new(Int64Array::from_iter_values(
                rows.iter().map(|row| row.step),
            )),
            Arc::new(times.with_timezone("UTC")),
            Arc::new(Float64Array::from_iter_values(
                rows.iter().map(|row| row.value),
            )),
        ]
    }

    /// The table as a stream of Arrow's C interface, which keeps it alive.
    #[must_use]
    pub fn stream(self: &Arc<Self>) -> FFI_ArrowArrayStream {
        FFI_ArrowArrayStream::new(Box::new(Batches {
            table: Arc::clone(self),
            schema: Arc::new(metric_schema()),
            next: 0,
        }))
    }

    /// Read the rows from `first` on of a table that `export_metrics` wrote, after it was compared with its digest.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or has other columns.
    pub fn read_parquet(path: &Path, first: usize) -> Result<Self> {
        verify_parquet(path)?;
        let (file, _) = open_input(path)?;
        let read = || {
            let mut table = Self::default();
            let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
            let reader = reader.with_batch_size(ROWS_AT_ONCE).with_offset(first);
            for batch in reader.build()? {
                table.add_batch(&batch?)?;
            }
            Ok::<_, ArrowError>(table)
        };
        // The decoders panic where a file lies, as those of the headers do.
        let found = catch_unwind(AssertUnwindSafe(read));
        let damaged = |reason: String| StoreError::damaged(path, 0, reason);
        found
            .map_err(|_| damaged("its rows cannot be decoded".to_owned()))?
            .map_err(|error| damaged(error.to_string()))
    }

    fn add_batch(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let texts = |name| {
            column(batch, name)?
                .as_string_opt::<i32>()
                .ok_or_else(|| other(name))
        };
        let numbers = |name| {
            let column = column(batch, name)?;
            column
                .as_primitive_opt::<Int32Type>()
                .ok_or_else(|| other(name))
        };
        let labels = [
            texts("phase")?,
            texts("split")?,
            texts("node")?,
            texts("name")?,
        ];
        let (session, epoch, batch_number) =
            (numbers("session")?, numbers("epoch")?, numbers("batch")?);
        let step = column(batch, "step")?.as_primitive_opt::<Int64Type>();
        let step = step.ok_or_else(|| other("step"))?;
        let time = column(batch, "time")?.as_primitive_opt::<TimestampNanosecondType>();
        let time = time.ok_or_else(|| other("time"))?;
        let value = column(batch, "value")?.as_primitive_opt::<Float64Type>();
        let value = value.ok_or_else(|| other("value"))?;
        let run_id = texts("run_id")?;
        if self.rows.is_empty() && !run_id.is_empty() {
            run_id.value(0).clone_into(&mut self.run_id);
        }
        for row in 0..batch.num_rows() {
            let mut found = [""; LABELS];
            for (text, column) in found.iter_mut().zip(labels) {
                if column.is_valid(row) {
                    *text = column.value(row);
                }
            }
            let number = |column: &Int32Array| match column.is_valid(row) {
                true => column.value(row),
                false => -1,
            };
            let series = self.place_of(found);
            self.rows.push(MetricRow {
                series,
                session: session.value(row),
                epoch: number(epoch),
                batch: number(batch_number),
                step: step.value(row),
                time: time.value(row),
                value: value.value(row),
            });
        }
        Ok(())
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, ArrowError> {
    batch.column_by_name(name).ok_or_else(|| other(name))
}

fn other(name: &str) -> ArrowError {
    ArrowError::SchemaError(format!("column `{name}` is not that of a table of metrics"))
}

/// The rows of a table, batch by batch.
struct Batches {
    table: Arc<MetricTable>,
    schema: SchemaRef,
    next: usize,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.next..self.table.rows.len().min(self.next + ROWS_AT_ONCE);
        if rows.is_empty() {
            return None;
        }
        self.next = rows.end;
        Some(RecordBatch::try_new(
            Arc::clone(&self.schema),
            self.table.columns(rows),
        ))
    }
}

impl RecordBatchReader for Batches {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
