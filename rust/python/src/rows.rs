//! Rows of tables: their keys, their division into splits, and which of them are the same.

use std::path::PathBuf;

use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use specplan_store::KeyColumn;

use crate::headers::{data_error, table_format};

/// The key of each row.
#[pyclass(frozen, module = "specplan._native")]
pub(crate) struct Keys(specplan_store::Keys);

#[pymethods]
impl Keys {
    #[new]
    fn new(columns: Vec<(PyBackedBytes, Vec<String>)>) -> PyResult<Self> {
        let mut made: Vec<KeyColumn> = Vec::with_capacity(columns.len());
        for (codes, texts) in columns {
            let (codes, rest) = codes.as_chunks::<4>();
            let codes: Vec<u32> = codes.iter().map(|&code| u32::from_ne_bytes(code)).collect();
            let known = codes.iter().all(|&code| (code as usize) < texts.len());
            let even = made.iter().all(|other| other.codes.len() == codes.len());
            if !rest.is_empty() || !known || !even {
                return Err(PyValueError::new_err("these are no codes of these texts"));
            }
            made.push(KeyColumn { codes, texts });
        }
        Ok(Self(specplan_store::Keys::new(made)))
    }

    #[getter]
    fn counts(&self) -> Vec<u32> {
        self.0.counts().to_vec()
    }

    #[getter]
    fn rows(&self) -> usize {
        self.0.codes().len()
    }

    fn among(&self, rows: PyReadonlyArray1<'_, i64>) -> PyResult<Self> {
        let keys = self.0.among(rows.as_slice()?).map(Self);
        keys.ok_or_else(|| PyIndexError::new_err("there is no such row"))
    }

    fn texts(&self, key: usize) -> PyResult<Vec<&str>> {
        let texts = self.0.texts(key);
        texts.ok_or_else(|| PyIndexError::new_err(format!("there is no key {key}")))
    }
}

/// Read the keys that columns of a table file make.
#[pyfunction]
pub(crate) fn read_keys(
    py: Python<'_>,
    path: PathBuf,
    format: &str,
    columns: Vec<String>,
) -> PyResult<Keys> {
    let format = table_format(format)?;
    py.detach(|| specplan_store::read_keys(&path, format, &columns))
        .map(Keys)
        .map_err(|error| data_error(py, &error))
}

/// The rows of each split.
#[pyclass(frozen, module = "specplan._native")]
pub(crate) struct Division(specplan_store::Division);

#[pymethods]
impl Division {
    #[new]
    #[pyo3(signature = (rows, cells, splits, *, keys=None, seed=None))]
    fn new(
        py: Python<'_>,
        rows: u32,
        cells: Vec<u32>,
        splits: usize,
        keys: Option<&Keys>,
        seed: Option<u64>,
    ) -> PyResult<Self> {
        let keys = keys.map(|keys| keys.0.codes());
        let seed = seed.map(words);
        py.detach(|| {
            specplan_store::divide(
                rows,
                keys,
                &cells,
                splits,
                seed.as_ref().map(<[u32; 2]>::as_slice),
            )
        })
        .map(Self)
        .ok_or_else(|| PyValueError::new_err("the cells do not add up to the rows"))
    }

    fn split<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyArray1<i64>>> {
        if index >= self.0.splits() {
            return Err(PyIndexError::new_err(format!("there is no split {index}")));
        }
        Ok(PyArray1::from_slice(py, self.0.split(index)))
    }
}

/// Numbers from 0 up, shuffled as numpy does.
#[pyfunction]
pub(crate) fn shuffled(rows: u32, seed: u64) -> Vec<u32> {
    specplan_store::shuffled(rows, &words(seed))
}

#[expect(clippy::cast_possible_truncation, reason = "halves are taken")]
fn words(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

/// A look at every value of some columns.
#[pyclass(module = "specplan._native")]
pub(crate) struct RowScan(specplan_store::RowScan);

/// What was found in one column.
#[pyclass(frozen, get_all, module = "specplan._native")]
pub(crate) struct ColumnScan {
    not_finite: u64,
    first_not_finite: Option<u64>,
    has_fractions: bool,
}

/// Rows of one split that are also in another.
#[pyclass(frozen, get_all, module = "specplan._native")]
pub(crate) struct Leak {
    first: usize,
    second: usize,
    rows: u64,
    example: (u32, u32),
}

#[pymethods]
impl RowScan {
    #[new]
    fn new(rows: u32) -> Self {
        Self(specplan_store::RowScan::new(rows))
    }

    fn add(&mut self, py: Python<'_>, dtype: &str, rows: PyBuffer<u8>) -> PyResult<()> {
        if !rows.is_c_contiguous() {
            return Err(PyValueError::new_err("the rows are not contiguous"));
        }
        // SAFETY: the buffer is contiguous and has this many bytes, and it keeps them alive.
        let bytes = unsafe { std::slice::from_raw_parts(rows.buf_ptr().cast(), rows.len_bytes()) };
        let scan = &mut self.0;
        if py.detach(|| scan.add(dtype, bytes)) {
            return Ok(());
        }
        let message = format!("these bytes are no rows of {dtype}");
        Err(PyValueError::new_err(message))
    }

    #[getter]
    fn columns(&self) -> Vec<ColumnScan> {
        let columns = self.0.columns().iter();
        columns
            .map(|column| ColumnScan {
                not_finite: column.not_finite,
                first_not_finite: column.first_not_finite,
                has_fractions: column.has_fractions,
            })
            .collect()
    }

    fn compare(&self, py: Python<'_>, division: &Division) -> PyResult<(u64, Vec<Leak>)> {
        if self.0.rows() != division.0.rows() {
            return Err(PyValueError::new_err("the division is of other rows"));
        }
        let scan = &self.0;
        let found = py.detach(|| scan.compare(&division.0));
        let leaks = found.leaks.iter().map(|leak| Leak {
            first: leak.first,
            second: leak.second,
            rows: leak.rows,
            example: leak.example,
        });
        Ok((found.distinct, leaks.collect()))
    }
}

/// Scan columns of a table file.
#[pyfunction]
pub(crate) fn scan_rows(
    py: Python<'_>,
    path: PathBuf,
    format: &str,
    columns: Vec<(String, usize)>,
    rows: u32,
) -> PyResult<RowScan> {
    let format = table_format(format)?;
    py.detach(|| specplan_store::scan_file(&path, format, &columns, rows))
        .map(RowScan)
        .map_err(|error| data_error(py, &error))
}
