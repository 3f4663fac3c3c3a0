//! From records to Parquet.

use std::path::Path;

use pyo3::prelude::*;

use crate::errors::Failure;

#[pyfunction]
#[pyo3(signature = (store, path, *, run_id))]
pub(crate) fn export_metrics(
    py: Python<'_>,
    store: &str,
    path: &str,
    run_id: &str,
) -> Result<u64, Failure> {
    Ok(py.detach(|| specplan_store::export_metrics(Path::new(store), Path::new(path), run_id))?)
}

#[pyfunction]
#[pyo3(signature = (store, phase, path, *, run_id, epoch = None, nodes = None))]
pub(crate) fn export_execution(
    py: Python<'_>,
    store: &str,
    phase: &str,
    path: &str,
    run_id: &str,
    epoch: Option<i32>,
    nodes: Option<Vec<String>>,
) -> Result<u64, Failure> {
    Ok(py.detach(|| {
        specplan_store::export_execution(
            Path::new(store),
            phase,
            Path::new(path),
            run_id,
            epoch,
            nodes.as_deref(),
        )
    })?)
}

#[pyfunction]
pub(crate) fn verify_parquet(py: Python<'_>, path: &str) -> Result<(), Failure> {
    Ok(py.detach(|| specplan_store::verify_parquet(Path::new(path)))?)
}
