// SPDX-License-Identifier: LGPL-2.1-or-later

//! One consumer for a buffer: in this process, and among all that use this crate.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, flock, fstatfs};
use rustix::io::Errno;

use crate::{Error, Result};

/// `TRACEFS_MAGIC` of `include/uapi/linux/magic.h`.
const TRACEFS_MAGIC: u64 = 0x7472_6163;

/// The device and the inode of a `trace_pipe_raw` file.
type Key = (u64, u64);

/// Those that this process reads.
static OPEN: Mutex<BTreeSet<Key>> = Mutex::new(BTreeSet::new());

fn open() -> MutexGuard<'static, BTreeSet<Key>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to consume from a buffer, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    key: Key,
}

impl Lease {
    /// Takes the buffer behind a file of tracefs. Other processes are kept away by a lock
    /// ([`flock(2)`](https://man7.org/linux/man-pages/man2/flock.2.html)) that lasts as long as the
    /// file is open.
    pub(crate) fn take(file: &File, path: &Path, cpu: u32) -> Result<Self> {
        let fail = |e: Errno| Error::io("ask for the file system of", path, e.into());
        if fstatfs(file).map_err(fail)?.f_type as u64 != TRACEFS_MAGIC {
            return Err(Error::NotTracefs(path.into()));
        }
        Self::lock(file, path, cpu)
    }

    fn lock(file: &File, path: &Path, cpu: u32) -> Result<Self> {
        let in_use = || Error::InUse {
            cpu,
            path: path.into(),
        };
        let metadata = file.metadata().map_err(|e| Error::io("look at", path, e))?;
        let key = (metadata.dev(), metadata.ino());
        let mut open = open();
        if open.contains(&key) {
            return Err(in_use());
        }
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            // A kernel without file locks.
            Ok(()) | Err(Errno::NOSYS) => {}
            Err(Errno::WOULDBLOCK) => return Err(in_use()),
            Err(e) => return Err(Error::io("lock", path, e.into())),
        }
        open.insert(key);
        Ok(Lease { key })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        open().remove(&self.key);
    }
}

/// Does what changes the contents of all buffers of an instance, if this process reads none of them;
/// nor can it begin to meanwhile. `dir` is the instance's directory.
///
/// # Errors
///
/// [`Error::InUse`], or those of `change`.
pub(crate) fn while_unread<T>(dir: &Path, change: impl FnOnce() -> Result<T>) -> Result<T> {
    let open = open();
    if !open.is_empty() {
        let cpus = fs::read_dir(dir.join("per_cpu")).into_iter().flatten();
        for entry in cpus.flatten() {
            let path = entry.path().join("trace_pipe_raw");
            let Ok(metadata) = fs::metadata(&path) else {
                continue;
            };
            if open.contains(&(metadata.dev(), metadata.ino())) {
                let name = entry.file_name();
                let cpu = name.to_str().and_then(|name| name.strip_prefix("cpu"));
                return Err(Error::InUse {
                    cpu: cpu.and_then(|cpu| cpu.parse().ok()).unwrap_or_default(),
                    path,
                });
            }
        }
    }
    change()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in_use<T: std::fmt::Debug>(result: Result<T>) -> bool {
        let e = result.unwrap_err();
        matches!(e, Error::InUse { cpu: 3, .. })
            && e.to_string().contains("cpu3 is being read by another")
    }

    #[test]
    fn a_file_of_another_file_system() {
        let file = tempfile::tempfile().unwrap();
        let e = Lease::take(&file, Path::new("x"), 3).unwrap_err();
        assert!(matches!(e, Error::NotTracefs(_)), "{e}");
    }

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let cpu = dir.path().join("per_cpu/cpu3");
        fs::create_dir_all(&cpu).unwrap();
        let path = cpu.join("trace_pipe_raw");
        let first = File::create(&path).unwrap();
        let second = File::open(&path).unwrap();

        let lease = Lease::lock(&first, &path, 3).unwrap();
        assert!(is_in_use(Lease::lock(&second, &path, 3)));
        assert!(is_in_use(while_unread(dir.path(), || Ok(()))));

        // As another process would see it.
        drop(lease);
        assert!(is_in_use(Lease::lock(&second, &path, 3)));
        assert!(while_unread(dir.path(), || Ok(())).is_ok());

        drop(first);
        assert!(Lease::lock(&second, &path, 3).is_ok());
    }
}
