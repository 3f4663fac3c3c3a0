//! A digest of the whole file that stands inside the file: in the metadata of a Parquet footer.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::{IoContext, Result, StoreError};
use crate::input::open_input;
use crate::superblock::u32_at;

/// Key of the digest in the footer's metadata; it must be the last one there.
pub(crate) const DIGEST_KEY: &str = "specplan.blake3";
const DIGITS: usize = 64;
/// What stands in place of the digest while it is computed.
pub(crate) const NO_DIGEST: &str =
    "0000000000000000000000000000000000000000000000000000000000000000";
/// Between key and value in thrift's compact protocol: the next field is a string, of 64 bytes.
const BETWEEN: [u8; 2] = [0x18, DIGITS as u8];
const MAGIC: &[u8; 4] = b"PAR1";
const TRAILER_BYTES: u64 = 8;
const BUFFER_BYTES: usize = 1 << 20;

/// A file whose digest is computed while it is written.
pub(crate) struct DigestedFile {
    file: File,
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
}

impl DigestedFile {
    /// The file must be open for reading too: the digest is put where its place is found.
    pub(crate) fn new(file: File) -> Self {
        Self {
            file,
            hasher: blake3::Hasher::new(),
            buffer: Vec::with_capacity(BUFFER_BYTES),
        }
    }

    /// Put the digest into its place, and the file on disk.
    pub(crate) fn finish(mut self, path: &Path) -> Result<()> {
        self.flush().context("write", path)?;
        let digest = self.hasher.finalize().to_hex();
        let size = self.file.metadata().context("inspect", path)?.len();
        let (place, _) = digest_place(&self.file, path, size)?;
        self.file
            .write_all_at(digest.as_bytes(), place)
            .context("write", path)?;
        self.file.sync_all().context("sync", path)
    }
}

impl Write for DigestedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hasher.update(&self.buffer);
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// Compare a Parquet file with the digest in its footer.
pub fn verify_parquet(path: &Path) -> Result<()> {
    let (file, size) = open_input(path)?;
    let (place, written) = digest_place(&file, path, size)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut hash = |range: std::ops::Range<u64>| {
        let mut start = range.start;
        while start < range.end {
            let part = &mut buffer[..(range.end - start).min(BUFFER_BYTES as u64) as usize];
            file.read_exact_at(part, start).context("read", path)?;
            hasher.update(part);
            start += part.len() as u64;
        }
        if range.end == place {
            hasher.update(NO_DIGEST.as_bytes());
        }
        Ok(())
    };
    hash(0..place)?;
    hash(place + DIGITS as u64..size)?;
    if hasher.finalize().to_hex().as_bytes() == written {
        return Ok(());
    }
    let reason = "the file does not match the digest in its footer";
    Err(StoreError::damaged(path, 0, reason))
}

/// Where the digest stands, and what stands there.
fn digest_place(file: &File, path: &Path, size: u64) -> Result<(u64, Vec<u8>)> {
    let mut trailer = [0; TRAILER_BYTES as usize];
    let trailer_start = size.saturating_sub(TRAILER_BYTES);
    if size >= TRAILER_BYTES {
        file.read_exact_at(&mut trailer, trailer_start)
            .context("read", path)?;
    }
    let footer_bytes = u64::from(u32_at(&trailer, 0));
    if &trailer[4..] != MAGIC || footer_bytes > trailer_start {
        let reason = "the file does not end as a Parquet file";
        return Err(StoreError::damaged(path, trailer_start, reason));
    }
    let start = trailer_start - footer_bytes;
    let mut footer = vec![0; footer_bytes as usize];
    file.read_exact_at(&mut footer, start)
        .context("read", path)?;
    let key = [DIGEST_KEY.as_bytes(), &BETWEEN].concat();
    let found = footer.windows(key.len()).rposition(|bytes| bytes == key);
    let digits = found.and_then(|at| footer.get(at + key.len()..at + key.len() + DIGITS));
    match (found, digits) {
        (Some(at), Some(digits)) => Ok((start + (at + key.len()) as u64, digits.to_vec())),
        _ => {
            let reason = format!("the footer has no `{DIGEST_KEY}`");
            Err(StoreError::damaged(path, start, reason))
        }
    }
}
