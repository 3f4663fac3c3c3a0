//! Damaged files give an error or the right data: never a panic, never other data.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Folder, Random, folder, options, record_some};
use specplan_store::{Result, Store, StoreError, StoreReader};

/// Everything that a reader can see, or the first error.
fn read_everything(folder: &Path) -> Result<Vec<u8>> {
    let reader = StoreReader::open(folder)?;
    let mut seen = reader.watermark().to_le_bytes().to_vec();
    for tensor in reader.tensors() {
        seen.extend_from_slice(tensor.name().as_bytes());
        for entry in tensor.index()? {
            seen.extend_from_slice(tensor.get(entry.epoch, entry.batch)?.bytes());
        }
        tensor
            .chunks()?
            .iter()
            .for_each(|rows| seen.extend_from_slice(rows.bytes()));
    }
    if let Some(problem) = reader.verify().into_iter().next() {
        return Err(problem);
    }
    Ok(seen)
}

fn files(folder: &Path) -> Vec<PathBuf> {
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

/// Put other bytes in place of a file without changing the file itself, which may be mapped.
fn replace(path: &Path, bytes: &[u8]) {
    let aside = path.with_extension("aside");
    fs::write(&aside, bytes).unwrap();
    fs::rename(&aside, path).unwrap();
}

/// A store of every kind of file; closed, or as a crash leaves it.
fn damaged_store(name: &str, closed: bool) -> (Folder, Vec<u8>) {
    let folder = folder(name);
    let store = Store::create(&folder, &options()).unwrap();
    record_some(&store, 20);
    if closed {
        store.close().unwrap();
    } else {
        store.sync().unwrap();
        std::mem::forget(store);
    }
    let seen = read_everything(&folder).unwrap();
    (folder, seen)
}

#[test]
fn truncated_files() {
    for closed in [true, false] {
        let (folder, seen) = damaged_store(&format!("truncated-{closed}"), closed);
        for path in files(&folder) {
            let whole = fs::read(&path).unwrap();
            let lengths = (0..64).chain((64..whole.len()).step_by(whole.len() / 40 + 1));
            for length in lengths.filter(|&length| length < whole.len()) {
                replace(&path, &whole[..length]);
                match read_everything(&folder) {
                    Ok(found) => assert!(found == seen, "{} cut to {length}", path.display()),
                    Err(error) => assert_named(&error, &path),
                }
            }
            replace(&path, &whole);
        }
    }
}

#[test]
fn flipped_bits() {
    let (folder, seen) = damaged_store("flipped", true);
    let mut random = Random(7);
    for path in files(&folder) {
        let whole = fs::read(&path).unwrap();
        for trial in 0..1000 {
            // Half of the flips go into the headers, where they could do most harm.
            let reach = if trial % 2 == 0 {
                whole.len()
            } else {
                whole.len().min(4096)
            };
            let position = random.below(reach);
            let mut bytes = whole.clone();
            bytes[position] ^= 1 << random.below(8);
            replace(&path, &bytes);
            match read_everything(&folder) {
                Ok(found) => assert!(found == seen, "{} flipped at {position}", path.display()),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
        replace(&path, &whole);
    }
}

#[test]
fn many_bytes_changed_at_once() {
    let (folder, seen) = damaged_store("garbled", true);
    let mut random = Random(11);
    for path in files(&folder) {
        let whole = fs::read(&path).unwrap();
        for _ in 0..150 {
            let mut bytes = whole.clone();
            let start = random.below(bytes.len());
            let end = bytes.len().min(start + 1 + random.below(64));
            bytes[start..end]
                .iter_mut()
                .for_each(|byte| *byte = random.below(256) as u8);
            replace(&path, &bytes);
            if let Ok(found) = read_everything(&folder) {
                assert!(found == seen, "{} garbled at {start}", path.display());
            }
        }
        replace(&path, &whole);
    }
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let (folder, _) = damaged_store("newer", true);
    let path = folder.join("store.json");
    let text = fs::read_to_string(&path).unwrap();
    replace(
        &path,
        text.replace("\"format\": 1", "\"format\": 2").as_bytes(),
    );
    let error = StoreReader::open(&folder).err().unwrap();
    assert!(
        matches!(
            error,
            StoreError::Newer {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
}

fn assert_named(error: &StoreError, path: &Path) {
    let name = path.file_name().unwrap().to_string_lossy();
    let text = error.to_string();
    // A chunk that is cut to the end of its neighbours shows in the index that points into it.
    assert!(
        text.contains(name.as_ref()) || text.contains(".arrow"),
        "{name}: {text}"
    );
}
