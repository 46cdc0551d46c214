// SPDX-License-Identifier: LGPL-2.1-or-later

//! Files that `trace-cmd report` and kernelshark open: `trace.dat`, version 7 or 6.
//!
//! Such a file has the formats of all events, names for addresses and processes, and for each CPU
//! its sub-buffers one after the other, with headers, as they come out of the ring buffer.
//!
//! While it is recorded, `OUT` has all that but the data, and the data of CPU 3 is in `OUT.cpu3`.
//! [`Recording::finish`] moves the data to `OUT`, a piece at a time, so that next to no further
//! space is needed, and removes the other files. If that does not happen (the process was killed,
//! the disk is full), [`restore`] does it later, from whatever point was reached. Until `finish()`
//! has begun, `trace-cmd restore -i OUT -o FILE OUT.cpu0 OUT.cpu1 ...` can do it as well.
//!
//! A file is written in the byte order of this machine, and without waiting for the disk: it
//! survives the end of the process, but not that of the machine.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use rustix::fs::{FallocateFlags, fallocate, fstatvfs};
use rustix::io::Errno;

use crate::stream::{Progress, Sink};
use crate::tracefs::{Instance, Tracefs};
use crate::{Error, Result};

mod bytes;
mod compress;
mod contents;
mod export;
mod files;
mod pack;
mod page;
mod restore;
mod settings;
#[cfg(test)]
mod tests;
mod v6;
mod v7;

use bytes::Bytes;
pub use compress::Compression;
use contents::Contents;
use files::{Locked, cpu_path, create, make_way, remove};
use pack::{CpuFile, Packer, RESERVE};
use page::write_page;
pub use restore::{Restored, restore};
pub use settings::{Overwrite, Settings, Version};

/// How each file begins; behind it stands the version.
const MAGIC: &[u8] = b"\x17\x08\x44tracing";

/// How a recording is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// Events recorded, of all CPUs.
    pub events: u64,
    /// Events reported lost.
    pub lost: u64,
    /// Losses reported without a number.
    pub unknown_losses: u64,
    /// Bytes written so far.
    pub bytes: u64,
    /// Bytes free on the disk, for who is recording.
    pub disk_free: u64,
}

/// What a file has from the start.
#[derive(Debug)]
enum Start {
    V6(v6::Start),
    V7(v7::Start, Compression),
}

/// What is known at the end only.
#[derive(Debug, Default)]
struct Ending {
    /// The names of processes, if they can be had.
    cmdlines: Option<Vec<u8>>,
    /// The statistics of each CPU.
    stats: Vec<Vec<u8>>,
}

/// A file that is being recorded. If it goes without [`finish`](Recording::finish), its files stay
/// and can be [restored](restore).
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    file: Locked,
    tracefs: Tracefs,
    instance: Instance,
    subbuf_size: usize,
    /// Writes the beginning; then that.
    thread: Option<JoinHandle<Result<Start>>>,
    start: Option<Start>,
    cpus: Vec<CpuFile>,
    written: Arc<AtomicU64>,
}

impl Recording {
    /// Creates the file. `subbuf_size` is that of the mapping's geometry, the header included.
    ///
    /// The formats and symbols, some 10 MB, are read and written by a thread: see
    /// [`check`](Self::check).
    ///
    /// # Errors
    ///
    /// [`Error::Exists`], [`Error::Unfinished`], [`Error::Recording`], [`Error::DiskFull`],
    /// [`Error::Output`], or [`Error::Io`] without a thread.
    pub fn create(
        path: impl Into<PathBuf>,
        tracefs: &Tracefs,
        instance: &Instance,
        subbuf_size: usize,
        settings: &Settings,
    ) -> Result<Self> {
        let path = path.into();
        make_way(&path, settings.overwrite)?;
        let file = Locked::new(create(&path)?, &path)?;
        let start = settings.version.start_len();
        let reserved = reserve(&file.0, start, subbuf_size);
        if let Err(e) = reserved.or_else(|_| reserve(&file.0, 0, subbuf_size)) {
            let _ = fs::remove_file(&path);
            return Err(Error::output(&path, e));
        }

        let job = {
            let (path, tracefs, instance) = (path.clone(), tracefs.clone(), instance.clone());
            let file = file.0.try_clone().map_err(|e| Error::output(&path, e))?;
            let settings = settings.clone();
            move || {
                let contents = Contents::read(&tracefs, &instance, settings.kallsyms.as_deref())?;
                write_start(&file, &contents, subbuf_size, &settings)
                    .map_err(|e| Error::output(&path, e))
            }
        };
        let thread = thread::Builder::new().name("ringmap/file".into());
        let thread = thread.spawn(job);
        let thread = thread.map_err(|e| Error::io("start a thread for", &path, e))?;
        Ok(Recording {
            path,
            file,
            tracefs: tracefs.clone(),
            instance: instance.clone(),
            subbuf_size,
            thread: Some(thread),
            start: None,
            cpus: Vec::new(),
            written: Arc::default(),
        })
    }

    /// What writes the data of a CPU: see [`Source`](crate::stream::Source). A CPU may come while
    /// others are being recorded.
    ///
    /// When the disk is full, it keeps the whole sub-buffers that were written, and each further call
    /// says [`Error::DiskFull`].
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] (each CPU has one), [`Error::DiskFull`] or [`Error::Output`].
    pub fn sink(&mut self, cpu: u32) -> Result<Sink> {
        let path = cpu_path(&self.path, cpu);
        let file = create(&path)?;
        let mut out = file.try_clone().map_err(|e| Error::output(&path, e))?;
        self.cpus.push(CpuFile {
            cpu,
            path: path.clone(),
            file,
        });

        let zeros = vec![0; self.subbuf_size];
        let written = Arc::clone(&self.written);
        let mut end = 0;
        Ok(Box::new(move |data| {
            match write_page(&mut out, data, &zeros) {
                Ok(len) => {
                    end += len;
                    written.fetch_add(len, Ordering::Relaxed);
                    Ok(())
                }
                Err(e) => {
                    // Half a sub-buffer is worth nothing.
                    let _ = out.set_len(end);
                    let _ = out.seek(SeekFrom::Start(end));
                    Err(Error::output(&path, e))
                }
            }
        }))
    }

    /// How it is doing. `cpus` is what [`Stream::progress`](crate::stream::Stream::progress) says.
    ///
    /// # Errors
    ///
    /// [`Error::Output`] if the disk cannot be asked.
    pub fn figures(&self, cpus: &[(u32, Progress)]) -> Result<Figures> {
        let disk = fstatvfs(&self.file.0).map_err(|e| Error::output(&self.path, e.into()))?;
        let mut figures = Figures {
            bytes: self.written.load(Ordering::Relaxed),
            disk_free: disk.f_bavail.saturating_mul(disk.f_frsize),
            ..Figures::default()
        };
        for (_, cpu) in cpus {
            figures.events += cpu.events;
            figures.lost += cpu.lost;
            figures.unknown_losses += cpu.unknown_losses;
        }
        Ok(figures)
    }

    /// Waits until what stands before the data is written: some 0.1 s after the start. Without this
    /// call an error there comes to light in [`finish`](Self::finish).
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Permission`], [`Error::DiskFull`] or [`Error::Output`].
    pub fn check(&mut self) -> Result<()> {
        if let Some(thread) = self.thread.take() {
            let end = thread.join();
            let start = end.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            self.start = Some(start?);
        }
        match self.start {
            Some(_) => Ok(()),
            None => {
                let e = io::Error::other("its beginning could not be written");
                Err(Error::output(&self.path, e))
            }
        }
    }

    /// Completes the file. Returns its size in bytes. All sinks must be done.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Permission`], [`Error::DiskFull`] or [`Error::Output`]. The files are
    /// then left to [`restore`].
    pub fn finish(self) -> Result<u64> {
        self.finish_with(|_, _| {})
    }

    /// Does so, and calls `progress` now and then, with the bytes that were dealt with and those that
    /// there are: with many gigabytes it takes its time.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn finish_with(mut self, mut progress: impl FnMut(u64, u64)) -> Result<u64> {
        self.check()?;
        self.cpus.sort_by_key(|cpu| cpu.cpu);
        let stats = |cpu: &CpuFile| {
            // A CPU that went offline may have none.
            let stats = contents::read(&self.instance.per_cpu(cpu.cpu, "stats")).ok()?;
            Some([format!("CPU: {}\n", cpu.cpu).as_bytes(), &stats].concat())
        };
        let ending = Ending {
            // Those of the start are better than none.
            cmdlines: contents::cmdlines(&self.tracefs).ok(),
            stats: self.cpus.iter().filter_map(stats).collect(),
        };
        let total = self.written.load(Ordering::Relaxed);
        let mut done = 0;
        let mut packer = Packer {
            out: &self.file.0,
            subbuf: self.subbuf_size as u64,
            resumed: false,
            progress: &mut |len| {
                done += len;
                progress(done, total);
            },
        };
        let start = self.start.as_ref();
        start.map_or(Ok(0), |start| {
            pack(&self.path, &mut packer, start, &ending, &self.cpus)
        })
    }

    /// Removes everything that was recorded: for who finds at once that it cannot begin.
    ///
    /// # Errors
    ///
    /// [`Error::Output`] if a file cannot be removed.
    pub fn discard(mut self) -> Result<()> {
        // What went wrong there does not matter any more.
        let _ = self.check();
        let files = self.cpus.iter().map(|cpu| &cpu.path).chain([&self.path]);
        files.into_iter().try_for_each(|path| remove(path))
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // The file is locked until nobody writes it.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Moves the data into the file and removes the files of the CPUs.
fn pack(
    path: &Path,
    packer: &mut Packer<'_>,
    start: &Start,
    ending: &Ending,
    cpus: &[CpuFile],
) -> Result<u64> {
    let size = match start {
        Start::V6(start) => v6::finish(packer, start, ending, cpus),
        Start::V7(start, zip) => v7::finish(packer, *zip, start, ending, cpus),
    };
    // The rest of what was reserved goes.
    let size = size.and_then(|size| packer.out.set_len(size).map(|()| size));
    let size = size.map_err(|e| Error::output(path, e))?;
    cpus.iter().try_for_each(|cpu| remove(&cpu.path))?;
    Ok(size)
}

fn write_start(
    file: &File,
    contents: &Contents,
    subbuf: usize,
    settings: &Settings,
) -> io::Result<Start> {
    let (bytes, start) = match settings.version {
        Version::V6 => {
            let (bytes, start) = v6::start(contents, subbuf);
            (bytes, Start::V6(start))
        }
        Version::V7(zip) => {
            let (bytes, start) = v7::start(contents, &settings.instance, subbuf, zip)?;
            (bytes, Start::V7(start, zip))
        }
    };
    file.write_all_at(&bytes, 0)?;
    // It may have become longer than was thought. If that is too much, finish() will say so.
    let _ = reserve(file, bytes.len() as u64, subbuf);
    Ok(start)
}

/// Takes from the disk what a file needs whose data begins there: all before, and for the end.
fn reserve(file: &File, start: u64, subbuf: usize) -> io::Result<()> {
    let len = start + RESERVE.max(2 * subbuf as u64);
    match fallocate(file, FallocateFlags::KEEP_SIZE, 0, len) {
        Err(e @ Errno::NOSPC) => Err(e.into()),
        // A file system that cannot do this takes its chances.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What a file says about the machine, behind its version: byte order, bytes of a `long`, and bytes
/// of a sub-buffer.
fn machine(out: &mut Bytes, subbuf: usize) {
    out.0.push(u8::from(cfg!(target_endian = "big")));
    out.0.push(size_of::<std::ffi::c_long>() as u8);
    out.len32(subbuf);
}
