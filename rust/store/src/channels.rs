//! What a user records with: handles on a channel and on a group of metrics.

use std::sync::Arc;

use crate::error::{Result, StoreError};
use crate::recorder::Recorder;
use crate::slot::Slot;
use crate::staging::{Key, Target};
use crate::value_type::ValueType;

/// A growing column of equal-shaped rows.
#[derive(Clone)]
pub struct TensorChannel {
    recorder: Arc<Recorder>,
    target: Target,
    value_type: ValueType,
    shape: Arc<[usize]>,
    row_bytes: usize,
}

impl TensorChannel {
    pub(crate) fn new(
        recorder: Arc<Recorder>,
        number: u32,
        value_type: ValueType,
        shape: &[usize],
        row_bytes: usize,
    ) -> Self {
        Self {
            recorder,
            target: Target::Tensor(number),
            value_type,
            shape: shape.into(),
            row_bytes,
        }
    }

    /// Type of the recorded numbers.
    pub fn value_type(&self) -> ValueType {
        self.value_type
    }

    /// Shape of one row.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Copy a batch into staging memory. None if that is full or too small: then `record` waits or writes.
    pub fn try_record(
        &self,
        data: &[u8],
        rows: usize,
        epoch: i32,
        batch: i32,
    ) -> Result<Option<u64>> {
        let rows = self.check(data, rows)?;
        self.recorder
            .try_record(self.target, Key::of_batch(epoch, batch), rows, data)
    }

    /// Record a batch, waiting if need be; returns its run-wide sequence number.
    pub fn record(&self, data: &[u8], rows: usize, epoch: i32, batch: i32) -> Result<u64> {
        let rows = self.check(data, rows)?;
        self.recorder
            .record(self.target, Key::of_batch(epoch, batch), rows, data)
    }

    /// Take a batch's place in the order now and fill in its rows later. None if too many bytes wait to be written.
    pub fn try_acquire(&self, rows: usize, epoch: i32, batch: i32) -> Result<Option<Slot>> {
        let (count, bytes) = self.size(rows)?;
        let key = Key::of_batch(epoch, batch);
        let acquired = self.recorder.try_acquire(self.target, key, count, bytes)?;
        Ok(acquired
            .map(|(sequence, pages)| Slot::new(Arc::clone(&self.recorder), pages, bytes, sequence)))
    }

    /// Take a batch's place in the order now, waiting if need be, and fill in its rows later.
    pub fn acquire(&self, rows: usize, epoch: i32, batch: i32) -> Result<Slot> {
        let (count, bytes) = self.size(rows)?;
        let key = Key::of_batch(epoch, batch);
        let (sequence, pages) = self.recorder.acquire(self.target, key, count, bytes)?;
        Ok(Slot::new(
            Arc::clone(&self.recorder),
            pages,
            bytes,
            sequence,
        ))
    }

    /// So many rows as they are counted, and their bytes.
    fn size(&self, rows: usize) -> Result<(u32, usize)> {
        let bytes = rows.checked_mul(self.row_bytes);
        match (i32::try_from(rows), bytes) {
            (Ok(count), Some(bytes)) => Ok((count as u32, bytes)),
            _ => Err(StoreError::Size {
                what: "the slot",
                found: bytes.unwrap_or(usize::MAX),
                expected: i32::MAX as usize * self.row_bytes,
            }),
        }
    }

    fn check(&self, data: &[u8], rows: usize) -> Result<u32> {
        match i32::try_from(rows) {
            Ok(count) if data.len() == rows * self.row_bytes => Ok(count as u32),
            _ => Err(StoreError::Size {
                what: "the batch",
                found: data.len(),
                expected: rows.saturating_mul(self.row_bytes),
            }),
        }
    }

    /// This channel, if it is of that type and shape.
    pub(crate) fn matching(
        &self,
        channel: String,
        value_type: ValueType,
        shape: &[usize],
    ) -> Result<Self> {
        if self.value_type == value_type && *self.shape == *shape {
            return Ok(self.clone());
        }
        let describe =
            |value_type: ValueType, shape: &[usize]| format!("{} {shape:?}", value_type.name());
        Err(StoreError::ChannelMismatch {
            channel,
            existing: describe(self.value_type, &self.shape),
            requested: describe(value_type, shape),
        })
    }
}

/// Series that are logged together.
#[derive(Clone)]
pub struct MetricGroup {
    recorder: Arc<Recorder>,
    target: Target,
    length: usize,
}

impl MetricGroup {
    pub(crate) fn new(recorder: Arc<Recorder>, number: u32, length: usize) -> Self {
        Self {
            recorder,
            target: Target::Metrics(number),
            length,
        }
    }

    /// Number of series.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Log one value (eight little-endian bytes) for each series. None if the staging memory is full.
    pub fn try_log(&self, values: &[u8], epoch: i32, batch: i32, step: i64) -> Result<Option<u64>> {
        self.check(values)?;
        self.recorder.try_record(
            self.target,
            Key { epoch, batch, step },
            self.length as u32,
            values,
        )
    }

    /// Log one value for each series, waiting if need be; returns the sequence number.
    pub fn log(&self, values: &[u8], epoch: i32, batch: i32, step: i64) -> Result<u64> {
        self.check(values)?;
        self.recorder.record(
            self.target,
            Key { epoch, batch, step },
            self.length as u32,
            values,
        )
    }

    fn check(&self, values: &[u8]) -> Result<()> {
        if values.len() == self.length * size_of::<f64>() {
            return Ok(());
        }
        Err(StoreError::Size {
            what: "the buffer of values",
            found: values.len(),
            expected: self.length * size_of::<f64>(),
        })
    }
}
