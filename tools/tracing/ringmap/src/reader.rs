// SPDX-License-Identifier: GPL-2.0

//! Sub-buffers in order, each event once, losses as values.
//!
//! One `GET_READER` either consumes what was committed to the current reader page since the last
//! time, or, if that page is exhausted and the writer has left it, swaps in the next one. So a page
//! on which the kernel is still writing comes back several times with the same id and more data, and
//! [`CpuBuffer`] hands out what is new each time.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};

use crate::event::Events;
use crate::mapping::{Geometry, Mapping, Meta, Reader};
use crate::tracefs::Instance;
use crate::{Error, Result};

/// Events that were lost: overwritten before they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// So many.
    Known(u64),
    /// The kernel says that events were lost and does not say how many.
    Unknown,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::Known(count) => write!(f, "{count} events lost"),
            Loss::Unknown => f.write_str("an unknown number of events lost"),
        }
    }
}

/// A count as the kernel stores it: all ones if it does not know.
fn loss_of(count: u64) -> Loss {
    match count {
        u64::MAX => Loss::Unknown,
        count => Loss::Known(count),
    }
}

impl Reader<'_> {
    /// What was lost before this page, to be asked once, when the page is new: the count on the
    /// page, else the count in the meta-page, else the flag on the page.
    pub fn loss(&self) -> Option<Loss> {
        match (self.stored_count, self.lost_events) {
            (Some(count), _) => Some(loss_of(count)),
            (None, 0) => self.commit.missed().then_some(Loss::Unknown),
            (None, count) => Some(loss_of(count)),
        }
    }
}

/// How far the reader page has been handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    id: u32,
    time_stamp: u64,
    /// Bytes of data that were handed out.
    taken: usize,
    /// Time of the last record before byte `timed`, and that byte: somewhere at or before `taken`.
    time: u64,
    timed: usize,
}

/// What is new on the reader page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    start: usize,
    end: usize,
    /// Time before `start`.
    time: u64,
    swapped: bool,
}

impl Cursor {
    /// Everything that the kernel has consumed already was for somebody else.
    fn new(page: &Reader<'_>) -> Self {
        Cursor {
            id: page.id,
            time_stamp: page.time_stamp,
            taken: page.read.min(page.data.len()),
            time: page.time_stamp,
            timed: 0,
        }
    }

    /// Whether the reader page is another one than last time. The id alone does not say: with few
    /// sub-buffers, empty ones or a reset of the buffer the same one may come back. Then it was
    /// emptied in between. Either less is consumed than was before, or its first event is another
    /// one. (As long as nothing was taken the time stamp says nothing: it is 0 on an empty page and
    /// set with the first event.)
    fn is_new(&self, page: &Reader<'_>) -> bool {
        page.id != self.id
            || page.read < self.taken
            || (self.taken > 0 && page.time_stamp != self.time_stamp)
    }

    /// Moves on to what the kernel has consumed. `None` if there is neither data nor a new page.
    fn step(&mut self, page: &Reader<'_>) -> Option<Step> {
        let swapped = self.is_new(page);
        if swapped {
            *self = Cursor {
                taken: 0,
                ..Cursor::new(page)
            };
        } else if self.taken == 0 {
            self.time_stamp = page.time_stamp;
            self.time = page.time_stamp;
        }
        let start = self.taken;
        let end = page.read.min(page.data.len()).max(start);
        if start == end && !swapped {
            return None;
        }
        // Each record is looked at for its time once more than for its event, not more.
        let before = page.data.get(self.timed..start).unwrap_or_default();
        let mut events = Events::new(before, self.time);
        events.by_ref().for_each(drop);
        self.time = events.time();
        self.timed = start;
        self.taken = end;
        Some(Step {
            start,
            end,
            time: self.time,
            swapped,
        })
    }
}

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
    /// Which sub-buffer it is: 0 to the number of sub-buffers.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Events that were lost between this data and what came before it.
    pub fn loss(&self) -> Option<Loss> {
        self.loss
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

/// The ring buffer of one CPU, mapped and followed.
#[derive(Debug)]
pub struct CpuBuffer {
    mapping: Mapping,
    cursor: Cursor,
    calls: u64,
}

impl CpuBuffer {
    /// Maps the ring buffer of a CPU.
    ///
    /// # Errors
    ///
    /// Those of [`Instance::open_pipe_raw`] and [`Mapping::new`].
    pub fn open(instance: &Instance, cpu: u32) -> Result<Self> {
        let (file, path) = instance.open_pipe_raw(cpu)?;
        Self::new(Mapping::new(file, &path)?)
    }

    /// Follows a mapping from where its reader is.
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::reader`].
    pub fn new(mut mapping: Mapping) -> Result<Self> {
        let cursor = Cursor::new(&mapping.reader()?);
        Ok(CpuBuffer {
            mapping,
            cursor,
            calls: 0,
        })
    }

    /// Asks the kernel for more (one system call). `None` means that there is nothing new. An empty
    /// [`SubBuffer`] does not: a new page was swapped in, on which nothing is committed yet.
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::get_reader`].
    pub fn get_reader(&mut self) -> Result<Option<SubBuffer<'_>>> {
        self.calls += 1;
        let page = self.mapping.get_reader()?;
        let Some(step) = self.cursor.step(&page) else {
            return Ok(None);
        };
        Ok(Some(SubBuffer {
            id: page.id,
            loss: page.loss().filter(|_| step.swapped),
            swapped: step.swapped,
            time: step.time,
            bytes: page.data.get(step.start..step.end).unwrap_or_default(),
        }))
    }

    /// Waits until the buffer is filled to the instance's `buffer_percent`, at most so many
    /// milliseconds. Returns whether it is.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if `poll(2)` fails. A signal is no failure.
    pub fn wait(&self, milliseconds: u32) -> Result<bool> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};

        let timeout = Timespec {
            tv_sec: i64::from(milliseconds / 1000),
            tv_nsec: i64::from(milliseconds % 1000 * 1_000_000),
        };
        let mut fds = [PollFd::new(&self.mapping, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(e) => Err(Error::io("wait for", self.mapping.path(), e.into())),
        }
    }

    /// The sizes of the mapping.
    pub fn geometry(&self) -> Geometry {
        self.mapping.geometry()
    }

    /// The kernel's counters, as of the last [`get_reader`](Self::get_reader).
    pub fn meta(&self) -> Meta {
        self.mapping.meta()
    }

    /// How often the kernel was asked.
    pub fn calls(&self) -> u64 {
        self.calls
    }
}

impl AsFd for CpuBuffer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mapping.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::data;
    use crate::mapping::Commit;

    /// A page on which `read` of `data.len()` bytes are consumed.
    fn page(id: u32, time_stamp: u64, data: &[u8], read: usize) -> Reader<'_> {
        Reader {
            id,
            read,
            lost_events: 0,
            time_stamp,
            commit: Commit::from_word(data.len() as u64),
            stored_count: None,
            data,
        }
    }

    fn step(start: usize, end: usize, time: u64, swapped: bool) -> Option<Step> {
        Some(Step {
            start,
            end,
            time,
            swapped,
        })
    }

    #[test]
    fn a_growing_page_is_handed_out_once() {
        let bytes = [data(0, 1, 0), data(5, 1, 0), data(7, 1, 0)].concat();
        let mut cursor = Cursor::new(&page(0, 0, &[], 0));
        // The first event of an empty page sets its time stamp: that is no swap.
        assert_eq!(
            cursor.step(&page(0, 100, &bytes[..8], 8)),
            step(0, 8, 100, false)
        );
        assert_eq!(cursor.step(&page(0, 100, &bytes[..8], 8)), None);
        // More is committed than consumed: the rest comes next time.
        assert_eq!(
            cursor.step(&page(0, 100, &bytes, 16)),
            step(8, 16, 100, false)
        );
        assert_eq!(
            cursor.step(&page(0, 100, &bytes, 24)),
            step(16, 24, 105, false)
        );
        assert_eq!(cursor.step(&page(0, 100, &bytes, 24)), None);
    }

    #[test]
    fn a_new_page_by_its_id() {
        let bytes = data(0, 1, 0);
        let mut cursor = Cursor::new(&page(0, 1, &bytes, 8));
        assert_eq!(cursor.step(&page(1, 2, &bytes, 8)), step(0, 8, 2, true));
        // Swapped, and nothing on it yet.
        assert_eq!(cursor.step(&page(2, 0, &[], 0)), step(0, 0, 0, true));
        assert_eq!(cursor.step(&page(2, 0, &[], 0)), None);
        assert_eq!(cursor.step(&page(2, 9, &bytes, 8)), step(0, 8, 9, false));
    }

    #[test]
    fn the_same_page_again_after_a_round() {
        let bytes = [data(0, 1, 0), data(0, 1, 0)].concat();
        let mut cursor = Cursor::new(&page(0, 1, &bytes, 16));
        // As full as before, with another first event.
        assert_eq!(cursor.step(&page(0, 2, &bytes, 16)), step(0, 16, 2, true));
        // Less on it than before.
        assert_eq!(cursor.step(&page(0, 2, &bytes, 8)), step(0, 8, 2, true));
        // The buffer was reset.
        assert_eq!(cursor.step(&page(0, 0, &[], 0)), step(0, 0, 0, true));
    }

    #[test]
    fn opened_in_the_middle_of_a_page() {
        let bytes = [data(0, 1, 0), data(5, 1, 0)].concat();
        let mut cursor = Cursor::new(&page(0, 100, &bytes, 8));
        assert_eq!(cursor.step(&page(0, 100, &bytes, 8)), None);
        assert_eq!(
            cursor.step(&page(0, 100, &bytes, 16)),
            step(8, 16, 100, false)
        );
    }

    #[test]
    fn a_meta_page_that_lies_reads_nothing_else() {
        let bytes = data(0, 1, 0);
        let mut cursor = Cursor::new(&page(0, 1, &bytes, usize::MAX));
        assert_eq!(cursor.taken, 8);
        assert_eq!(cursor.step(&page(0, 1, &bytes, usize::MAX)), None);
    }

    #[test]
    fn where_the_loss_is_told() {
        let flags = |word, stored, meta| {
            let mut page = page(0, 0, &[], 0);
            page.commit = Commit::from_word(word);
            page.stored_count = stored;
            page.lost_events = meta;
            page.loss()
        };
        let both = 3 << 30;
        assert_eq!(flags(0, None, 0), None);
        assert_eq!(flags(both, Some(7), 7), Some(Loss::Known(7)));
        assert_eq!(flags(both, Some(7), 0), Some(Loss::Known(7)));
        assert_eq!(flags(both, Some(u64::MAX), 0), Some(Loss::Unknown));
        assert_eq!(flags(1 << 31, None, 5), Some(Loss::Known(5)));
        assert_eq!(flags(1 << 31, None, 0), Some(Loss::Unknown));
        assert_eq!(flags(0, None, 5), Some(Loss::Known(5)));
        assert_eq!(flags(0, None, u64::MAX), Some(Loss::Unknown));
    }
}
