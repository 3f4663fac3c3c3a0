//! The index of one channel: which batches readers show, found by their keys or by their position.

use std::cmp::Ordering as Order;
use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Result;
use crate::folder::index_path;
use crate::index_row::{BatchEntry, IndexRow, index_column, index_columns};
use crate::mapped_files::{MappedFiles, Sequences, Stretch, visible_count};
use crate::watermark::Watermark;

const SEQUENCES: Sequences = Sequences {
    column: index_column::SEQUENCE,
    check: |map, row| Ok(IndexRow { map, row }.entry()?.sequence),
};

/// The index files of a channel, and what of them is visible.
pub(crate) struct BatchIndex {
    pub(crate) files: MappedFiles,
    visible: Vec<Stretch>,
    batches: usize,
    unsorted: bool,
    positions: OnceLock<HashMap<(i32, i32), usize>>,
    // A bit for each row: its batch was compared with its checksum.
    checked: Vec<AtomicU64>,
}

impl BatchIndex {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            files: MappedFiles::new(folder, index_path, index_columns()),
            visible: Vec::new(),
            batches: 0,
            unsorted: false,
            positions: OnceLock::new(),
            checked: Vec::new(),
        }
    }

    /// Look at all files anew the next time.
    pub(crate) fn forget(&mut self) {
        *self = Self::new(self.files.folder().to_path_buf());
    }

    /// Number of visible batches.
    pub(crate) fn batches(&self) -> usize {
        self.batches
    }

    /// Decide what is visible, where the channel has so many rows. Returns those of the visible batches.
    pub(crate) fn show(&mut self, watermark: &Watermark, rows: u64) -> Result<Vec<Range<u64>>> {
        let visible = self.files.visible_rows(SEQUENCES, watermark)?;
        self.visible = self.files.stretches(&visible);
        self.batches = visible_count(&self.visible) as usize;
        self.unsorted = self.files.files().iter().any(|file| file.unsorted);
        self.positions = OnceLock::new();
        let words = self.files.rows().div_ceil(u64::from(u64::BITS)) as usize;
        self.checked.resize_with(words, AtomicU64::default);
        let mut channel_rows = Vec::with_capacity(visible.len());
        let mut shown = 0;
        for stretch in visible {
            let found = self.channel_rows(stretch, shown..rows)?;
            shown = found.end;
            channel_rows.push(found);
        }
        Ok(channel_rows)
    }

    /// The rows of the channel that stand behind a range of rows of the index; they must lie inside another range.
    fn channel_rows(&self, rows: Range<u64>, inside: Range<u64>) -> Result<Range<u64>> {
        let (Some(first), Some(last)) = (self.row(rows.start), self.row(rows.end - 1)) else {
            return Ok(inside.start..inside.start);
        };
        let (start, end) = (first.entry()?.row_start, last.entry()?.row_end());
        if end > inside.end {
            return Err(last.damaged("the index points beyond the rows"));
        }
        if start < inside.start || start > end {
            return Err(first.damaged("a batch is out of order"));
        }
        Ok(start..end)
    }

    fn row(&self, number: u64) -> Option<IndexRow<'_>> {
        let (file, row) = self.files.find(number)?;
        Some(IndexRow {
            map: &file.map,
            row,
        })
    }

    /// Every row in the order of the files, also those that are hidden.
    pub(crate) fn all_rows(&self) -> impl Iterator<Item = IndexRow<'_>> {
        self.files.files().iter().flat_map(|file| {
            let map = &*file.map;
            (0..file.rows).map(move |row| IndexRow { map, row })
        })
    }

    /// The rows of the visible batches.
    pub(crate) fn visible(&self) -> impl Iterator<Item = IndexRow<'_>> {
        self.visible.iter().flat_map(|stretch| {
            let map = &*self.files.files()[stretch.file].map;
            stretch.rows.clone().map(move |row| IndexRow { map, row })
        })
    }

    /// Forget the rows of records behind this number. Returns what the last of the others says.
    pub(crate) fn cut_behind(&mut self, sequence: u64) -> Result<Option<BatchEntry>> {
        let rows = self.files.rows_through(SEQUENCES, sequence)?;
        let last = rows.checked_sub(1).and_then(|last| self.row(last));
        let last = last.map(|row| row.entry()).transpose()?;
        self.keep(rows);
        Ok(last)
    }

    /// Keep so many rows.
    pub(crate) fn keep(&mut self, rows: u64) {
        self.files.cut_numbered(rows, SEQUENCES);
    }

    /// The row of a visible batch.
    pub(crate) fn at(&self, position: usize) -> Option<IndexRow<'_>> {
        if position >= self.batches {
            return None;
        }
        let position = position as u64;
        let after = self
            .visible
            .partition_point(|stretch| stretch.before <= position);
        let stretch = &self.visible[after.checked_sub(1)?];
        Some(IndexRow {
            map: &self.files.files()[stretch.file].map,
            row: stretch.rows.start + (position - stretch.before),
        })
    }

    /// Position of the latest visible batch with these numbers.
    pub(crate) fn find(&self, epoch: i32, batch: i32) -> Result<Option<usize>> {
        let wanted = (epoch, batch);
        if self.unsorted {
            return Ok(self.positions()?.get(&wanted).copied());
        }
        let position = match self.search(wanted) {
            Ok(position) => return Ok(Some(position)),
            Err(position) => position,
        };
        // In ascending keys there is none if there is none between these two.
        for neighbour in position.saturating_sub(1)..=position {
            if let Some(row) = self.at(neighbour) {
                row.entry()?;
            }
        }
        Ok(None)
    }

    /// Search keys that ascend: the position of a key, or where it would stand.
    fn search(&self, wanted: (i32, i32)) -> Result<usize, usize> {
        let after = self
            .visible
            .partition_point(|stretch| self.keys(stretch).next().is_some_and(|key| key <= wanted));
        let stretch = &self.visible[after.checked_sub(1).ok_or(0_usize)?];
        let (epochs, batches) = self.key_columns(stretch);
        let before = stretch.before as usize;
        let (mut low, mut high) = (0, epochs.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let key = (
                i32::from_le_bytes(epochs[middle]),
                i32::from_le_bytes(batches[middle]),
            );
            match key.cmp(&wanted) {
                Order::Less => low = middle + 1,
                Order::Equal => return Ok(before + middle),
                Order::Greater => high = middle,
            }
        }
        Err(before + low)
    }

    fn positions(&self) -> Result<&HashMap<(i32, i32), usize>> {
        if let Some(positions) = self.positions.get() {
            return Ok(positions);
        }
        let mut found = HashMap::with_capacity(self.batches);
        for (position, row) in self.visible().enumerate() {
            let entry = row.entry()?;
            found.insert((entry.epoch, entry.batch), position);
        }
        Ok(self.positions.get_or_init(|| found))
    }

    fn keys<'a>(&'a self, stretch: &Stretch) -> impl Iterator<Item = (i32, i32)> + 'a {
        let (epochs, batches) = self.key_columns(stretch);
        let keys = epochs.iter().zip(batches);
        keys.map(|(epoch, batch)| (i32::from_le_bytes(*epoch), i32::from_le_bytes(*batch)))
    }

    fn key_columns(&self, stretch: &Stretch) -> (&[[u8; 4]], &[[u8; 4]]) {
        let map = &self.files.files()[stretch.file].map;
        (
            map.rows(index_column::EPOCH, stretch.rows.clone())
                .as_chunks()
                .0,
            map.rows(index_column::BATCH, stretch.rows.clone())
                .as_chunks()
                .0,
        )
    }

    /// Whether the batch of a row was compared with its checksum before.
    pub(crate) fn is_checked(&self, row: IndexRow) -> bool {
        let (word, bit) = place_of_bit(row.number());
        self.checked
            .get(word)
            .is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// Remember that the batch of a row is as it was recorded.
    pub(crate) fn note_checked(&self, row: IndexRow) {
        let (word, bit) = place_of_bit(row.number());
        if let Some(word) = self.checked.get(word) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }
}

fn place_of_bit(number: u64) -> (usize, u64) {
    let bits = u64::from(u64::BITS);
    ((number / bits) as usize, 1 << (number % bits))
}
