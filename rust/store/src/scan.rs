//! A store file by file: what is damaged in it, and every record that is not.
//!
//! A reader gives up at the first file that is not as it should be. This goes on, for those who want to know all
//! that is wrong, or to save what can be saved.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::chunk::chunk_bytes;
use crate::chunk_map::ChunkMap;
use crate::columns::{Columns, Extent};
use crate::description::StoreDescription;
use crate::error::{IoContext, Result, StoreError};
use crate::export_metrics::check_row;
use crate::folder::{METRICS_FOLDER, STORE_FILE, WATERMARK_FILE, chunk_path};
use crate::implied::{Place, implied_chunk};
use crate::metric_files::{TEXT_SHARE, metric_columns};
use crate::power_loss::lost_power;
use crate::scan_channel::ScannedChannel;
use crate::watermark::{SEQUENCE_OFFSET, Watermark, read_any_slot, read_watermark};

/// What was found in a store.
pub(crate) struct Scan {
    pub(crate) description: Option<StoreDescription>,
    pub(crate) watermark: Watermark,
    pub(crate) channels: Vec<ScannedChannel>,
    pub(crate) metrics: ScannedMetrics,
    pub(crate) files: u64,
    /// In the order in which they were met.
    pub(crate) problems: Vec<StoreError>,
    /// Records that should be there and are not, in ranges.
    pub(crate) missing: Vec<(u64, u64)>,
}

/// The chunks of the metrics, and the rows of them that count and are whole.
#[derive(Default)]
pub(crate) struct ScannedMetrics {
    pub(crate) maps: Vec<Arc<ChunkMap>>,
    pub(crate) rows: Vec<MetricRow>,
    pub(crate) lost: Vec<StoreError>,
}

#[derive(Clone, Copy)]
pub(crate) struct MetricRow {
    pub(crate) sequence: u64,
    pub(crate) map: usize,
    pub(crate) row: u64,
}

/// What scanning needs to know of the whole store.
pub(crate) struct Visible<'a> {
    pub(crate) watermark: &'a Watermark,
}

impl Visible<'_> {
    pub(crate) fn shows(&self, sequence: u64) -> bool {
        sequence <= self.watermark.sequence && !self.watermark.hidden.contains(sequence)
    }

    /// Whether a number between two others is hidden.
    pub(crate) fn hides_between(&self, before: u64, after: u64) -> bool {
        let mut ranges = self.watermark.hidden.ranges().iter();
        ranges.any(|range| range.through > before && range.after + 1 < after)
    }
}

impl Scan {
    /// Look at every file. The error is a folder that cannot be listed, or a file of a later version.
    pub(crate) fn of(folder: &Path) -> Result<Self> {
        let mut problems = Vec::new();
        // Read first: everything up to it is then found in the files.
        let mark = folder.join(WATERMARK_FILE);
        let watermark = noted(read_watermark(&mark), &mut problems)?;
        let description = StoreDescription::read(&folder.join(STORE_FILE));
        let description = noted(description, &mut problems)?;
        let is_known = watermark.is_some();
        let mut scan = Self {
            watermark: watermark.unwrap_or_else(|| Watermark {
                // What a writer said last is lost: every record that proves itself counts.
                sequence: u64::MAX,
                ..read_any_slot(&mark).unwrap_or_default()
            }),
            description,
            channels: Vec::new(),
            metrics: ScannedMetrics::default(),
            files: 2,
            problems,
            missing: Vec::new(),
        };
        let described = scan.problems.len();
        for path in sorted(folder)? {
            if !path.is_dir() {
                continue;
            }
            if path.ends_with(METRICS_FOLDER) {
                scan.scan_metrics(&path)?;
            } else if let Some(channel) = ScannedChannel::of(
                &path,
                &Visible {
                    watermark: &scan.watermark,
                },
                &mut scan.problems,
            )? {
                scan.files += channel.files;
                scan.channels.push(channel);
            }
        }
        scan.channels
            .sort_by_key(|channel| channel.description.order);
        if !is_known {
            scan.watermark.sequence = scan.sequences().last().copied().unwrap_or(0);
        }
        scan.missing = missing(&scan.sequences(), &scan.watermark);
        if is_known && !scan.forgive_loss_of_power(described) {
            scan.note_missing(&mark);
        }
        Ok(scan)
    }

    /// Take numbers from those that are missing.
    pub(crate) fn remove_missing(&mut self, found: &[u64]) {
        let missing = self.missing.iter().flat_map(|range| range.0..=range.1);
        let mut left: Vec<(u64, u64)> = Vec::new();
        for number in missing.filter(|number| found.binary_search(number).is_err()) {
            match left.last_mut() {
                Some(last) if last.1 + 1 == number => last.1 = number,
                _ => left.push((number, number)),
            }
        }
        self.missing = left;
    }

    /// Numbers of the visible records that are whole or known to be damaged, sorted.
    fn sequences(&self) -> Vec<u64> {
        let batches = self.channels.iter().flat_map(ScannedChannel::sequences);
        let metrics = self.metrics.rows.iter().map(|row| row.sequence);
        let mut sequences: Vec<u64> = batches.chain(metrics).collect();
        sequences.sort_unstable();
        sequences.dedup();
        sequences
    }

    fn scan_metrics(&mut self, folder: &Path) -> Result<()> {
        let columns = metric_columns();
        let growing = |number| Extent {
            rows: (chunk_bytes(number) / columns.row_bytes()) as u64,
            items: (chunk_bytes(number) / TEXT_SHARE) as u64,
        };
        let parts = scan_files(folder, chunk_path, &columns, growing, &mut self.problems)?;
        let visible = Visible {
            watermark: &self.watermark,
        };
        let mut last = 0;
        for part in parts {
            self.files += 1;
            for row in 0..part.rows {
                let found = check_row(&part.map, row).and_then(|sequence| match sequence < last {
                    true => Err(part
                        .map
                        .damaged(part.map.row_offset(0, row), "a metric is out of order")),
                    false => Ok(sequence),
                });
                match found {
                    Ok(sequence) => {
                        last = sequence;
                        if visible.shows(sequence) {
                            let map = self.metrics.maps.len();
                            self.metrics.rows.push(MetricRow { sequence, map, row });
                        }
                    }
                    Err(_) if part.implied => {}
                    Err(error) => {
                        self.metrics.lost.push(error.clone());
                        self.problems.push(error);
                    }
                }
            }
            self.metrics.maps.push(part.map);
        }
        Ok(())
    }

    /// After a loss of power nothing is promised of records that were not durable. True if only they are gone.
    fn forgive_loss_of_power(&mut self, described: usize) -> bool {
        let description = self.description.as_ref();
        let lost_power = description.is_some_and(|it| lost_power(&self.watermark, it));
        let lost = self.channels.iter().flat_map(|channel| &channel.lost);
        let first_lost = lost.map(|lost| lost.sequence);
        let first_lost = first_lost
            .chain(self.missing.first().map(|range| range.0))
            .min();
        let proven = match first_lost {
            Some(sequence) => sequence - 1,
            None => self.watermark.sequence,
        };
        if !lost_power || proven < self.watermark.durable {
            return false;
        }
        self.watermark.sequence = proven;
        self.problems.truncate(described);
        self.missing.clear();
        self.metrics.rows.retain(|row| row.sequence <= proven);
        self.metrics.lost.clear();
        self.channels.iter_mut().for_each(|it| it.cut(proven));
        true
    }

    fn note_missing(&mut self, mark: &Path) {
        for (first, last) in &self.missing {
            let records = match first == last {
                true => format!("record {first}"),
                false => format!("records {first} to {last}"),
            };
            let reason = format!("no file has {records}");
            self.problems
                .push(StoreError::damaged(mark, SEQUENCE_OFFSET, reason));
        }
    }
}

/// Visible numbers that are not among sorted ones, in ranges.
fn missing(sequences: &[u64], watermark: &Watermark) -> Vec<(u64, u64)> {
    let mut missing = Vec::new();
    for stretch in watermark.hidden.visible(watermark.sequence) {
        let start = sequences.partition_point(|&sequence| sequence <= stretch.after);
        let mut next = stretch.after + 1;
        let inside = sequences[start..].iter().copied();
        for sequence in inside.take_while(|&sequence| sequence <= stretch.through) {
            if sequence > next {
                missing.push((next, sequence - 1));
            }
            next = sequence + 1;
        }
        if next <= stretch.through {
            missing.push((next, stretch.through));
        }
    }
    missing
}

/// One chunk or index file.
pub(crate) struct ScannedFile {
    pub(crate) map: Arc<ChunkMap>,
    pub(crate) rows: u64,
    /// Its header was not as it should be: rows that prove themselves count, others may never have been.
    pub(crate) implied: bool,
}

/// The numbered files of one kind in a folder that can be read in any way.
pub(crate) fn scan_files(
    folder: &Path,
    path: fn(&Path, u32) -> PathBuf,
    columns: &Columns,
    growing: impl Fn(u32) -> Extent,
    problems: &mut Vec<StoreError>,
) -> Result<Vec<ScannedFile>> {
    let names = sorted(folder)?;
    let mut found = Vec::new();
    let mut end = 0;
    for number in 0..highest(&names, folder, path) {
        let path = path(folder, number);
        let opened = match ChunkMap::open(path.clone(), columns) {
            Ok(None) => Err(StoreError::damaged(&path, 0, "the file is missing")),
            Ok(Some(map)) => map.superblock().map(|superblock| (map, superblock.rows)),
            Err(error) => Err(error),
        };
        let file = match noted(opened, problems)? {
            Some((map, rows)) => {
                if map.first_row() != end && found.len() == number as usize {
                    let reason = "the rows do not follow those of the file before";
                    problems.push(map.damaged(0, reason));
                }
                Some((map, rows, false))
            }
            None => {
                let place = Place {
                    capacity: growing(number),
                    first_row: end,
                };
                let implied = implied_chunk(&path, columns, place);
                // That it cannot be read is noted already.
                implied.ok().and_then(|map| {
                    let rows = map.superblock().ok()?.rows;
                    Some((map, rows, true))
                })
            }
        };
        if let Some((map, rows, implied)) = file {
            end = map.first_row() + rows;
            found.push(ScannedFile {
                map: Arc::new(map),
                rows,
                implied,
            });
        }
    }
    Ok(found)
}

/// One more than the highest number that a file in the folder has.
fn highest(names: &[PathBuf], folder: &Path, path: fn(&Path, u32) -> PathBuf) -> u32 {
    let numbers = names.iter().filter_map(|name| {
        let stem = name.file_stem()?.to_str()?;
        let number: u32 = stem.rsplit('-').next()?.parse().ok()?;
        (path(folder, number) == *name).then_some(number + 1)
    });
    numbers.max().unwrap_or(0)
}

pub(crate) fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).context("list", folder)? {
        paths.push(entry.context("list", folder)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Note a problem and go on; but a file of a later version may be whole, and must not pass for damaged.
pub(crate) fn noted<T>(result: Result<T>, problems: &mut Vec<StoreError>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error @ (StoreError::Newer { .. } | StoreError::Feature { .. })) => Err(error),
        Err(error) => {
            problems.push(error);
            Ok(None)
        }
    }
}
