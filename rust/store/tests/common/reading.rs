//! Everything that can be read in a store.

use std::fs;
use std::path::{Path, PathBuf};

use specplan_store::{Kind, Result, StoreReader};

/// Everything that a reader can see, or the first error.
pub(crate) fn read_everything(folder: &Path) -> Result<Vec<u8>> {
    let reader = StoreReader::open(folder)?;
    let mut seen = reader.watermark().to_le_bytes().to_vec();
    seen.extend_from_slice(&reader.dropped().to_le_bytes());
    seen.extend_from_slice(format!("{:?}", reader.sessions()).as_bytes());
    for channel in reader.channels() {
        seen.extend_from_slice(format!("{:?}{:?}", channel.key(), channel.kind()).as_bytes());
        for entry in channel.index()? {
            seen.extend_from_slice(format!("{entry:?}").as_bytes());
            let rows = channel.get(entry.epoch, entry.batch)?;
            seen.extend_from_slice(rows.bytes());
            for row in 0..rows.count() {
                match channel.kind() {
                    Kind::Tensor { .. } => {}
                    Kind::Ragged { .. } => {
                        let shape = format!("{:?}", rows.array(row)?.shape);
                        seen.extend_from_slice(shape.as_bytes());
                    }
                    Kind::Text { .. } => seen.extend_from_slice(rows.text(row)?.as_bytes()),
                }
            }
        }
        for rows in channel.chunks()? {
            seen.extend_from_slice(rows.bytes());
        }
    }
    let metrics: u64 = reader.metric_files()?.iter().map(|(_, _, rows)| rows).sum();
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
