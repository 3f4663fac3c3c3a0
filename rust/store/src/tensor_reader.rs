//! Reading one tensor channel.

use std::path::PathBuf;

use crate::batch_index::BatchEntry;
use crate::channel_reader::{ChannelReader, Rows, VisibleFile};
use crate::description::ChannelDescription;
use crate::error::Result;
use crate::folder::ChannelKey;
use crate::tensor_files::value_columns;
use crate::value_type::{ValueType, row_bytes};

/// A reader of one tensor channel.
pub struct TensorReader {
    pub(crate) channel: ChannelReader,
    value_type: ValueType,
    shape: Vec<usize>,
}

impl TensorReader {
    pub(crate) fn new(
        folder: PathBuf,
        description: ChannelDescription,
        check: bool,
    ) -> Result<Self> {
        let value_type = ValueType::parse(&description.dtype)?;
        let shape = description.shape.clone();
        row_bytes(value_type, &shape)?;
        let columns = value_columns(&description.field, value_type, &shape);
        Ok(Self {
            channel: ChannelReader::new(folder, description, columns, check),
            value_type,
            shape,
        })
    }

    /// Name of the channel's folder.
    pub fn name(&self) -> &str {
        self.channel.name()
    }

    /// Labels of the channel.
    pub fn key(&self) -> &ChannelKey {
        self.channel.key()
    }

    /// Type of the recorded numbers.
    pub fn value_type(&self) -> ValueType {
        self.value_type
    }

    /// Shape of one row.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of visible rows.
    pub fn rows(&self) -> u64 {
        self.channel.rows()
    }

    /// Number of visible batches.
    pub fn batches(&self) -> usize {
        self.channel.batches()
    }

    /// The rows of a batch. The latest one if it was recorded more than once.
    pub fn get(&self, epoch: i32, batch: i32) -> Result<Rows> {
        self.channel.get(epoch, batch)
    }

    /// The rows of the batch at a position in the order of recording.
    pub fn at(&self, position: usize) -> Result<Rows> {
        self.channel.at(position)
    }

    /// What the index says of the batch at a position.
    pub fn entry(&self, position: usize) -> Result<BatchEntry> {
        self.channel.entry(position)
    }

    /// Position of the latest batch with these numbers.
    pub fn position(&self, epoch: i32, batch: i32) -> Result<Option<usize>> {
        self.channel.position(epoch, batch)
    }

    /// What the index says of every batch.
    pub fn index(&self) -> Result<Vec<BatchEntry>> {
        self.channel.index()
    }

    /// All visible rows, one item for each stretch of them in a file.
    pub fn chunks(&self) -> Result<Vec<Rows>> {
        self.channel.chunks()
    }

    /// Where all visible rows stand.
    pub fn files(&self) -> Vec<VisibleFile> {
        self.channel.files()
    }
}
