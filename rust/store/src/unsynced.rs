//! What was written and is not known to be on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::disk::sync_folder;
use crate::error::{IoContext, Result, StoreError};

/// Files that are synced at the same time: the disk then writes its journal once for many of them.
const MOST_THREADS: usize = 16;
const FILES_FOR_A_THREAD: usize = 4;

/// Files and folders that wait to be synced. Syncing forgets them, whatever comes of it: after a sync that failed
/// the system believes that the pages are clean, so that another one proves nothing.
#[derive(Default)]
pub(crate) struct Unsynced {
    files: BTreeMap<PathBuf, Option<Arc<File>>>,
    folders: BTreeSet<PathBuf>,
}

impl Unsynced {
    /// A file with new bytes, and its descriptor if it is open.
    pub(crate) fn file(&mut self, path: &Path, open: Option<&Arc<File>>) {
        self.files.insert(path.to_path_buf(), open.cloned());
    }

    /// A folder with new names in it.
    pub(crate) fn folder(&mut self, path: &Path) {
        self.folders.insert(path.to_path_buf());
    }

    /// Take over what another one holds.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.files.append(&mut other.files);
        self.folders.append(&mut other.folders);
    }

    pub(crate) fn sync_files(&mut self) -> Result<()> {
        let files: Vec<_> = std::mem::take(&mut self.files).into_iter().collect();
        in_parallel(&files, |(path, open)| match open {
            Some(file) => file.sync_data().context("sync", path),
            None => File::open(path)
                .context("open", path)?
                .sync_data()
                .context("sync", path),
        })
    }

    pub(crate) fn sync_folders(&mut self) -> Result<()> {
        let folders: Vec<_> = std::mem::take(&mut self.folders).into_iter().collect();
        in_parallel(&folders, |folder| sync_folder(folder))
    }
}

/// Sync every one of them even after a failure; the first one that is noticed is the answer.
fn in_parallel<T: Sync>(items: &[T], sync: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<StoreError>> = Mutex::new(None);
    let work = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = sync(item) {
                let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert(error);
            }
        }
    };
    let threads = (items.len() / FILES_FOR_A_THREAD).min(MOST_THREADS);
    thread::scope(|scope| {
        for _ in 1..threads {
            // A system without another thread to give leaves the work to those that there are.
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    failure
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .map_or(Ok(()), Err)
}
