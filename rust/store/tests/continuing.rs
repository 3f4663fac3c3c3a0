//! Sessions that follow each other in one store, and what they hide of each other.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use common::{Folder, abandon, channel, folder, key, patient, record_some};
use specplan_store::{Store, StoreError, StoreReader, TensorChannel, ValueType};

fn record(channel: &TensorChannel, batches: std::ops::Range<i32>) -> u64 {
    let sequences = batches.map(|batch| {
        let row = i64::from(batch).to_le_bytes();
        channel.record(&row.repeat(2), 2, 0, batch).unwrap()
    });
    sequences.max().unwrap()
}

fn values(store: &Store) -> TensorChannel {
    channel(store, "outputs", ValueType::Int64, &[])
}

fn value(reader: &StoreReader, batch: i32) -> Option<i64> {
    let rows = reader.channels()[0].get(0, batch).ok()?;
    assert_eq!(rows.count(), 2);
    Some(i64::from_le_bytes(rows.bytes()[..8].try_into().unwrap()))
}

fn sequences(reader: &StoreReader) -> Vec<u64> {
    let index = reader.channels()[0].index().unwrap();
    index.iter().map(|entry| entry.sequence).collect()
}

/// A store of one session with batches 0 to 9.
fn ten_batches(name: &str) -> Folder {
    let folder = folder(name);
    let store = Store::create(&folder, &patient(1)).unwrap();
    record(&values(&store), 0..10);
    store.close().unwrap();
    folder
}

#[test]
fn a_killed_store_is_continued() {
    let folder = folder("continued");
    let store = Store::create(&folder, &patient(1)).unwrap();
    record(&values(&store), 0..10);
    store.sync().unwrap();
    abandon(store, &folder);
    let store = Store::open(&folder, &patient(2), None).unwrap();
    assert_eq!(record(&values(&store), 10..15), 16);
    store.close().unwrap();
    let reader = StoreReader::open(&folder).unwrap();
    assert_eq!(
        sequences(&reader),
        (1..11).chain(12..17).collect::<Vec<_>>()
    );
    assert!((0..15).all(|batch| value(&reader, batch) == Some(i64::from(batch))));
    assert_eq!(value(&reader, 15), None);
    let sessions = reader.sessions();
    let begun: Vec<_> = sessions
        .iter()
        .map(|session| (session.session, session.first_sequence, session.rewound_to))
        .collect();
    assert_eq!(begun, [(1, 1, None), (2, 12, None)]);
    assert!(reader.verify().is_empty());
}

#[test]
fn space_that_a_killed_store_had_taken_is_given_back() {
    const ROW_BYTES: usize = 128 << 10;
    let folder = folder("space");
    let record = |store: &Store, batches: std::ops::Range<i32>| {
        let values = channel(store, "outputs", ValueType::Uint8, &[ROW_BYTES]);
        for batch in batches {
            let row = vec![batch as u8; ROW_BYTES];
            values.record(&row, 1, 0, batch).unwrap();
        }
        store.sync().unwrap();
    };
    let store = Store::create(&folder, &patient(1)).unwrap();
    record(&store, 0..10);
    abandon(store, &folder);
    let store = Store::open(&folder, &patient(2), None).unwrap();
    let name = key("outputs").folder_name();
    let left = fs::metadata(folder.join(name).join("chunk-000001.arrow")).unwrap();
    assert!(left.len() > 3 << 20);
    let rows = 3 * ROW_BYTES as u64;
    assert!(left.blocks() * 512 < rows + (256 << 10));
    record(&store, 10..12);
    store.close().unwrap();
    let reader = StoreReader::open(&folder).unwrap();
    for batch in 0..12 {
        let rows = reader.channels()[0].get(0, batch).unwrap();
        assert_eq!(rows.bytes(), vec![batch as u8; ROW_BYTES]);
    }
    assert!(reader.verify().is_empty());
}

#[test]
fn a_rewind_hides_what_came_later() {
    let folder = ten_batches("rewound");
    let store = Store::open(&folder, &patient(2), Some(6)).unwrap();
    let reader = StoreReader::open(&folder).unwrap();
    assert_eq!(sequences(&reader), [1, 2, 3, 4, 5, 6]);
    assert_eq!(reader.channels()[0].rows(), 12);
    // The same keys again, and other values.
    let again = values(&store);
    for batch in 6..9 {
        again
            .record(
                &(100 + i64::from(batch)).to_le_bytes().repeat(2),
                2,
                0,
                batch,
            )
            .unwrap();
    }
    store.sync().unwrap();
    assert_eq!(reader.refresh().unwrap(), 14);
    let seen: Vec<_> = (0..10).map(|batch| value(&reader, batch)).collect();
    let expected: Vec<_> = (0..6).chain(106..109).map(Some).collect();
    assert_eq!(seen[..9], expected);
    assert_eq!(seen[9], None);
    let starts: Vec<u64> = reader.channels()[0]
        .index()
        .unwrap()
        .iter()
        .map(|entry| entry.row_start)
        .collect();
    assert_eq!(starts, (0..9).map(|batch| 2 * batch).collect::<Vec<_>>());
    let rows: Vec<u64> = reader.channels()[0]
        .files()
        .iter()
        .map(|file| file.2)
        .collect();
    assert_eq!(rows, [12, 6]);
    assert!(reader.verify().is_empty());
    assert_eq!(reader.sessions()[1].rewound_to, Some(6));
}

#[test]
fn rewinds_nest() {
    let folder = ten_batches("nested");
    for (number, to, batches, expected) in [
        (2, 8, 8..11, vec![1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 14]),
        (3, 13, 10..11, vec![1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 16]),
        (4, 3, 3..5, vec![1, 2, 3, 18, 19]),
        (5, 0, 0..1, vec![21]),
    ] {
        let store = Store::open(&folder, &patient(number), Some(to)).unwrap();
        record(&values(&store), batches);
        store.close().unwrap();
        let reader = StoreReader::open(&folder).unwrap();
        assert_eq!(sequences(&reader), expected);
        assert!(reader.verify().is_empty());
    }
}

#[test]
fn a_store_can_be_opened_many_times_without_a_record() {
    let folder = ten_batches("idle");
    for number in 2..60 {
        Store::open(&folder, &patient(number), None)
            .unwrap()
            .close()
            .unwrap();
    }
    let store = Store::open(&folder, &patient(60), None).unwrap();
    assert_eq!(record(&values(&store), 10..11), 70);
    store.close().unwrap();
    let reader = StoreReader::open(&folder).unwrap();
    assert_eq!(sequences(&reader).len(), 11);
    assert_eq!(reader.sessions().len(), 60);
}

#[test]
fn gaps_come_to_an_end() {
    let folder = folder("gaps");
    let mut store = Store::create(&folder, &patient(1)).unwrap();
    for number in 2..=253 {
        record(&values(&store), number..number + 1);
        store.close().unwrap();
        match Store::open(&folder, &patient(number as u32), None) {
            Ok(opened) => store = opened,
            Err(error) => {
                assert_eq!(number, 253);
                assert!(
                    error
                        .to_string()
                        .contains("it has 251 gaps already; rewind it")
                );
                break;
            }
        }
    }
    // A rewind to before them makes room.
    let store = Store::open(&folder, &patient(253), Some(101)).unwrap();
    store.close().unwrap();
    let reader = StoreReader::open(&folder).unwrap();
    assert_eq!(sequences(&reader).len(), 51);
    assert!(reader.verify().is_empty());
}

#[test]
fn channels_come_and_go_with_sessions() {
    let folder = folder("channels");
    let store = Store::create(&folder, &patient(1)).unwrap();
    record(&channel(&store, "first", ValueType::Int64, &[]), 0..4);
    channel(&store, "empty", ValueType::Int64, &[]);
    store.close().unwrap();
    let store = Store::open(&folder, &patient(2), Some(2)).unwrap();
    let error = store
        .tensor(&key("first"), ValueType::Int32, &[])
        .err()
        .unwrap();
    assert!(
        error.to_string().ends_with("is int64 [], not int32 []"),
        "{error}"
    );
    record(&channel(&store, "second", ValueType::Int64, &[]), 0..3);
    record(&channel(&store, "empty", ValueType::Int64, &[]), 0..1);
    store.close().unwrap();
    let reader = StoreReader::open(&folder).unwrap();
    let found: Vec<_> = reader
        .channels()
        .iter()
        .map(|tensor| (tensor.key().field.clone(), tensor.batches()))
        .collect();
    let expected = [("first", 2), ("empty", 1), ("second", 3)];
    assert_eq!(
        found,
        expected.map(|(name, batches)| (name.to_owned(), batches))
    );
    // A rewind that leaves nothing of a channel.
    Store::open(&folder, &patient(3), Some(2))
        .unwrap()
        .close()
        .unwrap();
    let reader = StoreReader::open(&folder).unwrap();
    let second = &reader.channels()[2];
    assert_eq!(
        (second.batches(), second.rows(), second.files().len()),
        (0, 0, 0)
    );
    assert!(second.chunks().unwrap().is_empty());
    assert!(matches!(second.get(0, 0), Err(StoreError::NoBatch { .. })));
}

#[test]
fn rows_that_a_kill_left_above_the_watermark_stay_hidden() {
    let folder = folder("above");
    let store = Store::create(&folder, &patient(1)).unwrap();
    record_some(&store, 10);
    store.sync().unwrap();
    let watermark = fs::read(folder.join("watermark")).unwrap();
    record_some(&store, 10);
    store.sync().unwrap();
    abandon(store, &folder);
    fs::write(folder.join("watermark"), watermark).unwrap();
    let store = Store::open(&folder, &patient(2), None).unwrap();
    record_some(&store, 5);
    store.close().unwrap();
    let reader = StoreReader::open(&folder).unwrap();
    assert_eq!(reader.sessions()[1].first_sequence, 101);
    assert!(
        reader
            .channels()
            .iter()
            .all(|tensor| tensor.batches() == 15)
    );
    let metrics: Vec<_> = reader
        .metric_files()
        .unwrap()
        .iter()
        .map(|file| (file.1, file.2))
        .collect();
    assert_eq!(metrics, [(0, 20), (0, 10)]);
    assert!(reader.verify().is_empty());
}

#[test]
fn what_cannot_be_continued() {
    let folder = ten_batches("refused");
    let error = |opened: specplan_store::Result<Store>| opened.err().unwrap().to_string();
    let ahead = error(Store::open(&folder, &patient(2), Some(11)));
    assert!(
        ahead.ends_with("cannot be rewound to record 11: its records end at 10"),
        "{ahead}"
    );
    let earlier = error(Store::open(&folder, &patient(1), None));
    assert!(
        earlier.starts_with("session 1 cannot begin: session 1 wrote `"),
        "{earlier}"
    );
    let open = Store::open(&folder, &patient(2), None).unwrap();
    let locked = error(Store::open(&folder, &patient(3), None));
    assert!(locked.contains("is being written by process"), "{locked}");
    open.close().unwrap();
    let nothing = error(Store::open(&folder.join("nothing"), &patient(1), None));
    assert!(nothing.ends_with("it has no `store.json`"), "{nothing}");
}

#[test]
fn additions_to_the_format_are_refused_by_name() {
    let folder = ten_batches("additions");
    let index = fs::read_dir(&*folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("index-000000.arrow"))
        .find(|path| path.exists())
        .unwrap();
    let set = |word: usize, bits: u32| {
        change_superblock(&index, |superblock| {
            superblock[48..60].fill(0);
            superblock[word..word + 4].copy_from_slice(&bits.to_le_bytes());
        });
    };
    let name = "index-000000.arrow` needs a newer version: feature bit";
    set(56, 1 << 5);
    let error = StoreReader::open(&folder).err().unwrap().to_string();
    assert!(error.ends_with(&format!("{name} 5")), "{error}");
    set(52, 1 << 2);
    assert_eq!(sequences(&StoreReader::open(&folder).unwrap()).len(), 10);
    let error = Store::open(&folder, &patient(2), None)
        .err()
        .unwrap()
        .to_string();
    assert!(error.ends_with(&format!("{name} 2")), "{error}");
    set(48, 1 << 2);
    Store::open(&folder, &patient(2), None)
        .unwrap()
        .close()
        .unwrap();

    let path = folder.join("store.json");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("\"incompatible\": []", "\"incompatible\": [\"columns\"]");
    let body = &text[..text.rfind(',').unwrap()];
    let check = crc32fast::hash(body.as_bytes());
    fs::write(&path, format!("{body},\n  \"crc32\": {check}\n}}\n")).unwrap();
    let error = StoreReader::open(&folder).err().unwrap().to_string();
    assert!(
        error.ends_with("needs a newer version: feature `columns`"),
        "{error}"
    );
}

/// Whether each possible batch is there, and at the end the numbers that are visible.
fn seen(folder: &Path) -> Result<Vec<Result<Vec<u64>, StoreError>>, StoreError> {
    let reader = StoreReader::open(folder)?;
    let channel = &reader.channels()[0];
    let mut answers: Vec<_> = (-1..90)
        .map(|batch| match channel.get(0, batch) {
            Ok(rows) => Ok(vec![rows.count() as u64]),
            Err(StoreError::NoBatch { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        })
        .collect();
    let index = channel.index();
    answers.push(index.map(|index| index.iter().map(|entry| entry.sequence).collect()));
    Ok(answers)
}

#[test]
fn a_flipped_bit_in_an_index_moves_no_border() {
    let folder = folder("borders");
    let store = Store::create(&folder, &patient(1)).unwrap();
    let even = values(&store);
    for batch in 0..40 {
        even.record(&[0; 8], 1, 0, 2 * batch).unwrap();
    }
    store.close().unwrap();
    // The numbers after 17 are hidden, and after the first session the files go on.
    let store = Store::open(&folder, &patient(2), Some(17)).unwrap();
    values(&store).record(&[0; 8], 1, 0, 80).unwrap();
    store.close().unwrap();
    let whole: Vec<_> = seen(&folder)
        .unwrap()
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(whole.last().unwrap().len(), 18);
    let index = folder
        .join(key("outputs").folder_name())
        .join("index-000000.arrow");
    let bytes = fs::read(&index).unwrap();
    let numbers: Vec<u8> = (1..=40_u64).flat_map(u64::to_le_bytes).collect();
    let start = bytes
        .windows(320)
        .position(|found| found == numbers)
        .unwrap();
    let mut noticed = 0;
    // Up to the end of the last column: 44 bytes a row, columns at multiples of 64.
    for position in start..start + 44 * 40 + 8 * 64 {
        let mut flipped = bytes.clone();
        flipped[position] ^= 1 << (position % 8);
        let aside = index.with_extension("aside");
        fs::write(&aside, flipped).unwrap();
        fs::rename(&aside, &index).unwrap();
        let answers = seen(&folder).unwrap_or_else(|error| vec![Err(error)]);
        for (answer, expected) in answers.into_iter().zip(&whole) {
            match answer {
                Ok(found) => assert_eq!(found, *expected, "flipped at {position}"),
                Err(error) => {
                    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
                    noticed += 1;
                }
            }
        }
    }
    assert!(noticed > 17 * 40, "{noticed}");
}

/// Change the superblock of a file, and its checksum.
fn change_superblock(path: &Path, change: impl Fn(&mut [u8])) {
    change_headers(path, |superblock, _| change(superblock));
}

/// Make the headers of a file those that it had before its first commit.
fn uncommit(path: &Path) {
    change_headers(path, |superblock, message| {
        let rows = superblock[32..40].to_vec();
        superblock[32..48].fill(0);
        let numbers = message.chunks_mut(8);
        numbers
            .filter(|number| *number == rows)
            .for_each(|number| number.fill(0));
    });
}

/// Change the superblock of a file and the message behind it.
fn change_headers(path: &Path, change: impl Fn(&mut [u8], &mut [u8])) {
    let mut bytes = fs::read(path).unwrap();
    let start = bytes
        .windows(8)
        .position(|found| found == b"SPECPLAN")
        .unwrap();
    let (superblock, message) = bytes[start..].split_at_mut(64);
    let message_bytes = 4096 - (start + 64) % 4096;
    change(&mut superblock[..60], &mut message[..message_bytes]);
    let check = crc32fast::hash(&bytes[start..start + 60]);
    bytes[start + 60..start + 64].copy_from_slice(&check.to_le_bytes());
    let aside = path.with_extension("aside");
    fs::write(&aside, bytes).unwrap();
    fs::rename(&aside, path).unwrap();
}

#[test]
fn files_that_were_left_without_rows_are_passed_over() {
    let folder = ten_batches("empty-files");
    let store = Store::open(&folder, &patient(2), None).unwrap();
    let watermark = fs::read(folder.join("watermark")).unwrap();
    record(&values(&store), 10..12);
    store.sync().unwrap();
    abandon(store, &folder);
    // As a kill leaves them between their creation and the first commit.
    fs::write(folder.join("watermark"), watermark).unwrap();
    let channel = folder.join(key("outputs").folder_name());
    for name in ["index-000001.arrow", "chunk-000001.arrow"] {
        uncommit(&channel.join(name));
    }
    let store = Store::open(&folder, &patient(3), None).unwrap();
    record(&values(&store), 10..30);
    store.close().unwrap();
    assert_eq!(sequences(&StoreReader::open(&folder).unwrap()).len(), 30);
    for (number, to) in [(4, 20), (5, 11), (6, 10), (7, 5)] {
        Store::open(&folder, &patient(number), Some(to))
            .unwrap()
            .close()
            .unwrap();
        let reader = StoreReader::open(&folder).unwrap();
        let expected: Vec<u64> = (1..11)
            .chain(13..33)
            .filter(|&sequence| sequence <= to)
            .collect();
        assert_eq!(sequences(&reader), expected);
        assert!(reader.verify().is_empty());
    }
}
