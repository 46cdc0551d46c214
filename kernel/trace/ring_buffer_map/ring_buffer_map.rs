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
//! - `layout`, `events`: pure computation.
//! - `raw`: access to C's structs, and calls of C.
//! - `kunit_api`: more entry points, for the KUnit tests in C.
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
#[cfg(any(
    CONFIG_RING_BUFFER_MAP_KUNIT_TEST,
    CONFIG_TRACER_SNAPSHOT_MAP_KUNIT_TEST
))]
pub mod kunit_api;
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

use core::mem::ManuallyDrop;
use kernel::{
    bindings as c,
    error::from_result,
    ffi::c_int,
    mm::virt::VmaNew,
    prelude::*,
    sync::barrier::{
        smp_mb,
        Read, //
    }, //
};
use map_state::MapState;
use raw::{
    Locked,
    ReaderLocked,
    Shared, //
};
use reader_state::ReaderGuard;
use snapshot::SnapshotExclusion;
use trace_file::TraceFile;

const __LOG_PREFIX: &[u8] = b"ring_buffer_map\0";

/// Refreshes the meta-page if the buffer is mapped.
///
/// # Safety
///
/// `cpu_buffer` must be valid and not one of a remote buffer, and its `reader_lock` be held.
#[export]
pub unsafe extern "C" fn rb_update_meta_page(cpu_buffer: *mut c::ring_buffer_per_cpu) {
    // SAFETY: By the safety requirements of this function. Any value may be stored under
    // `ReaderLock`.
    let cpu = unsafe { ReaderLocked::assume(Shared::from_raw(cpu_buffer.cast()), None) };

    ReaderGuard::locked(cpu).publish();
}

/// Frees what is kept for the next mapping of a buffer, whose size is about to change. May sleep.
///
/// # Safety
///
/// `cpu_buffer` must be valid and not one of a remote buffer. The caller must keep it from being
/// mapped or unmapped during the call.
#[export]
pub unsafe extern "C" fn rb_map_forget(cpu_buffer: *mut c::ring_buffer_per_cpu) {
    // Orders the caller's test that resizing is not disabled before the load of the pointer. Pairs
    // with the release in the drop of `ResizeDisabled`.
    smp_mb(Read);

    // SAFETY: By the safety requirements of this function. `take_kept()` stores null only.
    let mut cpu = unsafe { Locked::assume(Shared::from_raw(cpu_buffer.cast()), ()) };

    drop(MapState::take_kept(&mut cpu));
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
/// - `info` must be that of an open file.
/// - A VMA of that file, which [`trace_map_mmap`] has mapped or this function was called for, must
///   have been duplicated, and not be closed during the call.
/// - This must be the only call for the new VMA.
#[export]
pub unsafe extern "C" fn trace_map_open(info: *mut c::ftrace_buffer_info) {
    // SAFETY: By the safety requirements of this function. The VMA that was duplicated was left an
    // exclusion, and keeps it: this value is not dropped.
    let (file, original) = unsafe {
        let file = TraceFile::new(Shared::from_raw(info.cast()));

        (
            file,
            ManuallyDrop::new(SnapshotExclusion::of_vma(file.array())),
        )
    };

    trace_file::open(file, &original);
}

/// A VMA is going away, see [`trace_file::close`].
///
/// # Safety
///
/// - `info` must be that of an open file.
/// - A VMA of that file, which [`trace_map_mmap`] has mapped or [`trace_map_open`] was called for,
///   must be going away. This must be the only call for it.
#[export]
pub unsafe extern "C" fn trace_map_close(info: *mut c::ftrace_buffer_info) {
    // SAFETY: By the safety requirements of this function. `mmap()` or `open()` has left an
    // exclusion to the VMA.
    let (file, exclusion) = unsafe {
        let file = TraceFile::new(Shared::from_raw(info.cast()));

        (file, SnapshotExclusion::of_vma(file.array()))
    };

    trace_file::close(file, exclusion);
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
