//! The row groups of a Parquet file: lists through `ListPages`, every other column through arrow's writer.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::errors::Result;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use crate::parquet_contents::{list_values, plain_bytes};
use crate::parquet_digest::{DIGEST_KEY, DigestedFile, NO_DIGEST};
use crate::parquet_lists::{ListPages, PlainList};

const ROW_GROUP_BYTES: usize = 8 << 20;

pub(crate) struct GroupWriter {
    schema: SchemaRef,
    file: SerializedFileWriter<DigestedFile>,
    factory: ArrowRowGroupWriterFactory,
    fields: Vec<FieldWriter>,
    groups: usize,
    rows: usize,
}

/// Writes one field of the row group at hand.
enum FieldWriter {
    Lists(ListPages),
    // One for each leaf. A row group needs new ones.
    Arrow(Vec<ArrowColumnWriter>),
}

impl GroupWriter {
    pub(crate) fn new(
        file: DigestedFile,
        schema: SchemaRef,
        properties: WriterProperties,
    ) -> Result<Self> {
        let (file, factory) = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))
            .and_then(ArrowWriter::into_serialized_writer)?;
        let mut fields: Vec<FieldWriter> = Vec::new();
        let descriptor = file.schema_descr();
        for leaf in 0..descriptor.num_columns() {
            let field = descriptor.get_column_root_idx(leaf);
            if field == fields.len() {
                fields.push(match PlainList::of(schema.field(field)) {
                    Some(list) => {
                        FieldWriter::Lists(ListPages::new(descriptor.column(leaf), list)?)
                    }
                    None => FieldWriter::Arrow(Vec::new()),
                });
            }
        }
        Ok(Self {
            schema,
            file,
            factory,
            fields,
            groups: 0,
            rows: 0,
        })
    }

    /// Write rows; the row group may end behind them.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        if self.rows == 0 {
            self.begin_group()?;
        }
        self.rows += rows.num_rows();
        let mut bytes = 0;
        let columns = self.schema.fields().iter().zip(rows.columns());
        for ((field, column), writer) in columns.zip(&mut self.fields) {
            match writer {
                FieldWriter::Lists(pages) => {
                    pages.write(&plain_bytes(list_values(column.as_ref())))?;
                    bytes += pages.bytes();
                }
                FieldWriter::Arrow(leaves) => {
                    for (values, leaf) in compute_leaves(field, column)?.iter().zip(leaves) {
                        leaf.write(values)?;
                        bytes += leaf.get_estimated_total_bytes();
                    }
                }
            }
        }
        if bytes >= ROW_GROUP_BYTES {
            self.end_group()?;
        }
        Ok(())
    }

    /// End the file; what is left to do is its digest.
    pub(crate) fn finish(mut self) -> Result<DigestedFile> {
        if self.rows > 0 {
            self.end_group()?;
        }
        let digest = KeyValue::new(DIGEST_KEY.to_owned(), NO_DIGEST.to_owned());
        self.file.append_key_value_metadata(digest);
        self.file.into_inner()
    }

    fn begin_group(&mut self) -> Result<()> {
        let descriptor = self.file.schema_descr();
        let leaves = self.factory.create_column_writers(self.groups)?;
        for (leaf, column) in leaves.into_iter().enumerate() {
            let field = descriptor.get_column_root_idx(leaf);
            if let FieldWriter::Arrow(leaves) = &mut self.fields[field] {
                leaves.push(column);
            }
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<()> {
        let mut group = self.file.next_row_group()?;
        for writer in &mut self.fields {
            match writer {
                FieldWriter::Lists(pages) => pages.append_to(&mut group)?,
                FieldWriter::Arrow(leaves) => {
                    for leaf in leaves.drain(..) {
                        leaf.close()?.append_to_row_group(&mut group)?;
                    }
                }
            }
        }
        group.close()?;
        self.groups += 1;
        self.rows = 0;
        Ok(())
    }
}
