//! numpy's shuffle: what `numpy.random.default_rng(seed).shuffle(numpy.arange(rows))` gives.
//!
//! A plan says which rows are in a split by a seed. Compiling must know them without numpy, and a later numpy may
//! draw otherwise: so the algorithms are here, as numpy 1.17 to 2.4 have them.

const POOL: usize = 4;

/// Numbers from 0 up in a random order. `seed` is of any size, its lowest 32 bits first.
#[must_use]
pub fn shuffled(rows: u32, seed: &[u32]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows).collect();
    let mut generator = Generator::new(seed);
    for last in (1..rows).rev() {
        order.swap(last as usize, generator.up_to(last) as usize);
    }
    order
}

/// PCG64, of which each number serves two draws of 32 bits.
struct Generator {
    state: u128,
    increment: u128,
    half: Option<u32>,
}

impl Generator {
    fn new(seed: &[u32]) -> Self {
        let words = seed_words(seed);
        let wide = |first: usize| u128::from(words[first]) << 64 | u128::from(words[first + 1]);
        let mut generator = Self {
            state: 0,
            increment: wide(2) << 1 | 1,
            half: None,
        };
        generator.step();
        generator.state = generator.state.wrapping_add(wide(0));
        generator.step();
        generator
    }

    fn step(&mut self) {
        const MULTIPLIER: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;
        self.state = self
            .state
            .wrapping_mul(MULTIPLIER)
            .wrapping_add(self.increment);
    }

    #[expect(clippy::cast_possible_truncation, reason = "halves are taken")]
    fn next(&mut self) -> u32 {
        if let Some(half) = self.half.take() {
            return half;
        }
        self.step();
        let mixed = (self.state >> 64) as u64 ^ self.state as u64;
        let number = mixed.rotate_right((self.state >> 122) as u32);
        self.half = Some((number >> 32) as u32);
        number as u32
    }

    /// A number from 0 to `most`: as many bits as it has, drawn until they are no more.
    fn up_to(&mut self, most: u32) -> u32 {
        let mask = u32::MAX.checked_shr(most.leading_zeros()).unwrap_or(0);
        loop {
            let number = self.next() & mask;
            if number <= most {
                return number;
            }
        }
    }
}

/// numpy's `SeedSequence(seed).generate_state(4, numpy.uint64)`.
fn seed_words(seed: &[u32]) -> [u64; 4] {
    let mut hash = Hash {
        constant: 0x43b0_d7e5,
        multiplier: 0x931e_8875,
    };
    let mut pool = [0; POOL];
    for (index, word) in pool.iter_mut().enumerate() {
        *word = hash.mix(seed.get(index).copied().unwrap_or(0));
    }
    for source in 0..POOL {
        for target in (0..POOL).filter(|&target| target != source) {
            pool[target] = joined(pool[target], hash.mix(pool[source]));
        }
    }
    for &more in seed.iter().skip(POOL) {
        for word in &mut pool {
            *word = joined(*word, hash.mix(more));
        }
    }
    let mut hash = Hash {
        constant: 0x8b51_f9dd,
        multiplier: 0x58f3_8ded,
    };
    let mut word = |index: usize| u64::from(hash.mix(pool[index % POOL]));
    std::array::from_fn(|index| word(2 * index) | word(2 * index + 1) << 32)
}

struct Hash {
    constant: u32,
    multiplier: u32,
}

impl Hash {
    fn mix(&mut self, value: u32) -> u32 {
        let value = value ^ self.constant;
        self.constant = self.constant.wrapping_mul(self.multiplier);
        let value = value.wrapping_mul(self.constant);
        value ^ value >> 16
    }
}

fn joined(left: u32, right: u32) -> u32 {
    let value = left
        .wrapping_mul(0xca01_f9dd)
        .wrapping_sub(right.wrapping_mul(0x4973_f715));
    value ^ value >> 16
}
