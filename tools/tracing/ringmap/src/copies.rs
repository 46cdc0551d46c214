// SPDX-License-Identifier: LGPL-2.1-or-later

//! Pages of a buffer that cannot be mapped, by `read(2)` and `splice(2)` of `trace_pipe_raw`.
//!
//! `read(2)` copies what is on the reader page and consumes it; `splice(2)` hands out whole pages
//! only, and goes through a pipe. Both give a page with the header that a mapped one has, and with
//! the number of lost events behind the data if there is room. The counters of the meta-page are
//! those of the `stats` file.

use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::{self as raw, Errno};
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};

use crate::exclusive::Lease;
use crate::mapping::{self, Geometry, Meta};
use crate::page::{Commit, PAGE_HEADER, Reader};
use crate::tracefs::Instance;
use crate::{Error, Result};

/// The copy of one page at a time.
#[derive(Debug)]
pub(crate) struct Copies {
    file: File,
    path: PathBuf,
    instance: Instance,
    cpu: u32,
    geometry: Geometry,
    /// The page with its header, and how much of it came.
    page: Vec<u8>,
    len: usize,
    /// How many pages came.
    count: u32,
    meta: Meta,
    pipe: Option<(OwnedFd, OwnedFd)>,
    _lease: Option<Lease>,
}

impl Copies {
    pub(crate) fn open(instance: &Instance, cpu: u32) -> Result<Self> {
        let (file, path) = instance.open_pipe_raw(cpu)?;
        let lease = Lease::take(&file, &path, cpu)?;
        Self::new(file, path, instance, cpu, Some(lease))
    }

    pub(crate) fn new(
        file: File,
        path: PathBuf,
        instance: &Instance,
        cpu: u32,
        lease: Option<Lease>,
    ) -> Result<Self> {
        let subbuf_size = subbuf_size(instance);
        let room = instance.buffer_size(cpu)? / subbuf_size as u64;
        let mut copies = Copies {
            file,
            path,
            instance: instance.clone(),
            cpu,
            geometry: Geometry {
                meta_page_size: 0,
                subbuf_size,
                nr_subbufs: u32::try_from(room).unwrap_or(u32::MAX).max(2),
            },
            page: vec![0; subbuf_size],
            len: 0,
            count: 0,
            meta: Meta::default(),
            pipe: None,
            _lease: lease,
        };
        copies.refresh()?;
        Ok(copies)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.geometry
    }

    pub(crate) fn meta(&self) -> Meta {
        self.meta
    }

    /// The page that was read last. All of it is consumed, and nothing will be added.
    pub(crate) fn page(&self) -> Reader<'_> {
        let bytes = self.page.get(..self.len).unwrap_or_default();
        let word = |at: usize| {
            let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
            u64::from_ne_bytes(word.unwrap_or_default())
        };
        let capacity = self.geometry.subbuf_size - PAGE_HEADER;
        let data = bytes.get(PAGE_HEADER..).unwrap_or_default();
        let page = Reader::new(word(0), Commit::from_word(word(8)), capacity, data);
        Reader {
            id: self.count % 2,
            read: page.data.len(),
            overrun: self.meta.overrun,
            complete: true,
            ..page
        }
    }

    /// Reads what there is of the next page. If there is nothing, the page stays as it is, and the
    /// counters are brought up to date.
    pub(crate) fn next(&mut self) -> Result<()> {
        let result = raw::retry_on_intr(|| raw::read(&self.file, self.page.as_mut_slice()));
        self.came(result)
    }

    /// The same for a page that the writer has left.
    pub(crate) fn next_whole(&mut self) -> Result<()> {
        let size = self.geometry.subbuf_size;
        let fail = |e: Errno, path: &Path| Error::io("splice from", path, e.into());
        // One page, however large, is one buffer of a pipe.
        let pipe = match self.pipe.take() {
            Some(pipe) => pipe,
            None => pipe_with(PipeFlags::CLOEXEC).map_err(|e| fail(e, &self.path))?,
        };
        let (from, to) = &pipe;
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let result = raw::retry_on_intr(|| splice(&self.file, None, to, None, size, flags));
        let result = match result {
            Ok(len) => {
                let mut at = 0;
                while at < len {
                    let rest = self.page.get_mut(at..len).unwrap_or_default();
                    match raw::retry_on_intr(|| raw::read(from, &mut *rest)) {
                        Ok(0) => break,
                        Ok(more) => at += more,
                        Err(e) => return Err(fail(e, &self.path)),
                    }
                }
                Ok(at)
            }
            Err(e) => Err(e),
        };
        self.pipe = Some(pipe);
        self.came(result)
    }

    fn came(&mut self, result: raw::Result<usize>) -> Result<()> {
        let len = match result {
            Ok(0) | Err(Errno::AGAIN) => return self.refresh(),
            Ok(len) => len,
            Err(e) => return Err(Error::io("read", &self.path, e.into())),
        };
        self.len = len;
        self.count = self.count.wrapping_add(1);
        let page = self.page();
        let (commit, committed) = (page.commit, page.data.len());
        if len != self.geometry.subbuf_size || committed != commit.size() {
            let what = format!(
                "a page of {len} bytes with {} of data; sub-buffers had {}",
                commit.size(),
                self.geometry.subbuf_size
            );
            self.len = 0;
            return Err(Error::Parse {
                path: self.path.clone(),
                what,
            });
        }
        // So that the counters include each loss that was reported.
        if commit.missed() {
            self.refresh()?;
        }
        Ok(())
    }

    pub(crate) fn wait(&mut self, limit: Duration) -> Result<bool> {
        let result = mapping::wait(self.file.as_fd(), limit);
        result.map_err(|e| Error::io("wait for", &self.path, e.into()))
    }

    pub(crate) fn refresh(&mut self) -> Result<()> {
        let stats = self.instance.stats(self.cpu)?;
        self.meta = Meta {
            entries: stats.entries + stats.overrun + stats.read,
            overrun: stats.overrun,
            read: stats.read,
            ..Meta::default()
        };
        Ok(())
    }

    pub(crate) fn discard(&mut self) -> Result<()> {
        self.len = 0;
        self.refresh()
    }
}

impl AsFd for Copies {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Bytes of a sub-buffer. Before Linux 6.8 it is a page.
fn subbuf_size(instance: &Instance) -> usize {
    let text = fs::read_to_string(instance.dir().join("buffer_subbuf_size_kb"));
    let kb: Option<usize> = text.ok().and_then(|text| text.trim().parse().ok());
    let size = kb.and_then(|kb| kb.checked_mul(1024));
    size.filter(|size| *size > PAGE_HEADER)
        .unwrap_or_else(rustix::param::page_size)
}

#[cfg(test)]
mod tests;
