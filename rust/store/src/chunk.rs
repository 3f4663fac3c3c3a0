//! One growing chunk: created whole, filled by positioned writes, committed by one write inside one page.

use std::cell::{Cell, OnceCell};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::chunk_map::ChunkMap;
use crate::columns::{Columns, Extent};
use crate::disk::temporary;
use crate::error::{IoContext, Result};
use crate::layout::Layout;
use crate::reserve::{Place, Reserve, release};
use crate::superblock::{SEALED, Superblock};
use crate::unsynced::Unsynced;

pub(crate) const FIRST_CHUNK_BYTES: usize = 1 << 20;
pub(crate) const LAST_CHUNK_BYTES: usize = 64 << 20;
const COPY_BYTES: usize = 1 << 20;
/// A last chunk is written again without its hole if more than this share of it is unused.
const HOLE_SHARE: u64 = 2;

/// Size to aim at for the chunk of this number.
pub(crate) fn chunk_bytes(number: u32) -> usize {
    FIRST_CHUNK_BYTES
        .checked_shl(2 * number.min(8))
        .unwrap_or(LAST_CHUNK_BYTES)
        .min(LAST_CHUNK_BYTES)
}

pub(crate) struct ChunkWriter {
    path: PathBuf,
    // Empty while the chunk rests.
    file: OnceCell<Arc<File>>,
    columns: Arc<Columns>,
    layout: Layout,
    reserve: Reserve,
    /// As it was last committed.
    superblock: Superblock,
    /// As many as its rows have; readers take the number from the offsets.
    items: u64,
    /// A commit failed: what stands in the file is unknown until the chunk is sealed.
    doubtful: bool,
    unsynced: Cell<bool>,
}

impl ChunkWriter {
    /// Create the file aside and rename it, so that nobody sees it before it is a valid Arrow file.
    pub(crate) fn create(
        path: PathBuf,
        columns: &Arc<Columns>,
        capacity: Extent,
        first_row: u64,
    ) -> Result<Self> {
        let superblock = Superblock {
            capacity: capacity.rows,
            first_row,
            ..Superblock::default()
        };
        let layout = Layout::new(columns, capacity);
        let temporary = temporary(&path);
        let file = write_empty(&temporary, columns, &layout, superblock, 0)
            .and_then(|file| {
                fs::rename(&temporary, &path).context("rename", &temporary)?;
                Ok(file)
            })
            .inspect_err(|_| discard(&temporary))?;
        Ok(Self {
            path,
            file: OnceCell::from(Arc::new(file)),
            columns: Arc::clone(columns),
            reserve: Reserve::new(&layout),
            layout,
            superblock,
            items: 0,
            doubtful: false,
            unsynced: Cell::new(true),
        })
    }

    /// Let go of the descriptor until the next write.
    pub(crate) fn rest(&mut self) {
        self.file.take();
    }

    fn file(&self) -> Result<&File> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.path)
            .context("open", &self.path)?;
        Ok(self.file.get_or_init(|| Arc::new(file)))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.unsynced.set(true);
        self.file()?
            .write_all_at(bytes, offset)
            .context("write", &self.path)
    }

    fn committed(&self) -> Extent {
        Extent {
            rows: self.superblock.rows,
            items: self.items,
        }
    }

    /// What can still be added: nothing once a commit has failed.
    pub(crate) fn room(&self) -> Extent {
        if self.doubtful {
            return Extent::default();
        }
        let capacity = self.layout.capacity;
        Extent {
            rows: capacity.rows - self.superblock.rows,
            items: capacity.items - self.items,
        }
    }

    /// Items that are committed.
    pub(crate) fn items(&self) -> u64 {
        self.items
    }

    /// Hand over what was written since the last time.
    pub(crate) fn note_unsynced(&self, unsynced: &mut Unsynced) {
        if self.unsynced.take() {
            unsynced.file(&self.path, self.file.get());
        }
    }

    pub(crate) fn text_capacity(&self) -> usize {
        self.layout.capacity.items as usize
    }

    /// Write a part of a region, `start` bytes after the committed ones. It shows only after the commit.
    pub(crate) fn write(&self, region: usize, start: usize, bytes: &[u8]) -> Result<()> {
        let committed = self.columns.storages()[region].bytes(self.committed());
        let place = Place::of(&self.layout, &self.columns, region);
        // It is not more than the capacity, which is on file.
        let start = committed.unwrap_or(0) + start as u64;
        let end = start + bytes.len() as u64;
        self.reserve.cover(self.file()?, region, place, end);
        self.write_at(bytes, place.offset + start)
    }

    pub(crate) fn write_text(&self, text: usize, position: usize, bytes: &[u8]) -> Result<()> {
        self.write_at(bytes, self.layout.text_offsets[text] + position as u64)
    }

    pub(crate) fn commit(&mut self, added: Extent, last_sequence: u64, flags: u32) -> Result<()> {
        let committed = self.committed() + added;
        let superblock = Superblock {
            rows: committed.rows,
            last_sequence,
            flags,
            ..self.superblock
        };
        let bytes = self
            .layout
            .commit(&self.columns, superblock, committed.items);
        self.file()?;
        if let Err(error) = self.write_at(&bytes, self.layout.commit_offset()) {
            self.doubtful = true;
            let before = self
                .layout
                .commit(&self.columns, self.superblock, self.items);
            // A part of it may be in the file, where readers look. The failure is the answer, whatever comes of this.
            drop(self.write_at(&before, self.layout.commit_offset()));
            return Err(error);
        }
        self.doubtful = false;
        self.superblock = superblock;
        self.items = committed.items;
        Ok(())
    }

    /// Mark a chunk that is left for the next one. Its unused capacity becomes a hole: it may be mapped.
    pub(crate) fn seal(&mut self) -> Result<()> {
        let Superblock {
            last_sequence,
            flags,
            ..
        } = self.superblock;
        self.commit(Extent::default(), last_sequence, flags | SEALED)?;
        release(self.file()?, &self.layout, &self.columns, self.committed());
        Ok(())
    }

    /// Close the last chunk: write its rows into a file aside without holes, which the answer waits to publish.
    /// A chunk of which most is used is only sealed, and so is one that cannot be written again.
    pub(crate) fn finish(&mut self, text_used: &[usize]) -> Result<Option<Compacted>> {
        if self.is_mostly_used() {
            return self.seal().map(|()| None);
        }
        let temporary = temporary(&self.path);
        if self.compact(&temporary, text_used).is_err() {
            // Nothing is lost: the rows stand where they always stood, and holes cost no space.
            discard(&temporary);
            return self.seal().map(|()| None);
        }
        Ok(Some(Compacted {
            temporary,
            path: self.path.clone(),
        }))
    }

    fn is_mostly_used(&self) -> bool {
        let bytes = |extent: Extent| -> u64 {
            let storages = self.columns.storages().iter();
            storages.filter_map(|storage| storage.bytes(extent)).sum()
        };
        let capacity = bytes(self.layout.capacity);
        capacity - bytes(self.committed()) <= capacity / HOLE_SHARE
    }

    fn compact(&self, temporary: &Path, text_used: &[usize]) -> Result<()> {
        let superblock = Superblock {
            capacity: self.superblock.rows,
            flags: self.superblock.flags | SEALED,
            ..self.superblock
        };
        let longest_text = text_used.iter().map(|&used| used as u64).max();
        let capacity = Extent {
            rows: superblock.rows,
            items: longest_text.unwrap_or(self.items),
        };
        let layout = Layout::new(&self.columns, capacity);
        let target = write_empty(temporary, &self.columns, &layout, superblock, self.items)?;
        let regions = self.layout.offsets.iter().zip(&layout.offsets);
        for (storage, (&from, &to)) in self.columns.storages().iter().zip(regions) {
            let bytes = storage.bytes(self.committed()).unwrap_or(0);
            self.copy(&target, from, to, bytes)?;
        }
        let texts = self.layout.text_offsets.iter().zip(&layout.text_offsets);
        for ((&from, &to), &used) in texts.zip(text_used) {
            self.copy(&target, from, to, used as u64)?;
        }
        Ok(())
    }

    fn copy(&self, target: &File, from: u64, to: u64, bytes: u64) -> Result<()> {
        let mut buffer = vec![0; COPY_BYTES.min(bytes as usize)];
        let mut done = 0;
        while done < bytes {
            let part = &mut buffer[..COPY_BYTES.min((bytes - done) as usize)];
            self.file()?
                .read_exact_at(part, from + done)
                .context("read", &self.path)?;
            target
                .write_all_at(part, to + done)
                .context("write", &self.path)?;
            done += part.len() as u64;
        }
        Ok(())
    }
}

/// Mark a chunk that another session left: no more rows will come, and the space that waited for them is given back.
pub(crate) fn seal(map: &ChunkMap, columns: &Columns) -> Result<()> {
    let superblock = map.superblock()?;
    if superblock.flags & SEALED != 0 {
        return Ok(());
    }
    let sealed = Superblock {
        flags: superblock.flags | SEALED,
        ..superblock
    };
    let file = open_left(map)?;
    let layout = left_layout(map, columns, superblock);
    // How many items count is known from offsets alone, which may be damaged: such rows are left as they are.
    if columns.offsets().is_none() && map.has_layout(&layout) {
        release(&file, &layout, columns, Extent::rows(superblock.rows));
    }
    write_headers(&file, map, &sealed.to_bytes())
}

/// Take rows from the end of a chunk that another session left. Nobody may have mapped it.
pub(crate) fn cut_rows(
    map: &ChunkMap,
    columns: &Columns,
    rows: u64,
    last_sequence: u64,
) -> Result<()> {
    let superblock = map.superblock()?;
    if superblock.rows == rows {
        return Ok(());
    }
    let layout = left_layout(map, columns, superblock);
    if layout.commit_offset() != map.superblock_offset() {
        return Err(map.damaged(8, "its headers do not stand where this version writes them"));
    }
    let cut = Superblock {
        rows,
        last_sequence,
        ..superblock
    };
    let items = columns
        .offsets()
        .map_or(0, |region| map.offset(region, rows));
    let items = items.min(layout.capacity.items);
    let headers = layout.commit(columns, cut, items);
    write_headers(&open_left(map)?, map, &headers)
}

/// Where everything stands in a chunk that another session left, if this version wrote it.
fn left_layout(map: &ChunkMap, columns: &Columns, superblock: Superblock) -> Layout {
    let capacity = Extent {
        rows: superblock.capacity,
        items: map.item_capacity(),
    };
    Layout::new(columns, capacity)
}

fn open_left(map: &ChunkMap) -> Result<File> {
    let path = map.path();
    OpenOptions::new()
        .write(true)
        .open(path)
        .context("open", path)
}

fn write_headers(file: &File, map: &ChunkMap, bytes: &[u8]) -> Result<()> {
    file.write_all_at(bytes, map.superblock_offset())
        .context("write", map.path())
}

/// A last chunk without holes that waits to take the place of the growing one.
pub(crate) struct Compacted {
    temporary: PathBuf,
    path: PathBuf,
}

impl Compacted {
    /// What has to be synced before it is published.
    pub(crate) fn note_unsynced(&self, unsynced: &mut Unsynced) {
        unsynced.file(&self.temporary, None);
    }

    /// Replace the growing chunk. Readers that mapped that one keep it.
    pub(crate) fn publish(self, unsynced: &mut Unsynced) -> Result<()> {
        fs::rename(&self.temporary, &self.path).context("rename", &self.temporary)?;
        if let Some(folder) = self.path.parent() {
            unsynced.folder(folder);
        }
        Ok(())
    }

    /// Keep the growing chunk.
    pub(crate) fn discard(self) {
        discard(&self.temporary);
    }
}

/// Give the space of a file in the making back. What is left of it means nothing, so that a failure does not matter.
fn discard(temporary: &Path) {
    let _ = fs::remove_file(temporary);
}

fn write_empty(
    path: &Path,
    columns: &Columns,
    layout: &Layout,
    superblock: Superblock,
    items: u64,
) -> Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .context("create", path)?;
    file.write_all_at(&layout.preamble, 0)
        .context("write", path)?;
    let commit = layout.commit(columns, superblock, items);
    file.write_all_at(&commit, layout.commit_offset())
        .context("write", path)?;
    file.write_all_at(&layout.ending, layout.ending_offset)
        .context("write", path)?;
    debug_assert_eq!(
        file.metadata().map(|metadata| metadata.len()).unwrap_or(0),
        layout.file_bytes()
    );
    Ok(file)
}
