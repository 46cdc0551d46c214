// SPDX-License-Identifier: LGPL-2.1-or-later

//! The files of a recording: which there are, and which may go.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::Overwrite;
use crate::{Error, Result};

/// Where the data of a CPU is while it is recorded.
pub(super) fn cpu_path(path: &Path, cpu: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".cpu{cpu}"));
    name.into()
}

/// The files of that kind that there are.
pub(super) fn cpu_files(path: &Path) -> Result<Vec<(u32, PathBuf)>> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mut prefix = OsString::from(path.file_name().unwrap_or_default());
    prefix.push(".cpu");
    let mut files = Vec::new();
    // A directory that does not exist is found out later.
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let name = entry.map_err(|e| Error::io("read", dir, e))?.file_name();
        let name = name.as_encoded_bytes();
        let number = name.strip_prefix(prefix.as_encoded_bytes());
        let number = number.and_then(|number| std::str::from_utf8(number).ok());
        if let Some(cpu) = number.and_then(|number| number.parse().ok()) {
            files.push((cpu, cpu_path(path, cpu)));
        }
    }
    files.sort();
    Ok(files)
}

/// Sees to a file of that name.
pub(super) fn make_way_for(path: &Path, overwrite: Overwrite) -> Result<()> {
    let Ok(found) = fs::metadata(path) else {
        return Ok(());
    };
    if !found.is_file() {
        let e = io::Error::other("it is no regular file");
        return Err(Error::output(path, e));
    }
    if overwrite == Overwrite::Refuse {
        return Err(Error::Exists(path.into()));
    }
    // Not one that somebody is writing.
    let file = File::open(path).map_err(|e| Error::output(path, e))?;
    Locked::new(file, path)?;
    remove(path)
}

/// Sees to the files of a recording of that name.
pub(super) fn make_way(path: &Path, overwrite: Overwrite) -> Result<()> {
    make_way_for(path, overwrite)?;
    for (_, file) in cpu_files(path)? {
        if overwrite == Overwrite::Refuse {
            return Err(Error::Unfinished(file));
        }
        remove(&file)?;
    }
    Ok(())
}

/// Creates a file that is not there.
pub(super) fn create(path: &Path) -> Result<File> {
    let mut options = File::options();
    let file = options.read(true).write(true).create_new(true).open(path);
    file.map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => Error::Exists(path.into()),
        _ => Error::output(path, e),
    })
}

/// A file that is being written, and says so to others.
#[derive(Debug)]
pub(super) struct Locked(pub File);

impl Locked {
    pub fn new(file: File, path: &Path) -> Result<Self> {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Err(Error::Recording(path.into())),
            // Not all file systems can.
            Ok(()) | Err(_) => Ok(Locked(file)),
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // To close it is not enough while a process that was just forked has it, too.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

pub(super) fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(|e| Error::io("remove", path, e))
}
