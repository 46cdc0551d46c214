// SPDX-License-Identifier: LGPL-2.1-or-later

//! A kernel for tests: a ring buffer in a memfd, laid out as the mapping is, with nested writers that
//! overwrite, and with `GET_READER`. It follows `kernel/trace/ring_buffer.c`, one sub-buffer after
//! the other, and does each step in one go.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};

use crate::event::tests::header;
use crate::mapping::{Commit, Kernel, Mapping, Memory, Meta, PAGE_HEADER};
use crate::reader::CpuBuffer;
use crate::tracefs::Stats;

/// Bytes of a sub-buffer.
const SIZE: usize = 4096;

/// Bytes of data of a sub-buffer.
pub(crate) const CAPACITY: usize = SIZE - PAGE_HEADER;

/// The id of numbered events: see [`Ring::write`].
pub(crate) const ID: u16 = 7;

/// How lost events are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// On the page if there is room and it is complete, never in the meta-page.
    C,
    /// In the meta-page as well.
    Rust,
    /// On the page, when it is complete.
    Late,
}

#[derive(Debug, Clone, Default)]
struct Page {
    stamp: u64,
    write: usize,
    commit: Mark,
    read: usize,
    real_end: usize,
    /// Where each event ends.
    events: Vec<usize>,
}

/// The size and the mark of a page.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    size: usize,
    missed: bool,
    stored: bool,
}

/// The ring buffer.
#[derive(Debug)]
pub(crate) struct Ring {
    file: File,
    memory: Memory,
    flavour: Flavour,
    pages: Vec<Page>,
    reader: usize,
    /// Pages with events, the oldest first, and those without.
    written: VecDeque<usize>,
    free: VecDeque<usize>,
    tail: usize,
    commit_page: usize,
    /// How many writers are in the middle of an event.
    depth: usize,
    time: u64,
    last: u64,
    /// The number of the next event.
    pub(crate) number: u64,
    pub(crate) entries: u64,
    pub(crate) overrun: u64,
    pub(crate) read: u64,
    pub(crate) refused: u64,
    /// Events that were lost before a page on which the writer was, which the kernel did not tell.
    pub(crate) unmarked: u64,
    last_overrun: u64,
    pub(crate) lost: u64,
    shown_lost: u64,
    /// What [`Kernel::wait`] was asked for, and what it does instead of waiting.
    pub(crate) limits: Vec<Duration>,
    pub(crate) on_wait: Option<fn(&mut Ring) -> bool>,
    pub(crate) calls: u64,
}

impl Ring {
    fn new(flavour: Flavour, subbufs: usize) -> Self {
        let file = File::from(memfd_create("ring", MemfdFlags::CLOEXEC).unwrap());
        file.set_len(((subbufs + 1) * SIZE) as u64).unwrap();
        for (n, word) in [SIZE as u32, 80, SIZE as u32, subbufs as u32]
            .iter()
            .enumerate()
        {
            let at = 4 * n as u64;
            file.write_all_at(&word.to_ne_bytes(), at).unwrap();
        }
        let mut ring = Ring {
            memory: Memory::new(&file, (subbufs + 1) * SIZE),
            file,
            flavour,
            pages: vec![Page::default(); subbufs],
            reader: 0,
            written: [1].into(),
            free: (2..subbufs).collect(),
            tail: 1,
            commit_page: 1,
            depth: 0,
            time: 1000,
            last: 0,
            number: 0,
            entries: 0,
            overrun: 0,
            read: 0,
            refused: 0,
            unmarked: 0,
            last_overrun: 0,
            lost: 0,
            shown_lost: 0,
            limits: Vec::new(),
            on_wait: None,
            calls: 0,
        };
        ring.publish();
        ring
    }

    /// A word of the page's header: the time stamp, or commit.
    fn put_word(&self, page: usize, at: usize, word: u64) {
        self.memory.store((page + 1) * SIZE + at, &[word]);
    }

    fn put_data(&self, page: usize, at: usize, bytes: &[u8]) {
        let at = (page + 1) * SIZE + PAGE_HEADER + at;
        self.memory.copy(at, bytes);
    }

    fn put_commit(&self, page: usize) {
        let Mark {
            size,
            missed,
            stored,
        } = self.pages[page].commit;
        let word = Commit::new(size, missed, stored).word();
        self.put_word(page, 8, word);
    }

    fn publish(&mut self) {
        let page = &self.pages[self.reader];
        let read = page.read as u64;
        let words = [
            self.shown_lost,
            self.reader as u64 | read << 32,
            0,
            self.entries,
            self.overrun,
            self.read,
        ];
        self.memory.store(16, &words);
    }

    pub(crate) fn meta(&self) -> Meta {
        Meta {
            entries: self.entries,
            overrun: self.overrun,
            read: self.read,
            ..Meta::default()
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            entries: self.meta().unread(),
            overrun: self.overrun,
            read: self.read,
            ..Stats::default()
        }
    }

    fn empty_page(&mut self, page: usize) {
        self.pages[page] = Page {
            stamp: self.pages[page].stamp,
            ..Page::default()
        };
        self.put_commit(page);
    }

    /// `rb_reset_tail()`: fills what is left of the writer's page.
    fn pad(&mut self) {
        let page = self.tail;
        let at = self.pages[page].write;
        if at == CAPACITY {
            return;
        }
        self.pages[page].real_end = at;
        if CAPACITY - at < 8 {
            self.put_data(page, at, &header(29, 0));
            return;
        }
        self.put_data(page, at, &header(29, 1));
        let rest = (CAPACITY - at - 4) as u32;
        self.put_data(page, at + 4, &rest.to_ne_bytes());
        self.pages[page].write = CAPACITY;
    }

    /// `rb_move_tail()`. Returns whether there is a page.
    fn move_tail(&mut self) -> bool {
        self.pad();
        let next = match self.free.pop_front() {
            Some(free) => free,
            None => {
                let oldest = self.written[0];
                let on_reader = self.commit_page == self.reader && self.tail != self.reader;
                if oldest == self.commit_page || on_reader {
                    self.refused += 1;
                    return false;
                }
                self.written.pop_front();
                self.overrun += self.pages[oldest].events.len() as u64;
                oldest
            }
        };
        self.empty_page(next);
        self.written.push_back(next);
        self.tail = next;
        true
    }

    /// Begins a record of so many words behind its header. Returns where it ends.
    fn reserve(&mut self, words: u32, make: impl FnOnce(&mut [u8], u32)) -> Option<usize> {
        self.time += 3;
        let len = 4 * words as usize + if words > 28 { 8 } else { 4 };
        if self.pages[self.tail].write + len > CAPACITY && !self.move_tail() {
            return None;
        }
        let page = self.tail;
        let at = self.pages[page].write;
        if at == 0 {
            self.last = self.time;
            self.pages[page].stamp = self.time;
            self.put_word(page, 0, self.time);
        }
        let delta = (self.time - self.last) as u32;
        self.last = self.time;
        let mut bytes = vec![0; len];
        if words > 28 {
            bytes[..4].copy_from_slice(&header(0, delta));
            bytes[4..8].copy_from_slice(&(4 * words + 4).to_ne_bytes());
        } else {
            bytes[..4].copy_from_slice(&header(words, delta));
        }
        make(&mut bytes, delta);
        self.put_data(page, at, &bytes);
        self.pages[page].write = at + len;
        Some(at + len)
    }

    /// Begins a numbered event; it is committed by [`end`](Self::end). Returns whether it has room.
    pub(crate) fn begin(&mut self, words: u32) -> bool {
        let (number, words) = (self.number, words.max(3));
        if self.depth == 0 {
            self.commit_page = self.tail;
        }
        self.depth += 1;
        let event = self.reserve(words, |bytes, _| {
            let payload = if words > 28 { 8 } else { 4 };
            bytes[payload..payload + 2].copy_from_slice(&ID.to_ne_bytes());
            let end = bytes.len() - 8;
            bytes[end..].copy_from_slice(&number.to_ne_bytes());
        });
        match event {
            Some(end) => {
                let page = self.tail;
                self.pages[page].events.push(end);
                self.number += 1;
                true
            }
            None => {
                self.close();
                false
            }
        }
    }

    /// Ends the event that was begun last.
    pub(crate) fn end(&mut self) {
        self.entries += 1;
        self.close();
    }

    /// `rb_set_commit_to_write()`, by the outermost writer.
    fn close(&mut self) {
        self.depth -= 1;
        if self.depth > 0 {
            return;
        }
        if self.commit_page == self.reader {
            self.commit(self.reader);
        }
        let first = self
            .written
            .iter()
            .position(|page| *page == self.commit_page);
        for n in first.unwrap_or_default()..self.written.len() {
            self.commit(self.written[n]);
        }
        self.commit_page = self.tail;
    }

    fn commit(&mut self, page: usize) {
        self.pages[page].commit.size = self.pages[page].write;
        self.put_commit(page);
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Writes a numbered event of so many words.
    pub(crate) fn write(&mut self, words: u32) {
        if self.begin(words) {
            self.end();
        }
    }

    /// Writes an event that is discarded.
    pub(crate) fn discard(&mut self, words: u32) {
        if self.depth == 0 {
            self.commit_page = self.tail;
        }
        self.depth += 1;
        self.reserve(words.max(1), |bytes, delta| {
            let rest = bytes.len() as u32 - 4;
            bytes.fill(0xff);
            bytes[..4].copy_from_slice(&header(29, delta.max(1)));
            bytes[4..8].copy_from_slice(&rest.to_ne_bytes());
        });
        self.close();
    }

    fn size(&self) -> usize {
        self.pages[self.reader].commit.size
    }

    /// Events that the kernel would hand out.
    pub(crate) fn is_empty(&self) -> bool {
        self.pages[self.reader].read >= self.size()
            && (self.commit_page == self.reader
                || self
                    .written
                    .iter()
                    .all(|page| self.pages[*page].commit.size == 0))
    }

    /// Marks the reader page, if the writer has left it. Returns whether it has.
    fn mark(&mut self, lost: u64) -> bool {
        let page = self.reader;
        if self.commit_page == page {
            return false;
        }
        let real_end = self.pages[page].real_end;
        let read = self.pages[page].read;
        let mut commit = self.pages[page].commit;
        if real_end != 0 && read <= real_end {
            commit.size = real_end;
        }
        commit.missed = true;
        commit.stored = CAPACITY - commit.size >= 8;
        if commit.stored {
            self.put_data(page, commit.size, &lost.to_ne_bytes());
        }
        self.pages[page].commit = commit;
        self.put_commit(page);
        true
    }

    /// `ring_buffer_map_get_reader()`.
    pub(crate) fn get_reader(&mut self) {
        self.calls += 1;
        if !self.is_empty() && self.pages[self.reader].read >= self.size() {
            self.swap();
        }
        if self.flavour == Flavour::Late && self.lost > 0 && self.mark(self.lost) {
            self.shown_lost = std::mem::take(&mut self.lost);
        }
        let size = self.size();
        let page = &mut self.pages[self.reader];
        let until = |size| page.events.partition_point(|end| *end <= size);
        self.read += until(size.max(page.read)) as u64 - until(page.read) as u64;
        page.read = page.read.max(size);
        self.publish();
    }

    fn swap(&mut self) {
        if self.commit_page == self.reader {
            return;
        }
        let old = std::mem::replace(&mut self.reader, self.written.pop_front().unwrap());
        self.empty_page(old);
        self.free.push_back(old);
        self.lost = self.overrun - self.last_overrun;
        self.last_overrun = self.overrun;
        self.shown_lost = 0;
        let on_page = self.commit_page == self.reader;
        if on_page && self.flavour != Flavour::Rust {
            self.unmarked += self.lost;
        }
        if self.flavour == Flavour::Late {
            return;
        }
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            self.mark(lost);
            if self.flavour == Flavour::Rust {
                self.shown_lost = lost;
            }
        }
    }
}

/// A ring buffer that a reader and writers share.
#[derive(Debug, Clone)]
pub(crate) struct Fake(Arc<Mutex<Ring>>);

impl Fake {
    pub(crate) fn new(flavour: Flavour, subbufs: usize) -> Self {
        Fake(Arc::new(Mutex::new(Ring::new(flavour, subbufs))))
    }

    pub(crate) fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap()
    }

    /// Writes so many events of so many words.
    pub(crate) fn write(&self, events: u64, words: u32) {
        let mut ring = self.ring();
        (0..events).for_each(|_| ring.write(words));
    }

    pub(crate) fn buffer(&self) -> CpuBuffer {
        let file = self.ring().file.try_clone().unwrap();
        CpuBuffer::new(Mapping::fake(file, Box::new(self.clone())).unwrap()).unwrap()
    }
}

impl Kernel for Fake {
    fn get_reader(&mut self, _: BorrowedFd<'_>) -> rustix::io::Result<()> {
        self.ring().get_reader();
        Ok(())
    }

    fn wait(&mut self, _: BorrowedFd<'_>, limit: Duration) -> rustix::io::Result<bool> {
        let mut ring = self.ring();
        ring.limits.push(limit);
        if let Some(on_wait) = ring.on_wait {
            return Ok(on_wait(&mut ring));
        }
        drop(ring);
        let end = Instant::now() + limit;
        loop {
            if !self.ring().is_empty() {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Ok(false);
            }
            thread::yield_now();
        }
    }
}
