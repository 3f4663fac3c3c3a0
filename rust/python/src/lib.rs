//! The Python binding of specplan.

use pyo3::prelude::*;

mod text;

/// The Rust extension of specplan.
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::text::{Problem, Span, Text, parse_text};
}
