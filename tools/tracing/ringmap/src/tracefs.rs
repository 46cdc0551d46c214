// SPDX-License-Identifier: LGPL-2.1-or-later

//! tracefs: where it is, its instances, and the control files of an instance.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::{Error, Result, cpulist, exclusive};

/// Where tracefs is mounted, the usual place first.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Which CPUs are online.
const ONLINE: &str = "/sys/devices/system/cpu/online";

/// A mounted tracefs.
#[derive(Debug, Clone)]
pub struct Tracefs {
    root: PathBuf,
}

impl Tracefs {
    /// Finds tracefs where it is usually mounted.
    ///
    /// # Errors
    ///
    /// [`Error::NoTracefs`], or [`Error::Permission`].
    pub fn find() -> Result<Self> {
        let mut first = None;
        for place in PLACES {
            match Self::at(place) {
                Ok(found) => return Ok(found),
                // Not allowed to look says more than not found.
                Err(e @ Error::Permission(_)) => first = Some(e),
                Err(e) => first = first.or(Some(e)),
            }
        }
        Err(first.unwrap_or_else(|| Error::NoTracefs(PLACES[0].into())))
    }

    /// Uses the tracefs that is mounted there.
    ///
    /// # Errors
    ///
    /// [`Error::NoTracefs`] if none is, or [`Error::Permission`].
    pub fn at(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        match fs::metadata(root.join("trace_clock")) {
            Ok(_) => Ok(Tracefs { root }),
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Err(Error::Permission(root)),
            Err(_) => Err(Error::NoTracefs(root)),
        }
    }

    /// The directory where it is mounted.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the instance of that name is, or would be.
    pub fn instance_path(&self, name: &str) -> PathBuf {
        self.root.join("instances").join(name)
    }

    /// The names of all instances but the top-level one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::Permission`].
    pub fn instances(&self) -> Result<Vec<String>> {
        let path = self.root.join("instances");
        let fail = |e| Error::io("read", &path, e);
        let mut names = Vec::new();
        for entry in fs::read_dir(&path).map_err(fail)? {
            names.extend(entry.map_err(fail)?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Removes an instance that nobody uses.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], with EBUSY if somebody does, or [`Error::Permission`].
    pub fn remove_instance(&self, name: &str) -> Result<()> {
        let path = self.instance_path(name);
        fs::remove_dir(&path).map_err(|e| Error::io("remove", &path, e))
    }

    /// An instance by its name, or the top-level one.
    ///
    /// # Errors
    ///
    /// [`Error::NoInstance`] if there is none of that name.
    pub fn instance(&self, name: Option<&str>) -> Result<Instance> {
        let Some(name) = name else {
            return Ok(Instance {
                dir: self.root.clone(),
            });
        };
        let dir = self.instance_path(name);
        let plain = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
        if !plain || !dir.is_dir() {
            return Err(Error::NoInstance {
                name: name.into(),
                path: dir,
            });
        }
        Ok(Instance { dir })
    }
}

/// The contents of `per_cpu/cpuN/stats`, as far as they count events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events in the buffer.
    pub entries: u64,
    /// Events overwritten before they were read.
    pub overrun: u64,
    /// Bytes of the events in the buffer.
    pub bytes: u64,
    /// Events that could not be written because an interrupt filled the buffer in the middle of
    /// another event.
    pub commit_overrun: u64,
    /// Events that were not written because the buffer was full and does not overwrite.
    pub dropped: u64,
    /// Events read.
    pub read: u64,
}

impl Stats {
    /// Parses the file.
    fn parse(text: &str) -> Option<Self> {
        let field = |name| -> Option<u64> {
            let mut lines = text.lines().filter_map(|line| line.split_once(':'));
            let value = lines.find(|(key, _)| *key == name)?.1.trim();
            // Differences of counters that are read one after the other: for a moment below 0, which
            // some are shown as, and some as a number near the largest.
            let number = value.parse::<i128>().ok()?;
            Some(
                u64::try_from(number)
                    .ok()
                    .filter(|n| *n <= i64::MAX as u64)
                    .unwrap_or(0),
            )
        };
        Some(Stats {
            entries: field("entries")?,
            overrun: field("overrun")?,
            bytes: field("bytes")?,
            commit_overrun: field("commit overrun")?,
            dropped: field("dropped events")?,
            read: field("read events")?,
        })
    }
}

/// What a file says, by one system call. The kernel makes the text anew for each, so that the second
/// half of a longer one would not fit the first.
fn read_once(path: &Path) -> io::Result<String> {
    let mut text = vec![0; 4096];
    let len = File::open(path)?.read(&mut text)?;
    text.truncate(len);
    String::from_utf8(text).map_err(io::Error::other)
}

/// The time in a file `stats`. Clocks that count nanoseconds are shown in microseconds, rounded.
fn parse_now(text: &str) -> Option<u64> {
    let now = text
        .lines()
        .find_map(|line| line.strip_prefix("now ts:"))?
        .trim();
    let Some((seconds, micros)) = now.split_once('.') else {
        return now.parse().ok();
    };
    let micros: u64 = micros.parse().ok()?;
    let micros = seconds
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(micros)?;
    micros.saturating_sub(1).checked_mul(1000)
}

/// One tracing instance: the top-level one, or one of `instances/`.
#[derive(Debug, Clone)]
pub struct Instance {
    dir: PathBuf,
}

impl Instance {
    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn per_cpu(&self, cpu: u32, file: &str) -> PathBuf {
        self.dir.join(format!("per_cpu/cpu{cpu}/{file}"))
    }

    fn write(&self, file: &str, value: &str, busy: fn(PathBuf) -> Error) -> Result<()> {
        let path = self.dir.join(file);
        fs::write(&path, value).map_err(|e| match Errno::from_io_error(&e) {
            Some(Errno::BUSY) => busy(path.clone()),
            _ => Error::io("write to", &path, e),
        })
    }

    /// The size of a CPU's buffer in bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Permission`], or [`Error::Parse`].
    pub fn buffer_size(&self, cpu: u32) -> Result<u64> {
        let path = self.per_cpu(cpu, "buffer_size_kb");
        let text = fs::read_to_string(&path).map_err(|e| Error::io("read", &path, e))?;
        // «7 (expanded: 1411)» before the buffer is first used.
        let number = text.split_ascii_whitespace().next();
        let kb: Option<u64> = number.and_then(|number| number.parse().ok());
        kb.map(|kb| kb * 1024).ok_or(Error::Parse {
            path,
            what: "the size of the buffer".into(),
        })
    }

    /// The CPUs that may ever have a ring buffer here: tracefs has files for each CPU that the machine
    /// may get, whether it is online or not.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the directory `per_cpu` cannot be read.
    pub fn possible_cpus(&self) -> Result<Vec<u32>> {
        let path = self.dir.join("per_cpu");
        let fail = |e| Error::io("read", &path, e);
        let mut cpus = Vec::new();
        for entry in fs::read_dir(&path).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("cpu"));
            cpus.extend(number.and_then(|number| number.parse::<u32>().ok()));
        }
        cpus.sort_unstable();
        Ok(cpus)
    }

    /// The CPUs that are online and have a ring buffer in this instance.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the directory `per_cpu` cannot be read.
    pub fn cpus(&self) -> Result<Vec<u32>> {
        let mut cpus = self.possible_cpus()?;
        // Without sysfs every CPU is taken for online.
        if let Ok(online) = fs::read_to_string(ONLINE) {
            let online = cpulist::parse(&online)?;
            cpus.retain(|cpu| online.binary_search(cpu).is_ok());
        }
        Ok(cpus)
    }

    /// Throws away what is in the buffers of all CPUs and sets their counters to 0.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] if this process reads one of them: see
    /// [`CpuBuffer::reset`](crate::reader::CpuBuffer::reset). [`Error::Io`] or [`Error::Permission`].
    pub fn reset(&self) -> Result<()> {
        let path = self.dir.join("trace");
        exclusive::while_unread(&self.dir, || {
            // Opening for writing with O_TRUNC is what resets.
            File::create(&path).map_err(|e| Error::io("reset through", &path, e))?;
            Ok(())
        })
    }

    /// Sets the size of each CPU's buffer, in KiB.
    ///
    /// # Errors
    ///
    /// [`Error::SizeBusy`] if one is mapped or being read, otherwise as [`reset`](Self::reset).
    pub fn set_buffer_kb(&self, kb: u32) -> Result<()> {
        self.write("buffer_size_kb", &kb.to_string(), Error::SizeBusy)
    }

    /// Sets the size of a sub-buffer, in KiB; the kernel rounds it up to a power of two of pages.
    ///
    /// # Errors
    ///
    /// As [`set_buffer_kb`](Self::set_buffer_kb).
    pub fn set_subbuf_kb(&self, kb: u32) -> Result<()> {
        self.write("buffer_subbuf_size_kb", &kb.to_string(), Error::SizeBusy)
    }

    /// Whether events are being written.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::Permission`].
    pub fn tracing_on(&self) -> Result<bool> {
        let path = self.dir.join("tracing_on");
        let text = fs::read_to_string(&path).map_err(|e| Error::io("read", &path, e))?;
        Ok(text.trim() != "0")
    }

    /// Starts or stops the writing of events.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::Permission`].
    pub fn set_tracing_on(&self, on: bool) -> Result<()> {
        let value = if on { "1" } else { "0" };
        self.write("tracing_on", value, Error::SizeBusy)
    }

    /// The name of the trace clock.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Permission`], or [`Error::Parse`].
    pub fn clock(&self) -> Result<String> {
        let path = self.dir.join("trace_clock");
        let text = fs::read_to_string(&path).map_err(|e| Error::io("read", &path, e))?;
        let name = text
            .split_once('[')
            .and_then(|(_, rest)| rest.split_once(']'));
        name.map(|(name, _)| name.to_owned()).ok_or(Error::Parse {
            path,
            what: "the trace clock".into(),
        })
    }

    /// Whether the trace clock counts nanoseconds. (Some count cycles, or events.)
    ///
    /// # Errors
    ///
    /// Those of [`clock`](Self::clock).
    pub fn clock_is_ns(&self) -> Result<bool> {
        Ok(!["counter", "x86-tsc", "ppc-tb"].contains(&self.clock()?.as_str()))
    }

    /// The kernel's statistics of a CPU's buffer.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Permission`], or [`Error::Parse`].
    pub fn stats(&self, cpu: u32) -> Result<Stats> {
        let path = self.per_cpu(cpu, "stats");
        let text = read_once(&path).map_err(|e| Error::io("read", &path, e))?;
        Stats::parse(&text).ok_or(Error::Parse {
            path,
            what: "the statistics of the buffer".into(),
        })
    }

    /// The time by the trace clock, not later than now.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Permission`], or [`Error::Parse`].
    pub fn now(&self, cpu: u32) -> Result<u64> {
        let path = self.per_cpu(cpu, "stats");
        let text = read_once(&path).map_err(|e| Error::io("read", &path, e))?;
        parse_now(&text).ok_or(Error::Parse {
            path,
            what: "the time of the buffer".into(),
        })
    }

    /// Opens the file through which the buffer of a CPU is mapped. Returns its path, too.
    ///
    /// # Errors
    ///
    /// [`Error::NoCpu`], [`Error::Io`], or [`Error::Permission`].
    pub fn open_pipe_raw(&self, cpu: u32) -> Result<(File, PathBuf)> {
        let path = self.per_cpu(cpu, "trace_pipe_raw");
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(&path);
        match file {
            Ok(file) => Ok((file, path)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Error::NoCpu { cpu, path }),
            Err(e) => Err(Error::io("open", &path, e)),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn stats() {
        let text = "entries: 1\noverrun: 2\ncommit overrun: 3\nbytes: 9\n\
                    oldest event ts:     5.000001\nnow ts:    12.5\n\
                    dropped events: 4\nread events: 5\n";
        let stats = Stats::parse(text).unwrap();
        assert_eq!((stats.entries, stats.overrun, stats.read), (1, 2, 5));
        assert_eq!((stats.commit_overrun, stats.dropped), (3, 4));
        assert!(Stats::parse("entries: 1\n").is_none());
        let below = text.replace("entries: 1", "entries: 18446744073709551615");
        let below = Stats::parse(&below.replace("bytes: 9", "bytes: -48")).unwrap();
        assert_eq!((below.entries, below.bytes, below.read), (0, 0, 5));
        assert!(Stats::parse(&text.replace("bytes: 9", "bytes: x")).is_none());
        assert_eq!(parse_now(text), Some(12_000_004_000));
        assert_eq!(parse_now("now ts: 77\n"), Some(77));
        assert_eq!(parse_now("now ts: x\n"), None);
    }

    /// A directory that looks like tracefs. It has two CPUs, and two events of `sched`, also in the
    /// instance `theirs`.
    pub(crate) struct Fake(tempfile::TempDir);

    impl Fake {
        pub(crate) fn new() -> Self {
            let fake = Fake(tempfile::tempdir().unwrap());
            for at in ["", "instances/theirs/"] {
                let put = |file: &str, text: &str| fake.put(&format!("{at}{file}"), text);
                put("trace_clock", "[local] global counter\n");
                put("tracing_on", "1\n");
                put("buffer_size_kb", "1408\n");
                put("buffer_subbuf_size_kb", "4\n");
                put("set_event_pid", "");
                put("options/event-fork", "0\n");
                for cpu in 0..2 {
                    put(&format!("per_cpu/cpu{cpu}/buffer_size_kb"), "1408\n");
                }
                put("events/sched/enable", "0\n");
                for event in ["sched_switch", "sched_waking"] {
                    put(&format!("events/sched/{event}/enable"), "0\n");
                    put(&format!("events/sched/{event}/filter"), "none\n");
                }
            }
            fake
        }

        pub(crate) fn tracefs(&self) -> Tracefs {
            Tracefs::at(self.0.path()).unwrap()
        }

        pub(crate) fn put(&self, file: &str, text: &str) {
            let path = self.0.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        pub(crate) fn get(&self, file: &str) -> String {
            fs::read_to_string(self.0.path().join(file)).unwrap()
        }

        /// All files below, by name, with what they hold.
        pub(crate) fn tree(&self, below: &str) -> Vec<(String, String)> {
            fn walk(root: &Path, at: &Path, out: &mut Vec<(String, String)>) {
                for entry in fs::read_dir(at).unwrap() {
                    let path = entry.unwrap().path();
                    match path.is_dir() {
                        true => walk(root, &path, out),
                        false => {
                            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                            out.push((name.into(), fs::read_to_string(&path).unwrap()));
                        }
                    }
                }
            }
            let root = self.0.path().join(below);
            let mut out = Vec::new();
            walk(&root, &root, &mut out);
            out.sort();
            out
        }
    }

    #[test]
    fn no_tracefs() {
        let dir = tempfile::tempdir().unwrap();
        let e = Tracefs::at(dir.path()).unwrap_err();
        assert!(e.to_string().contains("mount -t tracefs"), "{e}");
    }

    #[test]
    fn no_instance() {
        let tracefs = Fake::new().tracefs();
        for name in ["x", "", "..", "a/b"] {
            let e = tracefs.instance(Some(name)).unwrap_err();
            assert!(matches!(e, Error::NoInstance { .. }), "{name}: {e}");
        }
    }

    #[test]
    fn clock() {
        let fake = Fake::new();
        let instance = fake.tracefs().instance(None).unwrap();
        assert!(instance.clock_is_ns().unwrap());
        fake.put("trace_clock", "local [counter]\n");
        assert!(!instance.clock_is_ns().unwrap());
    }

    #[test]
    fn no_cpu() {
        let fake = Fake::new();
        let instance = fake.tracefs().instance(None).unwrap();
        let e = instance.open_pipe_raw(7).unwrap_err();
        assert!(matches!(e, Error::NoCpu { cpu: 7, .. }), "{e}");
    }
}
