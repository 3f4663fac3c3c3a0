//! The Python binding of specplan.

mod array;
mod dlpack;
mod errors;
mod export;
mod headers;
mod memory;
mod reader;
mod slot;
mod store;
mod text;

use pyo3::prelude::pymodule;

/// The Rust extension of specplan.
#[pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::export::{export_execution, export_metrics};
    #[pymodule_export]
    use crate::headers::{ColumnHeader, TableHeader, read_table_header};
    #[pymodule_export]
    use crate::reader::{StoreReader, TensorReader};
    #[pymodule_export]
    use crate::slot::Slot;
    #[pymodule_export]
    use crate::store::{MetricGroup, Store, TensorChannel};
    #[pymodule_export]
    use crate::text::{Problem, Span, Text, parse_text};

    /// The classes of errors are found in a module that is loaded: without descriptors nothing can be imported.
    #[pymodule_init]
    fn load_errors(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.py().import("specplan.errors").map(drop)
    }

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name of a version")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
