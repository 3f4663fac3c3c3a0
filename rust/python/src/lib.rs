//! The Python binding of specplan.

use pyo3::prelude::*;

mod headers;
mod text;

/// The Rust extension of specplan.
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::headers::{ColumnHeader, TableHeader, read_table_header};
    #[pymodule_export]
    use crate::text::{Problem, Span, Text, parse_text};
}
