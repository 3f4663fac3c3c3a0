//! Channels of strings.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use specplan_store::Rows;

use crate::errors::Failure;
use crate::reader::ChannelReader;

/// A growing column of strings, or of JSON documents.
#[pyclass(frozen, module = "specplan._native")]
pub(crate) struct TextChannel(pub(crate) specplan_store::TextChannel);

#[pymethods]
impl TextChannel {
    fn record(&self, texts: &Bound<'_, PyAny>, epoch: i32, batch: i32) -> PyResult<u64> {
        let channel = &self.0;
        // A string is a sequence of strings, and never the one that is meant.
        if texts.is_instance_of::<PyString>() || texts.is_instance_of::<PyBytes>() {
            return Err(not_texts("expected a sequence of strings", texts));
        }
        let strings: Vec<Bound<'_, PyString>> = texts
            .try_iter()?
            .enumerate()
            .map(|(position, text)| {
                let text = text?.cast_into::<PyString>();
                text.map_err(|error| {
                    not_texts(
                        &format!("text {position}: expected a string"),
                        &error.into_inner(),
                    )
                })
            })
            .collect::<PyResult<_>>()?;
        let mut rows = Vec::with_capacity(strings.len());
        for (position, text) in strings.iter().enumerate() {
            rows.push(text.to_str().map_err(|error| {
                // Only half of a surrogate pair has no UTF-8.
                PyValueError::new_err(format!("text {position}: {}", error.value(texts.py())))
            })?);
        }
        let rows = channel.batch(&rows).map_err(Failure::from)?;
        let staged = channel.try_record(&rows, epoch, batch);
        match staged.map_err(Failure::from)? {
            Some(sequence) => Ok(sequence),
            None => Ok(texts
                .py()
                .detach(|| channel.record(&rows, epoch, batch))
                .map_err(Failure::from)?),
        }
    }
}

fn not_texts(expected: &str, found: &Bound<'_, PyAny>) -> PyErr {
    match found.get_type().qualname() {
        Ok(name) => PyTypeError::new_err(format!("{expected}, got `{name}`")),
        Err(error) => error,
    }
}

/// One text channel.
#[pyclass(frozen, extends = ChannelReader, module = "specplan._native")]
pub(crate) struct TextReader;

#[pymethods]
impl TextReader {
    fn get<'py>(
        slf: &Bound<'py, Self>,
        epoch: i32,
        batch: i32,
    ) -> PyResult<Vec<Bound<'py, PyString>>> {
        let channel = &slf.as_super().get().0;
        texts(slf.py(), &channel.get(epoch, batch).map_err(Failure::from)?)
    }

    fn at<'py>(slf: &Bound<'py, Self>, position: usize) -> PyResult<Vec<Bound<'py, PyString>>> {
        let channel = &slf.as_super().get().0;
        texts(slf.py(), &channel.at(position).map_err(Failure::from)?)
    }
}

fn texts<'py>(py: Python<'py>, rows: &Rows) -> PyResult<Vec<Bound<'py, PyString>>> {
    let text = |row| {
        let text = rows.text(row).map_err(Failure::from)?;
        Ok(PyString::new(py, text))
    };
    (0..rows.count()).map(text).collect()
}
