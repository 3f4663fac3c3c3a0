//! The record store of specplan.

pub mod header;
