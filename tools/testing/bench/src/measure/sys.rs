// SPDX-License-Identifier: GPL-2.0

//! The system calls that are measured, with as little around them as can be. The only module with
//! unsafe code.

#![allow(unsafe_code)]

use anyhow::{Context, Result};
use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, FromRawFd},
    ptr,
};

/// `TRACE_MMAP_IOCTL_GET_READER` of linux/trace_mmap.h.
const GET_READER: libc::Ioctl = (b'R' as libc::Ioctl) << 8 | 0x20;
/// No ioctl of this number is known to `trace_pipe_raw`.
const UNKNOWN: libc::Ioctl = 0x9999;

/// Bytes of a pipe, by default.
const PIPE: usize = 1 << 16;

/// Nanoseconds.
#[inline(always)]
pub fn now() -> u64 {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `t` is valid for writes.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut t) };
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

/// The next events of a mapped buffer.
#[inline(always)]
pub fn get_reader(file: &File) -> Result<()> {
    // SAFETY: This ioctl takes no argument.
    match unsafe { libc::ioctl(file.as_raw_fd(), GET_READER) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()).context("GET_READER"),
    }
}

/// An ioctl that does nothing: what each of them costs at least.
#[inline(always)]
pub fn bare_ioctl(file: &File) -> Result<()> {
    // SAFETY: No argument.
    unsafe { libc::ioctl(file.as_raw_fd(), UNKNOWN) };
    Ok(())
}

/// write() of a whole buffer.
#[inline(always)]
pub fn write(file: &File, bytes: &[u8]) -> Result<()> {
    // SAFETY: `bytes` is valid for reads of its length.
    let written = unsafe { libc::write(file.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
    if written != bytes.len() as isize {
        return Err(io::Error::last_os_error()).context("write");
    }
    Ok(())
}

/// read(); how many bytes.
#[inline(always)]
pub fn read(file: &File, bytes: &mut [u8]) -> Result<usize> {
    // SAFETY: `bytes` is valid for writes of its length.
    let count = unsafe { libc::read(file.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error().into())
}

/// splice(); how many bytes.
#[inline(always)]
pub fn splice(from: &File, to: &File, len: usize) -> Result<usize> {
    // SAFETY: Offsets may be null.
    let count = unsafe {
        libc::splice(
            from.as_raw_fd(),
            ptr::null_mut(),
            to.as_raw_fd(),
            ptr::null_mut(),
            len,
            libc::SPLICE_F_NONBLOCK,
        )
    };
    usize::try_from(count)
        .map_err(|_| io::Error::last_os_error())
        .context("splice")
}

/// A pipe with room for so many bytes: its reading and its writing end. As it is by default, if that
/// does: a larger one makes splice() dearer.
pub fn pipe(room: usize) -> Result<(File, File)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for two.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error()).context("pipe");
    }
    // SAFETY: Both are open, and nobody else's.
    let (reading, writing) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
    // SAFETY: No pointers.
    if room > PIPE && unsafe { libc::fcntl(ends[1], libc::F_SETPIPE_SZ, room as libc::c_int) } < 0 {
        return Err(io::Error::last_os_error()).context("F_SETPIPE_SZ");
    }
    Ok((reading, writing))
}

/// A mapping, read-only and shared.
pub struct Map {
    start: *mut libc::c_void,
    len: usize,
}

impl Map {
    #[inline(always)]
    pub fn new(file: &File, len: usize) -> Result<Map> {
        // SAFETY: A new mapping, where the kernel finds room.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error()).context("mmap");
        }
        Ok(Map { start, len })
    }

    /// The 32-bit word at this offset.
    #[inline(always)]
    pub fn word(&self, offset: usize) -> u32 {
        assert!(offset.is_multiple_of(4) && offset + 4 <= self.len);
        // SAFETY: Inside of the mapping, and aligned.
        unsafe { ptr::read_volatile(self.start.byte_add(offset).cast()) }
    }
}

impl Drop for Map {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: It is this one's own.
        unsafe { libc::munmap(self.start, self.len) };
    }
}

/// A timer of the clock that [`now`] reads.
pub struct Timer(File);

impl Timer {
    pub fn new() -> Result<Timer> {
        // SAFETY: No pointers.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error()).context("timerfd");
        }
        // SAFETY: It is open, and nobody else's.
        Ok(Timer(unsafe { File::from_raw_fd(fd) }))
    }

    /// Fires at `time`, which [`now`] counts.
    #[inline(always)]
    pub fn set(&self, time: u64) -> Result<()> {
        let zero = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let setting = libc::itimerspec {
            it_interval: zero,
            it_value: libc::timespec {
                tv_sec: (time / 1_000_000_000) as libc::time_t,
                tv_nsec: (time % 1_000_000_000) as libc::c_long,
            },
        };
        // SAFETY: `setting` is valid for reads, and the old one is not asked for.
        let failed = unsafe {
            libc::timerfd_settime(
                self.0.as_raw_fd(),
                libc::TFD_TIMER_ABSTIME,
                &setting,
                ptr::null_mut(),
            )
        };
        if failed != 0 {
            return Err(io::Error::last_os_error()).context("timerfd_settime");
        }
        Ok(())
    }
}
