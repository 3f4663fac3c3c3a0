//! All files of a store, written by whoever holds the lock around this: mostly the drainer.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::block::{Block, Entry, Payload, Target};
use crate::channel_files::ChannelFiles;
use crate::chunk::Compacted;
use crate::error::{IoContext, Result, StoreError};
use crate::folder::{CHANNEL_FILE, METRICS_FOLDER, WATERMARK_FILE};
use crate::growing_files::FilesEnd;
use crate::metric_files::{MetricFiles, Series};
use crate::open_channels::OpenChannels;
use crate::policy::{Durability, OnError, Policy, SYNC_PERIOD};
use crate::unsynced::Unsynced;
use crate::watermark::{Watermark, WatermarkFile};

pub(crate) struct Writer {
    policy: Policy,
    channels: Vec<ChannelFiles>,
    open: OpenChannels,
    metrics: MetricFiles,
    /// What the next write of the watermark says.
    watermark: Watermark,
    watermark_file: WatermarkFile,
    /// The watermark that readers find. It is behind the other one where that could not be written.
    published: u64,
    /// What is known to be on disk, together with a watermark that says so.
    durable: u64,
    /// After a failed write nothing more is written, unless records may be lost.
    failure: Option<StoreError>,
    /// After a failed sync nothing is called durable any more: the system may have dropped what it could not write.
    sync_failure: Option<StoreError>,
    unsynced: Unsynced,
    synced_at: Instant,
    lost: u64,
    touched: Vec<u32>,
    /// Reused from drain to drain.
    pub(crate) blocks: Vec<Block>,
}

impl Writer {
    /// A writer of a folder without records.
    pub(crate) fn create(folder: &Path, watermark: Watermark, policy: Policy) -> Result<Self> {
        let file = WatermarkFile::create(folder.join(WATERMARK_FILE), &watermark)?;
        Self::begin(folder, watermark, file, policy)
    }

    /// A writer behind what earlier sessions left.
    pub(crate) fn continuing(
        folder: &Path,
        watermark: Watermark,
        metrics: FilesEnd,
        policy: Policy,
    ) -> Result<Self> {
        let file = WatermarkFile::reopen(folder.join(WATERMARK_FILE))?;
        file.write(&watermark)?;
        let mut writer = Self::begin(folder, watermark, file, policy)?;
        writer.metrics.continue_after(metrics);
        Ok(writer)
    }

    fn begin(
        folder: &Path,
        watermark: Watermark,
        watermark_file: WatermarkFile,
        policy: Policy,
    ) -> Result<Self> {
        watermark_file.sync()?;
        let metrics = folder.join(METRICS_FOLDER);
        fs::create_dir_all(&metrics).context("create", &metrics)?;
        let mut unsynced = Unsynced::default();
        unsynced.folder(folder);
        Ok(Self {
            policy,
            channels: Vec::new(),
            open: OpenChannels::default(),
            metrics: MetricFiles::new(metrics),
            watermark_file,
            published: watermark.sequence,
            durable: watermark.durable,
            watermark,
            failure: None,
            sync_failure: None,
            unsynced,
            synced_at: Instant::now(),
            lost: 0,
            touched: Vec::new(),
            blocks: Vec::new(),
        })
    }

    /// Add a channel whose folder was made.
    pub(crate) fn add_channel(&mut self, folder: &Path, files: ChannelFiles) -> u32 {
        self.unsynced.file(&folder.join(CHANNEL_FILE), None);
        self.unsynced.folder(folder);
        if let Some(parent) = folder.parent() {
            self.unsynced.folder(parent);
        }
        self.channels.push(files);
        self.channels.len() as u32 - 1
    }

    pub(crate) fn add_metrics(&mut self, series: Vec<Series>) -> u32 {
        self.metrics.add_group(series)
    }

    /// Everything up to this number is on file or hidden.
    pub(crate) fn sequence(&self) -> u64 {
        self.watermark.sequence
    }

    /// What readers see as the watermark.
    pub(crate) fn published(&self) -> u64 {
        self.published
    }

    /// Everything up to this number survives a loss of power.
    pub(crate) fn durable(&self) -> u64 {
        self.durable
    }

    /// Accepted records that were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    pub(crate) fn failure(&self) -> Option<&StoreError> {
        self.failure.as_ref()
    }

    /// Write nothing more, for this reason; an earlier one stays.
    pub(crate) fn fail(&mut self, failure: StoreError) {
        self.failure.get_or_insert(failure);
    }

    pub(crate) fn chunks(&self) -> u64 {
        self.channels.iter().map(ChannelFiles::chunks).sum::<u64>() + self.metrics.chunks()
    }

    /// Write drained blocks, then the watermark.
    pub(crate) fn write_blocks(&mut self, blocks: &[Block]) -> Result<()> {
        let Some(last) = blocks.last().and_then(Block::last_sequence) else {
            return Ok(());
        };
        #[cfg(feature = "watermark-first")]
        {
            self.watermark.sequence = last;
            self.publish()?;
        }
        let records = blocks.iter().map(|block| block.entries().len() as u64);
        self.round(last, records.sum(), |writer| {
            writer.write_records(blocks)?;
            blocks
                .iter()
                .filter_map(Block::withdrawn)
                .for_each(|sequence| writer.hide(sequence - 1, sequence));
            Ok(())
        })
    }

    fn write_records(&mut self, blocks: &[Block]) -> Result<()> {
        let mut metrics = false;
        for (number, block) in blocks.iter().enumerate() {
            for (position, entry) in block.entries().iter().enumerate() {
                match entry.target {
                    Target::Metrics(_) => metrics = true,
                    Target::Channel(channel) => {
                        if self.channels[channel as usize].stage(number, position) {
                            self.touched.push(channel);
                        }
                    }
                }
            }
        }
        if metrics {
            self.metrics.write_staged(blocks)?;
        }
        while let Some(channel) = self.touched.pop() {
            self.channels[channel as usize].write_staged(blocks)?;
            self.rest(channel);
        }
        Ok(())
    }

    /// Write one record that did not go through a block, then the watermark.
    pub(crate) fn write_one(&mut self, entry: Entry, payload: Payload) -> Result<()> {
        self.round(entry.sequence, 1, |writer| {
            match entry.target {
                Target::Channel(channel) => {
                    writer.channels[channel as usize].write_one(entry, payload)?;
                    writer.rest(channel);
                }
                Target::Metrics(group) => {
                    writer
                        .metrics
                        .write_one(group, &entry, &payload.values.concat())?
                }
            }
            Ok(())
        })
    }

    /// Let the watermark pass hidden numbers.
    pub(crate) fn pass_to(&mut self, sequence: u64) -> Result<()> {
        self.round(sequence.max(self.watermark.sequence), 0, |_| Ok(()))
    }

    /// Write records up to the number `last`, then the watermark. Records that may be lost are lost without an error.
    fn round(
        &mut self,
        last: u64,
        records: u64,
        write: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let written = match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => {
                self.open.begin_round();
                write(self)
            }
        };
        if let Err(error) = written {
            if self.failure.is_some() || self.policy.on_error == OnError::Stop {
                self.lost += records;
                self.fail(error.clone());
                return Err(error);
            }
            self.abandon();
            self.hide(self.watermark.sequence, last);
            self.lost += records;
            self.watermark.dropped += records;
        }
        self.watermark.sequence = last;
        let shown = match self.policy.durability {
            Durability::Disk => self.make_durable(),
            Durability::Process | Durability::Periodic => self.publish(),
        };
        if self.policy.on_error == OnError::Drop {
            // The records are on file. A later round shows them, or makes them durable.
            return Ok(());
        }
        shown.inspect_err(|error| {
            if self.published < last {
                self.lost += records;
            }
            self.fail(error.clone());
        })
    }

    /// Let every channel go back to what it has committed.
    fn abandon(&mut self) {
        self.touched.clear();
        self.metrics.abandon();
        self.channels.iter_mut().for_each(ChannelFiles::abandon);
    }

    /// Hide numbers without records. There is room for some ranges only: what lies between two of them may be lost too.
    fn hide(&mut self, after: u64, through: u64) {
        let between = self.watermark.hidden.hide_lost(after, through);
        self.lost += between;
        self.watermark.dropped += between;
    }

    /// Show what was written.
    fn publish(&mut self) -> Result<()> {
        self.watermark_file.write(&self.watermark)?;
        self.published = self.watermark.sequence;
        Ok(())
    }

    /// Put everything on disk that was written, then the watermark that says so.
    pub(crate) fn make_durable(&mut self) -> Result<()> {
        self.synced_at = Instant::now();
        let synced = self.sync_files(&[]).and_then(|()| self.sync_folders());
        if synced.is_ok() {
            self.watermark.durable = self.watermark.sequence;
        }
        // Readers can have it all the same.
        let shown = self.publish();
        let durable = shown.and(synced).and_then(|()| self.sync_watermark());
        durable.inspect_err(|error| {
            if self.policy.on_error == OnError::Stop {
                self.fail(error.clone());
            }
        })
    }

    /// How long the drainer may sleep before it asks again whether something is to be synced.
    pub(crate) fn sync_wait(&self) -> Option<Duration> {
        let left = || SYNC_PERIOD.saturating_sub(self.synced_at.elapsed());
        (self.policy.durability == Durability::Periodic).then(|| {
            if self.is_behind() {
                left()
            } else {
                SYNC_PERIOD
            }
        })
    }

    /// Whether `periodic` has something to sync now.
    pub(crate) fn sync_is_due(&self) -> bool {
        self.sync_wait() == Some(Duration::ZERO)
    }

    fn is_behind(&self) -> bool {
        self.durable < self.watermark.sequence
            && self.failure.is_none()
            && self.sync_failure.is_none()
    }

    fn sync_files(&mut self, compacted: &[Compacted]) -> Result<()> {
        let Self {
            channels,
            metrics,
            unsynced,
            ..
        } = self;
        metrics.take_unsynced(unsynced);
        for channel in channels {
            channel.take_unsynced(unsynced);
        }
        for chunk in compacted {
            chunk.note_unsynced(unsynced);
        }
        self.synced(Unsynced::sync_files)
    }

    fn sync_folders(&mut self) -> Result<()> {
        self.synced(Unsynced::sync_folders)
    }

    fn sync_watermark(&mut self) -> Result<()> {
        let synced = self.watermark_file.sync();
        match &synced {
            Ok(()) => self.durable = self.watermark.durable,
            Err(error) => self.sync_failure = Some(error.clone()),
        }
        synced
    }

    fn synced(&mut self, sync: impl FnOnce(&mut Unsynced) -> Result<()>) -> Result<()> {
        if let Some(failure) = &self.sync_failure {
            return Err(failure.clone());
        }
        sync(&mut self.unsynced).inspect_err(|error| self.sync_failure = Some(error.clone()))
    }

    /// Write the last chunks without holes, put everything on disk, and mark the store as closed.
    pub(crate) fn finish(&mut self) -> Result<()> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let finished = self.close_files();
        match self.policy.on_error {
            OnError::Stop => finished.inspect_err(|error| self.failure = Some(error.clone())),
            OnError::Drop => {
                let hidden = &self.watermark.hidden;
                let on_file = hidden.visible(self.watermark.sequence);
                self.lost += on_file
                    .map(|range| {
                        range
                            .through
                            .saturating_sub(range.after.max(self.published))
                    })
                    .sum::<u64>();
                Ok(())
            }
        }
    }

    fn close_files(&mut self) -> Result<()> {
        let mut compacted = Vec::new();
        let mut closed = self.metrics.finish(&mut compacted);
        for channel in &mut self.channels {
            closed = closed.and(channel.finish(&mut compacted));
        }
        let synced = self.sync_files(&compacted);
        for chunk in compacted {
            match synced {
                Ok(()) => closed = closed.and(chunk.publish(&mut self.unsynced)),
                // What was there before is as good.
                Err(_) => chunk.discard(),
            }
        }
        let synced = synced.and_then(|()| self.sync_folders());
        if synced.is_ok() {
            self.watermark.durable = self.watermark.sequence;
            self.watermark.closed = closed.is_ok();
        }
        self.watermark_file.fill(&self.watermark)?;
        self.published = self.watermark.sequence;
        closed.and(synced).and_then(|()| self.sync_watermark())
    }

    fn rest(&mut self, channel: u32) {
        if let Some(channel) = self.open.written(channel) {
            self.channels[channel as usize].rest();
        }
    }
}
