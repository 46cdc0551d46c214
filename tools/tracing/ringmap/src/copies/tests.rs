// SPDX-License-Identifier: LGPL-2.1-or-later

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;

use super::*;
use crate::account::Books;
use crate::event::tests::data;
use crate::reader::{Access, CpuBuffer, Loss, Unmapped};
use crate::source::Source;
use crate::stream::{self, Mode, Options, Stream};
use crate::tracefs::Tracefs;

/// A directory that looks like an instance, and the writing end of its `trace_pipe_raw`: a page at a
/// time, as `read(2)` hands them out.
struct Kernel {
    dir: tempfile::TempDir,
    pages: UnixDatagram,
    written: u64,
    overrun: u64,
}

impl Kernel {
    fn new() -> (Self, CpuBuffer) {
        let dir = tempfile::tempdir().unwrap();
        let cpu = dir.path().join("per_cpu/cpu0");
        fs::create_dir_all(&cpu).unwrap();
        fs::write(dir.path().join("trace_clock"), "[local]\n").unwrap();
        fs::write(cpu.join("buffer_size_kb"), "64\n").unwrap();
        let (pages, file) = UnixDatagram::pair().unwrap();
        file.set_nonblocking(true).unwrap();
        let kernel = Kernel {
            dir,
            pages,
            written: 0,
            overrun: 0,
        };
        kernel.stats();
        let tracefs = Tracefs::at(kernel.dir.path()).unwrap();
        let instance = tracefs.instance(None).unwrap();
        let file = File::from(OwnedFd::from(file));
        let copies = Copies::new(file, cpu.join("trace_pipe_raw"), &instance, 0, None).unwrap();
        let access = Access::Read(Unmapped::NotMappable);
        let buffer = CpuBuffer::from_source(Source::Read(copies), access).unwrap();
        (kernel, buffer)
    }

    /// As if all that was sent had been read.
    fn stats(&self) {
        let text = format!(
            "entries: 0\noverrun: {}\ncommit overrun: 0\nbytes: 0\ndropped events: 0\nread events: {}\n",
            self.overrun, self.written
        );
        // In one step, as others read it.
        let path = self.dir.path().join("per_cpu/cpu0/stats");
        fs::write(path.with_extension("new"), text).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    /// Sends a page of so many events, after a loss.
    fn page(&mut self, time: u64, events: u64, words: u32, lost: u64) {
        let size = rustix::param::page_size();
        let body = data(1, words, 7).repeat(events as usize);
        let room = size - PAGE_HEADER - body.len();
        let stored = lost > 0 && room >= 8;
        let commit = Commit::new(body.len(), lost > 0, stored);
        let mut page = [time.to_ne_bytes(), commit.word().to_ne_bytes()].concat();
        page.extend(body);
        if stored {
            page.extend(lost.to_ne_bytes());
        }
        page.resize(size, 0);
        self.written += events;
        self.overrun += lost;
        self.stats();
        self.pages.send(&page).unwrap();
    }
}

/// Events of 68 bytes that fill a page.
fn full() -> u64 {
    (rustix::param::page_size() - PAGE_HEADER) as u64 / 68
}

#[test]
fn pages_are_read_once() {
    let (mut kernel, mut buffer) = Kernel::new();
    assert!(buffer.get_reader().unwrap().is_none());
    kernel.page(100, 2, 3, 0);
    kernel.page(200, 3, 3, 5);
    let page = buffer.get_reader().unwrap().unwrap();
    let times: Vec<_> = page.events().map(|event| event.time).collect();
    assert_eq!((times, page.loss()), (vec![101, 102], None));
    assert!(buffer.needs_kernel().unwrap());
    assert!(buffer.try_follow().unwrap().is_none());
    buffer.advance().unwrap();
    let page = buffer.try_follow().unwrap().unwrap();
    assert_eq!(
        (page.events().count(), page.loss()),
        (3, Some(Loss::Known(5)))
    );
    assert!(page.is_new_page());
    assert!(buffer.follow().unwrap().is_none());
    assert_eq!((buffer.meta().read, buffer.meta().overrun), (5, 5));
}

#[test]
fn a_loss_without_room_for_its_number() {
    let (mut kernel, mut buffer) = Kernel::new();
    kernel.page(100, full(), 16, 0);
    kernel.page(200, full(), 16, 70);
    kernel.page(300, 3, 16, 9);
    let mut losses = Vec::new();
    while let Some(page) = buffer.get_reader().unwrap() {
        losses.push(page.loss());
    }
    // All was written when the first was read, so the first report has all of it.
    let inferred = |count| Some(Loss::Inferred(count));
    assert_eq!(losses, [None, inferred(79), inferred(0)]);
}

#[test]
fn whole_pages_by_splice() {
    let (mut kernel, mut buffer) = Kernel::new();
    assert!(buffer.whole_page().unwrap().is_none());
    for time in 1..40 {
        kernel.page(time, full(), 16, 0);
        let page = buffer.whole_page().unwrap().unwrap();
        assert_eq!((page.time(), page.events().count() as u64), (time, full()));
    }
    assert!(buffer.whole_page().unwrap().is_none());
}

#[test]
fn a_page_of_another_size_is_refused() {
    let (kernel, mut buffer) = Kernel::new();
    kernel.pages.send(&[0; 100]).unwrap();
    let e = buffer.get_reader().unwrap_err();
    assert!(matches!(e, Error::Parse { .. }), "{e}");
}

#[test]
fn books_close() {
    for mode in [Mode::Batch, Mode::Live, Mode::Pages] {
        let (mut kernel, buffer) = Kernel::new();
        kernel.page(100, full(), 16, 0);
        kernel.page(200, full(), 16, 70);
        let options = Options {
            mode,
            ..Options::default()
        };
        let source = stream::Source {
            cpu: 0,
            buffer,
            sink: None,
        };
        let stream = Stream::start(vec![source], &std::sync::Arc::default(), options).unwrap();
        kernel.page(300, 3, 16, 9);
        let summary = stream.finish(true).unwrap().remove(0);
        let instance = Tracefs::at(kernel.dir.path()).unwrap().instance(None);
        let books = Books::new(&summary, Some(instance.unwrap().stats(0).unwrap()));
        assert_eq!(books.problems(), [], "{mode:?}");
        assert_eq!(
            (summary.tally.lost, summary.tally.events),
            (79, 2 * full() + 3)
        );
    }
}

#[test]
fn a_reset_begins_a_new_account() {
    let (mut kernel, mut buffer) = Kernel::new();
    kernel.page(100, full(), 16, 0);
    kernel.page(200, full(), 16, 70);
    while buffer.get_reader().unwrap().is_some() {}
    (kernel.written, kernel.overrun) = (0, 0);
    kernel.stats();
    buffer.reset().unwrap();
    assert_eq!(buffer.start(), Meta::default());
    assert!(kernel.dir.path().join("per_cpu/cpu0/trace").exists());

    kernel.page(300, full(), 16, 8);
    let page = buffer.get_reader().unwrap().unwrap();
    assert_eq!((page.time(), page.loss()), (300, Some(Loss::Inferred(8))));
    assert!(buffer.get_reader().unwrap().is_none());
    assert_eq!(buffer.unreported(), None);
}
