// SPDX-License-Identifier: GPL-2.0

//! Sub-buffers in order, each event once, losses as values.
//!
//! One `GET_READER` either consumes what was committed to the current reader page since the last
//! time, or, if that page is exhausted and the writer has left it, swaps in the next one. So a page
//! on which the kernel is still writing comes back several times with the same id and more data, and
//! [`CpuBuffer`] hands out what is new each time.
//!
//! There are three ways to ask for it, which may be mixed:
//!
//! | | hands out | calls the kernel |
//! |---|---|---|
//! | [`get_reader`](CpuBuffer::get_reader) | what that call has consumed | each time |
//! | [`follow`](CpuBuffer::follow) | what is committed, at once | when the page is complete, or idle |
//! | [`whole_page`](CpuBuffer::whole_page) | complete pages | when the page is complete, or empty |
//!
//! The last two read ahead of the kernel, which counts as read only what a call has consumed. That
//! is safe: the kernel swaps a page out only if all of it was consumed by an earlier call, and what
//! a call has consumed is handed out before the next one.

use std::fmt;
use std::hint;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::Duration;

use crate::event::Events;
use crate::mapping::{Geometry, Mapping, Meta, Reader};
use crate::tracefs::Instance;
use crate::{Error, Result};

/// How often [`CpuBuffer::follow`] looks at a page that does not change before it waits: some ten
/// microseconds.
const LOOKS: u32 = 1000;

/// The shortest and the longest of its waits. While little comes each is twice the one before, so
/// that what the waits themselves cause (they are traced like others) does not keep it busy.
const SHORT: Duration = Duration::from_micros(50);
const LONG: Duration = Duration::from_millis(20);

/// Events that were lost: overwritten before they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// So many.
    Known(u64),
    /// The kernel says that events were lost and does not say how many.
    Unknown,
}

impl Loss {
    /// How many events, if that is known.
    pub fn count(self) -> Option<u64> {
        match self {
            Loss::Known(count) => Some(count),
            Loss::Unknown => None,
        }
    }
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
    /// Bytes that the kernel had consumed.
    read: usize,
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
            read: page.read,
            taken: page.read.min(page.data.len()),
            time: page.time_stamp,
            timed: 0,
        }
    }

    /// Whether the reader page is another one than last time. The id alone does not say: with few
    /// sub-buffers, empty ones or a reset of the buffer the same one may come back. Then it was
    /// emptied in between. Either less is on it or consumed than was before, or its first event is
    /// another one. (As long as nothing was taken the time stamp says nothing: it is 0 on an empty
    /// page and set with the first event.)
    fn is_new(&self, page: &Reader<'_>) -> bool {
        page.id != self.id
            || page.read < self.read
            || page.data.len() < self.taken
            || (self.taken > 0 && page.time_stamp != self.time_stamp)
    }

    /// Whether all that is on the page was handed out.
    fn has_all(&self, page: &Reader<'_>) -> bool {
        !self.is_new(page) && self.taken == page.data.len()
    }

    /// Moves on to byte `end`, if it is not there yet. `None` if there is neither data nor a new
    /// page.
    fn step(&mut self, page: &Reader<'_>, end: usize) -> Option<Step> {
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
        self.read = page.read;
        let start = self.taken;
        let end = end.min(page.data.len()).max(start);
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

/// The ring buffer of one CPU, mapped and followed.
#[derive(Debug)]
pub struct CpuBuffer {
    mapping: Mapping,
    cursor: Cursor,
    calls: u64,
    waits: u64,
    /// What [`follow`](Self::follow) has handed out since its last wait, and how long that was.
    followed: usize,
    pause: Duration,
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
            waits: 0,
            followed: 0,
            pause: SHORT,
        })
    }

    /// Asks the kernel for more (one system call). `None` means that there is nothing new. An empty
    /// [`SubBuffer`] does not: a new page was swapped in, on which nothing is committed yet.
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::get_reader`].
    pub fn get_reader(&mut self) -> Result<Option<SubBuffer<'_>>> {
        self.call()?;
        self.take(|page| page.read)
    }

    /// Follows the writer: hands out what it has committed to the mapped page since, without a system
    /// call, and asks the kernel for the next page only when this one is complete.
    ///
    /// While nothing comes it looks again for some microseconds, then waits, at most 20 milliseconds
    /// and until the buffer is filled to `buffer_percent`, and asks the kernel as well: the writer may
    /// be on another page, and others should see what was read. `None` means that nothing came in all
    /// that time.
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
            let page = self.mapping.reader()?;
            if !self.cursor.has_all(&page) {
                return self.take(|page| page.data.len());
            }
            if page.complete {
                let behind = page.read < page.data.len();
                self.next_page(behind)?;
                // If there is none yet, only the kernel will know when there is.
                break;
            }
            hint::spin_loop();
        }
        if self.cursor.has_all(&self.mapping.reader()?) {
            self.idle()?;
        }
        self.take(|page| page.data.len())
    }

    /// Hands out what is left of the reader page when it is complete, so that each page comes at once
    /// and once. `None` means that there is no such page now; then [`wait`](Self::wait).
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::get_reader`].
    pub fn whole_page(&mut self) -> Result<Option<SubBuffer<'_>>> {
        let page = self.mapping.reader()?;
        if self.cursor.has_all(&page) && (page.complete || page.data.is_empty()) {
            let behind = page.read < page.data.len();
            self.next_page(behind)?;
        }
        match self.mapping.reader()?.complete {
            true => self.take(|page| page.data.len()),
            false => Ok(None),
        }
    }

    /// `GET_READER`, counted.
    fn call(&mut self) -> Result<()> {
        self.calls += 1;
        self.mapping.advance()
    }

    /// Asks for the page after one that was handed out, whole. If the kernel is `behind`, one call
    /// more has it consume that first.
    fn next_page(&mut self, behind: bool) -> Result<()> {
        if behind {
            self.call()?;
        }
        self.call()
    }

    /// Waits for the writer, longer each time, and asks the kernel if nothing came meanwhile.
    fn idle(&mut self) -> Result<()> {
        let much = self.geometry().subbuf_size / 2;
        self.pause = match std::mem::take(&mut self.followed) {
            bytes if bytes >= much => SHORT,
            _ => LONG.min(self.pause * 2),
        };
        let ready = self.wait(self.pause)?;
        let page = self.mapping.reader()?;
        let done = self.cursor.has_all(&page);
        // With a small buffer_percent a few events make a buffer ready, which is no reason to hurry.
        if ready && !page.complete && !page.data.is_empty() {
            self.waits += 1;
            thread::sleep(self.pause);
        }
        if done {
            // Once: more may have come since, and must be handed out before the page goes.
            self.call()?;
        }
        Ok(())
    }

    /// Hands out what is new on the reader page, up to the byte that `end` chooses.
    fn take(&mut self, end: impl Fn(&Reader<'_>) -> usize) -> Result<Option<SubBuffer<'_>>> {
        let page = self.mapping.reader()?;
        let Some(step) = self.cursor.step(&page, end(&page)) else {
            return Ok(None);
        };
        self.followed += step.end - step.start;
        Ok(Some(SubBuffer {
            id: page.id,
            loss: page.loss().filter(|_| step.swapped),
            swapped: step.swapped,
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
        use rustix::event::{PollFd, PollFlags, Timespec, poll};

        self.waits += 1;
        let timeout = Timespec {
            tv_sec: limit.as_secs().cast_signed(),
            tv_nsec: limit.subsec_nanos().into(),
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

    /// How often the kernel was asked: the number of `GET_READER` system calls.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// How often it was waited: the number of all other system calls since the buffer was opened.
    pub fn waits(&self) -> u64 {
        self.waits
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
            complete: false,
            data,
        }
    }

    /// What a call of the kernel hands out.
    fn called(cursor: &mut Cursor, page: &Reader<'_>) -> Option<Step> {
        cursor.step(page, page.read)
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
            called(&mut cursor, &page(0, 100, &bytes[..8], 8)),
            step(0, 8, 100, false)
        );
        assert_eq!(called(&mut cursor, &page(0, 100, &bytes[..8], 8)), None);
        // More is committed than consumed: the rest comes next time.
        assert_eq!(
            called(&mut cursor, &page(0, 100, &bytes, 16)),
            step(8, 16, 100, false)
        );
        assert_eq!(
            called(&mut cursor, &page(0, 100, &bytes, 24)),
            step(16, 24, 105, false)
        );
        assert_eq!(called(&mut cursor, &page(0, 100, &bytes, 24)), None);
    }

    #[test]
    fn a_new_page_by_its_id() {
        let bytes = data(0, 1, 0);
        let mut cursor = Cursor::new(&page(0, 1, &bytes, 8));
        assert_eq!(
            called(&mut cursor, &page(1, 2, &bytes, 8)),
            step(0, 8, 2, true)
        );
        // Swapped, and nothing on it yet.
        assert_eq!(
            called(&mut cursor, &page(2, 0, &[], 0)),
            step(0, 0, 0, true)
        );
        assert_eq!(called(&mut cursor, &page(2, 0, &[], 0)), None);
        assert_eq!(
            called(&mut cursor, &page(2, 9, &bytes, 8)),
            step(0, 8, 9, false)
        );
    }

    #[test]
    fn the_same_page_again_after_a_round() {
        let bytes = [data(0, 1, 0), data(0, 1, 0)].concat();
        let mut cursor = Cursor::new(&page(0, 1, &bytes, 16));
        // As full as before, with another first event.
        assert_eq!(
            called(&mut cursor, &page(0, 2, &bytes, 16)),
            step(0, 16, 2, true)
        );
        // Less on it than before.
        assert_eq!(
            called(&mut cursor, &page(0, 2, &bytes, 8)),
            step(0, 8, 2, true)
        );
        // The buffer was reset.
        assert_eq!(
            called(&mut cursor, &page(0, 0, &[], 0)),
            step(0, 0, 0, true)
        );
    }

    #[test]
    fn read_ahead_of_the_kernel() {
        let bytes = [data(0, 1, 0), data(5, 1, 0), data(7, 1, 0)].concat();
        let mut cursor = Cursor::new(&page(0, 0, &[], 0));
        let ahead = page(0, 100, &bytes[..16], 0);
        assert!(!cursor.has_all(&ahead));
        assert_eq!(cursor.step(&ahead, 16), step(0, 16, 100, false));
        // What the kernel consumes later is not new.
        for read in [0, 8, 16] {
            let page = page(0, 100, &bytes[..16], read);
            assert!(cursor.has_all(&page));
            assert_eq!(cursor.step(&page, 16), None);
            assert_eq!(called(&mut cursor, &page), None);
        }
        let more = page(0, 100, &bytes, 16);
        assert!(!cursor.has_all(&more));
        assert_eq!(called(&mut cursor, &more), None);
        assert_eq!(cursor.step(&more, 24), step(16, 24, 105, false));
        // The same page with less consumed than before was emptied in between.
        let again = page(0, 100, &bytes, 8);
        assert!(!cursor.has_all(&again));
        assert_eq!(cursor.step(&again, 24), step(0, 24, 100, true));
    }

    /// A file that looks like the mapping of two sub-buffers, the first of them the reader page. It
    /// has no ioctl: asking the kernel is an error.
    fn fake() -> (std::fs::File, CpuBuffer) {
        use std::os::unix::fs::FileExt;

        let file = tempfile::tempfile().unwrap();
        file.set_len(3 * 4096).unwrap();
        for (n, word) in [4096u32, 80, 4096, 2].iter().enumerate() {
            file.write_all_at(&word.to_ne_bytes(), 4 * n as u64)
                .unwrap();
        }
        let mapping = Mapping::new(file.try_clone().unwrap(), "fake".as_ref()).unwrap();
        (file, CpuBuffer::new(mapping).unwrap())
    }

    /// Puts data on the reader page of [`fake`], and commits it.
    fn commit(file: &std::fs::File, data: &[u8]) {
        use std::os::unix::fs::FileExt;

        file.write_all_at(data, 4096 + 16).unwrap();
        file.write_all_at(&(data.len() as u64).to_ne_bytes(), 4096 + 8)
            .unwrap();
    }

    #[test]
    fn follows_without_the_kernel() {
        let (file, mut buffer) = fake();
        let event = data(3, 1, 0);
        for n in 1..=4080 / event.len() {
            commit(&file, &event.repeat(n));
            let new = buffer.follow().unwrap().unwrap();
            let times: Vec<_> = new.events().map(|event| event.time).collect();
            assert_eq!(times, [3 * n as u64]);
        }
        assert_eq!((buffer.calls(), buffer.waits()), (0, 0));
        // Complete: now the kernel is asked.
        assert!(buffer.follow().is_err());
        assert_eq!((buffer.calls(), buffer.waits()), (1, 0));
    }

    #[test]
    fn waits_and_asks_while_nothing_comes() {
        let (file, mut buffer) = fake();
        commit(&file, &data(3, 1, 0));
        assert!(buffer.follow().unwrap().is_some());
        assert!(buffer.follow().is_err());
        assert!(buffer.waits() > 0);
        assert_eq!(buffer.calls(), 1);
    }

    #[test]
    fn whole_pages_only() {
        let (file, mut buffer) = fake();
        let event = data(3, 1, 0);
        commit(&file, &event.repeat(509));
        assert!(buffer.whole_page().unwrap().is_none());
        commit(&file, &event.repeat(510));
        let page = buffer.whole_page().unwrap().unwrap();
        assert_eq!(page.events().count(), 510);
        assert_eq!(buffer.calls(), 0);
        assert!(buffer.whole_page().is_err());
    }

    #[test]
    fn opened_in_the_middle_of_a_page() {
        let bytes = [data(0, 1, 0), data(5, 1, 0)].concat();
        let mut cursor = Cursor::new(&page(0, 100, &bytes, 8));
        assert_eq!(called(&mut cursor, &page(0, 100, &bytes, 8)), None);
        assert_eq!(
            called(&mut cursor, &page(0, 100, &bytes, 16)),
            step(8, 16, 100, false)
        );
    }

    #[test]
    fn a_meta_page_that_lies_reads_nothing_else() {
        let bytes = data(0, 1, 0);
        let mut cursor = Cursor::new(&page(0, 1, &bytes, usize::MAX));
        assert_eq!(cursor.taken, 8);
        assert_eq!(called(&mut cursor, &page(0, 1, &bytes, usize::MAX)), None);
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
