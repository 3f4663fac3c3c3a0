//! What the tests of the store share.
#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod mutation;
pub(crate) mod reading;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use specplan_store::{
    ChannelKey, Durability, Key, OnError, Options, Series, Store, TensorChannel, ValueType,
};

/// A fresh folder for one test, removed at its end.
pub(crate) struct Folder(PathBuf);

pub(crate) fn folder(name: &str) -> Folder {
    let name = format!("specplan-store-{}-{name}", std::process::id());
    Folder(std::env::temp_dir().join(name))
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A test that failed before it made the folder should show its own failure.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn options() -> Options {
    Options {
        run_id: "run".to_owned(),
        session: 1,
        staging_bytes: 1 << 20,
        flush_interval: Duration::from_millis(5),
        durability: Durability::Process,
        on_error: OnError::Stop,
    }
}

/// Options of a session that writes nothing until it is asked to, so that it can be left alone.
pub(crate) fn patient(session: u32) -> Options {
    Options {
        session,
        staging_bytes: 16 << 20,
        flush_interval: Duration::from_secs(3600),
        ..options()
    }
}

/// Leave a store as a kill leaves it: nothing is written any more, and the lock is gone.
pub(crate) fn abandon(store: Store, folder: &Path) {
    std::mem::forget(store);
    std::fs::remove_file(folder.join(".lock")).unwrap();
}

pub(crate) fn key(field: &str) -> ChannelKey {
    ChannelKey {
        phase: "train".to_owned(),
        node: "MLP".to_owned(),
        role: "default".to_owned(),
        field: field.to_owned(),
    }
}

pub(crate) fn channel(
    store: &Store,
    field: &str,
    value_type: ValueType,
    shape: &[usize],
) -> TensorChannel {
    store.tensor(&key(field), value_type, shape).unwrap()
}

/// Channels of every kind, one of them with its keys out of order, and two metrics.
pub(crate) fn record_some(store: &Store, batches: i32) {
    let outputs = channel(store, "outputs", ValueType::Float32, &[3]);
    let ids = channel(store, "sample_id", ValueType::Int64, &[]);
    let boxes = store.ragged(&key("boxes"), ValueType::Float32, 2).unwrap();
    let names = store.text(&key("names"), false).unwrap();
    let series = ["loss", "a name that does not fit into a view"].map(|name| Series {
        phase: "train".to_owned(),
        split: String::new(),
        node: "MLP".to_owned(),
        name: name.to_owned(),
    });
    let group = store.metrics(series.to_vec()).unwrap();
    for batch in 0..batches {
        let rows = 1 + batch as usize % 5;
        let values: Vec<u8> = (0..rows * 3)
            .flat_map(|value| (value as f32 + batch as f32).to_le_bytes())
            .collect();
        outputs.record(&values, rows, 0, batch).unwrap();
        let values: Vec<u8> = (0..rows as i64)
            .flat_map(|value| (value * 7).to_le_bytes())
            .collect();
        ids.record(&values, rows, 0, batches - batch).unwrap();
        let values: Vec<u8> = (0..24).map(|byte| byte + batch as u8).collect();
        let arrays: [(&[usize], &[u8]); 3] =
            [(&[2, 3], &values), (&[0, 4], &[]), (&[1, 1], &values[..4])];
        let arrays = boxes.batch(&arrays[..rows.min(3)]).unwrap();
        boxes.record(&arrays, 0, batch).unwrap();
        let text = format!("batch {batch}, ümlaut");
        let texts = names.batch(&[text.as_str(), ""][..rows.min(2)]).unwrap();
        names.record(&texts, 0, batch).unwrap();
        let values = [f64::from(batch).to_le_bytes(), f64::NAN.to_le_bytes()].concat();
        group
            .log(&values, Key::now(0, batch, i64::from(batch)))
            .unwrap();
    }
}

/// A small generator, so that a failure can be repeated.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
