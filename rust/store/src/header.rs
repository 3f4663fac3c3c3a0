//! The headers of table files: columns and rows of Parquet and Arrow IPC files, without their data.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::input::open_at_once;

mod arrow;
mod column;
mod parquet;

/// The format of a table file.
#[derive(Clone, Copy, Debug)]
pub enum TableFormat {
    /// Apache Parquet.
    Parquet,
    /// The Arrow IPC file format, also known as Feather version 2.
    Arrow,
}

/// What the footer of a table file says.
#[derive(Debug)]
pub struct TableHeader {
    /// Number of rows.
    pub rows: u64,
    /// The columns in the order of the file.
    pub columns: Vec<ColumnHeader>,
    /// `b3:` and the BLAKE3 of the footer bytes and of the file's size (eight bytes, little-endian).
    pub digest: String,
}

/// One column of a table file.
#[derive(Debug)]
pub struct ColumnHeader {
    /// The column's name.
    pub name: String,
    /// numpy's name of the item type, or `string`, or `other: <arrow type>`.
    pub dtype: String,
    /// Shape of one row; `None` where rows differ in length or the header cannot tell.
    ///
    /// The length of a variable-length list is the mean of its rows where every part of the file has the
    /// same integral mean: whoever reads the data must check it.
    pub shape: Option<Vec<u64>>,
    /// Number of nulls; of a list column, of its items. `None` where the file does not say.
    pub nulls: Option<u64>,
}

/// Why the header of a table file could not be read.
#[derive(Debug, Error)]
pub enum HeaderError {
    /// There is no such file.
    #[error("{} not found", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The system could not read the file.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is of another format.
    #[error("{} is not {expected}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The format that was asked for, with its article.
        expected: &'static str,
        /// What was found.
        reason: String,
    },
    /// The footer contradicts itself or the file.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A column holds what cannot be used as it was to be used.
    #[error("{}: column `{column}` {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Code of the fault in the catalogue of diagnostics.
        code: &'static str,
        /// What it holds, and where.
        reason: String,
    },
}

/// Reads the footer of a table file, and of an Arrow file the message headers, which hold the rows.
///
/// # Errors
/// The file is missing, cannot be read, is of another format, or is damaged.
pub fn read_table_header(path: &Path, format: TableFormat) -> Result<TableHeader, HeaderError> {
    let read = || {
        let mut table = TableFile::open(path)?;
        match format {
            TableFormat::Parquet => parquet::read(&mut table),
            TableFormat::Arrow => arrow::read(&mut table),
        }
    };
    // The decoders of parquet and arrow-ipc index and allocate as the file says, and panic where it lies.
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(Fault::damaged("its footer cannot be decoded")))
        .map_err(|fault| fault.at(path))
}

/// An error before its path is known.
#[derive(Debug)]
pub(crate) enum Fault {
    System(io::Error),
    Format(&'static str, String),
    Damaged(String),
    Unusable {
        column: String,
        code: &'static str,
        reason: String,
    },
}

impl Fault {
    pub(crate) fn damaged(reason: impl Into<String>) -> Self {
        Fault::Damaged(reason.into())
    }

    pub(crate) fn unusable(code: &'static str, column: &str, reason: impl Into<String>) -> Self {
        Fault::Unusable {
            column: column.to_owned(),
            code,
            reason: reason.into(),
        }
    }

    /// A null, which nothing can be computed with.
    pub(crate) fn null(column: &str, row: u64) -> Self {
        Self::unusable("SP505", column, format!("has a null in row {row}"))
    }

    pub(crate) fn at(self, path: &Path) -> HeaderError {
        let path = path.to_path_buf();
        match self {
            Fault::System(source) if source.kind() == io::ErrorKind::NotFound => {
                HeaderError::Missing { path }
            }
            Fault::System(source) => HeaderError::Unreadable { path, source },
            Fault::Format(expected, reason) => HeaderError::Format {
                path,
                expected,
                reason,
            },
            Fault::Damaged(reason) => HeaderError::Damaged { path, reason },
            Fault::Unusable {
                column,
                code,
                reason,
            } => HeaderError::Unusable {
                path,
                column,
                code,
                reason,
            },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::System(error)
    }
}

pub(crate) struct TableFile {
    file: File,
    size: u64,
}

impl TableFile {
    pub(crate) fn into_file(self) -> File {
        self.file
    }

    pub(crate) fn open(path: &Path) -> Result<Self, Fault> {
        let file = open_at_once(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
            return Err(Fault::System(error));
        }
        Ok(Self {
            file,
            size: metadata.len(),
        })
    }

    /// The bytes from `offset` on; a file that has no such bytes is damaged.
    fn bytes(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, Fault> {
        let end = offset.checked_add(length);
        if end.is_none_or(|end| end > self.size) {
            return Err(Fault::damaged("it ends too early"));
        }
        let length =
            usize::try_from(length).map_err(|_| Fault::damaged("its footer is too large"))?;
        let mut bytes = vec![0; length];
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn digest(&self, footer: &[u8]) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(footer);
        hasher.update(&self.size.to_le_bytes());
        format!("b3:{}", hasher.finalize().to_hex())
    }
}
