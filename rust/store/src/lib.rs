//! The record store of specplan: growing Arrow IPC files, one writer, any number of readers.
//!
//! The files are described byte by byte in `docs/format.md`.

mod batch_index;
mod block;
mod channel_reader;
mod channels;
mod chunk;
mod chunk_map;
mod description;
mod error;
mod export_execution;
mod export_metrics;
mod folder;
mod growing_files;
pub mod header;
mod hidden;
mod layout;
mod lock;
mod metric_files;
mod metric_reader;
mod open_channels;
mod parquet_file;
mod parts;
mod policy;
mod power_loss;
mod recorder;
mod recovery;
mod slot;
mod staging;
mod store;
mod store_reader;
mod superblock;
mod tensor_files;
mod tensor_reader;
mod unsynced;
mod value_type;
mod verify;
mod watermark;
mod writer;

pub use batch_index::BatchEntry;
pub use channel_reader::{Rows, VisibleFile};
pub use channels::{MetricGroup, TensorChannel};
pub use description::Session;
pub use error::{Result, StoreError};
pub use export_execution::export_execution;
pub use export_metrics::export_metrics;
pub use folder::ChannelKey;
pub use metric_files::Series;
pub use policy::{Durability, OnError};
pub use recorder::Statistics;
pub use slot::{Slot, SlotMemory};
pub use store::{Options, Store};
pub use store_reader::StoreReader;
pub use superblock::FORMAT;
pub use tensor_reader::TensorReader;
pub use value_type::ValueType;
