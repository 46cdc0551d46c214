// SPDX-License-Identifier: GPL-2.0

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

use std::fmt;
use std::fs::File;
use std::hint;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::thread;
use std::time::{Duration, Instant};

use crate::cursor::Cursor;
use crate::event::Events;
pub use crate::loss::Loss;
use crate::loss::{Losses, Swap};
use crate::mapping::{Geometry, Mapping, Meta};
use crate::page::Reader;
use crate::source::Source;
use crate::tracefs::Instance;
use crate::{Error, Result};

/// How often [`CpuBuffer::follow`] looks at a page that does not change before it waits: some ten
/// microseconds.
const LOOKS: u32 = 1000;

/// The shortest and the longest of its waits. While little comes each is twice the one before.
const SHORT: Duration = Duration::from_micros(50);
const LONG: Duration = Duration::from_millis(20);

/// How much of a wait is spent asleep if little has ended the one before, so that what the waits
/// themselves cause (they are traced like others) does not keep it busy.
const REST: Duration = Duration::from_millis(2);

/// New data of one sub-buffer. It is the mapping itself, not a copy, and it must be gone before the
/// next [`CpuBuffer::get_reader`].
#[derive(Debug, Clone, Copy)]
pub struct SubBuffer<'a> {
    id: u32,
    loss: Option<Loss>,
    swapped: bool,
    time: u64,
    bytes: &'a [u8],
}

impl<'a> SubBuffer<'a> {
    #[cfg(test)]
    pub(crate) fn fake(bytes: &'a [u8], time: u64, loss: Option<Loss>) -> Self {
        SubBuffer {
            id: 0,
            loss,
            swapped: true,
            time,
            bytes,
        }
    }

    /// Which sub-buffer it is: 0 to the number of sub-buffers.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Events that were lost between this data and what came before it.
    pub fn loss(&self) -> Option<Loss> {
        self.loss
    }

    /// The time that the events' deltas count from: that of the page, or of the event before.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// Whether this is the beginning of a page, and not the continuation of one.
    pub fn is_new_page(&self) -> bool {
        self.swapped
    }

    /// The data: records as [`Events`] walks them. May be empty on a new page.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The events in it.
    pub fn events(&self) -> Events<'a> {
        Events::new(self.bytes, self.time)
    }
}

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
            pause: SHORT,
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

    /// Hands out what the writer has committed to the mapped page since. Neither waits nor makes a
    /// system call. `None` means that there is nothing: then [`advance`](Self::advance), and if still
    /// there is nothing, wait until the file is readable ([`AsFd`], [`AsRawFd`]).
    ///
    /// The kernel calls the file readable when the buffer is filled to the instance's
    /// `buffer_percent`; with 0, at the first event.
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::reader`].
    pub fn try_follow(&mut self) -> Result<Option<SubBuffer<'_>>> {
        self.take(|page| page.data.len())
    }

    /// Whether all that is on the page was handed out, and nothing will be added to it, so that only
    /// [`advance`](Self::advance) can bring more. Makes no system call.
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::reader`].
    pub fn needs_kernel(&mut self) -> Result<bool> {
        let page = self.source.page()?;
        Ok(self.cursor.has_all(&page) && is_over(&page))
    }

    /// Has the kernel count as read what was handed out, and if the page is complete asks for the
    /// next one: no, one or two system calls, none of which waits. Does nothing as long as
    /// [`try_follow`](Self::try_follow) has something to hand out.
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::advance`].
    pub fn advance(&mut self) -> Result<()> {
        let page = self.source.page()?;
        if !self.cursor.has_all(&page) {
            return Ok(());
        }
        // What is on the page may go only if nothing can be added to it: the kernel consumes all of
        // it, or swaps it, never both in one call.
        let (ahead, over) = (self.cursor.is_ahead(&page), is_over(&page));
        if ahead {
            self.call(false)?;
        }
        if over {
            self.call(false)?;
        }
        Ok(())
    }

    /// Follows the writer: hands out what it has committed to the mapped page since, without a system
    /// call, and asks the kernel for the next page only when this one is complete. This is
    /// [`try_follow`](Self::try_follow), [`advance`](Self::advance) and [`wait`](Self::wait) in turn.
    ///
    /// While nothing comes it looks again for some microseconds, then waits until the buffer is filled
    /// to `buffer_percent`, at most 20 milliseconds, and asks the kernel as well: the writer may be on
    /// another page, and others should see what was read. With a `buffer_percent` of 0 the first event
    /// after a quiet time is handed out at once, and those that follow after 2 milliseconds at most.
    /// `None` means that nothing came in all that time.
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::get_reader`] and [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// The numbers of the tracepoints, as soon as they are hit, for some time:
    ///
    /// ```no_run
    /// # fn main() -> Result<(), ringmap::Error> {
    /// # let instance = ringmap::tracefs::Tracefs::find()?.instance(None)?;
    /// use std::time::{Duration, Instant};
    ///
    /// let mut buffer = ringmap::reader::CpuBuffer::open(&instance, 0)?;
    /// let start = Instant::now();
    /// while start.elapsed() < Duration::from_secs(10) {
    ///     if let Some(new) = buffer.follow()? {
    ///         new.events().for_each(|event| println!("{:?}", event.id()));
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn follow(&mut self) -> Result<Option<SubBuffer<'_>>> {
        for _ in 0..LOOKS {
            let page = self.source.page()?;
            if !self.cursor.has_all(&page) {
                return self.try_follow();
            }
            if page.complete {
                // If there is none yet, only the kernel will know when there is.
                break;
            }
            hint::spin_loop();
        }
        self.advance()?;
        if self.has_all()? {
            self.idle()?;
        }
        self.try_follow()
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

    /// Waits for the writer, longer each time, and asks the kernel if nothing came meanwhile.
    fn idle(&mut self) -> Result<()> {
        let start = Instant::now();
        let much = self.geometry().subbuf_size / 2;
        let little = std::mem::take(&mut self.followed) < much;
        self.pause = match little {
            true => LONG.min(self.pause * 2),
            false => SHORT,
        };
        let mut left = self.pause;
        if little && self.woken {
            self.waits += 1;
            thread::sleep(REST.min(left));
            left = left.saturating_sub(start.elapsed());
            // What came meanwhile is on the page, or behind it.
            self.advance()?;
        }
        if self.has_all()? {
            self.woken = self.wait(left)?;
        }
        if self.needs_kernel()? {
            self.advance()?;
        }
        Ok(())
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
