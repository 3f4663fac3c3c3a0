//! The one map from errors of the store to Python's exceptions.

use pyo3::exceptions::{PyIndexError, PyKeyError, PyValueError};
use pyo3::prelude::*;

pyo3::import_exception!(specplan.errors, StoreError);

/// An error of the record store on its way to Python.
pub(crate) struct Failure(specplan_store::StoreError);

impl From<specplan_store::StoreError> for Failure {
    fn from(error: specplan_store::StoreError) -> Self {
        Self(error)
    }
}

impl From<Failure> for PyErr {
    fn from(Failure(error): Failure) -> Self {
        use specplan_store::StoreError as E;
        let message = error.to_string();
        match error {
            E::NoBatch { .. } => PyKeyError::new_err(message),
            E::NoPosition { .. } => PyIndexError::new_err(message),
            E::UnknownType { .. }
            | E::UnknownOption { .. }
            | E::ReservedField { .. }
            | E::ChannelMismatch { .. }
            | E::Size { .. }
            | E::RowTooLarge { .. }
            | E::Dimensions { .. }
            | E::RowSize { .. }
            | E::NotJson { .. }
            | E::BatchTooLarge { .. } => PyValueError::new_err(message),
            _ => StoreError::new_err(message),
        }
    }
}
