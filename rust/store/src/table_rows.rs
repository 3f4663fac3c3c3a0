//! The rows of table files, batch by batch.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::reader::FileReader;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::header::{Fault, HeaderError, TableFile, TableFormat};

const BATCH_ROWS: usize = 16 * 1024;

/// Hands `take` the columns called `names`, in this order, of one batch of rows after the other, with the number of
/// the first row.
pub(crate) fn read_rows(
    path: &Path,
    format: TableFormat,
    names: &[String],
    mut take: impl FnMut(u64, &[ArrayRef]) -> Result<(), Fault>,
) -> Result<(), HeaderError> {
    let mut first_row = 0;
    let mut pick = |batch: RecordBatch| {
        let columns = names.iter().map(|name| {
            let column = batch.column_by_name(name).cloned();
            column.ok_or_else(|| Fault::unusable("SP302", name, "is not there"))
        });
        take(first_row, &columns.collect::<Result<Vec<_>, _>>()?)?;
        first_row += batch.num_rows() as u64;
        Ok(())
    };
    let read = || {
        let file = TableFile::open(path)?.into_file();
        match format {
            TableFormat::Parquet => {
                let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
                let roots = positions(builder.schema().fields().iter().map(|f| f.name()), names);
                let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
                let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS);
                reader.build()?.try_for_each(|batch| pick(batch?))
            }
            TableFormat::Arrow => {
                // The schema must be known before it can be said which columns are to be read.
                let schema = FileReader::try_new_buffered(file.try_clone()?, None)?.schema();
                let wanted = positions(schema.fields().iter().map(|f| f.name()), names);
                let mut reader = FileReader::try_new_buffered(file, Some(wanted))?;
                reader.try_for_each(|batch| pick(batch?))
            }
        }
    };
    // The decoders panic where a file lies, as those of the headers do.
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(Fault::damaged("its rows cannot be decoded")))
        .map_err(|fault| fault.at(path))
}

fn positions<'a>(fields: impl Iterator<Item = &'a String>, names: &[String]) -> Vec<usize> {
    let positions = fields.enumerate().filter(|(_, name)| names.contains(name));
    positions.map(|(position, _)| position).collect()
}

/// The number of the first row that is null, if any is.
pub(crate) fn first_null(array: &ArrayRef) -> Option<usize> {
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0)?;
    nulls.iter().position(|valid| !valid)
}
