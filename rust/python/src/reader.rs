//! The record store: reading.

use std::path::Path;
use std::sync::Arc;

use numpy::{PyArray1, PyArrayDescr};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use specplan_store::{BatchEntry, Rows, Session, VisibleFile};

use crate::array::handed_out;
use crate::errors::Failure;
use crate::memory::array_over;

/// A reader of a live, crashed or closed store. Takes no lock and writes nothing.
#[pyclass(frozen, module = "specplan._native")]
pub(crate) struct StoreReader(specplan_store::StoreReader);

#[pymethods]
impl StoreReader {
    #[staticmethod]
    #[pyo3(signature = (path, *, check = true))]
    fn open(py: Python<'_>, path: String, check: bool) -> Result<Self, Failure> {
        let open = if check {
            specplan_store::StoreReader::open
        } else {
            specplan_store::StoreReader::open_unchecked
        };
        Ok(Self(py.detach(|| open(Path::new(&path)))?))
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

    #[getter]
    fn durable(&self) -> u64 {
        self.0.durable()
    }

    #[getter]
    fn dropped(&self) -> u64 {
        self.0.dropped()
    }

    #[getter]
    fn sessions<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let session = |session: Session| {
            let described = PyDict::new(py);
            described.set_item("session", session.session)?;
            described.set_item("first_sequence", session.first_sequence)?;
            described.set_item("rewound_to", session.rewound_to)?;
            described.set_item("created", session.created)?;
            described.set_item("process", session.process)?;
            described.set_item("host", session.host)?;
            described.set_item("boot_id", session.boot_id)?;
            Ok(described)
        };
        self.0.sessions().into_iter().map(session).collect()
    }

    fn tensors(&self, py: Python<'_>) -> PyResult<Vec<TensorReader>> {
        self.0
            .tensors()
            .into_iter()
            .map(|tensor| TensorReader::new(py, tensor))
            .collect()
    }

    fn metric_files(&self) -> Vec<(String, u64, u64)> {
        names(self.0.metric_files())
    }
}

/// One tensor channel.
#[pyclass(frozen, module = "specplan._native")]
pub(crate) struct TensorReader {
    tensor: Arc<specplan_store::TensorReader>,
    descr: Py<PyArrayDescr>,
    /// Of a row as it is handed out.
    shape: Vec<usize>,
}

impl TensorReader {
    fn new(py: Python<'_>, tensor: Arc<specplan_store::TensorReader>) -> PyResult<Self> {
        let (name, shape) = handed_out(tensor.value_type(), tensor.shape());
        Ok(Self {
            descr: PyArrayDescr::new(py, name)?.unbind(),
            shape,
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
        let chunks = py.detach(|| self.tensor.chunks()).map_err(Failure::from)?;
        chunks
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

    fn files(&self) -> Vec<(String, u64, u64)> {
        names(self.tensor.files())
    }
}

impl TensorReader {
    /// A read-only array on the map, which it keeps alive.
    fn array<'py>(&self, py: Python<'py>, rows: Rows) -> PyResult<Bound<'py, PyAny>> {
        let (count, data) = (rows.count(), rows.bytes().as_ptr());
        let owner = Bound::new(py, MappedRows { _rows: rows })?.into_any();
        // SAFETY: the rows have this type and shape and are aligned, because every column starts at a
        // multiple of 64 bytes of the file. Nobody can write to the map through the array.
        unsafe {
            array_over(
                self.descr.bind(py),
                (count, &self.shape),
                data.cast_mut(),
                false,
                owner,
            )
        }
    }
}

/// Keeps a map alive for the arrays on it.
#[pyclass(frozen, module = "specplan._native")]
struct MappedRows {
    _rows: Rows,
}

fn names(files: Vec<VisibleFile>) -> Vec<(String, u64, u64)> {
    files
        .into_iter()
        .map(|(path, first, rows)| (path.to_string_lossy().into_owned(), first, rows))
        .collect()
}
