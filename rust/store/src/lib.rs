//! The record store of specplan: growing Arrow IPC files, one writer, any number of readers.
//!
//! The files are described byte by byte in `docs/format.md`.

mod byte_streams;
mod channel_files;
mod channels;
mod chunk;
mod chunk_map;
mod columns;
mod description;
mod error;
mod export_execution;
mod export_metrics;
mod folder;
mod growing_files;
pub mod header;
mod hidden;
mod index_files;
mod kind;
mod layout;
mod lock;
mod metric_files;
mod parquet_contents;
mod parquet_digest;
mod parquet_file;
mod parquet_groups;
mod parquet_lists;
mod parts;
mod recorder;
mod region_writer;
mod rows;
mod staging;
mod store;
mod store_reader;
mod superblock;
mod tensor_reader;
mod unsynced;
mod value_type;
mod verify;
mod watermark;
mod writer;

pub use channels::{Batch, MetricGroup, RaggedChannel, TensorChannel, TextChannel};
pub use description::Session;
pub use error::{Result, StoreError};
pub use export_execution::export_execution;
pub use export_metrics::export_metrics;
pub use folder::ChannelKey;
pub use kind::Kind;
pub use metric_files::Series;
pub use parquet_digest::verify_parquet;
pub use recorder::Statistics;
pub use rows::{Array, Rows};
pub use store::{Options, Store};
pub use store_reader::StoreReader;
pub use superblock::FORMAT;
pub use tensor_reader::{BatchEntry, ChannelReader};
pub use value_type::ValueType;
