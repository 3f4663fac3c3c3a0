//! The record store: reading.

use std::path::Path;
use std::sync::Arc;

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use specplan_store::{BatchEntry, Kind, PrivateRows, Rows, Session, VisibleFile};

use crate::array::handed_out;
use crate::errors::Failure;
use crate::memory::{ItemType, array_over};
use crate::metrics::MetricTable;
use crate::ragged::RaggedReader;
use crate::texts::TextReader;
use crate::verify::{Damage, damages};

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

    fn verify(&self, py: Python<'_>) -> PyResult<Vec<Py<Damage>>> {
        damages(py, &py.detach(|| self.0.verify()))
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

    fn tensors(&self, py: Python<'_>) -> PyResult<Vec<Py<TensorReader>>> {
        let mut readers = Vec::new();
        for channel in self.0.channels() {
            if let Kind::Tensor { value_type, shape } = channel.kind() {
                let (name, shape) = handed_out(*value_type, shape);
                let descr = ItemType::new(name);
                readers.push(Py::new(
                    py,
                    (TensorReader { descr, shape }, ChannelReader(channel)),
                )?);
            }
        }
        Ok(readers)
    }

    fn ragged(&self, py: Python<'_>) -> PyResult<Vec<Py<RaggedReader>>> {
        let mut readers = Vec::new();
        for channel in self.0.channels() {
            if let Kind::Ragged { value_type, .. } = *channel.kind() {
                let reader = RaggedReader::new(value_type);
                readers.push(Py::new(py, (reader, ChannelReader(channel)))?);
            }
        }
        Ok(readers)
    }

    fn texts(&self, py: Python<'_>) -> PyResult<Vec<Py<TextReader>>> {
        let mut readers = Vec::new();
        for channel in self.0.channels() {
            if let Kind::Text { .. } = channel.kind() {
                readers.push(Py::new(py, (TextReader, ChannelReader(channel)))?);
            }
        }
        Ok(readers)
    }

    #[pyo3(signature = (*, run_id, first = 0))]
    fn metrics(&self, py: Python<'_>, run_id: &str, first: u64) -> Result<MetricTable, Failure> {
        let table = py.detach(|| self.0.metrics(run_id, first))?;
        Ok(MetricTable(Arc::new(table)))
    }

    #[getter]
    fn last_metric(&self) -> Result<u64, Failure> {
        Ok(self.0.last_metric()?)
    }

    fn metric_files(&self) -> PyResult<Vec<(String, u64, u64)>> {
        Ok(names(self.0.metric_files().map_err(Failure::from)?))
    }
}

/// One channel of any kind.
#[pyclass(frozen, subclass, module = "specplan._native")]
pub(crate) struct ChannelReader(pub(crate) Arc<specplan_store::ChannelReader>);

#[pymethods]
impl ChannelReader {
    #[getter]
    fn phase(&self) -> &str {
        &self.0.key().phase
    }

    #[getter]
    fn node(&self) -> &str {
        &self.0.key().node
    }

    #[getter]
    fn role(&self) -> &str {
        &self.0.key().role
    }

    #[getter]
    fn field(&self) -> &str {
        &self.0.key().field
    }

    #[getter]
    fn dtype(&self) -> &'static str {
        self.0.kind().dtype()
    }

    #[getter]
    fn rows(&self) -> u64 {
        self.0.rows()
    }

    #[getter]
    fn batches(&self) -> usize {
        self.0.batches()
    }

    #[pyo3(signature = (epoch = None))]
    fn counts(&self, py: Python<'_>, epoch: Option<i32>) -> PyResult<(usize, u64)> {
        let Some(epoch) = epoch else {
            return Ok((self.0.batches(), self.0.rows()));
        };
        let entries = py.detach(|| self.0.index()).map_err(Failure::from)?;
        let wanted = entries.iter().filter(|entry| entry.epoch == epoch);
        Ok(wanted.fold((0, 0), |(batches, rows), entry| {
            (batches + 1, rows + u64::from(entry.rows))
        }))
    }

    fn index<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let entries = py.detach(|| self.0.index()).map_err(Failure::from)?;
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
        names(self.0.files())
    }
}

/// One tensor channel.
#[pyclass(frozen, extends = ChannelReader, module = "specplan._native")]
pub(crate) struct TensorReader {
    descr: ItemType,
    /// Of a row as it is handed out.
    shape: Vec<usize>,
}

#[pymethods]
impl TensorReader {
    #[getter]
    fn shape<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(slf.py(), shape(&slf.as_super().get().0))
    }

    fn get<'py>(slf: &Bound<'py, Self>, epoch: i32, batch: i32) -> PyResult<Bound<'py, PyAny>> {
        let channel = &slf.as_super().get().0;
        array(slf, channel.get(epoch, batch).map_err(Failure::from)?)
    }

    fn private<'py>(slf: &Bound<'py, Self>, epoch: i32, batch: i32) -> PyResult<Bound<'py, PyAny>> {
        let channel = &slf.as_super().get().0;
        let mut rows = channel.private(epoch, batch).map_err(Failure::from)?;
        let (count, data) = (rows.count(), rows.bytes_mut().as_mut_ptr());
        let owner = Bound::new(slf.py(), PrivatePages { _rows: rows })?.into_any();
        let TensorReader { descr, shape } = slf.get();
        // SAFETY: the rows have this type and shape and are aligned as those on the file's own map are. The map is
        // nobody else's, and its owner gives its pages away only with the array.
        unsafe { array_over(descr.get(slf.py())?, (count, shape), data, true, owner) }
    }

    fn at<'py>(slf: &Bound<'py, Self>, position: usize) -> PyResult<Bound<'py, PyAny>> {
        let channel = &slf.as_super().get().0;
        array(slf, channel.at(position).map_err(Failure::from)?)
    }

    fn chunks<'py>(slf: &Bound<'py, Self>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let channel = &slf.as_super().get().0;
        let chunks = slf
            .py()
            .detach(|| channel.chunks())
            .map_err(Failure::from)?;
        chunks.into_iter().map(|rows| array(slf, rows)).collect()
    }
}

fn shape(channel: &specplan_store::ChannelReader) -> &[usize] {
    match channel.kind() {
        Kind::Tensor { shape, .. } => shape,
        Kind::Ragged { .. } | Kind::Text { .. } => &[],
    }
}

/// A read-only array on the map, which it keeps alive.
fn array<'py>(reader: &Bound<'py, TensorReader>, rows: Rows) -> PyResult<Bound<'py, PyAny>> {
    let py = reader.py();
    let (count, data) = (rows.count(), rows.bytes().as_ptr());
    let owner = Bound::new(py, MappedRows { rows })?.into_any();
    let TensorReader { descr, shape } = reader.get();
    // SAFETY: the rows have this type and shape and are aligned, because every column starts at a
    // multiple of 64 bytes of the file. Nobody can write to the map through the array.
    unsafe {
        array_over(
            descr.get(py)?,
            (count, shape),
            data.cast_mut(),
            false,
            owner,
        )
    }
}

/// Keeps a map alive for the array that may write to it.
#[pyclass(frozen, module = "specplan._native")]
struct PrivatePages {
    _rows: PrivateRows,
}

/// Keeps a map alive for the arrays on it.
#[pyclass(frozen, module = "specplan._native")]
pub(crate) struct MappedRows {
    pub(crate) rows: Rows,
}

fn names(files: Vec<VisibleFile>) -> Vec<(String, u64, u64)> {
    files
        .into_iter()
        .map(|(path, first, rows)| (path.to_string_lossy().into_owned(), first, rows))
        .collect()
}
