//! What a scan of a store has found so far.

use crate::error::{Result, StoreError};
use crate::number_set::NumberSet;

/// Whether a scan remembers the records that are whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Records,
    /// Only how many there are, so that the memory does not grow with them.
    Counts,
}

pub(crate) struct Findings {
    pub(crate) keep: Keep,
    /// The machine was started again while the store was open, and what is visible was proven.
    pub(crate) lost_power: bool,
    /// In the order in which they were met.
    pub(crate) problems: Vec<StoreError>,
    /// Numbers of the visible records that are whole or known to be damaged.
    pub(crate) numbers: NumberSet,
}

impl Findings {
    pub(crate) fn new(keep: Keep) -> Self {
        Self {
            keep,
            lost_power: false,
            problems: Vec::new(),
            numbers: NumberSet::default(),
        }
    }

    pub(crate) fn note(&mut self, problem: StoreError) {
        self.problems.push(problem);
    }

    /// Note what a loss of power does to files that were not durable.
    pub(crate) fn note_torn(&mut self, problem: StoreError) {
        if !self.lost_power {
            self.problems.push(problem);
        }
    }

    /// Note a problem and go on; but a file of a later version may be whole, and must not pass for damaged.
    pub(crate) fn found<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match known(result)? {
            Ok(found) => Ok(Some(found)),
            Err(problem) => {
                self.note(problem);
                Ok(None)
            }
        }
    }

    /// As `found`, of a file that may not have been durable.
    pub(crate) fn found_torn<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match known(result)? {
            Ok(found) => Ok(Some(found)),
            Err(problem) => {
                self.note_torn(problem);
                Ok(None)
            }
        }
    }
}

/// The outer error is that of a later version.
fn known<T>(result: Result<T>) -> Result<Result<T>> {
    match result {
        Err(error @ (StoreError::Newer { .. } | StoreError::Feature { .. })) => Err(error),
        result => Ok(result),
    }
}
