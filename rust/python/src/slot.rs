//! The record store: records whose rows are filled in later.

use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::PyArrayDescr;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use specplan_store::{SlotMemory, TensorChannel};

use crate::array::handed_out;
use crate::errors::Failure;
use crate::memory::array_over;

/// A batch that has its place in the order of records and waits for its rows.
#[pyclass(frozen, module = "specplan._native")]
pub(crate) struct Slot {
    // None once it was committed or given up.
    open: Mutex<Option<Open>>,
    sequence: u64,
    address: usize,
    capacity: usize,
}

struct Open {
    slot: specplan_store::Slot,
    array: Py<PyAny>,
}

/// Keeps the pages of a slot for the arrays on them.
#[pyclass(frozen, module = "specplan._native")]
struct SlotPages {
    _memory: SlotMemory,
}

impl Slot {
    pub(crate) fn new(
        py: Python<'_>,
        channel: &TensorChannel,
        rows: usize,
        slot: specplan_store::Slot,
    ) -> PyResult<Self> {
        let memory = slot.memory().clone();
        let (address, capacity) = (memory.address(), memory.capacity());
        let (name, shape) = handed_out(channel.value_type(), channel.shape());
        let descr = PyArrayDescr::new(py, name)?;
        let owner = Bound::new(py, SlotPages { _memory: memory })?.into_any();
        // SAFETY: the slot has the bytes of so many rows, at the start of a page, for as long as its memory is held.
        // Until the commit only the users of this array touch them.
        let array = unsafe { array_over(&descr, (rows, &shape), address, true, owner) }?;
        Ok(Self {
            sequence: slot.sequence(),
            address: address as usize,
            capacity,
            open: Mutex::new(Some(Open {
                slot,
                array: array.unbind(),
            })),
        })
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended() -> PyErr {
        PyValueError::new_err("the slot was committed or given up already")
    }
}

#[pymethods]
impl Slot {
    #[getter]
    fn array(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let open = self.open();
        let open = open.as_ref().ok_or_else(Self::ended)?;
        Ok(open.array.clone_ref(py))
    }

    #[getter]
    fn address(&self) -> usize {
        self.address
    }

    #[getter]
    fn capacity(&self) -> usize {
        self.capacity
    }

    #[getter]
    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn commit(&self, py: Python<'_>) -> PyResult<u64> {
        let open = self.open().take().ok_or_else(Self::ended)?;
        open.array
            .bind(py)
            .getattr(intern!(py, "flags"))?
            .setattr(intern!(py, "writeable"), false)?;
        Ok(open.slot.commit().map_err(Failure::from)?)
    }

    fn __enter__(slot: Bound<'_, Self>) -> Bound<'_, Self> {
        slot
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        error_type: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        if error_type.is_none() {
            return self.commit(py).map(drop);
        }
        let given_up = self.open().take();
        drop(given_up);
        Ok(())
    }
}
