//! The footer of an Arrow IPC file, and the headers of its messages, which alone tell the rows.

use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::read_footer_length;
use arrow_ipc::{Block, FieldNode, root_as_footer, root_as_message};
use arrow_schema::{ArrowError, DataType};
use flatbuffers::InvalidFlatbuffer;

use super::column::{self, Counts};
use super::{Fault, TableFile, TableHeader};

const NAME: &str = "an Arrow IPC file";
const MAGIC: &[u8] = b"ARROW1";
/// The length of the footer and the magic.
const TAIL: u64 = 10;

pub(super) fn read(table: &mut TableFile) -> Result<TableHeader, Fault> {
    let footer = read_footer(table)?;
    let root = root_as_footer(&footer)?;
    let schema = root
        .schema()
        .ok_or_else(|| Fault::damaged("its footer has no schema"))?;
    let schema = try_fb_to_schema(schema)?;
    let mut batches = Vec::new();
    for block in root.recordBatches().iter().flatten() {
        batches.push(read_batch(table, block)?);
    }
    let mut position = 0;
    let mut columns = Vec::new();
    for field in schema.fields() {
        columns.push(column::header(
            field,
            &counts(field.data_type(), &batches, position)?,
        )?);
        position += node_count(field.data_type());
    }
    let rows = batches
        .iter()
        .try_fold(0_u64, |sum, batch| sum.checked_add(batch.rows));
    Ok(TableHeader {
        rows: rows.ok_or_else(|| Fault::damaged("it has too many rows"))?,
        columns,
        digest: table.digest(&footer),
    })
}

fn read_footer(table: &mut TableFile) -> Result<Vec<u8>, Fault> {
    let length = table.size;
    let start = table.bytes(0, length.min(MAGIC.len() as u64))?;
    if start.starts_with(b"FEA1") {
        return Err(Fault::Format(
            NAME,
            "it is of Feather version 1; write it anew".to_owned(),
        ));
    }
    if start != MAGIC {
        return Err(Fault::Format(
            NAME,
            "it does not start with ARROW1".to_owned(),
        ));
    }
    let tail_start = length.checked_sub(TAIL).unwrap_or(length);
    let tail = table.bytes(tail_start, length - tail_start)?;
    let missing = || Fault::damaged("its footer is missing; was it written to the end?");
    let tail = tail.as_slice().try_into().map_err(|_| missing())?;
    let footer = read_footer_length(tail).map_err(|_| missing())? as u64;
    let start = tail_start.checked_sub(footer);
    table.bytes(
        start.ok_or_else(|| Fault::damaged("its footer is longer than the file"))?,
        footer,
    )
}

/// The counts of one record batch. `nodes` are (rows, nulls) of each array, parents before children.
struct Batch {
    rows: u64,
    nodes: Vec<(u64, u64)>,
}

fn read_batch(table: &mut TableFile, block: &Block) -> Result<Batch, Fault> {
    let length = u64::try_from(block.metaDataLength());
    let length = length.map_err(|_| Fault::damaged("a record batch has a negative length"))?;
    let bytes = table.bytes(unsigned(block.offset())?, length)?;
    // Files of before Arrow 0.15 have no continuation mark in front of the length.
    let prefix = if bytes.starts_with(&[0xff; 4]) { 8 } else { 4 };
    let message = bytes
        .get(prefix..)
        .ok_or_else(|| Fault::damaged("a record batch has no header"))?;
    let batch = root_as_message(message)?.header_as_record_batch();
    let batch =
        batch.ok_or_else(|| Fault::damaged("a block of its footer is not a record batch"))?;
    let nodes = batch.nodes().into_iter().flatten();
    let nodes =
        nodes.map(|node: &FieldNode| Ok((unsigned(node.length())?, unsigned(node.null_count())?)));
    Ok(Batch {
        rows: unsigned(batch.length())?,
        nodes: nodes.collect::<Result<_, Fault>>()?,
    })
}

/// `position` is that of the column's own node.
fn counts(data_type: &DataType, batches: &[Batch], position: usize) -> Result<Counts, Fault> {
    let levels = list_levels(data_type);
    let mut nulls = 0_u64;
    let mut parts = Vec::new();
    for batch in batches {
        let nodes = batch.nodes.get(position..=position + levels);
        let nodes = nodes.ok_or_else(|| Fault::damaged("a record batch lacks a column"))?;
        for &(_, found) in nodes {
            nulls = nulls
                .checked_add(found)
                .ok_or_else(|| Fault::damaged("it has too many nulls"))?;
        }
        parts.push((batch.rows, nodes[levels].0));
    }
    Ok(Counts::new(Some(nulls), parts.into_iter()))
}

fn list_levels(data_type: &DataType) -> usize {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => 1 + list_levels(field.data_type()),
        _ => 0,
    }
}

/// How many arrays of a record batch a column of this type has.
fn node_count(data_type: &DataType) -> usize {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => 1 + node_count(field.data_type()),
        DataType::Struct(fields) => {
            1 + fields
                .iter()
                .map(|field| node_count(field.data_type()))
                .sum::<usize>()
        }
        DataType::Union(fields, _) => {
            1 + fields
                .iter()
                .map(|(_, field)| node_count(field.data_type()))
                .sum::<usize>()
        }
        DataType::RunEndEncoded(ends, values) => {
            1 + node_count(ends.data_type()) + node_count(values.data_type())
        }
        _ => 1,
    }
}

fn unsigned(count: i64) -> Result<u64, Fault> {
    u64::try_from(count).map_err(|_| Fault::damaged("a record batch has a negative count"))
}

impl From<ArrowError> for Fault {
    fn from(error: ArrowError) -> Self {
        Fault::damaged(error.to_string())
    }
}

impl From<InvalidFlatbuffer> for Fault {
    fn from(error: InvalidFlatbuffer) -> Self {
        Fault::damaged(error.to_string())
    }
}
