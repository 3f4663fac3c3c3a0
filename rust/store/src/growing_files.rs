//! Files of one kind in one folder, numbered from 0, of which the last one grows: chunks or indexes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::chunk::{ChunkWriter, Compacted};
use crate::error::Result;
use crate::layout::Columns;
use crate::recovery::FilesEnd;
use crate::unsynced::Unsynced;

pub(crate) struct GrowingFiles {
    folder: PathBuf,
    path: fn(&Path, u32) -> PathBuf,
    columns: Arc<Columns>,
    last: Option<ChunkWriter>,
    files: u32,
    rows: u64,
    unsynced: Unsynced,
}

impl GrowingFiles {
    pub(crate) fn new(folder: PathBuf, path: fn(&Path, u32) -> PathBuf, columns: Columns) -> Self {
        Self {
            folder,
            path,
            columns: Arc::new(columns),
            last: None,
            files: 0,
            rows: 0,
            unsynced: Unsynced::default(),
        }
    }

    /// Begin behind what earlier sessions left.
    pub(crate) fn continue_after(&mut self, end: FilesEnd) {
        self.files = end.files;
        self.rows = end.rows;
    }

    pub(crate) fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The file that grows.
    pub(crate) fn last(&self) -> Option<&ChunkWriter> {
        self.last.as_ref()
    }

    /// How many files were begun.
    pub(crate) fn files(&self) -> u32 {
        self.files
    }

    /// Committed rows of all files.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows that the last file can still take.
    pub(crate) fn room(&self) -> u64 {
        self.last.as_ref().map_or(0, ChunkWriter::room)
    }

    /// Seal the last file and begin the next one. May be tried again after a failure.
    pub(crate) fn begin(&mut self, capacity: u64, text_capacity: usize) -> Result<()> {
        if let Some(full) = &mut self.last {
            full.seal()?;
            full.note_unsynced(&mut self.unsynced);
            self.last = None;
        }
        let path = (self.path)(&self.folder, self.files);
        let chunk = ChunkWriter::create(path, &self.columns, capacity, text_capacity, self.rows)?;
        self.unsynced.folder(&self.folder);
        self.last = Some(chunk);
        self.files += 1;
        Ok(())
    }

    /// Whether the last file can take so many rows; false if there is no file yet, even for none.
    pub(crate) fn has_room(&self, rows: u64) -> bool {
        self.last.is_some() && self.room() >= rows
    }

    /// Write rows of one column of the last file, `row` rows after the committed ones.
    pub(crate) fn write(&self, column: usize, row: u64, bytes: &[u8]) -> Result<()> {
        self.last
            .as_ref()
            .map_or(Ok(()), |chunk| chunk.write(column, row, bytes))
    }

    /// Show rows that were written to the last file.
    pub(crate) fn commit(&mut self, added: u64, last_sequence: u64, flags: u32) -> Result<()> {
        if let Some(chunk) = &mut self.last {
            chunk.commit(added, last_sequence, flags)?;
            self.rows += added;
        }
        Ok(())
    }

    /// Let go of the descriptor until the next write.
    pub(crate) fn rest(&mut self) {
        if let Some(chunk) = &mut self.last {
            chunk.rest();
        }
    }

    /// Hand over what has to be synced.
    pub(crate) fn take_unsynced(&mut self, unsynced: &mut Unsynced) {
        if let Some(chunk) = &self.last {
            chunk.note_unsynced(unsynced);
        }
        unsynced.append(&mut self.unsynced);
    }

    /// Close the last file.
    pub(crate) fn finish(&mut self, text_used: &[usize]) -> Result<Option<Compacted>> {
        let Some(mut chunk) = self.last.take() else {
            return Ok(None);
        };
        let compacted = chunk.finish(text_used)?;
        if compacted.is_none() {
            chunk.note_unsynced(&mut self.unsynced);
        }
        Ok(compacted)
    }
}
