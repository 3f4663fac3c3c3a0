//! Everything that can be read in a store.

use std::fs;
use std::path::{Path, PathBuf};

use specplan_store::{Result, StoreReader};

/// Everything that a reader can see, or the first error.
pub(crate) fn read_everything(folder: &Path) -> Result<Vec<u8>> {
    let reader = StoreReader::open(folder)?;
    let mut seen = reader.watermark().to_le_bytes().to_vec();
    seen.extend_from_slice(&reader.dropped().to_le_bytes());
    seen.extend_from_slice(format!("{:?}", reader.sessions()).as_bytes());
    for tensor in reader.tensors() {
        seen.extend_from_slice(format!("{:?}{:?}", tensor.key(), tensor.shape()).as_bytes());
        for entry in tensor.index()? {
            seen.extend_from_slice(format!("{entry:?}").as_bytes());
            seen.extend_from_slice(tensor.get(entry.epoch, entry.batch)?.bytes());
        }
        for rows in tensor.chunks()? {
            seen.extend_from_slice(rows.bytes());
        }
    }
    let metrics: u64 = reader.metric_files().iter().map(|(_, rows)| rows).sum();
    seen.extend_from_slice(&metrics.to_le_bytes());
    if let Some(problem) = reader.verify().into_iter().next() {
        return Err(problem);
    }
    Ok(seen)
}

/// The files of a store, without the one that only holds the lock.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().is_some_and(|name| name != ".lock") {
            found.push(path);
        }
    }
    found.sort();
    found
}
