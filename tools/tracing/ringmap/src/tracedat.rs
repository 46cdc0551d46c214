// SPDX-License-Identifier: GPL-2.0

//! Files that `trace-cmd report` and kernelshark open: `trace.dat`, version 6, as described in
//! trace-cmd.dat.v6(5).
//!
//! Such a file has the formats of all events, names for addresses and processes, and for each CPU
//! its sub-buffers one after the other, with headers, as they come out of the ring buffer. While it
//! is recorded, each CPU has a file of its own without a name; [`Recording::finish`] puts them
//! together.

use std::fs::{self, File};
use std::io::{self, IoSlice, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::mapping::{Commit, PAGE_HEADER};
use crate::reader::{Loss, SubBuffer};
use crate::stream::Sink;
use crate::tracefs::{Instance, Tracefs};
use crate::{Error, Result};

/// Sections behind the names, each a string of 10 bytes.
const OPTIONS: &[u8; 10] = b"options  \0";
const FLYRECORD: &[u8; 10] = b"flyrecord\0";

/// Numbers of options; the list of them ends with 0.
const OPTION_CPUSTAT: u16 = 2;
const OPTION_TRACECLOCK: u16 = 4;

/// A file that is being recorded.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    file: File,
    tracefs: Tracefs,
    instance: Instance,
    subbuf_size: usize,
    cpus: Vec<(u32, File)>,
}

impl Recording {
    /// Creates the file, or empties it. `subbuf_size` is that of the mapping's geometry, the header
    /// included.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::Output`].
    pub fn create(
        path: impl Into<PathBuf>,
        tracefs: &Tracefs,
        instance: &Instance,
        subbuf_size: usize,
    ) -> Result<Self> {
        let path = path.into();
        let file = File::create(&path).map_err(|e| Error::output(&path, e))?;
        Ok(Recording {
            path,
            file,
            tracefs: tracefs.clone(),
            instance: instance.clone(),
            subbuf_size,
            cpus: Vec::new(),
        })
    }

    /// What writes the data of a CPU: see [`Source`](crate::stream::Source).
    ///
    /// # Errors
    ///
    /// [`Error::Output`].
    pub fn sink(&mut self, cpu: u32) -> Result<Sink> {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".cpu{cpu}"));
        let path = PathBuf::from(name);
        let fail = |e| Error::output(&path, e);
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true);
        let mut file = file.open(&path).map_err(fail)?;
        // From here on it goes away with the process, whatever becomes of that.
        fs::remove_file(&path).map_err(fail)?;
        self.cpus.push((cpu, file.try_clone().map_err(fail)?));

        let zeros = vec![0; self.subbuf_size];
        Ok(Box::new(move |data| {
            write_page(&mut file, data, &zeros).map_err(|e| Error::output(&path, e))
        }))
    }

    /// Writes the file. Returns its size in bytes. All sinks must be done.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Permission`] or [`Error::Output`].
    pub fn finish(mut self) -> Result<u64> {
        let fail = |e| Error::output(&self.path, e);
        let cpus = self.cpus.iter().map(|(cpu, _)| cpu + 1).max().unwrap_or(0);
        let mut head = self.head(cpus)?;
        // It stands among the options, too: there it says only that it stands here.
        let clock = read(&self.instance.dir().join("trace_clock"))?;

        // Place and size of each CPU's data: those that were not recorded have none.
        let align = |at: u64| at.next_multiple_of(self.subbuf_size as u64);
        let table = 16 * cpus as usize + size_of::<u64>() + clock.len();
        let mut end = align((head.0.len() + table) as u64);
        let mut places = vec![(0, 0); cpus as usize];
        for (cpu, file) in &self.cpus {
            let size = file.metadata().map_err(fail)?.len();
            places[*cpu as usize] = (end, size);
            end = align(end + size);
        }
        for (offset, size) in &places {
            head.u64(*offset);
            head.u64(*size);
        }
        head.text(&clock);
        self.file.write_all(&head.0).map_err(fail)?;
        for (cpu, data) in &mut self.cpus {
            let (offset, _) = places[*cpu as usize];
            data.rewind()
                .and_then(|()| self.file.seek(io::SeekFrom::Start(offset)))
                .and_then(|_| io::copy(data, &mut self.file))
                .map_err(fail)?;
        }
        // A file without events is as long as its table says, too.
        self.file.set_len(end).map_err(fail)?;
        Ok(end)
    }

    /// Everything before the table of the CPUs' data.
    fn head(&self, cpus: u32) -> Result<Head> {
        let root = self.tracefs.root();
        let mut head = Head(b"\x17\x08\x44tracing6\0".to_vec());
        head.0.push(u8::from(cfg!(target_endian = "big")));
        head.0.push(size_of::<usize>() as u8);
        head.u32(self.subbuf_size);

        for name in ["header_page", "header_event"] {
            head.string(name);
            // That of the instance: its sub-buffers may have another size.
            head.file64(&self.instance.dir().join("events").join(name))?;
        }

        let mut systems = entries(&root.join("events"))?;
        systems.retain(|system| system.is_dir());
        head.formats(&root.join("events/ftrace"))?;
        systems.retain(|system| !system.ends_with("ftrace"));
        head.u32(systems.len());
        for system in systems {
            let name = system.file_name().unwrap_or_default();
            head.string(&name.to_string_lossy());
            head.formats(&system)?;
        }

        for path in [Path::new("/proc/kallsyms"), &root.join("printk_formats")] {
            // Not every kernel has them, and the events can be shown without.
            let text = read(path).unwrap_or_default();
            head.u32(text.len());
            head.0.extend(text);
        }
        head.file64(&root.join("saved_cmdlines"))?;

        head.u32(cpus as usize);
        head.0.extend(OPTIONS);
        head.option(
            OPTION_TRACECLOCK,
            &read(&self.instance.dir().join("trace_clock"))?,
        );
        for (cpu, _) in &self.cpus {
            let stats = read(&self.instance.per_cpu(*cpu, "stats"))?;
            let text = [format!("CPU: {cpu}\n").as_bytes(), &stats].concat();
            head.option(OPTION_CPUSTAT, &text);
        }
        head.0.extend(0u16.to_ne_bytes());
        head.0.extend(FLYRECORD);
        Ok(head)
    }
}

/// Writes one sub-buffer as the kernel's splice() would hand it out: header, data, if events were
/// lost before it their number, and zeros. The data goes from the mapping to the file.
fn write_page(out: &mut impl Write, page: &SubBuffer<'_>, zeros: &[u8]) -> io::Result<()> {
    let data = page.bytes();
    if data.is_empty() {
        return Ok(());
    }
    let room = zeros.len().saturating_sub(PAGE_HEADER + data.len());
    let stored = match page.loss() {
        Some(Loss::Known(count)) if room >= size_of::<u64>() => count.to_ne_bytes().to_vec(),
        _ => Vec::new(),
    };
    let commit = Commit::new(data.len(), page.loss().is_some(), !stored.is_empty());
    let header = [page.time().to_ne_bytes(), commit.word().to_ne_bytes()].concat();
    let rest = zeros.get(..room - stored.len()).unwrap_or_default();

    let mut slices = [&header, data, &stored, rest].map(IoSlice::new);
    let mut left = &mut slices[..];
    while !left.is_empty() {
        match out.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => IoSlice::advance_slices(&mut left, n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Reads a file of the kernel. Some of them have their contents in the first read() only, and
/// [`fs::read`] begins with a small one.
fn read(path: &Path) -> Result<Vec<u8>> {
    let mut text = Vec::with_capacity(1 << 16);
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut text))
        .map_err(|e| Error::io("read", path, e))?;
    Ok(text)
}

/// What is in a directory, in order.
fn entries(path: &Path) -> Result<Vec<PathBuf>> {
    let list = fs::read_dir(path).and_then(|list| {
        list.map(|entry| Ok(entry?.path()))
            .collect::<io::Result<Vec<_>>>()
    });
    let mut list = list.map_err(|e| Error::io("read", path, e))?;
    list.sort();
    Ok(list)
}

/// The beginning of a file, in the byte order of this machine.
struct Head(Vec<u8>);

impl Head {
    fn u32(&mut self, number: usize) {
        self.0.extend((number as u32).to_ne_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.0.extend(number.to_ne_bytes());
    }

    /// Bytes behind their length.
    fn text(&mut self, text: &[u8]) {
        self.u64(text.len() as u64);
        self.0.extend(text);
    }

    fn string(&mut self, text: &str) {
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    /// The contents of a file, behind their length.
    fn file64(&mut self, path: &Path) -> Result<()> {
        self.text(&read(path)?);
        Ok(())
    }

    /// The format files of a directory of events, behind their number.
    fn formats(&mut self, system: &Path) -> Result<()> {
        let mut formats = entries(system)?;
        formats.iter_mut().for_each(|event| event.push("format"));
        formats.retain(|format| format.is_file());
        self.u32(formats.len());
        formats.iter().try_for_each(|format| self.file64(format))
    }

    /// A text, with its NUL.
    fn option(&mut self, id: u16, text: &[u8]) {
        self.0.extend(id.to_ne_bytes());
        self.u32(text.len() + 1);
        self.0.extend(text);
        self.0.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::data;

    fn page(page: &SubBuffer<'_>, size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        write_page(&mut out, page, &vec![0; size]).unwrap();
        out
    }

    #[test]
    fn pages() {
        let bytes = data(1, 2, 7);
        let expected = |commit: u64, stored: &[u8]| {
            let mut page = [
                &9u64.to_ne_bytes(),
                &commit.to_ne_bytes(),
                &bytes[..],
                stored,
            ]
            .concat();
            page.resize(64, 0);
            page
        };
        let lost = |loss| page(&SubBuffer::fake(&bytes, 9, loss), 64);
        assert_eq!(lost(None), expected(12, &[]));
        assert_eq!(lost(Some(Loss::Unknown)), expected(12 | 1 << 31, &[]));
        assert_eq!(
            lost(Some(Loss::Known(5))),
            expected(12 | 3 << 30, &5u64.to_ne_bytes())
        );
        // Without room for the number the flag has to do.
        let full = page(&SubBuffer::fake(&bytes, 9, Some(Loss::Known(5))), 32);
        assert_eq!(full.len(), 32);
        assert_eq!(full[8..16], (12u64 | 1 << 31).to_ne_bytes());
        assert!(page(&SubBuffer::fake(&[], 9, None), 64).is_empty());
    }

    /// Accepts a few bytes at a time.
    struct Slow(Vec<u8>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(5);
            self.0.extend(&bytes[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn short_writes() {
        let bytes = data(1, 2, 7);
        let sub = SubBuffer::fake(&bytes, 9, Some(Loss::Known(5)));
        let mut slow = Slow(Vec::new());
        write_page(&mut slow, &sub, &[0; 64]).unwrap();
        assert_eq!(slow.0, page(&sub, 64));
    }

    #[test]
    fn a_file() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let put = |name: &str, text: &str| {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("trace_clock", "[local]");
        put("saved_cmdlines", "1 init\n");
        put("events/header_page", "page");
        put("events/header_event", "event");
        put("events/ftrace/print/format", "name: print");
        put("events/sched/x/format", "name: x");
        put("events/sched/filter", "none");
        put("per_cpu/cpu1/stats", "entries: 0");
        let tracefs = Tracefs::at(root).unwrap();
        let instance = tracefs.instance(None).unwrap();
        let path = root.join("out");
        let mut recording = Recording::create(&path, &tracefs, &instance, 4096).unwrap();
        let mut sink = recording.sink(1).unwrap();
        let bytes = data(1, 2, 7);
        let sub = SubBuffer::fake(&bytes, 9, None);
        sink(&sub).unwrap();
        sink(&sub).unwrap();
        let size = recording.finish().unwrap();

        let file = fs::read(&path).unwrap();
        assert_eq!(file.len() as u64, size);
        let end = file.len() - 2 * 4096;
        assert_eq!(file[end..], page(&sub, 4096).repeat(2));
        // CPU 0 has nothing, CPU 1 two pages.
        let table = b"flyrecord\0";
        let at = file.windows(10).position(|w| w == table).unwrap() + 10;
        let numbers: Vec<_> = file[at..at + 32]
            .chunks_exact(8)
            .map(|n| u64::from_ne_bytes(n.try_into().unwrap()))
            .collect();
        assert_eq!(numbers, [0, 0, end as u64, 2 * 4096]);
        assert!(!root.join("out.cpu1").exists());
        let ftrace = b"\x01\0\0\0\x0b\0\0\0\0\0\0\0name: print";
        let sched = b"\x01\0\0\0sched\0\x01\0\0\0\x07\0\0\0\0\0\0\0name: x";
        let events = [&ftrace[..], sched].concat();
        if cfg!(target_endian = "little") {
            assert!(file.windows(events.len()).any(|w| w == events));
        }
    }

    #[test]
    fn a_file_that_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("trace_clock"), "[local]").unwrap();
        let tracefs = Tracefs::at(dir.path()).unwrap();
        let instance = tracefs.instance(None).unwrap();
        let e = Recording::create("/nonexistent/file", &tracefs, &instance, 4096).unwrap_err();
        assert!(e.to_string().contains("/nonexistent/file"), "{e}");
    }
}
