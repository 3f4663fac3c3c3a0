//! Putting files, and the names of files, on disk.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{IoContext, Result};

/// Where a file is written before it gets its name.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// Put a file that nobody writes any more on disk.
pub(crate) fn sync_file(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .context("sync", path)
}

/// Create a folder and what it lies in, and put their names on disk.
pub(crate) fn create_folder(folder: &Path) -> Result<()> {
    let missing = folder
        .ancestors()
        .take_while(|ancestor| !ancestor.exists())
        .count();
    fs::create_dir_all(folder).context("create", folder)?;
    // The name of a folder that was there may be as young.
    let parents = folder.ancestors().skip(1).take(missing.max(1));
    parents.into_iter().try_for_each(|parent| {
        let named = !parent.as_os_str().is_empty();
        sync_folder(if named { parent } else { Path::new(".") })
    })
}

/// Put the names in a folder on disk.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    sync_file(folder)
}

/// The paths in a folder, in order of their names.
pub(crate) fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).context("list", folder)? {
        paths.push(entry.context("list", folder)?.path());
    }
    paths.sort();
    Ok(paths)
}
