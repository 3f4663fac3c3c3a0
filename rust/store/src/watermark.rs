//! How far all channels are complete, and what of them is hidden: two slots in one small file.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::block::now;
use crate::error::{IoContext, Result, StoreError};
use crate::hidden::{Hidden, SequenceRange};
use crate::input::{open_input, read_input};
use crate::superblock::{FORMAT, MOST_SEQUENCE, u32_at, u64_at};

const MAGIC: &[u8; 8] = b"SPECMARK";
pub(crate) const SEQUENCE_OFFSET: u64 = 24;
const FIXED_BYTES: usize = 64;
const RANGE_BYTES: usize = 16;
const CHECK_BYTES: usize = 4;
const MOST_BYTES: usize = FIXED_BYTES + Hidden::MOST * RANGE_BYTES + CHECK_BYTES;
const SLOTS: usize = 2;
/// What every disk writes as a whole.
const SECTOR_BYTES: usize = 512;
const SLOT_BYTES: usize = 4096;
/// Where the first of a slot's two checksums stands; the last one ends the slot.
const CHECK: usize = 8;
const COUNT: usize = 12;
/// What the checksums cover starts here and ends where the last one stands.
const CHECKED: usize = 16;
const CLOSED: u32 = 1;
/// A read can meet a write half way; the next one does not.
const ATTEMPTS: usize = 100;

/// How far the records of all channels are on file, and which of them count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watermark {
    /// Every record up to this number is on file, or hidden.
    pub(crate) sequence: u64,
    /// Up to this number they survive a loss of power.
    pub(crate) durable: u64,
    /// Session of the writer.
    pub(crate) session: u32,
    /// Records of the whole run that were accepted and lost.
    pub(crate) dropped: u64,
    /// The writer closed the store.
    pub(crate) closed: bool,
    pub(crate) hidden: Hidden,
}

impl Watermark {
    /// Whether readers show the record of this number.
    pub(crate) fn shows(&self, sequence: u64) -> bool {
        sequence <= self.sequence && !self.hidden.contains(sequence)
    }

    /// Whether a number between two others is hidden.
    pub(crate) fn hides_between(&self, before: u64, after: u64) -> bool {
        let mut ranges = self.hidden.ranges().iter();
        ranges.any(|range| range.through > before && range.after + 1 < after)
    }

    /// Watermarks only grow: what orders two of them.
    fn age(&self) -> (u32, u64, bool, u64, u64) {
        (
            self.session,
            self.sequence,
            self.closed,
            self.durable,
            self.dropped,
        )
    }
}

/// Two slots that are written in turn: a write that is cut leaves the one before it whole.
pub(crate) struct WatermarkFile {
    path: PathBuf,
    file: File,
    next_slot: Cell<usize>,
}

impl WatermarkFile {
    pub(crate) fn create(path: PathBuf, watermark: &Watermark) -> Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .context("create", &path)?;
        let created = Self {
            path,
            file,
            next_slot: Cell::new(0),
        };
        created.fill(watermark)?;
        Ok(created)
    }

    /// The file of a store that another session wrote.
    pub(crate) fn reopen(path: PathBuf) -> Result<Self> {
        let newest = read(&path)?.1;
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .context("open", &path)?;
        Ok(Self {
            path,
            file,
            next_slot: Cell::new((newest + 1) % SLOTS),
        })
    }

    /// Replace the older slot. After a failure the same slot is written again: only it may be cut.
    pub(crate) fn write(&self, watermark: &Watermark) -> Result<()> {
        let slot = self.next_slot.get();
        let bytes = to_bytes(watermark, now());
        self.file
            .write_all_at(&bytes, (slot * SLOT_BYTES) as u64)
            .context("write", &self.path)?;
        self.next_slot.set((slot + 1) % SLOTS);
        Ok(())
    }

    /// Write both slots: in a file that nobody writes any more neither may be wrong.
    pub(crate) fn fill(&self, watermark: &Watermark) -> Result<()> {
        (0..SLOTS).try_for_each(|_| self.write(watermark))
    }

    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_data().context("sync", &self.path)
    }
}

fn to_bytes(watermark: &Watermark, time: i64) -> Vec<u8> {
    let ranges = watermark.hidden.ranges();
    let flags = if watermark.closed { CLOSED } else { 0 };
    let mut bytes = Vec::with_capacity(MOST_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[0; CHECK_BYTES]);
    // Four times the same byte: no flipped bit makes another number of it.
    bytes.extend_from_slice(&[ranges.len() as u8; 4]);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&flags.to_le_bytes());
    bytes.extend_from_slice(&watermark.sequence.to_le_bytes());
    bytes.extend_from_slice(&watermark.durable.to_le_bytes());
    bytes.extend_from_slice(&time.to_le_bytes());
    bytes.extend_from_slice(&watermark.session.to_le_bytes());
    bytes.extend_from_slice(&0u32.to_le_bytes());
    bytes.extend_from_slice(&watermark.dropped.to_le_bytes());
    debug_assert_eq!(bytes.len(), FIXED_BYTES);
    for range in ranges {
        bytes.extend_from_slice(&range.after.to_le_bytes());
        bytes.extend_from_slice(&range.through.to_le_bytes());
    }
    let check = crc32fast::hash(&bytes[COUNT..]).to_le_bytes();
    bytes[CHECK..CHECK + CHECK_BYTES].copy_from_slice(&check);
    bytes.extend_from_slice(&check);
    bytes
}

pub(crate) fn read_watermark(path: &Path) -> Result<Watermark> {
    read(path).map(|(watermark, _)| watermark)
}

/// The newest watermark and its slot.
fn read(path: &Path) -> Result<(Watermark, usize)> {
    let (file, _) = open_input(path)?;
    let mut attempt = 0;
    loop {
        let mut bytes = [0; SLOTS * SLOT_BYTES];
        let read = file.read_at(&mut bytes, 0).context("read", path)?;
        attempt += 1;
        match newest(&bytes[..read], path) {
            Err(StoreError::Damaged { .. }) if attempt < ATTEMPTS => std::thread::yield_now(),
            result => return result,
        }
    }
}

fn newest(bytes: &[u8], path: &Path) -> Result<(Watermark, usize)> {
    let mut newest: Option<(Watermark, usize)> = None;
    for slot in 0..SLOTS {
        let start = slot * SLOT_BYTES;
        let bytes = bytes.get(start..).unwrap_or_default();
        let Some(watermark) = parse(&bytes[..bytes.len().min(SLOT_BYTES)], path, start)? else {
            continue;
        };
        if newest
            .as_ref()
            .is_none_or(|(older, _)| older.age() < watermark.age())
        {
            newest = Some((watermark, slot));
        }
    }
    newest.ok_or_else(|| StoreError::damaged(path, 0, "both slots of the watermark are cut"))
}

/// Compare all that a store says that was closed: then no slot is half written, but for one of several sectors where
/// power was lost in that moment.
pub(crate) fn check_closed(path: &Path) -> Result<()> {
    let mut attempt = 0;
    loop {
        let bytes = read_input(path, (SLOTS * SLOT_BYTES) as u64)?;
        let slots = bytes.chunks(SLOT_BYTES).enumerate();
        let damaged = slots
            .filter(|(_, slot)| !has_both_checksums(slot))
            .map(|(slot, _)| {
                let reason = "a slot of the closed store does not match both of its checksums";
                StoreError::damaged(path, (slot * SLOT_BYTES) as u64, reason)
            })
            .next();
        attempt += 1;
        match damaged {
            // Another session may be writing.
            Some(_) if attempt < ATTEMPTS => std::thread::yield_now(),
            Some(damaged) => return Err(damaged),
            None => return Ok(()),
        }
    }
}

fn has_both_checksums(slot: &[u8]) -> bool {
    let count = slot.get(COUNT).copied().unwrap_or_default();
    let end = FIXED_BYTES + usize::from(count) * RANGE_BYTES;
    end + CHECK_BYTES > SECTOR_BYTES
        || slot.len() >= end + CHECK_BYTES
            && [CHECK, end].map(|place| u32_at(slot, place))
                == [crc32fast::hash(&slot[COUNT..end]); 2]
}

/// What a slot says whose neighbour may be damaged.
pub(crate) fn read_any_slot(path: &Path) -> Option<Watermark> {
    let (file, _) = open_input(path).ok()?;
    let mut bytes = [0; SLOTS * SLOT_BYTES];
    let read = file.read_at(&mut bytes, 0).ok()?;
    let slots = bytes[..read].chunks(SLOT_BYTES).enumerate();
    slots
        .filter_map(|(slot, bytes)| parse(bytes, path, slot * SLOT_BYTES).ok()?)
        .max_by_key(Watermark::age)
}

/// The watermark in one slot; None if its last write was cut: then the two checksums differ.
fn parse(bytes: &[u8], path: &Path, start: usize) -> Result<Option<Watermark>> {
    let damaged =
        |offset: usize, reason: &str| StoreError::damaged(path, (start + offset) as u64, reason);
    if bytes.len() < FIXED_BYTES + CHECK_BYTES {
        return Err(damaged(bytes.len(), "the watermark is cut short"));
    }
    if &bytes[..8] != MAGIC {
        return Err(damaged(0, "the watermark has no magic"));
    }
    let count = usize::from(bytes[COUNT]);
    if bytes[COUNT..CHECKED]
        .iter()
        .any(|&byte| byte != bytes[COUNT])
        || count > Hidden::MOST
    {
        return Err(damaged(COUNT, "the number of hidden ranges is damaged"));
    }
    let end = FIXED_BYTES + count * RANGE_BYTES;
    if bytes.len() < end + CHECK_BYTES {
        return Err(damaged(bytes.len(), "the watermark is cut short"));
    }
    let (first, last) = (u32_at(bytes, CHECK), u32_at(bytes, end));
    let found = crc32fast::hash(&bytes[COUNT..end]);
    if found != first && found != last {
        if first != last {
            return Ok(None);
        }
        return Err(damaged(0, "the watermark does not match its checksum"));
    }
    let format = u32_at(bytes, 16);
    if format > FORMAT {
        return Err(StoreError::Newer {
            path: path.to_path_buf(),
            found: format,
            known: FORMAT,
        });
    }
    let hidden = parse_ranges(&bytes[FIXED_BYTES..end])
        .ok_or_else(|| damaged(FIXED_BYTES, "the hidden ranges are out of order"))?;
    let (sequence, durable) = (u64_at(bytes, 24), u64_at(bytes, 32));
    let hidden_through = hidden.ranges().last().map_or(0, |range| range.through);
    if sequence > MOST_SEQUENCE {
        let reason = "the watermark counts more than there can be";
        return Err(damaged(SEQUENCE_OFFSET as usize, reason));
    }
    if durable > sequence || hidden_through > sequence {
        let reason = "more is durable or hidden than there is";
        return Err(damaged(SEQUENCE_OFFSET as usize, reason));
    }
    Ok(Some(Watermark {
        sequence,
        durable,
        session: u32_at(bytes, 48),
        dropped: u64_at(bytes, 56),
        closed: u32_at(bytes, 20) & CLOSED != 0,
        hidden,
    }))
}

fn parse_ranges(bytes: &[u8]) -> Option<Hidden> {
    let ranges = bytes.chunks_exact(RANGE_BYTES);
    let ranges = ranges.map(|range| SequenceRange {
        after: u64_at(range, 0),
        through: u64_at(range, 8),
    });
    Hidden::from_sorted(ranges.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn watermark(sequence: u64) -> Watermark {
        let mut watermark = Watermark {
            sequence: 10_000 + sequence,
            durable: 7,
            session: 3,
            dropped: 11,
            ..Watermark::default()
        };
        for count in 0..sequence % (Hidden::MOST as u64 + 1) {
            watermark.hidden.hide(10 * count, 10 * count + 3);
        }
        watermark
    }

    /// A file that holds an older watermark in the first slot and a newer one in the second.
    fn file(older: &Watermark, newer: &[u8]) -> Vec<u8> {
        let mut bytes = to_bytes(older, 5);
        bytes.resize(SLOT_BYTES, 0);
        bytes.extend_from_slice(newer);
        bytes.resize(SLOTS * SLOT_BYTES, 0);
        bytes
    }

    fn newest_of(bytes: &[u8]) -> Result<Watermark> {
        newest(bytes, Path::new("watermark")).map(|(watermark, _)| watermark)
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for sequence in 1..=Hidden::MOST as u64 {
            let mut newer = watermark(sequence);
            newer.closed = sequence % 2 == 0;
            let bytes = to_bytes(&newer, -5);
            assert!(bytes.len() <= SLOT_BYTES);
            let found = newest_of(&file(&watermark(sequence - 1), &bytes)).unwrap();
            assert_eq!(found, newer);
        }
    }

    #[test]
    fn a_cut_write_leaves_the_older_watermark() {
        let (older, before) = (watermark(31), watermark(30));
        for newer in [watermark(32), watermark(40)] {
            let (old, new) = (to_bytes(&before, 5), to_bytes(&newer, 6));
            // A file system tears at sectors, a test at any byte; the number of ranges is of one piece.
            for cut in (0..=COUNT).chain(CHECKED..=new.len()) {
                let mut torn = new[..cut].to_vec();
                torn.extend_from_slice(old.get(cut..).unwrap_or_default());
                let found = newest_of(&file(&older, &torn)).unwrap();
                assert!(found == older || found == newer, "cut at {cut}");
            }
        }
    }

    #[test]
    fn no_flipped_bit_brings_back_an_older_watermark() {
        let bytes = to_bytes(&watermark(32), 5);
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(found) = newest_of(&file(&watermark(31), &flipped)) {
                assert_eq!(found, watermark(32), "bit {bit}");
            }
        }
    }
}
