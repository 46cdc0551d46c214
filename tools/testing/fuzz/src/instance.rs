// SPDX-License-Identifier: GPL-2.0

//! The files of an instance in tracefs.

use crate::sys::{Errno, Result};
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

const INSTANCES: &str = "/sys/kernel/tracing/instances";

pub struct Instance {
    folder: PathBuf,
}

/// The `stats` file of a CPU.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    pub entries: u64,
    pub overrun: u64,
    pub read: u64,
}

/// One write(): what is left of a short one is not written by itself.
pub fn write(mut file: &File, bytes: &[u8]) -> Result<()> {
    let _length = file.write(bytes)?;
    Ok(())
}

/// Writes a file in one go, as echo does.
pub fn put(path: impl AsRef<Path>, value: &str) -> Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    write(&file, value.as_bytes())
}

impl Instance {
    pub fn named(name: &str) -> Self {
        let folder = PathBuf::from(INSTANCES).join(name);
        Self { folder }
    }

    pub fn create(&self) -> Result<()> {
        Ok(fs::create_dir(&self.folder)?)
    }

    pub fn remove(&self) -> Result<()> {
        Ok(fs::remove_dir(&self.folder)?)
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    pub fn has(&self, file: &str) -> bool {
        self.path(file).exists()
    }

    pub fn set(&self, file: &str, value: &str) -> Result<()> {
        put(self.path(file), value)
    }

    pub fn get(&self, file: &str) -> Result<String> {
        Ok(fs::read_to_string(self.path(file))?)
    }

    /// Throws events away, as "echo > trace" does.
    pub fn truncate(&self, file: &str) -> Result<()> {
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(self.path(file))?;
        Ok(())
    }

    pub fn writer(&self, file: &str) -> Result<File> {
        Ok(OpenOptions::new().write(true).open(self.path(file))?)
    }

    /// A file of a CPU, for reading.
    pub fn open(&self, cpu: usize, file: &str, block: bool) -> Result<File> {
        let flags = if block { 0 } else { libc::O_NONBLOCK };
        let path = self.path(&format!("per_cpu/cpu{cpu}/{file}"));
        let open = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path)?;
        Ok(open)
    }

    /// Bytes of a sub-buffer.
    pub fn subbuf_size(&self) -> Result<usize> {
        let text = self.get("buffer_subbuf_size_kb")?;
        let kib: usize = text.trim().parse().map_err(|_| Errno(libc::EIO))?;
        Ok(kib * 1024)
    }

    /// The number that an event of the kernel's own is known by.
    pub fn event_id(&self, name: &str) -> Result<u16> {
        let format = fs::read_to_string(format!("{INSTANCES}/../events/ftrace/{name}/format"))?;
        let id = format.lines().find_map(|line| line.strip_prefix("ID: "));
        id.and_then(|id| id.trim().parse().ok())
            .ok_or(Errno(libc::EIO))
    }

    pub fn stats(&self, cpu: usize) -> Result<Stats> {
        let text = self.get(&format!("per_cpu/cpu{cpu}/stats"))?;
        let value = |key: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
            line.and_then(|value| value.trim().parse().ok())
                .ok_or(Errno(libc::EIO))
        };
        Ok(Stats {
            entries: value("entries")?,
            overrun: value("overrun")?,
            read: value("read events")?,
        })
    }
}
