//! The types of numbers that a channel can hold.

use arrow_schema::{DataType, TimeUnit};

use crate::error::{Result, StoreError};

macro_rules! value_types {
    ($($variant:ident $name:literal $item:literal $parts:literal $stored:expr,)*) => {
        /// The logical type of a recorded value, named as numpy names it, or torch where numpy has no such type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ValueType {
            $(#[doc = $name] $variant,)*
        }

        impl ValueType {
            /// Every type, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Bytes of one item, both parts of a complex number included.
            pub fn item_bytes(self) -> usize {
                match self { $(Self::$variant => $item,)* }
            }

            /// Stored numbers for one item: 2 for complex types.
            pub fn parts(self) -> usize {
                match self { $(Self::$variant => $parts,)* }
            }

            /// Bytes of a stored number.
            pub(crate) fn stored_bytes(self) -> usize {
                self.item_bytes() / self.parts()
            }

            /// The Arrow type of a stored number.
            pub(crate) fn stored(self) -> DataType {
                match self { $(Self::$variant => $stored,)* }
            }
        }
    };
}

value_types! {
    Bool "bool" 1 1 DataType::UInt8,
    Uint8 "uint8" 1 1 DataType::UInt8,
    Uint16 "uint16" 2 1 DataType::UInt16,
    Uint32 "uint32" 4 1 DataType::UInt32,
    Uint64 "uint64" 8 1 DataType::UInt64,
    Int8 "int8" 1 1 DataType::Int8,
    Int16 "int16" 2 1 DataType::Int16,
    Int32 "int32" 4 1 DataType::Int32,
    Int64 "int64" 8 1 DataType::Int64,
    Float8E4m3fn "float8_e4m3fn" 1 1 DataType::UInt8,
    Float8E5m2 "float8_e5m2" 1 1 DataType::UInt8,
    Float16 "float16" 2 1 DataType::Float16,
    Bfloat16 "bfloat16" 2 1 DataType::UInt16,
    Float32 "float32" 4 1 DataType::Float32,
    Float64 "float64" 8 1 DataType::Float64,
    Complex32 "complex32" 4 2 DataType::Float16,
    Complex64 "complex64" 8 2 DataType::Float32,
    Complex128 "complex128" 16 2 DataType::Float64,
    Datetime "datetime64[ns]" 8 1 DataType::Timestamp(TimeUnit::Nanosecond, None),
    Timedelta "timedelta64[ns]" 8 1 DataType::Duration(TimeUnit::Nanosecond),
}

impl ValueType {
    /// The type of this name.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|value_type| value_type.name() == name)
            .ok_or_else(|| StoreError::UnknownType {
                name: name.to_owned(),
                known: Self::ALL
                    .iter()
                    .map(|known| known.name())
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }
}

/// Largest row: Arrow counts the numbers of a list in 31 bits.
const MOST_ROW_BYTES: usize = i32::MAX as usize;

/// Bytes of a row of this type and shape.
pub(crate) fn row_bytes(value_type: ValueType, shape: &[usize]) -> Result<usize> {
    let bytes = shape
        .iter()
        .try_fold(value_type.item_bytes(), |bytes, &length| {
            bytes.checked_mul(length)
        });
    bytes
        .filter(|&bytes| bytes <= MOST_ROW_BYTES)
        .ok_or_else(|| StoreError::RowTooLarge {
            shape: shape.to_vec(),
            limit: MOST_ROW_BYTES,
        })
}
