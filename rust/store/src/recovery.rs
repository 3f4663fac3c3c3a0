//! Getting a store ready for another session, whatever ended the one before.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::chunk::{cut_rows, seal};
use crate::columns::Columns;
use crate::description::{ChannelDescription, StoreDescription, read_description, sync_folder};
use crate::error::{IoContext, Result, StoreError};
use crate::folder::{CHANNEL_FILE, chunk_path, file_number, index_path};
use crate::hidden::Hidden;
use crate::parts::{Part, end};
use crate::store_reader::{State, StoreReader};
use crate::watermark::Watermark;

/// Where a kind of files of a channel ends.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FilesEnd {
    pub(crate) files: u32,
    pub(crate) rows: u64,
}

impl FilesEnd {
    fn of(parts: &[Part]) -> Self {
        Self {
            files: parts.len() as u32,
            rows: end(parts),
        }
    }
}

/// What earlier sessions left of a channel.
#[derive(Clone, Debug)]
pub(crate) struct ChannelEnd {
    pub(crate) description: ChannelDescription,
    pub(crate) index: FilesEnd,
    pub(crate) chunks: FilesEnd,
    /// Epoch and batch of its last visible batch.
    pub(crate) last_key: Option<(i32, i32)>,
}

/// A store that waits for the first record of a session.
pub(crate) struct Recovered {
    pub(crate) description: StoreDescription,
    pub(crate) watermark: Watermark,
    pub(crate) metrics: FilesEnd,
    pub(crate) channels: HashMap<String, ChannelEnd>,
}

/// Hide what does not count, and close the files of the session before. The caller holds the lock of the store.
pub(crate) fn recover(folder: &Path, session: u32, rewind_to: Option<u64>) -> Result<Recovered> {
    let mut state = StoreReader::open_unchecked(folder)?.into_state();
    check_continuable(folder, &state, session, rewind_to)?;
    let last = last_number(&state)?;
    let mut watermark = Watermark {
        sequence: last,
        session,
        closed: false,
        ..state.watermark.clone()
    };
    let after = rewind_to.unwrap_or(state.watermark.sequence);
    if !watermark.hidden.hide(after, last) {
        return Err(StoreError::TooManyRewinds {
            path: folder.to_path_buf(),
            limit: Hidden::MOST,
        });
    }
    let chains = chains(&state);
    if state.lost_power {
        put_in_order(folder, &state, &chains)?;
    }
    close_files(folder, &state, &chains)?;
    // All that the session before left is on disk now, or hidden.
    watermark.durable = last;
    state.show(watermark)?;
    describe(state)
}

fn check_continuable(
    folder: &Path,
    state: &State,
    session: u32,
    rewind_to: Option<u64>,
) -> Result<()> {
    if session <= state.watermark.session {
        return Err(StoreError::SessionOrder {
            path: folder.to_path_buf(),
            session,
            last: state.watermark.session,
        });
    }
    match rewind_to {
        Some(to) if to > state.watermark.sequence => Err(StoreError::Rewind {
            path: folder.to_path_buf(),
            to,
            watermark: state.watermark.sequence,
        }),
        _ => Ok(()),
    }
}

/// A number that no record has: larger than all in the files, and than the watermark.
fn last_number(state: &State) -> Result<u64> {
    let mut last = state.written.sequence + 1;
    for part in chains(state).iter().flat_map(|chain| &chain.parts) {
        let superblock = part.map.superblock()?;
        superblock.features.check_writable(part.map.path())?;
        last = last.max(superblock.last_sequence);
    }
    Ok(last)
}

/// One kind of files in one folder.
struct Chain {
    folder: PathBuf,
    path: fn(&Path, u32) -> PathBuf,
    columns: Columns,
    parts: Vec<Part>,
}

fn chains(state: &State) -> Vec<Chain> {
    let metrics = &state.metrics;
    let mut chains = vec![Chain {
        folder: metrics.folder().to_path_buf(),
        path: chunk_path,
        columns: metrics.columns().clone(),
        parts: metrics.parts.clone(),
    }];
    for channel in &state.channels {
        let [index, chunks] = channel.parts();
        chains.push(Chain {
            folder: channel.folder().to_path_buf(),
            path: index_path,
            columns: channel.index_columns().clone(),
            parts: index,
        });
        chains.push(Chain {
            folder: channel.folder().to_path_buf(),
            path: chunk_path,
            columns: channel.columns().clone(),
            parts: chunks,
        });
    }
    chains
}

/// After a loss of power, take from the files what could not be proven.
fn put_in_order(folder: &Path, state: &State, chains: &[Chain]) -> Result<()> {
    remove_undescribed(folder, state)?;
    for chain in chains {
        for part in &chain.parts {
            cut_rows(&part.map, &chain.columns, part.rows, part.last_sequence)?;
        }
        remove_beyond(chain)?;
    }
    // With the watermark as it is, all of this can be done once more.
    sync(folder, chains, 0)
}

/// Remove channels that lost their descriptions: they were not on disk, and nor were the records.
fn remove_undescribed(folder: &Path, state: &State) -> Result<()> {
    for path in entries(folder)? {
        let known = path == state.metrics.folder()
            || state
                .channels
                .iter()
                .any(|channel| channel.folder() == path);
        if known || !path.is_dir() {
            continue;
        }
        let is_of_channel = |path: &PathBuf| {
            path.ends_with(CHANNEL_FILE)
                || file_number(path, chunk_path).is_some()
                || file_number(path, index_path).is_some()
        };
        if entries(&path)?.iter().any(is_of_channel) {
            fs::remove_dir_all(&path).context("remove", &path)?;
        }
    }
    Ok(())
}

/// Remove files that come after those that could be read: all their records are lost.
fn remove_beyond(chain: &Chain) -> Result<()> {
    if !chain.folder.exists() {
        return Ok(());
    }
    for path in entries(&chain.folder)? {
        let number = file_number(&path, chain.path);
        if number.is_some_and(|number| number as usize >= chain.parts.len()) {
            fs::remove_file(&path).context("remove", &path)?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = fs::read_dir(folder).context("list", folder)?;
    listed
        .map(|entry| Ok(entry.context("list", folder)?.path()))
        .collect()
}

/// Seal what a crash left open, and put on disk what only the memory of the system may hold.
fn close_files(folder: &Path, state: &State, chains: &[Chain]) -> Result<()> {
    for part in chains.iter().flat_map(|chain| &chain.parts) {
        seal(&part.map)?;
    }
    if !state.watermark.closed {
        let descriptions = state.channels.iter();
        descriptions
            .map(|channel| channel.folder().join(CHANNEL_FILE))
            .try_for_each(|path| sync_file(&path))?;
    }
    // Rows that are hidden too: what is torn would end the proof of those behind it.
    sync(folder, chains, state.written.durable)
}

/// Put the files on disk that have later records than this one, and their names.
fn sync(folder: &Path, chains: &[Chain], durable: u64) -> Result<()> {
    for chain in chains {
        let later = |part: &&Part| part.last_sequence > durable;
        let mut files = chain.parts.iter().filter(later).peekable();
        if files.peek().is_some() {
            files.try_for_each(|part| sync_file(part.map.path()))?;
            sync_folder(&chain.folder)?;
        }
    }
    sync_folder(folder)
}

fn sync_file(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .context("sync", path)
}

fn describe(mut state: State) -> Result<Recovered> {
    // A session that ended before its first watermark did nothing.
    let begun = state.written.session;
    let sessions = &mut state.description.sessions;
    sessions.retain(|session| session.session <= begun);
    let mut channels = HashMap::new();
    for channel in &state.channels {
        let [index, chunks] = channel.parts();
        let end = ChannelEnd {
            description: read_description(&channel.folder().join(CHANNEL_FILE))?,
            index: FilesEnd::of(&index),
            chunks: FilesEnd::of(&chunks),
            last_key: channel.last_key()?,
        };
        channels.insert(channel.name().to_owned(), end);
    }
    Ok(Recovered {
        metrics: FilesEnd::of(&state.metrics.parts),
        description: state.description,
        watermark: state.watermark,
        channels,
    })
}
