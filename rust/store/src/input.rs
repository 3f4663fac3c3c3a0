//! Opening files that anybody may have put there: pipes do not block, and sizes are known before memory is taken.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::{IoContext, Result, StoreError};

/// A plain file and its size.
pub(crate) fn open_input(path: &Path) -> Result<(File, u64)> {
    let file = open_at_once(path).context("open", path)?;
    let metadata = file.metadata().context("inspect", path)?;
    if metadata.is_file() {
        return Ok((file, metadata.len()));
    }
    Err(StoreError::damaged(path, 0, "this is not a plain file"))
}

/// Whatever is there, opened for reading.
pub(crate) fn open_at_once(path: &Path) -> io::Result<File> {
    // Plain files do not know this flag; without it the opening of a pipe waits for a writer.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// All bytes of a plain file that has no more than `most` of them.
pub(crate) fn read_input(path: &Path, most: u64) -> Result<Vec<u8>> {
    let (file, length) = open_input(path)?;
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .context("read", path)?;
    if bytes.len() as u64 > most {
        let reason = format!("it has {length} bytes; expected at most {most}");
        return Err(StoreError::damaged(path, most, reason));
    }
    Ok(bytes)
}
