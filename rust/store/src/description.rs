//! The two kinds of JSON files, each with a checksum as its last key.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::block::now;
use crate::disk::{sync_file, sync_folder, temporary};
use crate::error::{IoContext, Result, StoreError};
use crate::folder::{CHANNEL_FILE, ChannelKey};
use crate::input::read_input;
use crate::kind::Kind;
use crate::superblock::FORMAT;

/// Far more than any description has: one session takes about 250 bytes.
const MOST_BYTES: u64 = 16 << 20;

/// `store.json`: who wrote the records.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoreDescription {
    pub(crate) format: u32,
    pub(crate) run_id: String,
    pub(crate) created: i64,
    pub(crate) features: FeatureNames,
    pub(crate) sessions: Vec<Session>,
}

/// Additions to the format that the whole store uses.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct FeatureNames {
    /// Those that a reader has to know.
    pub(crate) incompatible: Vec<String>,
}

/// One writer of the store, from its opening to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its number, larger than that of the session before.
    pub session: u32,
    /// Number of its first record, if it has any.
    pub first_sequence: u64,
    /// The last record before it that counts, where it was told to forget later ones.
    pub rewound_to: Option<u64>,
    /// Nanoseconds since 1970, UTC.
    pub created: i64,
    /// Process id of the writer.
    pub process: u32,
    /// Name of its machine.
    pub host: String,
    /// The system's id of the time between two starts of the machine.
    pub boot_id: String,
}

/// `channel.json`: what a channel holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ChannelDescription {
    pub(crate) format: u32,
    pub(crate) order: u32,
    pub(crate) kind: ChannelKind,
    pub(crate) phase: String,
    pub(crate) node: String,
    pub(crate) role: String,
    pub(crate) field: String,
    pub(crate) dtype: String,
    /// Nothing for a length that rows differ in.
    pub(crate) shape: Vec<Option<usize>>,
}

/// What the rows of a channel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ChannelKind {
    /// Arrays of one shape.
    Tensor,
    /// Arrays of different shapes.
    Ragged,
    /// Strings.
    Text,
}

#[derive(Deserialize)]
struct Version {
    format: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    crc32: u32,
}

impl StoreDescription {
    /// Of a store whose first session begins now.
    pub(crate) fn begin(run_id: &str, session: u32) -> Self {
        let created = now();
        Self {
            format: FORMAT,
            run_id: run_id.to_owned(),
            created,
            features: FeatureNames::default(),
            sessions: vec![Session::begin(session, 1, None, created)],
        }
    }

    pub(crate) fn read(path: &Path) -> Result<Self> {
        let description: Self = read_description(path)?;
        match description.features.incompatible.first() {
            None => Ok(description),
            Some(name) => Err(StoreError::Feature {
                path: path.to_path_buf(),
                feature: format!("`{name}`"),
            }),
        }
    }
}

impl ChannelDescription {
    pub(crate) fn key(&self) -> ChannelKey {
        ChannelKey {
            phase: self.phase.clone(),
            node: self.node.clone(),
            role: self.role.clone(),
            field: self.field.clone(),
        }
    }

    /// Refuse a channel whose rows are others than those that it has.
    pub(crate) fn check_same(&self, existing: &Self, channel: &str) -> Result<()> {
        if (self.kind, &self.dtype, &self.shape)
            == (existing.kind, &existing.dtype, &existing.shape)
        {
            return Ok(());
        }
        let path = Path::new(channel).join(CHANNEL_FILE);
        let describe = |description| Kind::parse(description, &path).map(|kind| kind.to_string());
        Err(StoreError::ChannelMismatch {
            channel: channel.to_owned(),
            existing: describe(existing)?,
            requested: describe(self)?,
        })
    }
}

impl Session {
    /// The session of this process.
    pub(crate) fn begin(
        session: u32,
        first_sequence: u64,
        rewound_to: Option<u64>,
        created: i64,
    ) -> Self {
        Self {
            session,
            first_sequence,
            rewound_to,
            created,
            process: std::process::id(),
            host: kernel("hostname"),
            boot_id: boot_id(),
        }
    }
}

/// Id of the time since the machine was started; empty where the system does not say.
pub(crate) fn boot_id() -> String {
    kernel("random/boot_id")
}

fn kernel(name: &str) -> String {
    let path = Path::new("/proc/sys/kernel").join(name);
    // A store is complete without these; they are for people, and for the care after a loss of power.
    let text = fs::read_to_string(path).unwrap_or_default();
    text.trim().to_owned()
}

/// Write a description in one step.
pub(crate) fn write_description(path: &Path, description: &impl Serialize) -> Result<()> {
    let temporary = write_aside(path, description)?;
    fs::rename(&temporary, path).context("rename", &temporary)
}

/// Write a description in one step, and put it on disk.
pub(crate) fn replace_description(path: &Path, description: &impl Serialize) -> Result<()> {
    let temporary = write_aside(path, description)?;
    sync_file(&temporary)?;
    fs::rename(&temporary, path).context("rename", &temporary)?;
    path.parent().map_or(Ok(()), sync_folder)
}

fn write_aside(path: &Path, description: &impl Serialize) -> Result<PathBuf> {
    let mut text = serde_json::to_string_pretty(description)
        .map_err(|error| StoreError::io("write", path, std::io::Error::other(error)))?;
    text.truncate(text.len() - "\n}".len());
    let check = crc32fast::hash(text.as_bytes());
    text.push_str(&format!(",\n  \"crc32\": {check}\n}}\n"));
    let temporary = temporary(path);
    fs::write(&temporary, text).context("write", &temporary)?;
    Ok(temporary)
}

/// Read a description; the format is looked at first, because a later one may have other keys.
pub(crate) fn read_description<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    let bytes = read_input(path, MOST_BYTES)?;
    let damaged = |reason: String| StoreError::damaged(path, 0, reason);
    let version: Version =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if version.format > FORMAT {
        return Err(StoreError::Newer {
            path: path.to_path_buf(),
            found: version.format,
            known: FORMAT,
        });
    }
    if !matches_check(&bytes) {
        return Err(damaged("the file does not match its checksum".to_owned()));
    }
    serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))
}

/// The checksum is the last key: it covers what stands before the last comma.
fn matches_check(bytes: &[u8]) -> bool {
    let Some(comma) = bytes.iter().rposition(|&byte| byte == b',') else {
        return false;
    };
    let last_key = [b"{", &bytes[comma + 1..]].concat();
    serde_json::from_slice::<Check>(&last_key)
        .is_ok_and(|check| check.crc32 == crc32fast::hash(&bytes[..comma]))
}
