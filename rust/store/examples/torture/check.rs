//! Compare stores with what their records must be.

use std::fs::{self, File};
use std::io::{self, BufRead};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, UInt64Type};
use arrow_ipc::reader::FileReader;
use specplan_store::{StoreError, StoreReader};

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
        let mut said = Self::default();
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
    let found = visible(&reader, workload)?;
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
) -> Result<Vec<(u64, u64)>, String> {
    let mut found = tensors(reader, workload)?;
    found.extend(metrics(reader, workload)?);
    found.sort_unstable();
    Ok(found)
}

fn tensors(reader: &StoreReader, workload: &Workload) -> Result<Vec<(u64, u64)>, String> {
    let mut found = Vec::new();
    for tensor in reader.tensors() {
        let index = tensor.index();
        let index = index.map_err(|error| format!("{}: {error}", tensor.name()))?;
        for (position, entry) in index.into_iter().enumerate() {
            let number = u64::from(entry.batch.unsigned_abs());
            let record = workload.record(number);
            let wrong = |what: &str| format!("record {number} in {}: {what}", tensor.name());
            let Content::Tensor {
                channel,
                rows,
                data,
            } = record.content
            else {
                return Err(wrong("is a metric"));
            };
            if workload.channels[channel].key() != *tensor.key() {
                return Err(wrong("belongs elsewhere"));
            }
            if (entry.epoch, entry.batch) != (record.epoch, record.batch) {
                return Err(wrong("has another key"));
            }
            let at = tensor
                .at(position)
                .map_err(|error| wrong(&error.to_string()))?;
            if at.count() != rows || at.bytes() != data {
                return Err(wrong("has other values"));
            }
            let got = tensor.get(entry.epoch, entry.batch);
            let got = got.map_err(|error| wrong(&error.to_string()))?;
            if got.bytes() != data {
                return Err(wrong("is not found by its key"));
            }
            found.push((entry.sequence, number));
        }
    }
    Ok(found)
}

/// The same of every logged record, read with the Arrow library.
fn metrics(reader: &StoreReader, workload: &Workload) -> Result<Vec<(u64, u64)>, String> {
    let mut found = Vec::new();
    let series = workload.series();
    let mut values = Vec::new();
    for (path, first, rows) in reader.metric_files() {
        let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let wrong = |error| format!("{}: {error}", path.display());
        for batch in FileReader::try_new(file, None).map_err(wrong)? {
            let batch = batch.map_err(wrong)?;
            let batch = batch.slice(first as usize, rows as usize);
            let column = |name: &str| batch.column_by_name(name).unwrap();
            let steps = column("step").as_primitive::<Int64Type>().values();
            let sequences = column("sequence").as_primitive::<UInt64Type>().values();
            let numbers = column("value").as_primitive::<Float64Type>().values();
            let epochs = column("epoch").as_primitive::<Int32Type>().values();
            let names = column("name").as_string_view();
            for row in 0..batch.num_rows() {
                let number = steps[row] as u64;
                let place = values.len() / size_of::<f64>();
                if series.get(place).map(|series| series.name.as_str()) != Some(names.value(row)) {
                    return Err(format!("record {number} has another series at {place}"));
                }
                values.extend_from_slice(&numbers[row].to_le_bytes());
                if place + 1 < series.len() {
                    continue;
                }
                let record = workload.record(number);
                let same = matches!(record.content, Content::Metrics { values: expected } if expected == values);
                if !same || epochs[row] != record.epoch {
                    return Err(format!("record {number} has other values"));
                }
                values.clear();
                found.push((sequences[row], number));
            }
        }
    }
    if !values.is_empty() {
        return Err("half a record of metrics is visible".to_owned());
    }
    Ok(found)
}
