//! Channels of arrays that have the same number of dimensions, and each its own shape.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use specplan_store::{Rows, ValueType};

use crate::array::{ArrayView, Expected, handed_out, view};
use crate::errors::Failure;
use crate::memory::{ItemType, array_over};
use crate::reader::{ChannelReader, MappedRows};

/// A growing column of arrays of different shapes.
#[pyclass(frozen, module = "specplan._native")]
pub(crate) struct RaggedChannel(pub(crate) specplan_store::RaggedChannel);

#[pymethods]
impl RaggedChannel {
    fn record(&self, arrays: &Bound<'_, PyAny>, epoch: i32, batch: i32) -> PyResult<u64> {
        let channel = &self.0;
        let expected = Expected::Dimensions(channel.dimensions());
        let mut views: Vec<ArrayView<'_>> = Vec::new();
        for (position, array) in arrays.try_iter()?.enumerate() {
            let view = view(&array?, channel.value_type(), expected);
            views.push(view.map_err(|error| at_position(arrays.py(), "array", position, error))?);
        }
        let rows: Vec<(&[usize], &[u8])> = views
            .iter()
            .map(|view| (view.shape.as_slice(), view.bytes()))
            .collect();
        let rows = channel.batch(&rows).map_err(Failure::from)?;
        let staged = channel.try_record(&rows, epoch, batch);
        match staged.map_err(Failure::from)? {
            Some(sequence) => Ok(sequence),
            None => Ok(arrays
                .py()
                .detach(|| channel.record(&rows, epoch, batch))
                .map_err(Failure::from)?),
        }
    }
}

/// The error of one item of a list, which says where it stands.
pub(crate) fn at_position(py: Python<'_>, what: &str, position: usize, error: PyErr) -> PyErr {
    let message = format!("{what} {position}: {}", error.value(py));
    if error.is_instance_of::<PyTypeError>(py) {
        PyTypeError::new_err(message)
    } else if error.is_instance_of::<PyValueError>(py) {
        PyValueError::new_err(message)
    } else {
        error
    }
}

/// One ragged channel.
#[pyclass(frozen, extends = ChannelReader, module = "specplan._native")]
pub(crate) struct RaggedReader {
    descr: ItemType,
    /// Dimensions that are added where a number is handed out as its parts.
    parts: Vec<usize>,
}

impl RaggedReader {
    pub(crate) fn new(value_type: ValueType) -> Self {
        let (name, parts) = handed_out(value_type, &[]);
        Self {
            descr: ItemType::new(name),
            parts,
        }
    }
}

#[pymethods]
impl RaggedReader {
    #[getter]
    fn dimensions(slf: &Bound<'_, Self>) -> usize {
        slf.as_super().get().0.kind().shape().len()
    }

    fn get<'py>(
        slf: &Bound<'py, Self>,
        epoch: i32,
        batch: i32,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let channel = &slf.as_super().get().0;
        arrays(slf, channel.get(epoch, batch).map_err(Failure::from)?)
    }

    fn at<'py>(slf: &Bound<'py, Self>, position: usize) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let channel = &slf.as_super().get().0;
        arrays(slf, channel.at(position).map_err(Failure::from)?)
    }
}

/// Read-only arrays on the map, which they keep alive.
fn arrays<'py>(reader: &Bound<'py, RaggedReader>, rows: Rows) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let py = reader.py();
    let owner = Bound::new(py, MappedRows { rows })?;
    let rows = &owner.get().rows;
    let RaggedReader { descr, parts } = reader.get();
    let array = |row| {
        let array = rows.array(row).map_err(Failure::from)?;
        let data = array.bytes.as_ptr().cast_mut();
        let shape = [array.shape.as_slice(), parts].concat();
        let (length, rest) = shape
            .split_first()
            .map_or((0, &[][..]), |(&length, rest)| (length, rest));
        let owner = owner.clone().into_any();
        // SAFETY: the row has this type, and as many numbers as the shape says. The numbers of all rows start at
        // a multiple of 64 bytes of the file, so that each is aligned. Nobody can write to the map through the array.
        unsafe { array_over(descr.get(py)?, (length, rest), data, false, owner) }
    };
    (0..rows.count()).map(array).collect()
}
