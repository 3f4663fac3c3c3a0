//! The one number that tells how far all channels are complete.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{IoContext, Result, StoreError};
use crate::staging::now;
use crate::superblock::{FORMAT, u32_at, u64_at};

const MAGIC: &[u8; 8] = b"SPECMARK";
const BYTES: usize = 64;
const CHECKED_BYTES: usize = 60;
const CLOSED: u32 = 1;
/// A read can meet a write half way; the next one does not.
const ATTEMPTS: usize = 100;

/// Up to which sequence number every record of every channel is on file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watermark {
    pub(crate) sequence: u64,
    pub(crate) closed: bool,
}

pub(crate) struct WatermarkFile {
    path: PathBuf,
    file: File,
}

impl WatermarkFile {
    pub(crate) fn create(path: PathBuf) -> Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .context("create", &path)?;
        let watermark = Self { path, file };
        watermark.write(Watermark::default())?;
        Ok(watermark)
    }

    /// One write inside one page: a kill cannot split it.
    pub(crate) fn write(&self, watermark: Watermark) -> Result<()> {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&(if watermark.closed { CLOSED } else { 0 }).to_le_bytes());
        bytes[16..24].copy_from_slice(&watermark.sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&now().to_le_bytes());
        let check = crc32fast::hash(&bytes[..CHECKED_BYTES]);
        bytes[CHECKED_BYTES..].copy_from_slice(&check.to_le_bytes());
        self.file
            .write_all_at(&bytes, 0)
            .context("write", &self.path)
    }

    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_data().context("sync", &self.path)
    }
}

pub(crate) fn read_watermark(path: &Path) -> Result<Watermark> {
    let file = File::open(path).context("open", path)?;
    let mut bytes = [0; BYTES];
    for _ in 0..ATTEMPTS {
        let read = file.read_at(&mut bytes, 0).context("read", path)?;
        if read < BYTES {
            return Err(StoreError::damaged(
                path,
                read as u64,
                "the watermark is cut short",
            ));
        }
        if crc32fast::hash(&bytes[..CHECKED_BYTES]) == u32_at(&bytes, CHECKED_BYTES) {
            return parse(&bytes, path);
        }
        std::thread::yield_now();
    }
    Err(StoreError::damaged(
        path,
        0,
        "the watermark does not match its checksum",
    ))
}

fn parse(bytes: &[u8; BYTES], path: &Path) -> Result<Watermark> {
    if &bytes[..8] != MAGIC {
        return Err(StoreError::damaged(path, 0, "the watermark has no magic"));
    }
    let found = u32_at(bytes, 8);
    if found > FORMAT {
        return Err(StoreError::Newer {
            path: path.to_path_buf(),
            found,
            known: FORMAT,
        });
    }
    Ok(Watermark {
        sequence: u64_at(bytes, 16),
        closed: u32_at(bytes, 12) & CLOSED != 0,
    })
}
