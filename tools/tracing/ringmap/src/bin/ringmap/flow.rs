// SPDX-License-Identifier: LGPL-2.1-or-later

//! Events on their way to standard output: from the threads of all CPUs, through the merge by time, to
//! a thread that prints.
//!
//! What waits is bounded: a thread that has events for a merge that is full waits until some are
//! printed. Meanwhile the kernel keeps the events of its CPU, and counts those it loses.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::running::Running;
use ringmap::event::Event;
use ringmap::merge::{Item, Limits, Merge};
use ringmap::reader::Loss;
use ringmap::stream::Sink;
use ringmap::text::Printer;

/// How many events the merge may hold before the earliest is printed even if an earlier one may come.
const LIMITS: Limits = Limits {
    events: 1 << 18,
    bytes: 32 << 20,
};

/// How many make a thread wait that has more.
const FULL: usize = 2 * LIMITS.events;

/// How many are taken out at a time.
const BATCH: usize = 4096;

/// How soon the printer looks again at what may not be printed yet.
const LOOK: Duration = Duration::from_millis(20);

/// How long an event may take from its time to where a reader sees it, in nanoseconds. It is longer
/// only if it is interrupted for so long.
const MOMENT: u64 = 1_000_000;

struct State {
    merge: Merge,
    /// Nothing more will come.
    over: bool,
    /// Nobody reads any more.
    broken: bool,
}

/// Where the events go.
pub struct Flow {
    state: Mutex<State>,
    came: Condvar,
    room: Condvar,
    /// Wake the printer for each piece of data.
    hurry: bool,
}

impl Flow {
    pub fn new(hurry: bool) -> Arc<Self> {
        Arc::new(Flow {
            state: Mutex::new(State {
                merge: Merge::new([], LIMITS),
                over: false,
                broken: false,
            }),
            came: Condvar::new(),
            room: Condvar::new(),
            hurry,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What takes the events of a CPU. From now on no event of another is printed that is later than
    /// what may come of this one.
    pub fn sink(self: &Arc<Self>, cpu: u32) -> Sink {
        self.lock().merge.watermark(cpu, 0);
        let flow = Arc::clone(self);
        Box::new(move |page| {
            let mut state = flow.lock();
            while state.merge.len() >= FULL && !state.broken {
                let woken = flow.room.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
            }
            if !state.broken {
                let first = state.merge.is_empty();
                state.merge.push_page(cpu, page);
                if first || flow.hurry || state.merge.len() >= BATCH {
                    flow.came.notify_one();
                }
            }
            Ok(())
        })
    }

    /// Whether nobody reads any more.
    pub fn broken(&self) -> bool {
        self.lock().broken
    }

    /// Whether something waits.
    fn waits(&self) -> bool {
        !self.lock().merge.is_empty()
    }

    /// Nothing more will come.
    pub fn end(&self) {
        self.lock().over = true;
        self.came.notify_one();
    }

    /// How many events were printed behind later ones.
    pub fn late(&self) -> u64 {
        self.lock().merge.out_of_order()
    }

    /// Starts to print. The thread ends behind [`end`](Self::end), or if nobody reads.
    pub fn print(
        self: &Arc<Self>,
        printer: impl FnOnce() -> ringmap::Result<Printer> + Send + 'static,
        json: bool,
        out: impl Write + Send + 'static,
    ) -> Result<JoinHandle<Result<()>>> {
        let flow = Arc::clone(self);
        let thread = thread::Builder::new().name("ringmap/print".into());
        let thread = thread.spawn(move || {
            let done = printer()
                .map_err(anyhow::Error::from)
                .and_then(|printer| flow.write(printer, json, out));
            if done.is_err() {
                flow.lock().broken = true;
                flow.room.notify_all();
            }
            done
        });
        thread.context("cannot start a thread")
    }

    fn write(&self, mut printer: Printer, json: bool, mut out: impl Write) -> Result<()> {
        let mut batch = Batch::default();
        let mut text = Vec::new();
        while self.take(&mut batch) {
            for (cpu, time, item) in batch.iter() {
                let event = |payload| Event { time, payload };
                match item {
                    Ok(payload) if json => printer.json(cpu, &event(payload), &mut text),
                    Ok(payload) => printer.line(cpu, &event(payload), &mut text),
                    Err(loss) if json => printer.json_lost(cpu, loss, &mut text),
                    Err(loss) => printer.lost(cpu, loss, &mut text),
                }
            }
            let written = out.write_all(&text).and_then(|()| out.flush());
            written.context("cannot write to standard output")?;
            text.clear();
        }
        Ok(())
    }

    /// Takes out what can be printed now, and waits if that is nothing. Returns whether more may come.
    fn take(&self, batch: &mut Batch) -> bool {
        batch.clear();
        let mut state = self.lock();
        if state.over {
            state.merge.finish_all();
        }
        while batch.items.len() < BATCH {
            let Some(next) = state.merge.pop() else {
                break;
            };
            batch.add(next.cpu, next.time, next.item);
        }
        if !batch.items.is_empty() {
            drop(state);
            self.room.notify_all();
            return true;
        }
        if state.over {
            return false;
        }
        if state.merge.is_empty() {
            // Whoever brings the first, or the end, wakes it.
            let woken = self.came.wait(state);
            drop(woken.unwrap_or_else(PoisonError::into_inner));
        } else {
            let woken = self.came.wait_timeout(state, LOOK);
            drop(woken.unwrap_or_else(PoisonError::into_inner));
        }
        true
    }
}

/// Items that were taken out of the merge, with their payloads.
#[derive(Default)]
struct Batch {
    items: Vec<(u32, u64, std::result::Result<usize, Loss>)>,
    bytes: Vec<u8>,
}

impl Batch {
    fn clear(&mut self) {
        self.items.clear();
        self.bytes.clear();
    }

    fn add(&mut self, cpu: u32, time: u64, item: Item<'_>) {
        let item = match item {
            Item::Event(event) => {
                self.bytes.extend_from_slice(event.payload);
                Ok(event.payload.len())
            }
            Item::Loss(loss) => Err(loss),
            _ => return,
        };
        self.items.push((cpu, time, item));
    }

    fn iter(&self) -> impl Iterator<Item = (u32, u64, std::result::Result<&[u8], Loss>)> {
        let mut rest = &self.bytes[..];
        self.items.iter().map(move |(cpu, time, item)| {
            let item = item.map(|len| {
                let (payload, more) = rest.split_at(len);
                rest = more;
                payload
            });
            (*cpu, *time, item)
        })
    }
}

/// Tells the merge about CPUs that are silent: up to which time nothing can come any more.
pub struct Silence {
    /// In units of the clock.
    moment: u64,
    /// The time when a CPU was looked at, and how often it had been found empty by then.
    marks: HashMap<u32, (u64, u64)>,
}

impl Silence {
    pub fn new(clock_is_ns: bool) -> Self {
        Silence {
            moment: if clock_is_ns { MOMENT } else { 0 },
            marks: HashMap::new(),
        }
    }

    /// To be called now and then.
    pub fn look(&mut self, flow: &Flow, running: &Running) -> Result<()> {
        if !flow.waits() {
            return Ok(());
        }
        let progress = running.progress();
        let looks = |progress: &[(u32, ringmap::stream::Progress)]| -> HashMap<u32, u64> {
            progress
                .iter()
                .map(|(cpu, seen)| (*cpu, seen.looks))
                .collect()
        };
        let mut over = Vec::new();
        let now_looks = looks(&progress);
        for (cpu, looks) in &now_looks {
            match self.marks.get(cpu) {
                // The first one since may have begun before that time.
                Some((time, before)) if *looks >= before + 2 => {
                    flow.lock()
                        .merge
                        .watermark(*cpu, time.saturating_sub(self.moment));
                    over.push(*cpu);
                }
                Some(_) => {}
                None => over.push(*cpu),
            }
        }
        let mut times = Vec::new();
        for cpu in over {
            times.push((cpu, running.instance().now(cpu)?));
        }
        // Behind the times: a look that is counted later has ended later.
        let now_looks = looks(&running.progress());
        for (cpu, time) in times {
            let looks = now_looks.get(&cpu).copied().unwrap_or(0);
            self.marks.insert(cpu, (time, looks));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    use ringmap::comm::Comms;
    use ringmap::format::Formats;
    use ringmap::symbols::Names;

    #[derive(Clone, Default)]
    struct Out(Arc<Mutex<Vec<u8>>>);

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn printer() -> ringmap::Result<Printer> {
        let formats = Arc::new(Formats::default());
        Ok(Printer::new(formats, Names::new(), Comms::new(), false))
    }

    fn push(flow: &Flow, cpu: u32, time: u64) {
        let payload = [1u8, 0, 0, 0, 7, 0, 0, 0];
        let event = Event {
            time,
            payload: &payload,
        };
        flow.lock().merge.push(cpu, &event);
    }

    #[test]
    fn events_come_out_in_order() {
        let flow = Flow::new(false);
        let out = Out::default();
        let _sinks = [flow.sink(0), flow.sink(1)];
        let thread = flow.print(printer, true, out.clone()).unwrap();
        for time in 0..5 * BATCH as u64 {
            push(&flow, 0, 2 * time);
        }
        flow.lock().merge.push_loss(1, 3, Loss::Known(4));
        for time in 0..5 * BATCH as u64 {
            push(&flow, 1, 2 * time + 3);
        }
        flow.end();
        thread.join().unwrap().unwrap();
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        let time = |line: &str| -> Option<u64> {
            line.strip_prefix("{\"time\":")?
                .split(',')
                .next()?
                .parse()
                .ok()
        };
        let times: Vec<_> = text.lines().filter_map(time).collect();
        assert_eq!(times.len(), 10 * BATCH);
        assert!(times.is_sorted());
        assert_eq!(text.matches("\"lost\":4").count(), 1);
        assert_eq!(flow.late(), 0);
    }

    #[test]
    fn nobody_waits_for_who_does_not_read() {
        let flow = Flow::new(true);
        let thread = flow.print(printer, false, Closed).unwrap();
        push(&flow, 0, 1);
        flow.end();
        assert!(thread.join().unwrap().is_err());
        assert!(flow.broken());
    }
}
