//! What stands in a Parquet file, summed up: of what is written, and of what is read again.

use std::fs::File;
use std::path::Path;

use arrow_array::{
    Array, BooleanArray, FixedSizeListArray, ListArray, RecordBatch, StringArray, StructArray,
};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::Schema;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::parquet_lists::PlainList;

const READ_ROWS: usize = 8192;

/// A digest of every column that does not depend on how the rows are cut into batches.
pub(crate) struct Contents {
    pub(crate) rows: u64,
    columns: Vec<ColumnDigest>,
}

#[derive(Clone, Default)]
struct ColumnDigest {
    nulls: crc32fast::Hasher,
    lengths: crc32fast::Hasher,
    values: crc32fast::Hasher,
    members: Vec<ColumnDigest>,
}

impl PartialEq for Contents {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows && self.sums() == other.sums()
    }
}

impl Contents {
    pub(crate) fn new(schema: &Schema) -> Self {
        Self {
            rows: 0,
            columns: vec![ColumnDigest::default(); schema.fields().len()],
        }
    }

    pub(crate) fn add(&mut self, rows: &RecordBatch) {
        for (digest, column) in self.columns.iter_mut().zip(rows.columns()) {
            digest.add(self.rows, column.as_ref());
        }
        self.rows += rows.num_rows() as u64;
    }

    /// Read a file that has the columns of this schema.
    pub(crate) fn read(path: &Path, schema: &Schema) -> Result<Self> {
        let mut contents = Self::new(schema);
        let file = SerializedFileReader::new(File::open(path)?)?;
        let descriptor = file.metadata().file_metadata().schema_descr_ptr();
        let leaves = 0..descriptor.num_columns();
        let lists: Vec<Option<PlainList>> = leaves
            .map(|leaf| PlainList::of(schema.field(descriptor.get_column_root_idx(leaf))))
            .collect();
        for (leaf, list) in lists.iter().enumerate() {
            if let Some(list) = list {
                let column = descriptor.get_column_root_idx(leaf);
                contents.columns[column].read_lists(&file, leaf, *list)?;
            }
        }
        let others = (0..lists.len()).filter(|&leaf| lists[leaf].is_none());
        let others = ProjectionMask::leaves(&descriptor, others);
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
        let reader = builder
            .with_projection(others)
            .with_batch_size(READ_ROWS)
            .build()?;
        for rows in reader {
            let rows = rows?;
            for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
                contents.columns[schema.index_of(field.name())?].add(contents.rows, column);
            }
            contents.rows += rows.num_rows() as u64;
        }
        Ok(contents)
    }

    fn sums(&self) -> Vec<u32> {
        self.columns.iter().flat_map(ColumnDigest::sums).collect()
    }
}

impl ColumnDigest {
    /// Add values whose first one has this row.
    fn add(&mut self, row: u64, column: &dyn Array) {
        if let Some(nulls) = column.nulls().filter(|nulls| nulls.null_count() > 0) {
            let absent = (0..nulls.len()).filter(|&row| nulls.is_null(row));
            absent.for_each(|place| self.nulls.update(&(row + place as u64).to_le_bytes()));
        }
        self.add_values(column);
    }

    fn add_values(&mut self, column: &dyn Array) {
        if let Some(texts) = column.as_any().downcast_ref::<StringArray>() {
            let (first, last) = self.add_lengths(texts.offsets());
            self.values.update(&texts.value_data()[first..last]);
        } else if let Some(lists) = column.as_any().downcast_ref::<ListArray>() {
            let (first, last) = self.add_lengths(lists.offsets());
            let items = lists.values().slice(first, last - first);
            self.add_values(items.as_ref());
        } else if let Some(members) = column.as_any().downcast_ref::<StructArray>() {
            self.members
                .resize_with(members.num_columns(), Self::default);
            for (digest, member) in self.members.iter_mut().zip(members.columns()) {
                digest.add_values(member.as_ref());
            }
        } else if let Some(bits) = column.as_any().downcast_ref::<BooleanArray>() {
            let bytes: Vec<u8> = bits.iter().map(|bit| u8::from(bit == Some(true))).collect();
            self.values.update(&bytes);
        } else if column.as_any().is::<FixedSizeListArray>() {
            self.add_values(list_values(column));
        } else if let Some(width) = column.data_type().primitive_width() {
            let values = plain_bytes(column);
            match column.nulls().filter(|nulls| nulls.null_count() > 0) {
                Some(nulls) => {
                    let valid = values.chunks_exact(width).zip(nulls.iter());
                    let valid = valid.filter(|(_, valid)| *valid);
                    valid.for_each(|(value, _)| self.values.update(value));
                }
                None => self.values.update(&values),
            }
        }
    }

    /// Add the lengths of rows; returns where the first one starts and the last one ends.
    fn add_lengths(&mut self, offsets: &OffsetBuffer<i32>) -> (usize, usize) {
        let lengths = offsets.lengths();
        let lengths: Vec<u8> = lengths.flat_map(|length| length.to_le_bytes()).collect();
        self.lengths.update(&lengths);
        (offsets[0] as usize, offsets[offsets.len() - 1] as usize)
    }

    fn sums(&self) -> Vec<u32> {
        let own = [&self.nulls, &self.lengths, &self.values];
        let own = own.map(|hasher| hasher.clone().finalize());
        let members = self.members.iter().flat_map(Self::sums);
        own.into_iter().chain(members).collect()
    }

    fn read_lists(
        &mut self,
        file: &SerializedFileReader<File>,
        leaf: usize,
        list: PlainList,
    ) -> Result<()> {
        for group in 0..file.num_row_groups() {
            let mut pages = file.get_row_group(group)?.get_column_page_reader(leaf)?;
            while let Some(page) = pages.get_next_page()? {
                let values = list.page_values(&page).ok_or_else(|| {
                    ParquetError::General("a page does not have the levels of its rows".to_owned())
                })?;
                self.values.update(&values);
            }
        }
        Ok(())
    }
}

/// The items of lists of one length, all rows in one array; of any other column the column itself.
pub(crate) fn list_values(column: &dyn Array) -> &dyn Array {
    let lists = column.as_any().downcast_ref::<FixedSizeListArray>();
    lists.map_or(column, |lists| lists.values().as_ref())
}

/// The numbers of a column of numbers, as they lie in memory.
pub(crate) fn plain_bytes(column: &dyn Array) -> Buffer {
    let data = column.to_data();
    let width = column.data_type().primitive_width().unwrap_or(0);
    data.buffers()[0].slice_with_length(data.offset() * width, data.len() * width)
}
