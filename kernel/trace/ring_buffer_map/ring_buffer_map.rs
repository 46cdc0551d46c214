// SPDX-License-Identifier: GPL-2.0

//! Mapping the trace ring buffers to user space.
//!
//! The Rust implementation of what `CONFIG_RING_BUFFER_MAP_RUST=n` compiles in C: user space maps
//! `per_cpu/cpuN/trace_pipe_raw` of tracefs, finds the state of the buffer in a meta-page and its
//! events in the sub-buffers behind it, and asks for the next ones with an ioctl.
//! `Documentation/trace/ring-buffer-map.rst` describes the interface,
//! `Documentation/trace/ring-buffer-map-rust.rst` in what the implementations differ.
//!
//! This file has the entry points for C, which only convert their arguments. The functions that
//! they call are safe:
//!
//! - `trace_file`: the file operations, and what a VMA owns.
//! - `mapping`: filling a VMA, and counting it.
//! - `consume`: consuming events.
//! - `snapshot`: the exclusion of snapshots.
//! - `map_state`: whether a buffer is mapped, and with what: what `mapping_lock` protects.
//! - `reader_state`, `reader_page`, `ring`: what `reader_lock` protects.
//! - `buffer`: the buffers, and the way to their locks.
//! - `meta`: the meta-page.
//! - `ids`: the table from ids to sub-buffers.
//! - `layout`, `events`: pure computation, also tested on the host.
//! - `raw`: access to C's structs, and calls of C.
//!
//! # Lock order
//!
//! Outermost first:
//!
//! ```text
//! access lock of the CPU               trace_access_lock(): the right to consume its events
//! mmap_lock                            also taken under the access lock
//!   mapping_lock of the CPU's buffer   whether it is mapped, and with what
//!     mutex of the trace_buffer        its size, taken to disable resizing
//!     reader_lock of the CPU's buffer  raw, interrupts off: the reader page, the counters
//!   snapshot_trigger_lock              taken alone
//! ```

mod bindings;
mod buffer;
mod consume;
mod events;
mod ids;
mod layout;
mod map_state;
mod mapping;
mod meta;
mod raw;
mod reader_page;
mod reader_state;
mod ring;
mod snapshot;
mod trace_file;

use buffer::{
    CpuBuffer,
    TraceBuffer, //
};
use kernel::{
    bindings as c,
    error::from_result,
    ffi::{
        c_int,
        c_ulong, //
    },
    fs::{
        file::flags::O_NONBLOCK,
        LocalFile, //
    },
    mm::virt::VmaNew,
    prelude::*, //
};
use raw::{
    AccessGuard,
    Shared, //
};
use trace_file::TraceFile;

const __LOG_PREFIX: &[u8] = b"ring_buffer_map\0";

/// The buffers of an instance.
///
/// # Safety
///
/// `buffer` must point to a `struct trace_buffer` that is valid for `'a`.
unsafe fn trace_buffer<'a>(buffer: *mut c::trace_buffer) -> TraceBuffer<'a> {
    // SAFETY: By the safety requirements of this function. The kernel crate has another type for
    // the same C struct.
    TraceBuffer::new(unsafe { Shared::from_raw(buffer.cast()) })
}

/// Maps the buffer of `cpu`, see [`mapping::map`].
///
/// # Safety
///
/// - `buffer` must be valid.
/// - `vma` must be valid and be set up by an mmap file operation, with the mmap lock held for
///   writing.
#[export]
pub unsafe extern "C" fn ring_buffer_map(
    buffer: *mut c::trace_buffer,
    cpu: c_int,
    vma: *mut c::vm_area_struct,
) -> c_int {
    // SAFETY: By the safety requirements of this function.
    let buffer = unsafe { trace_buffer(buffer) };
    // SAFETY: By the safety requirements of this function.
    let vma = unsafe { VmaNew::from_raw(vma) };

    from_result(|| mapping::map(buffer.cpu(cpu)?, vma).map(|()| 0))
}

/// Counts one more VMA of a mapped buffer, see [`mapping::dup`].
///
/// # Safety
///
/// `buffer` must be valid.
#[export]
pub unsafe extern "C" fn ring_buffer_map_dup(buffer: *mut c::trace_buffer, cpu: c_int) {
    // SAFETY: By the safety requirements of this function.
    let cpu = unsafe { trace_buffer(buffer) }.cpu(cpu);

    if kernel::warn_on!(cpu.is_err()) {
        return;
    }
    let _ = cpu.map(mapping::dup);
}

/// Counts one VMA less, see [`mapping::unmap`].
///
/// # Safety
///
/// `buffer` must be valid.
#[export]
pub unsafe extern "C" fn ring_buffer_unmap(buffer: *mut c::trace_buffer, cpu: c_int) -> c_int {
    // SAFETY: By the safety requirements of this function.
    let buffer = unsafe { trace_buffer(buffer) };

    from_result(|| mapping::unmap(buffer.cpu(cpu)?).map(|()| 0))
}

/// Consumes the events on the reader page, see [`consume::get_reader`].
///
/// # Safety
///
/// - `buffer` must be valid.
/// - No other context may consume the events of `cpu`, or print them in place, during the call.
#[export]
pub unsafe extern "C" fn ring_buffer_map_get_reader(
    buffer: *mut c::trace_buffer,
    cpu: c_int,
) -> c_int {
    // SAFETY: By the safety requirements of this function.
    let buffer = unsafe { trace_buffer(buffer) };

    // SAFETY: By the safety requirements of this function.
    let access = unsafe { AccessGuard::assume_locked(cpu) };

    from_result(|| consume::get_reader(buffer.cpu(cpu)?, &access).map(|()| 0))
}

/// Refreshes the meta-page if the buffer is mapped.
///
/// # Safety
///
/// `cpu_buffer` must be valid, and its `reader_lock` be held.
#[export]
pub unsafe extern "C" fn rb_update_meta_page(cpu_buffer: *mut c::ring_buffer_per_cpu) {
    // SAFETY: By the safety requirements of this function.
    let cpu = unsafe { Shared::from_raw(cpu_buffer.cast()) };

    // SAFETY: By the safety requirements of this function.
    unsafe { CpuBuffer::new(cpu).assume_reader_locked() }.publish_pending();
}

/// The mmap file operation of `trace_pipe_raw`, see [`trace_file::mmap`].
///
/// # Safety
///
/// - `file` must have been opened by `tracing_buffers_open()`.
/// - `vma` must be valid and be set up by the mmap file operation of `file`, with the mmap lock
///   held for writing.
#[export]
pub unsafe extern "C" fn tracing_buffers_mmap(
    file: *mut c::file,
    vma: *mut c::vm_area_struct,
) -> c_int {
    // SAFETY: The VMA is not visible to others before mmap() returns. If that fails, the operations
    // are not called.
    unsafe { (*vma).vm_ops = &VM_OPS.0 };
    // SAFETY: By the safety requirements of this function.
    let vma = unsafe { VmaNew::from_raw(vma) };
    // SAFETY: By the safety requirements of this function.
    let file = TraceFile::new(unsafe { Shared::from_file(file) });

    from_result(|| trace_file::mmap(file, vma).map(|()| 0))
}

/// `TRACE_MMAP_IOCTL_GET_READER`, see [`trace_file::get_reader`].
///
/// # Safety
///
/// `file` must have been opened by `tracing_buffers_open()`, and not be closed during the call.
#[export]
pub unsafe extern "C" fn tracing_buffers_get_reader(file: *mut c::file) -> c_int {
    // SAFETY: By the safety requirements of this function. The position of the file is not used.
    let block = unsafe { LocalFile::from_raw_file(file) }.flags() & O_NONBLOCK == 0;
    // SAFETY: By the safety requirements of this function.
    let file = TraceFile::new(unsafe { Shared::from_file(file) });

    from_result(|| trace_file::get_reader(file, block).map(|()| 0))
}

struct VmOps(c::vm_operations_struct);

// SAFETY: The operations are never written to.
unsafe impl Sync for VmOps {}

static VM_OPS: VmOps = VmOps(c::vm_operations_struct {
    open: Some(vma_open),
    close: Some(vma_close),
    may_split: Some(vma_may_split),
    ..pin_init::zeroed()
});

/// The file of a VMA.
///
/// # Safety
///
/// `vma` must be valid for `'a`, and its file have been opened by `tracing_buffers_open()`.
unsafe fn file_of<'a>(vma: *mut c::vm_area_struct) -> TraceFile<'a> {
    // SAFETY: By the safety requirements of this function. A VMA keeps its file open.
    TraceFile::new(unsafe { Shared::from_file((*vma).vm_file) })
}

/// A VMA was duplicated, see [`trace_file::open`].
///
/// # Safety
///
/// `vma` must be one that [`tracing_buffers_mmap`] has set up, or a copy of it.
unsafe extern "C" fn vma_open(vma: *mut c::vm_area_struct) {
    // SAFETY: By the safety requirements of this function.
    trace_file::open(unsafe { file_of(vma) });
}

/// A VMA is going away, see [`trace_file::close`].
///
/// # Safety
///
/// `vma` must be one that [`tracing_buffers_mmap`] has set up, or a copy of it.
unsafe extern "C" fn vma_close(vma: *mut c::vm_area_struct) {
    // SAFETY: By the safety requirements of this function.
    trace_file::close(unsafe { file_of(vma) });
}

/// Refuses to split: a VMA counts as one user, and there is no `open()` for the second half.
extern "C" fn vma_may_split(_vma: *mut c::vm_area_struct, _addr: c_ulong) -> c_int {
    EINVAL.to_errno()
}
