//! What a store does about power and about failed writes.

use std::time::Duration;

use crate::error::{Result, StoreError};

/// Time between two syncs at the level `periodic`.
pub(crate) const SYNC_PERIOD: Duration = Duration::from_secs(5);

/// When records are put on disk, so that they survive a loss of power. A close always does it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the system does: records survive the end of the process, not a loss of power.
    #[default]
    Process,
    /// Every five seconds.
    Periodic,
    /// After each round of writing.
    Disk,
}

/// What a failed write does to the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// Nothing more is written, and every later call raises the error.
    #[default]
    Stop,
    /// The records of that round are lost and counted; later ones are written again if they can be.
    Drop,
}

/// Both of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Policy {
    pub(crate) durability: Durability,
    pub(crate) on_error: OnError,
}

impl Durability {
    /// The level of this name.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "process" => Ok(Self::Process),
            "periodic" => Ok(Self::Periodic),
            "disk" => Ok(Self::Disk),
            _ => Err(unknown("durability", name, "process, periodic, disk")),
        }
    }
}

impl OnError {
    /// The policy of this name.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "stop" => Ok(Self::Stop),
            "drop" => Ok(Self::Drop),
            _ => Err(unknown("on_error", name, "stop, drop")),
        }
    }
}

fn unknown(option: &'static str, name: &str, known: &'static str) -> StoreError {
    StoreError::UnknownOption {
        option,
        name: name.to_owned(),
        known,
    }
}
