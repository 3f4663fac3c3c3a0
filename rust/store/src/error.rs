//! Everything that can go wrong, in words that name the file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Result of the record store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// What can go wrong with a record store. Cloned because a failed write is raised again by every later call.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The answer of the operating system.
        source: Arc<io::Error>,
    },
    /// Another process writes this store.
    #[error("`{}` is being written by process {holder}", path.display())]
    Locked {
        /// Folder of the store.
        path: PathBuf,
        /// Process id of the writer, or "unknown".
        holder: String,
    },
    /// `create` on a folder that has a store.
    #[error("`{}` holds records already", path.display())]
    Exists {
        /// Folder of the store.
        path: PathBuf,
    },
    /// `open` on a folder that has none.
    #[error("`{}` is not a record store: it has no `store.json`", path.display())]
    Missing {
        /// Folder that was opened.
        path: PathBuf,
    },
    /// A file is not what the format says.
    #[error("`{}` is damaged at byte {offset}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The store was written by a later version.
    #[error("`{}` has format {found}; this version reads formats up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The store uses an addition to the format that this version does not know.
    #[error("`{}` needs a newer version: feature {feature}", path.display())]
    Feature {
        /// The file.
        path: PathBuf,
        /// The addition: a name, or the number of a bit.
        feature: String,
    },
    /// A session that is not later than the last one.
    #[error("session {session} cannot begin: session {last} wrote `{}` already", path.display())]
    SessionOrder {
        /// Folder of the store.
        path: PathBuf,
        /// The session that was to begin.
        session: u32,
        /// The last one that did.
        last: u32,
    },
    /// A store that is to be rewound to a place that it has not reached.
    #[error("`{}` cannot be rewound to record {to}: its records end at {watermark}", path.display())]
    Rewind {
        /// Folder of the store.
        path: PathBuf,
        /// Where it was to end.
        to: u64,
        /// Where it ends.
        watermark: u64,
    },
    /// A store that was continued too often.
    #[error(
        "`{}` cannot be continued: it has {limit} gaps already; rewind it to a record before one of them",
        path.display()
    )]
    TooManyRewinds {
        /// Folder of the store.
        path: PathBuf,
        /// How many ranges of records may be hidden.
        limit: usize,
    },
    /// A call on a closed store.
    #[error("the store `{}` is closed", path.display())]
    Closed {
        /// Folder of the store.
        path: PathBuf,
    },
    /// A thread panicked in the middle of a write.
    #[error("a thread panicked while it wrote `{}`; nothing more is written there", path.display())]
    Abandoned {
        /// Folder of the store.
        path: PathBuf,
    },
    /// A call on the writer that a forked child inherited.
    #[error("the store `{}` belongs to process {owner}; a forked child cannot write it", path.display())]
    Forked {
        /// Folder of the store.
        path: PathBuf,
        /// Process id of the owner.
        owner: u32,
    },
    /// Too many stores are open in this process.
    #[error("cannot create `{}`: {limit} stores are open in this process", path.display())]
    TooManyStores {
        /// Folder of the store.
        path: PathBuf,
        /// How many may be open.
        limit: usize,
    },
    /// Waiting for records behind a slot that nobody filled in.
    #[error("record {sequence} of `{}` is a slot that was not committed", path.display())]
    Uncommitted {
        /// Folder of the store.
        path: PathBuf,
        /// Sequence number of the slot.
        sequence: u64,
    },
    /// An option that has no such value.
    #[error("unknown {option} `{name}`; known: {known}")]
    UnknownOption {
        /// Which option.
        option: &'static str,
        /// What was asked for.
        name: String,
        /// What is known.
        known: &'static str,
    },
    /// A dtype that no channel can hold.
    #[error("unknown dtype `{name}`; known: {known}")]
    UnknownType {
        /// What was asked for.
        name: String,
        /// The names of all dtypes.
        known: String,
    },
    /// Ragged rows of no dimension, or of more than an array can have.
    #[error("ragged rows have 1 to {most} dimensions, not {found}")]
    Dimensions {
        /// What was asked for.
        found: usize,
        /// The most that there can be.
        most: usize,
    },
    /// A ragged row that is not what its channel holds.
    #[error(
        "row {row} has {found} bytes and shape {shape:?}; the channel holds rows of dimension {dimensions}"
    )]
    RowSize {
        /// Position of the row in the batch.
        row: usize,
        /// Its size in bytes.
        found: usize,
        /// Its shape.
        shape: Vec<usize>,
        /// The number of dimensions that it must have.
        dimensions: usize,
    },
    /// A text that is not what its channel holds.
    #[error("text {row}: it is not JSON: {reason}")]
    NotJson {
        /// Position of the text in the batch.
        row: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// More in one batch than Arrow's offsets can count.
    #[error("a batch of {what} may have {limit} of them; this one has {found}")]
    BatchTooLarge {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A row shape that cannot be addressed.
    #[error("rows of shape {shape:?} are too large: a row may have {limit} bytes")]
    RowTooLarge {
        /// The shape.
        shape: Vec<usize>,
        /// The largest row.
        limit: usize,
    },
    /// A field whose column would have the name of a key column.
    #[error(
        "a recorded value cannot be named `{name}`: its column would be taken for a key; taken: {taken}"
    )]
    ReservedField {
        /// What was asked for.
        name: String,
        /// The names that are taken.
        taken: String,
    },
    /// A channel was opened twice with different types.
    #[error("channel `{channel}` is {existing}, not {requested}")]
    ChannelMismatch {
        /// Folder name of the channel.
        channel: String,
        /// dtype and row shape that it has.
        existing: String,
        /// dtype and row shape that were asked for.
        requested: String,
    },
    /// A batch whose size does not fit its channel or its series.
    #[error("{what} has {found} bytes; expected {expected}")]
    Size {
        /// What was recorded.
        what: &'static str,
        /// Its size in bytes.
        found: usize,
        /// The size that it must have.
        expected: usize,
    },
    /// A batch that is not in the channel.
    #[error("channel `{channel}` has no batch {batch} of epoch {epoch}")]
    NoBatch {
        /// Folder name of the channel.
        channel: String,
        /// The epoch asked for.
        epoch: i32,
        /// The batch asked for.
        batch: i32,
    },
    /// A position beyond the last batch.
    #[error("channel `{channel}` has {batches} batches; there is none at position {position}")]
    NoPosition {
        /// Folder name of the channel.
        channel: String,
        /// The position asked for.
        position: usize,
        /// How many there are.
        batches: usize,
    },
    /// A phase without tensor channels.
    #[error("`{}` has no tensor records of phase `{phase}`; known: {known}", path.display())]
    NoPhase {
        /// Folder of the store.
        path: PathBuf,
        /// The phase asked for.
        phase: String,
        /// The phases that there are.
        known: String,
    },
    /// Channels of one phase that cannot be rows of one table.
    #[error(
        "batch {batch} of epoch {epoch} has {found} rows in `{channel}` and {expected} in `{reference}`"
    )]
    UnequalRows {
        /// The epoch.
        epoch: i32,
        /// The batch.
        batch: i32,
        /// Folder name of the channel.
        channel: String,
        /// Rows of the batch in that channel.
        found: usize,
        /// Folder name of the channel it is joined with.
        reference: String,
        /// Rows of the batch there.
        expected: usize,
    },
    /// Parquet could not be written or did not read back equal.
    #[error("cannot export `{}`: {reason}", path.display())]
    Export {
        /// The Parquet file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, error: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_path_buf(),
            source: Arc::new(error),
        }
    }

    /// The file and the byte that an error is about, as far as it is about one, and what it says beside them.
    pub fn place(&self) -> (Option<&Path>, Option<u64>, String) {
        match self {
            Self::Damaged {
                path,
                offset,
                reason,
            } => (Some(path), Some(*offset), reason.clone()),
            Self::Io {
                action,
                path,
                source,
            } => (Some(path), None, format!("cannot {action} it: {source}")),
            _ => (None, None, self.to_string()),
        }
    }

    pub(crate) fn damaged(path: &Path, offset: u64, reason: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_path_buf(),
            offset,
            reason: reason.into(),
        }
    }
}

pub(crate) trait IoContext<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|error| StoreError::io(action, path, error))
    }
}
