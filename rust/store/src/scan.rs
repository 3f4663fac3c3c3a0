//! A store file by file: what is damaged in it, and every record that is not.
//!
//! A reader gives up at the first file that is not as it should be. This goes on, for those who want to know all
//! that is wrong, or to save what can be saved.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::chunk::{LAST_CHUNK_BYTES, chunk_bytes};
use crate::chunk_map::ChunkMap;
use crate::columns::{Columns, Extent};
use crate::description::StoreDescription;
use crate::disk::listed;
use crate::error::{Result, StoreError};
use crate::findings::{Findings, Keep};
use crate::fixed_parts::check_fixed_parts;
use crate::folder::{METRICS_FOLDER, STORE_FILE, WATERMARK_FILE, chunk_path, file_number};
use crate::implied::{Place, implied_chunk};
use crate::metric_files::TEXT_SHARE;
use crate::metric_row::{check_row, check_views, metric_columns};
use crate::number_set::NumberSet;
use crate::power_loss::lost_power;
use crate::scan_channel::ScannedChannel;
use crate::store_reader::StoreReader;
use crate::watermark::{SEQUENCE_OFFSET, Watermark, check_closed, read_any_slot, read_watermark};

/// In one file whose rows are all of one size: the writer fills at most 64 MiB, or has as many as there are metrics
/// in a group.
const MOST_ROWS: u64 = 1 << 21;
/// Files that are told to be missing before one that is there.
const MOST_MISSING: usize = 1000;

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
    pub(crate) whole: u64,
    /// Those that are whole, if they are kept.
    pub(crate) rows: Vec<MetricRow>,
    pub(crate) lost: Vec<StoreError>,
}

#[derive(Clone, Copy)]
pub(crate) struct MetricRow {
    pub(crate) sequence: u64,
    pub(crate) map: usize,
    pub(crate) row: u64,
}

impl Scan {
    /// Look at every file. The error is a folder that cannot be listed, or a file of a later version.
    pub(crate) fn of(folder: &Path, keep: Keep) -> Result<Self> {
        let mut findings = Findings::new(keep);
        // Read first: everything up to it is then found in the files.
        let mark = folder.join(WATERMARK_FILE);
        let watermark = findings.found(read_watermark(&mark))?;
        if watermark.as_ref().is_some_and(|it| it.closed) {
            findings.found(check_closed(&mark))?;
        }
        let description = StoreDescription::read(&folder.join(STORE_FILE));
        let description = findings.found(description)?;
        let is_known = watermark.is_some();
        let mut watermark = watermark.unwrap_or_else(|| Watermark {
            // What a writer said last is lost: every record that proves itself counts.
            sequence: u64::MAX,
            ..read_any_slot(&mark).unwrap_or_default()
        });
        let described = description.as_ref().filter(|_| is_known);
        if described.is_some_and(|it| lost_power(&watermark, it)) {
            // Nothing is promised of records that were not durable. If others are gone, all that is wrong counts.
            if let Ok(reader) = StoreReader::open(folder) {
                findings.lost_power = true;
                watermark.sequence = reader.watermark();
            }
        }
        let mut scan = Self {
            watermark,
            description,
            channels: Vec::new(),
            metrics: ScannedMetrics::default(),
            files: 2,
            problems: Vec::new(),
            missing: Vec::new(),
        };
        scan.look(folder, &mut findings)?;
        if !is_known {
            scan.watermark.sequence = findings.numbers.last().unwrap_or(0);
        }
        scan.missing = missing(&findings.numbers, &scan.watermark);
        scan.problems = findings.problems;
        if is_known {
            scan.note_missing(&mark);
        }
        Ok(scan)
    }

    fn look(&mut self, folder: &Path, findings: &mut Findings) -> Result<()> {
        for path in listed(folder)? {
            if !path.is_dir() {
                continue;
            }
            if path.ends_with(METRICS_FOLDER) {
                self.metrics.scan(&path, &self.watermark, findings)?;
                self.files += self.metrics.maps.len() as u64;
            } else if let Some(channel) = ScannedChannel::of(&path, &self.watermark, findings)? {
                self.files += channel.files;
                self.channels.push(channel);
            }
        }
        self.channels
            .sort_by_key(|channel| channel.description.order);
        Ok(())
    }

    /// Take numbers, which are sorted, from those that are missing.
    pub(crate) fn remove_missing(&mut self, found: &[u64]) {
        let mut left: Vec<(u64, u64)> = Vec::new();
        for &(first, last) in &self.missing {
            let inside = found.partition_point(|number| *number < first)
                ..found.partition_point(|number| *number <= last);
            let mut start = Some(first);
            for &number in &found[inside] {
                if let Some(start) = start.filter(|start| *start < number) {
                    left.push((start, number - 1));
                }
                start = number.checked_add(1);
            }
            if let Some(start) = start.filter(|start| *start <= last) {
                left.push((start, last));
            }
        }
        self.missing = left;
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

impl ScannedMetrics {
    fn scan(
        &mut self,
        folder: &Path,
        watermark: &Watermark,
        findings: &mut Findings,
    ) -> Result<()> {
        let columns = metric_columns();
        let growing = |number| Extent {
            rows: (chunk_bytes(number) / columns.row_bytes()) as u64,
            items: (chunk_bytes(number) / TEXT_SHARE) as u64,
        };
        let parts = scan_files(folder, chunk_path, &columns, growing, watermark, findings)?;
        let (mut last, mut torn) = (0, Vec::new());
        for part in parts {
            for row in 0..part.believable_rows(&columns, findings) {
                let found = check_row(&part.map, row).and_then(|sequence| match sequence < last {
                    true => Err(part
                        .map
                        .damaged(part.map.row_offset(0, row), "a metric is out of order")),
                    false => Ok(sequence),
                });
                match found {
                    Ok(sequence) => {
                        last = sequence;
                        if watermark.shows(sequence) {
                            // A loss of power leaves nothing visible behind what it takes.
                            self.lose(&mut torn, findings);
                            self.add(&part, row, sequence, findings);
                        }
                    }
                    Err(_) if part.implied => {}
                    Err(error) => torn.push(error),
                }
            }
            self.maps.push(part.map);
        }
        if !findings.lost_power {
            self.lose(&mut torn, findings);
        }
        Ok(())
    }

    fn add(&mut self, part: &ScannedFile, row: u64, sequence: u64, findings: &mut Findings) {
        self.whole += 1;
        findings.numbers.insert(sequence);
        if !part.implied
            && let Err(error) = check_views(&part.map, row)
        {
            findings.note(error);
        }
        if findings.keep == Keep::Records {
            let map = self.maps.len();
            self.rows.push(MetricRow { sequence, map, row });
        }
    }

    fn lose(&mut self, rows: &mut Vec<StoreError>, findings: &mut Findings) {
        findings.problems.extend(rows.iter().cloned());
        self.lost.append(rows);
    }
}

/// Visible numbers that were not found, in ranges.
fn missing(found: &NumberSet, watermark: &Watermark) -> Vec<(u64, u64)> {
    let mut missing = Vec::new();
    for stretch in watermark.hidden.visible(watermark.sequence) {
        let mut next = stretch.after + 1;
        for sequence in found.range(next..=stretch.through) {
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

impl ScannedFile {
    /// Rows to look at, where all have one size: a file that lost its header may seem to have any number, and one that
    /// somebody made can say any.
    pub(crate) fn believable_rows(&self, columns: &Columns, findings: &mut Findings) -> u64 {
        if self.implied {
            let most = (LAST_CHUNK_BYTES / columns.row_bytes()) as u64;
            return self.rows.min(most);
        }
        if self.rows > MOST_ROWS {
            let reason = "it has more rows than are written into one file";
            findings.note(self.map.damaged(self.map.superblock_offset(), reason));
        }
        self.rows.min(MOST_ROWS)
    }
}

/// The numbered files of one kind in a folder that can be read in any way.
pub(crate) fn scan_files(
    folder: &Path,
    path: fn(&Path, u32) -> PathBuf,
    columns: &Columns,
    growing: impl Fn(u32) -> Extent,
    watermark: &Watermark,
    findings: &mut Findings,
) -> Result<Vec<ScannedFile>> {
    let names = listed(folder)?;
    let mut found = Vec::new();
    let mut end = 0;
    let mut next = 0;
    for number in numbers(&names, path) {
        // A name may have any number.
        for missing in (next..number).take(MOST_MISSING) {
            let missing = path(folder, missing);
            findings.note_torn(StoreError::damaged(&missing, 0, "the file is missing"));
        }
        next = number.saturating_add(1);
        let path = path(folder, number);
        let opened = match ChunkMap::open(path.clone(), columns) {
            Ok(None) => Err(StoreError::damaged(&path, 0, "the file is missing")),
            Ok(Some(map)) => map.superblock().map(|superblock| (map, superblock)),
            Err(error) => Err(error),
        };
        let file = match findings.found_torn(opened)? {
            Some((map, superblock)) => {
                let rows = superblock.rows;
                let fixed = check_fixed_parts(&map, columns);
                // Its last commit was synced, and so was what was written before it.
                match rows > 0 && superblock.last_sequence <= watermark.durable {
                    true => findings.found(fixed)?,
                    false => findings.found_torn(fixed)?,
                };
                if map.first_row() != end && found.len() == number as usize {
                    let reason = "the rows do not follow those of the file before";
                    findings.note_torn(map.damaged(0, reason));
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
            end = map.first_row().saturating_add(rows);
            found.push(ScannedFile {
                map: Arc::new(map),
                rows,
                implied,
            });
        }
    }
    Ok(found)
}

/// The numbers that files in the folder have, in order.
fn numbers(names: &[PathBuf], path: fn(&Path, u32) -> PathBuf) -> Vec<u32> {
    let numbers = names.iter().filter_map(|name| file_number(name, path));
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    numbers
}
