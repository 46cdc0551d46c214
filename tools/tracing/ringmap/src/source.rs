// SPDX-License-Identifier: LGPL-2.1-or-later

//! Where the pages of a buffer come from: its mapping, or copies that are read.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::copies::Copies;
use crate::mapping::{Geometry, Mapping, Meta};
use crate::page::Reader;
use crate::tracefs::Instance;

/// Pages, one at a time.
#[derive(Debug)]
pub(crate) enum Source {
    Mapped(Mapping),
    Read(Copies),
}

impl Source {
    pub(crate) fn read(instance: &Instance, cpu: u32) -> Result<Self> {
        Ok(Source::Read(Copies::open(instance, cpu)?))
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Source::Mapped(mapping) => mapping.path(),
            Source::Read(copies) => copies.path(),
        }
    }

    pub(crate) fn geometry(&self) -> Geometry {
        match self {
            Source::Mapped(mapping) => mapping.geometry(),
            Source::Read(copies) => copies.geometry(),
        }
    }

    pub(crate) fn meta(&self) -> Meta {
        match self {
            Source::Mapped(mapping) => mapping.meta(),
            Source::Read(copies) => copies.meta(),
        }
    }

    /// The page as it is now, without a system call.
    #[inline]
    pub(crate) fn page(&mut self) -> Result<Reader<'_>> {
        match self {
            Source::Mapped(mapping) => mapping.reader(),
            Source::Read(copies) => Ok(copies.page()),
        }
    }

    /// Asks the kernel for the next page, or for one that is `whole` if pages are read.
    pub(crate) fn advance(&mut self, whole: bool) -> Result<()> {
        match self {
            Source::Mapped(mapping) => mapping.advance(),
            Source::Read(copies) if whole => copies.next_whole(),
            Source::Read(copies) => copies.next(),
        }
    }

    pub(crate) fn wait(&mut self, limit: Duration) -> Result<bool> {
        match self {
            Source::Mapped(mapping) => mapping.wait(limit),
            Source::Read(copies) => copies.wait(limit),
        }
    }

    /// Has [`meta`](Self::meta) agree with what was read.
    pub(crate) fn refresh(&mut self) -> Result<()> {
        match self {
            Source::Mapped(_) => Ok(()),
            Source::Read(copies) => copies.refresh(),
        }
    }

    /// Forgets what was read: the buffer was reset.
    pub(crate) fn discard(&mut self) -> Result<()> {
        match self {
            Source::Mapped(_) => Ok(()),
            Source::Read(copies) => copies.discard(),
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Source::Mapped(mapping) => mapping.as_fd(),
            Source::Read(copies) => copies.as_fd(),
        }
    }
}
