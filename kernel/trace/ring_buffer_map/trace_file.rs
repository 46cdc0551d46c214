// SPDX-License-Identifier: GPL-2.0

//! The file operations of `trace_pipe_raw` that concern a mapping.
//!
//! Each VMA counts as one user of the CPU's buffer, and excludes snapshots of the instance once. It
//! does both from mmap() or mremap() on, which create it, until it is closed.

use super::{
    bindings::{
        ftrace_buffer_info,
        trace_array, //
    },
    buffer::CpuBuffer,
    consume,
    mapping,
    raw::Shared,
    snapshot::SnapshotExclusion, //
};
use kernel::{
    mm::virt::VmaNew,
    prelude::*, //
};

/// An open `per_cpu/cpuN/trace_pipe_raw`.
#[derive(Clone, Copy)]
pub(crate) struct TraceFile<'a>(Shared<'a, ftrace_buffer_info>);

impl<'a> TraceFile<'a> {
    pub(crate) fn new(info: Shared<'a, ftrace_buffer_info>) -> Self {
        Self(info)
    }

    /// The instance of the file.
    pub(crate) fn array(self) -> Shared<'a, trace_array> {
        self.0.array()
    }

    /// The buffer of the file's CPU at this moment. A snapshot may swap it for another one.
    fn cpu_buffer(self) -> Result<CpuBuffer<'a>> {
        self.0.cpu_buffer().map(CpuBuffer::new).ok_or(EINVAL)
    }
}

/// Maps the buffer of `file` into `vma`. May sleep. Mirrors C's `tracing_buffers_mmap()`.
///
/// Called with the mmap lock held for writing.
///
/// # Errors
///
/// - `EBUSY`: a snapshot is armed.
/// - `EINVAL`: the CPU has no buffer, or a remote one.
/// - Those of [`mapping::map`].
pub(crate) fn mmap(file: TraceFile<'_>, vma: &VmaNew) -> Result {
    let exclusion = SnapshotExclusion::new(file.array())?;

    mapping::map(exclusion.buffer_of(file.0).ok_or(EINVAL)?, vma)?;
    exclusion.leave_to_vma();
    Ok(())
}

/// A VMA was duplicated, by mremap(), which has excluded snapshots by `original`. Called with the
/// mmap lock held for writing. May sleep.
pub(crate) fn open(file: TraceFile<'_>, original: &SnapshotExclusion<'_>) {
    let exclusion = original.again();

    kernel::warn_on!(exclusion.buffer_of(file.0).map(mapping::dup).is_none());
    exclusion.leave_to_vma();
}

/// A VMA is going away, which has excluded snapshots so far. Called with the mmap lock held. May
/// sleep.
pub(crate) fn close<'a>(file: TraceFile<'a>, exclusion: SnapshotExclusion<'a>) {
    // The VMA is a user, so that there is at least one.
    kernel::warn_on!(file.cpu_buffer().and_then(mapping::unmap).is_err());
    drop(exclusion);
}

/// `TRACE_MMAP_IOCTL_GET_READER`. May sleep.
///
/// If `block` is set, waits first until `buffer_percent` of the buffer is full.
///
/// # Errors
///
/// - `ENODEV`: the buffer is not mapped.
/// - `EINVAL`: the CPU has no buffer, or a remote one. `ENODEV` with `block`, as C tests first
///   whether there is something to wait for.
/// - `ERESTARTSYS`: a signal came during the wait.
pub(crate) fn get_reader(file: TraceFile<'_>, block: bool) -> Result {
    let cpu = file
        .cpu_buffer()
        .map_err(|err| if block { ENODEV } else { err })?;

    if block {
        wait(file, cpu)?;
    }
    if consume::show_empty(cpu)? {
        return Ok(());
    }

    consume::get_reader(cpu)
}

/// Waits until `buffer_percent` of the buffer is full.
///
/// # Errors
///
/// - `ENODEV`: the buffer is not mapped, so that user space could not read what it waits for.
/// - `ERESTARTSYS`: a signal came.
#[cold]
fn wait(file: TraceFile<'_>, cpu: CpuBuffer<'_>) -> Result {
    if cpu.lock_mapping().mapped().is_none() {
        return Err(ENODEV);
    }
    file.0.wait()
}
