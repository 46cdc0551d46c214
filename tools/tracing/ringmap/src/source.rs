// SPDX-License-Identifier: GPL-2.0

//! Where the pages of a buffer come from: its mapping.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::mapping::{Geometry, Mapping, Meta};
use crate::page::Reader;

/// Pages, one at a time.
#[derive(Debug)]
pub(crate) enum Source {
    Mapped(Mapping),
}

impl Source {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Source::Mapped(mapping) => mapping.path(),
        }
    }

    pub(crate) fn geometry(&self) -> Geometry {
        match self {
            Source::Mapped(mapping) => mapping.geometry(),
        }
    }

    pub(crate) fn meta(&self) -> Meta {
        match self {
            Source::Mapped(mapping) => mapping.meta(),
        }
    }

    /// The page as it is now, without a system call.
    #[inline]
    pub(crate) fn page(&mut self) -> Result<Reader<'_>> {
        match self {
            Source::Mapped(mapping) => mapping.reader(),
        }
    }

    /// Asks the kernel for the next page, or for one that is `whole` if pages are read.
    pub(crate) fn advance(&mut self, _whole: bool) -> Result<()> {
        match self {
            Source::Mapped(mapping) => mapping.advance(),
        }
    }

    pub(crate) fn wait(&mut self, limit: Duration) -> Result<bool> {
        match self {
            Source::Mapped(mapping) => mapping.wait(limit),
        }
    }

    /// Has [`meta`](Self::meta) agree with what was read.
    pub(crate) fn refresh(&mut self) -> Result<()> {
        match self {
            Source::Mapped(_) => Ok(()),
        }
    }

    /// Forgets what was read: the buffer was reset.
    pub(crate) fn discard(&mut self) -> Result<()> {
        match self {
            Source::Mapped(_) => Ok(()),
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Source::Mapped(mapping) => mapping.as_fd(),
        }
    }
}
