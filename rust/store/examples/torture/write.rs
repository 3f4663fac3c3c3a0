//! Write a workload, and say after each step what is promised from now on.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use specplan_store::{MetricGroup, Options, Result, Store, TensorChannel};

use crate::workload::{Content, Workload};

/// Nothing is drained by the clock, so that the same operations come in the same order.
const NEVER: Duration = Duration::from_secs(3600);

pub(crate) fn write(folder: &Path, workload: &Workload) -> ExitCode {
    let options = Options {
        run_id: "run".to_owned(),
        session: 1,
        staging_bytes: 1 << 20,
        flush_interval: NEVER,
    };
    let store = match Store::create(folder, &options) {
        Ok(store) => store,
        Err(error) => return failed("create", &error),
    };
    println!("created");
    let recorded = record(&store, workload, 1);
    if let Err(error) = recorded {
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
    ExitCode::SUCCESS
}

fn failed(action: &str, error: &dyn std::fmt::Display) -> ExitCode {
    println!("error {action} {error}");
    ExitCode::from(3)
}

fn record(store: &Store, workload: &Workload, first: u64) -> Result<()> {
    let channels: Vec<TensorChannel> = workload
        .channels
        .iter()
        .map(|channel| store.tensor(&channel.key(), channel.value_type, channel.shape))
        .collect::<Result<_>>()?;
    let metrics: MetricGroup = store.metrics(workload.series())?;
    for number in first..=workload.records {
        let record = workload.record(number);
        let (epoch, batch) = (record.epoch, record.batch);
        match record.content {
            Content::Tensor {
                channel,
                rows,
                data,
            } => channels[channel].record(&data, rows, epoch, batch)?,
            Content::Metrics { values } => metrics.log(&values, epoch, batch, number as i64)?,
        };
        if number % workload.sync_every == 0 || number == workload.records {
            store.sync()?;
            println!("synced {number}");
        }
    }
    Ok(())
}
