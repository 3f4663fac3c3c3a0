//! The record store: reading.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use numpy::npyffi::{self, PY_ARRAY_API, npy_intp};
use numpy::{PyArray1, PyArrayDescr, PyArrayDescrMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use specplan_store::{BatchEntry, Rows, ValueType};

use crate::errors::Failure;

/// A reader of a live, crashed or closed store. Takes no lock and writes nothing.
#[pyclass(frozen, module = "specplan._native")]
pub(crate) struct StoreReader(specplan_store::StoreReader);

#[pymethods]
impl StoreReader {
    #[staticmethod]
    fn open(py: Python<'_>, path: String) -> Result<Self, Failure> {
        Ok(Self(py.detach(|| {
            specplan_store::StoreReader::open(Path::new(&path))
        })?))
    }

    fn refresh(&self, py: Python<'_>) -> Result<u64, Failure> {
        Ok(py.detach(|| self.0.refresh())?)
    }

    #[getter]
    fn watermark(&self) -> u64 {
        self.0.watermark()
    }

    #[getter]
    fn closed(&self) -> bool {
        self.0.closed()
    }

    fn tensors(&self, py: Python<'_>) -> PyResult<Vec<TensorReader>> {
        self.0
            .tensors()
            .into_iter()
            .map(|tensor| TensorReader::new(py, tensor))
            .collect()
    }

    fn metric_files(&self) -> Vec<(String, u64)> {
        names(self.0.metric_files())
    }
}

/// One tensor channel.
#[pyclass(frozen, module = "specplan._native")]
pub(crate) struct TensorReader {
    tensor: Arc<specplan_store::TensorReader>,
    descr: Py<PyArrayDescr>,
}

impl TensorReader {
    fn new(py: Python<'_>, tensor: Arc<specplan_store::TensorReader>) -> PyResult<Self> {
        // numpy has no bfloat16: its bits are handed out.
        let name = match tensor.value_type() {
            ValueType::Bfloat16 => ValueType::Uint16.name(),
            value_type => value_type.name(),
        };
        Ok(Self {
            descr: PyArrayDescr::new(py, name)?.unbind(),
            tensor,
        })
    }
}

#[pymethods]
impl TensorReader {
    #[getter]
    fn phase(&self) -> &str {
        &self.tensor.key().phase
    }

    #[getter]
    fn node(&self) -> &str {
        &self.tensor.key().node
    }

    #[getter]
    fn role(&self) -> &str {
        &self.tensor.key().role
    }

    #[getter]
    fn field(&self) -> &str {
        &self.tensor.key().field
    }

    #[getter]
    fn dtype(&self) -> &str {
        self.tensor.value_type().name()
    }

    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.tensor.shape())
    }

    #[getter]
    fn rows(&self) -> u64 {
        self.tensor.rows()
    }

    #[getter]
    fn batches(&self) -> usize {
        self.tensor.batches()
    }

    fn get<'py>(&self, py: Python<'py>, epoch: i32, batch: i32) -> PyResult<Bound<'py, PyAny>> {
        self.array(py, self.tensor.get(epoch, batch).map_err(Failure::from)?)
    }

    fn at<'py>(&self, py: Python<'py>, position: usize) -> PyResult<Bound<'py, PyAny>> {
        self.array(py, self.tensor.at(position).map_err(Failure::from)?)
    }

    fn chunks<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.tensor
            .chunks()
            .map_err(Failure::from)?
            .into_iter()
            .map(|rows| self.array(py, rows))
            .collect()
    }

    fn index<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let entries = py.detach(|| self.tensor.index()).map_err(Failure::from)?;
        let columns = PyDict::new(py);
        let add = |name: &str, value: fn(&BatchEntry) -> i64| {
            columns.set_item(name, PyArray1::from_iter(py, entries.iter().map(value)))
        };
        add("sequence", |entry| entry.sequence as i64)?;
        add("epoch", |entry| i64::from(entry.epoch))?;
        add("batch", |entry| i64::from(entry.batch))?;
        add("rows", |entry| i64::from(entry.rows))?;
        add("row_start", |entry| entry.row_start as i64)?;
        add("time", |entry| entry.time)?;
        Ok(columns)
    }

    fn files(&self) -> Vec<(String, u64)> {
        names(self.tensor.files())
    }
}

impl TensorReader {
    /// A read-only array on the map, which it keeps alive.
    fn array<'py>(&self, py: Python<'py>, rows: Rows) -> PyResult<Bound<'py, PyAny>> {
        let mut dimensions: Vec<npy_intp> = Vec::with_capacity(1 + self.tensor.shape().len());
        dimensions.push(rows.count() as npy_intp);
        dimensions.extend(self.tensor.shape().iter().map(|&length| length as npy_intp));
        let data = rows.bytes().as_ptr();
        let owner = Bound::new(py, MappedRows { _rows: rows })?;
        // SAFETY: the rows have this type and shape and are aligned, because every column starts at a
        // multiple of 64 bytes of the file. NewFromDescr takes over the reference to the descriptor, and
        // SetBaseObject the one to the owner. Without the writeable flag nobody can write to the map.
        unsafe {
            let array = PY_ARRAY_API.PyArray_NewFromDescr(
                py,
                npyffi::get_type_object(py, npyffi::NpyTypes::PyArray_Type),
                self.descr.bind(py).clone().into_dtype_ptr(),
                dimensions.len() as i32,
                dimensions.as_mut_ptr(),
                std::ptr::null_mut(),
                data.cast_mut().cast(),
                npyffi::NPY_ARRAY_C_CONTIGUOUS | npyffi::NPY_ARRAY_ALIGNED,
                std::ptr::null_mut(),
            );
            let array = Bound::from_owned_ptr_or_err(py, array)?;
            if PY_ARRAY_API.PyArray_SetBaseObject(py, array.as_ptr().cast(), owner.into_ptr()) != 0
            {
                return Err(PyErr::fetch(py));
            }
            Ok(array)
        }
    }
}

/// Keeps a map alive for the arrays on it.
#[pyclass(frozen, module = "specplan._native")]
struct MappedRows {
    _rows: Rows,
}

fn names(files: Vec<(PathBuf, u64)>) -> Vec<(String, u64)> {
    files
        .into_iter()
        .map(|(path, rows)| (path.to_string_lossy().into_owned(), rows))
        .collect()
}
