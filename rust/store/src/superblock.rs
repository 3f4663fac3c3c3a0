//! What a chunk says about itself.

use std::path::Path;

use crate::error::{Result, StoreError};

/// The newest format that this version reads and the one that it writes.
pub(crate) const FORMAT: u32 = 1;

pub(crate) const SUPERBLOCK_BYTES: usize = 64;
const MAGIC: &[u8; 8] = b"SPECPLAN";
const CHECKED_BYTES: usize = 60;
/// Other languages count records in 63 bits, and a sum of numbers from files may not wrap.
pub(crate) const MOST_SEQUENCE: u64 = i64::MAX as u64;

/// No more rows will be added to the chunk.
pub(crate) const SEALED: u32 = 1;
/// A batch was recorded whose (epoch, batch) is not above its predecessor's.
pub(crate) const KEYS_UNSORTED: u32 = 2;

/// What a chunk says about itself, in the last 64 bytes of its schema message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) flags: u32,
    pub(crate) capacity: u64,
    pub(crate) first_row: u64,
    pub(crate) rows: u64,
    pub(crate) last_sequence: u64,
    pub(crate) features: Features,
}

/// What a file needs of those who use it, one bit for each addition to the format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Features {
    /// Readers and writers may pass over these.
    pub(crate) compatible: u32,
    /// Readers may pass over these; who adds to the store must know them.
    pub(crate) read_compatible: u32,
    /// Nobody may pass over these.
    pub(crate) incompatible: u32,
}

impl Features {
    /// Refuse to read a file with additions that this version does not know: it knows none.
    pub(crate) fn check_readable(self, path: &Path) -> Result<()> {
        refuse(self.incompatible, path)
    }

    /// Refuse to add to a store whose files have additions that this version does not know.
    pub(crate) fn check_writable(self, path: &Path) -> Result<()> {
        refuse(self.read_compatible, path)
    }
}

fn refuse(bits: u32, path: &Path) -> Result<()> {
    if bits == 0 {
        return Ok(());
    }
    Err(StoreError::Feature {
        path: path.to_path_buf(),
        feature: format!("bit {}", bits.trailing_zeros()),
    })
}

impl Superblock {
    pub(crate) fn to_bytes(self) -> [u8; SUPERBLOCK_BYTES] {
        let mut bytes = [0; SUPERBLOCK_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.flags.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.capacity.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_row.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.rows.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.last_sequence.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.features.compatible.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.features.read_compatible.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.features.incompatible.to_le_bytes());
        let check = crc32fast::hash(&bytes[..CHECKED_BYTES]);
        bytes[CHECKED_BYTES..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    pub(crate) fn parse(bytes: &[u8; SUPERBLOCK_BYTES], path: &Path, offset: u64) -> Result<Self> {
        if &bytes[..8] != MAGIC {
            return Err(StoreError::damaged(
                path,
                offset,
                "the superblock has no magic",
            ));
        }
        if crc32fast::hash(&bytes[..CHECKED_BYTES]) != u32_at(bytes, CHECKED_BYTES) {
            return Err(StoreError::damaged(
                path,
                offset,
                "the superblock does not match its checksum",
            ));
        }
        let found = u32_at(bytes, 8);
        if found > FORMAT {
            return Err(StoreError::Newer {
                path: path.to_path_buf(),
                found,
                known: FORMAT,
            });
        }
        let features = Features {
            compatible: u32_at(bytes, 48),
            read_compatible: u32_at(bytes, 52),
            incompatible: u32_at(bytes, 56),
        };
        features.check_readable(path)?;
        let superblock = Self {
            flags: u32_at(bytes, 12),
            capacity: u64_at(bytes, 16),
            first_row: u64_at(bytes, 24),
            rows: u64_at(bytes, 32),
            last_sequence: u64_at(bytes, 40),
            features,
        };
        let end = superblock.first_row.checked_add(superblock.capacity);
        if end.is_none() || superblock.last_sequence > MOST_SEQUENCE {
            let reason = "the superblock counts more than there can be";
            return Err(StoreError::damaged(path, offset, reason));
        }
        Ok(superblock)
    }
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(word)
}

pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(word)
}
