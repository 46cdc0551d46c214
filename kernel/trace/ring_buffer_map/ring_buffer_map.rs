// SPDX-License-Identifier: GPL-2.0

//! Mapping the trace ring buffers to user space.
//!
//! Replaces the C implementation if `CONFIG_RING_BUFFER_MAP_RUST` is set. User space maps
//! `per_cpu/cpuN/trace_pipe_raw` of tracefs, reads the state of the buffer from a meta-page and the
//! events from the sub-buffers behind it, and gets the next events by an ioctl.
//! `Documentation/trace/ring-buffer-map.rst` describes the interface,
//! `Documentation/trace/ring-buffer-map-rust.rst` how the implementations differ.
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

use buffer::TraceBuffer;
use kernel::{
    bindings as c,
    error::from_result,
    ffi::c_int,
    mm::virt::VmaNew,
    prelude::*, //
};
use raw::{
    Access,
    Locked,
    Shared, //
};
use reader_state::ReaderGuard;
use trace_file::TraceFile;

const __LOG_PREFIX: &[u8] = b"ring_buffer_map\0";

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
    // SAFETY: By the safety requirements of this function. The kernel crate has another type for
    // the same C struct.
    let (buffer, vma) = unsafe { (Shared::from_raw(buffer.cast()), VmaNew::from_raw(vma)) };

    from_result(|| mapping::map(TraceBuffer::new(buffer).cpu(cpu)?, vma).map(|()| 0))
}

/// Counts one VMA less, see [`mapping::unmap`].
///
/// # Safety
///
/// `buffer` must be valid.
#[export]
pub unsafe extern "C" fn ring_buffer_unmap(buffer: *mut c::trace_buffer, cpu: c_int) -> c_int {
    // SAFETY: By the safety requirements of this function.
    let buffer = unsafe { Shared::from_raw(buffer.cast()) };

    from_result(|| mapping::unmap(TraceBuffer::new(buffer).cpu(cpu)?).map(|()| 0))
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
    let (buffer, access) = unsafe { (Shared::from_raw(buffer.cast()), Access::assume()) };

    from_result(|| consume::get_reader(TraceBuffer::new(buffer).cpu(cpu)?, &access).map(|()| 0))
}

/// Refreshes the meta-page if the buffer is mapped.
///
/// # Safety
///
/// `cpu_buffer` must be valid, and its `reader_lock` be held.
#[export]
pub unsafe extern "C" fn rb_update_meta_page(cpu_buffer: *mut c::ring_buffer_per_cpu) {
    // SAFETY: By the safety requirements of this function.
    let cpu = unsafe { Locked::assume(Shared::from_raw(cpu_buffer.cast())) };

    ReaderGuard::locked(cpu).publish();
}

/// The mmap file operation of `trace_pipe_raw`, see [`trace_file::mmap`].
///
/// # Safety
///
/// - `info` must be that of an open file.
/// - `vma` must be valid and be set up by the mmap file operation of that file, with the mmap lock
///   held for writing.
#[export]
pub unsafe extern "C" fn trace_map_mmap(
    info: *mut c::ftrace_buffer_info,
    vma: *mut c::vm_area_struct,
) -> c_int {
    // SAFETY: By the safety requirements of this function.
    let (file, vma) = unsafe { (Shared::from_raw(info.cast()), VmaNew::from_raw(vma)) };

    from_result(|| trace_file::mmap(TraceFile::new(file), vma).map(|()| 0))
}

/// A VMA was duplicated, see [`trace_file::open`].
///
/// # Safety
///
/// `info` must be that of an open file, of which [`trace_map_mmap`] has mapped a VMA.
#[export]
pub unsafe extern "C" fn trace_map_open(info: *mut c::ftrace_buffer_info) {
    // SAFETY: By the safety requirements of this function.
    trace_file::open(TraceFile::new(unsafe { Shared::from_raw(info.cast()) }));
}

/// A VMA is going away, see [`trace_file::close`].
///
/// # Safety
///
/// As for [`trace_map_open`]. This must be the only call for the VMA.
#[export]
pub unsafe extern "C" fn trace_map_close(info: *mut c::ftrace_buffer_info) {
    // SAFETY: By the safety requirements of this function.
    trace_file::close(TraceFile::new(unsafe { Shared::from_raw(info.cast()) }));
}

/// `TRACE_MMAP_IOCTL_GET_READER`, see [`trace_file::get_reader`].
///
/// # Safety
///
/// `info` must be that of a file that is not closed during the call.
#[export]
pub unsafe extern "C" fn trace_map_get_reader(
    info: *mut c::ftrace_buffer_info,
    block: bool,
) -> c_int {
    // SAFETY: By the safety requirements of this function.
    let file = TraceFile::new(unsafe { Shared::from_raw(info.cast()) });

    from_result(|| trace_file::get_reader(file, block).map(|()| 0))
}
