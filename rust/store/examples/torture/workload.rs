//! The workloads: which record has which number.

use specplan_store::{ChannelKey, Series, ValueType};

/// What the rows of a channel are.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    Tensor(ValueType, &'static [usize]),
    /// Arrays of one dimension or more, each of them at most so long.
    Ragged(ValueType, usize, u64),
    /// Texts of at most so many characters.
    Text(u64),
}

pub(crate) struct Channel {
    pub(crate) field: &'static str,
    pub(crate) form: Form,
    /// A record has fewer rows than this, mostly.
    pub(crate) rows: u64,
    /// Batch numbers fall, so that the index is not sorted by key.
    pub(crate) falling: bool,
}

/// What one record number stands for.
pub(crate) enum Content {
    Tensor {
        channel: usize,
        rows: usize,
        data: Vec<u8>,
    },
    Ragged {
        channel: usize,
        rows: Vec<(Vec<usize>, Vec<u8>)>,
    },
    Text {
        channel: usize,
        rows: Vec<String>,
    },
    Metrics {
        values: Vec<u8>,
    },
}

pub(crate) struct Record {
    pub(crate) content: Content,
    pub(crate) epoch: i32,
    pub(crate) batch: i32,
}

pub(crate) struct Workload {
    pub(crate) records: u64,
    /// So many records lie between two calls of `sync`.
    pub(crate) sync_every: u64,
    pub(crate) channels: Vec<Channel>,
    pub(crate) series: usize,
    /// Every so many records is one of this many rows: larger than a staging block.
    large: Option<(u64, usize)>,
}

const fn tensor(
    field: &'static str,
    value_type: ValueType,
    shape: &'static [usize],
    rows: u64,
) -> Channel {
    channel(field, Form::Tensor(value_type, shape), rows)
}

const fn channel(field: &'static str, form: Form, rows: u64) -> Channel {
    Channel {
        field,
        form,
        rows,
        falling: false,
    }
}

impl Workload {
    pub(crate) fn named(name: &str) -> Self {
        let small = Self {
            records: 56,
            sync_every: 4,
            channels: vec![
                tensor("outputs", ValueType::Float32, &[3], 6),
                tensor("sample_id", ValueType::Int64, &[], 9),
                Channel {
                    falling: true,
                    ..tensor("targets", ValueType::Uint8, &[5, 2], 4)
                },
                channel("boxes", Form::Ragged(ValueType::Int16, 2, 6), 5),
                channel("notes", Form::Text(40), 4),
            ],
            series: 2,
            large: None,
        };
        match name {
            // A few tensors and metrics, synced often.
            "small" => small,
            // Batches that fill chunks, some of them larger than a staging block.
            "rolling" => Self {
                records: 100,
                channels: vec![
                    tensor("outputs", ValueType::Float32, &[1024], 60),
                    tensor("states", ValueType::Bfloat16, &[64, 64], 24),
                    channel("boxes", Form::Ragged(ValueType::Float64, 1, 800), 12),
                    channel("notes", Form::Text(2_000), 20),
                ],
                large: Some((10, 200)),
                ..small
            },
            // More channels than keep their files open.
            "wide" => Self {
                records: 90,
                sync_every: 30,
                channels: (0..WIDE.len())
                    .map(|number| tensor(WIDE[number], ValueType::Float64, &[2], 3))
                    .collect(),
                ..small
            },
            // Groups of many series with long names: the chunks of metrics fill up.
            "metrics" => Self {
                records: 120,
                sync_every: 3,
                channels: vec![tensor("losses", ValueType::Float16, &[], 30)],
                series: 700,
                ..small
            },
            // Small enough to be exported over and over.
            "table" => Self {
                channels: vec![tensor("outputs", ValueType::Float32, &[8], 40)],
                ..small
            },
            // The same with fewer records: what was exported before.
            "table before" => Self {
                records: 30,
                channels: vec![tensor("outputs", ValueType::Float32, &[8], 40)],
                ..small
            },
            // Synced after every record.
            "eager" => Self {
                records: 32,
                sync_every: 1,
                ..small
            },
            _ => panic!("unknown workload {name}"),
        }
    }

    pub(crate) fn record(&self, number: u64) -> Record {
        let mut random = Random(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let epoch = (number / 10) as i32;
        let target = number as usize % (self.channels.len() + usize::from(self.series > 0));
        let Some(channel) = self.channels.get(target) else {
            return Record {
                content: Content::Metrics {
                    values: random.bytes(self.series * size_of::<f64>()),
                },
                epoch,
                batch: number as i32,
            };
        };
        let large = self.large.filter(|(every, _)| number % every == 7);
        let rows = large.map_or((random.next() % channel.rows) as usize, |(_, rows)| rows);
        let (epoch, batch) = if channel.falling {
            (-epoch, -(number as i32))
        } else {
            (epoch, number as i32)
        };
        Record {
            content: channel.content(target, rows, &mut random),
            epoch,
            batch,
        }
    }

    pub(crate) fn series(&self) -> Vec<Series> {
        (0..self.series)
            .map(|number| Series {
                phase: "train".to_owned(),
                split: String::new(),
                node: "MLP".to_owned(),
                name: format!("a metric with a long name {number}"),
            })
            .collect()
    }
}

impl Channel {
    fn content(&self, channel: usize, rows: usize, random: &mut Random) -> Content {
        match self.form {
            Form::Tensor(value_type, shape) => Content::Tensor {
                channel,
                rows,
                data: random
                    .bytes(rows * value_type.item_bytes() * shape.iter().product::<usize>()),
            },
            Form::Ragged(value_type, dimensions, longest) => {
                let mut row = |_| {
                    let shape: Vec<usize> = (0..dimensions)
                        .map(|_| (random.next() % longest) as usize)
                        .collect();
                    let bytes = value_type.item_bytes() * shape.iter().product::<usize>();
                    (shape, random.bytes(bytes))
                };
                let rows = (0..rows).map(&mut row).collect();
                Content::Ragged { channel, rows }
            }
            Form::Text(longest) => {
                let rows = (0..rows).map(|_| random.text(longest)).collect();
                Content::Text { channel, rows }
            }
        }
    }

    pub(crate) fn key(&self) -> ChannelKey {
        ChannelKey {
            phase: "train".to_owned(),
            node: "MLP".to_owned(),
            role: "default".to_owned(),
            field: self.field.to_owned(),
        }
    }
}

const WIDE: [&str; 29] = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s",
    "t", "u", "v", "w", "x", "y", "z", "aa", "bb", "cc",
];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Characters of one and of three bytes.
    fn text(&mut self, longest: u64) -> String {
        let length = self.next() % longest;
        let mut letter = |_| {
            if self.next().is_multiple_of(5) {
                '\u{20ac}'
            } else {
                'x'
            }
        };
        (0..length).map(&mut letter).collect()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let words = (0..count.div_ceil(8)).flat_map(|_| self.next().to_le_bytes());
        words.take(count).collect()
    }
}
