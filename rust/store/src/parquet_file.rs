//! A Parquet file that either exists whole and as it was meant, or not at all.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{
    Array, BooleanArray, FixedSizeListArray, ListArray, RecordBatch, StringArray, StructArray,
};
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::chunk::temporary;
use crate::error::{IoContext, Result, StoreError};

const ROW_GROUP_BYTES: usize = 8 << 20;
const READ_ROWS: usize = 8192;

/// How columns are stored; the rest is plain, with statistics.
pub(crate) struct Encodings<'a> {
    /// Few values again and again.
    pub(crate) repeated: &'a [&'a str],
    /// Integers that change by little.
    pub(crate) counting: &'a [&'a str],
}

pub(crate) struct ParquetFile {
    path: PathBuf,
    temporary: PathBuf,
    schema: SchemaRef,
    writer: Option<ArrowWriter<File>>,
    written: Digest,
}

impl ParquetFile {
    pub(crate) fn create(path: &Path, schema: SchemaRef, encodings: &Encodings) -> Result<Self> {
        let temporary = temporary(path);
        let file = File::create(&temporary).context("create", &temporary)?;
        let properties = properties(&schema, encodings).map_err(|error| failed(path, &error))?;
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))
            .map_err(|error| failed(path, &error))?;
        Ok(Self {
            path: path.to_path_buf(),
            temporary,
            written: Digest::new(&schema),
            schema,
            writer: Some(writer),
        })
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Write rows; a row group may end behind them, never inside.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        self.written.add(rows);
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        writer
            .write(rows)
            .map_err(|error| failed(&self.path, &error))?;
        if writer.in_progress_size() >= ROW_GROUP_BYTES {
            writer.flush().map_err(|error| failed(&self.path, &error))?;
        }
        Ok(())
    }

    /// Put the file on disk, read it again, compare, and give it its name. Returns the rows.
    pub(crate) fn finish(mut self) -> Result<u64> {
        if let Some(writer) = self.writer.take() {
            let file = writer
                .into_inner()
                .map_err(|error| failed(&self.path, &error))?;
            file.sync_all().context("sync", &self.temporary)?;
        }
        if self.read_again()? != self.written {
            return Err(StoreError::Export {
                path: self.path.clone(),
                reason: "it did not read back as it was written".to_owned(),
            });
        }
        fs::rename(&self.temporary, &self.path).context("rename", &self.temporary)?;
        let folder = self
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .context("sync", folder)?;
        Ok(self.written.rows)
    }

    fn read_again(&self) -> Result<Digest> {
        let file = File::open(&self.temporary).context("open", &self.temporary)?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(|builder| builder.with_batch_size(READ_ROWS).build())
            .map_err(|error| failed(&self.path, &error))?;
        let mut digest = Digest::new(&self.schema);
        for rows in reader {
            digest.add(&rows.map_err(|error| failed(&self.path, &error.into()))?);
        }
        Ok(digest)
    }
}

impl Drop for ParquetFile {
    fn drop(&mut self) {
        // After a success there is nothing at this name; after a failure the part is worth nothing.
        let _ = fs::remove_file(&self.temporary);
    }
}

pub(crate) fn failed(path: &Path, error: &ParquetError) -> StoreError {
    StoreError::Export {
        path: path.to_path_buf(),
        reason: error.to_string(),
    }
}

fn properties(schema: &SchemaRef, encodings: &Encodings) -> Result<WriterProperties, ParquetError> {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(None)
        .set_dictionary_enabled(false);
    for name in encodings.repeated {
        builder = builder.set_column_dictionary_enabled(ColumnPath::from(*name), true);
    }
    for name in encodings.counting {
        builder =
            builder.set_column_encoding(ColumnPath::from(*name), Encoding::DELTA_BINARY_PACKED);
    }
    for field in schema.fields() {
        if let DataType::FixedSizeList(item, _) = field.data_type() {
            let leaf = vec![field.name().clone(), "list".to_owned(), item.name().clone()];
            builder = builder
                .set_column_statistics_enabled(ColumnPath::new(leaf), EnabledStatistics::None);
        }
    }
    Ok(builder.build())
}

/// A digest of every column that does not depend on how the rows are cut into batches.
struct Digest {
    rows: u64,
    columns: Vec<ColumnDigest>,
}

#[derive(Clone, Default)]
struct ColumnDigest {
    nulls: crc32fast::Hasher,
    values: crc32fast::Hasher,
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows && self.sums() == other.sums()
    }
}

impl Digest {
    fn new(schema: &SchemaRef) -> Self {
        Self {
            rows: 0,
            columns: vec![ColumnDigest::default(); schema.fields().len()],
        }
    }

    fn add(&mut self, rows: &RecordBatch) {
        self.rows += rows.num_rows() as u64;
        for (digest, column) in self.columns.iter_mut().zip(rows.columns()) {
            let nulls: Vec<u8> = (0..column.len())
                .map(|row| u8::from(column.is_null(row)))
                .collect();
            digest.nulls.update(&nulls);
            digest_values(&mut digest.values, column.as_ref());
        }
    }

    fn sums(&self) -> Vec<(u32, u32)> {
        let sum = |hasher: &crc32fast::Hasher| hasher.clone().finalize();
        let columns = self.columns.iter();
        columns
            .map(|digest| (sum(&digest.nulls), sum(&digest.values)))
            .collect()
    }
}

fn digest_values(hasher: &mut crc32fast::Hasher, column: &dyn Array) {
    if let Some(strings) = column.as_any().downcast_ref::<StringArray>() {
        for text in strings.iter().flatten() {
            hasher.update(&(text.len() as u32).to_le_bytes());
            hasher.update(text.as_bytes());
        }
    } else if let Some(bits) = column.as_any().downcast_ref::<BooleanArray>() {
        let bytes: Vec<u8> = bits.iter().map(|bit| u8::from(bit == Some(true))).collect();
        hasher.update(&bytes);
    } else if let Some(lists) = column.as_any().downcast_ref::<FixedSizeListArray>() {
        let length = lists.value_length() as usize;
        let start = lists.value_offset_at(0);
        digest_values(
            hasher,
            lists.values().slice(start, lists.len() * length).as_ref(),
        );
    } else if let Some(lists) = column.as_any().downcast_ref::<ListArray>() {
        for length in lists.offsets().lengths() {
            hasher.update(&(length as u32).to_le_bytes());
        }
        let (start, end) = (lists.offsets()[0], lists.offsets()[lists.len()]);
        let items = lists.values().slice(start as usize, (end - start) as usize);
        digest_values(hasher, items.as_ref());
    } else if let Some(members) = column.as_any().downcast_ref::<StructArray>() {
        for member in members.columns() {
            digest_values(hasher, member.as_ref());
        }
    } else if let Some(width) = column.data_type().primitive_width() {
        let data = column.to_data();
        let start = data.offset() * width;
        let values = &data.buffers()[0].as_slice()[start..start + data.len() * width];
        if column.null_count() == 0 {
            hasher.update(values);
        } else {
            let valid = values
                .chunks_exact(width)
                .enumerate()
                .filter(|(row, _)| column.is_valid(*row));
            valid.for_each(|(_, value)| hasher.update(value));
        }
    }
}
