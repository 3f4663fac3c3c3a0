//! Getting a store ready for another session, whatever ended the one before.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::chunk::{cut_rows, seal};
use crate::description::{ChannelDescription, StoreDescription, read_description};
use crate::disk::{listed, sync_file, sync_folder};
use crate::error::{IoContext, Result, StoreError};
use crate::folder::{CHANNEL_FILE, WATERMARK_FILE, chunk_path, file_number, index_path};
use crate::growing_files::FilesEnd;
use crate::hidden::Hidden;
use crate::mapped_files::{MappedFile, MappedFiles};
use crate::store_reader::{State, StoreReader};
use crate::watermark::Watermark;

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
    state.show(watermark.clone())?;
    state.check_complete(&folder.join(WATERMARK_FILE))?;
    let all = all_files(&state);
    if state.lost_power {
        put_in_order(folder, &state, &all)?;
    }
    close_files(folder, &state, &all)?;
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
    for file in all_files(state).iter().flat_map(MappedFiles::files) {
        let superblock = file.map.superblock()?;
        superblock.features.check_writable(file.map.path())?;
        last = last.max(superblock.last_sequence);
    }
    Ok(last)
}

/// The metrics, and the index and the chunks of each channel.
fn all_files(state: &State) -> Vec<MappedFiles> {
    let mut all = vec![state.metrics.mapped_files().clone()];
    for channel in &state.channels {
        all.extend(channel.mapped_files());
    }
    all
}

/// After a loss of power, take from the files what could not be proven.
fn put_in_order(folder: &Path, state: &State, all: &[MappedFiles]) -> Result<()> {
    remove_undescribed(folder, state)?;
    for files in all {
        for file in files.files() {
            cut_rows(&file.map, files.columns(), file.rows, file.last_sequence)?;
        }
        remove_beyond(files)?;
    }
    // With the watermark as it is, all of this can be done once more.
    sync(folder, all, 0)
}

/// Remove channels that lost their descriptions: they were not on disk, and nor were the records.
fn remove_undescribed(folder: &Path, state: &State) -> Result<()> {
    for path in listed(folder)? {
        let known = path == state.metrics.mapped_files().folder()
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
        if listed(&path)?.iter().any(is_of_channel) {
            fs::remove_dir_all(&path).context("remove", &path)?;
        }
    }
    Ok(())
}

/// Remove files that come after those that could be read: all their records are lost.
fn remove_beyond(files: &MappedFiles) -> Result<()> {
    if !files.folder().exists() {
        return Ok(());
    }
    for path in listed(files.folder())? {
        let number = file_number(&path, files.path_of());
        if number.is_some_and(|number| number as usize >= files.files().len()) {
            fs::remove_file(&path).context("remove", &path)?;
        }
    }
    Ok(())
}

/// Seal what a crash left open, and put on disk what only the memory of the system may hold.
fn close_files(folder: &Path, state: &State, all: &[MappedFiles]) -> Result<()> {
    for files in all {
        for file in files.files() {
            seal(&file.map, files.columns())?;
        }
    }
    if !state.watermark.closed {
        let descriptions = state.channels.iter();
        descriptions
            .map(|channel| channel.folder().join(CHANNEL_FILE))
            .try_for_each(|path| sync_file(&path))?;
    }
    // Rows that are hidden too: what is torn would end the proof of those behind it.
    sync(folder, all, state.written.durable)
}

/// Put the files on disk that have later records than this one, and their names.
fn sync(folder: &Path, all: &[MappedFiles], durable: u64) -> Result<()> {
    for files in all {
        let is_later = |file: &&MappedFile| file.last_sequence > durable;
        let mut later = files.files().iter().filter(is_later).peekable();
        if later.peek().is_some() {
            later.try_for_each(|file| sync_file(file.map.path()))?;
            sync_folder(files.folder())?;
        }
    }
    sync_folder(folder)
}

fn describe(mut state: State) -> Result<Recovered> {
    // A session that ended before its first watermark did nothing.
    let begun = state.written.session;
    let sessions = &mut state.description.sessions;
    sessions.retain(|session| session.session <= begun);
    let mut channels = HashMap::new();
    for channel in &state.channels {
        let [index, chunks] = channel.mapped_files();
        let end = ChannelEnd {
            description: read_description(&channel.folder().join(CHANNEL_FILE))?,
            index: end_of(&index),
            chunks: end_of(&chunks),
            last_key: channel.last_key()?,
        };
        channels.insert(channel.name().to_owned(), end);
    }
    Ok(Recovered {
        metrics: end_of(state.metrics.mapped_files()),
        description: state.description,
        watermark: state.watermark,
        channels,
    })
}

fn end_of(files: &MappedFiles) -> FilesEnd {
    FilesEnd {
        files: files.files().len() as u32,
        rows: files.rows(),
    }
}
