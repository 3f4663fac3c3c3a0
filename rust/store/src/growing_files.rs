//! Files of one kind in one folder, numbered from 0, of which the last one grows: chunks or indexes.

use std::path::PathBuf;
use std::sync::Arc;

use crate::chunk::{ChunkWriter, Compacted};
use crate::columns::{Columns, Extent};
use crate::error::Result;
use crate::folder::PathOf;
use crate::unsynced::Unsynced;

/// Where the files of earlier sessions end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FilesEnd {
    pub(crate) files: u32,
    pub(crate) rows: u64,
}

pub(crate) struct GrowingFiles {
    folder: PathBuf,
    path_of: PathOf,
    columns: Arc<Columns>,
    last: Option<ChunkWriter>,
    files: u32,
    committed: Extent,
    unsynced: Unsynced,
}

impl GrowingFiles {
    pub(crate) fn new(folder: PathBuf, path_of: PathOf, columns: Columns) -> Self {
        Self {
            folder,
            path_of,
            columns: Arc::new(columns),
            last: None,
            files: 0,
            committed: Extent::default(),
            unsynced: Unsynced::default(),
        }
    }

    /// Begin behind what earlier sessions left.
    pub(crate) fn continue_after(&mut self, end: FilesEnd) {
        self.files = end.files;
        self.committed = Extent::rows(end.rows);
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

    /// What is committed in all files.
    pub(crate) fn committed(&self) -> Extent {
        self.committed
    }

    /// Committed items of the last file.
    pub(crate) fn items(&self) -> u64 {
        self.last.as_ref().map_or(0, ChunkWriter::items)
    }

    /// What the last file can still take.
    pub(crate) fn room(&self) -> Extent {
        self.last
            .as_ref()
            .map_or(Extent::default(), ChunkWriter::room)
    }

    /// Seal the last file and begin the next one. May be tried again after a failure.
    pub(crate) fn begin(&mut self, capacity: Extent) -> Result<()> {
        if let Some(full) = &mut self.last {
            full.seal()?;
            full.note_unsynced(&mut self.unsynced);
            self.last = None;
        }
        let path = (self.path_of)(&self.folder, self.files);
        let chunk = ChunkWriter::create(path, &self.columns, capacity, self.committed.rows)?;
        self.unsynced.folder(&self.folder);
        self.last = Some(chunk);
        self.files += 1;
        Ok(())
    }

    /// Whether the last file can take so much; false if there is no file yet, even for nothing.
    pub(crate) fn has_room(&self, extent: Extent) -> bool {
        self.last.is_some() && extent.fits(self.room())
    }

    /// Write a part of a region of the last file, `start` bytes after the committed ones.
    pub(crate) fn write(&self, region: usize, start: usize, bytes: &[u8]) -> Result<()> {
        self.last
            .as_ref()
            .map_or(Ok(()), |chunk| chunk.write(region, start, bytes))
    }

    /// Show rows that were written to the last file.
    pub(crate) fn commit(&mut self, added: Extent, last_sequence: u64, flags: u32) -> Result<()> {
        if let Some(chunk) = &mut self.last {
            chunk.commit(added, last_sequence, flags)?;
            self.committed = self.committed + added;
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
