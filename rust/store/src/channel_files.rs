//! The files of one channel: chunks of rows, and their index.

use std::path::PathBuf;

use crate::block::{Block, Entry, Payload};
use crate::chunk::{Compacted, chunk_bytes};
use crate::columns::Extent;
use crate::error::Result;
use crate::folder::chunk_path;
use crate::growing_files::GrowingFiles;
use crate::index_files::IndexFiles;
use crate::kind::{Kind, Regions};
use crate::recovery::ChannelEnd;
use crate::region_writer::RegionWriter;
use crate::unsynced::Unsynced;

/// A large record is written in parts that are still in the cache after their checksum was computed.
const THROUGH_BYTES: usize = 512 << 10;

/// Values that stand one behind the other in a block.
#[derive(Clone, Copy, Default)]
struct Run {
    block: usize,
    start: u32,
    end: u32,
}

pub(crate) struct ChannelFiles {
    kind: Kind,
    regions: Regions,
    chunks: GrowingFiles,
    index: IndexFiles,
    /// What was appended to the last chunk and is not committed.
    added: Extent,
    /// Rows and items of this session: their average is what a chunk is made for.
    written: Extent,
    // Reused from drain to drain.
    pending: Vec<(u32, u32)>,
    run: Run,
    writers: Vec<RegionWriter>,
    ends: Vec<u8>,
}

impl ChannelFiles {
    pub(crate) fn new(folder: PathBuf, field: &str, kind: Kind) -> Self {
        let columns = kind.columns(field);
        let regions = 0..columns.storages().len();
        Self {
            regions: kind.regions(),
            kind,
            writers: regions.map(RegionWriter::new).collect(),
            chunks: GrowingFiles::new(folder.clone(), chunk_path, columns),
            index: IndexFiles::new(folder),
            added: Extent::default(),
            written: Extent::default(),
            pending: Vec::new(),
            run: Run::default(),
            ends: Vec::new(),
        }
    }

    /// Begin behind what earlier sessions left.
    pub(crate) fn continue_after(&mut self, end: &ChannelEnd) {
        self.chunks.continue_after(end.chunks);
        self.index.continue_after(end.index, end.last_key);
    }

    pub(crate) fn chunks(&self) -> u64 {
        u64::from(self.chunks.files()) + u64::from(self.index.files())
    }

    /// Note a record of the blocks that are being drained. True for the first one.
    pub(crate) fn stage(&mut self, block: usize, entry: usize) -> bool {
        self.pending.push((block as u32, entry as u32));
        self.pending.len() == 1
    }

    /// Write everything that was staged: rows, commit, index, commit.
    pub(crate) fn write_staged(&mut self, blocks: &[Block]) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        for &(block, entry) in &pending {
            self.add(blocks, block as usize, entry as usize)?;
        }
        self.end_run(blocks)?;
        self.commit()?;
        self.pending = pending;
        self.pending.clear();
        self.index.write()
    }

    /// Write one record straight from the caller's memory, and note its checksum on the way.
    pub(crate) fn write_one(&mut self, mut entry: Entry, payload: Payload) -> Result<()> {
        let extent = self.extent(&entry, payload.bytes());
        if !self.chunks.has_room(self.added + extent) {
            self.next_chunk(extent)?;
        }
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(payload.header);
        self.append_header(payload.header)?;
        let values = payload.values.iter();
        for bytes in values.flat_map(|part| part.chunks(THROUGH_BYTES)) {
            hasher.update(bytes);
            self.append(self.regions.values, bytes)?;
        }
        entry.crc = hasher.finalize();
        self.note(entry, extent)?;
        self.commit()?;
        self.index.write()
    }

    fn add(&mut self, blocks: &[Block], block: usize, entry: usize) -> Result<()> {
        let entry = blocks[block].entries()[entry];
        let payload = blocks[block].data(&entry);
        let extent = self.extent(&entry, payload.len());
        if !self.chunks.has_room(self.added + extent) {
            self.end_run(blocks)?;
            self.commit()?;
            self.next_chunk(extent)?;
        }
        let header = self.kind.header_bytes() * entry.rows as usize;
        if header > 0 || self.run.block != block || self.run.end != entry.start {
            self.end_run(blocks)?;
            self.append_header(&payload[..header])?;
            self.run = Run {
                block,
                start: entry.start + header as u32,
                end: entry.end,
            };
        }
        self.run.end = entry.end;
        self.note(entry, extent)
    }

    /// Rows of a record, and the items that its bytes hold.
    fn extent(&self, entry: &Entry, bytes: usize) -> Extent {
        let rows = entry.rows as usize;
        let values = bytes - rows * self.kind.header_bytes();
        let items = values.checked_div(self.chunks.columns().item_bytes());
        Extent {
            rows: rows as u64,
            items: items.unwrap_or(0) as u64,
        }
    }

    /// Append the values of the current run.
    fn end_run(&mut self, blocks: &[Block]) -> Result<()> {
        let run = std::mem::take(&mut self.run);
        if run.start == run.end {
            return Ok(());
        }
        let values = blocks[run.block].bytes(run.start..run.end);
        self.append(self.regions.values, values)
    }

    /// Append what stands in front of the values of a record, and where each of its rows ends.
    fn append_header(&mut self, header: &[u8]) -> Result<()> {
        let Some(offsets) = self.regions.offsets else {
            return Ok(());
        };
        let mut end = self.added.items + self.chunks.items();
        self.ends.clear();
        for row in header.chunks_exact(self.kind.header_bytes()) {
            end += self.kind.row_items(row).unwrap_or(0);
            self.ends.extend_from_slice(&(end as i32).to_le_bytes());
        }
        self.writers[offsets].append(&self.chunks, &self.ends)?;
        match self.regions.shapes {
            Some(shapes) => self.append(shapes, header),
            None => Ok(()),
        }
    }

    fn append(&mut self, region: usize, bytes: &[u8]) -> Result<()> {
        self.writers[region].append(&self.chunks, bytes)
    }

    /// Note the keys of a record whose values were appended, or will be before the commit.
    fn note(&mut self, entry: Entry, extent: Extent) -> Result<()> {
        for (region, key) in self.regions.keys.into_iter().zip(entry.key.numbers()) {
            let rows = entry.rows as usize;
            self.writers[region].repeat(&self.chunks, key.to_le_bytes(), rows)?;
        }
        let row_start = self.chunks.committed().rows + self.added.rows;
        self.index.add(entry, row_start);
        self.added = self.added + extent;
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        for writer in &mut self.writers {
            writer.end(&self.chunks)?;
        }
        if self.added.rows > 0 {
            self.chunks
                .commit(self.added, self.index.last_sequence(), 0)?;
            self.written = self.written + self.added;
            self.added = Extent::default();
        }
        Ok(())
    }

    /// Begin a chunk for rows that are on average as long as those so far, and for the next record at least.
    fn next_chunk(&mut self, needed: Extent) -> Result<()> {
        let bytes = chunk_bytes(self.chunks.files()) as u64;
        let row_bytes = self.chunks.columns().row_bytes() as u64;
        let item_bytes = self.chunks.columns().item_bytes() as u64;
        let so_far = self.written + needed;
        let items_per_row = (so_far.items / so_far.rows.max(1)).max(1);
        let rows = bytes / (row_bytes + item_bytes * items_per_row);
        let items = (bytes - rows * row_bytes).checked_div(item_bytes);
        self.chunks.begin(Extent {
            rows: rows.max(needed.rows).max(1),
            items: items.map_or(0, |items| items.max(needed.items)),
        })
    }

    /// Go back to what is committed, after a write that failed.
    pub(crate) fn abandon(&mut self) {
        self.pending.clear();
        self.run = Run::default();
        self.added = Extent::default();
        self.writers.iter_mut().for_each(RegionWriter::abandon);
        self.index.abandon();
    }

    /// Let go of the descriptors until the next write.
    pub(crate) fn rest(&mut self) {
        self.chunks.rest();
        self.index.rest();
    }

    pub(crate) fn take_unsynced(&mut self, unsynced: &mut Unsynced) {
        self.chunks.take_unsynced(unsynced);
        self.index.take_unsynced(unsynced);
    }

    /// Close the last chunk and the last index.
    pub(crate) fn finish(&mut self, compacted: &mut Vec<Compacted>) -> Result<()> {
        compacted.extend(self.chunks.finish(&[])?);
        compacted.extend(self.index.finish()?);
        Ok(())
    }
}
