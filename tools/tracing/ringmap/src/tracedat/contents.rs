// SPDX-License-Identifier: LGPL-2.1-or-later

//! What a recording says about the machine: formats, names, clocks.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::bytes::Bytes;
use crate::tracefs::{Instance, Tracefs};
use crate::{Error, Result};

/// The parts of a file's beginning, each as both versions have it.
#[derive(Debug)]
pub(super) struct Contents {
    /// `header_page` and `header_event`.
    pub headers: Vec<u8>,
    /// The formats of ftrace's own events.
    pub ftrace: Vec<u8>,
    /// The formats of all others.
    pub events: Vec<u8>,
    pub kallsyms: Vec<u8>,
    pub printk: Vec<u8>,
    pub cmdlines: Vec<u8>,
    /// The file `trace_clock`.
    pub clock: Vec<u8>,
}

impl Contents {
    pub fn read(tracefs: &Tracefs, instance: &Instance, kallsyms: Option<&Path>) -> Result<Self> {
        let root = tracefs.root();
        let mut headers = Bytes::default();
        for name in ["header_page", "header_event"] {
            headers.string(name);
            // That of the instance: its sub-buffers may have another size.
            headers.sized64(&read(&instance.dir().join("events").join(name))?);
        }

        let mut ftrace = Bytes::default();
        formats(&mut ftrace, &root.join("events/ftrace"))?;

        let mut systems = entries(&root.join("events"))?;
        systems.retain(|system| system.is_dir() && !system.ends_with("ftrace"));
        let mut events = Bytes::default();
        events.len32(systems.len());
        for system in systems {
            let name = system.file_name().unwrap_or_default();
            events.string(name.as_encoded_bytes());
            formats(&mut events, &system)?;
        }

        // Not every kernel has them, and the events can be shown without.
        let optional = |path: &Path| {
            let mut text = Bytes::default();
            text.sized32(&read(path).unwrap_or_default());
            text.0
        };
        Ok(Contents {
            headers: headers.0,
            ftrace: ftrace.0,
            events: events.0,
            kallsyms: optional(kallsyms.unwrap_or("/proc/kallsyms".as_ref())),
            printk: optional(&root.join("printk_formats")),
            cmdlines: cmdlines(tracefs)?,
            clock: read(&instance.dir().join("trace_clock"))?,
        })
    }
}

/// The names of processes, as of now.
pub(super) fn cmdlines(tracefs: &Tracefs) -> Result<Vec<u8>> {
    let mut text = Bytes::default();
    text.sized64(&read(&tracefs.root().join("saved_cmdlines"))?);
    Ok(text.0)
}

/// The name of the clock that is in use: `trace_clock` has all of them, this one in brackets.
pub(super) fn clock_in_use(clocks: &[u8]) -> &[u8] {
    let mut words = clocks.split(u8::is_ascii_whitespace);
    words
        .find_map(|word| word.strip_prefix(b"[")?.strip_suffix(b"]"))
        .unwrap_or_else(|| clocks.trim_ascii())
}

/// The machine and its kernel, as `uname -a` begins.
pub(super) fn uname() -> String {
    let read = |name| fs::read_to_string(Path::new("/proc/sys/kernel").join(name));
    let mut words: Vec<_> = ["ostype", "hostname", "osrelease"]
        .iter()
        .filter_map(|name| read(name).ok())
        .collect();
    words.push(std::env::consts::ARCH.into());
    let words: Vec<_> = words.iter().map(|word| word.trim()).collect();
    words.join(" ")
}

/// Reads a file of the kernel. Some of them have their contents in the first read() only, and
/// [`fs::read`] begins with a small one.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
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

/// The format files of a directory of events, behind their number.
fn formats(out: &mut Bytes, system: &Path) -> Result<()> {
    let mut formats = entries(system)?;
    formats.iter_mut().for_each(|event| event.push("format"));
    formats.retain(|format| format.is_file());
    out.len32(formats.len());
    for format in &formats {
        out.sized64(&read(format)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks() {
        assert_eq!(clock_in_use(b"local [global] mono\n"), b"global");
        assert_eq!(clock_in_use(b"[x86-tsc]"), b"x86-tsc");
        assert_eq!(clock_in_use(b"local\n"), b"local");
        assert_eq!(clock_in_use(b""), b"");
    }

    #[test]
    fn this_machine() {
        let name = uname();
        assert!(name.starts_with("Linux "), "{name}");
        assert!(name.ends_with(std::env::consts::ARCH), "{name}");
    }
}
