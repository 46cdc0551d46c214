// SPDX-License-Identifier: GPL-2.0

//! The tracefs side: the file operations of `trace_pipe_raw` that have to do with a mapping.
//!
//! Each VMA owns one token, made of one user of the CPU's buffer and one unit of the exclusion of
//! snapshots. Both are taken together, when the VMA comes into being, by mmap() or mremap(),
//! and given back together, when it is closed.

use super::{
    cpu_buffer::CpuBuffer,
    mapping,
    reader,
    trace_file::{
        TraceArray,
        TraceFile, //
    }, //
};
use kernel::{
    mm::virt::VmaNew,
    prelude::*, //
};

/// The exclusion of snapshots by a VMA that is not established yet; given back on drop.
struct Exclusion<'a>(&'a TraceArray);

impl<'a> Exclusion<'a> {
    fn new(array: &'a TraceArray) -> Result<Self> {
        array.exclude_snapshots()?;
        Ok(Self(array))
    }

    /// Leaves the unit with the VMA.
    fn keep(self) {
        core::mem::forget(self);
    }
}

impl Drop for Exclusion<'_> {
    fn drop(&mut self) {
        self.0.allow_snapshots();
    }
}

fn cpu_buffer<'a>(file: &TraceFile<'a>) -> Option<&'a CpuBuffer> {
    file.buffer().cpu(file.cpu)
}

/// Maps the buffer of `file` into `vma`. Mirrors C's `tracing_buffers_mmap()`.
///
/// Called with the mmap lock held for writing.
///
/// # Errors
///
/// - `ENODEV`: buffers of this kind cannot be mapped.
/// - `EBUSY`: a snapshot is armed.
/// - `EINVAL`: the CPU has no buffer, or the buffer is a remote one.
/// - Those of [`mapping::map`].
pub(crate) fn mmap(file: &TraceFile<'_>, vma: &VmaNew) -> Result {
    if file.is_unmappable() {
        return Err(ENODEV);
    }

    let exclusion = Exclusion::new(file.array)?;

    if file.buffer().is_remote() {
        return Err(EINVAL);
    }
    mapping::map(cpu_buffer(file).ok_or(EINVAL)?, vma)?;
    exclusion.keep();
    Ok(())
}

/// A VMA was duplicated, by mremap(). Called with the mmap lock held for writing.
pub(crate) fn open(file: &TraceFile<'_>) {
    file.array.exclude_snapshots_again();
    if let Some(cpu) = cpu_buffer(file) {
        mapping::dup(cpu);
    }
}

/// A VMA is going away. Called with the mmap lock held.
pub(crate) fn close(file: &TraceFile<'_>) {
    if let Some(cpu) = cpu_buffer(file) {
        // The VMA is a user, so that there is at least one.
        kernel::warn_on!(mapping::unmap(cpu).is_err());
    }
    file.array.allow_snapshots();
}

/// `TRACE_MMAP_IOCTL_GET_READER`. Waits for `buffer_percent` first, if `block`. May sleep.
///
/// # Errors
///
/// - `ENODEV`: the buffer is not mapped.
/// - `EINVAL`: the CPU has no buffer.
/// - `ERESTARTSYS`: a signal came during the wait.
pub(crate) fn get_reader(file: &TraceFile<'_>, block: bool) -> Result {
    let cpu = cpu_buffer(file).ok_or(if block { ENODEV } else { EINVAL })?;

    if block {
        // Nobody could read what the wait is for.
        if cpu.lock_mapping().meta().is_none() {
            return Err(ENODEV);
        }
        file.wait()?;
    }
    if reader::show_empty(cpu)? {
        return Ok(());
    }

    let _access = file.lock_access();
    reader::get_reader(cpu)
}
