//! The footer of a Parquet file.

use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};

use super::column::{self, Counts};
use super::{Fault, TableFile, TableHeader};

const NAME: &str = "a Parquet file";
const MAGIC: &[u8] = b"PAR1";

pub(super) fn read(table: &mut TableFile) -> Result<TableHeader, Fault> {
    let smallest = (MAGIC.len() + FOOTER_SIZE) as u64;
    if table.size < smallest {
        return Err(Fault::Format(NAME, format!("it has {} bytes", table.size)));
    }
    let tail = table.bytes(table.size - FOOTER_SIZE as u64, FOOTER_SIZE as u64)?;
    let starts_right = table.bytes(0, MAGIC.len() as u64)? == MAGIC;
    match (starts_right, tail.ends_with(MAGIC)) {
        (true, true) => {}
        (true, false) => {
            return Err(Fault::damaged(
                "its footer is missing; was it written to the end?",
            ));
        }
        (false, _) if tail.ends_with(b"PARE") => {
            return Err(Fault::Format(NAME, "it is encrypted".to_owned()));
        }
        (false, _) => {
            return Err(Fault::Format(
                NAME,
                "it does not start with PAR1".to_owned(),
            ));
        }
    }
    let tail = tail
        .as_slice()
        .try_into()
        .map_err(|_| Fault::damaged("its footer is too short"))?;
    let length = FooterTail::try_new(tail)?.metadata_length() as u64;
    if length > table.size - smallest {
        return Err(Fault::damaged("its footer is longer than the file"));
    }
    let footer = table.bytes(table.size - FOOTER_SIZE as u64 - length, length)?;
    let metadata = ParquetMetaDataReader::decode_metadata(&footer)?;
    let file = metadata.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())?;
    let columns = schema.fields().iter().enumerate();
    Ok(TableHeader {
        rows: unsigned(file.num_rows())?,
        columns: columns
            .map(|(root, field)| column::header(field, &counts(&metadata, root)?))
            .collect::<Result<_, _>>()?,
        digest: table.digest(&footer),
    })
}

/// Only a column of one leaf has counts: those of a struct's leaves are not the column's.
fn counts(metadata: &ParquetMetaData, root: usize) -> Result<Counts, Fault> {
    let schema = metadata.file_metadata().schema_descr();
    let mut leaves =
        (0..schema.num_columns()).filter(|&leaf| schema.get_column_root_idx(leaf) == root);
    let (Some(leaf), None) = (leaves.next(), leaves.next()) else {
        return Ok(Counts::default());
    };
    let descriptor = schema.column(leaf);
    let never_null = descriptor.max_def_level() == 0;
    let mut nulls = Some(0_u64);
    let mut parts = Vec::new();
    for group in metadata.row_groups() {
        let chunk = group.column(leaf);
        let found = chunk
            .statistics()
            .and_then(|statistics| statistics.null_count_opt());
        let found = if never_null { Some(0) } else { found };
        nulls = nulls
            .zip(found)
            .and_then(|(sum, more)| sum.checked_add(more));
        parts.push((unsigned(group.num_rows())?, unsigned(chunk.num_values())?));
    }
    Ok(Counts::new(nulls, parts.into_iter()))
}

fn unsigned(count: i64) -> Result<u64, Fault> {
    u64::try_from(count).map_err(|_| Fault::damaged("its footer has a negative count"))
}

impl From<ParquetError> for Fault {
    fn from(error: ParquetError) -> Self {
        Fault::damaged(error.to_string())
    }
}
