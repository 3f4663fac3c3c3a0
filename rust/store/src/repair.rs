//! Saving what is whole of a damaged store into a new one.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::block::{Entry, Key, Payload, Target};
use crate::channel_files::ChannelFiles;
use crate::chunk_map::ChunkMap;
use crate::description::{StoreDescription, replace_description, write_description};
use crate::error::{IoContext, Result, StoreError};
use crate::findings::Keep;
use crate::folder::{CHANNEL_FILE, STORE_FILE};
use crate::hidden::{Hidden, SequenceRange};
use crate::index_row::BatchEntry;
use crate::metric_files::Series;
use crate::metric_row::{MetricNumbers, read_metric};
use crate::policy::Policy;
use crate::rows::Rows;
use crate::scan::{MetricRow, Scan};
use crate::scan_channel::ScannedChannel;
use crate::watermark::Watermark;
use crate::writer::Writer;

/// What was saved of a store.
#[derive(Debug)]
pub struct Repaired {
    /// Batches in the copy.
    pub batches: u64,
    /// Rows of metrics in the copy.
    pub metric_rows: u64,
    /// Everything that is wrong with the original.
    pub problems: Vec<StoreError>,
    /// What the copy lacks, and why.
    pub left_out: Vec<String>,
    /// What the copy has that could not be compared with a checksum.
    pub unproven: Vec<String>,
}

/// One record that is whole.
#[derive(Clone, Copy)]
enum Source {
    Batch {
        channel: usize,
        batch: usize,
    },
    /// Consecutive rows of the metrics.
    Metrics {
        first: usize,
        end: usize,
    },
}

/// Write everything that is whole in a store into a new one; the old one is only read.
///
/// Records keep their numbers and times. `run_id` is that of a store whose description is lost. Records of the numbers
/// in `without` are left out, too.
pub fn repair_store(folder: &Path, copy: &Path, run_id: &str, without: &[u64]) -> Result<Repaired> {
    if copy.exists() {
        return Err(StoreError::Exists {
            path: copy.to_path_buf(),
        });
    }
    let mut scan = Scan::of(folder, Keep::Records)?;
    let unproven = scan.rebuild();
    let mut left_out = describe_losses(&scan);
    let mut sources = sources(&scan);
    if sources.is_empty() {
        return Err(StoreError::Missing {
            path: folder.to_path_buf(),
        });
    }
    sources.retain(|(sequence, _)| !without.contains(sequence));
    let numbers: Vec<u64> = sources.iter().map(|(sequence, _)| *sequence).collect();
    let last = scan.watermark.sequence;
    let hidden = hide_gaps(&numbers, last);
    sources.retain(|(sequence, source)| {
        let keep = !hidden.contains(*sequence);
        if !keep {
            left_out.push(describe_crowded(&scan, *sequence, *source));
        }
        keep
    });
    fs::create_dir_all(copy).context("create", copy)?;
    let description = scan
        .description
        .take()
        .unwrap_or_else(|| StoreDescription::begin(run_id, scan.watermark.session.max(1)));
    let session = description.sessions.last();
    let watermark = Watermark {
        sequence: 0,
        // One of the two may be lost.
        session: session.map_or(scan.watermark.session, |session| session.session),
        hidden,
        ..scan.watermark.clone()
    };
    let mut writer = Writer::create(copy, watermark, Policy::default())?;
    for (order, channel) in scan.channels.iter().enumerate() {
        let folder = copy.join(&channel.name);
        let files = create_channel(&folder, channel, order)?;
        writer.add_channel(&folder, files);
    }
    let mut repaired = Repaired {
        batches: 0,
        metric_rows: 0,
        problems: std::mem::take(&mut scan.problems),
        left_out,
        unproven,
    };
    let mut groups = HashMap::new();
    for (_, source) in sources {
        match source {
            Source::Batch { channel, batch } => {
                let scanned = &scan.channels[channel];
                copy_batch(
                    &mut writer,
                    channel as u32,
                    scanned,
                    &scanned.batches[batch],
                )?;
                repaired.batches += 1;
            }
            Source::Metrics { first, end } => {
                copy_metrics(&mut writer, &scan, first..end, &mut groups)?;
                repaired.metric_rows += (end - first) as u64;
            }
        }
    }
    writer.pass_to(last)?;
    writer.finish()?;
    replace_description(&copy.join(STORE_FILE), &description)?;
    Ok(repaired)
}

/// Every record in order.
fn sources(scan: &Scan) -> Vec<(u64, Source)> {
    let mut sources = Vec::new();
    for (channel, scanned) in scan.channels.iter().enumerate() {
        let batches = scanned.batches.iter().enumerate();
        sources.extend(
            batches.map(|(batch, found)| (found.sequence, Source::Batch { channel, batch })),
        );
    }
    let mut first = 0;
    for rows in scan
        .metrics
        .rows
        .chunk_by(|left, right| left.sequence == right.sequence)
    {
        let end = first + rows.len();
        sources.push((rows[0].sequence, Source::Metrics { first, end }));
        first = end;
    }
    sources.sort_by_key(|(sequence, _)| *sequence);
    // Two records cannot have one number; the first one is as good as the other.
    sources.dedup_by_key(|(sequence, _)| *sequence);
    sources
}

/// Hide all numbers without a record. Where that takes more ranges than a store has, the fewest records are hidden
/// with them.
fn hide_gaps(numbers: &[u64], last: u64) -> Hidden {
    let mut ranges: Vec<SequenceRange> = Vec::new();
    let mut after = 0;
    for &sequence in numbers.iter().chain([&(last + 1)]) {
        if sequence > after + 1 {
            ranges.push(SequenceRange {
                after,
                through: sequence - 1,
            });
        }
        after = sequence;
    }
    while ranges.len() > Hidden::MOST {
        let between = |pair: &[SequenceRange]| pair[1].after - pair[0].through;
        let narrowest = (1..ranges.len())
            .min_by_key(|&right| between(&ranges[right - 1..=right]))
            .unwrap_or(1);
        ranges[narrowest - 1].through = ranges[narrowest].through;
        ranges.remove(narrowest);
    }
    Hidden::from_sorted(ranges).unwrap_or_default()
}

fn create_channel(folder: &Path, channel: &ScannedChannel, order: usize) -> Result<ChannelFiles> {
    fs::create_dir_all(folder).context("create", folder)?;
    let mut description = channel.description.clone();
    description.order = order as u32;
    write_description(&folder.join(CHANNEL_FILE), &description)?;
    let kind = (*channel.kind).clone();
    Ok(ChannelFiles::new(
        folder.to_path_buf(),
        &description.field,
        kind,
    ))
}

fn copy_batch(
    writer: &mut Writer,
    target: u32,
    channel: &ScannedChannel,
    batch: &BatchEntry,
) -> Result<()> {
    let rows = channel.rows(batch)?;
    let key = Key::of_batch(batch.epoch, batch.batch);
    let entry = Entry {
        time: batch.time,
        ..Entry::new(Target::Channel(target), key, batch.rows, batch.sequence)
    };
    let payload = Payload {
        header: &header(&rows),
        values: &[rows.bytes()],
    };
    writer.write_one(entry, payload)
}

/// What stands in front of the values of a record: the shape or the length of each row.
fn header(rows: &Rows) -> Vec<u8> {
    let shapes: Vec<u8> = rows.shapes().flat_map(i32::to_le_bytes).collect();
    if !shapes.is_empty() {
        return shapes;
    }
    let lengths = rows.lengths();
    lengths
        .flat_map(|length| (length as u32).to_le_bytes())
        .collect()
}

fn copy_metrics(
    writer: &mut Writer,
    scan: &Scan,
    rows: std::ops::Range<usize>,
    groups: &mut HashMap<Vec<Series>, u32>,
) -> Result<()> {
    let mut series = Vec::with_capacity(rows.len());
    let mut values = Vec::with_capacity(rows.len() * size_of::<f64>());
    let mut numbers: Option<MetricNumbers> = None;
    for row in &scan.metrics.rows[rows] {
        let (labels, found) = read_metric(map_of(scan, row), row.row)?;
        series.push(labels);
        values.extend_from_slice(&found.value.to_le_bytes());
        numbers.get_or_insert(found);
    }
    let Some(numbers) = numbers else {
        return Ok(());
    };
    let group = match groups.get(&series) {
        Some(&group) => group,
        None => {
            let group = writer.add_metrics(series.clone());
            groups.insert(series.clone(), group);
            group
        }
    };
    let key = Key {
        epoch: numbers.epoch,
        batch: numbers.batch,
        step: numbers.step,
        time: Some(numbers.time),
    };
    let rows = series.len() as u32;
    let entry = Entry::new(Target::Metrics(group), key, rows, numbers.sequence);
    writer.write_one(entry, Payload::of(&[&values]))
}

fn map_of<'a>(scan: &'a Scan, row: &MetricRow) -> &'a ChunkMap {
    &scan.metrics.maps[row.map]
}

fn describe_losses(scan: &Scan) -> Vec<String> {
    let mut lines = Vec::new();
    for channel in &scan.channels {
        for lost in &channel.lost {
            lines.push(format!(
                "batch {} of epoch {} of `{}`: {}",
                lost.batch, lost.epoch, channel.name, lost.reason
            ));
        }
    }
    for (first, last) in &scan.missing {
        lines.push(match first == last {
            true => format!("record {first}: no file has it"),
            false => format!("records {first} to {last}: no file has them"),
        });
    }
    lines.extend(scan.metrics.lost.iter().map(ToString::to_string));
    lines
}

fn describe_crowded(scan: &Scan, sequence: u64, source: Source) -> String {
    let what = match source {
        Source::Batch { channel, batch } => {
            let channel = &scan.channels[channel];
            let batch = &channel.batches[batch];
            format!(
                "batch {} of epoch {} of `{}`",
                batch.batch, batch.epoch, channel.name
            )
        }
        Source::Metrics { .. } => format!("metrics of record {sequence}"),
    };
    format!("{what}: it lies between too many gaps for one store")
}
