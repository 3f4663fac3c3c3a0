//! One channel file by file: its batches that are whole, and those that are not.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::chunk::{FIRST_CHUNK_BYTES, chunk_bytes};
use crate::chunk_map::ChunkMap;
use crate::columns::Extent;
use crate::description::{ChannelDescription, read_description};
use crate::disk::listed;
use crate::error::{Result, StoreError};
use crate::findings::{Findings, Keep};
use crate::folder::{CHANNEL_FILE, chunk_path, index_path};
use crate::implied::implied_description;
use crate::index_row::{BatchEntry, IndexRow, index_column, index_columns};
use crate::kind::Kind;
use crate::rows::Rows;
use crate::scan::{ScannedFile, scan_files};
use crate::watermark::Watermark;

/// A channel of a store that may be damaged.
pub(crate) struct ScannedChannel {
    pub(crate) description: ChannelDescription,
    pub(crate) kind: Arc<Kind>,
    pub(crate) name: String,
    pub(crate) files: u64,
    /// How many visible batches match their checksums.
    pub(crate) whole: u64,
    /// Those that do, in the order of the index, if they are kept.
    pub(crate) batches: Vec<BatchEntry>,
    /// Visible batches that do not.
    pub(crate) lost: Vec<LostBatch>,
    /// First row, rows and number of every batch that an index names, hidden ones too, if they are kept.
    pub(crate) named: Vec<(u64, u64, u64)>,
    /// An index has entries that are damaged.
    pub(crate) has_damaged_entries: bool,
    chunks: Vec<ScannedFile>,
}

pub(crate) struct LostBatch {
    pub(crate) epoch: i32,
    pub(crate) batch: i32,
    pub(crate) reason: StoreError,
}

impl ScannedChannel {
    /// Look at the files of a folder; None if it is no channel's.
    pub(crate) fn of(
        folder: &Path,
        watermark: &Watermark,
        findings: &mut Findings,
    ) -> Result<Option<Self>> {
        let Some(description) = describe(folder, findings)? else {
            return Ok(None);
        };
        let path = folder.join(CHANNEL_FILE);
        let Some(kind) = findings.found(Kind::parse(&description, &path))? else {
            return Ok(None);
        };
        let columns = kind.columns(&description.field);
        let row_bytes = columns.row_bytes().max(1);
        let growing = |number| Extent::rows((chunk_bytes(number) / row_bytes).max(1) as u64);
        let chunks = scan_files(folder, chunk_path, &columns, growing, watermark, findings)?;
        let index = scan_index(folder, watermark, findings)?;
        let mut channel = Self {
            name: description.key().folder_name(),
            kind: Arc::new(kind),
            files: 1 + (chunks.len() + index.len()) as u64,
            description,
            whole: 0,
            batches: Vec::new(),
            lost: Vec::new(),
            named: Vec::new(),
            has_damaged_entries: false,
            chunks,
        };
        channel.check_name(folder, findings);
        channel.read_index(&index, watermark, findings);
        Ok(Some(channel))
    }

    fn check_name(&self, folder: &Path, findings: &mut Findings) {
        if folder
            .file_name()
            .is_none_or(|name| name != self.name.as_str())
        {
            let reason = format!("its labels are those of `{}`", self.name);
            findings.note(StoreError::damaged(&folder.join(CHANNEL_FILE), 0, reason));
        }
    }

    fn read_index(
        &mut self,
        index: &[ScannedFile],
        watermark: &Watermark,
        findings: &mut Findings,
    ) {
        let (mut last_sequence, mut next_row) = (0, Some(0));
        let columns = index_columns();
        for part in index {
            for row in 0..part.believable_rows(&columns, findings) {
                let Ok(found) = (IndexRow {
                    map: &part.map,
                    row,
                })
                .entry() else {
                    if !part.implied {
                        let reason = "the index entry of a batch does not match its checksum";
                        findings.note_torn(entry_damaged(&part.map, row, reason));
                        self.has_damaged_entries = true;
                    }
                    // Where its rows end is not known.
                    next_row = None;
                    continue;
                };
                let ordered = found.sequence > last_sequence
                    && next_row.is_none_or(|next| match found.row_start.cmp(&next) {
                        std::cmp::Ordering::Less => false,
                        std::cmp::Ordering::Equal => true,
                        // Rows that no entry names are left where records are hidden.
                        std::cmp::Ordering::Greater => {
                            watermark.hides_between(last_sequence, found.sequence)
                        }
                    });
                if !ordered {
                    findings.note_torn(entry_damaged(&part.map, row, "a batch is out of order"));
                    continue;
                }
                last_sequence = found.sequence;
                next_row = Some(found.row_end());
                if findings.keep == Keep::Records {
                    self.named
                        .push((found.row_start, u64::from(found.rows), found.sequence));
                }
                if watermark.shows(found.sequence) {
                    self.read_batch(found, &part.map, row, findings);
                }
            }
        }
    }

    fn read_batch(
        &mut self,
        found: BatchEntry,
        index: &ChunkMap,
        row: u64,
        findings: &mut Findings,
    ) {
        let checked = match self.place(&found) {
            Some((chunk, _)) => self.rows(&found).and_then(|rows| {
                rows.check(found)?;
                // Keys can be restored: the index has them too.
                let keys = rows.check_keys(found);
                let keys = keys.err().filter(|_| !chunk.implied);
                findings.problems.extend(keys);
                Ok(())
            }),
            None => Err(entry_damaged(index, row, "no file has the rows of a batch")),
        };
        findings.numbers.insert(found.sequence);
        match checked {
            Ok(()) => {
                self.whole += 1;
                if findings.keep == Keep::Records {
                    self.batches.push(found);
                }
            }
            Err(reason) => {
                findings.note(reason.clone());
                self.lost.push(LostBatch {
                    epoch: found.epoch,
                    batch: found.batch,
                    reason,
                });
            }
        }
    }

    /// The rows of a batch.
    pub(crate) fn rows(&self, batch: &BatchEntry) -> Result<Rows> {
        match self.place(batch) {
            Some((chunk, first)) => {
                Rows::new(&chunk.map, &self.kind, first..first + u64::from(batch.rows))
            }
            None => Err(StoreError::NoBatch {
                channel: self.name.clone(),
                epoch: batch.epoch,
                batch: batch.batch,
            }),
        }
    }

    /// Runs of rows with equal keys, of those rows that are in chunks whose headers are whole.
    pub(crate) fn keyed_rows(&self, rows: Range<u64>) -> Vec<BatchEntry> {
        let mut batches: Vec<BatchEntry> = Vec::new();
        for chunk in self.chunks.iter().filter(|chunk| !chunk.implied) {
            let first = rows.start.max(chunk.map.first_row());
            let end = rows
                .end
                .min(chunk.map.first_row().saturating_add(chunk.rows));
            let Some(count) = end.checked_sub(first).filter(|&count| count > 0) else {
                continue;
            };
            let place = first - chunk.map.first_row();
            let Ok(found) = Rows::new(&chunk.map, &self.kind, place..place + count) else {
                continue;
            };
            // A batch never lies in two chunks.
            let before = batches.len();
            for (row, (epoch, batch)) in (first..).zip(found.keys()) {
                match batches[before..].last_mut() {
                    Some(last) if (last.epoch, last.batch) == (epoch, batch) => last.rows += 1,
                    _ => batches.push(BatchEntry {
                        sequence: 0,
                        row_start: row,
                        time: 0,
                        rows: 1,
                        epoch,
                        batch,
                        crc: 0,
                    }),
                }
            }
        }
        batches
    }

    /// The chunk of a batch, and its first row there.
    fn place(&self, batch: &BatchEntry) -> Option<(&ScannedFile, u64)> {
        let after = self
            .chunks
            .partition_point(|chunk| chunk.map.first_row() <= batch.row_start);
        let chunk = &self.chunks[after.checked_sub(1)?];
        let first = batch.row_start - chunk.map.first_row();
        (first + u64::from(batch.rows) <= chunk.rows).then_some((chunk, first))
    }
}

/// What the channel of a folder holds. None if it has neither a description nor chunks.
fn describe(folder: &Path, findings: &mut Findings) -> Result<Option<ChannelDescription>> {
    let path = folder.join(CHANNEL_FILE);
    let chunks: Vec<PathBuf> = listed(folder)?
        .into_iter()
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "arrow")
        })
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"chunk"))
        })
        .collect();
    if !path.exists() && chunks.is_empty() {
        return Ok(None);
    }
    let read = match path.exists() {
        true => read_description(&path),
        false => Err(StoreError::damaged(&path, 0, "the file is missing")),
    };
    if let Some(description) = findings.found_torn(read)? {
        return Ok(Some(description));
    }
    let mut implied = chunks
        .iter()
        .map(|chunk| implied_description(folder, chunk));
    Ok(implied.find_map(Result::ok))
}

fn scan_index(
    folder: &Path,
    watermark: &Watermark,
    findings: &mut Findings,
) -> Result<Vec<ScannedFile>> {
    let columns = index_columns();
    let growing = |number| {
        let bytes = FIRST_CHUNK_BYTES.max(chunk_bytes(number));
        Extent::rows((bytes / columns.row_bytes()) as u64)
    };
    scan_files(folder, index_path, &columns, growing, watermark, findings)
}

fn entry_damaged(index: &ChunkMap, row: u64, reason: &str) -> StoreError {
    index.damaged(index.row_offset(index_column::SEQUENCE, row), reason)
}
