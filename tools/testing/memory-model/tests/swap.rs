// SPDX-License-Identifier: GPL-2.0

//! A reader swaps its page for the head page, while a writer goes round the ring (D25).
//!
//! Each event fills a page. Either CPU may stop before each of its accesses, as a virtual CPU does.
//! Memory is in order here: the error needs no more than that. All interleavings are searched.

use std::collections::HashSet;

/// The pages of the ring, and the reader page.
const PAGES: usize = 4;
/// Enough to fill the ring, go on by two pages, and overwrite what the reader looks at.
const EVENTS: u8 = 9;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Flag {
    Normal,
    Head,
    Update,
}
use Flag::{Head, Normal, Update};

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Page {
    next: usize,
    flag: Flag,
    prev: usize,
    written: bool,
    committed: bool,
    event: u8,
}

/// What the writer does next.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Writer {
    Reserve,
    Write,
    /// `rb_move_tail()`, towards the page `next`.
    Next,
    IsHead(usize),
    /// `rb_is_reader_page()` of the commit page: the loads of `prev`, of the next pointer of that
    /// page, and of `prev` again.
    Prev(usize),
    PrevNext(usize, usize),
    PrevAgain(usize, usize, bool),
    SetUpdate(usize),
    SetHead(usize),
    SetNormal(usize),
    /// `rb_tail_page_update()`.
    ClearWrite(usize),
    ClearCommit(usize),
    SetTail(usize),
    /// The first loop of `rb_set_commit_to_write()`.
    Commit,
    Step(usize),
}

impl Writer {
    /// The head has to move, unless the commit page is the reader page.
    fn towards(next: usize, is_reader_page: bool) -> Self {
        if is_reader_page {
            Self::ClearWrite(next)
        } else {
            Self::SetUpdate(next)
        }
    }
}

/// What the reader does next.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Reader {
    /// `__rb_get_reader_page()`: is there something on the page, and has the writer left it?
    Look,
    Size(usize),
    Print(u8),
    ClearWrite,
    ClearCommit,
    /// `rb_set_head_page()`: the page to look at, and how many were looked at.
    FindHead(usize, usize),
    SetNext(usize),
    Replace(usize),
    SetPrev(usize),
    /// It did not find the head, and has warned.
    Gone,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Machine {
    pages: [Page; PAGES],
    tail: usize,
    commit: usize,
    head: usize,
    reader_page: usize,
    read: bool,
    events: u8,
    writer: Writer,
    reader: Reader,
}

/// The reader page had another event after it was printed than before.
#[derive(Debug, PartialEq, Eq)]
struct Torn;

impl Machine {
    fn new() -> Self {
        let ring = PAGES - 1;
        let page = |at: usize| Page {
            next: (at + 1) % ring,
            flag: if at == ring - 1 { Head } else { Normal },
            prev: (at + ring - 1) % ring,
            written: false,
            committed: false,
            event: 0,
        };

        Self {
            pages: core::array::from_fn(page),
            tail: 0,
            commit: 0,
            head: 0,
            reader_page: ring,
            read: false,
            events: 0,
            writer: Writer::Reserve,
            reader: Reader::Look,
        }
    }

    /// Returns whether the writer goes on.
    fn write(&mut self, looks_again: bool) -> bool {
        let tail = self.tail;

        self.writer = match self.writer {
            Writer::Reserve if self.events == EVENTS => return false,
            Writer::Reserve if self.pages[tail].written => Writer::Next,
            Writer::Reserve => {
                self.pages[tail].written = true;
                Writer::Write
            }
            Writer::Write => {
                self.events += 1;
                self.pages[tail].event = self.events;
                Writer::Commit
            }
            Writer::Next => Writer::IsHead(self.pages[tail].next),
            Writer::IsHead(next) => {
                if self.pages[tail].next != next || self.pages[tail].flag != Normal {
                    Writer::Prev(next)
                } else {
                    Writer::ClearWrite(next)
                }
            }
            Writer::Prev(next) => Writer::PrevNext(next, self.pages[self.commit].prev),
            Writer::PrevNext(next, prev) => {
                let is_reader_page = self.pages[prev].next != self.commit;

                if looks_again {
                    Writer::PrevAgain(next, prev, is_reader_page)
                } else {
                    Writer::towards(next, is_reader_page)
                }
            }
            Writer::PrevAgain(next, prev, is_reader_page) => {
                if self.pages[self.commit].prev != prev {
                    Writer::Prev(next)
                } else {
                    Writer::towards(next, is_reader_page)
                }
            }
            Writer::SetUpdate(next) => {
                let page = &mut self.pages[tail];

                // Otherwise a reader has swapped the page: try again.
                if page.next == next && page.flag == Head {
                    page.flag = Update;
                    Writer::SetHead(next)
                } else {
                    Writer::Commit
                }
            }
            Writer::SetHead(next) => {
                self.pages[next].flag = Head;
                Writer::SetNormal(next)
            }
            Writer::SetNormal(next) => {
                self.pages[tail].flag = Normal;
                Writer::ClearWrite(next)
            }
            Writer::ClearWrite(next) => {
                self.pages[next].written = false;
                Writer::ClearCommit(next)
            }
            Writer::ClearCommit(next) => {
                self.pages[next].committed = false;
                Writer::SetTail(next)
            }
            Writer::SetTail(next) => {
                self.tail = next;
                Writer::Commit
            }
            Writer::Commit if self.commit == tail => {
                self.pages[tail].committed = self.pages[tail].written;
                Writer::Reserve
            }
            // The tail is the reader page: it warns, and does not commit. What reserved goes on.
            Writer::Commit if self.pages[self.pages[tail].prev].next != tail => Writer::Reserve,
            Writer::Commit => {
                self.pages[self.commit].committed = true;
                Writer::Step(self.pages[self.commit].next)
            }
            Writer::Step(next) => {
                self.commit = next;
                Writer::Commit
            }
        };
        true
    }

    /// Returns whether the reader goes on.
    fn read(&mut self) -> Result<bool, Torn> {
        let own = self.reader_page;

        self.reader = match self.reader {
            Reader::Look => Reader::Size(self.commit),
            Reader::Size(_) if self.pages[own].committed && !self.read => {
                Reader::Print(self.pages[own].event)
            }
            Reader::Size(commit) if commit == own => Reader::Look,
            Reader::Size(_) => Reader::ClearWrite,
            Reader::Print(event) => {
                if self.pages[own].event != event {
                    return Err(Torn);
                }
                self.read = true;
                Reader::Look
            }
            Reader::ClearWrite => {
                self.pages[own].written = false;
                Reader::ClearCommit
            }
            Reader::ClearCommit => {
                self.pages[own].committed = false;
                self.read = false;
                Reader::FindHead(self.head, 0)
            }
            Reader::FindHead(page, looked) => {
                let prev = self.pages[self.pages[page].prev];

                if prev.next != page || prev.flag != Normal {
                    self.head = page;
                    Reader::SetNext(page)
                } else if looked + 1 == 3 * (PAGES - 1) {
                    Reader::Gone
                } else {
                    Reader::FindHead(self.pages[page].next, looked + 1)
                }
            }
            Reader::SetNext(head) => {
                self.pages[own].next = self.pages[head].next;
                self.pages[own].flag = Head;
                self.pages[own].prev = self.pages[head].prev;
                Reader::Replace(head)
            }
            Reader::Replace(head) => {
                let prev = self.pages[head].prev;

                if self.pages[prev].next == head && self.pages[prev].flag == Head {
                    self.pages[prev].next = own;
                    self.pages[prev].flag = Normal;
                    Reader::SetPrev(head)
                } else {
                    Reader::FindHead(self.head, 0)
                }
            }
            Reader::SetPrev(head) => {
                let next = self.pages[head].next;

                self.pages[next].prev = own;
                self.head = next;
                self.reader_page = head;
                self.read = false;
                Reader::Look
            }
            Reader::Gone => return Ok(false),
        };
        Ok(true)
    }
}

/// Whether a line is torn in some interleaving.
fn search(looks_again: bool) -> Result<(), Torn> {
    let mut seen = HashSet::from([Machine::new()]);
    let mut left = vec![Machine::new()];

    while let Some(machine) = left.pop() {
        let mut next = machine.clone();
        if next.write(looks_again) && seen.insert(next.clone()) {
            left.push(next);
        }

        let mut next = machine;
        if next.read()? && seen.insert(next.clone()) {
            left.push(next);
        }
    }
    Ok(())
}

#[test]
fn the_page_that_is_read_is_not_written() {
    assert_eq!(search(true), Ok(()));
}

#[test]
fn d25_prev_is_loaded_once() {
    assert_eq!(search(false), Err(Torn));
}
