//! Pages of a list column whose rows all have the same length, written without looking at single values.
//!
//! A general writer computes two levels for each value. Here they repeat from row to row, so that a page is a
//! few bytes for each row and then the values as they lie in memory.

use std::borrow::Cow;
use std::io::{self, Write};

use arrow_schema::{DataType, Field};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, PageType, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, PageEncodingStats};
use parquet::file::page_index::offset_index::{OffsetIndexMetaData, PageLocation};
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use crate::byte_streams;

pub(crate) const ZSTD_LEVEL: i32 = 1;
const PAGE_BYTES: usize = 512 << 10;
/// The size of a page is an i32; such rows are left to the general writer.
const MOST_ROW_BYTES: usize = 64 << 20;
/// Below this length a bit for each value takes less than two runs for each row.
const SHORTEST_RUN: usize = 24;

/// What the rows of a list column look like.
#[derive(Clone, Copy)]
pub(crate) struct PlainList {
    length: usize,
    item_bytes: usize,
    encoding: Encoding,
}

impl PlainList {
    /// The rows of a column, if `ListPages` can write it.
    pub(crate) fn of(field: &Field) -> Option<Self> {
        let DataType::FixedSizeList(item, length) = field.data_type() else {
            return None;
        };
        // Parquet stores these types as Arrow does; it widens shorter integers and packs bits.
        let (item_bytes, encoding) = match item.data_type() {
            DataType::Float16 => (2, Encoding::PLAIN),
            DataType::Int32 | DataType::UInt32 => (4, Encoding::PLAIN),
            DataType::Int64 | DataType::UInt64 => (8, Encoding::PLAIN),
            DataType::Float32 => (4, Encoding::BYTE_STREAM_SPLIT),
            DataType::Float64 => (8, Encoding::BYTE_STREAM_SPLIT),
            _ => return None,
        };
        let length = usize::try_from(*length).ok()?;
        let nulls = field.is_nullable() || item.is_nullable();
        (!nulls && length > 0 && length * item_bytes <= MOST_ROW_BYTES).then_some(Self {
            length,
            item_bytes,
            encoding,
        })
    }

    fn row_bytes(self) -> usize {
        self.length * self.item_bytes
    }

    /// Add values as they stand in a page.
    fn put_values(self, page: &mut Vec<u8>, values: &[u8]) {
        if self.encoding == Encoding::PLAIN {
            return page.extend_from_slice(values);
        }
        let start = page.len();
        page.resize(start + values.len(), 0);
        byte_streams::split(values, self.item_bytes, &mut page[start..]);
    }

    /// The values of a page that `ListPages` wrote, once it was decompressed.
    pub(crate) fn page_values(self, page: &Page) -> Option<Cow<'_, [u8]>> {
        let Page::DataPage {
            buf,
            num_values,
            encoding,
            ..
        } = page
        else {
            return None;
        };
        let mut levels = Vec::new();
        put_levels(&mut levels, self.length, *num_values as usize / self.length);
        let stored = buf.strip_prefix(levels.as_slice())?;
        if *encoding != self.encoding || stored.len() != *num_values as usize * self.item_bytes {
            return None;
        }
        if self.encoding == Encoding::PLAIN {
            return Some(stored.into());
        }
        let mut values = vec![0; stored.len()];
        byte_streams::join(stored, self.item_bytes, &mut values);
        Some(values.into())
    }
}

pub(crate) struct ListPages {
    column: ColumnDescPtr,
    list: PlainList,
    compressor: Compressor<'static>,
    page: Vec<u8>,
    pages: TrackedWrite<Vec<u8>>,
    locations: Vec<PageLocation>,
    rows: usize,
    uncompressed_bytes: usize,
}

impl ListPages {
    pub(crate) fn new(column: ColumnDescPtr, list: PlainList) -> io::Result<Self> {
        Ok(Self {
            column,
            list,
            compressor: Compressor::new(ZSTD_LEVEL)?,
            page: Vec::new(),
            pages: TrackedWrite::new(Vec::new()),
            locations: Vec::new(),
            rows: 0,
            uncompressed_bytes: 0,
        })
    }

    /// Bytes of the row group so far, before compression.
    pub(crate) fn bytes(&self) -> usize {
        self.uncompressed_bytes
    }

    /// Write the values of whole rows. No page reaches over the end of a call.
    pub(crate) fn write(&mut self, values: &[u8]) -> Result<()> {
        let row_bytes = self.list.row_bytes();
        let rows_at_once = (PAGE_BYTES / row_bytes).max(1);
        values
            .chunks(rows_at_once * row_bytes)
            .try_for_each(|values| self.write_page(values))
    }

    fn write_page(&mut self, values: &[u8]) -> Result<()> {
        let rows = values.len() / self.list.row_bytes();
        self.page.clear();
        put_levels(&mut self.page, self.list.length, rows);
        self.list.put_values(&mut self.page, values);
        let mut compressed = Vec::with_capacity(zstd::zstd_safe::compress_bound(self.page.len()));
        self.compressor
            .compress_to_buffer(&self.page, &mut compressed)?;
        let page = Page::DataPage {
            buf: compressed.into(),
            num_values: (rows * self.list.length) as u32,
            encoding: self.list.encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let page = CompressedPage::new(page, self.page.len());
        let written = SerializedPageWriter::new(&mut self.pages).write_page(page)?;
        self.locations.push(PageLocation {
            offset: written.offset as i64,
            compressed_page_size: written.compressed_size as i32,
            first_row_index: self.rows as i64,
        });
        self.rows += rows;
        self.uncompressed_bytes += written.uncompressed_size;
        Ok(())
    }

    /// Move the pages into a row group, and begin anew.
    pub(crate) fn append_to<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<()> {
        let pages = std::mem::replace(&mut self.pages, TrackedWrite::new(Vec::new()));
        let pages = Bytes::from(pages.into_inner()?);
        let locations = std::mem::take(&mut self.locations);
        let metadata = ColumnChunkMetaData::builder(self.column.clone())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_encodings(vec![self.list.encoding, Encoding::RLE])
            .set_page_encoding_stats(vec![PageEncodingStats {
                page_type: PageType::DATA_PAGE,
                encoding: self.list.encoding,
                count: locations.len() as i32,
            }])
            .set_num_values((self.rows * self.list.length) as i64)
            .set_total_compressed_size(pages.len() as i64)
            .set_total_uncompressed_size(self.uncompressed_bytes as i64)
            .set_data_page_offset(0)
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: pages.len() as u64,
            rows_written: self.rows as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(OffsetIndexMetaData {
                page_locations: locations,
                unencoded_byte_array_data_bytes: None,
            }),
        };
        self.rows = 0;
        self.uncompressed_bytes = 0;
        group.append_column(&pages, close)?;
        let mut reused = Vec::from(pages);
        reused.clear();
        self.pages = TrackedWrite::new(reused);
        Ok(())
    }
}

/// Repetition and definition levels of rows: 0 where a row starts and 1 behind, and 1 everywhere.
fn put_levels(page: &mut Vec<u8>, length: usize, rows: usize) {
    put_sized(page, |page| {
        if length == 1 {
            put_run(page, rows, 0);
        } else if length < SHORTEST_RUN {
            put_bits(page, rows * length, |value| value % length != 0);
        } else {
            let mut row = Vec::new();
            put_run(&mut row, 1, 0);
            put_run(&mut row, length - 1, 1);
            page.reserve(row.len() * rows);
            (0..rows).for_each(|_| page.extend_from_slice(&row));
        }
    });
    put_sized(page, |page| put_run(page, rows * length, 1));
}

fn put_sized(page: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let start = page.len();
    page.extend_from_slice(&[0; 4]);
    put(page);
    let size = (page.len() - start - 4) as u32;
    page[start..start + 4].copy_from_slice(&size.to_le_bytes());
}

fn put_run(page: &mut Vec<u8>, count: usize, level: u8) {
    put_varint(page, count << 1);
    page.push(level);
}

fn put_bits(page: &mut Vec<u8>, count: usize, bit: impl Fn(usize) -> bool) {
    let groups = count.div_ceil(8);
    put_varint(page, groups << 1 | 1);
    page.extend((0..groups).map(|group| {
        let values = (8 * group..count.min(8 * group + 8)).enumerate();
        values.fold(0, |byte, (place, value)| {
            byte | u8::from(bit(value)) << place
        })
    }));
}

fn put_varint(page: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        page.push(number as u8 | 0x80);
        number >>= 7;
    }
    page.push(number as u8);
}
