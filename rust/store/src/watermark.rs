//! The one page that tells how far all channels are complete, and what of them is hidden.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{IoContext, Result, StoreError};
use crate::hidden::{Hidden, HiddenRange};
use crate::staging::now;
use crate::superblock::{FORMAT, u32_at, u64_at};

const MAGIC: &[u8; 8] = b"SPECMARK";
const FIXED_BYTES: usize = 64;
const RANGE_BYTES: usize = 16;
const MOST_BYTES: usize = FIXED_BYTES + Hidden::MOST * RANGE_BYTES;
const CHECK: usize = 60;
const CLOSED: u32 = 1;
/// A read can meet a write half way; the next one does not.
const ATTEMPTS: usize = 100;

/// How far the records of all channels are on file, and which of them count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watermark {
    /// Every record up to this number is on file, or hidden.
    pub(crate) sequence: u64,
    /// Up to this number they survive a loss of power.
    pub(crate) durable: u64,
    /// Session of the writer.
    pub(crate) session: u32,
    /// Records of the whole run that were accepted and lost.
    pub(crate) dropped: u64,
    /// The writer closed the store.
    pub(crate) closed: bool,
    pub(crate) hidden: Hidden,
}

pub(crate) struct WatermarkFile {
    path: PathBuf,
    file: File,
}

impl WatermarkFile {
    pub(crate) fn create(path: PathBuf, watermark: &Watermark) -> Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .context("create", &path)?;
        let created = Self { path, file };
        created.write(watermark)?;
        Ok(created)
    }

    /// One write inside one page: a kill cannot split it.
    pub(crate) fn write(&self, watermark: &Watermark) -> Result<()> {
        self.file
            .write_all_at(&to_bytes(watermark, now()), 0)
            .context("write", &self.path)
    }

    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_data().context("sync", &self.path)
    }
}

fn to_bytes(watermark: &Watermark, time: i64) -> Vec<u8> {
    let ranges = watermark.hidden.ranges();
    let flags = if watermark.closed { CLOSED } else { 0 };
    let mut bytes = Vec::with_capacity(FIXED_BYTES + RANGE_BYTES * ranges.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&flags.to_le_bytes());
    bytes.extend_from_slice(&watermark.sequence.to_le_bytes());
    bytes.extend_from_slice(&watermark.durable.to_le_bytes());
    bytes.extend_from_slice(&time.to_le_bytes());
    bytes.extend_from_slice(&watermark.session.to_le_bytes());
    bytes.extend_from_slice(&(ranges.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&watermark.dropped.to_le_bytes());
    bytes.resize(FIXED_BYTES, 0);
    for range in ranges {
        bytes.extend_from_slice(&range.after.to_le_bytes());
        bytes.extend_from_slice(&range.through.to_le_bytes());
    }
    let check = check(&bytes);
    bytes[CHECK..FIXED_BYTES].copy_from_slice(&check.to_le_bytes());
    bytes
}

fn check(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..CHECK]);
    hasher.update(&bytes[FIXED_BYTES..]);
    hasher.finalize()
}

pub(crate) fn read_watermark(path: &Path) -> Result<Watermark> {
    let file = File::open(path).context("open", path)?;
    let mut attempt = 0;
    loop {
        let mut bytes = [0; MOST_BYTES];
        let read = file.read_at(&mut bytes, 0).context("read", path)?;
        attempt += 1;
        match parse(&bytes[..read], path) {
            Err(StoreError::Damaged { .. }) if attempt < ATTEMPTS => std::thread::yield_now(),
            result => return result,
        }
    }
}

fn parse(bytes: &[u8], path: &Path) -> Result<Watermark> {
    let damaged = |offset: usize, reason: &str| StoreError::damaged(path, offset as u64, reason);
    if bytes.len() < FIXED_BYTES {
        return Err(damaged(bytes.len(), "the watermark is cut short"));
    }
    if &bytes[..8] != MAGIC {
        return Err(damaged(0, "the watermark has no magic"));
    }
    let found = u32_at(bytes, 8);
    if found > FORMAT {
        return Err(StoreError::Newer {
            path: path.to_path_buf(),
            found,
            known: FORMAT,
        });
    }
    let count = u32_at(bytes, 44) as usize;
    let end = FIXED_BYTES + count.min(Hidden::MOST) * RANGE_BYTES;
    let Some(bytes) = bytes.get(..end) else {
        return Err(damaged(bytes.len(), "the watermark is cut short"));
    };
    if check(bytes) != u32_at(bytes, CHECK) {
        return Err(damaged(0, "the watermark does not match its checksum"));
    }
    let ranges = bytes[FIXED_BYTES..].chunks_exact(RANGE_BYTES);
    let ranges = ranges.map(|range| HiddenRange {
        after: u64_at(range, 0),
        through: u64_at(range, 8),
    });
    let hidden = Hidden::from_sorted(ranges.collect())
        .filter(|hidden| hidden.ranges().len() == count)
        .ok_or_else(|| damaged(FIXED_BYTES, "the hidden ranges are out of order"))?;
    Ok(Watermark {
        sequence: u64_at(bytes, 16),
        durable: u64_at(bytes, 24),
        session: u32_at(bytes, 40),
        dropped: u64_at(bytes, 48),
        closed: u32_at(bytes, 12) & CLOSED != 0,
        hidden,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let mut watermark = Watermark {
            sequence: 9000,
            durable: 7,
            session: 3,
            dropped: 11,
            ..Watermark::default()
        };
        for count in 0..=Hidden::MOST as u64 {
            watermark.closed = count % 2 == 0;
            let bytes = to_bytes(&watermark, -5);
            assert!(bytes.len() <= 4096);
            assert_eq!(parse(&bytes, Path::new("watermark")).unwrap(), watermark);
            watermark.hidden.hide(10 * count, 10 * count + 3);
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut watermark = Watermark::default();
        watermark.hidden.hide(1, 2);
        let bytes = to_bytes(&watermark, 5);
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&flipped, Path::new("watermark")).is_err());
        }
    }
}
