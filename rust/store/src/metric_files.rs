//! The chunks of the metrics, as their writer sees them: one row for each logged value.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::block::{Block, Entry, Key, Target};
use crate::chunk::{ChunkWriter, Compacted, chunk_bytes};
use crate::columns::Extent;
use crate::error::Result;
use crate::folder::chunk_path;
use crate::growing_files::{FilesEnd, GrowingFiles};
use crate::metric_row::{LABELS, MetricNumbers, label_check, metric_column, metric_columns};
use crate::unsynced::Unsynced;

/// Each label column may fill this share of a chunk with long labels.
pub(crate) const TEXT_SHARE: usize = 16;
const VIEW_BYTES: usize = 16;
const INLINE_BYTES: usize = 12;

/// A named scalar: what one logged value belongs to. Absent labels are empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Series {
    /// Label of the phase.
    pub phase: String,
    /// The split, or empty.
    pub split: String,
    /// The node, or empty.
    pub node: String,
    /// Name of the metric.
    pub name: String,
}

impl Series {
    pub(crate) fn labels(&self) -> [&str; LABELS] {
        [&self.phase, &self.split, &self.node, &self.name]
    }
}

struct Group {
    series: Vec<Series>,
    checks: Vec<u32>,
    // Views of the labels, one run of bytes for each label column; they point into one chunk's text.
    views: [Vec<u8>; LABELS],
    views_of_chunk: u32,
}

/// The long labels of one chunk, each written once.
#[derive(Default)]
struct TextRegion {
    positions: HashMap<String, u32>,
    used: usize,
}

pub(crate) struct MetricFiles {
    files: GrowingFiles,
    groups: Vec<Group>,
    texts: [TextRegion; LABELS],
    // One buffer for each column, reused from drain to drain.
    buffers: Vec<Vec<u8>>,
    added: u64,
    last_sequence: u64,
}

impl MetricFiles {
    pub(crate) fn new(folder: PathBuf) -> Self {
        let files = GrowingFiles::new(folder, chunk_path, metric_columns());
        Self {
            buffers: vec![Vec::new(); files.columns().storages().len()],
            files,
            groups: Vec::new(),
            texts: Default::default(),
            added: 0,
            last_sequence: 0,
        }
    }

    /// Begin behind what earlier sessions left.
    pub(crate) fn continue_after(&mut self, end: FilesEnd) {
        self.files.continue_after(end);
    }

    pub(crate) fn chunks(&self) -> u64 {
        u64::from(self.files.files())
    }

    /// Add a group of series; returns its number.
    pub(crate) fn add_group(&mut self, series: Vec<Series>) -> u32 {
        self.groups.push(Group {
            checks: series
                .iter()
                .map(|series| label_check(series.labels()))
                .collect(),
            series,
            views: Default::default(),
            views_of_chunk: 0,
        });
        self.groups.len() as u32 - 1
    }

    /// Write every record of metrics in the blocks.
    pub(crate) fn write_staged(&mut self, blocks: &[Block]) -> Result<()> {
        for block in blocks {
            for entry in block.entries() {
                if let Target::Metrics(group) = entry.target {
                    self.add(group, entry, block.data(entry))?;
                }
            }
        }
        self.commit()
    }

    /// Write one record straight from the caller's memory.
    pub(crate) fn write_one(&mut self, group: u32, entry: &Entry, data: &[u8]) -> Result<()> {
        self.add(group, entry, data)?;
        self.commit()
    }

    fn add(&mut self, group: u32, entry: &Entry, data: &[u8]) -> Result<()> {
        let group = group as usize;
        self.prepare(group)?;
        let Group { views, checks, .. } = &self.groups[group];
        for (value, check) in data.as_chunks::<8>().0.iter().zip(checks) {
            let Key {
                epoch, batch, step, ..
            } = entry.key;
            let numbers = MetricNumbers {
                step,
                time: entry.time,
                epoch,
                batch,
                value: f64::from_le_bytes(*value),
                sequence: entry.sequence,
            };
            let buffers = &mut self.buffers;
            buffers[metric_column::STEP].extend_from_slice(&numbers.step.to_le_bytes());
            buffers[metric_column::TIME].extend_from_slice(&numbers.time.to_le_bytes());
            buffers[metric_column::EPOCH].extend_from_slice(&numbers.epoch.to_le_bytes());
            buffers[metric_column::BATCH].extend_from_slice(&numbers.batch.to_le_bytes());
            buffers[metric_column::SEQUENCE].extend_from_slice(&numbers.sequence.to_le_bytes());
            buffers[metric_column::CRC].extend_from_slice(&numbers.check(*check).to_le_bytes());
        }
        for (label, views) in views.iter().enumerate() {
            self.buffers[metric_column::LABELS.start + label].extend_from_slice(views);
        }
        self.buffers[metric_column::VALUE].extend_from_slice(data);
        self.added += checks.len() as u64;
        self.last_sequence = entry.sequence;
        Ok(())
    }

    /// Make sure that the chunk has room for one record of the group, and that the views point into it.
    fn prepare(&mut self, group: usize) -> Result<()> {
        let rows = self.groups[group].series.len() as u64;
        let fits = self.files.has_room(Extent::rows(self.added + rows));
        let has_views = |files: &Self| files.groups[group].views_of_chunk == files.files.files();
        if !fits || (!has_views(self) && !self.texts_fit(group)) {
            self.next_chunk(group)?;
        }
        if !has_views(self) {
            self.write_views(group)?;
        }
        Ok(())
    }

    fn texts_fit(&self, group: usize) -> bool {
        let capacity = self.files.last().map_or(0, ChunkWriter::text_capacity);
        let needed = longest_text(&self.groups[group].series);
        self.texts.iter().all(|text| text.used + needed <= capacity)
    }

    fn next_chunk(&mut self, group: usize) -> Result<()> {
        self.commit()?;
        let series = &self.groups[group].series;
        let bytes = chunk_bytes(self.files.files());
        let wanted = (bytes / self.files.columns().row_bytes()) as u64;
        let text_capacity = (bytes / TEXT_SHARE).max(longest_text(series));
        let capacity = Extent {
            rows: wanted.max(series.len() as u64).max(1),
            items: text_capacity as u64,
        };
        self.files.begin(capacity)?;
        self.texts = Default::default();
        Ok(())
    }

    fn write_views(&mut self, group: usize) -> Result<()> {
        let Some(chunk) = self.files.last() else {
            return Ok(());
        };
        let group = &mut self.groups[group];
        group.views.iter_mut().for_each(Vec::clear);
        for series in &group.series {
            for (label, text) in series.labels().into_iter().enumerate() {
                let position = self.texts[label].place(text, |position| {
                    chunk.write_text(label, position, text.as_bytes())
                })?;
                group.views[label].extend_from_slice(&string_view(text, position));
            }
        }
        group.views_of_chunk = self.files.files();
        Ok(())
    }

    /// Write the added rows and show them.
    fn commit(&mut self) -> Result<()> {
        if self.added > 0 {
            for (column, buffer) in self.buffers.iter_mut().enumerate() {
                self.files.write(column, 0, buffer)?;
                buffer.clear();
            }
            self.files
                .commit(Extent::rows(self.added), self.last_sequence, 0)?;
            self.added = 0;
        }
        Ok(())
    }

    /// Go back to what is committed, after a write that failed.
    pub(crate) fn abandon(&mut self) {
        self.buffers.iter_mut().for_each(Vec::clear);
        self.added = 0;
    }

    pub(crate) fn take_unsynced(&mut self, unsynced: &mut Unsynced) {
        self.files.take_unsynced(unsynced);
    }

    pub(crate) fn finish(&mut self, compacted: &mut Vec<Compacted>) -> Result<()> {
        let used: Vec<usize> = self.texts.iter().map(|text| text.used).collect();
        compacted.extend(self.files.finish(&used)?);
        Ok(())
    }
}

impl TextRegion {
    /// Position of a text in the region; `write` is called the first time that it is met.
    fn place(&mut self, text: &str, write: impl FnOnce(usize) -> Result<()>) -> Result<u32> {
        if text.len() <= INLINE_BYTES {
            return Ok(0);
        }
        if let Some(&position) = self.positions.get(text) {
            return Ok(position);
        }
        let position = self.used;
        write(position)?;
        self.used += text.len();
        self.positions.insert(text.to_owned(), position as u32);
        Ok(position as u32)
    }
}

fn longest_text(series: &[Series]) -> usize {
    let bytes = |label: usize| {
        series
            .iter()
            .map(|series| series.labels()[label].len())
            .sum::<usize>()
    };
    (0..LABELS).map(bytes).max().unwrap_or(0)
}

/// An Arrow string view: short texts inside, of long ones a prefix and where they are.
fn string_view(text: &str, position: u32) -> [u8; VIEW_BYTES] {
    let mut view = [0; VIEW_BYTES];
    view[..4].copy_from_slice(&(text.len() as u32).to_le_bytes());
    if text.len() <= INLINE_BYTES {
        view[4..4 + text.len()].copy_from_slice(text.as_bytes());
    } else {
        view[4..8].copy_from_slice(&text.as_bytes()[..4]);
        view[12..].copy_from_slice(&position.to_le_bytes());
    }
    view
}
