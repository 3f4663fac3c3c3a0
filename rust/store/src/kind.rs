//! The kinds of channels: what a row is, and how it is stored and checked.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use arrow_schema::{DataType, Field};

use crate::columns::{Column, Columns, Storage, plain};
use crate::description::{ChannelDescription, ChannelKind};
use crate::error::{Result, StoreError};
use crate::superblock::u32_at;
use crate::value_type::{ValueType, row_bytes};

/// Names of the columns beside the value.
pub(crate) const KEY_COLUMNS: [&str; 2] = ["epoch", "batch"];
/// Metadata of the value's field.
pub(crate) const DTYPE_KEY: &str = "specplan.dtype";
pub(crate) const SHAPE_KEY: &str = "specplan.shape";
/// Most dimensions of a ragged row: as many as numpy's arrays have.
const MOST_DIMENSIONS: usize = 64;

/// Where the parts of a channel stand among the regions of its chunks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Regions {
    pub(crate) values: usize,
    /// Where rows end among the values, if they differ in length.
    pub(crate) offsets: Option<usize>,
    pub(crate) shapes: Option<usize>,
    /// Epoch and batch.
    pub(crate) keys: [usize; 2],
}

/// What the rows of a channel are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Arrays of one shape.
    Tensor {
        /// Type of the numbers.
        value_type: ValueType,
        /// Shape of a row.
        shape: Vec<usize>,
    },
    /// Arrays of different shapes, which have the same number of dimensions.
    Ragged {
        /// Type of the numbers.
        value_type: ValueType,
        /// Number of dimensions of each row.
        dimensions: usize,
    },
    /// Strings.
    Text {
        /// Whether each is a JSON document.
        json: bool,
    },
}

impl Kind {
    /// The kind that a description means, if it can be stored.
    pub(crate) fn parse(description: &ChannelDescription, path: &Path) -> Result<Self> {
        let ChannelDescription { dtype, shape, .. } = description;
        let found = match description.kind {
            ChannelKind::Tensor => Self::Tensor {
                value_type: ValueType::parse(dtype)?,
                shape: shape.iter().map_while(|length| *length).collect(),
            },
            ChannelKind::Ragged => Self::Ragged {
                value_type: ValueType::parse(dtype)?,
                dimensions: shape.len(),
            },
            ChannelKind::Text => Self::Text {
                json: dtype == "json",
            },
        };
        if found.dtype() != dtype || found.shape() != *shape {
            let reason = "a channel of this kind cannot have these dtype and shape";
            return Err(StoreError::damaged(path, 0, reason));
        }
        found.check()?;
        Ok(found)
    }

    /// Refuse rows that cannot be addressed.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Tensor { value_type, shape } => row_bytes(*value_type, shape).map(drop),
            Self::Ragged { dimensions, .. } if !(1..=MOST_DIMENSIONS).contains(dimensions) => {
                Err(StoreError::Dimensions {
                    found: *dimensions,
                    most: MOST_DIMENSIONS,
                })
            }
            _ => Ok(()),
        }
    }

    /// `kind` of the description.
    pub(crate) fn label(&self) -> ChannelKind {
        match self {
            Self::Tensor { .. } => ChannelKind::Tensor,
            Self::Ragged { .. } => ChannelKind::Ragged,
            Self::Text { .. } => ChannelKind::Text,
        }
    }

    /// Name of the type of the numbers, or `string` or `json`.
    pub fn dtype(&self) -> &'static str {
        match self {
            Self::Tensor { value_type, .. } | Self::Ragged { value_type, .. } => value_type.name(),
            Self::Text { json: true } => "json",
            Self::Text { json: false } => "string",
        }
    }

    /// Shape of a row, with nothing for a length that rows differ in.
    pub fn shape(&self) -> Vec<Option<usize>> {
        match self {
            Self::Tensor { shape, .. } => shape.iter().copied().map(Some).collect(),
            Self::Ragged { dimensions, .. } => vec![None; *dimensions],
            Self::Text { .. } => Vec::new(),
        }
    }

    /// Bytes that a record has for each row in front of the values: its shape or its length.
    pub(crate) fn header_bytes(&self) -> usize {
        match self {
            Self::Tensor { .. } => 0,
            Self::Ragged { dimensions, .. } => dimensions * size_of::<i32>(),
            Self::Text { .. } => size_of::<u32>(),
        }
    }

    /// Items of a row, as its header says. None if that is no shape.
    pub(crate) fn row_items(&self, header: &[u8]) -> Option<u64> {
        match self {
            Self::Tensor { .. } => Some(0),
            Self::Ragged { value_type, .. } => {
                let mut lengths = header.as_chunks().0.iter().copied().map(i32::from_le_bytes);
                lengths.try_fold(value_type.parts() as u64, |items, length| {
                    items.checked_mul(u64::try_from(length).ok()?)
                })
            }
            Self::Text { .. } => Some(u64::from(u32_at(header, 0))),
        }
    }

    pub(crate) fn regions(&self) -> Regions {
        match self {
            Self::Tensor { .. } => Regions {
                values: 0,
                offsets: None,
                shapes: None,
                keys: [1, 2],
            },
            Self::Ragged { .. } => Regions {
                offsets: Some(1),
                values: 2,
                shapes: Some(3),
                keys: [4, 5],
            },
            Self::Text { .. } => Regions {
                offsets: Some(0),
                values: 1,
                shapes: None,
                keys: [2, 3],
            },
        }
    }

    /// Columns of the chunks of a channel, value first.
    pub(crate) fn columns(&self, field: &str) -> Columns {
        let storages = match self {
            Self::Tensor { value_type, shape } => {
                let item_bytes = value_type.stored_bytes();
                vec![match row_length(*value_type, shape) {
                    None => Storage::Plain { bytes: item_bytes },
                    Some(length) => Storage::List { length, item_bytes },
                }]
            }
            Self::Ragged {
                value_type,
                dimensions,
            } => vec![
                Storage::Struct,
                Storage::Offsets,
                Storage::Items {
                    bytes: value_type.stored_bytes(),
                },
                Storage::List {
                    length: *dimensions,
                    item_bytes: size_of::<i32>(),
                },
            ],
            Self::Text { .. } => vec![Storage::Offsets, Storage::Text],
        };
        let item = match self {
            Self::Tensor { value_type, .. } | Self::Ragged { value_type, .. } => {
                value_type.stored()
            }
            Self::Text { .. } => DataType::Utf8,
        };
        let value: Column = (self.field(field, item), storages);
        let keys = KEY_COLUMNS.map(|name| plain(name, DataType::Int32, 4));
        Columns::new([value].into_iter().chain(keys).collect())
    }

    /// The Arrow field of the value, whose numbers are of this type; dtype and shape are its metadata.
    pub(crate) fn field(&self, name: &str, item: DataType) -> Field {
        let data_type = match self {
            Self::Tensor { value_type, shape } => match row_length(*value_type, shape) {
                None => item,
                Some(length) => list_of(item, length),
            },
            Self::Ragged { dimensions, .. } => {
                let data = DataType::List(Field::new("item", item, false).into());
                let shape = list_of(DataType::Int32, *dimensions);
                let members = [("data", data), ("shape", shape)];
                let members = members.map(|(name, member)| Field::new(name, member, false));
                DataType::Struct(members.to_vec().into())
            }
            Self::Text { .. } => DataType::Utf8,
        };
        Field::new(name, data_type, false).with_metadata(self.metadata())
    }

    fn metadata(&self) -> HashMap<String, String> {
        let mut metadata = HashMap::from([(DTYPE_KEY.to_owned(), self.dtype().to_owned())]);
        if !matches!(self, Self::Text { .. }) {
            let lengths: Vec<String> = self
                .shape()
                .into_iter()
                .map(|length| length.map_or("null".to_owned(), |length| length.to_string()))
                .collect();
            let shape = format!("[{}]", lengths.join(", "));
            metadata.insert(SHAPE_KEY.to_owned(), shape);
        }
        metadata
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tensor { value_type, shape } => {
                write!(formatter, "{} {shape:?}", value_type.name())
            }
            Self::Ragged {
                value_type,
                dimensions,
            } => write!(
                formatter,
                "ragged {} of dimension {dimensions}",
                value_type.name()
            ),
            Self::Text { .. } => write!(formatter, "text of type {}", self.dtype()),
        }
    }
}

/// A list of so many numbers. Lengths come from shapes that were checked to fit i32.
fn list_of(item: DataType, length: usize) -> DataType {
    DataType::FixedSizeList(Field::new("item", item, false).into(), length as i32)
}

/// Stored numbers in a row, None where a row is one plain number.
pub(crate) fn row_length(value_type: ValueType, shape: &[usize]) -> Option<usize> {
    if shape.is_empty() && value_type.parts() == 1 {
        return None;
    }
    Some(shape.iter().product::<usize>() * value_type.parts())
}
