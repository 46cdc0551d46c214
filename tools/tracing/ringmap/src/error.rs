// SPDX-License-Identifier: LGPL-2.1-or-later

//! What can go wrong, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::select::Near;

/// An error of this crate. Each message says what happened and, where there is something to do,
/// what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No tracefs where one was looked for.
    #[error("no tracefs at {0}: mount it with 'mount -t tracefs nodev /sys/kernel/tracing'")]
    NoTracefs(PathBuf),

    /// The caller may not use tracefs.
    #[error("{0}: permission denied")]
    Permission(PathBuf),

    /// There is no tracing instance of that name.
    #[error("no tracing instance '{name}': create it with 'mkdir {path}'")]
    NoInstance {
        /// The name that was asked for.
        name: String,
        /// Where it would be.
        path: PathBuf,
    },

    /// The CPU has no ring buffer.
    #[error("cpu{cpu} has no ring buffer ({path} cannot be opened): is the CPU online?")]
    NoCpu {
        /// The CPU number.
        cpu: u32,
        /// The file that was missing.
        path: PathBuf,
    },

    /// `mmap(2)` said EBUSY.
    #[error(
        "{0}: the buffer is busy: a snapshot is in use or a snapshot trigger is armed; free it \
         with 'echo 0 > snapshot' and remove the snapshot triggers"
    )]
    SnapshotBusy(PathBuf),

    /// A buffer's geometry cannot be changed: EBUSY.
    #[error(
        "{0}: the buffer is busy: its size cannot change while it is mapped or being read; end \
         the other reader first"
    )]
    SizeBusy(PathBuf),

    /// `mmap(2)` said that this buffer or this kernel cannot map.
    #[error(
        "{path}: cannot be mapped ({source}): the kernel has no ring-buffer mapping (it came with \
         Linux 6.10 and needs CONFIG_MMU), or this is an instance on reserved boot memory"
    )]
    NotMappable {
        /// The `trace_pipe_raw` file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },

    /// The meta-page says something that cannot be.
    #[error("{path}: the meta-page makes no sense: {what}")]
    BadMeta {
        /// The `trace_pipe_raw` file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },

    /// A file has contents that were not understood.
    #[error("{path}: not understood: {what}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },

    /// A list of CPUs was not understood.
    #[error("'{0}' is not a list of CPUs: write it like 0-3,6")]
    CpuList(String),

    /// A recording cannot be written.
    #[error("{path}: cannot be written: {source}")]
    Output {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },

    /// Any other failure of a system call.
    #[error("{path}: cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },

    /// A text that selects no events.
    #[error(
        "'{0}' selects no events: write SYSTEM:EVENT or SYSTEM:EVENT:FILTER, both names may be globs"
    )]
    Selector(String),

    /// There is no such event.
    #[error("no event '{name}'{near}")]
    NoEvent {
        /// What was looked for.
        name: String,
        /// What may have been meant.
        near: Near,
    },

    /// The kernel does not accept a filter.
    #[error("{event}: filter '{filter}' refused: {reason}{near}")]
    BadFilter {
        /// The event.
        event: String,
        /// The filter.
        filter: String,
        /// What `error_log` says.
        reason: String,
        /// The field that may have been meant.
        near: Near,
    },

    /// There is no such trace clock.
    #[error("no trace clock '{clock}'{near} (there are {all})")]
    NoClock {
        /// What was looked for.
        clock: String,
        /// What may have been meant.
        near: Near,
        /// All that there are.
        all: String,
    },

    /// There is no such process.
    #[error("no such process: {0}")]
    NoProcess(u32),

    /// A recording of that name is there already.
    #[error(
        "{0}: exists already: choose another name, remove it, or say that it is to be replaced"
    )]
    Exists(PathBuf),

    /// There is data of a recording of that name that was not finished.
    #[error(
        "{0}: data of a recording that was not finished: restore that one, or remove its files"
    )]
    Unfinished(PathBuf),

    /// The file is being recorded.
    #[error("{0}: is being recorded: wait for its end")]
    Recording(PathBuf),

    /// The disk is full, or the user's share of it.
    #[error("{0}: the disk is full: what was recorded until then is kept")]
    DiskFull(PathBuf),
    /// A buffer has one consumer at a time, and this one has another.
    #[error("{path}: cpu{cpu} is being read by another ringmap: end that one first")]
    InUse {
        /// The CPU number.
        cpu: u32,
        /// The `trace_pipe_raw` file.
        path: PathBuf,
    },

    /// A file that should be one of tracefs is not.
    #[error("{0}: is not a file of tracefs: name the directory where tracefs is mounted")]
    NotTracefs(PathBuf),

    /// What a [`Sink`](crate::stream::Sink) failed with: see [`Error::sink`].
    #[error(transparent)]
    Sink(Box<dyn std::error::Error + Send + Sync>),
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Wraps an error of the caller's own, so that a sink can fail with it.
    pub fn sink(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Error::Sink(error.into())
    }

    pub(crate) fn output(path: &Path, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::DiskFull(path),
            _ => Error::Output { path, source },
        }
    }

    /// Wraps an I/O error; a missing permission becomes [`Error::Permission`].
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::PermissionDenied => Error::Permission(path.into()),
            _ => Error::Io {
                action,
                path: path.into(),
                source,
            },
        }
    }
}
