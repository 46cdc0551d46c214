// SPDX-License-Identifier: GPL-2.0

//! Mapping the trace ring buffers to user space.
//!
//! The Rust implementation of what `CONFIG_RING_BUFFER_MAP_RUST=n` compiles in C: user space maps
//! `per_cpu/cpuN/trace_pipe_raw` of tracefs, finds the state of the buffer in a meta-page and its
//! events in the sub-buffers behind it, and asks for the next ones with an ioctl.
//! `Documentation/trace/ring-buffer-map.rst` describes the interface,
//! `Documentation/trace/ring-buffer-map-rust.rst` in what the implementations differ.
//!
//! This file has the entry points for C, and nothing else. What they call is safe:
//!
//! - `vma`: the tracefs side, what a VMA owns.
//! - `mapping`: the states of a buffer, unmapped and mapped, and filling a VMA.
//! - `reader`: consuming events.
//! - `meta`: the meta-page.
//! - `cpu_buffer`, `trace_file`: the views of C's structs; almost all unsafe code is there.
//! - `ids`: the table from ids to sub-buffers.
//! - `layout`, `events`: pure computation, also tested on the host.
//!
//! # Lock order
//!
//! ```text
//! access lock of the CPU               trace_access_lock(), who consumes
//! mmap_lock                            also under the one above
//!   mapping_lock of the CPU's buffer   whether it is mapped, and with what
//!     mutex of the trace_buffer        its size, taken to disable resizing
//!     reader_lock of the CPU's buffer  raw, interrupts off: the reader page, the counters
//!   snapshot_trigger_lock              taken alone
//! ```

#![recursion_limit = "512"]

mod bindings;
mod cpu_buffer;
mod events;
mod ids;
mod layout;
mod mapping;
mod meta;
mod reader;
mod trace_file;
mod vma;

use cpu_buffer::{
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
    mm::virt::VmaNew,
    prelude::*, //
};
use trace_file::TraceFile;

const __LOG_PREFIX: &[u8] = b"ring_buffer_map\0";

/// Maps the buffer of `cpu`, see [`mapping::map`].
///
/// # Safety
///
/// `buffer` must be valid, and `vma` be in its initial setup by an mmap file operation.
#[export]
pub unsafe extern "C" fn ring_buffer_map(
    buffer: *mut c::trace_buffer,
    cpu: c_int,
    vma: *mut c::vm_area_struct,
) -> c_int {
    // SAFETY: By the safety requirements.
    let (buffer, vma) = unsafe { (TraceBuffer::from_raw(buffer), VmaNew::from_raw(vma)) };

    from_result(|| {
        let cpu = buffer.cpu(cpu).filter(|_| !buffer.is_remote());

        mapping::map(cpu.ok_or(EINVAL)?, vma).map(|()| 0)
    })
}

/// Counts one more VMA of a mapped buffer, see [`mapping::dup`].
///
/// # Safety
///
/// `buffer` must be valid.
#[export]
pub unsafe extern "C" fn ring_buffer_map_dup(buffer: *mut c::trace_buffer, cpu: c_int) {
    // SAFETY: By the safety requirements.
    if let Some(cpu) = unsafe { TraceBuffer::from_raw(buffer) }.cpu(cpu) {
        mapping::dup(cpu);
    }
}

/// Counts one VMA less, see [`mapping::unmap`].
///
/// # Safety
///
/// `buffer` must be valid.
#[export]
pub unsafe extern "C" fn ring_buffer_unmap(buffer: *mut c::trace_buffer, cpu: c_int) -> c_int {
    // SAFETY: By the safety requirements.
    let buffer = unsafe { TraceBuffer::from_raw(buffer) };

    from_result(|| mapping::unmap(buffer.cpu(cpu).ok_or(EINVAL)?).map(|()| 0))
}

/// Consumes the events on the reader page, see [`reader::get_reader`].
///
/// # Safety
///
/// `buffer` must be valid.
#[export]
pub unsafe extern "C" fn ring_buffer_map_get_reader(
    buffer: *mut c::trace_buffer,
    cpu: c_int,
) -> c_int {
    // SAFETY: By the safety requirements.
    let buffer = unsafe { TraceBuffer::from_raw(buffer) };

    from_result(|| reader::get_reader(buffer.cpu(cpu).ok_or(EINVAL)?).map(|()| 0))
}

/// Refreshes the meta-page, if the buffer has one, see [`reader::refresh`].
///
/// # Safety
///
/// `cpu_buffer` must be valid, and its `reader_lock` be held.
#[export]
pub unsafe extern "C" fn rb_update_meta_page(cpu_buffer: *mut c::ring_buffer_per_cpu) {
    // SAFETY: By the safety requirements.
    reader::refresh(&unsafe { CpuBuffer::from_raw(cpu_buffer).assume_reader_locked() });
}

/// The mmap file operation of `trace_pipe_raw`, see [`vma::mmap`].
///
/// # Safety
///
/// `file` must have been opened by `tracing_buffers_open()`, and `vma` be in its initial setup.
#[export]
pub unsafe extern "C" fn tracing_buffers_mmap(
    file: *mut c::file,
    vma: *mut c::vm_area_struct,
) -> c_int {
    // SAFETY: By the safety requirements. The initial setup of the VMA is nobody else's business,
    // and its operations are not called if it fails.
    let (file, vma) = unsafe {
        (*vma).vm_ops = &VM_OPS.0;
        (TraceFile::from_raw(file), VmaNew::from_raw(vma))
    };

    from_result(|| vma::mmap(&file, vma).map(|()| 0))
}

/// `TRACE_MMAP_IOCTL_GET_READER`, see [`vma::get_reader`].
///
/// # Safety
///
/// `file` must have been opened by `tracing_buffers_open()`.
#[export]
pub unsafe extern "C" fn tracing_buffers_get_reader(file: *mut c::file) -> c_int {
    // SAFETY: By the safety requirements; flags change in one go.
    let (block, file) = unsafe {
        (
            (&raw const (*file).f_flags).read_volatile() & c::O_NONBLOCK == 0,
            TraceFile::from_raw(file),
        )
    };

    from_result(|| vma::get_reader(&file, block).map(|()| 0))
}

struct VmOps(c::vm_operations_struct);

// SAFETY: The operations are never written to, and have no state.
unsafe impl Sync for VmOps {}

static VM_OPS: VmOps = VmOps(c::vm_operations_struct {
    open: Some(vma_open),
    close: Some(vma_close),
    may_split: Some(vma_may_split),
    ..pin_init::zeroed()
});

/// # Safety
///
/// `vma` must be of a file that `tracing_buffers_open()` opened.
unsafe extern "C" fn vma_open(vma: *mut c::vm_area_struct) {
    // SAFETY: By the safety requirements.
    vma::open(&unsafe { TraceFile::from_raw((*vma).vm_file) });
}

/// # Safety
///
/// `vma` must be of a file that `tracing_buffers_open()` opened.
unsafe extern "C" fn vma_close(vma: *mut c::vm_area_struct) {
    // SAFETY: By the safety requirements.
    vma::close(&unsafe { TraceFile::from_raw((*vma).vm_file) });
}

/// Half a VMA would not be a token.
extern "C" fn vma_may_split(_vma: *mut c::vm_area_struct, _addr: c_ulong) -> c_int {
    EINVAL.to_errno()
}
