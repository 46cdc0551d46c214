// SPDX-License-Identifier: LGPL-2.1-or-later

//! The events of several CPUs in one order: that of time.
//!
//! Each CPU's events come in order, but nobody knows which CPU's next event is the earliest until
//! all of them have said something. [`Merge`] holds events back until every CPU has either a later
//! event or a *watermark*: its buffer was looked at at that time, and had nothing older.
//!
//! ```
//! use ringmap::event::Event;
//! use ringmap::merge::{Limits, Merge};
//!
//! let mut merge = Merge::new([0, 1], Limits::default());
//! let event = |time| Event { time, payload: &[] };
//! merge.push(0, &event(5));
//! assert!(merge.pop().is_none(), "CPU 1 may have an earlier one");
//! merge.push(1, &event(3));
//! assert_eq!(merge.pop().unwrap().time, 3);
//! assert!(merge.pop().is_none());
//! merge.watermark(1, 7);
//! assert_eq!(merge.pop().unwrap().time, 5);
//! ```
//!
//! A thread for each CPU pushes into one `Mutex<Merge>`, a sub-buffer at a time
//! ([`Merge::push_page`]); whoever prints takes out what is ready.
//!
//! # Bounds
//!
//! What is held is bounded by [`Limits`]. If one CPU says nothing for so long that others fill it,
//! the earliest event that is there is handed out although an earlier one may still come. If one
//! does, it is handed out at once, behind later ones, and counted:
//! [`out_of_order`](Merge::out_of_order). So nothing is ever dropped, and with the bounds not
//! reached and true watermarks the order is right. The bounds are checked when events are taken
//! out: between two rounds of [`Merge::pop`] it holds what was pushed in between, on top.
//!
//! # Watermarks
//!
//! The time must be that of the trace clock. For any clock it is `now ts` in `per_cpu/cpuN/stats`,
//! read *before* the buffer is looked at and found empty. An event gets its time some moments
//! before a reader can see it, longer where it is interrupted: to be exact, take a moment off.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

use crate::event::Event;
use crate::reader::{Loss, SubBuffer};

/// How much a [`Merge`] holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Events, all CPUs together.
    pub events: usize,
    /// Bytes of their payloads, all CPUs together.
    pub bytes: usize,
}

impl Default for Limits {
    /// A million events or 64 MiB: some seconds of a busy machine.
    fn default() -> Self {
        Limits {
            events: 1 << 20,
            bytes: 64 << 20,
        }
    }
}

/// What a CPU has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item<'a> {
    /// An event.
    Event(Event<'a>),
    /// Before the CPU's next event some were lost.
    Loss(Loss),
}

/// What comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Merged<'a> {
    /// The CPU.
    pub cpu: u32,
    /// The time of the event; of a loss, the one that [`Merge::push_loss`] was given.
    pub time: u64,
    /// Event or loss.
    pub item: Item<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Event { len: usize },
    Loss(Loss),
}

/// What waits of one CPU. The payloads stand one after the other in `bytes`, from `start` on.
#[derive(Debug)]
struct Queue {
    cpu: u32,
    items: VecDeque<(u64, Kind)>,
    bytes: Vec<u8>,
    start: usize,
    /// Nothing older will come.
    low: u64,
    done: bool,
}

impl Queue {
    /// Forgets payloads that were handed out, as soon as they are half of all.
    fn trim(&mut self) {
        if self.start > 0 && self.start >= self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }
}

/// Puts the events of several CPUs in the order of time. See [the module](self).
#[derive(Debug)]
pub struct Merge {
    limits: Limits,
    queues: Vec<Queue>,
    /// The time of each queue's first item, and the queue.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    /// The watermark of each queue that is empty and may still get items, and the queue.
    silent: BTreeSet<(u64, usize)>,
    events: usize,
    bytes: usize,
    /// The latest time that was handed out.
    latest: u64,
    out_of_order: u64,
    forced: u64,
}

impl Merge {
    /// A merge of these CPUs: until each has said something, nothing comes out.
    pub fn new(cpus: impl IntoIterator<Item = u32>, limits: Limits) -> Self {
        let mut merge = Merge {
            limits,
            queues: Vec::new(),
            heads: BinaryHeap::new(),
            silent: BTreeSet::new(),
            events: 0,
            bytes: 0,
            latest: 0,
            out_of_order: 0,
            forced: 0,
        };
        for cpu in cpus {
            merge.queue(cpu);
        }
        merge
    }

    /// The queue of a CPU. One that is not known yet may have come online.
    fn queue(&mut self, cpu: u32) -> usize {
        // Mostly they are the first ones, without a gap.
        let guess = cpu as usize;
        if self.queues.get(guess).is_some_and(|queue| queue.cpu == cpu) {
            return guess;
        }
        let mut known = self.queues.iter();
        if let Some(index) = known.position(|queue| queue.cpu == cpu) {
            return index;
        }
        let index = self.queues.len();
        self.queues.push(Queue {
            cpu,
            items: VecDeque::new(),
            bytes: Vec::new(),
            start: 0,
            low: 0,
            done: false,
        });
        self.silent.insert((0, index));
        index
    }

    fn push_item(&mut self, cpu: u32, time: u64, kind: Kind, payload: &[u8]) {
        let index = self.queue(cpu);
        let Some(queue) = self.queues.get_mut(index) else {
            return;
        };
        if queue.items.is_empty() {
            self.silent.remove(&(queue.low, index));
            self.heads.push(Reverse((time, index)));
        }
        queue.items.push_back((time, kind));
        queue.bytes.extend_from_slice(payload);
        queue.low = queue.low.max(time);
        self.events += 1;
        self.bytes += payload.len();
    }

    /// Adds an event of a CPU, behind those that it has. Its payload is copied. A CPU that is not
    /// known is taken in.
    pub fn push(&mut self, cpu: u32, event: &Event<'_>) {
        let len = event.payload.len();
        self.push_item(cpu, event.time, Kind::Event { len }, event.payload);
    }

    /// Adds, behind the events that a CPU has, that some were lost. `time` is that of the next one.
    pub fn push_loss(&mut self, cpu: u32, time: u64, loss: Loss) {
        self.push_item(cpu, time, Kind::Loss(loss), &[]);
    }

    /// Adds the loss and the events of a sub-buffer.
    pub fn push_page(&mut self, cpu: u32, page: &SubBuffer<'_>) {
        if let Some(loss) = page.loss() {
            let first = page.events().next();
            let time = first.map_or(page.time(), |event| event.time);
            self.push_loss(cpu, time, loss);
        }
        page.events().for_each(|event| self.push(cpu, &event));
    }

    /// Says that a CPU has nothing older than `time` but what was pushed. An earlier watermark than
    /// the last changes nothing.
    pub fn watermark(&mut self, cpu: u32, time: u64) {
        let index = self.queue(cpu);
        let Some(queue) = self.queues.get_mut(index) else {
            return;
        };
        if time <= queue.low {
            return;
        }
        if self.silent.remove(&(queue.low, index)) {
            self.silent.insert((time, index));
        }
        queue.low = time;
    }

    /// Says that nothing more will come of a CPU: it is not waited for. If something comes after all,
    /// it is taken.
    pub fn finish(&mut self, cpu: u32) {
        let index = self.queue(cpu);
        if let Some(queue) = self.queues.get_mut(index) {
            queue.done = true;
            self.silent.remove(&(queue.low, index));
        }
    }

    /// Says that nothing more will come of any CPU: all that is held comes out.
    pub fn finish_all(&mut self) {
        self.queues.iter_mut().for_each(|queue| queue.done = true);
        self.silent.clear();
    }

    /// The earliest item, if no CPU can have an earlier one, or more is held than may be.
    pub fn pop(&mut self) -> Option<Merged<'_>> {
        let Reverse((time, index)) = *self.heads.peek()?;
        let waits = self.silent.first().is_some_and(|(low, _)| *low < time);
        if waits {
            if self.events <= self.limits.events && self.bytes <= self.limits.bytes {
                return None;
            }
            self.forced += 1;
        }
        let queue = self.queues.get_mut(index)?;
        queue.trim();
        let (time, kind) = queue.items.pop_front()?;
        match queue.items.front() {
            Some((next, _)) => {
                // In place: the heap is put in order once.
                if let Some(mut head) = self.heads.peek_mut() {
                    *head = Reverse((*next, index));
                }
            }
            None => {
                self.heads.pop();
                if !queue.done {
                    self.silent.insert((queue.low, index));
                }
            }
        }
        self.events -= 1;
        self.out_of_order += u64::from(time < self.latest);
        self.latest = self.latest.max(time);
        let item = match kind {
            Kind::Loss(loss) => Item::Loss(loss),
            Kind::Event { len } => {
                let start = queue.start;
                queue.start += len;
                self.bytes -= len;
                let payload = queue.bytes.get(start..queue.start).unwrap_or_default();
                Item::Event(Event { time, payload })
            }
        };
        Some(Merged {
            cpu: queue.cpu,
            time,
            item,
        })
    }

    /// How many items are held.
    pub fn len(&self) -> usize {
        self.events
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// How many items came out behind later ones: because the limits were reached, a watermark was
    /// not true, or a CPU's own events were not in order.
    pub fn out_of_order(&self) -> u64 {
        self.out_of_order
    }

    /// How many items came out only because the limits were reached.
    pub fn forced(&self) -> u64 {
        self.forced
    }
}

/// The events of several CPUs that are all there, such as those of a recording, in the order of
/// time. Each iterator's events must be in order; those of the same time come in the order of the
/// iterators.
pub fn sorted<'a, I>(cpus: impl IntoIterator<Item = (u32, I)>) -> Sorted<'a, I>
where
    I: Iterator<Item = Event<'a>>,
{
    let mut cpus: Vec<_> = cpus.into_iter().collect();
    let mut heads = BinaryHeap::new();
    let mut waiting = Vec::new();
    for (index, (_, events)) in cpus.iter_mut().enumerate() {
        let event = events.next();
        heads.extend(event.map(|event| Reverse((event.time, index))));
        waiting.push(event);
    }
    Sorted {
        cpus,
        waiting,
        heads,
    }
}

/// An iterator over CPU and event: see [`sorted`].
#[derive(Debug)]
pub struct Sorted<'a, I> {
    cpus: Vec<(u32, I)>,
    /// The next event of each.
    waiting: Vec<Option<Event<'a>>>,
    heads: BinaryHeap<Reverse<(u64, usize)>>,
}

impl<'a, I: Iterator<Item = Event<'a>>> Iterator for Sorted<'a, I> {
    type Item = (u32, Event<'a>);

    fn next(&mut self) -> Option<(u32, Event<'a>)> {
        let mut head = self.heads.peek_mut()?;
        let Reverse((_, index)) = *head;
        let (cpu, events) = self.cpus.get_mut(index)?;
        let waiting = self.waiting.get_mut(index)?;
        let event = waiting.take()?;
        *waiting = events.next();
        match waiting {
            Some(next) => *head = Reverse((next.time, index)),
            None => {
                std::collections::binary_heap::PeekMut::pop(head);
            }
        }
        Some((*cpu, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::data;
    use proptest::prelude::*;

    const NO_LIMIT: Limits = Limits {
        events: usize::MAX,
        bytes: usize::MAX,
    };

    fn event(time: u64) -> Event<'static> {
        Event { time, payload: &[] }
    }

    fn times(merge: &mut Merge) -> Vec<u64> {
        std::iter::from_fn(|| merge.pop().map(|merged| merged.time)).collect()
    }

    #[test]
    fn the_slowest_holds_back() {
        let mut merge = Merge::new([0, 3], NO_LIMIT);
        merge.push(0, &event(1));
        merge.push(0, &event(5));
        assert!(merge.pop().is_none());
        merge.watermark(3, 4);
        assert_eq!(times(&mut merge), [1]);
        // It does not go back.
        merge.watermark(3, 2);
        merge.watermark(3, 5);
        assert_eq!(times(&mut merge), [5]);
        merge.push(3, &event(9));
        assert!(merge.pop().is_none());
        merge.finish(0);
        assert_eq!(times(&mut merge), [9]);
        assert_eq!((merge.out_of_order(), merge.forced()), (0, 0));
    }

    #[test]
    fn a_cpu_that_comes_later() {
        let mut merge = Merge::new([0], NO_LIMIT);
        merge.push(0, &event(5));
        merge.push(7, &event(6));
        assert_eq!(times(&mut merge), [5]);
        merge.push(0, &event(8));
        assert_eq!(times(&mut merge), [6]);
        merge.finish_all();
        assert_eq!(times(&mut merge), [8]);
        assert!(merge.is_empty());
    }

    #[test]
    fn at_the_limit_the_earliest_comes_out() {
        let limits = Limits {
            events: 2,
            bytes: 8,
        };
        let mut merge = Merge::new([0, 1], limits);
        merge.push(0, &event(1));
        merge.push(0, &event(2));
        assert!(merge.pop().is_none());
        merge.push(0, &event(3));
        assert_eq!(times(&mut merge), [1]);
        // Too late: at once, and counted.
        merge.push(1, &event(0));
        assert_eq!(times(&mut merge), [0]);
        assert_eq!(
            (merge.out_of_order(), merge.forced(), merge.len()),
            (1, 1, 2)
        );
        merge.push_loss(1, 4, Loss::Known(7));
        let long = Event {
            time: 9,
            payload: &[1; 9],
        };
        merge.push(1, &long);
        assert_eq!(times(&mut merge), [2, 3, 4, 9]);
    }

    #[test]
    fn losses_keep_their_place() {
        let mut merge = Merge::new([0, 1], NO_LIMIT);
        merge.push(0, &event(1));
        merge.push_loss(0, 5, Loss::Unknown);
        merge.push(0, &event(5));
        merge.push(1, &event(4));
        merge.finish_all();
        let mut items = Vec::new();
        while let Some(merged) = merge.pop() {
            items.push((
                merged.cpu,
                merged.time,
                matches!(merged.item, Item::Loss(_)),
            ));
        }
        assert_eq!(
            items,
            [(0, 1, false), (1, 4, false), (0, 5, true), (0, 5, false)]
        );
    }

    #[test]
    fn a_sub_buffer() {
        let bytes = [data(5, 1, 1), data(2, 1, 2)].concat();
        let mut merge = Merge::new([0], NO_LIMIT);
        merge.push_page(0, &SubBuffer::fake(&bytes, 100, Some(Loss::Known(3))));
        let mut items = Vec::new();
        while let Some(merged) = merge.pop() {
            items.push(match merged.item {
                Item::Loss(loss) => (merged.time, loss.count()),
                Item::Event(event) => (merged.time, event.id().map(u64::from)),
            });
        }
        assert_eq!(items, [(105, Some(3)), (105, Some(1)), (107, Some(2))]);
    }

    /// What may be done to a merge of four CPUs.
    #[derive(Debug, Clone)]
    enum Step {
        /// The CPU's next event, so much later than its last, with so many bytes.
        Push(u32, u64, usize),
        Watermark(u32, u64),
        Pop(usize),
        Finish(u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0u32..4, 0u64..20, 0usize..12).prop_map(|(c, t, n)| Step::Push(c, t, n)),
            2 => (0u32..4, 0u64..40).prop_map(|(c, t)| Step::Watermark(c, t)),
            2 => (1usize..10).prop_map(Step::Pop),
            1 => (0u32..4).prop_map(Step::Finish),
        ];
        prop::collection::vec(step, 0..120)
    }

    proptest! {
        /// Against a list that is sorted: nothing is lost, changed or taken twice, each CPU's events
        /// stay in order, what is out of order is counted, and nothing is before the limits.
        #[test]
        fn as_a_sorted_list(steps in steps(), events in 0usize..30, bytes in 0usize..100, bound: bool) {
            let limits = if bound { Limits { events, bytes } } else { NO_LIMIT };
            let mut merge = Merge::new(0..4, limits);
            let mut last = [0u64; 4];
            let mut done = [false; 4];
            let mut pushed = Vec::new();
            let mut popped = Vec::new();
            let mut held = (0usize, 0usize);
            for step in steps {
                match step {
                    Step::Push(cpu, later, len) if !done[cpu as usize] => {
                        let time = last[cpu as usize] + later;
                        last[cpu as usize] = time;
                        let payload = vec![pushed.len() as u8; len];
                        merge.push(cpu, &Event { time, payload: &payload });
                        pushed.push((time, cpu, payload));
                        held = (held.0 + 1, held.1 + len);
                    }
                    Step::Push(..) => {}
                    Step::Watermark(cpu, later) => {
                        last[cpu as usize] += later;
                        merge.watermark(cpu, last[cpu as usize]);
                    }
                    Step::Finish(cpu) => {
                        done[cpu as usize] = true;
                        merge.finish(cpu);
                    }
                    Step::Pop(count) => {
                        for _ in 0..count {
                            // Of what was pushed and is not out, is this the earliest?
                            let over = held.0 > limits.events || held.1 > limits.bytes;
                            let waiting: Vec<_> = {
                                let mut rest = pushed.clone();
                                for gone in &popped {
                                    let at = rest.iter().position(|one| one == gone).unwrap();
                                    rest.remove(at);
                                }
                                rest
                            };
                            let earliest = waiting.iter().map(|one| one.0).min();
                            let safe = earliest.is_some_and(|time| (0..4).all(|cpu| {
                                done[cpu]
                                    || waiting.iter().any(|one| one.1 as usize == cpu)
                                    || last[cpu] >= time
                            }));
                            let got = merge.pop();
                            prop_assert_eq!(got.is_some(), earliest.is_some() && (safe || over));
                            let Some(Merged { cpu, time, item: Item::Event(event), .. }) = got else {
                                break;
                            };
                            prop_assert_eq!(Some(time), earliest);
                            held = (held.0 - 1, held.1 - event.payload.len());
                            popped.push((time, cpu, event.payload.to_vec()));
                        }
                    }
                }
                prop_assert_eq!(merge.len(), held.0);
            }
            merge.finish_all();
            while let Some(Merged { cpu, time, item: Item::Event(event), .. }) = merge.pop() {
                popped.push((time, cpu, event.payload.to_vec()));
            }

            let mut latest = 0;
            let late = popped.iter().filter(|one| {
                let late = one.0 < latest;
                latest = latest.max(one.0);
                late
            });
            prop_assert_eq!(merge.out_of_order(), late.count() as u64);
            if !bound {
                prop_assert_eq!(merge.out_of_order(), 0);
                prop_assert_eq!(merge.forced(), 0);
            }
            for cpu in 0..4 {
                let of = |list: &[(u64, u32, Vec<u8>)]| -> Vec<_> {
                    list.iter().filter(|one| one.1 == cpu).cloned().collect()
                };
                prop_assert_eq!(of(&pushed), of(&popped));
            }
        }

        #[test]
        fn iterators(lists in prop::collection::vec(prop::collection::vec(0u64..50, 0..20), 0..5)) {
            let mut expected: Vec<_> = lists.concat();
            expected.sort_unstable();
            let cpus = lists.into_iter().enumerate().map(|(cpu, mut times)| {
                times.sort_unstable();
                (cpu as u32, times.into_iter().map(event))
            });
            let times: Vec<_> = sorted(cpus).map(|(_, event)| event.time).collect();
            prop_assert_eq!(times, expected);
        }
    }
}
