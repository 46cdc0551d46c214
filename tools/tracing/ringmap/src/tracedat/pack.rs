// SPDX-License-Identifier: LGPL-2.1-or-later

//! Moves the data of the CPUs into the one file, a piece at a time. What was moved is freed in the
//! file of the CPU (a hole), so that all of it is nowhere needed twice.
//!
//! It may be killed at any moment, and be resumed: a piece that was moved reads as zeros, and no
//! piece that was not moved does, because each sub-buffer has a commit that is not 0.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rustix::fs::{FallocateFlags, fallocate};

use super::bytes::{Bytes, Scan};
use super::compress::Compressor;

/// A piece is at most so long, unless one sub-buffer is longer.
const PLAIN: u64 = 1 << 20;
const COMPRESSED: u64 = 1 << 17;

/// So much is reserved in the file for the first piece and what stands around the data, so that it
/// works on a full disk. The other pieces have what was freed.
pub(super) const RESERVE: u64 = 2 << 20;

/// The data of one CPU, in a file of its own.
#[derive(Debug)]
pub(super) struct CpuFile {
    pub cpu: u32,
    pub path: PathBuf,
    pub file: File,
}

impl CpuFile {
    /// Bytes of whole sub-buffers in it. Who is killed may leave half of one at the end.
    pub fn size(&self, subbuf: u64) -> io::Result<u64> {
        let len = self.file.metadata()?.len();
        Ok(len - len % subbuf)
    }

    /// Frees what was moved. A file system that cannot keeps it until the file is removed.
    fn free(&self, at: u64, len: u64) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let _ = fallocate(&self.file, flags, at, len);
    }
}

/// Where to, and how.
pub(super) struct Packer<'a> {
    pub out: &'a File,
    /// Bytes of a sub-buffer.
    pub subbuf: u64,
    /// Whether some of it may have been moved already.
    pub resumed: bool,
    /// Is told the bytes of each piece.
    pub progress: &'a mut dyn FnMut(u64),
}

impl Packer<'_> {
    /// Writes to the file.
    pub fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        #[cfg(test)]
        tests::step()?;
        self.out.write_all_at(bytes, at)
    }

    fn piece(&self, limit: u64) -> u64 {
        (limit / self.subbuf).max(1) * self.subbuf
    }

    /// The places of all pieces.
    fn pieces(&self, size: u64, limit: u64) -> impl Iterator<Item = (u64, u64)> + use<> {
        let piece = self.piece(limit);
        let count = size.div_ceil(piece);
        (0..count).map(move |n| (n * piece, piece.min(size - n * piece)))
    }

    /// Moves data as it is. Returns its size.
    pub fn plain(&mut self, cpu: &CpuFile, to: u64) -> io::Result<u64> {
        let size = cpu.size(self.subbuf)?;
        let mut buffer = Vec::new();
        for (at, len) in self.pieces(size, PLAIN) {
            if self.resumed {
                buffer.resize(len as usize, 0);
                cpu.file.read_exact_at(&mut buffer, at)?;
                if is_zero(&buffer) {
                    continue;
                }
            }
            #[cfg(test)]
            tests::step()?;
            let (mut from, mut out) = (&cpu.file, self.out);
            from.seek(SeekFrom::Start(at))?;
            out.seek(SeekFrom::Start(to + at))?;
            // Shares the blocks where the file system can.
            if io::copy(&mut from.take(len), &mut out)? != len {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            #[cfg(test)]
            tests::step()?;
            cpu.free(at, len);
            (self.progress)(len);
        }
        Ok(size)
    }

    /// Compresses data: the number of pieces, and before each piece its sizes. Returns the size of
    /// all that.
    pub fn compressed(&mut self, zip: &mut Compressor, cpu: &CpuFile, to: u64) -> io::Result<u64> {
        let size = cpu.size(self.subbuf)?;
        let mut count = Bytes::default();
        count.len32(self.pieces(size, COMPRESSED).count());
        self.write(&count.0, to)?;

        let mut end = to + count.0.len() as u64;
        let mut buffer = Vec::new();
        for (at, len) in self.pieces(size, COMPRESSED) {
            buffer.resize(len as usize, 0);
            cpu.file.read_exact_at(&mut buffer, at)?;
            if self.resumed && is_zero(&buffer) {
                end += self.piece_before(end, len)?;
                continue;
            }
            let data = zip.compress(&buffer)?;
            let data = data.as_deref().unwrap_or(&buffer);
            let mut piece = Bytes::default();
            piece.len32(data.len());
            piece.len32(buffer.len());
            piece.0.extend(data);
            self.write(&piece.0, end)?;
            end += piece.0.len() as u64;
            #[cfg(test)]
            tests::step()?;
            cpu.free(at, len);
            (self.progress)(len);
        }
        Ok(end - to)
    }

    /// The size of a piece of `len` bytes that was compressed before.
    fn piece_before(&self, at: u64, len: u64) -> io::Result<u64> {
        let mut sizes = [0; 8];
        self.out.read_exact_at(&mut sizes, at)?;
        let mut scan = Scan::new(&sizes, 0);
        match (scan.u32(), scan.u32()) {
            (Some(data), Some(before)) if data > 0 && u64::from(before) == len => {
                Ok(8 + u64::from(data))
            }
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    match bytes {
        // One comparison of memory: each byte is like the one before it.
        [first, rest @ ..] => *first == 0 && rest == &bytes[..rest.len()],
        [] => true,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        /// After so many steps, in this thread, it is as if it was killed.
        pub static STEPS: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    pub fn step() -> io::Result<()> {
        let left = STEPS.get().checked_sub(1);
        STEPS.set(left.unwrap_or(0));
        left.map(drop).ok_or_else(|| io::Error::other("killed"))
    }
    #[test]
    fn zeros() {
        assert!(is_zero(&[]) && is_zero(&[0]) && is_zero(&[0; 100]));
        for at in 0..100 {
            let mut bytes = [0; 100];
            bytes[at] = 1;
            assert!(!is_zero(&bytes));
        }
        assert!(!is_zero(&[1; 100]));
    }
}
