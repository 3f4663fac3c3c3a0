//! Files that were changed give the same data or an error that names one of them: never other data, never a panic.
//!
//! `SPECPLAN_MUTATIONS` is how many changes each test makes, `SPECPLAN_SEED` which ones.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::HashMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use common::mutation::Subject;
use common::reading::{files, read_everything};
use common::{Folder, Random, folder, options, record_some};
use specplan_store::Store;

const MUTATIONS: usize = 7000;
const SHOWN: usize = 10;
const SLOT_BYTES: usize = 4096;

struct Specimen {
    folder: Folder,
    subjects: Vec<Subject>,
    seen: Vec<u8>,
    // States that the store was in: half way, and one round of writing ago.
    earlier: Vec<Vec<u8>>,
}

/// A store, and what its files and its contents were half way.
fn specimen(name: &str, closed: bool) -> Specimen {
    let folder = folder(name);
    let store = Store::create(&folder, &options()).unwrap();
    record_some(&store, 20);
    store.sync().unwrap();
    let earlier_seen = read_everything(&folder).unwrap();
    let earlier: HashMap<PathBuf, Vec<u8>> = files(&folder)
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    record_some(&store, 13);
    store.sync().unwrap();
    if closed {
        store.close().unwrap();
    }
    // The files of a writer that lives are those of one that was killed.
    std::mem::forget(store);
    let subjects = files(&folder)
        .into_iter()
        .map(|path| Subject::new(path.clone(), earlier.get(&path).cloned()));
    let mut specimen = Specimen {
        subjects: subjects.collect(),
        seen: read_everything(&folder).unwrap(),
        earlier: vec![earlier_seen],
        folder,
    };
    // Of a closed store both slots were written; one that does not count is damaged.
    if !closed {
        specimen.note_last_round();
    }
    specimen
}

impl Specimen {
    /// A slot of the watermark whose write was cut does not count: then the store is as it was a round before.
    fn note_last_round(&mut self) {
        let is_watermark = |subject: &&Subject| subject.path.ends_with("watermark");
        let watermark = self.subjects.iter().find(is_watermark).unwrap();
        for slot in 0..2 {
            let mut bytes = watermark.whole.clone();
            bytes[slot * SLOT_BYTES + 8] ^= 1;
            bytes[slot * SLOT_BYTES + 40] ^= 1;
            watermark.write(&bytes);
            self.earlier.push(read_everything(&self.folder).unwrap());
            watermark.restore(&bytes);
        }
    }

    fn mutate(&self, mutations: usize, seed: u64) {
        let mut random = Random(seed);
        let mut failures = Vec::new();
        for _ in 0..mutations {
            let subject = &self.subjects[random.below(self.subjects.len())];
            let mutation = subject.mutate(&self.subjects, &mut random);
            subject.write(&mutation.bytes);
            if let Some(failure) = self.failure() {
                failures.push(format!("{}: {failure}", mutation.name));
            }
            subject.restore(&mutation.bytes);
        }
        assert!(
            read_everything(&self.folder).unwrap() == self.seen,
            "the files were not restored"
        );
        assert!(
            failures.is_empty(),
            "{} of {mutations} changes, seed {seed}:\n{}",
            failures.len(),
            failures[..failures.len().min(SHOWN)].join("\n")
        );
    }

    fn failure(&self) -> Option<String> {
        let found = catch_unwind(AssertUnwindSafe(|| read_everything(&self.folder)));
        match found {
            Err(_) => Some("a panic".to_owned()),
            // The state of a whole file half way is one that the store was in.
            Ok(Ok(found)) if found == self.seen || self.earlier.contains(&found) => None,
            Ok(Ok(_)) => Some("other data".to_owned()),
            Ok(Err(error)) => {
                let text = error.to_string();
                let folder = self.folder.to_string_lossy();
                (!text.contains(folder.as_ref())).then(|| format!("no file is named: {text}"))
            }
        }
    }
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    let value = std::env::var(name).ok();
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn run(name: &str, closed: bool) {
    let mutations = setting("SPECPLAN_MUTATIONS", MUTATIONS);
    specimen(name, closed).mutate(mutations, setting("SPECPLAN_SEED", 7));
}

#[test]
fn mutations_of_a_closed_store() {
    run("mutated-closed", true);
}

#[test]
fn mutations_of_a_live_store() {
    run("mutated-live", false);
}
