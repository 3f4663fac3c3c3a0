//! Parquet's BYTE_STREAM_SPLIT: the first bytes of all numbers, then their second bytes, and so on.
//!
//! Signs and exponents of neighbours are alike and their fractions are not: apart they take less space, and less
//! time to read.

/// Numbers at once: what they are split from and into stays in the fastest cache.
const BLOCK: usize = 1024;

/// Write the streams of floats of 4 or 8 bytes, one behind the other.
pub(crate) fn split(numbers: &[u8], item_bytes: usize, streams: &mut [u8]) {
    match item_bytes {
        4 => split_4(numbers, streams),
        _ => split_8(numbers, streams),
    }
}

/// The floats of streams that `split` wrote. `numbers` must be zero.
pub(crate) fn join(streams: &[u8], item_bytes: usize, numbers: &mut [u8]) {
    match item_bytes {
        4 => join_4(streams, numbers),
        _ => join_8(streams, numbers),
    }
}

// Shifts of whole numbers become vector instructions; picking bytes out of them does not.
macro_rules! byte_streams {
    ($split:ident $join:ident $number:ident $bytes:literal) => {
        fn $split(numbers: &[u8], streams: &mut [u8]) {
            let (numbers, _) = numbers.as_chunks::<$bytes>();
            let count = numbers.len();
            for (block, numbers) in numbers.chunks(BLOCK).enumerate() {
                for byte in 0..$bytes {
                    let stream = &mut streams[byte * count + block * BLOCK..];
                    for (to, number) in stream.iter_mut().zip(numbers) {
                        *to = ($number::from_le_bytes(*number) >> (8 * byte)) as u8;
                    }
                }
            }
        }

        fn $join(streams: &[u8], numbers: &mut [u8]) {
            let (numbers, _) = numbers.as_chunks_mut::<$bytes>();
            let count = numbers.len();
            for (block, numbers) in numbers.chunks_mut(BLOCK).enumerate() {
                for byte in 0..$bytes {
                    let stream = &streams[byte * count + block * BLOCK..];
                    for (number, from) in numbers.iter_mut().zip(stream) {
                        let with = $number::from(*from) << (8 * byte);
                        *number = ($number::from_le_bytes(*number) | with).to_le_bytes();
                    }
                }
            }
        }
    };
}

byte_streams!(split_4 join_4 u32 4);
byte_streams!(split_8 join_8 u64 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_what_it_split() {
        for item_bytes in [4, 8] {
            for count in [0, 1, 2, 1023, 1024, 1025, 5000] {
                let numbers: Vec<u8> = (0..count * item_bytes)
                    .map(|byte| (byte * 37 % 251) as u8)
                    .collect();
                let mut streams = vec![0; numbers.len()];
                split(&numbers, item_bytes, &mut streams);
                for (place, byte) in numbers.iter().enumerate() {
                    let (number, stream) = (place / item_bytes, place % item_bytes);
                    assert_eq!(streams[stream * count + number], *byte);
                }
                let mut joined = vec![0; numbers.len()];
                join(&streams, item_bytes, &mut joined);
                assert_eq!(joined, numbers);
            }
        }
    }
}
