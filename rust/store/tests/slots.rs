//! Records that get their number first and their bytes later.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::mpsc::channel as queue;
use std::thread;

use common::{channel, folder, options};
use specplan_store::{Slot, Store, StoreError, StoreReader, ValueType};

const ROWS: usize = 50;

#[test]
fn slots_that_are_committed_by_another_thread_keep_their_places() {
    let folder = folder("slots");
    let store = Store::create(&folder, &options()).unwrap();
    let values = channel(&store, "values", ValueType::Uint8, &[100]);
    let (give, take) = queue::<(Slot, u8)>();
    let committer = thread::spawn(move || {
        let mut waiting = Vec::new();
        for (slot, batch) in take {
            waiting.push((slot, batch));
            if waiting.len() == 5 {
                for (mut slot, batch) in waiting.drain(..).rev() {
                    slot.bytes_mut().fill(batch);
                    slot.commit().unwrap();
                }
            }
        }
    });
    for batch in 0..200u8 {
        if batch % 2 == 0 {
            let slot = values.acquire(ROWS, 0, i32::from(batch)).unwrap();
            assert_eq!(slot.sequence(), u64::from(batch) + 1);
            give.send((slot, batch)).unwrap();
        } else {
            let rows = vec![batch; ROWS * 100];
            values.record(&rows, ROWS, 0, i32::from(batch)).unwrap();
        }
    }
    drop(give);
    committer.join().unwrap();
    store.close().unwrap();
    let reader = StoreReader::open(&folder).unwrap();
    let channels = reader.channels();
    assert_eq!(channels[0].batches(), 200);
    for batch in 0..200u8 {
        let rows = channels[0].get(0, i32::from(batch)).unwrap();
        assert_eq!(rows.count(), ROWS);
        assert!(rows.bytes().iter().all(|&byte| byte == batch));
    }
    assert!(reader.verify().is_empty());
}

#[test]
fn nothing_waits_for_a_slot_when_the_store_is_closed() {
    let folder = folder("open-slot");
    let store = Store::create(&folder, &options()).unwrap();
    let values = channel(&store, "values", ValueType::Uint8, &[]);
    let open = values.acquire(3, 0, 0).unwrap();
    values.record(&[1, 2], 2, 0, 1).unwrap();
    let error = store.sync().unwrap_err();
    assert!(matches!(error, StoreError::Uncommitted { sequence: 1, .. }));
    store.close().unwrap();
    assert!(matches!(open.commit(), Err(StoreError::Closed { .. })));
    let reader = StoreReader::open(&folder).unwrap();
    assert_eq!((reader.watermark(), reader.dropped()), (2, 0));
    assert_eq!(reader.channels()[0].batches(), 1);
    assert_eq!(reader.channels()[0].get(0, 1).unwrap().bytes(), [1, 2]);
}
