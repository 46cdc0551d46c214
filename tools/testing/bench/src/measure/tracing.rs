// SPDX-License-Identifier: GPL-2.0

//! Tracefs: the buffer of CPU 0, and how it gets its events.

use crate::sys::{self, Map};
use anyhow::{Context, Result, ensure};
use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

const ROOT: &str = "/sys/kernel/tracing";
/// Of a sub-buffer.
const HEADER: usize = 16;
/// Of the meta-page: `subbuf_size` and `nr_subbufs` of linux/trace_mmap.h.
const META_SUBBUF_SIZE: usize = 8;
const META_NR_SUBBUFS: usize = 12;
const PAGE: usize = 4096;

pub struct Tracing {
    marker: File,
    /// Bytes of a sub-buffer, its header included.
    pub subbuf: usize,
    buffer_kib: usize,
}

/// Writes a control file of the instance in `folder`.
pub fn set(folder: &Path, file: &str, value: &str) -> Result<()> {
    let path = folder.join(file);
    fs::write(&path, value).with_context(|| format!("{value:?} to {}", path.display()))
}

fn open(file: &str) -> Result<File> {
    let path = Path::new(ROOT).join(file);
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&path)
        .with_context(|| path.display().to_string())
}

impl Tracing {
    pub fn new() -> Result<Tracing> {
        let root = Path::new(ROOT);
        set(root, "tracing_on", "0")?;
        set(root, "events/enable", "0")?;
        set(root, "current_tracer", "nop")?;
        set(root, "tracing_on", "1")?;
        let marker = OpenOptions::new()
            .write(true)
            .open(root.join("trace_marker_raw"))
            .context("trace_marker_raw")?;
        Ok(Tracing {
            marker,
            subbuf: 0,
            buffer_kib: 0,
        })
    }

    /// Sub-buffers of `subbuf_kib`, `buffer_kib` of them in all. The buffer is empty then.
    pub fn layout(&mut self, subbuf_kib: usize, buffer_kib: usize) -> Result<()> {
        let root = Path::new(ROOT);
        set(root, "buffer_subbuf_size_kb", &subbuf_kib.to_string())?;
        set(root, "buffer_size_kb", &buffer_kib.to_string())?;
        self.subbuf = subbuf_kib * 1024;
        self.buffer_kib = buffer_kib;
        self.reset()
    }

    /// Makes the buffer one that was never mapped: what is kept for its next mapping is gone once
    /// its size has changed.
    pub fn forget(&self) -> Result<()> {
        let root = Path::new(ROOT);
        let more = self.buffer_kib + self.subbuf / 1024;
        set(root, "buffer_size_kb", &more.to_string())?;
        set(root, "buffer_size_kb", &self.buffer_kib.to_string())
    }

    /// Empties the buffer.
    pub fn reset(&self) -> Result<()> {
        set(Path::new(ROOT), "trace", "")
    }

    /// Another instance, with a buffer of its own.
    pub fn instance(&self, name: &str) -> Result<PathBuf> {
        let folder = Path::new(ROOT).join("instances").join(name);
        if !folder.exists() {
            fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        }
        Ok(folder)
    }

    /// Writes one event with so many bytes.
    #[inline(always)]
    pub fn event(&self, payload: &[u8]) -> Result<()> {
        sys::write(&self.marker, payload)
    }

    /// Writes that many.
    pub fn events(&self, count: usize, payload: usize) -> Result<()> {
        let bytes = vec![0; payload];
        for _ in 0..count {
            self.event(&bytes)?;
        }
        Ok(())
    }

    /// How many events with so many bytes fit on a sub-buffer.
    pub fn capacity(&self, payload: usize) -> usize {
        // The kernel's fields before the payload, and the record's header, which has a second word
        // for long ones.
        let data = 8 + payload;
        let record = if data > 28 * 4 { 8 } else { 4 } + data;
        (self.subbuf - HEADER) / record
    }

    /// An empty buffer gets `pages` full sub-buffers, and the beginning of another.
    pub fn fill(&self, pages: usize, payload: usize) -> Result<()> {
        self.reset()?;
        self.events(pages * self.capacity(payload) + 1, payload)
    }

    /// trace_pipe_raw, which does not block.
    pub fn raw(&self) -> Result<File> {
        open("per_cpu/cpu0/trace_pipe_raw")
    }

    /// trace_pipe, which does not block.
    pub fn pipe(&self) -> Result<File> {
        open("per_cpu/cpu0/trace_pipe")
    }

    /// Maps the meta-page.
    #[inline(always)]
    pub fn map(&self, raw: &File) -> Result<Map> {
        Map::new(raw, PAGE)
    }

    /// Bytes of a mapping of everything.
    pub fn whole(&self, meta: &Map) -> Result<usize> {
        let size = meta.word(META_SUBBUF_SIZE) as usize;
        ensure!(size == self.subbuf, "sub-buffers have {size} bytes");
        Ok(PAGE + size * meta.word(META_NR_SUBBUFS) as usize)
    }
}

/// The committed data of a copied sub-buffer.
pub fn committed(page: &[u8]) -> &[u8] {
    let word = u64::from_ne_bytes(page[8..HEADER].try_into().unwrap());
    // The upper bits are flags.
    let len = (word & ((1 << 27) - 1)) as usize;
    &page[HEADER..HEADER + len]
}
