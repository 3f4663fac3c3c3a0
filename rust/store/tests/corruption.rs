//! Damaged files give an error or the right data: never a panic, never other data.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::Path;

use common::reading::{files, read_everything};
use common::{Folder, folder, options, record_some};
use specplan_store::{Options, Store, StoreError, StoreReader};

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

/// Where the superblock of a chunk starts.
fn superblock_of(bytes: &[u8]) -> usize {
    let magic = bytes.windows(8).position(|bytes| bytes == b"SPECPLAN");
    magic.unwrap()
}

#[test]
fn numbers_that_no_file_can_have() {
    let (folder, _) = damaged_store("huge", true);
    let path = folder.join("train.MLP.default.outputs/index-000000.arrow");
    let whole = fs::read(&path).unwrap();
    let start = superblock_of(&whole);
    // First row and last sequence number, with a checksum that is right.
    for place in [24, 40] {
        let mut bytes = whole.clone();
        bytes[start + place..start + place + 8].fill(0xff);
        let check = crc32fast::hash(&bytes[start..start + 60]);
        bytes[start + 60..start + 64].copy_from_slice(&check.to_le_bytes());
        replace(&path, &bytes);
        for error in [
            read_everything(&folder).unwrap_err(),
            Store::open(
                &folder,
                &Options {
                    session: 2,
                    ..options()
                },
                None,
            )
            .err()
            .unwrap(),
        ] {
            assert!(
                error.to_string().contains("more than there can be"),
                "{error}"
            );
        }
    }
}

#[test]
fn a_body_that_is_not_aligned() {
    let (folder, _) = damaged_store("unaligned", false);
    let path = folder.join("train.MLP.default.sample_id/chunk-000000.arrow");
    let mut bytes = fs::read(&path).unwrap();
    let size = superblock_of(&bytes) + 64 + 4;
    bytes[size] += 4;
    replace(&path, &bytes);
    let error = StoreReader::open_unchecked(&folder).err().unwrap();
    assert!(error.to_string().contains("multiple of 64"), "{error}");
}
