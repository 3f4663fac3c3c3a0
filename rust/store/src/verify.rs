//! Comparing every record with its checksum.

use crate::chunk_map::ChunkMap;
use crate::error::{Result, StoreError};
use crate::export_metrics::check_row;
use crate::store_reader::StoreReader;
use crate::tensor_reader::TensorReader;

impl StoreReader {
    /// Compare every visible record with its checksum; returns what is wrong.
    pub fn verify(&self) -> Vec<StoreError> {
        let mut problems = Vec::new();
        for tensor in self.tensors() {
            verify_tensor(&tensor, self.watermark(), &mut problems);
        }
        let mut last_sequence = 0;
        for (map, rows) in self.metric_rows() {
            for row in rows {
                problems.extend(verify_metric(&map, row, &mut last_sequence).err());
            }
        }
        problems
    }
}

fn verify_tensor(tensor: &TensorReader, watermark: u64, problems: &mut Vec<StoreError>) {
    let mut last_sequence = 0;
    let mut next_row = 0;
    for position in 0..tensor.batches() {
        let found = tensor.entry(position).and_then(|entry| {
            let rows = tensor.at(position)?;
            let after = last_sequence + 1..=watermark;
            if entry.row_start != next_row || !after.contains(&entry.sequence) {
                return Err(rows.damaged("a batch is out of order"));
            }
            rows.check_keys(entry)?;
            rows.check(entry)?;
            Ok(entry)
        });
        match found {
            Ok(entry) => {
                last_sequence = entry.sequence;
                next_row = entry.row_start + u64::from(entry.rows);
            }
            // What follows could only repeat the same problem.
            Err(error) => return problems.push(error),
        }
    }
}

fn verify_metric(map: &ChunkMap, row: u64, last_sequence: &mut u64) -> Result<()> {
    let sequence = check_row(map, row)?;
    if sequence < *last_sequence {
        return Err(map.damaged(map.row_offset(0, row), "a metric is out of order"));
    }
    *last_sequence = sequence;
    Ok(())
}
