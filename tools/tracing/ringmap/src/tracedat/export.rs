// SPDX-License-Identifier: LGPL-2.1-or-later

//! A recording in another format, besides.

use std::io::{self, BufWriter};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::files::{create, make_way_for};
use super::{Overwrite, Recording};
use crate::format::Formats;
use crate::perfetto::{Exporter, Task};
use crate::{Error, Result};

impl Recording {
    /// Writes what was recorded to a file for Perfetto: see [`perfetto`](crate::perfetto). Returns
    /// its size in bytes. All sinks must be done. The recording itself is still to be
    /// [finished](Self::finish).
    ///
    /// # Errors
    ///
    /// [`Error::Exists`], [`Error::DiskFull`], [`Error::Output`], or [`Error::Io`] if what was
    /// recorded cannot be read.
    pub fn perfetto(&self, path: &Path, formats: &Formats, overwrite: Overwrite) -> Result<u64> {
        make_way_for(path, overwrite)?;
        let file = create(path)?;
        let fail = |e| Error::output(path, e);
        let mut exporter = Exporter::new(BufWriter::new(file), formats).map_err(fail)?;
        let mut page = vec![0; self.subbuf_size];
        let subbuf = self.subbuf_size as u64;
        for cpu in &self.cpus {
            let unreadable = |e| Error::io("read", &cpu.path, e);
            let size = cpu.size(subbuf).map_err(unreadable)?;
            for at in (0..size).step_by(self.subbuf_size) {
                cpu.file.read_exact_at(&mut page, at).map_err(unreadable)?;
                match exporter.page(cpu.cpu, &page) {
                    Err(e) if e.kind() == io::ErrorKind::InvalidData => return Err(unreadable(e)),
                    written => written.map_err(fail)?,
                }
            }
        }
        let file = exporter.finish(Task::of_proc).map_err(fail)?;
        let size = file.get_ref().metadata().map_err(fail)?;
        Ok(size.len())
    }
}
