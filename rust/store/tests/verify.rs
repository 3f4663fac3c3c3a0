//! No flipped bit escapes `verify_store`, unless nothing was written there.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use common::reading::files;
use common::{Folder, Random, channel, folder, key, options};
use specplan_store::{Key, Series, Store, ValueType, verify_store};

const SLOT_BYTES: usize = 4096;

/// A store with one channel, or with metrics alone.
fn store(name: &str, record: impl FnOnce(&Store)) -> (Folder, Store) {
    let folder = folder(name);
    let store = Store::create(&folder, &options()).unwrap();
    record(&store);
    store.sync().unwrap();
    (folder, store)
}

/// Its name, and what it records.
type Recorded = (&'static str, fn(&Store));

fn each_kind() -> Vec<Recorded> {
    vec![
        ("plain", |store| {
            let plain = channel(store, "outputs", ValueType::Int64, &[]);
            plain.record(&[7; 16], 2, 0, 0).unwrap();
            plain.record(&[8; 24], 3, 0, 1).unwrap();
        }),
        ("list", |store| {
            let list = channel(store, "outputs", ValueType::Float32, &[3]);
            list.record(&[7; 24], 2, 0, 0).unwrap();
        }),
        ("ragged", |store| {
            let boxes = store.ragged(&key("boxes"), ValueType::Uint16, 2).unwrap();
            let rows: [(&[usize], &[u8]); 3] =
                [(&[2, 3], &[5; 12]), (&[0, 4], &[]), (&[1, 1], &[6; 2])];
            for batch in 0..2 {
                boxes
                    .record(&boxes.batch(&rows).unwrap(), 0, batch)
                    .unwrap();
            }
        }),
        ("text", |store| {
            let names = store.text(&key("names"), false).unwrap();
            let texts = names.batch(&["one", "", "ümlaut"]).unwrap();
            for batch in 0..2 {
                names.record(&texts, 0, batch).unwrap();
            }
        }),
        ("metrics", |store| {
            let series = ["loss", "a name that does not fit into a view"].map(|name| Series {
                phase: "train".to_owned(),
                split: String::new(),
                node: "a long name of a node".to_owned(),
                name: name.to_owned(),
            });
            let group = store.metrics(series.to_vec()).unwrap();
            group.log(&[9; 16], Key::now(0, 0, 1)).unwrap();
            group.log(&[3; 16], Key::now(0, 1, 2)).unwrap();
        }),
    ]
}

/// Flip a bit of each of some bytes of a file, and expect that it is named. Returns the places where it is not.
fn unnamed(folder: &Path, path: &Path, places: impl Iterator<Item = usize>) -> Vec<usize> {
    let whole = fs::read(path).unwrap();
    let name = path.to_str().unwrap();
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let mut random = Random(11);
    let mut unnamed = Vec::new();
    for place in places {
        let flipped = whole[place] ^ (1 << random.below(8));
        file.write_all_at(&[flipped], place as u64).unwrap();
        // A file of a later version is refused by name.
        let problems = match verify_store(folder) {
            Ok(verified) => verified.problems,
            Err(error) => vec![error],
        };
        if !problems
            .iter()
            .any(|problem| problem.to_string().contains(name))
        {
            unnamed.push(place);
        }
        file.write_all_at(&[whole[place]], place as u64).unwrap();
    }
    unnamed
}

/// Where rows differ in length, the last byte of the size of their region may say that padding is capacity, or the
/// other way round: that is a chunk, too.
fn most_unnamed(kind: &str) -> usize {
    usize::from(kind == "ragged" || kind == "text")
}

/// All but one index: they are alike.
fn is_wanted(kind: &str, path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    name != ".lock" && (kind == "plain" || name.starts_with("chunk"))
}

fn arrow_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = files(folder);
    found.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "arrow")
    });
    found
}

#[test]
fn every_byte_of_a_closed_store_is_compared() {
    for (name, record) in each_kind() {
        let (folder, store) = store(&format!("verify-closed-{name}"), record);
        store.close().unwrap();
        assert!(verify_store(&folder).unwrap().problems.is_empty());
        for path in files(&folder).iter().filter(|path| is_wanted(name, path)) {
            let bytes = fs::read(path).unwrap();
            let mut unnamed = match path.ends_with("watermark") {
                true => {
                    // Nothing is hidden; behind that nothing was written.
                    let used = 64 + 4;
                    let places = (0..used).chain(SLOT_BYTES..SLOT_BYTES + used);
                    unnamed(&folder, path, places)
                }
                false => unnamed(&folder, path, 0..bytes.len()),
            };
            if name == "metrics" {
                // Each label has as much room for text as the one that needs most.
                unnamed.retain(|&place| bytes[place] != 0);
            }
            assert!(
                unnamed.len() <= most_unnamed(name),
                "{}: {unnamed:?}",
                path.display()
            );
        }
    }
}

#[test]
fn headers_and_footers_of_a_growing_store_are_compared() {
    for (name, record) in each_kind() {
        let (folder, store) = store(&format!("verify-growing-{name}"), record);
        assert!(verify_store(&folder).unwrap().problems.is_empty());
        for path in arrow_files(&folder)
            .iter()
            .filter(|path| is_wanted(name, path))
        {
            let bytes = fs::read(path).unwrap();
            let footer = bytes.iter().rposition(|&byte| byte != 0).unwrap() - 300;
            let unnamed = unnamed(&folder, path, (0..4096).chain(footer..bytes.len()));
            assert!(
                unnamed.len() <= most_unnamed(name),
                "{}: {unnamed:?}",
                path.display()
            );
        }
        std::mem::forget(store);
    }
}

#[test]
fn what_is_added_to_a_file_is_named() {
    let (folder, store) = store("verify-longer", each_kind()[1].1);
    store.close().unwrap();
    for path in arrow_files(&folder) {
        let whole = fs::read(&path).unwrap();
        let longer = [&whole[..], &whole[whole.len() - 700..]].concat();
        fs::write(&path, longer).unwrap();
        let problems = verify_store(&folder).unwrap().problems;
        let name = path.to_str().unwrap();
        assert!(problems[0].to_string().contains(name), "{problems:?}");
        fs::write(&path, &whole).unwrap();
    }
}
