// SPDX-License-Identifier: GPL-2.0

//! Mapping and unmapping the buffer of a CPU.

use super::{
    buffer::CpuBuffer,
    raw::Settled, //
};
use kernel::{
    mm::virt::{
        flags,
        VmaMixedMap,
        VmaNew, //
    },
    prelude::*,
    types::ScopeGuard, //
};

/// Maps the buffer `cpu` into `vma` and counts the VMA as a user. May sleep.
///
/// Mirrors C's `ring_buffer_map()`.
///
/// # Errors
///
/// - `EPERM`: `vma` is writable, executable or private.
/// - `EINVAL`: `vma` is not within the buffer or does not begin at a sub-buffer.
/// - `ENODEV`: the memory of the buffer is not in the linear map.
/// - `E2BIG`: the buffer has more sub-buffers than an id can name.
/// - `EBUSY`: there are too many users, or readers kept moving sub-buffers.
/// - `EIO`: the list of sub-buffers is corrupt.
/// - `ENOMEM`, or `EFAULT` if there is no memory for a page table.
///
/// On any error the buffer is as before, but for ids of its sub-buffers, which nobody uses, and
/// what is kept for the next mapping.
pub(crate) fn map(cpu: Settled<'_>, vma: &VmaNew) -> Result {
    let area = seal(vma)?;
    let mut guard = CpuBuffer::new(cpu.cpu_buffer()).lock_mapping();

    guard.add_user(cpu)?;
    let guard = ScopeGuard::new_with_data(guard, |mut guard| {
        // The buffer has at least the user that was added.
        let _ = guard.remove_user();
    });

    guard.mapped().ok_or(ENODEV)?.insert_into(area)?;
    drop(guard.dismiss());
    Ok(())
}

/// Counts one more VMA of a mapped buffer. May sleep. Mirrors C's `ring_buffer_map_dup()`.
pub(crate) fn dup(cpu: Settled<'_>) {
    let mut guard = CpuBuffer::new(cpu.cpu_buffer()).lock_mapping();

    if guard.mapped().is_none() {
        kernel::warn_on!(true);
        return;
    }
    // The VMA exists and cannot be refused. If there are too many users, the count stays at its
    // limit, and the buffer mapped.
    let _ = guard.add_user(cpu);
}

/// Counts one VMA less. The buffer is unmapped with the last one. May sleep.
///
/// Mirrors C's `ring_buffer_unmap()`.
///
/// # Errors
///
/// `ENODEV` if the buffer is not mapped.
pub(crate) fn unmap(cpu: CpuBuffer<'_>) -> Result {
    cpu.lock_mapping().remove_user()
}

/// Refuses a VMA that could write to the buffer or run it, now or later.
fn seal(vma: &VmaNew) -> Result<&VmaMixedMap> {
    if vma.flags() & flags::MAYSHARE == 0 {
        return Err(EPERM);
    }
    vma.try_clear_maywrite().map_err(|_| EPERM)?;
    vma.try_clear_mayexec().map_err(|_| EPERM)?;

    vma.set_dontcopy();
    vma.set_dontexpand();
    vma.set_dontdump();
    Ok(vma.set_mixedmap())
}
