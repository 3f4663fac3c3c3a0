//! Rows divided into splits.

use crate::shuffle::shuffled;

/// The row numbers of each split.
#[derive(Debug)]
pub struct Division {
    rows: Vec<i64>,
    ends: Vec<usize>,
}

impl Division {
    /// The rows of a split, in the order in which they were dealt out.
    ///
    /// # Panics
    /// There is no such split.
    #[must_use]
    pub fn split(&self, index: usize) -> &[i64] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.rows[start..self.ends[index]]
    }

    /// How many splits there are.
    #[must_use]
    pub fn splits(&self) -> usize {
        self.ends.len()
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }
}

/// Deals rows out: `cells` says, key by key, how many rows of the key each of `splits` gets, and `keys` the key of
/// each row (none: all have the same). Rows come shuffled by `seed`, or in order without one; the first rows of a
/// key go to the first split. Returns `None` if the cells do not add up to the rows.
#[must_use]
pub fn divide(
    rows: u32,
    keys: Option<&[u32]>,
    cells: &[u32],
    splits: usize,
    seed: Option<&[u32]>,
) -> Option<Division> {
    if splits == 0 || !cells.len().is_multiple_of(splits) {
        return None;
    }
    let mut sizes = vec![0_usize; splits];
    for key in cells.chunks_exact(splits) {
        for (size, &cell) in sizes.iter_mut().zip(key) {
            *size = size.checked_add(cell as usize)?;
        }
    }
    let mut next: Vec<usize> = Vec::with_capacity(splits);
    let mut ends = Vec::with_capacity(splits);
    let mut end = 0_usize;
    for size in sizes {
        next.push(end);
        end = end.checked_add(size)?;
        ends.push(end);
    }
    if end != rows as usize || keys.is_some_and(|keys| keys.len() != end) {
        return None;
    }
    let mut divided = vec![0_i64; end];
    let mut left = cells.to_vec();
    let mut deal = |row: u32| -> Option<()> {
        let key = keys.map_or(0, |keys| keys[row as usize]) as usize;
        let left = left.get_mut(key * splits..(key + 1) * splits)?;
        let split = left.iter().position(|&left| left > 0)?;
        left[split] -= 1;
        divided[next[split]] = i64::from(row);
        next[split] += 1;
        Some(())
    };
    match seed {
        Some(seed) => shuffled(rows, seed).into_iter().try_for_each(&mut deal)?,
        None => (0..rows).try_for_each(&mut deal)?,
    }
    Some(Division {
        rows: divided,
        ends,
    })
}
