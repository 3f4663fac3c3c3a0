//! Compare stores with what their records must be.

use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead};
use std::path::Path;
use std::process::{self, ExitCode};
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, UInt64Type};
use arrow_ipc::reader::FileReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use specplan_store::{Rows, StoreError, StoreReader, export_metrics};

use crate::workload::{Content, Workload};

/// What the writer said before it ended.
#[derive(Default)]
struct Said {
    created: bool,
    /// Records up to this one have to be there.
    kept: u64,
    closed: bool,
    /// Failed writes may lose records, which are counted.
    drops: bool,
    power_lost: bool,
}

/// Answer every line of standard input with `ok RECORDS MICROSECONDS` or `violation TEXT`.
pub(crate) fn answer(workload: &Workload) -> ExitCode {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split('\t').collect();
        let [folder, said, ending] = words[..] else {
            panic!("not a folder, what its writer said, and how it ended: {line}");
        };
        let said = Said::read(&fs::read_to_string(said).unwrap(), ending == "power");
        let start = Instant::now();
        match check(folder.as_ref(), workload, &said) {
            Ok(records) => println!("ok {records} {}", start.elapsed().as_micros()),
            Err(text) => println!("violation {}", text.replace('\n', " ")),
        }
    }
    ExitCode::SUCCESS
}

impl Said {
    fn read(text: &str, power_lost: bool) -> Self {
        let mut said = Self {
            power_lost,
            ..Self::default()
        };
        // A line that was cut by the end of its writer promises nothing.
        for line in text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
        {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["created"] => said.created = true,
                ["closed"] => said.closed = true,
                ["rewind", number] => {
                    said.kept = said.kept.min(number.parse().unwrap());
                    said.closed = false;
                }
                ["drops"] => said.drops = true,
                ["durable", number] => said.kept = number.parse().unwrap(),
                ["synced", number] if !power_lost => said.kept = number.parse().unwrap(),
                _ => (),
            }
        }
        said
    }
}

fn check(folder: &Path, workload: &Workload, said: &Said) -> Result<u64, String> {
    let reader = match StoreReader::open(folder) {
        Ok(reader) => reader,
        Err(StoreError::Missing { .. }) if !said.created => return Ok(0),
        Err(error) => return Err(format!("does not open: {error}")),
    };
    let found = visible(&reader, workload, said.power_lost)?;
    let records = found.len() as u64;
    let watermark = reader.watermark();
    // The numbers of a session follow each other from its first one on, and so do its records.
    let first = reader
        .sessions()
        .last()
        .map_or(1, |last| last.first_sequence);
    let before = found.partition_point(|&(sequence, _)| sequence < first) as u64;
    let lost = if said.drops { reader.dropped() } else { 0 };
    if records + lost != before + (watermark + 1).saturating_sub(first) {
        return Err(format!(
            "watermark {watermark}, but {records} records and {lost} lost; the session began with {first} after {before}"
        ));
    }
    for (position, &(sequence, number)) in found.iter().enumerate() {
        let expected = position as u64 + 1;
        if number != expected && !(said.drops && number == sequence) {
            return Err(format!(
                "sequence {sequence} is record {number}, but record {expected} is not there"
            ));
        }
    }
    if records + lost < said.kept {
        return Err(format!("{} were promised, {records} are there", said.kept));
    }
    // Where writes may be lost, so may the one that says that the store is closed.
    if said.closed && !reader.closed() && !said.drops {
        return Err("was closed, and is not".to_owned());
    }
    Ok(records)
}

/// Sequence and record number of everything that is visible, in order, each compared bit for bit.
pub(crate) fn visible(
    reader: &StoreReader,
    workload: &Workload,
    power_lost: bool,
) -> Result<Vec<(u64, u64)>, String> {
    let mut found = channels(reader, workload)?;
    let logged = if power_lost {
        logged_in_export(reader.folder())?
    } else {
        logged_in_files(reader)?
    };
    found.extend(metrics(&logged, workload)?);
    found.sort_unstable();
    Ok(found)
}

fn channels(reader: &StoreReader, workload: &Workload) -> Result<Vec<(u64, u64)>, String> {
    let mut found = Vec::new();
    for channel in reader.channels() {
        let index = channel.index();
        let index = index.map_err(|error| format!("{}: {error}", channel.name()))?;
        for (position, entry) in index.into_iter().enumerate() {
            let number = u64::from(entry.batch.unsigned_abs());
            let record = workload.record(number);
            let wrong = |what: &str| format!("record {number} in {}: {what}", channel.name());
            let place = match record.content {
                Content::Tensor { channel, .. }
                | Content::Ragged { channel, .. }
                | Content::Text { channel, .. } => channel,
                Content::Metrics { .. } => return Err(wrong("is a metric")),
            };
            if workload.channels[place].key() != *channel.key() {
                return Err(wrong("belongs elsewhere"));
            }
            if (entry.epoch, entry.batch) != (record.epoch, record.batch) {
                return Err(wrong("has another key"));
            }
            let found_by_position = channel.at(position);
            let found_by_key = channel.get(entry.epoch, entry.batch);
            for rows in [found_by_position, found_by_key] {
                let rows = rows.map_err(|error| wrong(&error.to_string()))?;
                let same = equal(&rows, &record.content);
                if !same.map_err(|error| wrong(&error.to_string()))? {
                    return Err(wrong("has other values"));
                }
            }
            found.push((entry.sequence, number));
        }
    }
    Ok(found)
}

fn equal(found: &Rows, content: &Content) -> specplan_store::Result<bool> {
    match content {
        Content::Tensor { rows, data, .. } => {
            Ok(found.count() == *rows && found.bytes() == &data[..])
        }
        Content::Ragged { rows, .. } => {
            let mut same = found.count() == rows.len();
            for (position, (shape, data)) in rows.iter().enumerate().take(found.count()) {
                let array = found.array(position)?;
                same &= array.shape.iter().eq(shape) && array.bytes == &data[..];
            }
            Ok(same)
        }
        Content::Text { rows, .. } => {
            let mut same = found.count() == rows.len();
            for (position, text) in rows.iter().enumerate().take(found.count()) {
                same &= found.text(position)? == text;
            }
            Ok(same)
        }
        Content::Metrics { .. } => Ok(false),
    }
}

/// One logged value.
struct Logged {
    sequence: u64,
    number: u64,
    epoch: i32,
    name: String,
    value: f64,
}

/// The same of every logged record.
fn metrics(logged: &[Logged], workload: &Workload) -> Result<Vec<(u64, u64)>, String> {
    let series = workload.series();
    let records = logged.chunks_exact(series.len().max(1));
    if !records.remainder().is_empty() {
        return Err("half a record of metrics is visible".to_owned());
    }
    let mut found = Vec::new();
    for rows in records {
        let (sequence, number) = (rows[0].sequence, rows[0].number);
        let record = workload.record(number);
        let Content::Metrics { values } = record.content else {
            return Err(format!("record {number} is not a metric"));
        };
        let expected = values.as_chunks().0.iter().zip(&series);
        for (row, (value, series)) in rows.iter().zip(expected) {
            let key = (row.sequence, row.number, row.epoch, row.name.as_str());
            if key != (sequence, number, record.epoch, series.name.as_str()) {
                return Err(format!("record {number} has another key"));
            }
            if row.value.to_le_bytes() != *value {
                return Err(format!("record {number} has other values"));
            }
        }
        found.push((sequence, number));
    }
    Ok(found)
}

/// What is visible of the metrics, read with the Arrow library.
fn logged_in_files(reader: &StoreReader) -> Result<Vec<Logged>, String> {
    let mut logged = Vec::new();
    for (path, first, rows) in reader.metric_files().map_err(|error| error.to_string())? {
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let file = File::open(&path).map_err(|error| wrong(&error))?;
        for batch in FileReader::try_new(file, None).map_err(|error| wrong(&error))? {
            let batch = batch.map_err(|error| wrong(&error))?;
            let batch = batch.slice(first as usize, rows as usize);
            let sequences = batch.column_by_name("sequence").unwrap();
            let sequences = sequences.as_primitive::<UInt64Type>();
            let names = batch.column_by_name("name").unwrap().as_string_view();
            add_logged(&mut logged, &batch, |row| {
                (sequences.value(row), names.value(row).to_owned())
            });
        }
    }
    Ok(logged)
}

/// The same through an export: after a loss of power only the store knows which parts of a file count.
fn logged_in_export(folder: &Path) -> Result<Vec<Logged>, String> {
    let table = env::temp_dir().join(format!("torture-{}.parquet", process::id()));
    export_metrics(folder, &table, "run").map_err(|error| error.to_string())?;
    let file = File::open(&table).map_err(|error| error.to_string())?;
    fs::remove_file(&table).map_err(|error| error.to_string())?;
    let batches = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|file| file.build());
    let mut logged = Vec::new();
    for batch in batches.map_err(|error| error.to_string())? {
        let batch = batch.map_err(|error| error.to_string())?;
        let steps = batch.column_by_name("step").unwrap();
        let steps = steps.as_primitive::<Int64Type>();
        let names = batch.column_by_name("name").unwrap().as_string::<i32>();
        // Power is lost in the first session only, where a record's number is its sequence.
        add_logged(&mut logged, &batch, |row| {
            (steps.value(row) as u64, names.value(row).to_owned())
        });
    }
    Ok(logged)
}

fn add_logged(
    logged: &mut Vec<Logged>,
    batch: &RecordBatch,
    sequence_and_name: impl Fn(usize) -> (u64, String),
) {
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let steps = column("step").as_primitive::<Int64Type>();
    let epochs = column("epoch").as_primitive::<Int32Type>();
    let values = column("value").as_primitive::<Float64Type>();
    logged.extend((0..batch.num_rows()).map(|row| {
        let (sequence, name) = sequence_and_name(row);
        Logged {
            sequence,
            number: steps.value(row) as u64,
            epoch: epochs.value(row),
            name,
            value: values.value(row),
        }
    }));
}
