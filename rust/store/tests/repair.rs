//! What is damaged is found and left out; everything else of the store comes through as it was.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::reading::files;
use common::{Folder, Random, channel, folder, options, record_some};
use specplan_store::{Kind, Repaired, Store, StoreReader, ValueType, repair_store, verify_store};

const BATCHES: i32 = 20;

/// Every visible batch by channel and number, with all that was recorded of it.
type Records = BTreeMap<(String, u64), String>;

fn records(folder: &Path) -> Records {
    let mut records = Records::new();
    for channel in StoreReader::open(folder).unwrap().channels() {
        for (position, entry) in channel.index().unwrap().into_iter().enumerate() {
            let rows = channel.at(position).unwrap();
            let mut text = format!(
                "{} {} {} {:?} {:?}",
                entry.epoch,
                entry.batch,
                entry.time,
                channel.kind(),
                rows.bytes()
            );
            for row in 0..rows.count() {
                match channel.kind() {
                    Kind::Tensor { .. } => {}
                    Kind::Ragged { .. } => text += &format!("{:?}", rows.array(row).unwrap()),
                    Kind::Text { .. } => text += &format!("{:?}", rows.text(row).unwrap()),
                }
            }
            records.insert((channel.name().to_owned(), entry.sequence), text);
        }
    }
    records
}

fn store(name: &str) -> Folder {
    let folder = folder(name);
    let store = Store::create(&folder, &options()).unwrap();
    record_some(&store, BATCHES);
    store.close().unwrap();
    folder
}

fn replace(path: &Path, bytes: &[u8]) {
    let aside = path.with_extension("aside");
    fs::write(&aside, bytes).unwrap();
    fs::rename(&aside, path).unwrap();
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    replace(path, &bytes);
}

/// Repair a damaged store: the copy has no damage, and of the batches only those that differ from the original.
fn repaired(folder: &Path) -> (Repaired, Records) {
    let copy = folder.with_extension("copy");
    let _ = fs::remove_dir_all(&copy);
    let before: Vec<_> = files(folder)
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    let repaired = repair_store(folder, &copy, "run", &[]).unwrap();
    let after: Vec<_> = files(folder)
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    assert!(before == after, "the original was changed");
    let verified = verify_store(&copy).unwrap();
    assert!(verified.problems.is_empty(), "{:?}", verified.problems);
    assert_eq!(verified.batches, repaired.batches);
    assert_eq!(verified.metric_rows, repaired.metric_rows);
    let found = records(&copy);
    fs::remove_dir_all(&copy).unwrap();
    (repaired, found)
}

fn without(records: &Records, channel: &str, batch: i32) -> Records {
    let mut records = records.clone();
    let name = format!("train.MLP.default.{channel}");
    let start = format!("0 {batch} ");
    records.retain(|key, text| key.0 != name || !text.starts_with(&start));
    records
}

fn file(folder: &Path, channel: &str, name: &str) -> PathBuf {
    folder
        .join(format!("train.MLP.default.{channel}"))
        .join(name)
}

fn position(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
        .unwrap()
}

#[test]
fn an_intact_store_is_copied_whole() {
    let folder = store("repair-intact");
    let (repaired, found) = repaired(&folder);
    assert!(found == records(&folder));
    assert_eq!(repaired.left_out, Vec::<String>::new());
    assert_eq!(repaired.metric_rows, 2 * BATCHES as u64);
}

#[test]
fn a_damaged_batch_costs_itself() {
    let folder = store("repair-batch");
    let whole = records(&folder);
    let value: Vec<u8> = (0..12)
        .flat_map(|value| (value as f32 + 13.0).to_le_bytes())
        .collect();
    change(&file(&folder, "outputs", "chunk-000000.arrow"), |bytes| {
        let place = position(bytes, &value);
        bytes[place] ^= 1;
    });
    change(&file(&folder, "names", "chunk-000000.arrow"), |bytes| {
        let place = position(bytes, b"batch 7, ");
        bytes[place] ^= 1;
    });
    let (repaired, found) = repaired(&folder);
    assert!(found == without(&without(&whole, "outputs", 13), "names", 7));
    let left_out = repaired.left_out.join("\n");
    assert_eq!(repaired.left_out.len(), 2, "{left_out}");
    assert!(left_out.contains("batch 13 of epoch 0 of `train.MLP.default.outputs`: "));
    assert!(left_out.contains("batch 7 of epoch 0 of `train.MLP.default.names`: "));
}

#[test]
fn a_damaged_index_entry_costs_its_batch() {
    let folder = store("repair-entry");
    let whole = records(&folder);
    change(&file(&folder, "outputs", "index-000000.arrow"), |bytes| {
        // The batches stand one behind the other in their column.
        let batches: Vec<u8> = (4..9).flat_map(i32::to_le_bytes).collect();
        let place = position(bytes, &batches);
        bytes[place] ^= 64;
    });
    let (_, found) = repaired(&folder);
    assert!(found == without(&whole, "outputs", 4));
}

#[test]
fn a_header_costs_nothing_where_the_layout_implies_it() {
    for channel in ["outputs", "sample_id"] {
        for name in ["chunk-000000.arrow", "index-000000.arrow"] {
            let folder = store(&format!("repair-header-{channel}-{name}"));
            let whole = records(&folder);
            change(&file(&folder, channel, name), |bytes| bytes[..4096].fill(0));
            let (repaired, found) = repaired(&folder);
            assert!(found == whole);
            assert_eq!(repaired.problems.len(), 1, "{:?}", repaired.problems);
            assert_eq!(repaired.left_out, Vec::<String>::new());
        }
    }
}

#[test]
fn a_superblock_costs_nothing_in_any_kind_of_chunk_that_is_otherwise_whole() {
    for channel in ["outputs", "sample_id"] {
        let folder = store(&format!("repair-superblock-{channel}"));
        let whole = records(&folder);
        change(&file(&folder, channel, "chunk-000000.arrow"), |bytes| {
            let place = position(bytes, b"SPECPLAN");
            bytes[place + 33] ^= 1;
        });
        assert!(repaired(&folder).1 == whole);
    }
    // A message before an intact superblock costs nothing even where rows differ in length.
    for channel in ["boxes", "names"] {
        let folder = store(&format!("repair-message-{channel}"));
        let whole = records(&folder);
        change(&file(&folder, channel, "chunk-000000.arrow"), |bytes| {
            bytes[..64].fill(0)
        });
        assert!(repaired(&folder).1 == whole);
    }
}

#[test]
fn a_cut_chunk_costs_what_was_cut_off() {
    let folder = store("repair-cut");
    let whole = records(&folder);
    let last: Vec<u8> = (0..15)
        .flat_map(|value| (value as f32 + 14.0).to_le_bytes())
        .collect();
    change(&file(&folder, "outputs", "chunk-000000.arrow"), |bytes| {
        let place = position(bytes, &last);
        bytes.truncate(place);
    });
    let (repaired, found) = repaired(&folder);
    let mut left = whole;
    for batch in 14..BATCHES {
        left = without(&left, "outputs", batch);
    }
    assert!(found == left);
    assert_eq!(repaired.left_out.len(), 6);
}

#[test]
fn damaged_keys_of_rows_cost_nothing() {
    let folder = store("repair-keys");
    let whole = records(&folder);
    change(&file(&folder, "outputs", "chunk-000000.arrow"), |bytes| {
        let keys: Vec<u8> = [8, 8, 8, 8, 9]
            .into_iter()
            .flat_map(i32::to_le_bytes)
            .collect();
        let place = position(bytes, &keys);
        bytes[place] ^= 1;
    });
    let (repaired, found) = repaired(&folder);
    assert!(found == whole);
    assert_eq!(repaired.problems.len(), 1);
}

#[test]
fn an_index_that_is_gone_is_rebuilt_from_the_keys() {
    for channel in ["outputs", "sample_id", "boxes", "names"] {
        let folder = store(&format!("repair-index-{channel}"));
        let whole = records(&folder);
        fs::remove_file(file(&folder, channel, "index-000000.arrow")).unwrap();
        let (repaired, found) = repaired(&folder);
        let untimed = |records: &Records| -> Vec<_> {
            let parts = records.iter().map(|(key, text)| {
                let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
                words.remove(2);
                (key.clone(), words)
            });
            parts.collect()
        };
        assert!(untimed(&found) == untimed(&whole));
        assert_eq!(repaired.left_out, Vec::<String>::new());
        assert_eq!(repaired.unproven.len(), 1);
    }
}

#[test]
fn two_indexes_that_are_gone_cannot_be_rebuilt() {
    let folder = store("repair-indexes");
    for channel in ["outputs", "boxes"] {
        fs::remove_file(file(&folder, channel, "index-000000.arrow")).unwrap();
    }
    let (repaired, found) = repaired(&folder);
    assert_eq!(found.len(), 2 * BATCHES as usize);
    assert_eq!(repaired.left_out.len(), 2 * BATCHES as usize);
}

#[test]
fn descriptions_and_the_watermark_cost_nothing() {
    let lost = [
        "store.json",
        "watermark",
        "train.MLP.default.outputs/channel.json",
        "train.MLP.default.boxes/channel.json",
        "train.MLP.default.names/channel.json",
    ];
    for name in lost {
        for remove in [true, false] {
            let folder = store(&format!("repair-description-{}", name.replace('/', "-")));
            let whole = records(&folder);
            match remove {
                true => fs::remove_file(folder.join(name)).unwrap(),
                false => change(&folder.join(name), |bytes| bytes[20] ^= 2),
            }
            let (repaired, found) = repaired(&folder);
            assert!(found == whole, "{name}");
            assert_eq!(repaired.problems.len(), 1, "{:?}", repaired.problems);
            assert_eq!(repaired.left_out, Vec::<String>::new());
        }
    }
}

#[test]
fn a_lost_channel_is_noticed_and_costs_only_itself() {
    let folder = store("repair-channel");
    let mut whole = records(&folder);
    fs::remove_dir_all(folder.join("train.MLP.default.boxes")).unwrap();
    let (repaired, found) = repaired(&folder);
    whole.retain(|key, _| key.0 != "train.MLP.default.boxes");
    assert!(found == whole);
    assert_eq!(repaired.left_out.len(), BATCHES as usize);
    assert_eq!(repaired.left_out[0], "record 3: no file has it");
}

#[test]
fn records_are_left_out_that_nobody_wants() {
    let folder = store("repair-without");
    let mut whole = records(&folder);
    let copy = folder.with_extension("without");
    // A batch, and both metrics of a record.
    repair_store(&folder, &copy, "run", &[1, 10]).unwrap();
    whole.retain(|key, _| key.1 != 1);
    assert!(records(&copy) == whole);
    let verified = verify_store(&copy).unwrap();
    assert!(verified.problems.is_empty(), "{:?}", verified.problems);
    assert_eq!(verified.metric_rows, 2 * BATCHES as u64 - 2);
    fs::remove_dir_all(&copy).unwrap();
}

#[test]
fn a_damaged_metric_costs_one_value() {
    let folder = store("repair-metric");
    change(&folder.join("metrics/chunk-000000.arrow"), |bytes| {
        let place = position(bytes, &17.0_f64.to_le_bytes());
        bytes[place + 2] ^= 1;
    });
    let (repaired, found) = repaired(&folder);
    assert!(found == records(&folder));
    assert_eq!(repaired.metric_rows, 2 * BATCHES as u64 - 1);
    assert_eq!(repaired.left_out.len(), 1);
}

#[test]
fn more_gaps_than_a_store_has_become_fewer() {
    let folder = folder("repair-gaps");
    let store = Store::create(&folder, &options()).unwrap();
    let outputs = channel(&store, "outputs", ValueType::Float32, &[]);
    for batch in 0..700_i32 {
        let value = (batch as f32 + 1000.0).to_le_bytes();
        outputs.record(&value, 1, 0, batch).unwrap();
    }
    store.close().unwrap();
    let whole = records(&folder);
    change(&file(&folder, "outputs", "chunk-000000.arrow"), |bytes| {
        let first = position(bytes, &1000.0_f32.to_le_bytes());
        (0..700)
            .step_by(2)
            .for_each(|batch| bytes[first + 4 * batch] ^= 1);
    });
    let (repaired, found) = repaired(&folder);
    assert_eq!((found.len(), repaired.left_out.len()), (251, 449));
    assert!(found.iter().all(|(key, text)| whole.get(key) == Some(text)));
    let crowded = "it lies between too many gaps for one store";
    assert!(repaired.left_out.iter().any(|line| line.ends_with(crowded)));
}

#[test]
fn whatever_happens_to_a_file_the_rest_is_saved() {
    let folder = store("repair-random");
    let whole = records(&folder);
    let mut random = Random(5);
    for path in files(&folder) {
        let bytes = fs::read(&path).unwrap();
        for trial in 0..12 {
            let mut damaged = bytes.clone();
            let place = random.below(damaged.len());
            match trial % 4 {
                0 => damaged[place] ^= 1 << random.below(8),
                1 => damaged.truncate(place),
                2 => {
                    let end = damaged.len().min(place + 4096);
                    damaged[place..end].fill(0);
                }
                _ => {
                    let end = damaged.len().min(place + 1 + random.below(100));
                    let bytes = &mut damaged[place..end];
                    bytes
                        .iter_mut()
                        .for_each(|byte| *byte = random.below(256) as u8);
                }
            }
            replace(&path, &damaged);
            let problems = verify_store(&folder).map(|verified| verified.problems);
            let Ok(problems) = problems else {
                // The damage made a later version of it.
                continue;
            };
            let (repaired, found) = repaired(&folder);
            let same = match repaired.unproven.is_empty() {
                true => found.iter().all(|(key, text)| whole.get(key) == Some(text)),
                // The times of rebuilt batches are not known.
                false => found.keys().all(|key| whole.contains_key(key)),
            };
            assert!(same, "{} trial {trial}", path.display());
            let gone = whole.keys().filter(|key| !found.contains_key(*key));
            let owner = path
                .parent()
                .unwrap()
                .file_name()
                .unwrap()
                .to_string_lossy();
            for key in gone {
                assert_eq!(key.0, owner, "{} trial {trial}", path.display());
            }
            let lossless = found.len() == whole.len() && repaired.metric_rows == 2 * BATCHES as u64;
            assert!(lossless || !problems.is_empty());
        }
        replace(&path, &bytes);
    }
}
