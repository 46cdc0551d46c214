// SPDX-License-Identifier: GPL-2.0

//! System calls as this program needs them: a result is a number, negative if it is an errno.
//!
//! Errors are results like others here, which are written down and compared.

use std::{
    ffi::{CString, c_int, c_void},
    mem::size_of,
    ptr,
};

/// An open file, by its number.
pub type Fd = c_int;

/// `TRACE_MMAP_IOCTL_GET_READER`.
pub const GET_READER: u64 = 0x5220;

/// The size of a page, in bytes.
pub fn page() -> usize {
    // SAFETY: It takes a number and returns one.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).expect("a size")
}

/// Success, or the errno of a call that returned `result`.
fn outcome(result: i64) -> i64 {
    if result < 0 {
        -i64::from(
            std::io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::EIO),
        )
    } else {
        result
    }
}

pub fn open(path: &str, flags: c_int) -> i64 {
    let path = CString::new(path).expect("a path without a NUL");
    // SAFETY: The path is a string that ends with a NUL.
    outcome(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) }.into())
}

pub fn close(fd: Fd) -> i64 {
    // SAFETY: Callers own the descriptor.
    outcome(unsafe { libc::close(fd) }.into())
}

pub fn read(fd: Fd, buf: &mut [u8]) -> i64 {
    // SAFETY: The buffer is as large as said.
    outcome(unsafe { libc::read(fd, buf.as_mut_ptr().cast(), buf.len()) } as i64)
}

pub fn pread(fd: Fd, buf: &mut [u8]) -> i64 {
    // SAFETY: The buffer is as large as said.
    outcome(unsafe { libc::pread(fd, buf.as_mut_ptr().cast(), buf.len(), 0) } as i64)
}

pub fn write(fd: Fd, buf: &[u8]) -> i64 {
    // SAFETY: The buffer is as large as said.
    outcome(unsafe { libc::write(fd, buf.as_ptr().cast(), buf.len()) } as i64)
}

/// Opens, writes, closes.
pub fn put(path: &str, value: &str) -> i64 {
    let fd = open(path, libc::O_WRONLY);
    if fd < 0 {
        return fd;
    }
    let result = write(fd as Fd, value.as_bytes());
    close(fd as Fd);
    result.min(0)
}

pub fn ioctl(fd: Fd, command: u64) -> i64 {
    // SAFETY: The commands of trace_pipe_raw have no argument.
    outcome(unsafe { libc::ioctl(fd, command, 0) }.into())
}

/// Where a new mapping goes: anywhere, or to where there is one of this program's already.
pub fn mmap(at: Option<usize>, len: usize, prot: c_int, flags: c_int, fd: Fd, offset: i64) -> i64 {
    let flags = flags | at.map_or(0, |_| libc::MAP_FIXED);
    // SAFETY: What is replaced, if anything, are pages that no Rust object is in.
    let to = unsafe { libc::mmap(at.unwrap_or(0) as *mut c_void, len, prot, flags, fd, offset) };
    outcome(to as i64)
}

/// Some addresses that nothing else uses.
pub fn reserve(len: usize) -> i64 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    mmap(None, len, libc::PROT_NONE, flags, -1, 0)
}

pub fn munmap(addr: usize, len: usize) -> i64 {
    // SAFETY: No Rust object is in these pages.
    outcome(unsafe { libc::munmap(addr as *mut c_void, len) }.into())
}

pub fn mremap(addr: usize, old: usize, new: usize, flags: c_int, to: usize) -> i64 {
    // SAFETY: No Rust object is in these pages, nor in those at the new place.
    let to = unsafe { libc::mremap(addr as *mut c_void, old, new, flags, to) };
    outcome(to as i64)
}

pub fn mprotect(addr: usize, len: usize, prot: c_int) -> i64 {
    // SAFETY: No Rust object is in these pages.
    outcome(unsafe { libc::mprotect(addr as *mut c_void, len, prot) }.into())
}

pub fn madvise(addr: usize, len: usize, advice: c_int) -> i64 {
    // SAFETY: No Rust object is in these pages.
    outcome(unsafe { libc::madvise(addr as *mut c_void, len, advice) }.into())
}

/// Copies mapped memory that the kernel may write to.
///
/// # Safety
///
/// The bytes from `addr` on are mapped and can be read.
pub unsafe fn copy(addr: usize, into: &mut [u8]) {
    // SAFETY: By the requirements of this function. The kernel writes in between only when this
    // program calls it.
    unsafe { ptr::copy_nonoverlapping(addr as *const u8, into.as_mut_ptr(), into.len()) };
}

/// A mapped number of 32 bits.
///
/// # Safety
///
/// As for [`copy`].
pub unsafe fn word(addr: usize) -> u32 {
    let mut bytes = [0; 4];
    // SAFETY: By the requirements of this function.
    unsafe { copy(addr, &mut bytes) };
    u32::from_ne_bytes(bytes)
}

/// A mapped number of 64 bits.
///
/// # Safety
///
/// As for [`copy`].
pub unsafe fn long(addr: usize) -> u64 {
    let mut bytes = [0; 8];
    // SAFETY: By the requirements of this function.
    unsafe { copy(addr, &mut bytes) };
    u64::from_ne_bytes(bytes)
}

/// Moves up to `len` bytes into a pipe, and from there into `into`, which has room for a full pipe.
pub fn splice(fd: Fd, len: usize, into: &mut [u8]) -> i64 {
    let mut pipe = [0; 2];
    let null = ptr::null_mut();

    // SAFETY: There is room for two descriptors.
    if unsafe { libc::pipe2(pipe.as_mut_ptr(), libc::O_NONBLOCK) } != 0 {
        return outcome(-1);
    }
    // SAFETY: The offsets are not used.
    let result = unsafe { libc::splice(fd, null, pipe[1], null, len, libc::SPLICE_F_NONBLOCK) };
    let result = outcome(result as i64);
    let mut done = 0;
    while done < into.len() {
        let got = read(pipe[0], &mut into[done..]);
        if got <= 0 {
            break;
        }
        done += got as usize;
    }
    close(pipe[0]);
    close(pipe[1]);
    result
}

/// Runs `child` in another process; the result is what it returns, if that is at most 255.
pub fn fork(child: impl FnOnce() -> i64) -> i64 {
    let mut status = 0;

    // SAFETY: This program has one thread.
    match unsafe { libc::fork() } {
        -1 => return outcome(-1),
        // SAFETY: Always safe to call.
        0 => unsafe { libc::_exit(child() as c_int) },
        // SAFETY: The status is a local variable.
        pid => unsafe { libc::waitpid(pid, &mut status, 0) },
    };
    if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status).into()
    } else {
        1000 + i64::from(libc::WTERMSIG(status))
    }
}

/// Runs `child` in a process that has the number `pid`, and returns its exit status.
///
/// Events hold the number of the process that wrote them.
pub fn fork_as(pid: libc::pid_t, child: impl FnOnce() -> i32) -> i32 {
    let pids = [pid];
    // SAFETY: Zeroes are a valid value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.exit_signal = libc::SIGCHLD as u64;
    args.set_tid = pids.as_ptr() as u64;
    args.set_tid_size = 1;
    let mut status = 0;

    // SAFETY: The arguments are as the kernel has them; the child has a copy of this stack.
    match unsafe { libc::syscall(libc::SYS_clone3, &args, size_of::<libc::clone_args>()) } {
        -1 => {
            eprintln!("clone3: {}", std::io::Error::last_os_error());
            return 1;
        }
        0 => std::process::exit(child()),
        // SAFETY: The status is a local variable.
        child => unsafe { libc::waitpid(child as libc::pid_t, &mut status, 0) },
    };
    if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else {
        eprintln!("ended by signal {}", libc::WTERMSIG(status));
        1
    }
}

/// Nothing else may get in between while an event is written: each has the flag for "somebody else
/// wants this CPU". So this process runs on one CPU and before all others.
pub fn alone_on_cpu_0() -> i64 {
    put("/proc/sys/kernel/sched_rt_runtime_us", "-1");
    // SAFETY: Zeroes are a valid value, of which one bit is set.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(0, &mut set);
        set
    };
    let param = libc::sched_param { sched_priority: 50 };
    // SAFETY: The arguments are local variables.
    unsafe {
        if libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) != 0 {
            return outcome(-1);
        }
        outcome(libc::sched_setscheduler(0, libc::SCHED_FIFO, &param).into())
    }
}

/// A system call that does nothing but to be traced.
pub fn getppid() {
    // SAFETY: Always safe to call.
    unsafe { libc::syscall(libc::SYS_getppid) };
}

extern "C" fn wake(_signal: c_int) {}

/// Ends what would otherwise wait for ever, with EINTR.
pub fn alarm(on: bool) {
    let step = libc::timeval {
        tv_sec: 0,
        tv_usec: if on { 5_000 } else { 0 },
    };
    let timer = libc::itimerval {
        it_interval: step,
        it_value: step,
    };
    // SAFETY: The handler does nothing; zeroes are a valid action otherwise.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = wake as extern "C" fn(c_int) as usize;
        libc::sigaction(libc::SIGALRM, &action, ptr::null_mut());
        libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut());
    }
}
