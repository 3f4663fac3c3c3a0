//! Write a workload, and say after each step what is promised from now on.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use specplan_store::{
    Durability, MetricGroup, OnError, Options, Result, Store, StoreError, TensorChannel,
    export_execution, export_metrics,
};

use crate::workload::{Content, Workload};

const RUN_ID: &str = "run";
/// How the program ends after an error that it named.
const FAILED: u8 = 3;
/// Nothing is drained by the clock, so that the same operations come in the same order.
const NEVER: Duration = Duration::from_secs(3600);

/// Every so many syncs, one goes to disk whatever the level is.
const SYNCS_TO_DISK: u64 = 5;

pub(crate) fn write(folder: &Path, workload: &Workload, how: &[&str]) -> ExitCode {
    let level = how
        .first()
        .map_or(Ok(Durability::Process), |name| Durability::parse(name));
    let policy = how
        .get(1)
        .map_or(Ok(OnError::Stop), |name| OnError::parse(name));
    let options = Options {
        durability: level.unwrap(),
        on_error: policy.unwrap(),
        run_id: RUN_ID.to_owned(),
        session: 1,
        staging_bytes: 1 << 20,
        flush_interval: NEVER,
    };
    let store = match Store::create(folder, &options) {
        Ok(store) => store,
        Err(error) => return failed("create", &error),
    };
    println!("created");
    let recorded =
        open_channels(&store, workload).map(|channels| record(&store, workload, &channels));
    if let Some(Err(error)) = &recorded {
        println!("error record {error}");
        // A failure stays: nothing that comes later may be promised.
        match store.sync() {
            Ok(watermark) => println!("unexpected sync to {watermark}"),
            Err(error) => println!("error sync {error}"),
        }
    }
    match store.close() {
        Ok(()) => println!("closed"),
        Err(error) => return failed("close", &error),
    }
    match recorded {
        Some(Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::from(FAILED),
    }
}

/// Write both tables of a store, over those that are there.
pub(crate) fn export(folder: &Path, tables: &Path) -> ExitCode {
    let metrics = export_metrics(folder, &tables.join("metrics.parquet"), RUN_ID);
    let execution = tables.join("execution.parquet");
    let rows = metrics.and_then(|_| export_execution(folder, "train", &execution, RUN_ID, None));
    match rows {
        Ok(_) => println!("closed"),
        Err(error) => return failed("export", &error),
    }
    ExitCode::SUCCESS
}

fn failed(action: &str, error: &StoreError) -> ExitCode {
    println!("error {action} {error}");
    ExitCode::from(FAILED)
}

struct Channels {
    tensors: Vec<TensorChannel>,
    metrics: MetricGroup,
}

/// Nothing is recorded yet, so a failure loses nothing and may be tried again.
fn open_channels(store: &Store, workload: &Workload) -> Option<Channels> {
    let open = || {
        let tensors = workload.channels.iter();
        let tensors =
            tensors.map(|channel| store.tensor(&channel.key(), channel.value_type, channel.shape));
        Ok(Channels {
            tensors: tensors.collect::<Result<_>>()?,
            metrics: store.metrics(workload.series())?,
        })
    };
    (0..2).find_map(|_| {
        open()
            .inspect_err(|error: &StoreError| println!("error channel {error}"))
            .ok()
    })
}

fn sync(store: &Store, number: u64, to_disk: bool) -> Result<()> {
    if to_disk {
        store.sync_to_disk()?;
    } else {
        store.sync()?;
    }
    println!("synced {number}");
    if store.durable()? >= number {
        println!("durable {number}");
    }
    Ok(())
}

fn record(store: &Store, workload: &Workload, channels: &Channels) -> Result<()> {
    for number in 1..=workload.records {
        let record = workload.record(number);
        let (epoch, batch) = (record.epoch, record.batch);
        match record.content {
            Content::Tensor {
                channel,
                rows,
                data,
            } => channels.tensors[channel].record(&data, rows, epoch, batch)?,
            Content::Metrics { values } => {
                channels.metrics.log(&values, epoch, batch, number as i64)?
            }
        };
        if number % workload.sync_every == 0 || number == workload.records {
            sync(
                store,
                number,
                (number / workload.sync_every) % SYNCS_TO_DISK == 0,
            )?;
        }
    }
    Ok(())
}
