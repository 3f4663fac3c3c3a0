//! `read_table_header`: the columns and rows of a Parquet or Arrow IPC file.

use std::path::PathBuf;

use pyo3::PyTypeInfo;
use pyo3::exceptions::PyValueError;
use pyo3::import_exception;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use specplan_store::header::{self, TableFormat};

import_exception!(specplan.errors, DataError);

/// One column of a table file.
#[pyclass(frozen, get_all, module = "specplan._native")]
pub(crate) struct ColumnHeader {
    name: String,
    dtype: String,
    shape: Option<Py<PyTuple>>,
    nulls: Option<u64>,
}

#[pymethods]
impl ColumnHeader {
    fn __repr__(&self) -> String {
        let shape = self
            .shape
            .as_ref()
            .map_or("None".to_owned(), ToString::to_string);
        let nulls = self
            .nulls
            .map_or("None".to_owned(), |nulls| nulls.to_string());
        format!(
            "ColumnHeader({:?}, {:?}, shape={shape}, nulls={nulls})",
            self.name, self.dtype
        )
    }
}

/// What the footer of a table file says.
#[pyclass(frozen, get_all, module = "specplan._native")]
pub(crate) struct TableHeader {
    rows: u64,
    columns: Vec<Py<ColumnHeader>>,
    digest: String,
}

/// Read the footer of a Parquet or Arrow IPC file, and for Arrow the headers of its record batches.
#[pyfunction]
pub(crate) fn read_table_header(
    py: Python<'_>,
    path: PathBuf,
    format: &str,
) -> PyResult<TableHeader> {
    let format = table_format(format)?;
    let header = py
        .detach(|| header::read_table_header(&path, format))
        .map_err(|error| data_error(py, &error))?;
    let columns = header.columns.into_iter();
    Ok(TableHeader {
        rows: header.rows,
        columns: columns
            .map(|column| wrap(py, column))
            .collect::<PyResult<_>>()?,
        digest: header.digest,
    })
}

fn wrap(py: Python<'_>, column: header::ColumnHeader) -> PyResult<Py<ColumnHeader>> {
    let shape = column
        .shape
        .map(|shape| PyTuple::new(py, shape))
        .transpose()?;
    let header = ColumnHeader {
        name: column.name,
        dtype: column.dtype,
        shape: shape.map(Bound::unbind),
        nulls: column.nulls,
    };
    Py::new(py, header)
}

/// A `DataError` that knows the column, where it is about one.
pub(crate) fn data_error(py: Python<'_>, error: &header::HeaderError) -> PyErr {
    let header::HeaderError::Unusable { column, code, .. } = error else {
        return DataError::new_err(error.to_string());
    };
    let known = PyDict::new(py);
    let made = known
        .set_item("code", code)
        .and_then(|()| known.set_item("column", column))
        .and_then(|()| DataError::type_object(py).call((error.to_string(),), Some(&known)));
    made.map_or_else(|failure| failure, PyErr::from_value)
}

pub(crate) fn table_format(name: &str) -> PyResult<TableFormat> {
    match name {
        "parquet" => Ok(TableFormat::Parquet),
        "arrow" => Ok(TableFormat::Arrow),
        _ => Err(PyValueError::new_err(format!(
            "format is {name:?}, must be 'parquet' or 'arrow'"
        ))),
    }
}
