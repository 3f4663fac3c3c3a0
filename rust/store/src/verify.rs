//! Comparing everything in a store with its checksum.

use std::path::Path;

use crate::error::{Result, StoreError};
use crate::findings::Keep;
use crate::scan::Scan;
use crate::store_reader::StoreReader;

/// What a verification looked at, and what it found.
#[derive(Debug)]
pub struct Verified {
    /// Visible batches that are whole.
    pub batches: u64,
    /// Visible rows of metrics that are whole.
    pub metric_rows: u64,
    /// Files that could be opened.
    pub files: u64,
    /// Everything that is wrong.
    pub problems: Vec<StoreError>,
}

/// Compare every file of a store with its checksums, one by one: also of a store that no reader can open.
pub fn verify_store(folder: &Path) -> Result<Verified> {
    let scan = Scan::of(folder, Keep::Counts)?;
    let batches = scan.channels.iter().map(|channel| channel.whole);
    Ok(Verified {
        batches: batches.sum(),
        metric_rows: scan.metrics.whole,
        files: scan.files,
        problems: scan.problems,
    })
}

impl StoreReader {
    /// Compare every file of the store with its checksums; returns what is wrong.
    pub fn verify(&self) -> Vec<StoreError> {
        match verify_store(self.folder()) {
            Ok(verified) => verified.problems,
            Err(error) => vec![error],
        }
    }
}
