//! The record store of specplan.
