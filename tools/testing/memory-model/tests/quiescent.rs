// SPDX-License-Identifier: GPL-2.0

//! The reader page while a writer is on it: `Consumer::quiescent()` of
//! `kernel/trace/ring_buffer_map/reader_state/consumer.rs`.
//!
//! If it finds no writer in the middle of an event, the counters of the buffer have the number of
//! events on the page, and `write_stamp` is the time of the last one. A walk over the page, which
//! sees all that is committed, must find the same.

use memory_model::{explore, Cpu, Step, Violation};

/// What `struct ring_buffer_per_cpu` has.
const TAIL_PAGE: usize = 0;
const ENTRIES: usize = 1;
const BEFORE_STAMP: usize = 2;
const WRITE_STAMP: usize = 3;
const COMMITTING: usize = 7;

/// What the reader page has.
const WRITE: usize = 4;
const COMMIT: usize = 5;
const TIME_STAMP: usize = 6;
const DATA: usize = 8;

/// For how many events a page has room.
const CAPACITY: u32 = 2;

/// How many events are written besides that of the interrupt.
const EVENTS: usize = 2;

/// An event in [`DATA`] has its time, or else one more than the time since the last event.
const ABSOLUTE: u32 = 1000;

/// What is compared with what a walk finds.
#[derive(Clone, Copy)]
enum Compare {
    Number,
    Time,
}

/// Which barriers and which tests there are.
#[derive(Clone, Copy)]
struct Present {
    /// `smp_wmb()` in the second loop of `rb_set_commit_to_write()`.
    commit: bool,
    /// That of `local_add_return()` in `__rb_reserve_next()`.
    write: bool,
    /// The barriers in `Consumer::quiescent()`: before the counters are loaded, before
    /// `committing`, and before `write`.
    before_counters: bool,
    before_committing: bool,
    before_write: bool,
    /// The tests there.
    committing: bool,
    tail_page: bool,
    /// A test that is not there: whether the two stamps of the writer agree.
    stamps: bool,
}

const ALL: Present = Present {
    commit: true,
    write: true,
    before_counters: true,
    before_committing: true,
    before_write: true,
    committing: true,
    tail_page: true,
    stamps: false,
};

/// The writer, which an interrupt may interrupt once.
struct Writer {
    present: Present,
    interrupted: bool,
    coarse: bool,
    time: u32,
    before_stamp: u32,
    write_stamp: u32,
    tail_page: usize,
    commit_page: usize,
    write: [u32; 3],
    commit: [u32; 3],
    entries: u32,
    committing: u32,
    commits: u32,
}

impl Writer {
    /// A point at which the interrupt may come.
    fn interrupt(&mut self, cpu: &mut Cpu<'_>) -> Step<()> {
        if !self.interrupted && cpu.choose(2)? == 1 {
            self.interrupted = true;

            let discard = cpu.choose(2)? == 1;

            self.event(cpu, discard)?;
        }
        Ok(())
    }

    /// The time. A coarse clock only moves between two events that are not nested.
    fn now(&mut self) -> u32 {
        if !self.coarse {
            self.time += 1;
        }
        self.time
    }

    fn set_committing(&mut self, cpu: &mut Cpu<'_>, committing: u32) -> Step<()> {
        self.committing = committing;
        cpu.store(COMMITTING, committing)
    }

    fn set_before_stamp(&mut self, cpu: &mut Cpu<'_>, ts: u32) -> Step<()> {
        self.before_stamp = ts;
        cpu.store(BEFORE_STAMP, ts)
    }

    /// `ring_buffer_lock_reserve()` to `ring_buffer_unlock_commit()`, or to
    /// `ring_buffer_discard_commit()`.
    fn event(&mut self, cpu: &mut Cpu<'_>, discard: bool) -> Step<()> {
        self.set_committing(cpu, self.committing + 1)?;
        self.commits += 1;
        while !self.reserve_next(cpu)? {}
        self.interrupt(cpu)?;
        if discard {
            self.discard(cpu)?;
            return self.end_commit(cpu);
        }

        // rb_commit()
        self.entries += 1;
        cpu.store(ENTRIES, self.entries)?;
        self.end_commit(cpu)
    }

    /// `rb_try_to_discard()` of the last event of all.
    fn discard(&mut self, cpu: &mut Cpu<'_>) -> Step<()> {
        let page = self.tail_page;

        self.set_before_stamp(cpu, 0)?;
        cpu.mb(true)?;
        self.set_write(cpu, page, self.write[page] - 1)?;
        cpu.mb(true)
    }

    /// `__rb_reserve_next()`. Whether it did not return `-EAGAIN`.
    fn reserve_next(&mut self, cpu: &mut Cpu<'_>) -> Step<bool> {
        let page = self.tail_page;
        let w = self.write[page];

        self.interrupt(cpu)?;
        let before = self.before_stamp;
        let after = self.write_stamp;

        self.interrupt(cpu)?;
        let mut ts = self.now();
        let absolute = w != 0 && before != after;

        self.set_before_stamp(cpu, ts)?;
        self.interrupt(cpu)?;

        cpu.mb(self.present.write)?;
        let tail = self.write[page];
        self.set_write(cpu, page, tail + 1)?;
        cpu.mb(self.present.write)?;

        if tail == CAPACITY {
            return self.move_tail(cpu, page);
        }

        let mut event;

        if tail == w {
            self.interrupt(cpu)?;
            self.write_stamp = ts;
            cpu.store(WRITE_STAMP, ts)?;
            event = if absolute {
                ABSOLUTE + ts
            } else {
                1 + ts - after
            };
        } else {
            let before = self.before_stamp;

            ts = self.now();
            self.set_before_stamp(cpu, ts)?;
            self.interrupt(cpu)?;

            let after = self.write_stamp;

            self.interrupt(cpu)?;
            event = 1;
            if self.write[page] == tail + 1 && after == before && after < ts {
                event += ts - after;
            }
        }
        self.interrupt(cpu)?;
        if tail == 0 && event < ABSOLUTE {
            event = 1;
        }
        if page == 0 {
            cpu.store(DATA + tail as usize, event)?;
            if tail == 0 {
                cpu.store(TIME_STAMP, ts)?;
            }
        }
        Ok(true)
    }

    fn set_write(&mut self, cpu: &mut Cpu<'_>, page: usize, write: u32) -> Step<()> {
        self.write[page] = write;
        if page == 0 {
            cpu.store(WRITE, write)?;
        }
        Ok(())
    }

    /// `rb_move_tail()`. The page is full: there is no padding.
    fn move_tail(&mut self, cpu: &mut Cpu<'_>, page: usize) -> Step<bool> {
        // rb_tail_page_update(). Its barrier is left out: the next turn has one.
        if self.tail_page == page {
            self.tail_page = page + 1;
            cpu.store(TAIL_PAGE, self.tail_page as u32)?;
        }
        self.interrupt(cpu)?;

        // rb_reset_tail()
        self.set_write(cpu, page, self.write[page] - 1)?;
        self.interrupt(cpu)?;
        self.end_commit(cpu)?;
        self.set_committing(cpu, self.committing + 1)?;
        Ok(false)
    }

    fn end_commit(&mut self, cpu: &mut Cpu<'_>) -> Step<()> {
        loop {
            let commits = self.commits;

            if self.committing == 1 {
                self.set_commit_to_write(cpu)?;
            }
            self.set_committing(cpu, self.committing - 1)?;
            self.interrupt(cpu)?;
            if self.commits == commits || self.committing != 0 {
                return Ok(());
            }
            self.set_committing(cpu, self.committing + 1)?;
        }
    }

    fn set_commit_to_write(&mut self, cpu: &mut Cpu<'_>) -> Step<()> {
        loop {
            let page = self.commit_page;
            let write = self.write[page];

            if self.commit[page] != write {
                cpu.wmb(self.present.commit)?;
                self.interrupt(cpu)?;
                self.commit[page] = write;
                if page == 0 {
                    cpu.store(COMMIT, write)?;
                }
            } else if page != self.tail_page {
                self.commit_page += 1;
            } else {
                return Ok(());
            }
        }
    }
}

fn write(cpu: &mut Cpu<'_>, present: Present) -> Step<u32> {
    let mut writer = Writer {
        present,
        interrupted: false,
        coarse: cpu.choose(2)? == 1,
        time: 0,
        before_stamp: 0,
        write_stamp: 0,
        tail_page: 0,
        commit_page: 0,
        write: [0; 3],
        commit: [0; 3],
        entries: 0,
        committing: 0,
        commits: 0,
    };

    for _ in 0..EVENTS {
        writer.time += 1;
        writer.event(cpu, false)?;
    }
    Ok(0)
}

/// `Consumer::quiescent()`, and then a walk over the same events.
fn read(cpu: &mut Cpu<'_>, present: Present, compare: Compare) -> Step<u32> {
    let end = cpu.load(COMMIT)?;

    cpu.rmb(present.before_counters)?;

    let entries = cpu.load(ENTRIES)?;
    let stamp = cpu.load(WRITE_STAMP)?;

    cpu.rmb(present.before_committing)?;
    if present.committing && cpu.load(COMMITTING)? != 0 {
        return Ok(0);
    }
    cpu.rmb(present.before_write)?;

    let quiescent = cpu.load(WRITE)? == end
        && (!present.tail_page || cpu.load(TAIL_PAGE)? == 0)
        && (!present.stamps || cpu.load(BEFORE_STAMP)? == stamp);

    if !quiescent || end == 0 {
        return Ok(0);
    }
    match compare {
        Compare::Number => cpu.check(entries == end, "the number is another")?,
        Compare::Time => {
            // Then the next event may need the stamp.
            if walk(cpu, end)? != stamp {
                cpu.join(0)?;
                if cpu.load(COMMIT)? > end {
                    let next = cpu.load(DATA + end as usize)?;

                    cpu.check(next >= ABSOLUTE, "the time is another")?;
                }
            }
        }
    }
    Ok(0)
}

/// The time of the last event before `end`.
fn walk(cpu: &mut Cpu<'_>, end: u32) -> Step<u32> {
    // ReaderPage::committed()
    cpu.rmb(true)?;

    let mut time = cpu.load(TIME_STAMP)?;

    for index in 0..end {
        time = match cpu.load(DATA + index as usize)? {
            event @ ABSOLUTE.. => event - ABSOLUTE,
            event => time.wrapping_add(event).wrapping_sub(1),
        };
    }
    Ok(time)
}

fn run(present: Present, compare: Compare) -> Result<usize, Violation> {
    explore(&[&|cpu| write(cpu, present), &|cpu| {
        read(cpu, present, compare)
    }])
}

fn holds(present: Present, compare: Compare) {
    let states = run(present, compare).unwrap_or_else(|violation| panic!("{violation:#?}"));

    // The search is of no worth if it ends early.
    assert!(states > 10_000, "{states} states");
}

fn fails(present: Present, compare: Compare) {
    run(present, compare).expect_err("it holds");
}

#[test]
fn quiescent_holds() {
    holds(ALL, Compare::Number);
    holds(ALL, Compare::Time);
}

#[test]
fn without_barrier_before_a_commit() {
    let present = Present {
        commit: false,
        ..ALL
    };

    fails(present, Compare::Number);
    fails(present, Compare::Time);
}

#[test]
fn without_barrier_of_write() {
    let present = Present {
        write: false,
        ..ALL
    };

    fails(present, Compare::Number);
    fails(present, Compare::Time);
}

#[test]
fn without_barrier_before_the_counters() {
    let present = Present {
        before_counters: false,
        ..ALL
    };

    fails(present, Compare::Number);
    fails(present, Compare::Time);
}

#[test]
fn without_barrier_before_committing() {
    let present = Present {
        before_committing: false,
        ..ALL
    };

    // Of a counted event, `write` tells.
    holds(present, Compare::Number);
    fails(present, Compare::Time);
}

#[test]
fn without_barrier_before_write() {
    let present = Present {
        before_write: false,
        ..ALL
    };

    // The barrier before `committing` is one before `write`, too.
    holds(present, Compare::Number);
    fails(present, Compare::Time);
}

#[test]
fn without_test_of_the_tail_page() {
    let present = Present {
        tail_page: false,
        ..ALL
    };

    fails(present, Compare::Number);
    holds(present, Compare::Time);
}

#[test]
fn without_test_of_committing() {
    let present = Present {
        committing: false,
        ..ALL
    };

    // Of a counted event, `write` tells.
    holds(present, Compare::Number);
    fails(present, Compare::Time);
}

/// An interrupt may discard an event, and the interrupted one then have the same stamp.
#[test]
fn stamps_instead_of_committing() {
    let present = Present {
        committing: false,
        stamps: true,
        ..ALL
    };

    holds(present, Compare::Number);
    fails(present, Compare::Time);
}
