//! What is wrong with a store, and what can be saved of it.

use std::path::Path;

use pyo3::prelude::*;

use crate::errors::Failure;

/// One thing that is wrong with a file.
#[pyclass(frozen, get_all, module = "specplan._native")]
pub(crate) struct Damage {
    path: String,
    offset: Option<u64>,
    message: String,
}

impl From<&specplan_store::StoreError> for Damage {
    fn from(error: &specplan_store::StoreError) -> Self {
        let (path, offset, message) = error.place();
        Self {
            path: path.map_or(String::new(), |path| path.to_string_lossy().into_owned()),
            offset,
            message,
        }
    }
}

#[pymethods]
impl Damage {
    fn __repr__(&self) -> String {
        let offset = self
            .offset
            .map_or(String::new(), |offset| format!(":{offset}"));
        format!("{}{offset}: {}", self.path, self.message)
    }
}

/// What a verification looked at, and what it found.
#[pyclass(frozen, get_all, module = "specplan._native")]
pub(crate) struct Verified {
    batches: u64,
    metric_rows: u64,
    files: u64,
    damages: Vec<Py<Damage>>,
}

#[pyfunction]
pub(crate) fn verify_store(py: Python<'_>, path: &str) -> PyResult<Verified> {
    let verified = py
        .detach(|| specplan_store::verify_store(Path::new(path)))
        .map_err(Failure::from)?;
    Ok(Verified {
        batches: verified.batches,
        metric_rows: verified.metric_rows,
        files: verified.files,
        damages: damages(py, &verified.problems)?,
    })
}

/// What was saved of a store.
#[pyclass(frozen, get_all, module = "specplan._native")]
pub(crate) struct Repaired {
    batches: u64,
    metric_rows: u64,
    damages: Vec<Py<Damage>>,
    left_out: Vec<String>,
    unproven: Vec<String>,
}

#[pyfunction]
#[pyo3(signature = (path, to, *, run_id, without))]
pub(crate) fn repair_store(
    py: Python<'_>,
    path: &str,
    to: &str,
    run_id: &str,
    without: Vec<u64>,
) -> PyResult<Repaired> {
    let repaired = py
        .detach(|| specplan_store::repair_store(Path::new(path), Path::new(to), run_id, &without))
        .map_err(Failure::from)?;
    Ok(Repaired {
        batches: repaired.batches,
        metric_rows: repaired.metric_rows,
        damages: damages(py, &repaired.problems)?,
        left_out: repaired.left_out,
        unproven: repaired.unproven,
    })
}

pub(crate) fn damages(
    py: Python<'_>,
    problems: &[specplan_store::StoreError],
) -> PyResult<Vec<Py<Damage>>> {
    problems
        .iter()
        .map(|error| Py::new(py, Damage::from(error)))
        .collect()
}
