// SPDX-License-Identifier: LGPL-2.1-or-later

//! How a buffer is read, and why.

use std::fmt;

/// How a buffer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Through its memory mapping.
    Mapped,
    /// By `read(2)` and `splice(2)`, a copy of each page.
    Read(Unmapped),
}

/// Why a buffer is not mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unmapped {
    /// The buffer is busy: a snapshot is in use, or a snapshot trigger is armed.
    Snapshot,
    /// The kernel has no mapping of it: it is older than Linux 6.10 or has no MMU, or the buffer is
    /// on memory reserved at boot.
    NotMappable,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Access::Mapped => "mapped",
            Access::Read(Unmapped::Snapshot) => {
                "read, not mapped: a snapshot is in use, or a snapshot trigger is armed"
            }
            Access::Read(Unmapped::NotMappable) => {
                "read, not mapped: the kernel is older than Linux 6.10, or the buffer is on memory \
                 reserved at boot"
            }
        })
    }
}
