//! All metrics of a store as one Parquet table.

use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::error::Result;
use crate::metric_arrow::metric_schema;
use crate::metric_row::check_row;
use crate::metric_table::MetricTable;
use crate::parquet_file::{Encodings, ParquetFile, failed};
use crate::store_reader::StoreReader;

const ROWS_AT_ONCE: u64 = 1 << 16;
const PAGE_ROWS: usize = 20_000;

/// Write the metrics at or below the watermark as Parquet; returns the rows.
pub fn export_metrics(store: &Path, path: &Path, run_id: &str) -> Result<u64> {
    let reader = StoreReader::open(store)?;
    let sessions = reader.sessions();
    let encodings = Encodings {
        repeated: &[
            "run_id", "session", "phase", "node", "split", "name", "epoch", "batch",
        ],
        counting: &["step", "time"],
        page_rows: PAGE_ROWS,
    };
    let mut file = ParquetFile::create(path, metric_schema(), &encodings, run_id)?;
    let mut table = MetricTable::new(run_id);
    for (map, visible) in reader.metric_rows() {
        let mut start = visible.start;
        while start < visible.end {
            let rows = start..visible.end.min(start + ROWS_AT_ONCE);
            start = rows.end;
            table.rows.clear();
            for row in rows {
                check_row(&map, row)?;
                table.add(&map, row, &sessions)?;
            }
            let columns = table.columns(0..table.rows.len());
            let batch = RecordBatch::try_new(Arc::clone(file.schema()), columns)
                .map_err(|error| failed(file.path(), &error.into()))?;
            file.write(&batch)?;
        }
    }
    file.finish()
}
