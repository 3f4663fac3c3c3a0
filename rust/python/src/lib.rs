//! The Python binding of specplan.

mod array;
mod dlpack;
mod errors;
mod export;
mod headers;
mod memory;
mod metrics;
mod ragged;
mod reader;
mod rows;
mod slot;
mod store;
mod text;
mod texts;
mod verify;

use pyo3::prelude::pymodule;

/// The Rust extension of specplan.
#[pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::export::{export_execution, export_metrics, verify_parquet};
    #[pymodule_export]
    use crate::headers::{ColumnHeader, TableHeader, read_table_header};
    #[pymodule_export]
    use crate::metrics::{MetricTable, read_metric_table};
    #[pymodule_export]
    use crate::ragged::{RaggedChannel, RaggedReader};
    #[pymodule_export]
    use crate::reader::{ChannelReader, StoreReader, TensorReader};
    #[pymodule_export]
    use crate::rows::{ColumnScan, Division, Keys, Leak, RowScan, read_keys, scan_rows, shuffled};
    #[pymodule_export]
    use crate::slot::Slot;
    #[pymodule_export]
    use crate::store::{MetricGroup, Store, TensorChannel};
    #[pymodule_export]
    use crate::text::{Problem, Span, Text, parse_text};
    #[pymodule_export]
    use crate::texts::{TextChannel, TextReader};

    #[pymodule_export]
    use crate::verify::{Damage, Repaired, Verified, repair_store, verify_store};

    /// The classes of errors are found in a module that is loaded: without descriptors nothing can be imported.
    #[pymodule_init]
    fn load_errors(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.py().import("specplan.errors").map(drop)
    }

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name of a version")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
