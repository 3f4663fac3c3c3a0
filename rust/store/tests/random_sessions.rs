//! Sessions in any order against a list in memory.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;

use common::{Random, abandon, channel, folder, patient};
use specplan_store::{
    Key, MetricGroup, Series, Store, StoreError, StoreReader, TensorChannel, ValueType,
};

/// A record as the model has it: its number, the channel (none for metrics), batch, and values.
#[derive(Clone, Debug, PartialEq)]
struct Recorded {
    sequence: u64,
    channel: Option<usize>,
    batch: i32,
    data: Vec<u8>,
}

/// An open store of the model.
struct Writing {
    store: Store,
    channels: Vec<TensorChannel>,
    metrics: MetricGroup,
}

impl Writing {
    fn new(store: Store) -> Self {
        let series = ["loss", "a name that is longer than a view"].map(|name| Series {
            phase: "train".to_owned(),
            split: String::new(),
            node: String::new(),
            name: name.to_owned(),
        });
        Self {
            channels: ["a", "b", "c"]
                .map(|field| channel(&store, field, ValueType::Uint8, &[40]))
                .to_vec(),
            metrics: store.metrics(series.to_vec()).unwrap(),
            store,
        }
    }

    fn record(&self, random: &mut Random, batch: i32) -> Recorded {
        let channel = Some(random.below(4)).filter(|&channel| channel < 3);
        let rows = [0, 1, 7, 3000][random.below(4)];
        let byte = random.below(256) as u8;
        let (sequence, data) = match channel {
            Some(channel) => {
                let data = vec![byte; rows * 40];
                let sequence = self.channels[channel].record(&data, rows, 0, batch);
                (sequence.unwrap(), data)
            }
            None => {
                let data = vec![byte; 16];
                (
                    self.metrics.log(&data, Key::now(0, batch, 0)).unwrap(),
                    data,
                )
            }
        };
        Recorded {
            sequence,
            channel,
            batch,
            data,
        }
    }
}

fn compare(reader: &StoreReader, expected: &[Recorded]) {
    assert!(reader.verify().is_empty(), "{:?}", reader.verify());
    let of = |channel| {
        expected
            .iter()
            .filter(move |record| record.channel == channel)
    };
    for tensor in reader.channels() {
        let channel = ["a", "b", "c"]
            .iter()
            .position(|field| *field == tensor.key().field);
        let index = tensor.index().unwrap();
        let found: Vec<_> = index
            .iter()
            .map(|entry| (entry.sequence, entry.batch))
            .collect();
        let records: Vec<_> = of(channel)
            .map(|record| (record.sequence, record.batch))
            .collect();
        assert_eq!(found, records);
        let mut start = 0;
        for (position, record) in of(channel).enumerate() {
            assert_eq!(tensor.at(position).unwrap().bytes(), record.data);
            assert_eq!(index[position].row_start, start);
            start += u64::from(index[position].rows);
        }
        for batch in -1..60 {
            let latest = of(channel).rfind(|record| record.batch == batch);
            match (tensor.get(0, batch), latest) {
                (Ok(rows), Some(record)) => assert_eq!(rows.bytes(), record.data),
                (Err(StoreError::NoBatch { .. }), None) => {}
                (found, _) => panic!("batch {batch}: {:?}", found.map(|rows| rows.count())),
            }
        }
        let chunks = tensor.chunks().unwrap();
        let whole: Vec<u8> = chunks
            .iter()
            .flat_map(|rows| rows.bytes().to_vec())
            .collect();
        assert!(
            whole
                == of(channel)
                    .flat_map(|record| record.data.clone())
                    .collect::<Vec<_>>()
        );
        let rows: u64 = tensor.files().iter().map(|file| file.2).sum();
        assert_eq!((tensor.rows(), rows), (start, start));
    }
    let metrics: u64 = reader
        .metric_files()
        .unwrap()
        .iter()
        .map(|file| file.2)
        .sum();
    assert_eq!(metrics, 2 * of(None).count() as u64);
}

/// Sessions that record, are killed at once or between two rounds, and rewind, against a list in memory.
#[test]
fn random_sessions_are_like_a_list() {
    for seed in 1..=5 {
        let mut random = Random(seed * 0x9E37_79B9);
        let folder = folder(&format!("model-{seed}"));
        let mut number = 1;
        let mut writing = Writing::new(Store::create(&folder, &patient(number)).unwrap());
        let live = StoreReader::open(&folder).unwrap();
        let mut records: Vec<Recorded> = Vec::new();
        for _ in 0..25 {
            for _ in 0..random.below(12) {
                let batch = match records.last() {
                    Some(last) if random.below(20) > 0 => last.batch + 1,
                    _ => random.below(50) as i32,
                };
                records.push(writing.record(&mut random, batch));
            }
            writing.store.sync().unwrap();
            if random.below(2) == 0 {
                live.refresh().unwrap();
                compare(&live, &records);
                continue;
            }
            let watermark = fs::read(folder.join("watermark")).unwrap();
            let synced = records.len();
            if random.below(3) == 0 {
                writing.store.close().unwrap();
            } else {
                for _ in 0..random.below(5) {
                    records.push(writing.record(&mut random, 0));
                }
                if random.below(2) == 0 {
                    writing.store.sync().unwrap();
                    fs::write(folder.join("watermark"), watermark).unwrap();
                }
                abandon(writing.store, &folder);
                if StoreReader::open(&folder).unwrap().watermark()
                    < records.last().map_or(0, |last| last.sequence)
                {
                    records.truncate(synced);
                }
            }
            let rewind =
                (random.below(2) == 0).then(|| records.len() - random.below(records.len() + 1));
            let to =
                rewind.map(|kept| kept.checked_sub(1).map_or(0, |last| records[last].sequence));
            records.truncate(rewind.unwrap_or(records.len()));
            number += 1;
            writing = Writing::new(Store::open(&folder, &patient(number), to).unwrap());
            compare(&StoreReader::open(&folder).unwrap(), &records);
            live.refresh().unwrap();
            compare(&live, &records);
        }
        writing.store.close().unwrap();
        compare(&StoreReader::open(&folder).unwrap(), &records);
    }
}
