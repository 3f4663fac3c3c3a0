//! The record store of specplan: growing Arrow IPC files, one writer, any number of readers.
//!
//! The files are described byte by byte in `docs/format.md`, and why they are so in `docs/decisions`. Where to look:
//!
//! - **Files.** `columns` says what a chunk is made of, `kind` what it is made of for each kind of channel, `index_row`
//!   and `metric_row` for an index and for metrics. `layout` places the columns in an Arrow file, `superblock` is what a
//!   chunk says about itself. `watermark` and `hidden` say how far all files count; `description` is the JSON files,
//!   `folder` the names of all of them.
//! - **Writing.** A record goes from `channels` through `recorder` into the blocks of `staging` (or into a `slot`), and
//!   from there, in the drainer's thread, through `writer` to `channel_files`, `index_files` and `metric_files`. These
//!   write `growing_files`, each of which is a `chunk`. `unsynced` and `disk` put on disk what `policy` asks for.
//!   `store` opens and closes all of it, under the `lock`.
//! - **Reading.** `store_reader` follows the watermark, `channel_reader` and `metric_reader` find the rows that it shows
//!   in `mapped_files`, with `batch_index`. A file is checked by `chunk_header` and mapped by `chunk_map`; `rows` are what is handed out.
//!   `fault_guard` keeps the process alive when a file is shortened.
//! - **Continuing and saving.** `power_loss` says what is left after one, and `recovery` gets a store ready for the next
//!   session. `scan`, for `verify` and `repair`, looks at every file of a damaged store on its own; `implied` and
//!   `rebuild` find what headers and indexes do not say any more.
//! - **Tables.** `metric_table` is what is asked of metrics, `metric_arrow` and `metric_text` their columns and their CSV. `export_metrics` and `export_execution` write Parquet through `parquet_file`. `header` reads the columns
//!   of tables that others wrote.

mod batch_index;
mod block;
mod byte_streams;
mod channel_files;
mod channel_reader;
mod channels;
mod chunk;
mod chunk_header;
mod chunk_map;
mod columns;
mod description;
mod disk;
mod division;
mod error;
mod export_execution;
mod export_metrics;
mod fault_guard;
mod findings;
mod fixed_parts;
mod folder;
mod growing_files;
pub mod header;
mod hidden;
mod implied;
mod index_files;
mod index_row;
mod input;
mod keys;
mod kind;
mod layout;
mod lock;
mod mapped_files;
mod metric_arrow;
mod metric_files;
mod metric_reader;
mod metric_row;
mod metric_table;
mod metric_text;
mod number_set;
mod open_channels;
mod parquet_contents;
mod parquet_digest;
mod parquet_file;
mod parquet_groups;
mod parquet_lists;
mod policy;
mod power_loss;
mod private_rows;
mod rebuild;
mod recorder;
mod recovery;
mod region_writer;
mod repair;
mod reserve;
mod row_scan;
mod rows;
mod scan;
mod scan_channel;
mod shuffle;
mod slot;
mod staging;
mod store;
mod store_reader;
mod superblock;
mod table_rows;
mod unsynced;
mod value_type;
mod verify;
mod watermark;
mod writer;

pub use block::Key;
pub use channel_reader::ChannelReader;
pub use channels::{Batch, MetricGroup, RaggedChannel, TensorChannel, TextChannel};
pub use description::Session;
pub use division::{Division, divide};
pub use error::{Result, StoreError};
pub use export_execution::export_execution;
pub use export_metrics::export_metrics;
pub use folder::ChannelKey;
pub use index_row::BatchEntry;
pub use keys::{KeyColumn, Keys, read_keys};
pub use kind::Kind;
pub use mapped_files::VisibleFile;
pub use metric_files::Series;
pub use metric_table::{Label, MetricRow, MetricTable};
pub use metric_text::time_text;
pub use parquet_digest::verify_parquet;
pub use policy::{Durability, OnError};
pub use private_rows::PrivateRows;
pub use recorder::Statistics;
pub use repair::{Repaired, repair_store};
pub use row_scan::{ColumnScan, Comparison, Leak, RowScan, scan_file};
pub use rows::{Array, Rows};
pub use shuffle::shuffled;
pub use slot::{Slot, SlotMemory};
pub use store::{Options, Store};
pub use store_reader::StoreReader;
pub use value_type::ValueType;
pub use verify::{Verified, verify_store};
