// SPDX-License-Identifier: LGPL-2.1-or-later

use std::thread;
use std::time::Instant;

use super::follow::{LONG, REST};
use super::*;
use crate::account::{Books, Tally};
use crate::event::Event;
use crate::fake::{CAPACITY, Fake, Flavour, ID, Ring};
use crate::tracefs::Stats;
use proptest::prelude::*;

/// What came, checked as it comes.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The number of the next event, if none is lost.
    next: u64,
    events: u64,
    /// Missing, and reported.
    lost: u64,
    reported: u64,
    time: u64,
    loss: Option<Loss>,
    /// Lost by the counters, and missing there.
    inferred: (u64, u64),
    /// Missing, and not told there.
    untold: u64,
}

impl Seen {
    fn add(&mut self, page: &SubBuffer<'_>) {
        self.loss = Loss::sum(self.loss, page.loss());
        self.reported += page.loss().and_then(Loss::count).unwrap_or_default();
        let mut events = page.events();
        for event in events.by_ref() {
            assert_eq!(event.id(), Some(ID));
            let number = event.payload.last_chunk().unwrap();
            let number = u64::from_ne_bytes(*number);
            assert!(number >= self.next, "{number} came again, {self:?}");
            let missing = number - self.next;
            self.gap(missing);
            assert!(event.time > self.time, "{} after {}", event.time, self.time);
            self.time = event.time;
            self.events += 1;
            self.next = number + 1;
        }
        assert!(!events.malformed());
    }

    /// So many are missing: what was told of it?
    fn gap(&mut self, missing: u64) {
        let number = self.next + missing;
        self.lost += missing;
        match self.loss.take() {
            None => self.untold(missing),
            Some(Loss::Known(count)) => {
                assert!(missing >= count, "{count} before {number}, {self:?}");
                self.untold(missing - count);
            }
            Some(Loss::Inferred(count)) => {
                self.inferred = (self.inferred.0 + count, self.inferred.1 + missing);
            }
            Some(Loss::Unknown) => panic!("nothing has counted them"),
        }
    }

    fn untold(&mut self, missing: u64) {
        self.untold += missing;
        self.inferred.1 += missing;
    }

    /// After the last writer has ended: all is read, and the books close.
    fn drain(&mut self, buffer: &mut CpuBuffer, fake: &Fake) {
        for _ in 0..1000 {
            if let Some(page) = buffer.get_reader().unwrap() {
                self.add(&page);
            } else if buffer.meta().unread() == 0 {
                break;
            }
        }
        if let Some(Loss::Inferred(count)) = buffer.unreported() {
            self.inferred.0 += count;
            self.reported += count;
        }
        let ring = fake.ring();
        // The last ones may be lost as well, if only discarded ones came after them.
        self.gap(ring.number - self.next);
        assert_eq!(self.lost, ring.overrun);
        assert_eq!(self.inferred.0, self.inferred.1);
        assert!(self.untold <= ring.unmarked, "{self:?}");
        self.books(buffer, Some(ring.stats()));
    }

    fn books(&self, buffer: &CpuBuffer, stats: Option<Stats>) {
        let tally = Tally {
            events: self.events,
            lost: self.reported,
            ..Tally::default()
        };
        let books = Books {
            tally,
            start: buffer.start(),
            meta: buffer.meta(),
            stats,
        };
        assert_eq!(books.problems(), []);
    }
}

fn numbers(page: &SubBuffer<'_>) -> Vec<u64> {
    let number = |event: Event<'_>| u64::from_ne_bytes(*event.payload.last_chunk().unwrap());
    page.events().map(number).collect()
}

#[test]
fn follows_without_the_kernel() {
    let fake = Fake::new(Flavour::C, 3);
    let mut buffer = fake.buffer();
    fake.write(1, 3);
    assert_eq!(numbers(&buffer.follow().unwrap().unwrap()), [0]);
    let (calls, waits) = (buffer.calls(), buffer.waits());
    for n in 1..CAPACITY as u64 / 16 {
        fake.write(1, 3);
        assert_eq!(numbers(&buffer.follow().unwrap().unwrap()), [n]);
    }
    assert_eq!((buffer.calls(), buffer.waits()), (calls, waits));
    // The next page: one call consumes this one, another brings it.
    fake.write(1, 3);
    assert_eq!(numbers(&buffer.follow().unwrap().unwrap()), [255]);
    assert_eq!((buffer.calls(), buffer.waits()), (calls + 2, waits));
}

#[test]
fn data_or_nothing_without_a_call() {
    let fake = Fake::new(Flavour::C, 3);
    let mut buffer = fake.buffer();
    assert!(buffer.needs_kernel().unwrap());
    fake.write(1, 3);
    assert!(buffer.try_follow().unwrap().is_none());
    buffer.advance().unwrap();
    assert_eq!(numbers(&buffer.try_follow().unwrap().unwrap()), [0]);
    // The writer is on this page, so the kernel cannot bring more.
    assert!(!buffer.needs_kernel().unwrap());
    let calls = fake.ring().calls;
    fake.write(200, 3);
    assert_eq!(buffer.try_follow().unwrap().unwrap().events().count(), 200);
    assert!(buffer.try_follow().unwrap().is_none());
    assert_eq!(fake.ring().calls, calls);
    // It is told what was read, once.
    buffer.advance().unwrap();
    assert_eq!(fake.ring().read, 201);
    buffer.advance().unwrap();
    assert_eq!((fake.ring().calls, buffer.waits()), (calls + 1, 0));
    fake.write(55, 3);
    assert_eq!(buffer.try_follow().unwrap().unwrap().events().count(), 54);
    assert!(buffer.needs_kernel().unwrap());
    buffer.advance().unwrap();
    // Nothing is passed over.
    buffer.advance().unwrap();
    assert_eq!(numbers(&buffer.try_follow().unwrap().unwrap()), [255]);
}

#[test]
fn waits_and_asks_while_nothing_comes() {
    let fake = Fake::new(Flavour::C, 3);
    let mut buffer = fake.buffer();
    assert!(buffer.follow().unwrap().is_none());
    assert!(buffer.waits() > 0);
    assert!(buffer.calls() > 0);
}

/// With a low `buffer_percent` the kernel ends each wait at once.
#[test]
fn a_wait_is_at_most_20_ms() {
    let fake = Fake::new(Flavour::C, 3);
    let mut buffer = fake.buffer();
    fake.ring().on_wait = Some(|_| true);
    for _ in 0..20 {
        let start = Instant::now();
        assert!(buffer.follow().unwrap().is_none());
        let rests = buffer.waits();
        let limit = *fake.ring().limits.last().unwrap();
        // What was slept counts.
        assert!(start.elapsed() >= REST || rests < 12);
        assert!(limit <= LONG);
        assert!(buffer.waits() < 4 || limit <= LONG - REST.min(buffer.pause));
    }
    assert_eq!(buffer.pause, LONG);
}

#[test]
fn an_event_ends_the_wait() {
    let fake = Fake::new(Flavour::C, 3);
    let mut buffer = fake.buffer();
    fake.ring().on_wait = Some(|_| false);
    (0..20).for_each(|_| assert!(buffer.follow().unwrap().is_none()));
    assert_eq!(buffer.pause, LONG);
    fake.ring().on_wait = Some(|ring: &mut Ring| {
        ring.write(3);
        true
    });
    let waits = buffer.waits();
    assert_eq!(numbers(&buffer.follow().unwrap().unwrap()), [0]);
    // It does not sleep when it has something.
    assert_eq!(buffer.waits(), waits + 1);
}

#[test]
fn whole_pages_only() {
    let fake = Fake::new(Flavour::C, 3);
    let mut buffer = fake.buffer();
    fake.write(254, 3);
    assert!(buffer.whole_page().unwrap().is_none());
    fake.write(1, 3);
    let calls = buffer.calls();
    assert_eq!(buffer.whole_page().unwrap().unwrap().events().count(), 255);
    assert_eq!(buffer.calls(), calls);
    fake.write(1, 3);
    assert!(buffer.whole_page().unwrap().is_none());
    // What the swap has consumed of the next one is handed out by whoever asks.
    assert_eq!(numbers(&buffer.get_reader().unwrap().unwrap()), [255]);
}

/// `sched_switch` and `sys_enter` take 68 bytes: 60 of them fill a page to the last byte.
#[test]
fn a_loss_without_room_for_its_number() {
    let fake = Fake::new(Flavour::C, 4);
    let mut buffer = fake.buffer();
    let mut seen = Seen::default();
    for _ in 0..5 {
        fake.write(500, 16);
        let mut losses = 0;
        while let Some(page) = buffer.get_reader().unwrap() {
            assert!(matches!(page.loss(), None | Some(Loss::Inferred(1..))));
            losses += u64::from(page.loss().is_some());
            seen.add(&page);
            assert_eq!(seen.inferred.0, seen.inferred.1);
        }
        assert_eq!(losses, 1);
    }
    seen.drain(&mut buffer, &fake);
    assert!(seen.inferred.0 > 0);
}

/// C has no place to tell a loss before a page on which a writer is in the middle of an event.
#[test]
fn a_loss_that_is_never_told() {
    let fake = Fake::new(Flavour::C, 3);
    let mut buffer = fake.buffer();
    let mut seen = Seen::default();
    fake.ring().begin(3);
    fake.write(1, 189);
    fake.write(1, 76);
    fake.write(103, 16);
    fake.ring().end();
    fake.ring().begin(3);
    fake.write(1, 3);
    seen.add(&buffer.get_reader().unwrap().unwrap());
    fake.write(47, 37);
    fake.ring().end();
    seen.drain(&mut buffer, &fake);
    assert!(fake.ring().unmarked > 0);
}

/// A persistent buffer has lost events before the machine was booted; the page is marked when the
/// writer has left it, and it was handed out by then.
#[test]
fn a_page_that_is_marked_late() {
    let fake = Fake::new(Flavour::Late, 3);
    let mut buffer = fake.buffer();
    fake.write(1, 6);
    assert_eq!(numbers(&buffer.follow().unwrap().unwrap()), [0]);
    fake.ring().lost = u64::MAX;
    fake.write(150, 6);
    let page = buffer.try_follow().unwrap().unwrap();
    assert_eq!((page.events().count(), page.loss()), (144, None));
    buffer.advance().unwrap();
    let page = buffer.try_follow().unwrap().unwrap();
    assert_eq!(page.loss(), Some(Loss::Unknown));
    assert_eq!(numbers(&page), [145, 146, 147, 148, 149, 150]);
}

#[test]
fn what_was_read_ahead_is_settled() {
    let fake = Fake::new(Flavour::C, 3);
    let mut buffer = fake.buffer();
    let mut seen = Seen::default();
    fake.write(1, 3);
    seen.add(&buffer.follow().unwrap().unwrap());
    fake.write(10, 3);
    seen.add(&buffer.follow().unwrap().unwrap());
    assert_eq!(buffer.meta().read, 1);
    fake.write(1, 3);
    // The kernel counts the last one as well, so it is handed out.
    let page = buffer.settle().unwrap().unwrap();
    assert_eq!(numbers(&page), [11]);
    seen.add(&page);
    assert!(buffer.settle().unwrap().is_none());
    seen.books(&buffer, None);
}

#[test]
fn it_is_a_file_to_wait_for() {
    let fake = Fake::new(Flavour::C, 3);
    let buffer = fake.buffer();
    assert_eq!(buffer.as_raw_fd(), buffer.as_fd().as_raw_fd());
    assert_eq!(buffer.access(), Access::Mapped);
}

/// What a writer, an interrupt of it, or the reader does next.
#[derive(Debug, Clone)]
enum Op {
    Write(u32),
    Burst(u64, u32),
    Begin(u32),
    End,
    Discard(u32),
    Get,
    Follow,
    Advance,
    Whole,
    Settle,
}

fn op() -> impl Strategy<Value = Op> {
    let words = || prop_oneof![3u32..40, Just(16u32), 3u32..900];
    prop_oneof![
        8 => words().prop_map(Op::Write),
        4 => (1u64..150, words()).prop_map(|(n, words)| Op::Burst(n, words)),
        3 => words().prop_map(Op::Begin),
        3 => Just(Op::End),
        2 => words().prop_map(Op::Discard),
        4 => Just(Op::Get),
        8 => Just(Op::Follow),
        4 => Just(Op::Advance),
        4 => Just(Op::Whole),
        1 => Just(Op::Settle),
    ]
}

fn flavour() -> impl Strategy<Value = Flavour> {
    prop_oneof![Just(Flavour::C), Just(Flavour::Rust), Just(Flavour::Late)]
}

proptest! {
    /// A writer with interrupts, and a reader that asks in every way: each event comes once and in
    /// order, each loss is told where it is and with its number, and the books close.
    #[test]
    fn writer_and_reader(
        flavour in flavour(),
        subbufs in 3usize..6,
        ops in prop::collection::vec(op(), 0..150),
    ) {
        let fake = Fake::new(flavour, subbufs);
        let mut buffer = fake.buffer();
        let mut seen = Seen::default();
        for op in ops {
            let page = match op {
                Op::Write(words) => { fake.write(1, words); None }
                Op::Burst(n, words) => { fake.write(n, words); None }
                Op::Begin(words) => { fake.ring().begin(words); None }
                Op::End => {
                    let mut ring = fake.ring();
                    if ring.depth() > 0 { ring.end(); }
                    None
                }
                Op::Discard(words) => { fake.ring().discard(words); None }
                Op::Get => buffer.get_reader().unwrap(),
                Op::Follow => buffer.try_follow().unwrap(),
                Op::Advance => { buffer.advance().unwrap(); None }
                Op::Whole => buffer.whole_page().unwrap(),
                Op::Settle => buffer.settle().unwrap(),
            };
            if let Some(page) = page {
                seen.add(&page);
                // Nobody writes while the kernel swaps: then the counters are exact as well, unless
                // the kernel had no place for a mark.
                let unmarked = fake.ring().unmarked;
                prop_assert!(seen.untold <= unmarked);
                prop_assert!(unmarked > 0 || seen.inferred.0 == seen.inferred.1);
            }
        }
        let mut ring = fake.ring();
        while ring.depth() > 0 { ring.end(); }
        drop(ring);
        seen.drain(&mut buffer, &fake);
    }
}

/// How a thread reads.
#[derive(Debug, Clone, Copy)]
enum Way {
    Get,
    Follow,
    Pages,
}

/// A thread that writes as fast as it can, while another reads.
fn race(flavour: Flavour, subbufs: usize, way: Way, events: u64) {
    let fake = Fake::new(flavour, subbufs);
    let mut buffer = fake.buffer();
    let mut seen = Seen::default();
    let writer = thread::spawn({
        let fake = fake.clone();
        move || {
            for n in 0..events {
                let mut ring = fake.ring();
                let words = [16, 5, 3][n as usize % 3];
                let nested = n % 7 == 0 && ring.begin(words);
                ring.write(words);
                if nested {
                    ring.end();
                }
            }
        }
    });
    let mut over = false;
    loop {
        let page = match way {
            Way::Get => buffer.get_reader(),
            Way::Follow => buffer.follow(),
            Way::Pages => buffer.whole_page(),
        };
        match page.unwrap() {
            Some(page) => seen.add(&page),
            None if over => break,
            None => over = writer.is_finished(),
        }
    }
    writer.join().unwrap();
    seen.drain(&mut buffer, &fake);
    assert!(seen.events > 0);
}

#[test]
fn threads() {
    for flavour in [Flavour::C, Flavour::Rust, Flavour::Late] {
        for way in [Way::Get, Way::Follow, Way::Pages] {
            race(flavour, 3, way, 20_000);
            race(flavour, 100, way, 20_000);
        }
    }
}
