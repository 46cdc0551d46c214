// SPDX-License-Identifier: LGPL-2.1-or-later

//! Sub-buffers in order, each event once, losses as values.
//!
//! One `GET_READER` either consumes what was committed to the current reader page since the last
//! time, or, if that page is exhausted and the writer has left it, swaps in the next one. So a page
//! on which the kernel is still writing comes back several times with the same id and more data, and
//! [`CpuBuffer`] hands out what is new each time.
//!
//! There are several ways to ask for it, which may be mixed:
//!
//! | | hands out | calls the kernel |
//! |---|---|---|
//! | [`get_reader`](CpuBuffer::get_reader) | what that call has consumed | each time |
//! | [`follow`](CpuBuffer::follow) | what is committed, at once | when the page is complete, or idle |
//! | [`try_follow`](CpuBuffer::try_follow) | what is committed, at once | never: see [`advance`](CpuBuffer::advance) |
//! | [`whole_page`](CpuBuffer::whole_page) | complete pages | when the page is complete, or empty |
//!
//! All but the first read ahead of the kernel, which counts as read only what a call has consumed.
//! That is safe: the kernel swaps a page out only if all of it was consumed by an earlier call, and
//! what a call has consumed is handed out before the next one.
//!
//! Where a buffer cannot be mapped, its pages are read instead, and all of this works as well: see
//! [`Access`].

mod follow;

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

pub use crate::access::{Access, Unmapped};
use crate::cursor::Cursor;
pub use crate::loss::Loss;
use crate::loss::{Losses, Swap};
use crate::mapping::{Geometry, Mapping, Meta};
use crate::page::Reader;
use crate::source::Source;
pub use crate::subbuf::SubBuffer;
use crate::tracefs::Instance;
use crate::{Error, Result};

/// The ring buffer of one CPU, followed.
#[derive(Debug)]
pub struct CpuBuffer {
    source: Source,
    access: Access,
    cursor: Cursor,
    losses: Losses,
    /// The counters when it was opened.
    start: Meta,
    /// The call that has brought the page, until the page is handed out.
    swap: Option<Swap>,
    /// Whether the loss before this page was reported.
    told: bool,
    /// One that was told when the page had been handed out.
    late: Option<Loss>,
    calls: u64,
    waits: u64,
    /// What [`follow`](Self::follow) has handed out since its last wait, how long that was, and
    /// whether the kernel has ended it.
    followed: usize,
    pause: Duration,
    woken: bool,
}

impl CpuBuffer {
    /// Opens the ring buffer of a CPU: maps it, or if that cannot be, reads it.
    /// [`access`](Self::access) says which.
    ///
    /// No other `CpuBuffer` can have it, in this process or another: a lock on the file sees to that.
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::open`] except [`Error::NotMappable`] and [`Error::SnapshotBusy`];
    /// [`Error::NoCpu`] if the CPU was never online.
    pub fn open(instance: &Instance, cpu: u32) -> Result<Self> {
        let why = match Mapping::open(instance, cpu) {
            Ok(mapping) => return Self::new(mapping),
            Err(Error::SnapshotBusy(_)) => Unmapped::Snapshot,
            Err(Error::NotMappable { path, .. }) => {
                // A CPU that was never online has no buffer, which is EINVAL.
                if !instance.cpus()?.contains(&cpu) {
                    return Err(Error::NoCpu { cpu, path });
                }
                Unmapped::NotMappable
            }
            Err(e) => return Err(e),
        };
        Self::from_source(Source::read(instance, cpu)?, Access::Read(why))
    }

    /// Follows a mapping from where its reader is.
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::reader`].
    pub fn new(mapping: Mapping) -> Result<Self> {
        Self::from_source(Source::Mapped(mapping), Access::Mapped)
    }

    pub(crate) fn from_source(mut source: Source, access: Access) -> Result<Self> {
        let start = source.meta();
        let page = source.page()?;
        Ok(CpuBuffer {
            cursor: Cursor::new(&page),
            told: page.loss().is_some(),
            source,
            access,
            losses: Losses::new(start.overrun),
            start,
            swap: None,
            late: None,
            calls: 0,
            waits: 0,
            followed: 0,
            pause: follow::SHORT,
            woken: false,
        })
    }

    /// Asks the kernel for more (one system call, unless the last one has brought something that was
    /// not handed out yet). `None` means that there is nothing new. An empty [`SubBuffer`] does not: a
    /// new page was swapped in, on which nothing is committed yet.
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::get_reader`].
    pub fn get_reader(&mut self) -> Result<Option<SubBuffer<'_>>> {
        let page = self.source.page()?;
        if !self.cursor.is_behind(&page) {
            self.call(false)?;
        }
        self.take(|page| page.read)
    }

    /// Hands out what is left of the reader page when it is complete, so that each page comes at once
    /// and once. `None` means that there is no such page now; then [`wait`](Self::wait).
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::get_reader`].
    pub fn whole_page(&mut self) -> Result<Option<SubBuffer<'_>>> {
        let page = self.source.page()?;
        if self.cursor.has_all(&page) && is_over(&page) {
            if self.cursor.is_ahead(&page) {
                self.call(true)?;
            }
            self.call(true)?;
        }
        match self.source.page()?.complete {
            true => self.take(|page| page.data.len()),
            false => Ok(None),
        }
    }

    /// For the end of a run that leaves the writers going: has the kernel count as read what was
    /// handed out, by one system call at most, and hands out what it has counted besides. Then
    /// [`meta`](Self::meta) and what was handed out agree.
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::get_reader`].
    pub fn settle(&mut self) -> Result<Option<SubBuffer<'_>>> {
        let page = self.source.page()?;
        if self.cursor.is_ahead(&page) {
            self.call(false)?;
        }
        self.source.refresh()?;
        self.take(|page| page.read)
    }

    /// What was overwritten, and not reported before any page. To be asked at the end, when the writers
    /// have stopped and all is read ([`Meta::unread`] is 0): then there is no page any more to report
    /// it with. `None` if nothing, as nearly always.
    pub fn unreported(&mut self) -> Option<Loss> {
        let overrun = self.source.meta().overrun;
        Loss::sum(self.late.take(), self.losses.rest(overrun))
    }

    /// Throws away what is in this buffer and sets its counters to 0.
    ///
    /// That this takes `&mut self` is what makes it sound: no [`SubBuffer`] of it can be alive, as
    /// its memory would change.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::Permission`].
    pub fn reset(&mut self) -> Result<()> {
        let path = self.source.path().with_file_name("trace");
        // Opening for writing with O_TRUNC is what resets.
        File::create(&path).map_err(|e| Error::io("reset through", &path, e))?;
        self.source.discard()?;
        self.losses = Losses::new(0);
        self.start = self.source.meta();
        (self.swap, self.late) = (None, None);
        let page = self.source.page()?;
        self.cursor = Cursor::new(&page);
        self.told = page.loss().is_some();
        Ok(())
    }

    fn has_all(&mut self) -> Result<bool> {
        let page = self.source.page()?;
        Ok(self.cursor.has_all(&page))
    }

    /// Asks the kernel once: `GET_READER`, or `read(2)`; or `splice(2)`, if it should be a `whole`
    /// page.
    fn call(&mut self, whole: bool) -> Result<()> {
        self.calls += 1;
        let before = self.source.meta().overrun;
        let result = self.source.advance(whole);
        let page = self.source.page()?;
        if self.cursor.is_new(&page) {
            self.swap = self.swap.or(Some(Swap {
                before,
                after: page.overrun,
                complete: page.complete,
            }));
        } else if let Some(told) = page.loss().filter(|_| !self.told) {
            self.told = true;
            self.late = self.losses.late(told, page.overrun);
        }
        result
    }

    /// Hands out what is new on the reader page, up to the byte that `end` chooses.
    fn take(&mut self, end: impl Fn(&Reader<'_>) -> usize) -> Result<Option<SubBuffer<'_>>> {
        let page = self.source.page()?;
        let step = self.cursor.step(&page, end(&page));
        let swapped = step.is_some_and(|step| step.swapped);
        let mut loss = None;
        if swapped {
            // Without a call of ours somebody else has brought it.
            let swap = self.swap.take().unwrap_or(Swap {
                before: 0,
                after: page.overrun,
                complete: true,
            });
            let told = page.loss();
            loss = self.losses.swapped(told, swap);
            self.told = told.is_some() || loss.is_some();
        }
        let Some(step) = step else {
            return Ok(None);
        };
        self.followed += step.end - step.start;
        Ok(Some(SubBuffer {
            id: page.id,
            loss: Loss::sum(self.late.take(), loss),
            swapped,
            time: step.time,
            bytes: page.data.get(step.start..step.end).unwrap_or_default(),
        }))
    }

    /// Waits until the buffer is filled to the instance's `buffer_percent`, at most so long. Returns
    /// whether it is.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if `poll(2)` fails. A signal is no failure.
    pub fn wait(&mut self, limit: Duration) -> Result<bool> {
        self.waits += 1;
        self.source.wait(limit)
    }

    /// How the buffer is read.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The sizes of the buffer.
    pub fn geometry(&self) -> Geometry {
        self.source.geometry()
    }

    /// The kernel's counters, as of the last [`get_reader`](Self::get_reader). A buffer that is not
    /// mapped has those of its `stats` file, as of the last time that nothing was there to read.
    pub fn meta(&self) -> Meta {
        self.source.meta()
    }

    /// The kernel's counters when the buffer was opened or reset: where the account of what was read
    /// and lost since begins.
    pub fn start(&self) -> Meta {
        Meta {
            overrun: self.losses.start(),
            ..self.start
        }
    }

    /// How often the kernel was asked: the number of `GET_READER` system calls, or of `read(2)` and
    /// `splice(2)`.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// How often it was waited: the number of all other system calls since the buffer was mapped.
    pub fn waits(&self) -> u64 {
        self.waits
    }
}

/// Whether the writer is on another page: it has left this one, or has never been on it.
fn is_over(page: &Reader<'_>) -> bool {
    page.complete || page.data.is_empty()
}

impl AsFd for CpuBuffer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

impl AsRawFd for CpuBuffer {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests;
