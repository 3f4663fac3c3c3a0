//! Write a workload, and say after each step what is promised from now on.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use specplan_store::{
    Durability, Key, MetricGroup, OnError, Options, RaggedChannel, Result, Store, StoreError,
    StoreReader, TensorChannel, TextChannel, export_execution, export_metrics,
};

use crate::check::visible;
use crate::workload::{Content, Form, Workload};

const RUN_ID: &str = "run";
/// How the program ends after an error that it named.
const FAILED: u8 = 3;
/// Nothing is drained by the clock, so that the same operations come in the same order.
const NEVER: Duration = Duration::from_secs(3600);
/// Every so many syncs, one goes to disk whatever the level is.
const SYNCS_TO_DISK: u64 = 5;

pub(crate) fn write(folder: &Path, workload: &Workload, how: &[&str]) -> ExitCode {
    let options = options(how);
    if options.on_error == OnError::Drop {
        println!("drops");
    }
    match Store::create(folder, &options) {
        Ok(store) => script(&store, workload, 1, options.on_error),
        Err(error) => failed("create", &error),
    }
}

/// Go on with what is left of a store, without the last `back` records of it.
pub(crate) fn go_on(folder: &Path, workload: &Workload, back: u64, how: &[&str]) -> ExitCode {
    let reader = match StoreReader::open(folder) {
        Ok(reader) => reader,
        // The writer before was killed before there was a store.
        Err(StoreError::Missing { .. }) => return write(folder, workload, how),
        Err(error) => return failed("read", &error),
    };
    let records = match visible(&reader, workload, false) {
        Ok(records) => records,
        Err(text) => {
            println!("error read {text}");
            return ExitCode::from(FAILED);
        }
    };
    let kept = (records.len() as u64).saturating_sub(back);
    let last = kept
        .checked_sub(1)
        .map_or(0, |last| records[last as usize].0);
    let mut options = options(how);
    options.session = reader.sessions().len() as u32 + 1;
    println!("rewind {kept}");
    match Store::open(folder, &options, (back > 0).then_some(last)) {
        Ok(store) => script(&store, workload, kept + 1, options.on_error),
        Err(error) => failed("open", &error),
    }
}

/// Write both tables of a store, over those that are there.
pub(crate) fn export(folder: &Path, tables: &Path) -> ExitCode {
    let metrics = export_metrics(folder, &tables.join("metrics.parquet"), RUN_ID);
    let execution = tables.join("execution.parquet");
    match metrics.and_then(|_| export_execution(folder, "train", &execution, RUN_ID, None, None)) {
        Ok(_) => println!("closed"),
        Err(error) => return failed("export", &error),
    }
    ExitCode::SUCCESS
}

fn options(how: &[&str]) -> Options {
    let level = how.first().copied().unwrap_or("process");
    let policy = how.get(1).copied().unwrap_or("stop");
    Options {
        run_id: RUN_ID.to_owned(),
        session: 1,
        staging_bytes: 1 << 20,
        flush_interval: NEVER,
        durability: Durability::parse(level).unwrap(),
        on_error: OnError::parse(policy).unwrap(),
    }
}

fn failed(action: &str, error: &StoreError) -> ExitCode {
    println!("error {action} {error}");
    ExitCode::from(FAILED)
}

/// Record everything from one record on, and close.
fn script(store: &Store, workload: &Workload, first: u64, on_error: OnError) -> ExitCode {
    println!("created");
    let channels = open_channels(store, workload);
    let recorded = channels.map(|channels| {
        let writing = Writing {
            store,
            workload,
            channels,
            drops: on_error == OnError::Drop,
        };
        writing.record_from(first)
    });
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

enum Channel {
    Tensor(TensorChannel),
    Ragged(RaggedChannel),
    Text(TextChannel),
}

struct Channels {
    channels: Vec<Channel>,
    metrics: MetricGroup,
}

/// Nothing is recorded yet, so a failure loses nothing and may be tried again.
fn open_channels(store: &Store, workload: &Workload) -> Option<Channels> {
    let open = || {
        let channels = workload.channels.iter().map(|channel| {
            let key = channel.key();
            Ok(match channel.form {
                Form::Tensor(value_type, shape) => {
                    Channel::Tensor(store.tensor(&key, value_type, shape)?)
                }
                Form::Ragged(value_type, dimensions, _) => {
                    Channel::Ragged(store.ragged(&key, value_type, dimensions)?)
                }
                Form::Text(_) => Channel::Text(store.text(&key, false)?),
            })
        });
        Ok(Channels {
            channels: channels.collect::<Result<_>>()?,
            metrics: store.metrics(workload.series())?,
        })
    };
    (0..2).find_map(|_| {
        open()
            .inspect_err(|error: &StoreError| println!("error channel {error}"))
            .ok()
    })
}

struct Writing<'a> {
    store: &'a Store,
    workload: &'a Workload,
    channels: Channels,
    drops: bool,
}

impl Writing<'_> {
    fn record_from(&self, first: u64) -> Result<()> {
        let workload = self.workload;
        for number in first..=workload.records {
            let sequence = self.record(number)?;
            if number.is_multiple_of(workload.sync_every) || number == workload.records {
                self.sync(number, sequence)?;
            }
        }
        Ok(())
    }

    fn record(&self, number: u64) -> Result<u64> {
        let record = self.workload.record(number);
        let (epoch, batch) = (record.epoch, record.batch);
        let channels = &self.channels.channels;
        match &record.content {
            Content::Metrics { values } => {
                let metrics = &self.channels.metrics;
                metrics.log(values, Key::now(epoch, batch, number as i64))
            }
            Content::Tensor {
                channel,
                rows,
                data,
            } => match &channels[*channel] {
                Channel::Tensor(tensor) => tensor.record(data, *rows, epoch, batch),
                _ => unreachable!("channels are opened as their records are made"),
            },
            Content::Ragged { channel, rows } => match &channels[*channel] {
                Channel::Ragged(ragged) => {
                    let rows = rows.iter().map(|(shape, data)| (&shape[..], &data[..]));
                    let rows = ragged.batch(&rows.collect::<Vec<_>>())?;
                    ragged.record(&rows, epoch, batch)
                }
                _ => unreachable!("channels are opened as their records are made"),
            },
            Content::Text { channel, rows } => match &channels[*channel] {
                Channel::Text(text) => {
                    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
                    text.record(&text.batch(&rows)?, epoch, batch)
                }
                _ => unreachable!("channels are opened as their records are made"),
            },
        }
    }

    fn sync(&self, number: u64, sequence: u64) -> Result<()> {
        let to_disk = (number / self.workload.sync_every).is_multiple_of(SYNCS_TO_DISK);
        let synced = if to_disk {
            self.store.sync_to_disk()
        } else {
            self.store.sync()
        };
        let watermark = match synced {
            // What may be lost cannot be promised to be on disk.
            Err(error) if self.drops && to_disk => {
                println!("error sync_to_disk {error}");
                return Ok(());
            }
            synced => synced?,
        };
        if watermark >= sequence {
            println!("synced {number}");
        }
        if self.store.durable()? >= sequence {
            println!("durable {number}");
        }
        Ok(())
    }
}
