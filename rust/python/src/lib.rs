//! The Python binding of specplan.

mod array;
mod dlpack;
mod errors;
mod reader;
mod store;

use pyo3::prelude::*;

/// The Rust extension of specplan.
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::reader::{StoreReader, TensorReader};
    #[pymodule_export]
    use crate::store::{MetricGroup, Store, TensorChannel};
}
