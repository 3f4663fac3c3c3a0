//! The files of one channel: chunks of rows, and their index.

use std::path::PathBuf;
use std::sync::Arc;

use crate::chunk::{ChunkWriter, Compacted, chunk_bytes};
use crate::columns::{Columns, Extent};
use crate::error::Result;
use crate::folder::chunk_path;
use crate::index_files::IndexFiles;
use crate::kind::{Kind, Regions};
use crate::region_writer::RegionWriter;
use crate::staging::{Block, Entry, Payload};

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
    folder: PathBuf,
    kind: Kind,
    columns: Arc<Columns>,
    regions: Regions,
    index: IndexFiles,
    chunk: Option<ChunkWriter>,
    chunks: u32,
    committed: Extent,
    /// What was appended to the chunk and is not committed.
    added: Extent,
    // Reused from drain to drain.
    pending: Vec<(u32, u32)>,
    run: Run,
    writers: Vec<RegionWriter>,
    ends: Vec<u8>,
}

impl ChannelFiles {
    pub(crate) fn new(folder: PathBuf, field: &str, kind: Kind) -> Self {
        let columns = Arc::new(kind.columns(field));
        Self {
            index: IndexFiles::new(&folder),
            folder,
            writers: (0..columns.storages().len())
                .map(RegionWriter::new)
                .collect(),
            columns,
            regions: kind.regions(),
            kind,
            chunk: None,
            chunks: 0,
            committed: Extent::default(),
            added: Extent::default(),
            pending: Vec::new(),
            run: Run::default(),
            ends: Vec::new(),
        }
    }

    pub(crate) fn chunks(&self) -> u64 {
        u64::from(self.chunks) + self.index.files()
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
        if !self.has_room(extent) {
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
        if !self.has_room(extent) {
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
        Extent {
            rows: rows as u64,
            items: values.checked_div(self.columns.item_bytes()).unwrap_or(0) as u64,
        }
    }

    fn has_room(&self, extent: Extent) -> bool {
        let room = self.chunk.as_ref().map(ChunkWriter::room);
        room.is_some_and(|room| (self.added + extent).fits(room))
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
        let (Some(offsets), Some(chunk)) = (self.regions.offsets, &self.chunk) else {
            return Ok(());
        };
        let mut end = chunk.items() + self.added.items;
        self.ends.clear();
        for row in header.chunks_exact(self.kind.header_bytes()) {
            end += self.kind.row_items(row).unwrap_or(0);
            self.ends.extend_from_slice(&(end as i32).to_le_bytes());
        }
        self.writers[offsets].append(chunk, &self.ends)?;
        match self.regions.shapes {
            Some(shapes) => self.append(shapes, header),
            None => Ok(()),
        }
    }

    fn append(&mut self, region: usize, bytes: &[u8]) -> Result<()> {
        match &self.chunk {
            Some(chunk) => self.writers[region].append(chunk, bytes),
            None => Ok(()),
        }
    }

    /// Note the keys of a record whose values were appended, or will be before the commit.
    fn note(&mut self, entry: Entry, extent: Extent) -> Result<()> {
        if let Some(chunk) = &self.chunk {
            let rows = entry.rows as usize;
            for (region, key) in self.regions.keys.into_iter().zip(entry.key.numbers()) {
                self.writers[region].repeat(chunk, key.to_le_bytes(), rows)?;
            }
        }
        let row_start = self.committed.rows + self.added.rows;
        self.index.add(entry, row_start);
        self.added = self.added + extent;
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        let Some(chunk) = &mut self.chunk else {
            return Ok(());
        };
        for writer in &mut self.writers {
            writer.end(chunk)?;
        }
        if self.added.rows > 0 {
            chunk.commit(self.added, self.index.last_sequence(), 0)?;
            self.committed = self.committed + self.added;
            self.added = Extent::default();
        }
        Ok(())
    }

    fn next_chunk(&mut self, needed: Extent) -> Result<()> {
        if let Some(full) = self.chunk.take() {
            full.seal()?;
        }
        let path = chunk_path(&self.folder, self.chunks);
        let capacity = self.capacity(needed);
        let chunk = ChunkWriter::create(path, &self.columns, capacity, self.committed.rows)?;
        self.chunk = Some(chunk);
        self.chunks += 1;
        Ok(())
    }

    /// Room for rows that are on average as long as those so far, and for the next record at least.
    fn capacity(&self, needed: Extent) -> Extent {
        let bytes = chunk_bytes(self.chunks) as u64;
        let row_bytes = self.columns.row_bytes() as u64;
        let item_bytes = self.columns.item_bytes() as u64;
        let so_far = self.committed + needed;
        let items_per_row = (so_far.items / so_far.rows.max(1)).max(1);
        let rows = bytes / (row_bytes + item_bytes * items_per_row);
        let left = bytes - rows * row_bytes;
        Extent {
            rows: rows.max(needed.rows).max(1),
            items: left
                .checked_div(item_bytes)
                .map_or(0, |items| items.max(needed.items)),
        }
    }

    /// Let go of the descriptors until the next write.
    pub(crate) fn rest(&mut self) {
        self.chunk.iter_mut().for_each(ChunkWriter::rest);
        self.index.rest();
    }

    /// Close the last chunk and the last index.
    pub(crate) fn finish(&mut self, compacted: &mut Vec<Compacted>) -> Result<()> {
        if let Some(chunk) = self.chunk.take() {
            compacted.extend(chunk.finish(&[])?);
        }
        self.index.finish(compacted)
    }
}
