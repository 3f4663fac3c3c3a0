//! The metrics of a store as a reader sees them.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::chunk_map::ChunkMap;
use crate::error::Result;
use crate::folder::chunk_path;
use crate::mapped_files::{MappedFiles, Sequences, Stretch, VisibleFile};
use crate::metric_row::{check_row, metric_column, metric_columns};
use crate::watermark::Watermark;

const SEQUENCES: Sequences = Sequences {
    column: metric_column::SEQUENCE,
    check: check_row,
};

/// The chunks of the metrics, and what of them is visible.
pub(crate) struct MetricReader {
    files: MappedFiles,
    visible: Vec<Stretch>,
}

impl MetricReader {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            files: MappedFiles::new(folder, chunk_path, metric_columns()),
            visible: Vec::new(),
        }
    }

    pub(crate) fn mapped_files(&self) -> &MappedFiles {
        &self.files
    }

    /// Look for files and rows that are new.
    pub(crate) fn load(&mut self) -> Result<()> {
        self.files.load()
    }

    /// Look at all files anew the next time.
    pub(crate) fn forget(&mut self) {
        self.files.forget();
        self.visible.clear();
    }

    /// Decide what is visible.
    pub(crate) fn show(&mut self, watermark: &Watermark) -> Result<()> {
        let visible = self.files.visible_rows(SEQUENCES, watermark);
        self.files.intact()?;
        self.visible = self.files.stretches(&visible?);
        Ok(())
    }

    /// Add the numbers of the visible records whose rows all match their checksums.
    pub(crate) fn prove(&mut self, watermark: &Watermark, found: &mut Vec<u64>) -> Result<()> {
        let rows = self.files.files().iter().flat_map(|file| {
            let map = &*file.map;
            (0..file.rows).map(move |row| check_row(map, row).ok())
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
        if intact < self.files.rows() && last > watermark.durable {
            // The row that fails may be one more of the last record.
            found.pop_if(|found| *found == last);
            intact = whole;
        }
        self.files.intact()?;
        self.files.cut_numbered(intact, SEQUENCES);
        Ok(())
    }

    /// Forget what was found of later records.
    pub(crate) fn cut(&mut self, sequence: u64) -> Result<()> {
        let rows = self.files.rows_through(SEQUENCES, sequence)?;
        self.files.cut_numbered(rows, SEQUENCES);
        Ok(())
    }

    pub(crate) fn visible_files(&self) -> Vec<VisibleFile> {
        self.files.visible_files(&self.visible)
    }

    /// The visible rows of each chunk.
    pub(crate) fn rows(&self) -> Vec<(Arc<ChunkMap>, Range<u64>)> {
        let rows = |stretch: &Stretch| {
            (
                Arc::clone(&self.files.files()[stretch.file].map),
                stretch.rows.clone(),
            )
        };
        self.visible.iter().map(rows).collect()
    }
}
