//! Files of one kind in one folder as a reader sees them: chunks or indexes, in order.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::chunk_map::ChunkMap;
use crate::columns::Columns;
use crate::error::Result;
use crate::fault_guard::any_broken;
use crate::folder::PathOf;
use crate::superblock::KEYS_UNSORTED;
use crate::watermark::Watermark;

/// A file, its first visible row, and how many visible rows follow from there.
pub type VisibleFile = (PathBuf, u64, u64);

/// A chunk or index file, and what its superblock said when it was last looked at.
#[derive(Clone, Debug)]
pub(crate) struct MappedFile {
    pub(crate) map: Arc<ChunkMap>,
    pub(crate) rows: u64,
    pub(crate) unsorted: bool,
    /// Of the last record in this file or, where that has none, in those before it.
    pub(crate) last_sequence: u64,
}

impl MappedFile {
    fn new(map: Arc<ChunkMap>, last_sequence_before: u64) -> Result<Self> {
        let superblock = map.superblock()?;
        Ok(Self {
            map,
            rows: superblock.rows,
            unsorted: superblock.flags & KEYS_UNSORTED != 0,
            last_sequence: superblock.last_sequence.max(last_sequence_before),
        })
    }

    pub(crate) fn first_row(&self) -> u64 {
        self.map.first_row()
    }

    pub(crate) fn end(&self) -> u64 {
        self.first_row() + self.rows
    }
}

/// Where the rows of a kind of file have their sequence numbers.
#[derive(Clone, Copy)]
pub(crate) struct Sequences {
    pub(crate) column: usize,
    /// Compare a row with its checksum.
    pub(crate) check: fn(&ChunkMap, u64) -> Result<u64>,
}

/// Consecutive rows of one file that readers show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) file: usize,
    pub(crate) rows: Range<u64>,
    /// Visible rows before these.
    pub(crate) before: u64,
}

/// All files of one kind. Rows are numbered through them.
#[derive(Clone)]
pub(crate) struct MappedFiles {
    folder: PathBuf,
    path_of: PathOf,
    columns: Arc<Columns>,
    files: Vec<MappedFile>,
}

impl MappedFiles {
    pub(crate) fn new(folder: PathBuf, path_of: PathOf, columns: Columns) -> Self {
        Self {
            folder,
            path_of,
            columns: Arc::new(columns),
            files: Vec::new(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn path_of(&self) -> PathOf {
        self.path_of
    }

    pub(crate) fn columns(&self) -> &Columns {
        &self.columns
    }

    pub(crate) fn files(&self) -> &[MappedFile] {
        &self.files
    }

    /// Look at the last file again and open those that came after it, up to one that cannot be read.
    pub(crate) fn load(&mut self) -> Result<()> {
        self.look_at_last_again()?;
        loop {
            let path = (self.path_of)(&self.folder, self.files.len() as u32);
            let Some(map) = ChunkMap::open(path, &self.columns)? else {
                return Ok(());
            };
            // A file comes into being after its predecessor was sealed, so that one's count is final now.
            self.look_at_last_again()?;
            if map.first_row() != self.rows() {
                return Err(map.damaged(0, "the rows do not follow those of the file before"));
            }
            let file = MappedFile::new(Arc::new(map), self.last_sequence())?;
            self.files.push(file);
        }
    }

    fn look_at_last_again(&mut self) -> Result<()> {
        if let Some(last) = self.files.pop() {
            let again = MappedFile::new(last.map, self.last_sequence())?;
            self.files.push(again);
        }
        Ok(())
    }

    /// Open all files anew the next time.
    pub(crate) fn forget(&mut self) {
        self.files.clear();
    }

    /// An error if one of the files lost bytes while it was mapped. Ask after reading.
    pub(crate) fn intact(&self) -> Result<()> {
        if !any_broken() {
            return Ok(());
        }
        self.files.iter().try_for_each(|file| file.map.intact())
    }

    /// Rows of all files.
    pub(crate) fn rows(&self) -> u64 {
        self.files.last().map_or(0, MappedFile::end)
    }

    fn last_sequence(&self) -> u64 {
        self.files.last().map_or(0, |file| file.last_sequence)
    }

    /// The file that holds a row, and the row's place in it.
    pub(crate) fn find(&self, row: u64) -> Option<(&MappedFile, u64)> {
        let after = self.files.partition_point(|file| file.first_row() <= row);
        let file = &self.files[after.checked_sub(1)?];
        Some((file, row - file.first_row()))
    }

    /// Keep so many rows, the last of them of this record.
    pub(crate) fn cut(&mut self, rows: u64, last_sequence: u64) {
        if rows >= self.rows() {
            return;
        }
        // A batch without rows still needs a file to lie in.
        self.files.retain(|file| file.first_row() < rows.max(1));
        if let Some(last) = self.files.last_mut() {
            last.rows = rows - last.first_row();
            last.last_sequence = last_sequence;
        }
    }

    /// Keep so many rows of files that have sequence numbers.
    pub(crate) fn cut_numbered(&mut self, rows: u64, sequences: Sequences) {
        let last = rows.checked_sub(1).and_then(|last| self.find(last));
        let last_sequence = last.map_or(0, |(file, row)| {
            u64::from_le_bytes(file.map.number(sequences.column, row))
        });
        self.cut(rows, last_sequence);
    }

    /// The rows that readers show: one range for each stretch of visible numbers that has any.
    pub(crate) fn visible_rows(
        &self,
        sequences: Sequences,
        watermark: &Watermark,
    ) -> Result<Vec<Range<u64>>> {
        let mut visible = Vec::new();
        for numbers in watermark.hidden.visible(watermark.sequence) {
            let rows = self.rows_through(sequences, numbers.after)?
                ..self.rows_through(sequences, numbers.through)?;
            if !rows.is_empty() {
                visible.push(rows);
            }
        }
        Ok(visible)
    }

    /// Number of rows whose sequence number is at most `limit`.
    pub(crate) fn rows_through(&self, sequences: Sequences, limit: u64) -> Result<u64> {
        if limit == 0 {
            return Ok(0);
        }
        // The superblocks have checksums and the rows' own numbers have not: ask these only where it is needed.
        let partly = self
            .files
            .partition_point(|file| file.last_sequence <= limit);
        let Some(file) = self.files.get(partly) else {
            return Ok(self.rows());
        };
        let (mut low, mut high) = (0, file.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            if u64::from_le_bytes(file.map.number(sequences.column, middle)) <= limit {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        // In ascending numbers the place is right if it is right for its two neighbours.
        for row in low.saturating_sub(1)..file.rows.min(low + 1) {
            (sequences.check)(&file.map, row)?;
        }
        Ok(file.first_row() + low)
    }

    /// Ascending ranges of rows, cut where a file ends and joined where nothing lies between.
    pub(crate) fn stretches(&self, ranges: &[Range<u64>]) -> Vec<Stretch> {
        let mut found: Vec<Stretch> = Vec::new();
        let mut before = 0;
        for range in ranges {
            let first = self.files.partition_point(|file| file.end() <= range.start);
            for (number, file) in self.files.iter().enumerate().skip(first) {
                let start = range.start.max(file.first_row());
                let end = range.end.min(file.end());
                if start >= range.end {
                    break;
                }
                let rows = start - file.first_row()..end - file.first_row();
                let count = end - start;
                match found.last_mut() {
                    Some(last) if last.file == number && last.rows.end == rows.start => {
                        last.rows.end = rows.end;
                    }
                    _ if count == 0 => {}
                    _ => found.push(Stretch {
                        file: number,
                        rows,
                        before,
                    }),
                }
                before += count;
            }
        }
        found
    }

    /// The paths and rows of stretches.
    pub(crate) fn visible_files(&self, visible: &[Stretch]) -> Vec<VisibleFile> {
        let file = |stretch: &Stretch| {
            let rows = &stretch.rows;
            let path = self.files[stretch.file].map.path().to_path_buf();
            (path, rows.start, rows.end - rows.start)
        };
        visible.iter().map(file).collect()
    }
}

/// Visible rows of all stretches.
pub(crate) fn visible_count(stretches: &[Stretch]) -> u64 {
    stretches
        .last()
        .map_or(0, |last| last.before + (last.rows.end - last.rows.start))
}
