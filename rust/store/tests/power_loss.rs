//! A machine that loses power keeps any mixture of old and new pages of what was not synced.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{Folder, Random, channel, folder, key, patient};
use specplan_store::{Key, Series, Store, StoreError, StoreReader, ValueType, verify_store};

const PAGE: usize = 4096;

type Files = BTreeMap<PathBuf, Vec<u8>>;

fn read_files(folder: &Path, below: &Path, found: &mut Files) {
    for entry in fs::read_dir(folder.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = below.join(entry.file_name());
        if entry.path().is_dir() {
            read_files(folder, &name, found);
        } else if entry.file_name() != ".lock" {
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

fn files(folder: &Path) -> Files {
    let mut found = Files::new();
    read_files(folder, Path::new(""), &mut found);
    found
}

fn write_files(folder: &Path, files: &Files) {
    fs::remove_dir_all(folder).ok();
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Make it another start of the machine that wrote the store.
fn start_again(files: &mut Files) {
    let description = files.get_mut(Path::new("store.json")).unwrap();
    let text = String::from_utf8(description.clone()).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    for line in &mut lines {
        if line.trim_start().starts_with("\"boot_id\"") {
            *line = "      \"boot_id\": \"another\"";
        }
    }
    let text = lines.join("\n");
    let body = &text[..text.rfind(',').unwrap()];
    let check = crc32fast::hash(body.as_bytes());
    *description = format!("{body},\n  \"crc32\": {check}\n}}\n").into_bytes();
}

/// How likely the system is to have kept things, each of 1000.
#[derive(Clone, Copy, Debug)]
struct Odds {
    names: usize,
    pages: usize,
}

/// What a disk may hold that had `old` for sure and was about to get `new`.
fn lose_power(old: &Files, new: &Files, odds: Odds, random: &mut Random) -> Files {
    let mut kept = Files::new();
    for (name, new) in new {
        let old = old.get(name);
        if old.is_none() && random.below(1000) >= odds.names {
            continue;
        }
        let old = old.map_or(&[][..], Vec::as_slice);
        let long = random.below(1000) < odds.pages;
        let mut bytes = vec![0; if long { new.len() } else { old.len() }];
        for start in (0..bytes.len()).step_by(PAGE) {
            let end = bytes.len().min(start + PAGE);
            let source = if random.below(1000) < odds.pages {
                new
            } else {
                old
            };
            let present = source.get(start..end.min(source.len())).unwrap_or_default();
            bytes[start..start + present.len()].copy_from_slice(present);
        }
        kept.insert(name.clone(), bytes);
    }
    kept
}

/// Sequence numbers and batches of what is recorded in channels of every kind; every fifth record is one of metrics.
fn record(store: &Store, batches: std::ops::Range<i32>) -> Vec<(u64, i32)> {
    let group = store
        .metrics(vec![
            Series {
                phase: "train".to_owned(),
                split: String::new(),
                node: String::new(),
                name: "a loss with a long name".to_owned(),
            };
            3
        ])
        .unwrap();
    batches
        .map(|batch| {
            let number = batch as usize;
            let sequence = match number % 10 {
                4 | 9 => group
                    .log(&[batch as u8; 24], Key::now(0, batch, 0))
                    .unwrap(),
                1 => {
                    let boxes = store.ragged(&key("boxes"), ValueType::Uint8, 1).unwrap();
                    let long = vec![batch as u8; 900];
                    let rows: [(&[usize], &[u8]); 3] =
                        [(&[900], &long), (&[0], &[]), (&[2], &long[..2])];
                    boxes
                        .record(&boxes.batch(&rows).unwrap(), 0, batch)
                        .unwrap()
                }
                6 => {
                    let names = store.text(&key("names"), false).unwrap();
                    let text = String::from_utf8(vec![batch as u8 % 128; 300]).unwrap();
                    let texts = names.batch(&[text.as_str(), "", &text[..7]]).unwrap();
                    names.record(&texts, 0, batch).unwrap()
                }
                // This channel comes into being half way.
                8 if number > 100 => record_rows(store, "late", 5, batch),
                odd if odd % 2 == 1 => record_rows(store, "large", 150, batch),
                _ => record_rows(store, "small", 1, batch),
            };
            if number % 40 == 39 {
                store.sync().unwrap();
            }
            (sequence, batch)
        })
        .collect()
}

fn record_rows(store: &Store, field: &str, rows: usize, batch: i32) -> u64 {
    let channel = channel(store, field, ValueType::Uint8, &[700]);
    let values = vec![batch as u8; rows * 700];
    channel.record(&values, rows, 0, batch).unwrap()
}

/// A store as it was when all was on disk, as it was when the power went, and its records.
struct Lost {
    durable: Files,
    written: Files,
    records: Vec<(u64, i32)>,
    last_durable: u64,
}

fn lost_store(name: &str) -> (Folder, Lost) {
    let folder = folder(name);
    let store = Store::create(&folder, &patient(1)).unwrap();
    let mut records = record(&store, 0..60);
    store.close().unwrap();
    let store = Store::open(&folder, &patient(2), Some(50)).unwrap();
    records.truncate(50);
    let durable = files(&folder);
    let last_durable = StoreReader::open(&folder).unwrap().durable();
    records.extend(record(&store, 50..200));
    store.sync().unwrap();
    let written = files(&folder);
    std::mem::forget(store);
    let lost = Lost {
        durable,
        written,
        records,
        last_durable,
    };
    (folder, lost)
}

fn found(reader: &StoreReader) -> Vec<(u64, i32)> {
    let mut found = Vec::new();
    for channel in reader.channels() {
        for entry in channel.index().unwrap() {
            let rows = channel.get(entry.epoch, entry.batch).unwrap();
            let value = entry.batch as u8;
            let expected = if channel.key().field == "names" {
                value % 128
            } else {
                value
            };
            assert!(rows.bytes().iter().all(|&byte| byte == expected));
            found.push((entry.sequence, entry.batch));
        }
    }
    found.sort_unstable();
    found
}

fn of_channels(records: &[(u64, i32)]) -> Vec<(u64, i32)> {
    let batches = records.iter().filter(|record| record.1 % 5 != 4);
    batches.copied().collect()
}

fn check(reader: &StoreReader, records: &[(u64, i32)]) {
    assert!(reader.verify().is_empty(), "{:?}", reader.verify());
    let expected = of_channels(records);
    assert_eq!(found(reader), expected);
    let metrics: u64 = reader
        .metric_files()
        .unwrap()
        .iter()
        .map(|file| file.2)
        .sum();
    assert_eq!(metrics, 3 * (records.len() - expected.len()) as u64);
    let verified = verify_store(reader.folder()).unwrap();
    assert_eq!(verified.batches, expected.len() as u64);
    assert_eq!(verified.metric_rows, metrics);
}

/// What is left is a beginning of the records; the store is continued there, and is then like any other.
fn check_left(folder: &Path, lost: &Lost, kept: &mut Files) -> usize {
    start_again(kept);
    write_files(folder, kept);
    let reader = StoreReader::open(folder).unwrap();
    let watermark = reader.watermark();
    assert!(watermark >= lost.last_durable);
    let left = lost.records.partition_point(|record| record.0 <= watermark);
    let mut records = lost.records[..left].to_vec();
    check(&reader, &records);
    assert!(reader.refresh().unwrap() == watermark);

    let store = Store::open(folder, &patient(3), None).unwrap();
    reader.refresh().unwrap();
    check(&reader, &records);
    records.extend(record(&store, 200..230));
    store.sync().unwrap();
    reader.refresh().unwrap();
    check(&reader, &records);
    store.close().unwrap();
    check(&StoreReader::open(folder).unwrap(), &records);
    left
}

#[test]
fn any_mixture_of_pages_leaves_a_beginning() {
    let (folder, lost) = lost_store("mixture");
    let mut random = Random(5);
    let mut beginnings = std::collections::BTreeSet::new();
    for trial in 0..48 {
        let odds = Odds {
            names: [700, 950, 1000, 1000][trial % 4],
            pages: [500, 970, 997, 1000][trial / 4 % 4],
        };
        let mut kept = lose_power(&lost.durable, &lost.written, odds, &mut random);
        beginnings.insert(check_left(&folder, &lost, &mut kept));
    }
    assert!(beginnings.len() > 5, "{beginnings:?}");
}

#[test]
fn all_pages_leave_everything_and_none_what_was_durable() {
    let (folder, lost) = lost_store("extremes");
    let mut written = lost.written.clone();
    assert_eq!(check_left(&folder, &lost, &mut written), lost.records.len());
    let mut durable = lost.durable.clone();
    assert_eq!(check_left(&folder, &lost, &mut durable), 50);
}

#[test]
fn each_file_alone_may_be_lost() {
    let (folder, lost) = lost_store("files");
    let changed = lost
        .written
        .iter()
        .filter(|(name, bytes)| lost.durable.get(*name) != Some(bytes));
    for (name, _) in changed {
        let mut kept = lost.written.clone();
        match lost.durable.get(name) {
            Some(old) => kept.insert(name.clone(), old.clone()),
            None => kept.remove(name),
        };
        let left = check_left(&folder, &lost, &mut kept);
        assert!(left < lost.records.len(), "{}", name.display());
        if !lost.durable.contains_key(name) {
            let mut kept = lost.written.clone();
            kept.insert(name.clone(), Vec::new());
            assert_eq!(
                check_left(&folder, &lost, &mut kept),
                left,
                "{}",
                name.display()
            );
        }
    }
}

#[test]
fn a_record_of_metrics_counts_as_a_whole() {
    let folder = folder("metrics");
    let store = Store::create(&folder, &patient(1)).unwrap();
    let series = Series {
        phase: "train".to_owned(),
        split: String::new(),
        node: String::new(),
        name: "a loss".to_owned(),
    };
    let group = store.metrics(vec![series; 3]).unwrap();
    let values: Vec<u8> = (1..=30)
        .flat_map(|value| f64::from(value).to_le_bytes())
        .collect();
    for (batch, values) in values.chunks(24).enumerate() {
        group.log(values, Key::now(0, batch as i32, 0)).unwrap();
    }
    store.sync().unwrap();
    let mut written = files(&folder);
    start_again(&mut written);
    std::mem::forget(store);
    let chunk = written
        .keys()
        .find(|name| name.starts_with("metrics"))
        .unwrap()
        .clone();
    let start = written[&chunk]
        .windows(240)
        .position(|found| found == values)
        .unwrap();
    for row in 0..30 {
        let mut kept = written.clone();
        kept.get_mut(&chunk).unwrap()[start + 8 * row..start + 8 * row + 8].fill(0);
        write_files(&folder, &kept);
        let reader = StoreReader::open(&folder).unwrap();
        // The row may be one more of the record before it.
        let whole = row.saturating_sub(1) as u64 / 3;
        assert_eq!(reader.watermark(), whole);
        let shown: u64 = reader
            .metric_files()
            .unwrap()
            .iter()
            .map(|file| file.2)
            .sum();
        assert_eq!(shown, 3 * whole);
        let verified = verify_store(&folder).unwrap();
        assert!(verified.problems.is_empty(), "{:?}", verified.problems);
        assert_eq!(verified.metric_rows, shown);
    }
}

#[test]
fn another_loss_before_anything_was_written_changes_nothing() {
    let (folder, lost) = lost_store("twice");
    let mut random = Random(9);
    for _ in 0..20 {
        let odds = Odds {
            names: 950,
            pages: 990,
        };
        let mut kept = lose_power(&lost.durable, &lost.written, odds, &mut random);
        start_again(&mut kept);
        write_files(&folder, &kept);
        let watermark = StoreReader::open(&folder).unwrap().watermark();
        let store = Store::open(&folder, &patient(3), None).unwrap();
        let mut continued = files(&folder);
        std::mem::forget(store);
        // The description of the new session is there, its watermark is not.
        let before = kept[Path::new("watermark")].clone();
        for old_watermark in [true, false] {
            if old_watermark {
                continued.insert(PathBuf::from("watermark"), before.clone());
            }
            let mut kept = continued.clone();
            start_again(&mut kept);
            write_files(&folder, &kept);
            let reader = StoreReader::open(&folder).unwrap();
            let left = lost.records.partition_point(|record| record.0 <= watermark);
            check(&reader, &lost.records[..left]);
        }
    }
}

#[test]
fn damage_to_what_was_durable_is_still_named() {
    let (folder, lost) = lost_store("durable");
    let mut random = Random(3);
    let records: Vec<_> = lost
        .durable
        .keys()
        .filter(|name| name.extension().is_some_and(|it| it == "arrow"))
        .collect();
    assert!(records.len() > 8);
    for name in records {
        let bytes = &lost.durable[name];
        // The first and the last page: messages, and the footer.
        for place in [random.below(200), bytes.len() - 1 - random.below(200)] {
            let mut kept = lost.written.clone();
            start_again(&mut kept);
            kept.get_mut(name).unwrap()[place] ^= 1 << random.below(8);
            write_files(&folder, &kept);
            let problems = verify_store(&folder).unwrap().problems;
            let named = problems
                .iter()
                .any(|problem| problem.to_string().contains(name.to_str().unwrap()));
            assert!(named, "byte {place} of {}: {problems:?}", name.display());
        }
    }
}

#[test]
fn what_was_durable_may_not_be_missing() {
    let (folder, lost) = lost_store("missing");
    let mut damaged = 0;
    for (name, bytes) in &lost.durable {
        let is_record = name
            .extension()
            .is_some_and(|extension| extension == "arrow");
        if !is_record || bytes.len() < 3 * PAGE {
            continue;
        }
        for zeroed in [None, Some(0), Some(1), Some(2)] {
            let mut kept = lost.written.clone();
            match zeroed {
                None => drop(kept.remove(name)),
                Some(page) => {
                    let bytes = kept.get_mut(name).unwrap();
                    bytes[page * PAGE..(page + 1) * PAGE].fill(0);
                }
            }
            start_again(&mut kept);
            write_files(&folder, &kept);
            match StoreReader::open(&folder) {
                Err(error) => {
                    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
                    damaged += 1;
                }
                // Values that were torn are noticed when they are read.
                Ok(reader) if !reader.verify().is_empty() => damaged += 1,
                // Nothing that is visible stood there.
                Ok(reader) => {
                    let watermark = reader.watermark();
                    assert!(watermark >= lost.last_durable);
                    let left = lost.records.partition_point(|record| record.0 <= watermark);
                    check(&reader, &lost.records[..left]);
                }
            }
        }
    }
    assert!(damaged >= 8, "{damaged}");
}
