//! One growing chunk: created whole, filled by positioned writes, committed by one write inside one page.

use std::cell::OnceCell;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{IoContext, Result};
use crate::columns::{Columns, Extent, Storage};
use crate::layout::Layout;
use crate::superblock::{SEALED, Superblock};

pub(crate) const FIRST_CHUNK_BYTES: usize = 1 << 20;
const LAST_CHUNK_BYTES: usize = 64 << 20;
const COPY_BYTES: usize = 1 << 20;

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
    file: OnceCell<File>,
    columns: Arc<Columns>,
    layout: Layout,
    superblock: Superblock,
    // The committed items; readers take them from the offsets.
    items: u64,
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
        let file = write_empty(&temporary, columns, &layout, superblock, 0)?;
        fs::rename(&temporary, &path).context("rename", &temporary)?;
        Ok(Self {
            path,
            file: OnceCell::from(file),
            columns: Arc::clone(columns),
            layout,
            superblock,
            items: 0,
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
        Ok(self.file.get_or_init(|| file))
    }

    /// What fits behind the committed rows.
    pub(crate) fn room(&self) -> Extent {
        Extent {
            rows: self.layout.capacity.rows - self.superblock.rows,
            items: self.layout.capacity.items - self.items,
        }
    }

    /// Items that are committed.
    pub(crate) fn items(&self) -> u64 {
        self.items
    }

    pub(crate) fn text_capacity(&self) -> usize {
        self.layout.capacity.items as usize
    }

    fn committed(&self, storage: &Storage) -> u64 {
        let committed = Extent {
            rows: self.superblock.rows,
            items: self.items,
        };
        // It is not more than the capacity, which is on file.
        storage.bytes(committed).unwrap_or(0)
    }

    /// Write a part of a region, `start` bytes after the committed ones. It shows only after the commit.
    pub(crate) fn write(&self, region: usize, start: usize, bytes: &[u8]) -> Result<()> {
        let committed = self.committed(&self.columns.storages()[region]);
        let offset = self.layout.offsets[region] + committed + start as u64;
        self.file()?
            .write_all_at(bytes, offset)
            .context("write", &self.path)
    }

    pub(crate) fn write_text(&self, text: usize, position: usize, bytes: &[u8]) -> Result<()> {
        let offset = self.layout.text_offsets[text] + position as u64;
        self.file()?
            .write_all_at(bytes, offset)
            .context("write", &self.path)
    }

    pub(crate) fn commit(&mut self, added: Extent, last_sequence: u64, flags: u32) -> Result<()> {
        self.superblock.rows += added.rows;
        self.items += added.items;
        self.superblock.last_sequence = last_sequence;
        self.superblock.flags = flags;
        let bytes = self
            .layout
            .commit(&self.columns, self.superblock, self.items);
        self.file()?
            .write_all_at(&bytes, self.layout.commit_offset())
            .context("write", &self.path)
    }

    /// Mark a chunk that is left for the next one. Its unused capacity stays a hole: it may be mapped.
    pub(crate) fn seal(mut self) -> Result<()> {
        let (last_sequence, flags) = (
            self.superblock.last_sequence,
            self.superblock.flags | SEALED,
        );
        self.commit(Extent::default(), last_sequence, flags)
    }

    /// Close the last chunk: write its rows into a file aside without holes, which the answer waits to publish.
    /// A chunk that is nearly full is only sealed.
    pub(crate) fn finish(self, text_used: &[usize]) -> Result<Option<Compacted>> {
        if self.is_nearly_full() {
            return self.seal().map(|()| None);
        }
        self.compact(text_used).map(Some)
    }

    /// Whether less than an eighth of the regions is unused.
    fn is_nearly_full(&self) -> bool {
        let storages = self.columns.storages().iter();
        let used: u64 = storages.clone().map(|storage| self.committed(storage)).sum();
        let capacity = storages.filter_map(|storage| storage.bytes(self.layout.capacity));
        let capacity: u64 = capacity.sum();
        capacity - used <= capacity / 8
    }

    fn compact(self, text_used: &[usize]) -> Result<Compacted> {
        let superblock = Superblock {
            capacity: self.superblock.rows,
            flags: self.superblock.flags | SEALED,
            ..self.superblock
        };
        let capacity = Extent {
            rows: superblock.rows,
            items: text_used.iter().map(|&used| used as u64).max().unwrap_or(self.items),
        };
        let layout = Layout::new(&self.columns, capacity);
        let temporary = temporary(&self.path);
        let target = write_empty(&temporary, &self.columns, &layout, superblock, self.items)?;
        let regions = self.columns.storages().iter().zip(&self.layout.offsets);
        for ((storage, &from), &to) in regions.zip(&layout.offsets) {
            self.copy(&target, from, to, self.committed(storage))?;
        }
        let texts = self.layout.text_offsets.iter().zip(&layout.text_offsets);
        for ((&from, &to), &used) in texts.zip(text_used) {
            self.copy(&target, from, to, used as u64)?;
        }
        Ok(Compacted {
            temporary,
            path: self.path,
        })
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

/// A last chunk without holes that waits to take the place of the growing one.
pub(crate) struct Compacted {
    temporary: PathBuf,
    path: PathBuf,
}

impl Compacted {
    /// Replace the growing chunk. Readers that mapped that one keep it.
    pub(crate) fn publish(self) -> Result<()> {
        File::open(&self.temporary)
            .and_then(|file| file.sync_data())
            .context("sync", &self.temporary)?;
        fs::rename(&self.temporary, &self.path).context("rename", &self.temporary)
    }
}

pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
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
