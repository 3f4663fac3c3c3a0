//! All metrics of a store as one Parquet table.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};

use crate::chunk_map::ChunkMap;
use crate::description::Session;
use crate::error::Result;
use crate::metric_row::{LABELS, check_labelled_row, metric_column, row_labels};
use crate::parquet_file::{Encodings, ParquetFile, failed};
use crate::store_reader::StoreReader;

const ROWS_AT_ONCE: u64 = 1 << 16;
const PAGE_ROWS: usize = 20_000;

/// Write the metrics at or below the watermark as Parquet; returns the rows.
pub fn export_metrics(store: &Path, path: &Path, run_id: &str) -> Result<u64> {
    let reader = StoreReader::open(store)?;
    let sessions = reader.sessions();
    let encodings = Encodings {
        repeated: &[
            "run_id", "session", "phase", "node", "split", "name", "epoch", "batch",
        ],
        counting: &["step", "time"],
        page_rows: PAGE_ROWS,
    };
    let mut file = ParquetFile::create(path, schema(), &encodings, run_id)?;
    for (map, visible) in reader.metric_rows() {
        let mut start = visible.start;
        while start < visible.end {
            let rows = start..visible.end.min(start + ROWS_AT_ONCE);
            start = rows.end;
            let columns = columns(&map, rows, run_id, &sessions)?;
            let batch = RecordBatch::try_new(Arc::clone(file.schema()), columns)
                .map_err(|error| failed(file.path(), &error.into()))?;
            file.write(&batch)?;
        }
    }
    file.finish()
}

fn schema() -> Schema {
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

fn columns(
    map: &ChunkMap,
    rows: Range<u64>,
    run_id: &str,
    sessions: &[Session],
) -> Result<Vec<ArrayRef>> {
    let count = (rows.end - rows.start) as usize;
    let mut labels = [const { Vec::new() }; LABELS];
    let mut session_numbers = Vec::with_capacity(count);
    for row in rows.clone() {
        let texts = row_labels(map, row)?;
        session_numbers.push(session_of(check_labelled_row(map, row, texts)?, sessions));
        labels
            .iter_mut()
            .zip(texts)
            .for_each(|(column, text)| column.push(text));
    }
    let [phase, split, node, name] = labels;
    let positive = |column| {
        numbers(map, column, &rows)
            .map(i32::from_le_bytes)
            .map(|number| (number >= 0).then_some(number))
            .collect::<Int32Array>()
    };
    let long = |column| numbers(map, column, &rows).map(i64::from_le_bytes);
    let values = numbers(map, metric_column::VALUE, &rows).map(f64::from_le_bytes);
    Ok(vec![
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
            run_id, count,
        ))),
        Arc::new(Int32Array::from(session_numbers)),
        Arc::new(StringArray::from_iter_values(phase)),
        Arc::new(optional(&node)),
        Arc::new(optional(&split)),
        Arc::new(StringArray::from_iter_values(name)),
        Arc::new(positive(metric_column::EPOCH)),
        Arc::new(positive(metric_column::BATCH)),
        Arc::new(Int64Array::from_iter_values(long(metric_column::STEP))),
        Arc::new(
            TimestampNanosecondArray::from_iter_values(long(metric_column::TIME))
                .with_timezone("UTC"),
        ),
        Arc::new(Float64Array::from_iter_values(values)),
    ])
}

fn numbers<'a, const N: usize>(
    map: &'a ChunkMap,
    column: usize,
    rows: &Range<u64>,
) -> impl Iterator<Item = [u8; N]> + use<'a, N> {
    map.rows(column, rows.clone()).as_chunks().0.iter().copied()
}

/// The session that wrote the record of this number.
fn session_of(sequence: u64, sessions: &[Session]) -> i32 {
    let begun = sessions.partition_point(|session| session.first_sequence <= sequence);
    let session = begun
        .checked_sub(1)
        .map_or(0, |last| sessions[last].session);
    i32::try_from(session).unwrap_or(i32::MAX)
}

fn optional(texts: &[&str]) -> StringArray {
    let mut builder = StringBuilder::new();
    texts
        .iter()
        .for_each(|text| builder.append_option((!text.is_empty()).then_some(text)));
    builder.finish()
}
