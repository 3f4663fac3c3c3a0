//! A row of the metrics: its labels, its numbers, and where each of them stands.

use arrow_schema::DataType;

use crate::chunk_map::ChunkMap;
use crate::columns::{Columns, plain, time, view};
use crate::error::Result;
use crate::metric_files::Series;
use crate::superblock::MOST_SEQUENCE;

/// Number of labels of a row.
pub(crate) const LABELS: usize = 4;

/// Places of the columns of `metric_columns`.
pub(crate) mod metric_column {
    use std::ops::Range;

    pub(crate) const STEP: usize = 0;
    pub(crate) const TIME: usize = 1;
    pub(crate) const EPOCH: usize = 2;
    pub(crate) const BATCH: usize = 3;
    pub(crate) const LABELS: Range<usize> = 4..8;
    pub(crate) const VALUE: usize = 8;
    pub(crate) const SEQUENCE: usize = 9;
    pub(crate) const CRC: usize = 10;
}

/// Columns of the metrics; the reader finds them by name.
pub(crate) fn metric_columns() -> Columns {
    Columns::new(vec![
        plain("step", DataType::Int64, 8),
        time("time"),
        plain("epoch", DataType::Int32, 4),
        plain("batch", DataType::Int32, 4),
        view("phase"),
        view("split"),
        view("node"),
        view("name"),
        plain("value", DataType::Float64, 8),
        plain("sequence", DataType::UInt64, 8),
        plain("crc32", DataType::UInt32, 4),
    ])
}

/// The labels of a row: phase, split, node, name.
pub(crate) fn row_labels(map: &ChunkMap, row: u64) -> Result<[&str; LABELS]> {
    let mut texts = [""; LABELS];
    for (text, column) in texts.iter_mut().zip(metric_column::LABELS) {
        *text = map.text(column, row)?;
    }
    Ok(texts)
}

/// Compare a row with its checksum; returns its sequence number.
pub(crate) fn check_row(map: &ChunkMap, row: u64) -> Result<u64> {
    check_labelled_row(map, row, row_labels(map, row)?)
}

/// Compare what the views of a row say beside its labels.
pub(crate) fn check_views(map: &ChunkMap, row: u64) -> Result<()> {
    for column in metric_column::LABELS {
        let label = map.text(column, row)?;
        if !map.view_fits(column, row, label) {
            let reason = "the beginning of a label is not that of its text";
            return Err(map.damaged(map.row_offset(column, row), reason));
        }
    }
    Ok(())
}

/// What a metric has beside its labels.
pub(crate) struct MetricNumbers {
    pub(crate) step: i64,
    pub(crate) time: i64,
    pub(crate) epoch: i32,
    pub(crate) batch: i32,
    pub(crate) value: f64,
    pub(crate) sequence: u64,
}

impl MetricNumbers {
    /// Checksum of a row: its labels, whose state this continues, then its numbers in the order of the columns.
    pub(crate) fn check(&self, label_check: u32) -> u32 {
        let mut numbers = [0; 40];
        numbers[..8].copy_from_slice(&self.step.to_le_bytes());
        numbers[8..16].copy_from_slice(&self.time.to_le_bytes());
        numbers[16..20].copy_from_slice(&self.epoch.to_le_bytes());
        numbers[20..24].copy_from_slice(&self.batch.to_le_bytes());
        numbers[24..32].copy_from_slice(&self.value.to_le_bytes());
        numbers[32..40].copy_from_slice(&self.sequence.to_le_bytes());
        let mut hasher = crc32fast::Hasher::new_with_initial(label_check);
        hasher.update(&numbers);
        hasher.finalize()
    }

    pub(crate) fn read(map: &ChunkMap, row: u64) -> Self {
        Self {
            step: i64::from_le_bytes(map.number(metric_column::STEP, row)),
            time: i64::from_le_bytes(map.number(metric_column::TIME, row)),
            epoch: i32::from_le_bytes(map.number(metric_column::EPOCH, row)),
            batch: i32::from_le_bytes(map.number(metric_column::BATCH, row)),
            value: f64::from_le_bytes(map.number(metric_column::VALUE, row)),
            sequence: u64::from_le_bytes(map.number(metric_column::SEQUENCE, row)),
        }
    }
}

/// One row.
pub(crate) fn read_metric(map: &ChunkMap, row: u64) -> Result<(Series, MetricNumbers)> {
    let [phase, split, node, name] = row_labels(map, row)?.map(str::to_owned);
    let series = Series {
        phase,
        split,
        node,
        name,
    };
    Ok((series, MetricNumbers::read(map, row)))
}

/// Compare a row with its checksum, which covers these labels; returns its sequence number.
pub(crate) fn check_labelled_row(map: &ChunkMap, row: u64, labels: [&str; LABELS]) -> Result<u64> {
    let damaged = |reason| map.damaged(map.row_offset(metric_column::VALUE, row), reason);
    let numbers = MetricNumbers::read(map, row);
    let check = numbers.check(label_check(labels));
    if check != u32::from_le_bytes(map.number(metric_column::CRC, row)) {
        return Err(damaged("a metric does not match its checksum"));
    }
    if numbers.sequence > MOST_SEQUENCE {
        return Err(damaged("a metric has a larger number than there can be"));
    }
    Ok(numbers.sequence)
}

/// State of the checksum of a row after its labels.
pub(crate) fn label_check(labels: [&str; LABELS]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for label in labels {
        hasher.update(&(label.len() as u32).to_le_bytes());
        hasher.update(label.as_bytes());
    }
    hasher.finalize()
}
