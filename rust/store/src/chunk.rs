//! One growing chunk: created whole, filled by positioned writes, committed by one write inside one page.

use std::cell::{Cell, OnceCell};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::chunk_map::ChunkMap;
use crate::error::{IoContext, Result};
use crate::layout::{Columns, Layout, Storage};
use crate::superblock::{SEALED, Superblock};
use crate::unsynced::Unsynced;

pub(crate) const FIRST_CHUNK_BYTES: usize = 1 << 20;
const LAST_CHUNK_BYTES: usize = 64 << 20;
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
    /// As it was last committed.
    superblock: Superblock,
    /// A commit failed: what stands in the file is unknown until the chunk is sealed.
    doubtful: bool,
    unsynced: Cell<bool>,
}

impl ChunkWriter {
    /// Create the file aside and rename it, so that nobody sees it before it is a valid Arrow file.
    pub(crate) fn create(
        path: PathBuf,
        columns: &Arc<Columns>,
        capacity: u64,
        text_capacity: usize,
        first_row: u64,
    ) -> Result<Self> {
        let superblock = Superblock {
            capacity,
            first_row,
            ..Superblock::default()
        };
        let layout = Layout::new(columns, capacity, text_capacity);
        let temporary = temporary(&path);
        let file = write_empty(&temporary, columns, &layout, superblock)
            .and_then(|file| {
                fs::rename(&temporary, &path).context("rename", &temporary)?;
                Ok(file)
            })
            .inspect_err(|_| discard(&temporary))?;
        Ok(Self {
            path,
            file: OnceCell::from(Arc::new(file)),
            columns: Arc::clone(columns),
            layout,
            superblock,
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

    /// Rows that can still be added: none once a commit has failed.
    pub(crate) fn room(&self) -> u64 {
        if self.doubtful {
            return 0;
        }
        self.layout.capacity - self.superblock.rows
    }

    /// Hand over what was written since the last time.
    pub(crate) fn note_unsynced(&self, unsynced: &mut Unsynced) {
        if self.unsynced.take() {
            unsynced.file(&self.path, self.file.get());
        }
    }

    pub(crate) fn text_capacity(&self) -> usize {
        self.layout.text_capacity
    }

    /// Write rows of one column, `row` rows after the committed ones. They show only after the commit.
    pub(crate) fn write(&self, column: usize, row: u64, bytes: &[u8]) -> Result<()> {
        self.write_bytes(
            column,
            row as usize * self.columns.storages()[column].row_bytes(),
            bytes,
        )
    }

    /// Write a part of a column, `start` bytes after the committed rows.
    pub(crate) fn write_bytes(&self, column: usize, start: usize, bytes: &[u8]) -> Result<()> {
        let committed = self.superblock.rows * self.columns.storages()[column].row_bytes() as u64;
        self.write_at(
            bytes,
            self.layout.column_offsets[column] + committed + start as u64,
        )
    }

    pub(crate) fn write_text(&self, text: usize, position: usize, bytes: &[u8]) -> Result<()> {
        self.write_at(bytes, self.layout.text_offsets[text] + position as u64)
    }

    pub(crate) fn commit(&mut self, added: u64, last_sequence: u64, flags: u32) -> Result<()> {
        let superblock = Superblock {
            rows: self.superblock.rows + added,
            last_sequence,
            flags,
            ..self.superblock
        };
        let bytes = self.layout.commit(&self.columns, superblock);
        self.file()?;
        if let Err(error) = self.write_at(&bytes, self.layout.commit_offset()) {
            self.doubtful = true;
            let before = self.layout.commit(&self.columns, self.superblock);
            // A part of it may be in the file, where readers look. The failure is the answer, whatever comes of this.
            drop(self.write_at(&before, self.layout.commit_offset()));
            return Err(error);
        }
        self.doubtful = false;
        self.superblock = superblock;
        Ok(())
    }

    /// Mark a chunk that is left for the next one. Its unused capacity stays a hole: it may be mapped.
    pub(crate) fn seal(&mut self) -> Result<()> {
        let Superblock {
            last_sequence,
            flags,
            ..
        } = self.superblock;
        self.commit(0, last_sequence, flags | SEALED)
    }

    /// Close the last chunk: write its rows into a file aside without holes, which the answer waits to publish.
    /// A chunk of which most is used is only sealed, and so is one that cannot be written again.
    pub(crate) fn finish(&mut self, text_used: &[usize]) -> Result<Option<Compacted>> {
        let capacity = self.layout.capacity;
        if capacity - self.superblock.rows <= capacity / HOLE_SHARE {
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

    fn compact(&self, temporary: &Path, text_used: &[usize]) -> Result<()> {
        let superblock = Superblock {
            capacity: self.superblock.rows,
            flags: self.superblock.flags | SEALED,
            ..self.superblock
        };
        let text_capacity = text_used.iter().copied().max().unwrap_or(0);
        let layout = Layout::new(&self.columns, superblock.rows, text_capacity);
        let target = write_empty(temporary, &self.columns, &layout, superblock)?;
        let mut text = 0;
        for (column, storage) in self.columns.storages().iter().enumerate() {
            let bytes = superblock.rows * storage.row_bytes() as u64;
            self.copy(
                &target,
                self.layout.column_offsets[column],
                layout.column_offsets[column],
                bytes,
            )?;
            if matches!(storage, Storage::Text) {
                let bytes = text_used[text] as u64;
                self.copy(
                    &target,
                    self.layout.text_offsets[text],
                    layout.text_offsets[text],
                    bytes,
                )?;
                text += 1;
            }
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

/// Mark a chunk that another session left: no more rows will come.
pub(crate) fn seal(map: &ChunkMap) -> Result<()> {
    let superblock = map.superblock()?;
    if superblock.flags & SEALED != 0 {
        return Ok(());
    }
    let sealed = Superblock {
        flags: superblock.flags | SEALED,
        ..superblock
    };
    write_headers(map, &sealed.to_bytes())
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
    let layout = Layout::new(columns, superblock.capacity, map.text_capacity());
    if layout.commit_offset() != map.superblock_offset() {
        return Err(map.damaged(8, "its headers do not stand where this version writes them"));
    }
    let cut = Superblock {
        rows,
        last_sequence,
        ..superblock
    };
    write_headers(map, &layout.commit(columns, cut))
}

fn write_headers(map: &ChunkMap, bytes: &[u8]) -> Result<()> {
    let path = map.path();
    OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| file.write_all_at(bytes, map.superblock_offset()))
        .context("write", path)
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
    file.write_all_at(&layout.commit(columns, superblock), layout.commit_offset())
        .context("write", path)?;
    file.write_all_at(&layout.ending, layout.ending_offset)
        .context("write", path)?;
    debug_assert_eq!(
        file.metadata().map(|metadata| metadata.len()).unwrap_or(0),
        layout.file_bytes()
    );
    Ok(file)
}
