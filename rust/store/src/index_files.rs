//! The index files of a channel, as its writer sees them.

use std::path::PathBuf;

use crate::block::Entry;
use crate::chunk::{Compacted, FIRST_CHUNK_BYTES, chunk_bytes};
use crate::columns::Extent;
use crate::error::Result;
use crate::folder::index_path;
use crate::growing_files::{FilesEnd, GrowingFiles};
use crate::index_row::{BatchEntry, index_columns};
use crate::superblock::KEYS_UNSORTED;
use crate::unsynced::Unsynced;

pub(crate) struct IndexFiles {
    files: GrowingFiles,
    last_key: Option<(i32, i32)>,
    flags: u32,
    // Reused from drain to drain.
    added: Vec<BatchEntry>,
}

impl IndexFiles {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            files: GrowingFiles::new(folder, index_path, index_columns()),
            last_key: None,
            flags: 0,
            added: Vec::new(),
        }
    }

    /// Begin behind what earlier sessions left, whose last visible batch had this key.
    pub(crate) fn continue_after(&mut self, end: FilesEnd, last_key: Option<(i32, i32)>) {
        self.files.continue_after(end);
        self.last_key = last_key;
    }

    pub(crate) fn files(&self) -> u32 {
        self.files.files()
    }

    /// Note a record whose rows start at this row of the channel; `write` shows it.
    pub(crate) fn add(&mut self, entry: Entry, row_start: u64) {
        let Entry {
            key,
            sequence,
            time,
            rows,
            crc,
            ..
        } = entry;
        let (epoch, batch) = (key.epoch, key.batch);
        let key = (epoch, batch);
        if self.last_key.is_some_and(|last| last >= key) {
            self.flags |= KEYS_UNSORTED;
        }
        self.last_key = Some(key);
        self.added.push(BatchEntry {
            sequence,
            row_start,
            time,
            rows,
            epoch,
            batch,
            crc,
        });
    }

    /// Sequence number of the record that was added last.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.added.last().map_or(0, |entry| entry.sequence)
    }

    /// Write what was added, after the rows that it points at.
    pub(crate) fn write(&mut self) -> Result<()> {
        let mut rest = self.added.as_slice();
        while !rest.is_empty() {
            if self.files.room().rows == 0 {
                let bytes = FIRST_CHUNK_BYTES.max(chunk_bytes(self.files.files()));
                let capacity = bytes / self.files.columns().row_bytes();
                self.files.begin(Extent::rows(capacity as u64))?;
            }
            let room = self.files.room().rows as usize;
            let (now, later) = rest.split_at(rest.len().min(room));
            write_entries(&mut self.files, now, self.flags)?;
            rest = later;
        }
        self.added.clear();
        Ok(())
    }

    /// Forget what was added.
    pub(crate) fn abandon(&mut self) {
        self.added.clear();
    }

    /// Let go of the descriptor until the next write.
    pub(crate) fn rest(&mut self) {
        self.files.rest();
    }

    pub(crate) fn take_unsynced(&mut self, unsynced: &mut Unsynced) {
        self.files.take_unsynced(unsynced);
    }

    /// Close the last file.
    pub(crate) fn finish(&mut self) -> Result<Option<Compacted>> {
        self.files.finish(&[])
    }
}

fn write_entries(files: &mut GrowingFiles, entries: &[BatchEntry], flags: u32) -> Result<()> {
    fn bytes<const N: usize>(
        entries: &[BatchEntry],
        value: impl Fn(&BatchEntry) -> [u8; N],
    ) -> Vec<u8> {
        entries.iter().flat_map(value).collect()
    }
    let columns = [
        bytes(entries, |entry| entry.sequence.to_le_bytes()),
        bytes(entries, |entry| entry.row_start.to_le_bytes()),
        bytes(entries, |entry| entry.time.to_le_bytes()),
        bytes(entries, |entry| entry.rows.to_le_bytes()),
        bytes(entries, |entry| entry.epoch.to_le_bytes()),
        bytes(entries, |entry| entry.batch.to_le_bytes()),
        bytes(entries, |entry| entry.crc.to_le_bytes()),
        bytes(entries, |entry| entry.check().to_le_bytes()),
    ];
    for (column, bytes) in columns.iter().enumerate() {
        files.write(column, 0, bytes)?;
    }
    let last_sequence = entries.last().map_or(0, |entry| entry.sequence);
    files.commit(Extent::rows(entries.len() as u64), last_sequence, flags)
}
