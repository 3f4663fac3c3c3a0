//! The Python binding of specplan.

use pyo3::prelude::*;

/// The Rust extension of specplan.
#[pymodule]
mod _native {}
