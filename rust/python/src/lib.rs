//! The Python binding of specplan.

mod array;
mod dlpack;
mod errors;
mod headers;
mod reader;
mod store;
mod text;

use pyo3::prelude::*;

/// The Rust extension of specplan.
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::headers::{ColumnHeader, TableHeader, read_table_header};
    #[pymodule_export]
    use crate::text::{Problem, Span, Text, parse_text};
    #[pymodule_export]
    use crate::reader::{StoreReader, TensorReader};
    #[pymodule_export]
    use crate::store::{MetricGroup, Store, TensorChannel};
}
