//! Rows of metrics in memory.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict, PyList, PyString};
use specplan_store::{Label, Series, time_text};

use crate::errors::Failure;

/// What was logged, in the order of recording.
#[pyclass(frozen, module = "specplan._native")]
pub(crate) struct MetricTable(pub(crate) Arc<specplan_store::MetricTable>);

#[pymethods]
impl MetricTable {
    #[new]
    fn new() -> Self {
        Self(Arc::default())
    }

    fn __len__(&self) -> usize {
        self.0.rows().len()
    }

    fn labels(&self, column: &str) -> PyResult<Vec<&str>> {
        Ok(self.0.labels(label(column)?))
    }

    fn select(&self, column: &str, text: &str) -> PyResult<Self> {
        Ok(Self(Arc::new(self.0.select(label(column)?, text))))
    }

    fn last(&self, kept_epochs: HashMap<String, i32>) -> Self {
        Self(Arc::new(self.0.last(&kept_epochs)))
    }

    fn last_epochs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let found = PyDict::new(py);
        for (phase, epoch) in self.0.last_epochs() {
            found.set_item(phase, epoch)?;
        }
        Ok(found)
    }

    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let table = &*self.0;
        let run_id = PyString::new(py, table.run_id());
        let labels: Vec<Labels<'py>> = table
            .series()
            .iter()
            .map(|series| Labels::new(py, series))
            .collect();
        let rows = PyList::empty(py);
        for row in table.rows() {
            let made = PyDict::new(py);
            let of_series = &labels[row.series as usize];
            let number = |number: i32| (number >= 0).then_some(number);
            made.set_item(intern!(py, "run_id"), &run_id)?;
            made.set_item(intern!(py, "session"), row.session)?;
            made.set_item(intern!(py, "phase"), &of_series.phase)?;
            made.set_item(intern!(py, "node"), &of_series.node)?;
            made.set_item(intern!(py, "split"), &of_series.split)?;
            made.set_item(intern!(py, "name"), &of_series.name)?;
            made.set_item(intern!(py, "epoch"), number(row.epoch))?;
            made.set_item(intern!(py, "batch"), number(row.batch))?;
            made.set_item(intern!(py, "step"), row.step)?;
            made.set_item(intern!(py, "time"), time_text(row.time))?;
            made.set_item(intern!(py, "value"), row.value)?;
            rows.append(made)?;
        }
        Ok(rows)
    }

    fn csv<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, py.detach(|| self.0.csv()).as_bytes())
    }

    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // Other types than asked for are allowed by the protocol: who asked casts them.
        drop(requested_schema);
        PyCapsule::new_with_value(py, self.0.stream(), c"arrow_array_stream")
    }

    fn __repr__(&self) -> String {
        format!("MetricTable({} rows)", self.0.rows().len())
    }
}

/// The labels of a series as Python has them.
struct Labels<'py> {
    phase: Bound<'py, PyString>,
    node: Option<Bound<'py, PyString>>,
    split: Option<Bound<'py, PyString>>,
    name: Bound<'py, PyString>,
}

impl<'py> Labels<'py> {
    fn new(py: Python<'py>, series: &Series) -> Self {
        let text = |text: &str| PyString::new(py, text);
        let optional = |label: &str| (!label.is_empty()).then(|| text(label));
        Self {
            phase: text(&series.phase),
            node: optional(&series.node),
            split: optional(&series.split),
            name: text(&series.name),
        }
    }
}

/// Read a table of metrics that was written as Parquet.
#[pyfunction]
#[pyo3(signature = (path, *, first = 0))]
pub(crate) fn read_metric_table(
    py: Python<'_>,
    path: &str,
    first: usize,
) -> Result<MetricTable, Failure> {
    let table = py.detach(|| specplan_store::MetricTable::read_parquet(Path::new(path), first))?;
    Ok(MetricTable(Arc::new(table)))
}

fn label(column: &str) -> PyResult<Label> {
    let message = || PyValueError::new_err(format!("`{column}` is no label of metrics"));
    Label::named(column).ok_or_else(message)
}
