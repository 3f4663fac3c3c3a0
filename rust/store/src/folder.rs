//! Names of the files in a records folder.

use std::path::{Path, PathBuf};

pub(crate) const STORE_FILE: &str = "store.json";
pub(crate) const CHANNEL_FILE: &str = "channel.json";
pub(crate) const WATERMARK_FILE: &str = "watermark";
pub(crate) const METRICS_FOLDER: &str = "metrics";
const LONGEST_NAME: usize = 200;

/// The labels of a recorded value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChannelKey {
    /// Label of the phase.
    pub phase: String,
    /// Name of the node.
    pub node: String,
    /// Role of the node's input.
    pub role: String,
    /// What is recorded, such as "outputs".
    pub field: String,
}

impl ChannelKey {
    /// Name of the channel's folder: the labels with everything unusual percent-encoded, joined by points.
    pub fn folder_name(&self) -> String {
        let name = [&self.phase, &self.node, &self.role, &self.field]
            .map(|label| encode(label))
            .join(".");
        if name.len() <= LONGEST_NAME {
            return name;
        }
        let digest = blake3::hash(name.as_bytes()).to_hex();
        format!("{}-{}", &name[..LONGEST_NAME - 33], &digest[..32])
    }

    /// The labels in the name of a folder. None if it was cut.
    pub(crate) fn of_folder_name(name: &str) -> Option<Self> {
        let labels: Option<Vec<String>> = name.split('.').map(decode).collect();
        let [phase, node, role, field] = <[String; 4]>::try_from(labels?).ok()?;
        let key = Self {
            phase,
            node,
            role,
            field,
        };
        (key.folder_name() == name).then_some(key)
    }
}

fn decode(label: &str) -> Option<String> {
    let mut parts = label.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (byte, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(byte, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

fn encode(label: &str) -> String {
    let mut encoded = String::with_capacity(label.len());
    for byte in label.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// How the files of one kind are called: from their folder and their number.
pub(crate) type PathOf = fn(&Path, u32) -> PathBuf;

pub(crate) fn chunk_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("chunk-{number:06}.arrow"))
}

pub(crate) fn index_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("index-{number:06}.arrow"))
}

/// The number of a chunk or index file, if this is one.
pub(crate) fn file_number(path: &Path, path_of: PathOf) -> Option<u32> {
    let (_, number) = path.file_stem()?.to_str()?.rsplit_once('-')?;
    let number = number.parse().ok()?;
    (path_of(path.parent()?, number) == path).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(labels: [&str; 4]) -> String {
        let [phase, node, role, field] = labels.map(str::to_owned);
        ChannelKey {
            phase,
            node,
            role,
            field,
        }
        .folder_name()
    }

    #[test]
    fn names_are_safe_and_different() {
        assert_eq!(
            name(["train", "MLP", "default", "outputs"]),
            "train.MLP.default.outputs"
        );
        assert_eq!(name(["..", "a/b", "", "ü"]), "%2E%2E.a%2Fb..%C3%BC");
        assert_ne!(name(["a.b", "c", "d", "e"]), name(["a", "b.c", "d", "e"]));
        let long = ["x", "y"].map(|last| name(["p", &"n".repeat(400), "r", last]));
        assert_ne!(long[0], long[1]);
        assert!(long.iter().all(|name| name.len() == LONGEST_NAME));
    }
}
