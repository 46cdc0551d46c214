// SPDX-License-Identifier: GPL-2.0

//! The system calls that std does not have. The only module with unsafe code.

#![allow(unsafe_code)]

use std::{
    fs::File,
    io,
    mem::size_of,
    os::fd::{AsRawFd, FromRawFd},
    ptr,
    time::Duration,
};

/// `TRACE_MMAP_IOCTL_GET_READER` of linux/trace_mmap.h.
const GET_READER: libc::Ioctl = (b'R' as libc::Ioctl) << 8 | 0x20;

/// The size of a page, in bytes.
pub fn page() -> usize {
    // SAFETY: It takes a number and returns one.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// The errno of a failed system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

pub type Result<T> = std::result::Result<T, Errno>;

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

fn last() -> Errno {
    io::Error::last_os_error().into()
}

fn done(result: libc::c_int) -> Result<()> {
    if result < 0 { Err(last()) } else { Ok(()) }
}

pub fn get_reader(file: &File) -> Result<()> {
    // SAFETY: This ioctl takes no argument.
    done(unsafe { libc::ioctl(file.as_raw_fd(), GET_READER) })
}

/// Moves up to `len` bytes into a pipe. Returns how many.
pub fn splice(from: &File, to: &File, len: usize, block: bool) -> Result<usize> {
    let (from, to, null) = (from.as_raw_fd(), to.as_raw_fd(), ptr::null_mut());
    let flags = if block { 0 } else { libc::SPLICE_F_NONBLOCK };
    // SAFETY: Offsets may be null.
    let moved = unsafe { libc::splice(from, null, to, null, len, flags) };
    usize::try_from(moved).map_err(|_| last())
}

/// The reading and the writing end of a pipe, which do not block.
pub fn pipe() -> Result<(File, File)> {
    let mut ends = [0; 2];
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: `ends` has room for two descriptors.
    done(unsafe { libc::pipe2(ends.as_mut_ptr(), flags) })?;
    // SAFETY: Both are open and owned by nothing else.
    Ok(unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) })
}

/// A timer that fires every `period`, until it is dropped.
pub fn interval(period: Duration) -> Result<File> {
    // SAFETY: This takes no pointers.
    let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC) };
    done(fd)?;
    // SAFETY: It is open and owned by nothing else.
    let file = unsafe { File::from_raw_fd(fd) };
    let step = libc::timespec {
        tv_sec: period.as_secs() as libc::time_t,
        tv_nsec: period.subsec_nanos().into(),
    };
    let setting = libc::itimerspec {
        it_interval: step,
        it_value: step,
    };
    // SAFETY: `setting` is valid, and the old one may be null.
    done(unsafe { libc::timerfd_settime(fd, 0, &setting, ptr::null_mut()) })?;
    Ok(file)
}

/// A mapping of a file, read-only and shared. No Rust object is in its pages.
pub struct Area {
    start: usize,
    len: usize,
}

impl Area {
    pub fn new(file: &File, len: usize, offset: usize) -> Result<Self> {
        Self::with(file, len, offset, libc::PROT_READ, libc::MAP_SHARED)
    }

    pub fn with(file: &File, len: usize, offset: usize, prot: i32, flags: i32) -> Result<Self> {
        let (fd, offset) = (file.as_raw_fd(), offset as libc::off_t);
        // SAFETY: A new mapping, where the kernel finds room.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, prot, flags, fd, offset) };
        if start == libc::MAP_FAILED {
            return Err(last());
        }
        let start = start as usize;
        Ok(Self { start, len })
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// The word at `offset`, which the kernel may change at any time.
    pub fn word(&self, offset: usize) -> u64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len);
        // SAFETY: Within the mapping and aligned.
        unsafe { ptr::read_volatile((self.start + offset) as *const u64) }
    }

    /// The bytes from `offset` on, a multiple of 8, in increasing order.
    pub fn copy(&self, offset: usize, len: usize) -> Vec<u8> {
        let words = (0..len.next_multiple_of(8)).step_by(8);
        let mut bytes: Vec<u8> = words
            .flat_map(|at| self.word(offset + at).to_ne_bytes())
            .collect();
        bytes.truncate(len);
        bytes
    }

    fn remap(&self, old: usize, new: usize, flags: i32, to: usize) -> Result<usize> {
        let (start, to) = (self.start as *mut libc::c_void, to as *mut libc::c_void);
        // SAFETY: No Rust object is in these pages or in those at the new place.
        let to = unsafe { libc::mremap(start, old, new, flags, to) };
        if to == libc::MAP_FAILED {
            return Err(last());
        }
        Ok(to as usize)
    }

    /// Moves it to another place.
    pub fn move_away(&mut self) -> Result<()> {
        let place = Self::reserve(self.len)?;
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        self.start = self.remap(self.len, self.len, flags, place)?;
        Ok(())
    }

    /// mremap() that may leave it where it is.
    pub fn resize(&mut self, len: usize) -> Result<()> {
        self.start = self.remap(self.len, len, libc::MREMAP_MAYMOVE, 0)?;
        self.len = len;
        Ok(())
    }

    /// A second mapping of the same pages, in the way that mremap() has for that.
    pub fn duplicate(&self) -> Result<Self> {
        let start = self.remap(0, self.len, libc::MREMAP_MAYMOVE, 0)?;
        let len = self.len;
        Ok(Self { start, len })
    }

    /// Moves `len` bytes from the start. After a success, nothing of it can be read.
    pub fn move_part(&mut self, len: usize) -> Result<()> {
        let place = Self::reserve(len)?;
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        self.remap(len, len, flags, place)?;
        self.len = 0;
        Ok(())
    }

    /// Unmaps `len` bytes from the start. After a success, nothing of it can be read.
    pub fn unmap_part(&mut self, len: usize) -> Result<()> {
        // SAFETY: No Rust object is in these pages.
        done(unsafe { libc::munmap(self.start as *mut libc::c_void, len) })?;
        self.len = 0;
        Ok(())
    }

    pub fn unmap(self) -> Result<()> {
        let (start, len) = (self.start, self.len);
        std::mem::forget(self);
        // SAFETY: No Rust object is in these pages.
        done(unsafe { libc::munmap(start as *mut libc::c_void, len) })
    }

    pub fn protect(&self, prot: i32) -> Result<()> {
        // SAFETY: No Rust object is in these pages.
        done(unsafe { libc::mprotect(self.start as *mut libc::c_void, self.len, prot) })
    }

    pub fn advise(&self, advice: i32) -> Result<()> {
        // SAFETY: No Rust object is in these pages.
        done(unsafe { libc::madvise(self.start as *mut libc::c_void, self.len, advice) })
    }

    /// Addresses that nothing else uses. They are not given back: an mremap() to them that fails may
    /// have done so, and another thread may have them then.
    fn reserve(len: usize) -> Result<usize> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: A new mapping, where the kernel finds room.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(last());
        }
        Ok(start as usize)
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: No Rust object is in these pages.
            unsafe { libc::munmap(self.start as *mut libc::c_void, self.len) };
        }
    }
}

/// A process that maps `len` bytes of `file` and ends with the mapping: by itself, or if `kill`, by a
/// signal.
pub fn fork_and_map(file: &File, len: usize, kill: bool) -> Result<()> {
    let (fd, shared) = (file.as_raw_fd(), libc::MAP_SHARED);
    // SAFETY: The child makes only system calls, which need no lock that another thread holds.
    let pid = unsafe { libc::fork() };
    done(pid)?;
    if pid == 0 {
        // SAFETY: A new mapping, and calls without pointers.
        unsafe {
            libc::mmap(ptr::null_mut(), len, libc::PROT_READ, shared, fd, 0);
            if kill {
                libc::sleep(60);
            }
            libc::_exit(0);
        }
    }
    if kill {
        std::thread::sleep(Duration::from_micros(500));
        // SAFETY: No pointers.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
    // SAFETY: The status may be null.
    while unsafe { libc::waitpid(pid, ptr::null_mut(), 0) } < 0 {
        if last() != Errno(libc::EINTR) {
            return Err(last());
        }
    }
    Ok(())
}

/// Runs this thread on these CPUs only.
pub fn pin(cpus: &[usize]) -> Result<()> {
    // SAFETY: Zeroes are a valid set, and the kernel reads no more than it.
    done(unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        for &cpu in cpus {
            libc::CPU_SET(cpu, &mut set);
        }
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    })
}

/// The number of this thread.
pub fn thread() -> i32 {
    // SAFETY: Always safe to call.
    unsafe { libc::gettid() }
}

extern "C" fn wake(_signal: libc::c_int) {}

/// From now on [`kick`] ends a system call that waits, with EINTR.
pub fn prepare_kicks() {
    // SAFETY: The handler does nothing; zeroes are a valid action otherwise.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = wake as extern "C" fn(libc::c_int) as usize;
        libc::sigaction(libc::SIGUSR1, &action, ptr::null_mut());
    }
}

/// Wakes a thread of this process.
pub fn kick(thread: i32) {
    // SAFETY: No pointers.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGUSR1) };
}
