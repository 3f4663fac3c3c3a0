//! Consecutive rows of a channel in a mapped file.

use std::ops::Range;
use std::sync::Arc;

use crate::chunk_map::ChunkMap;
use crate::columns::Columns;
use crate::error::{Result, StoreError};
use crate::index_row::BatchEntry;
use crate::kind::Kind;
use crate::private_rows::PrivateRows;

/// Consecutive rows in a mapped file.
#[derive(Clone, Debug)]
pub struct Rows {
    map: Arc<ChunkMap>,
    kind: Arc<Kind>,
    first: u64,
    count: u64,
    /// Where their numbers or texts stand, if rows differ in length.
    items: Range<u64>,
}

/// One row of a ragged channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array<'a> {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its numbers in C order.
    pub bytes: &'a [u8],
}

impl Rows {
    /// Rows that lie inside the committed ones.
    pub(crate) fn new(map: &Arc<ChunkMap>, kind: &Arc<Kind>, range: Range<u64>) -> Result<Self> {
        let mut rows = Self {
            map: Arc::clone(map),
            kind: Arc::clone(kind),
            first: range.start,
            count: range.end - range.start,
            items: 0..0,
        };
        if let Some(offsets) = kind.regions().offsets {
            rows.items = map.offset(offsets, range.start)..map.offset(offsets, range.end);
            if map.items(kind.regions().values, &rows.items).is_none() {
                return Err(rows.damaged_row(0, "a row lies outside of its region"));
            }
        }
        Ok(rows)
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// Their values, aliasing the map for as long as this lives.
    pub fn bytes(&self) -> &[u8] {
        let regions = self.kind.regions();
        match regions.offsets {
            None => self.map.rows(regions.values, self.range()),
            Some(_) => self.map.items(regions.values, &self.items).unwrap_or(&[]),
        }
    }

    /// The same rows of equal shape on a map of their own, whose pages may be written to.
    pub(crate) fn private(&self, columns: &Columns) -> Result<PrivateRows> {
        let place = (self.kind.regions().values, self.range());
        PrivateRows::map(self.map.path(), columns, place, self.bytes())
    }

    /// One row of a ragged channel.
    pub fn array(&self, row: usize) -> Result<Array<'_>> {
        let bytes = self.row_bytes(row);
        self.map.intact()?;
        let bytes = bytes?;
        // A product that is right has no negative factor.
        let shape = self.lengths_of(row).as_chunks().0.iter();
        Ok(Array {
            shape: shape
                .map(|length| i32::from_le_bytes(*length) as usize)
                .collect(),
            bytes,
        })
    }

    /// The numbers of one row of a ragged channel, as many as its shape says.
    fn row_bytes(&self, row: usize) -> Result<&[u8]> {
        let items = self.row_items(row);
        let count = self.kind.row_items(self.lengths_of(row));
        let bytes = self.map.items(self.kind.regions().values, &items);
        bytes
            .filter(|_| count == items.end.checked_sub(items.start))
            .ok_or_else(|| self.damaged_row(row, "a row is not as long as its shape says"))
    }

    fn lengths_of(&self, row: usize) -> &[u8] {
        let number = self.first + row as u64;
        match self.kind.regions().shapes {
            Some(shapes) => self.map.rows(shapes, number..number + 1),
            None => &[],
        }
    }

    /// One row of a text channel.
    pub fn text(&self, row: usize) -> Result<&str> {
        let bytes = self
            .map
            .items(self.kind.regions().values, &self.row_items(row));
        self.map.intact()?;
        let bytes = bytes.ok_or_else(|| self.damaged_row(row, "a text lies outside its region"))?;
        std::str::from_utf8(bytes).map_err(|_| self.damaged_row(row, "a text is not UTF-8"))
    }

    /// Items of each row, where rows differ in length.
    pub(crate) fn lengths(&self) -> impl Iterator<Item = u64> {
        let rows = 0..self.kind.regions().offsets.map_or(0, |_| self.count());
        rows.map(|row| {
            let items = self.row_items(row);
            items.end.saturating_sub(items.start)
        })
    }

    /// Lengths of all dimensions of all rows, of a ragged channel.
    pub(crate) fn shapes(&self) -> impl Iterator<Item = i32> {
        let bytes = match self.kind.regions().shapes {
            Some(shapes) => self.map.rows(shapes, self.range()),
            None => &[],
        };
        bytes.as_chunks().0.iter().copied().map(i32::from_le_bytes)
    }

    /// Epoch and batch of every row.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (i32, i32)> {
        let [epochs, batches] = self.kind.regions().keys.map(|region| {
            let bytes = self.map.rows(region, self.range());
            bytes.as_chunks().0.iter().copied().map(i32::from_le_bytes)
        });
        epochs.zip(batches)
    }

    /// Compare the rows with the checksum of the index, and where each starts and ends with what is said of it.
    pub(crate) fn check(&self, entry: BatchEntry) -> Result<()> {
        if self.checksum() != entry.crc {
            return Err(self.damaged("a batch does not match its checksum"));
        }
        self.check_rows()
    }

    /// Compare the keys beside the rows with those of the index.
    pub(crate) fn check_keys(&self, entry: BatchEntry) -> Result<()> {
        if self.keys().all(|key| key == (entry.epoch, entry.batch)) {
            return Ok(());
        }
        Err(self.damaged("the keys of a batch are not those of the index"))
    }

    /// CRC-32 of the rows as they were recorded: what is said of each of them, then the values.
    fn checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        let regions = self.kind.regions();
        if let Some(shapes) = regions.shapes {
            hasher.update(self.map.rows(shapes, self.range()));
        } else {
            for length in self.lengths() {
                hasher.update(&(length as u32).to_le_bytes());
            }
        }
        hasher.update(self.bytes());
        hasher.finalize()
    }

    pub(crate) fn check_rows(&self) -> Result<()> {
        if self.first == 0 && self.items.start != 0 {
            return Err(self.damaged_row(0, "the first row does not start at 0"));
        }
        (0..self.count()).try_for_each(|row| match &*self.kind {
            Kind::Tensor { .. } => Ok(()),
            Kind::Ragged { .. } => self.row_bytes(row).map(drop),
            Kind::Text { .. } => self.text(row).map(drop),
        })
    }

    pub(crate) fn damaged(&self, reason: &str) -> StoreError {
        let regions = self.kind.regions();
        let offset = match regions.offsets {
            None => self.map.row_offset(regions.values, self.first),
            Some(_) => self.map.item_offset(regions.values, self.items.start),
        };
        self.map.damaged(offset, reason)
    }

    fn damaged_row(&self, row: usize, reason: &str) -> StoreError {
        let region = self.kind.regions().offsets.unwrap_or(0);
        let offset = self.map.row_offset(region, self.first + row as u64);
        self.map.damaged(offset, reason)
    }

    fn range(&self) -> Range<u64> {
        self.first..self.first + self.count
    }

    fn row_items(&self, row: usize) -> Range<u64> {
        let number = self.first + (row as u64).min(self.count.saturating_sub(1));
        match self.kind.regions().offsets {
            Some(offsets) => self.map.offset(offsets, number)..self.map.offset(offsets, number + 1),
            None => 0..0,
        }
    }
}
