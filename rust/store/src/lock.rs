//! One writer for each store, held by flock and let go of in forked children.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use crate::error::{IoContext, Result, StoreError};

const MOST_LOCKS: usize = 1024;
const FREE: i32 = -1;

// Plain atomics, because nothing else may be touched between fork and the end of the child's handler.
static LOCKS: [AtomicI32; MOST_LOCKS] = [const { AtomicI32::new(FREE) }; MOST_LOCKS];
static FORKS: AtomicU64 = AtomicU64::new(0);
static REGISTER: Once = Once::new();

/// Number of forks that lie between the first process and this one.
pub(crate) fn fork_generation() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    for slot in &LOCKS {
        let descriptor = slot.swap(FREE, Ordering::Relaxed);
        if descriptor != FREE {
            // SAFETY: the slot held a descriptor that the parent owns; the child's copy of the owner
            // checks the generation and never closes or uses it again.
            unsafe { libc::close(descriptor) };
        }
    }
}

pub(crate) struct Lock {
    // None in a forked child, where the descriptor is closed already.
    file: Option<File>,
    slot: usize,
    generation: u64,
}

impl Lock {
    pub(crate) fn acquire(folder: &Path) -> Result<Self> {
        REGISTER.call_once(|| {
            // SAFETY: the handler is a plain function that touches atomics and close(2) only.
            unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        });
        let path = folder.join(".lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .context("open", &path)?;
        // SAFETY: the descriptor is open for as long as `file` lives.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            return Err(refused(folder, &path, &mut file));
        }
        let slot = claim_slot(folder, file.as_raw_fd())?;
        // From here on the slot is given back by whatever drops the lock: a full disk has no room for the id.
        let lock = Self {
            file: Some(file),
            slot,
            generation: fork_generation(),
        };
        lock.write_holder().context("write", &path)?;
        Ok(lock)
    }

    fn write_holder(&self) -> io::Result<()> {
        let Some(mut file) = self.file.as_ref() else {
            return Ok(());
        };
        file.set_len(0)?;
        write!(file, "{}", std::process::id())
    }
}

fn refused(folder: &Path, path: &Path, file: &mut File) -> StoreError {
    let error = io::Error::last_os_error();
    if error.kind() != io::ErrorKind::WouldBlock {
        return StoreError::io("lock", path, error);
    }
    let mut holder = String::new();
    // The holder may be about to write its id; the refusal stands without it.
    let known = file.read_to_string(&mut holder).is_ok() && !holder.is_empty();
    StoreError::Locked {
        path: folder.to_path_buf(),
        holder: if known { holder } else { "unknown".to_owned() },
    }
}

fn claim_slot(folder: &Path, descriptor: i32) -> Result<usize> {
    LOCKS
        .iter()
        .position(|slot| {
            slot.compare_exchange(FREE, descriptor, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        })
        .ok_or_else(|| StoreError::TooManyStores {
            path: folder.to_path_buf(),
            limit: MOST_LOCKS,
        })
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.generation == fork_generation() {
            LOCKS[self.slot].store(FREE, Ordering::Relaxed);
        } else if let Some(file) = self.file.take() {
            // The fork handler closed this number; another file may have it by now.
            std::mem::forget(file);
        }
    }
}
