//! Rows that whoever reads them may change, as torch wants its tensors: nobody else sees it, nor does the file.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use memmap2::{MmapMut, MmapOptions};

use crate::chunk_map::ChunkMap;
use crate::columns::Columns;
use crate::error::{IoContext, Result, StoreError};
use crate::fault_guard::GuardedMap;

/// A last chunk is replaced once, when its store is closed.
const ATTEMPTS: usize = 3;

/// Consecutive rows on a map of their own. Pages are those of the file until they are written to.
#[derive(Debug)]
pub struct PrivateRows {
    map: Option<GuardedMap<MmapMut>>,
    count: usize,
}

impl PrivateRows {
    /// Map the rows of a region of a chunk that are known to have these bytes.
    pub(crate) fn map(
        path: &Path,
        columns: &Columns,
        (region, rows): (usize, Range<u64>),
        bytes: &[u8],
    ) -> Result<Self> {
        let count = (rows.end - rows.start) as usize;
        if bytes.is_empty() {
            return Ok(Self { map: None, count });
        }
        // The file may have been replaced by one of another capacity, where the rows stand elsewhere.
        for _ in 0..ATTEMPTS {
            let Some(chunk) = ChunkMap::open(path.to_path_buf(), columns)? else {
                break;
            };
            let offset = chunk.row_offset(region, rows.start);
            let file = File::open(path).context("open", path)?;
            let size = file.metadata().context("inspect", path)?.len();
            if offset + bytes.len() as u64 > size {
                continue;
            }
            let mut options = MmapOptions::new();
            options.offset(offset).len(bytes.len());
            // SAFETY: the range lies inside the file, which the writer of this format never shortens, and rows that
            // are committed are not written again. What is written to the map goes to pages of its own.
            let map = GuardedMap::new(unsafe { options.map_copy(&file) }.context("map", path)?);
            if map[..] == *bytes {
                return Ok(Self {
                    map: Some(map),
                    count,
                });
            }
        }
        Err(StoreError::damaged(
            path,
            0,
            "rows that were there before are gone",
        ))
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Their values.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.map.as_deref_mut().unwrap_or_default()
    }
}
