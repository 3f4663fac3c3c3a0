//! What a user records with: handles on a channel and on a group of metrics.

use std::sync::Arc;

use crate::block::{Key, Payload, Target};
use crate::error::{Result, StoreError};
use crate::kind::Kind;
use crate::recorder::Recorder;
use crate::slot::Slot;
use crate::value_type::ValueType;

/// Arrow counts rows, and the items of rows that differ in length, in 31 bits.
const MOST_COUNTED: usize = i32::MAX as usize;

/// A channel of any kind.
#[derive(Clone)]
pub(crate) struct Channel {
    recorder: Arc<Recorder>,
    target: Target,
    kind: Kind,
}

impl Channel {
    pub(crate) fn new(recorder: Arc<Recorder>, number: u32, kind: Kind) -> Self {
        Self {
            recorder,
            target: Target::Channel(number),
            kind,
        }
    }

    /// This channel, if it is of that kind.
    pub(crate) fn matching(&self, channel: String, kind: &Kind) -> Result<Self> {
        if self.kind == *kind {
            return Ok(self.clone());
        }
        Err(StoreError::ChannelMismatch {
            channel,
            existing: self.kind.to_string(),
            requested: kind.to_string(),
        })
    }

    fn try_record(&self, payload: Payload, rows: u32, key: Key) -> Result<Option<u64>> {
        self.recorder.try_record(self.target, key, rows, payload)
    }

    fn record(&self, payload: Payload, rows: u32, key: Key) -> Result<u64> {
        self.recorder.record(self.target, key, rows, payload)
    }
}

/// A growing column of equal-shaped rows.
#[derive(Clone)]
pub struct TensorChannel {
    channel: Channel,
    value_type: ValueType,
    shape: Arc<[usize]>,
    row_bytes: usize,
}

impl TensorChannel {
    pub(crate) fn new(
        channel: Channel,
        value_type: ValueType,
        shape: &[usize],
        row_bytes: usize,
    ) -> Self {
        Self {
            channel,
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
        let key = Key::of_batch(epoch, batch);
        self.channel.try_record(Payload::of(&[data]), rows, key)
    }

    /// Record a batch, waiting if need be; returns its run-wide sequence number.
    pub fn record(&self, data: &[u8], rows: usize, epoch: i32, batch: i32) -> Result<u64> {
        let rows = self.check(data, rows)?;
        let key = Key::of_batch(epoch, batch);
        self.channel.record(Payload::of(&[data]), rows, key)
    }

    /// Take a batch's place in the order now and fill in its rows later. None if too many bytes wait to be written.
    pub fn try_acquire(&self, rows: usize, epoch: i32, batch: i32) -> Result<Option<Slot>> {
        let (count, bytes) = self.size(rows)?;
        let key = Key::of_batch(epoch, batch);
        let acquired = self
            .channel
            .recorder
            .try_acquire(self.channel.target, key, count, bytes)?;
        Ok(acquired.map(|(sequence, pages)| {
            Slot::new(Arc::clone(&self.channel.recorder), pages, bytes, sequence)
        }))
    }

    /// Take a batch's place in the order now, waiting if need be, and fill in its rows later.
    pub fn acquire(&self, rows: usize, epoch: i32, batch: i32) -> Result<Slot> {
        let (count, bytes) = self.size(rows)?;
        let key = Key::of_batch(epoch, batch);
        let (sequence, pages) =
            self.channel
                .recorder
                .acquire(self.channel.target, key, count, bytes)?;
        Ok(Slot::new(
            Arc::clone(&self.channel.recorder),
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
}

/// The rows of one batch of a channel whose rows differ in length, checked and ready to be recorded.
pub struct Batch<'a> {
    rows: u32,
    header: Vec<u8>,
    values: Vec<&'a [u8]>,
}

impl<'a> Batch<'a> {
    fn new(rows: usize, items: usize, header: Vec<u8>, values: Vec<&'a [u8]>) -> Result<Self> {
        for (what, found) in [("rows", rows), ("numbers or bytes of text", items)] {
            if found > MOST_COUNTED {
                let limit = MOST_COUNTED;
                return Err(StoreError::BatchTooLarge { what, found, limit });
            }
        }
        Ok(Self {
            rows: rows as u32,
            header,
            values,
        })
    }

    fn payload(&self) -> Payload<'_> {
        Payload {
            header: &self.header,
            values: &self.values,
        }
    }
}

/// A growing column of arrays that have the same number of dimensions, and each its own shape.
#[derive(Clone)]
pub struct RaggedChannel {
    channel: Channel,
    value_type: ValueType,
    dimensions: usize,
}

impl RaggedChannel {
    pub(crate) fn new(channel: Channel, value_type: ValueType, dimensions: usize) -> Self {
        Self {
            channel,
            value_type,
            dimensions,
        }
    }

    /// Type of the recorded numbers.
    pub fn value_type(&self) -> ValueType {
        self.value_type
    }

    /// Number of dimensions of each row.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// The rows of a batch: the shape of each, and its numbers in C order.
    pub fn batch<'a>(&self, rows: &[(&[usize], &'a [u8])]) -> Result<Batch<'a>> {
        let mut header = Vec::with_capacity(rows.len() * self.dimensions * size_of::<i32>());
        let mut bytes = 0;
        for (row, (shape, values)) in rows.iter().enumerate() {
            let mut expected = Some(self.value_type.item_bytes());
            for &length in *shape {
                let counted = i32::try_from(length).ok();
                header.extend_from_slice(&counted.unwrap_or(i32::MAX).to_le_bytes());
                expected = expected.and_then(|bytes| bytes.checked_mul(length));
                expected = expected.filter(|_| counted.is_some());
            }
            if shape.len() != self.dimensions || expected != Some(values.len()) {
                return Err(StoreError::RowSize {
                    row,
                    found: values.len(),
                    shape: shape.to_vec(),
                    dimensions: self.dimensions,
                });
            }
            bytes += values.len();
        }
        let values = rows.iter().map(|(_, values)| *values).collect();
        let items = bytes / self.value_type.stored_bytes();
        Batch::new(rows.len(), items, header, values)
    }

    /// Copy a batch into staging memory. None if that is full or too small: then `record` waits or writes.
    pub fn try_record(&self, rows: &Batch, epoch: i32, batch: i32) -> Result<Option<u64>> {
        let key = Key::of_batch(epoch, batch);
        self.channel.try_record(rows.payload(), rows.rows, key)
    }

    /// Record a batch, waiting if need be; returns its run-wide sequence number.
    pub fn record(&self, rows: &Batch, epoch: i32, batch: i32) -> Result<u64> {
        let key = Key::of_batch(epoch, batch);
        self.channel.record(rows.payload(), rows.rows, key)
    }
}

/// A growing column of strings, or of JSON documents.
#[derive(Clone)]
pub struct TextChannel {
    channel: Channel,
    json: bool,
}

impl TextChannel {
    pub(crate) fn new(channel: Channel, json: bool) -> Self {
        Self { channel, json }
    }

    /// The rows of a batch.
    pub fn batch<'a>(&self, texts: &[&'a str]) -> Result<Batch<'a>> {
        let mut header = Vec::with_capacity(size_of_val(texts));
        let mut bytes = 0;
        for (row, text) in texts.iter().enumerate() {
            if self.json {
                check_json(row, text)?;
            }
            // A length that does not fit is refused with the whole batch.
            header.extend_from_slice(&(text.len() as u32).to_le_bytes());
            bytes += text.len();
        }
        let values = texts.iter().map(|text| text.as_bytes()).collect();
        Batch::new(texts.len(), bytes, header, values)
    }

    /// Copy a batch into staging memory. None if that is full or too small: then `record` waits or writes.
    pub fn try_record(&self, texts: &Batch, epoch: i32, batch: i32) -> Result<Option<u64>> {
        let key = Key::of_batch(epoch, batch);
        self.channel.try_record(texts.payload(), texts.rows, key)
    }

    /// Record a batch, waiting if need be; returns its run-wide sequence number.
    pub fn record(&self, texts: &Batch, epoch: i32, batch: i32) -> Result<u64> {
        let key = Key::of_batch(epoch, batch);
        self.channel.record(texts.payload(), texts.rows, key)
    }
}

fn check_json(row: usize, text: &str) -> Result<()> {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(StoreError::NotJson {
            row,
            reason: error.to_string(),
        }),
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

    /// Log one value (eight little-endian bytes) for each series. None if the staging memory is full.
    ///
    /// Without series nothing is recorded, and the number is that of the record before.
    pub fn try_log(&self, values: &[u8], key: Key) -> Result<Option<u64>> {
        self.check(values)?;
        if self.length == 0 {
            // A record without rows would be a number that no file has.
            return self.recorder.last_sequence().map(Some);
        }
        self.recorder
            .try_record(self.target, key, self.length as u32, Payload::of(&[values]))
    }

    /// Log one value for each series, waiting if need be; returns the sequence number.
    pub fn log(&self, values: &[u8], key: Key) -> Result<u64> {
        self.check(values)?;
        if self.length == 0 {
            return self.recorder.last_sequence();
        }
        self.recorder
            .record(self.target, key, self.length as u32, Payload::of(&[values]))
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
