//! All files of a store, written by whoever holds the lock around this: mostly the drainer.

use std::path::Path;

use crate::chunk::Compacted;
use crate::error::{Result, StoreError};
use crate::folder::{METRICS_FOLDER, WATERMARK_FILE};
use crate::metric_files::{MetricFiles, Series};
use crate::staging::{Block, Entry, Target};
use crate::tensor_files::TensorFiles;
use crate::watermark::{Watermark, WatermarkFile};

/// One channel for this many descriptors of the process: it has two files, and others need theirs.
const DESCRIPTOR_SHARE: usize = 8;
const MOST_KEPT_OPEN: usize = 128;

pub(crate) struct Writer {
    tensors: Vec<TensorFiles>,
    /// Channels of a higher number are opened for each round: a process has only so many descriptors.
    kept_open: usize,
    metrics: MetricFiles,
    watermark: Watermark,
    watermark_file: WatermarkFile,
    /// After a failed write nothing more is written: what is on file stays a prefix.
    failure: Option<StoreError>,
    touched: Vec<u32>,
    /// Reused from drain to drain.
    pub(crate) blocks: Vec<Block>,
}

impl Writer {
    /// A writer of a folder without records.
    pub(crate) fn create(folder: &Path, watermark: Watermark) -> Result<Self> {
        Ok(Self {
            tensors: Vec::new(),
            kept_open: (descriptor_limit() / DESCRIPTOR_SHARE).min(MOST_KEPT_OPEN),
            metrics: MetricFiles::new(folder.join(METRICS_FOLDER)),
            watermark_file: WatermarkFile::create(folder.join(WATERMARK_FILE), &watermark)?,
            watermark,
            failure: None,
            touched: Vec::new(),
            blocks: Vec::new(),
        })
    }

    pub(crate) fn add_tensor(&mut self, files: TensorFiles) -> u32 {
        self.tensors.push(files);
        self.tensors.len() as u32 - 1
    }

    pub(crate) fn add_metrics(&mut self, series: Vec<Series>) -> u32 {
        self.metrics.add_group(series)
    }

    /// Everything up to this number is on file.
    pub(crate) fn sequence(&self) -> u64 {
        self.watermark.sequence
    }

    pub(crate) fn failure(&self) -> Option<&StoreError> {
        self.failure.as_ref()
    }

    /// Write nothing more, for this reason; an earlier one stays.
    pub(crate) fn fail(&mut self, failure: StoreError) {
        self.failure.get_or_insert(failure);
    }

    pub(crate) fn chunks(&self) -> u64 {
        self.tensors.iter().map(TensorFiles::chunks).sum::<u64>() + self.metrics.chunks()
    }

    /// Write drained blocks, then the watermark.
    pub(crate) fn write_blocks(&mut self, blocks: &[Block]) -> Result<()> {
        self.guarded(|writer| {
            let mut metrics = false;
            for (number, block) in blocks.iter().enumerate() {
                for (position, entry) in block.entries().iter().enumerate() {
                    match entry.target {
                        Target::Metrics(_) => metrics = true,
                        Target::Tensor(channel) => {
                            if writer.tensors[channel as usize].stage(number, position) {
                                writer.touched.push(channel);
                            }
                        }
                    }
                }
            }
            if metrics {
                writer.metrics.write_staged(blocks)?;
            }
            while let Some(channel) = writer.touched.pop() {
                writer.tensors[channel as usize].write_staged(blocks)?;
                writer.rest(channel);
            }
            let last = blocks.last().and_then(|block| block.entries().last());
            writer.advance(last.map_or(writer.watermark.sequence, |entry| entry.sequence))
        })
    }

    /// Write one record that did not go through a block, then the watermark.
    pub(crate) fn write_one(&mut self, entry: Entry, data: &[u8]) -> Result<()> {
        self.guarded(|writer| {
            match entry.target {
                Target::Tensor(channel) => {
                    writer.tensors[channel as usize].write_one(entry, data)?;
                    writer.rest(channel);
                }
                Target::Metrics(group) => writer.metrics.write_one(group, &entry, data)?,
            }
            writer.advance(entry.sequence)
        })
    }

    /// Write the last chunks without holes, put them on disk, and mark the store as closed.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.guarded(|writer| {
            let mut compacted = Vec::new();
            writer.metrics.finish(&mut compacted)?;
            for channel in &mut writer.tensors {
                channel.finish(&mut compacted)?;
            }
            compacted.into_iter().try_for_each(Compacted::publish)?;
            writer.watermark.closed = true;
            writer.watermark_file.fill(&writer.watermark)?;
            writer.watermark_file.sync()
        })
    }

    fn rest(&mut self, channel: u32) {
        if channel as usize >= self.kept_open {
            self.tensors[channel as usize].rest();
        }
    }

    fn advance(&mut self, sequence: u64) -> Result<()> {
        self.watermark.sequence = sequence;
        self.watermark_file.write(&self.watermark)
    }

    fn guarded(&mut self, write: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        write(self).inspect_err(|error| self.failure = Some(error.clone()))
    }
}

/// Most files that this process may have open.
fn descriptor_limit() -> usize {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a whole `rlimit`. Where the call fails the limit stays 0: nothing is kept open.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur as usize
}
