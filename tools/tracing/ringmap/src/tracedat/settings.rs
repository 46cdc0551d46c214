// SPDX-License-Identifier: LGPL-2.1-or-later

//! What may be chosen.

use std::path::PathBuf;

use super::Compression;

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// It stays, and there is no recording: [`Error::Exists`](crate::Error::Exists) or
    /// [`Error::Unfinished`](crate::Error::Unfinished).
    #[default]
    Refuse,
    /// It goes, and so does the data of a recording of that name that was not finished.
    Replace,
}

/// The version of the file's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Version {
    /// Version 6, which is never compressed and does not know the name of the instance.
    V6,
    /// Version 7, which trace-cmd has since 3.0.
    V7(Compression),
}

impl Default for Version {
    fn default() -> Self {
        Version::V7(Compression::default())
    }
}

impl Version {
    /// Bytes that are hardly ever exceeded before the data: those of a kernel of a distribution with
    /// all its modules.
    pub(super) fn start_len(self) -> u64 {
        match self {
            Version::V6 | Version::V7(Compression::None) => 24 << 20,
            #[cfg(feature = "zstd")]
            Version::V7(Compression::Zstd) => 4 << 20,
        }
    }
}

/// How to record.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Settings {
    /// What becomes of a file that is there already.
    pub overwrite: Overwrite,
    /// The version of the file.
    pub version: Version,
    /// What the file calls the instance; trace-cmd shows it before each event. Nothing stands for
    /// the top-level instance, which is also right for an instance that was made for the recording.
    pub instance: String,
    /// Where the addresses of the kernel's symbols are, if not in `/proc/kallsyms`.
    pub kallsyms: Option<PathBuf>,
}
