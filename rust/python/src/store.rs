//! The record store: writing.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt};
use specplan_store::{ChannelKey, Durability, Key, OnError, Options, Series, ValueType};

use crate::array::{Expected, view};
use crate::errors::Failure;
use crate::ragged::RaggedChannel;
use crate::slot::Slot;
use crate::texts::TextChannel;

/// The one writer of a run's records. Safe to call from several threads.
#[pyclass(frozen, module = "specplan._native")]
pub(crate) struct Store(Arc<specplan_store::Store>);

// Stores that are open when the interpreter exits: their last records are written then.
static OPEN: Mutex<Vec<Weak<specplan_store::Store>>> = Mutex::new(Vec::new());

#[pyfunction]
fn close_all(py: Python<'_>) -> PyResult<()> {
    let open = std::mem::take(&mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner));
    let stores = open.iter().filter_map(Weak::upgrade);
    // One that fails must not keep the others from being closed.
    let failures: Vec<_> = stores
        .filter_map(|store| py.detach(|| store.close()).err())
        .collect();
    match failures.into_iter().next() {
        Some(failure) => Err(Failure::from(failure).into()),
        None => Ok(()),
    }
}

fn close_at_exit(py: Python<'_>, store: &Arc<specplan_store::Store>) -> PyResult<()> {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|store| store.strong_count() > 0);
    open.push(Arc::downgrade(store));
    drop(open);
    static REGISTERED: pyo3::sync::PyOnceLock<()> = pyo3::sync::PyOnceLock::new();
    REGISTERED.get_or_try_init(py, || {
        let close = wrap_pyfunction!(close_all, py)?;
        py.import("atexit")?
            .call_method1("register", (close,))
            .map(drop)
    })?;
    Ok(())
}

#[pymethods]
impl Store {
    #[staticmethod]
    #[pyo3(signature = (path, *, run_id, session = 1, staging_bytes = 67_108_864, flush_milliseconds = 20, durability = "process", on_error = "stop"))]
    #[expect(clippy::too_many_arguments, reason = "keyword-only options")]
    fn create(
        py: Python<'_>,
        path: String,
        run_id: String,
        session: u32,
        staging_bytes: usize,
        flush_milliseconds: u64,
        durability: &str,
        on_error: &str,
    ) -> PyResult<Self> {
        let options = options(
            run_id,
            session,
            staging_bytes,
            flush_milliseconds,
            durability,
            on_error,
        )?;
        Self::start(py, &path, |folder| {
            specplan_store::Store::create(folder, &options)
        })
    }

    #[staticmethod]
    #[pyo3(signature = (path, *, session, rewind_to = None, staging_bytes = 67_108_864, flush_milliseconds = 20, durability = "process", on_error = "stop"))]
    #[expect(clippy::too_many_arguments, reason = "keyword-only options")]
    fn open(
        py: Python<'_>,
        path: String,
        session: u32,
        rewind_to: Option<u64>,
        staging_bytes: usize,
        flush_milliseconds: u64,
        durability: &str,
        on_error: &str,
    ) -> PyResult<Self> {
        let options = options(
            String::new(),
            session,
            staging_bytes,
            flush_milliseconds,
            durability,
            on_error,
        )?;
        Self::start(py, &path, |folder| {
            specplan_store::Store::open(folder, &options, rewind_to)
        })
    }

    #[pyo3(signature = (*, phase, node, role, field, dtype, shape))]
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword-only labels of one channel"
    )]
    fn tensor(
        &self,
        py: Python<'_>,
        phase: String,
        node: String,
        role: String,
        field: String,
        dtype: &str,
        shape: Vec<usize>,
    ) -> Result<TensorChannel, Failure> {
        let key = ChannelKey {
            phase,
            node,
            role,
            field,
        };
        let value_type = ValueType::parse(dtype)?;
        Ok(TensorChannel(
            py.detach(|| self.0.tensor(&key, value_type, &shape))?,
        ))
    }

    #[pyo3(signature = (*, phase, node, role, field, dtype, dimensions))]
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword-only labels of one channel"
    )]
    fn ragged(
        &self,
        py: Python<'_>,
        phase: String,
        node: String,
        role: String,
        field: String,
        dtype: &str,
        dimensions: usize,
    ) -> Result<RaggedChannel, Failure> {
        let key = ChannelKey {
            phase,
            node,
            role,
            field,
        };
        let value_type = ValueType::parse(dtype)?;
        Ok(RaggedChannel(
            py.detach(|| self.0.ragged(&key, value_type, dimensions))?,
        ))
    }

    #[pyo3(signature = (*, phase, node, role, field, json = false))]
    fn text(
        &self,
        py: Python<'_>,
        phase: String,
        node: String,
        role: String,
        field: String,
        json: bool,
    ) -> Result<TextChannel, Failure> {
        let key = ChannelKey {
            phase,
            node,
            role,
            field,
        };
        Ok(TextChannel(py.detach(|| self.0.text(&key, json))?))
    }

    fn metrics(&self, py: Python<'_>, series: Vec<SeriesLabels>) -> Result<MetricGroup, Failure> {
        let series = series.into_iter().map(|(phase, node, split, name)| Series {
            phase,
            node: node.unwrap_or_default(),
            split: split.unwrap_or_default(),
            name,
        });
        let series = series.collect();
        Ok(MetricGroup(py.detach(|| self.0.metrics(series))?))
    }

    #[pyo3(signature = (*, durable = false))]
    fn sync(&self, py: Python<'_>, durable: bool) -> Result<u64, Failure> {
        Ok(py.detach(|| {
            if durable {
                self.0.sync_to_disk()
            } else {
                self.0.sync()
            }
        })?)
    }

    #[getter]
    fn durable(&self, py: Python<'_>) -> Result<u64, Failure> {
        Ok(py.detach(|| self.0.durable())?)
    }

    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let statistics = py.detach(|| self.0.statistics()).map_err(Failure::from)?;
        let counters = PyDict::new(py);
        counters.set_item("records", statistics.records)?;
        counters.set_item("bytes", statistics.bytes)?;
        counters.set_item("stalls", statistics.stalls)?;
        counters.set_item("stall_nanoseconds", statistics.stall_nanoseconds)?;
        counters.set_item("drains", statistics.drains)?;
        counters.set_item("chunks", statistics.chunks)?;
        counters.set_item("dropped", statistics.dropped)?;
        Ok(counters)
    }

    fn close(&self, py: Python<'_>) -> Result<(), Failure> {
        Ok(py.detach(|| self.0.close())?)
    }
}

impl Store {
    fn start(
        py: Python<'_>,
        path: &str,
        start: impl FnOnce(&Path) -> specplan_store::Result<specplan_store::Store> + Send,
    ) -> PyResult<Self> {
        if path.is_empty() {
            return Err(PyValueError::new_err("the path of a store is empty"));
        }
        let started = py.detach(|| start(Path::new(path)));
        let store = Arc::new(started.map_err(Failure::from)?);
        close_at_exit(py, &store)?;
        Ok(Self(store))
    }
}

fn options(
    run_id: String,
    session: u32,
    staging_bytes: usize,
    flush_milliseconds: u64,
    durability: &str,
    on_error: &str,
) -> PyResult<Options> {
    if session == 0 {
        return Err(PyValueError::new_err("sessions are numbered from 1"));
    }
    Ok(Options {
        run_id,
        session,
        staging_bytes,
        flush_interval: Duration::from_millis(flush_milliseconds),
        durability: Durability::parse(durability).map_err(Failure::from)?,
        on_error: OnError::parse(on_error).map_err(Failure::from)?,
    })
}

type SeriesLabels = (String, Option<String>, Option<String>, String);

/// A growing column of equal-shaped rows.
#[pyclass(frozen, module = "specplan._native")]
pub(crate) struct TensorChannel(specplan_store::TensorChannel);

#[pymethods]
impl TensorChannel {
    fn record(&self, array: &Bound<'_, PyAny>, epoch: i32, batch: i32) -> PyResult<u64> {
        let channel = &self.0;
        let view = view(array, channel.value_type(), Expected::Rows(channel.shape()))?;
        let (data, rows) = (view.bytes(), view.rows);
        // A copy into hot memory is shorter than giving the interpreter away and getting it back.
        match channel
            .try_record(data, rows, epoch, batch)
            .map_err(Failure::from)?
        {
            Some(sequence) => Ok(sequence),
            None => Ok(array
                .py()
                .detach(|| channel.record(data, rows, epoch, batch))
                .map_err(Failure::from)?),
        }
    }

    fn acquire(&self, py: Python<'_>, rows: usize, epoch: i32, batch: i32) -> PyResult<Slot> {
        let channel = &self.0;
        let acquired = channel
            .try_acquire(rows, epoch, batch)
            .map_err(Failure::from)?;
        let slot = match acquired {
            Some(slot) => slot,
            None => py
                .detach(|| channel.acquire(rows, epoch, batch))
                .map_err(Failure::from)?,
        };
        Slot::new(py, channel, rows, slot)
    }
}

/// Series that are logged together: one call, one number or small buffer of float64.
#[pyclass(frozen, module = "specplan._native")]
pub(crate) struct MetricGroup(specplan_store::MetricGroup);

#[pymethods]
impl MetricGroup {
    #[pyo3(signature = (values, epoch, batch, step, time=None))]
    #[allow(clippy::too_many_arguments, reason = "as Python calls it")]
    fn log(
        &self,
        py: Python<'_>,
        values: &Bound<'_, PyAny>,
        epoch: i32,
        batch: i32,
        step: i64,
        time: Option<i64>,
    ) -> PyResult<u64> {
        let group = &self.0;
        let values = Values::of(values)?;
        let data = values.bytes();
        let key = Key {
            epoch,
            batch,
            step,
            time,
        };
        match group.try_log(data, key).map_err(Failure::from)? {
            Some(sequence) => Ok(sequence),
            None => Ok(py.detach(|| group.log(data, key)).map_err(Failure::from)?),
        }
    }
}

/// Numbers as they come from Python: one, a buffer of them, or a sequence.
enum Values {
    One([u8; 8]),
    Buffer(PyBuffer<f64>),
    Several(Vec<u8>),
}

impl Values {
    fn of(values: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(number) = values.cast::<PyFloat>() {
            return Ok(Self::One(number.value().to_le_bytes()));
        }
        if values.is_instance_of::<PyInt>() {
            return Ok(Self::One(values.extract::<f64>()?.to_le_bytes()));
        }
        // SAFETY: the object is alive; the function only looks at its type.
        if unsafe { ffi::PyObject_CheckBuffer(values.as_ptr()) } == 0 {
            let numbers: Vec<f64> = values.extract()?;
            return Ok(Self::Several(
                numbers.into_iter().flat_map(f64::to_le_bytes).collect(),
            ));
        }
        let buffer = PyBuffer::<f64>::get(values)?;
        if !buffer.is_c_contiguous() || buffer.dimensions() != 1 {
            return Err(PyValueError::new_err(
                "values must be a contiguous buffer of one dimension",
            ));
        }
        Ok(Self::Buffer(buffer))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::One(number) => number,
            Self::Several(numbers) => numbers,
            // SAFETY: the buffer is contiguous, has this many bytes, and is held as long as this is.
            Self::Buffer(buffer) => unsafe {
                std::slice::from_raw_parts(buffer.buf_ptr().cast::<u8>(), buffer.len_bytes())
            },
        }
    }
}
