//! A Parquet file that either exists whole and as it was meant, or not at all.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::disk::{sync_folder, temporary};
use crate::error::{IoContext, Result, StoreError};
use crate::parquet_contents::Contents;
use crate::parquet_digest::DigestedFile;
use crate::parquet_groups::GroupWriter;
use crate::parquet_lists::ZSTD_LEVEL;

const RUN_ID_KEY: &str = "specplan.run_id";

/// How columns are stored; the rest is plain, with statistics.
pub(crate) struct Encodings<'a> {
    /// Few values again and again.
    pub(crate) repeated: &'a [&'a str],
    /// Integers that change by little.
    pub(crate) counting: &'a [&'a str],
    /// Most rows in a page, and so for one entry of the page index, of a column that is not a list.
    pub(crate) page_rows: usize,
}

pub(crate) struct ParquetFile {
    path: PathBuf,
    temporary: Temporary,
    schema: SchemaRef,
    groups: GroupWriter,
    written: Contents,
}

impl ParquetFile {
    pub(crate) fn create(
        path: &Path,
        schema: Schema,
        encodings: &Encodings,
        run_id: &str,
    ) -> Result<Self> {
        let schema = Arc::new(schema);
        let temporary = Temporary(temporary(path));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&temporary.0)
            .context("create", &temporary.0)?;
        let groups = properties(&schema, encodings, run_id)
            .and_then(|properties| {
                GroupWriter::new(DigestedFile::new(file), Arc::clone(&schema), properties)
            })
            .map_err(|error| failed(path, &error))?;
        Ok(Self {
            path: path.to_path_buf(),
            temporary,
            written: Contents::new(&schema),
            schema,
            groups,
        })
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Write rows; a row group, or a page of lists, may end behind them, never inside.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        self.written.add(rows);
        self.groups
            .write(rows)
            .map_err(|error| failed(&self.path, &error))
    }

    /// Put the file on disk, read it again, compare, and give it its name. Returns the rows.
    pub(crate) fn finish(self) -> Result<u64> {
        let failed = |error: ParquetError| failed(&self.path, &error);
        let temporary = &self.temporary.0;
        self.groups.finish().map_err(failed)?.finish(temporary)?;
        if Contents::read(temporary, &self.schema).map_err(failed)? != self.written {
            return Err(StoreError::Export {
                path: self.path,
                reason: "it did not read back as it was written".to_owned(),
            });
        }
        fs::rename(temporary, &self.path).context("rename", temporary)?;
        let folder = self.path.parent();
        sync_folder(
            folder
                .filter(|folder| !folder.as_os_str().is_empty())
                .unwrap_or(Path::new(".")),
        )?;
        Ok(self.written.rows)
    }
}

/// A file in the making.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a success there is nothing at this name; after a failure the part is worth nothing.
        let _ = fs::remove_file(&self.0);
    }
}

pub(crate) fn failed(path: &Path, error: &ParquetError) -> StoreError {
    StoreError::Export {
        path: path.to_path_buf(),
        reason: error.to_string(),
    }
}

fn properties(
    schema: &Schema,
    encodings: &Encodings,
    run_id: &str,
) -> Result<WriterProperties, ParquetError> {
    let run_id = KeyValue::new(RUN_ID_KEY.to_owned(), run_id.to_owned());
    let mut builder = WriterProperties::builder()
        .set_key_value_metadata(Some(vec![run_id]))
        .set_data_page_row_count_limit(encodings.page_rows)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
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
        builder = set_leaves(builder, field, &[]);
    }
    Ok(builder.build())
}

/// Floats as byte streams, and no statistics of what is inside a list.
fn set_leaves(
    mut builder: WriterPropertiesBuilder,
    field: &Field,
    above: &[&str],
) -> WriterPropertiesBuilder {
    let path = [above, &[field.name()]].concat();
    let column = || ColumnPath::new(path.iter().map(|name| (*name).to_owned()).collect());
    match field.data_type() {
        DataType::List(item) | DataType::FixedSizeList(item, _) => {
            let inside = [path.as_slice(), &["list"]].concat();
            return set_leaves(builder, item, &inside);
        }
        DataType::Struct(members) => {
            let members = members.iter();
            return members.fold(builder, |builder, member| {
                set_leaves(builder, member, &path)
            });
        }
        DataType::Float32 | DataType::Float64 => {
            builder = builder.set_column_encoding(column(), Encoding::BYTE_STREAM_SPLIT);
        }
        _ => {}
    }
    if above.is_empty() {
        return builder;
    }
    builder.set_column_statistics_enabled(column(), EnabledStatistics::None)
}
