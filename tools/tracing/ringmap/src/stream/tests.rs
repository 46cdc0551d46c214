// SPDX-License-Identifier: LGPL-2.1-or-later

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::*;
use crate::account::Books;
use crate::fake::{Fake, Flavour, ID, Ring};
use crate::format::tests::format;
use crate::worker::PAUSE;

fn worker(fake: &Fake, mode: Mode) -> Worker {
    let mut formats = Formats::default();
    let field = "\tfield:u8 c;\toffset:8;\tsize:1;\tsigned:0;\n";
    formats.insert(format("x", ID, field));
    let source = Source {
        cpu: 0,
        buffer: fake.buffer(),
        sink: None,
    };
    let options = Options {
        mode,
        ..Options::default()
    };
    let phase = Arc::new(AtomicU8::new(RUN));
    Worker::new(source, options, Arc::new(formats), phase, Arc::default())
}

fn start(fake: &Fake, mode: Mode, sink: Sink) -> Stream {
    let source = Source {
        cpu: 0,
        buffer: fake.buffer(),
        sink: Some(sink),
    };
    let options = Options {
        mode,
        ..Options::default()
    };
    Stream::start(vec![source], &Arc::default(), options).unwrap()
}

/// One type of event, and more samples wanted than types: ten rounds.
#[test]
fn samples_go_on() {
    let fake = Fake::new(Flavour::C, 3);
    let mut worker = worker(&fake, Mode::Live);
    let stream = Stream {
        phase: Arc::clone(&worker.phase),
        formats: Arc::default(),
        options: Options::default(),
        cpus: vec![(
            0,
            Arc::clone(&worker.live),
            thread::spawn(|| Err(Error::sink("none"))),
        )],
    };
    let mut shown = Vec::new();
    for _ in 0..10 {
        shown.push(stream.samples(2)[0].len());
        for _ in 0..20 {
            fake.write(1, 3);
            worker.take(CpuBuffer::follow).unwrap();
        }
    }
    assert_eq!(shown, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
}

#[test]
fn books_agree_though_writers_go_on() {
    for mode in [Mode::Batch, Mode::Live, Mode::Pages] {
        let fake = Fake::new(Flavour::C, 4);
        let mut worker = worker(&fake, mode);
        fake.ring().on_wait = Some(|_| false);
        for _ in 0..40 {
            fake.write(17, 16);
            worker.round().unwrap();
        }
        fake.write(1, 16);
        worker.phase.store(QUIT, Ordering::Release);
        let summary = worker.run().unwrap();
        assert!(summary.tally.events > 500);
        assert_eq!(Books::new(&summary, None).problems(), [], "{mode:?}");
    }
}

#[test]
fn no_pause_while_much_comes() {
    let fake = Fake::new(Flavour::C, 4);
    fake.ring().on_wait = Some(|ring: &mut Ring| {
        (0..5).for_each(|_| ring.write(250));
        true
    });
    for mode in [Mode::Batch, Mode::Pages] {
        let mut worker = worker(&fake, mode);
        let start = Instant::now();
        (0..200).for_each(|_| worker.round().unwrap());
        assert!(worker.tally.events > 4 * 190);
        assert!(
            start.elapsed() < 100 * PAUSE,
            "{mode:?}: {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn a_pause_if_little_ends_the_waits() {
    let fake = Fake::new(Flavour::C, 4);
    fake.ring().on_wait = Some(|_| true);
    let mut worker = worker(&fake, Mode::Pages);
    let start = Instant::now();
    (0..5).for_each(|_| worker.round().unwrap());
    assert!(start.elapsed() >= 4 * PAUSE);
}

#[test]
fn a_dropped_stream_ends() {
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    let fake = Fake::new(Flavour::C, 3);
    let ended = Arc::new(AtomicBool::new(false));
    let flag = Flag(Arc::clone(&ended));
    let sink: Sink = Box::new(move |_| {
        let _ = &flag;
        Ok(())
    });
    drop(start(&fake, Mode::Pages, sink));
    assert!(ended.load(Ordering::SeqCst));
}

#[test]
fn an_error_of_the_caller_comes_out() {
    #[derive(Debug)]
    struct Mine;
    impl fmt::Display for Mine {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("mine")
        }
    }
    impl std::error::Error for Mine {}

    let fake = Fake::new(Flavour::C, 3);
    fake.write(1, 3);
    let stream = start(&fake, Mode::Batch, Box::new(|_| Err(Error::sink(Mine))));
    while !stream.failed() {
        thread::yield_now();
    }
    match stream.finish(false) {
        Err(Error::Sink(e)) => assert!(e.is::<Mine>()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cpu_that_comes_later() {
    let first = Fake::new(Flavour::C, 3);
    let second = Fake::new(Flavour::C, 3);
    let mut stream = start(&first, Mode::Live, Box::new(|_| Ok(())));
    first.write(5, 3);
    second.write(7, 3);
    let source = Source {
        cpu: 1,
        buffer: second.buffer(),
        sink: None,
    };
    stream.add(source).unwrap();
    let summaries = stream.finish(true).unwrap();
    let seen: Vec<_> = summaries.iter().map(|s| (s.cpu, s.tally.events)).collect();
    assert_eq!(seen, [(0, 5), (1, 7)]);
}
