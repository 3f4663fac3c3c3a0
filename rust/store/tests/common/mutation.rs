//! Small and large changes of files, half of them where files describe themselves.

use std::fs::{self, File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::Random;

/// A file of a store as it is, and as it was earlier.
pub(crate) struct Subject {
    pub(crate) path: PathBuf,
    pub(crate) whole: Vec<u8>,
    earlier: Option<Vec<u8>>,
    described: Vec<Range<usize>>,
    // Places that hold something: most of a growing chunk is a hole.
    filled: Vec<usize>,
}

/// What becomes of a file.
pub(crate) struct Mutation {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Subject {
    pub(crate) fn new(path: PathBuf, earlier: Option<Vec<u8>>) -> Self {
        let whole = fs::read(&path).unwrap();
        let filled = (0..whole.len()).filter(|&place| whole[place] != 0);
        Self {
            described: described(&path, &whole),
            filled: filled.collect(),
            path,
            whole,
            earlier,
        }
    }

    /// A random change of this file; `others` are the files that pieces can come from.
    pub(crate) fn mutate(&self, others: &[Subject], random: &mut Random) -> Mutation {
        let mut bytes = self.whole.clone();
        let start = self.place(random);
        let name = match random.below(10) {
            0 => {
                bytes[start] ^= 1 << random.below(8);
                "flip a bit".to_owned()
            }
            1 => {
                bytes[start] = random.below(256) as u8;
                "set a byte".to_owned()
            }
            2 => change_number::<4>(&mut bytes, start, random),
            3 => change_number::<8>(&mut bytes, start, random),
            4 => {
                bytes.truncate(start);
                "truncate".to_owned()
            }
            5 => {
                let end = end(&bytes, start, random);
                bytes[start..end].fill(0);
                format!("zero until {end}")
            }
            6 => {
                let end = end(&bytes, start, random);
                let from = self.place(random).min(bytes.len() - (end - start));
                bytes.copy_within(from..from + (end - start), start);
                format!("repeat what stands at {from} until {end}")
            }
            7 => {
                let other = &others[random.below(others.len())];
                splice(&mut bytes, start, &other.whole, other.place(random), random)
            }
            _ => match &self.earlier {
                Some(earlier) => splice(&mut bytes, start, earlier, start, random),
                None => change_number::<8>(&mut bytes, start, random),
            },
        };
        Mutation {
            name: format!("{}: {name} at {start}", self.path.display()),
            bytes,
        }
    }

    fn place(&self, random: &mut Random) -> usize {
        let place = match random.below(20) {
            0 => random.below(self.whole.len()),
            1..10 if !self.filled.is_empty() => {
                self.filled[random.below(self.filled.len())] + random.below(8)
            }
            _ => {
                let range = &self.described[random.below(self.described.len())];
                range.start + random.below(range.len())
            }
        };
        place.min(self.whole.len() - 1)
    }

    /// Put a mutation in place of the file. No map of it may live.
    pub(crate) fn write(&self, bytes: &[u8]) {
        rewrite(&self.path, &self.whole, bytes);
    }

    /// Put the file back as it was.
    pub(crate) fn restore(&self, from: &[u8]) {
        rewrite(&self.path, from, &self.whole);
    }
}

/// Change a file that holds `now` so that it holds `wanted`, writing only what differs.
fn rewrite(path: &Path, now: &[u8], wanted: &[u8]) {
    let file: File = OpenOptions::new().write(true).open(path).unwrap();
    if now.len() != wanted.len() {
        file.set_len(wanted.len() as u64).unwrap();
    }
    let common = now.len().min(wanted.len());
    let equal = |(left, right): (&u8, &u8)| left == right;
    let start = now
        .iter()
        .zip(wanted)
        .take_while(|&pair| equal(pair))
        .count();
    let after = if now.len() == wanted.len() {
        let same = now[start..].iter().rev().zip(wanted[start..].iter().rev());
        common - same.take_while(|&pair| equal(pair)).count()
    } else {
        wanted.len()
    };
    if start < after {
        file.write_all_at(&wanted[start..after], start as u64)
            .unwrap();
    }
}

fn end(bytes: &[u8], start: usize, random: &mut Random) -> usize {
    let bits = 1 + random.below(12);
    (start + 1 + random.below(1 << bits)).min(bytes.len())
}

fn splice(
    bytes: &mut [u8],
    start: usize,
    from: &[u8],
    place: usize,
    random: &mut Random,
) -> String {
    let wanted = end(bytes, start, random) - start;
    let length = wanted.min(from.len().saturating_sub(place));
    bytes[start..start + length].copy_from_slice(&from[place..place + length]);
    format!("splice {length} bytes of {place}")
}

fn change_number<const N: usize>(bytes: &mut [u8], start: usize, random: &mut Random) -> String {
    let start = start / N * N;
    let Some(place) = bytes.get_mut(start..start + N) else {
        return "nothing".to_owned();
    };
    let mut word = [0; 8];
    word[..N].copy_from_slice(place);
    let number = u64::from_le_bytes(word);
    let (name, number) = match random.below(5) {
        0 => ("zero", 0),
        1 => ("the largest number", u64::MAX),
        2 => ("one more", number.wrapping_add(1)),
        3 => ("one less", number.wrapping_sub(1)),
        _ => ("its negative", number.wrapping_neg()),
    };
    place.copy_from_slice(&number.to_le_bytes()[..N]);
    format!("put {name} in {N} bytes")
}

/// The parts of a file that say how to read it.
fn described(path: &Path, whole: &[u8]) -> Vec<Range<usize>> {
    let name = path.file_name().unwrap().to_string_lossy();
    let number = |place: usize| {
        let word = whole.get(place..place + 4).unwrap();
        u32::from_le_bytes(word.try_into().unwrap()) as usize
    };
    if !name.ends_with(".arrow") {
        return std::iter::once(0..whole.len()).collect();
    }
    let record = 16 + number(12);
    let body = record + 8 + number(record + 4);
    let ending = whole.len() - 18 - number(whole.len() - 10);
    let mut ranges = vec![
        0..body,
        record - 64..record,
        record..body,
        ending..whole.len(),
    ];
    if name.starts_with("index") {
        ranges.push(body..ending);
    }
    ranges
}
