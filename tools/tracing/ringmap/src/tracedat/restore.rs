// SPDX-License-Identifier: LGPL-2.1-or-later

//! Goes on with a recording that was left behind.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use super::bytes::{Bytes, Scan};
use super::files::{Locked, cpu_files, remove};
use super::pack::{CpuFile, Packer};
use super::{Compression, Ending, MAGIC, Start, Version, machine, pack, v6, v7};
use crate::{Error, Result};

/// Bytes that a sub-buffer may have: some pages, a power of two of them.
const SUBBUF: RangeInclusive<u64> = 4 << 10..=64 << 20;

/// What [`restore`] has done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// The CPUs whose data was put into the file; none if it was whole already.
    pub cpus: Vec<u32>,
    /// The size of the file in bytes.
    pub bytes: u64,
}

/// Completes a recording that was left behind: see the [module](super).
///
/// # Errors
///
/// [`Error::Recording`] if it is still being recorded, [`Error::Parse`] if the file is no recording
/// or another machine's, [`Error::DiskFull`], [`Error::Output`] or [`Error::Io`].
pub fn restore(path: impl AsRef<Path>) -> Result<Restored> {
    let path = path.as_ref();
    let file = File::options().read(true).write(true).open(path);
    let file = file.map_err(|e| Error::io("open", path, e))?;
    let file = Locked::new(file, path)?;
    let file = &file.0;

    let bad = |e: io::Error| match e.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Error::Parse {
            path: path.into(),
            what: "it is no recording, or its beginning was not written".into(),
        },
        _ => Error::io("read", path, e),
    };
    let head = Head::read(file).map_err(bad)?;
    let start = match head.version {
        Version::V6 => Some(Start::V6(
            v6::find(file, head.end, head.subbuf).map_err(bad)?,
        )),
        Version::V7(compression) => v7::find(file, head.end)
            .map_err(bad)?
            .map(|start| Start::V7(start, compression)),
    };
    let mut cpus = Vec::new();
    for (cpu, path) in cpu_files(path)? {
        // Holes are made in it: it must be what it seems to be, wherever this directory is.
        let mut options = File::options();
        let no_links = OFlags::NOFOLLOW.bits() as i32;
        let file = options.read(true).write(true).custom_flags(no_links);
        let file = file.open(&path).map_err(|e| Error::io("open", &path, e))?;
        cpus.push(CpuFile { cpu, path, file });
    }
    let whole = |bytes| Restored {
        cpus: Vec::new(),
        bytes,
    };
    let bytes = file.metadata().map_err(bad)?.len();
    let (Some(start), false) = (start, cpus.is_empty()) else {
        cpus.iter().try_for_each(|cpu| remove(&cpu.path))?;
        return Ok(whole(bytes));
    };
    let mut packer = Packer {
        out: file,
        subbuf: head.subbuf,
        resumed: true,
        progress: &mut |_| {},
    };
    let bytes = pack(path, &mut packer, &start, &Ending::default(), &cpus)?;
    Ok(Restored {
        cpus: cpus.iter().map(|cpu| cpu.cpu).collect(),
        bytes,
    })
}

/// The first bytes of a file.
struct Head {
    version: Version,
    subbuf: u64,
    /// Where they end.
    end: u64,
}

impl Head {
    fn read(mut file: &File) -> io::Result<Self> {
        let mut head = Vec::new();
        file.rewind()?;
        file.take(256).read_to_end(&mut head)?;
        Head::parse(&head).ok_or(io::ErrorKind::InvalidData.into())
    }

    fn parse(head: &[u8]) -> Option<Self> {
        let mut scan = Scan::new(head, 0);
        let magic = scan.take(MAGIC.len())?;
        let version = scan.string()?;
        let mut ours = Bytes::default();
        machine(&mut ours, 0);
        if magic != MAGIC || !ours.0.starts_with(scan.take(2)?) {
            return None;
        }
        let subbuf = u64::from(scan.u32()?);
        let version = match version {
            b"6" => Version::V6,
            b"7" => {
                let compression = Compression::of_name(scan.string()?)?;
                scan.string()?;
                scan.u64()?;
                Version::V7(compression)
            }
            _ => return None,
        };
        Some(Head {
            version,
            subbuf: Some(subbuf)
                .filter(|subbuf| SUBBUF.contains(subbuf) && subbuf.is_power_of_two())?,
            end: scan.at as u64,
        })
    }
}
