//! What was recorded is what is read, whatever the sizes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{Random, channel, folder, key, options, record_some};
use specplan_store::{Options, Store, StoreReader, ValueType};

#[test]
fn random_batches_of_every_type() {
    let mut random = Random(3);
    for (number, &value_type) in ValueType::ALL.iter().enumerate() {
        let folder = folder(&format!("types-{number}"));
        let store = Store::create(&folder, &options()).unwrap();
        let shape: Vec<usize> = (0..number % 4).map(|_| random.below(5)).collect();
        let values = channel(&store, "outputs", value_type, &shape);
        let row_bytes = shape.iter().product::<usize>() * value_type.item_bytes();
        let batches: Vec<(usize, Vec<u8>)> = (0..60)
            .map(|_| {
                let most = [30, 30, 30, 30, 40_000][random.below(5)];
                let rows = random.below(most);
                (
                    rows,
                    (0..rows * row_bytes)
                        .map(|_| random.below(256) as u8)
                        .collect(),
                )
            })
            .collect();
        for (batch, (rows, data)) in batches.iter().enumerate() {
            values
                .record(data, *rows, batch as i32 / 7, batch as i32 % 7)
                .unwrap();
        }
        store.sync().unwrap();
        let live = StoreReader::open(&folder).unwrap();
        store.close().unwrap();
        for reader in [live, StoreReader::open(&folder).unwrap()] {
            let tensor = &reader.channels()[0];
            assert_eq!(tensor.batches(), 60);
            for (batch, (rows, data)) in batches.iter().enumerate() {
                let found = tensor.get(batch as i32 / 7, batch as i32 % 7).unwrap();
                assert_eq!((found.count(), found.bytes()), (*rows, data.as_slice()));
            }
            let whole: Vec<u8> = tensor
                .chunks()
                .unwrap()
                .iter()
                .flat_map(|rows| rows.bytes().to_vec())
                .collect();
            assert_eq!(
                whole,
                batches
                    .iter()
                    .flat_map(|(_, data)| data.clone())
                    .collect::<Vec<u8>>()
            );
            assert!(reader.verify().is_empty());
        }
    }
}

#[test]
fn a_live_reader_follows_the_writer_over_chunks_and_close() {
    let folder = folder("follow");
    let store = Store::create(&folder, &options()).unwrap();
    let values = channel(&store, "outputs", ValueType::Int64, &[64]);
    let reader = StoreReader::open(&folder).unwrap();
    for batch in 0..400 {
        let row = i64::from(batch).to_le_bytes().repeat(64);
        values.record(&row.repeat(100), 100, 0, batch).unwrap();
        if batch % 40 == 0 {
            let watermark = store.sync().unwrap();
            assert_eq!(reader.refresh().unwrap(), watermark);
            let tensor = &reader.channels()[0];
            assert_eq!(tensor.batches(), batch as usize + 1);
            assert_eq!(tensor.get(0, batch).unwrap().bytes(), row.repeat(100));
        }
    }
    store.close().unwrap();
    assert_eq!(reader.refresh().unwrap(), 400);
    assert!(reader.closed());
    assert!(reader.channels()[0].files().len() > 2);
    assert!(reader.verify().is_empty());
}

#[test]
fn what_lies_above_the_watermark_is_hidden() {
    let folder = folder("watermark");
    let store = Store::create(&folder, &options()).unwrap();
    record_some(&store, 10);
    store.sync().unwrap();
    let watermark = std::fs::read(folder.join("watermark")).unwrap();
    record_some(&store, 10);
    store.close().unwrap();
    std::fs::write(folder.join("watermark"), watermark).unwrap();
    let reader = StoreReader::open(&folder).unwrap();
    assert_eq!((reader.watermark(), reader.closed()), (50, false));
    assert!(
        reader
            .channels()
            .iter()
            .all(|tensor| tensor.batches() == 10)
    );
    assert_eq!(reader.metric_files().unwrap()[0].2, 20);
    assert_eq!(
        reader.channels()[0].files()[0].2,
        reader.channels()[0].rows()
    );
}

#[test]
fn small_staging_memory_only_makes_it_slower() {
    let folder = folder("pressure");
    let small = Options {
        staging_bytes: 1,
        ..options()
    };
    let store = Store::create(&folder, &small).unwrap();
    let values = channel(&store, "outputs", ValueType::Uint8, &[1000]);
    for batch in 0..500 {
        values.record(&[batch as u8; 5000], 5, 0, batch).unwrap();
    }
    let statistics = store.statistics().unwrap();
    assert_eq!((statistics.records, statistics.dropped), (500, 0));
    assert!(statistics.stalls > 0);
    store.close().unwrap();
    let reader = StoreReader::open(&folder).unwrap();
    assert!(
        (0..500)
            .all(|batch| reader.channels()[0].get(0, batch).unwrap().bytes() == [batch as u8; 5000])
    );
}

/// Rows of one batch: shapes and their numbers.
type Arrays = Vec<(Vec<usize>, Vec<u8>)>;

fn random_arrays(random: &mut Random, dimensions: usize, item_bytes: usize) -> Arrays {
    let most = [0, 1, 4, 30, 400][random.below(5)];
    let arrays = (0..random.below(12)).map(|_| {
        let shape: Vec<usize> = (0..dimensions)
            .map(|dimension| random.below(if dimension == 0 { most + 1 } else { 4 }))
            .collect();
        let bytes = shape.iter().product::<usize>() * item_bytes;
        let values = (0..bytes).map(|_| random.below(256) as u8).collect();
        (shape, values)
    });
    arrays.collect()
}

#[test]
fn random_arrays_of_every_type_and_number_of_dimensions() {
    let mut random = Random(5);
    for (number, &value_type) in ValueType::ALL.iter().enumerate() {
        let folder = folder(&format!("ragged-{number}"));
        let store = Store::create(&folder, &options()).unwrap();
        let dimensions = 1 + number % 4;
        let ragged = store.ragged(&key("boxes"), value_type, dimensions).unwrap();
        let batches: Vec<Arrays> = (0..300)
            .map(|_| random_arrays(&mut random, dimensions, value_type.item_bytes()))
            .collect();
        for (batch, arrays) in batches.iter().enumerate() {
            let rows: Vec<(&[usize], &[u8])> = arrays
                .iter()
                .map(|(shape, values)| (shape.as_slice(), values.as_slice()))
                .collect();
            let rows = ragged.batch(&rows).unwrap();
            ragged.record(&rows, 0, batch as i32).unwrap();
        }
        store.sync().unwrap();
        let live = StoreReader::open(&folder).unwrap();
        store.close().unwrap();
        for reader in [live, StoreReader::open(&folder).unwrap()] {
            let channel = &reader.channels()[0];
            for (batch, arrays) in batches.iter().enumerate() {
                let rows = channel.get(0, batch as i32).unwrap();
                let found: Arrays = (0..rows.count())
                    .map(|row| rows.array(row).unwrap())
                    .map(|array| (array.shape, array.bytes.to_vec()))
                    .collect();
                assert_eq!(found, *arrays);
            }
            assert!(reader.verify().is_empty());
        }
    }
}

#[test]
fn arrays_and_texts_of_every_size() {
    let folder = folder("sizes");
    let store = Store::create(&folder, &options()).unwrap();
    let arrays = store.ragged(&key("arrays"), ValueType::Uint8, 1).unwrap();
    let texts = store.text(&key("texts"), false).unwrap();
    // Some alone are larger than a block, or than the chunk that would come next.
    let sizes = [0, 5, 600_000, 0, 3_000_000, 1, 40_000_000, 2];
    let text = "ü".repeat(20_000_000);
    for (batch, &size) in sizes.iter().enumerate() {
        let values = vec![batch as u8; size];
        let rows: [(&[usize], &[u8]); 3] = [(&[size], &values), (&[0], &[]), (&[size], &values)];
        let rows = arrays.batch(&rows).unwrap();
        arrays.record(&rows, 0, batch as i32).unwrap();
        let rows = ["", &text[..size / 2 * 2], "x"];
        let rows = texts.batch(&rows).unwrap();
        texts.record(&rows, 0, batch as i32).unwrap();
    }
    store.close().unwrap();
    let reader = StoreReader::open(&folder).unwrap();
    assert!(reader.verify().is_empty());
    for (batch, &size) in sizes.iter().enumerate() {
        let rows = reader.channels()[0].get(0, batch as i32).unwrap();
        let lengths = [0, 1, 2].map(|row| rows.array(row).unwrap().bytes.len());
        assert_eq!(lengths, [size, 0, size]);
        assert!(rows.bytes().iter().all(|&byte| byte == batch as u8));
        let rows = reader.channels()[1].get(0, batch as i32).unwrap();
        let found = [0, 1, 2].map(|row| rows.text(row).unwrap());
        assert!(found == ["", &text[..size / 2 * 2], "x"]);
    }
}
