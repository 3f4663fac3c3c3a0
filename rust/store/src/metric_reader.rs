//! The metrics of a store as a reader sees them.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::channel_reader::{VisibleFile, visible_files};
use crate::chunk_map::ChunkMap;
use crate::columns::Columns;
use crate::error::Result;
use crate::export_metrics::check_row;
use crate::folder::chunk_path;
use crate::metric_files::metric_columns;
use crate::parts::{
    Part, Sequences, Stretch, cut_numbered, end, extend, rows_below, stretches, visible_rows,
};
use crate::watermark::Watermark;

pub(crate) const SEQUENCE: usize = 9;

const SEQUENCES: Sequences = Sequences {
    column: SEQUENCE,
    check: check_row,
};

/// The chunks of the metrics, and what of them is visible.
pub(crate) struct MetricReader {
    folder: PathBuf,
    columns: Columns,
    pub(crate) parts: Vec<Part>,
    visible: Vec<Stretch>,
}

impl MetricReader {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            columns: metric_columns(),
            parts: Vec::new(),
            visible: Vec::new(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Look for files and rows that are new.
    pub(crate) fn load(&mut self) -> Result<()> {
        extend(&mut self.parts, |number| {
            ChunkMap::open(chunk_path(&self.folder, number), &self.columns)
        })
    }

    /// Decide what is visible.
    pub(crate) fn show(&mut self, watermark: &Watermark) -> Result<()> {
        let visible = visible_rows(&self.parts, SEQUENCES, watermark);
        self.parts.iter().try_for_each(|part| part.map.intact())?;
        self.visible = stretches(&self.parts, &visible?);
        Ok(())
    }

    /// Add the numbers of the visible records whose rows all match their checksums.
    pub(crate) fn prove(&mut self, watermark: &Watermark, found: &mut Vec<u64>) -> Result<()> {
        let rows = self.parts.iter().flat_map(|part| {
            let map = &*part.map;
            (0..part.rows).map(move |row| check_row(map, row).ok())
        });
        let (mut intact, mut whole, mut last) = (0, 0, 0);
        for sequence in rows {
            let Some(sequence) = sequence.filter(|&sequence| sequence >= last) else {
                break;
            };
            if sequence > last {
                whole = intact;
                found.extend(watermark.shows(sequence).then_some(sequence));
            }
            (intact, last) = (intact + 1, sequence);
        }
        if intact < end(&self.parts) && last > watermark.durable {
            // The row that fails may be one more of the last record.
            found.pop_if(|found| *found == last);
            intact = whole;
        }
        self.parts.iter().try_for_each(|part| part.map.intact())?;
        cut_numbered(&mut self.parts, intact, SEQUENCES);
        Ok(())
    }

    /// Forget what was found of later records.
    pub(crate) fn cut(&mut self, sequence: u64) -> Result<()> {
        let rows = rows_below(&self.parts, SEQUENCES, sequence)?;
        cut_numbered(&mut self.parts, rows, SEQUENCES);
        Ok(())
    }

    pub(crate) fn files(&self) -> Vec<VisibleFile> {
        visible_files(&self.parts, &self.visible)
    }

    /// The visible rows of each chunk.
    pub(crate) fn rows(&self) -> Vec<(Arc<ChunkMap>, Range<u64>)> {
        let rows = |stretch: &Stretch| {
            (
                Arc::clone(&self.parts[stretch.part].map),
                stretch.rows.clone(),
            )
        };
        self.visible.iter().map(rows).collect()
    }
}
