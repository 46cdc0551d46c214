// SPDX-License-Identifier: GPL-2.0

//! Functions of `<linux/ring_buffer.h>` that only the KUnit tests in C call.
//!
//! They map a buffer that is not one of an instance, so that there are no snapshots to exclude.

use super::{
    bindings::{
        self,
        ring_buffer_per_cpu,
        trace_buffer, //
    },
    buffer::CpuBuffer,
    consume,
    mapping,
    raw::{
        Settled,
        Shared, //
    }, //
};
use kernel::{
    bindings as c,
    error::from_result,
    ffi::c_int,
    mm::virt::VmaNew,
    prelude::*, //
};

/// The buffer of `cpu`.
///
/// # Errors
///
/// `EINVAL` if there is no such CPU, or it has no buffer or a remote one.
fn cpu_buffer<'a>(
    buffer: Shared<'a, trace_buffer>,
    cpu: c_int,
) -> Result<Shared<'a, ring_buffer_per_cpu>> {
    // SAFETY: The buffer is valid by the type invariants, and the function accepts any `cpu`. It
    // returns null or a buffer that is not a remote one. CPUs may be added, but are never removed.
    unsafe {
        let cpu_buffer = bindings::rb_map_cpu_buffer(buffer.as_ptr(), cpu as u32);

        if cpu_buffer.is_null() {
            return Err(EINVAL);
        }
        Ok(Shared::from_raw(cpu_buffer))
    }
}

/// Maps the buffer of `cpu`, see [`mapping::map`].
///
/// # Safety
///
/// - `buffer` must be valid, and not one of an instance.
/// - If it is persistent, its memory must be freed by giving back a reference to each page.
/// - `vma` must be valid and be set up by an mmap file operation, with the mmap lock held for
///   writing.
#[export]
pub unsafe extern "C" fn ring_buffer_map(
    buffer: *mut c::trace_buffer,
    cpu: c_int,
    vma: *mut c::vm_area_struct,
) -> c_int {
    // SAFETY: By the safety requirements of this function. The kernel crate has another type for
    // the same C struct. Only the buffers of instances have snapshots.
    let (cpu, vma) = unsafe {
        let cpu = cpu_buffer(Shared::from_raw(buffer.cast()), cpu);

        (cpu.map(|cpu| Settled::assume(cpu)), VmaNew::from_raw(vma))
    };

    from_result(|| mapping::map(cpu?, vma).map(|()| 0))
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

    from_result(|| mapping::unmap(CpuBuffer::new(cpu_buffer(buffer, cpu)?)).map(|()| 0))
}

/// Consumes the events on the reader page, see [`consume::get_reader`].
///
/// # Safety
///
/// `buffer` must be valid.
#[export]
pub unsafe extern "C" fn ring_buffer_map_get_reader(
    buffer: *mut c::trace_buffer,
    cpu: c_int,
) -> c_int {
    // SAFETY: By the safety requirements of this function.
    let buffer = unsafe { Shared::from_raw(buffer.cast()) };

    from_result(|| consume::get_reader(CpuBuffer::new(cpu_buffer(buffer, cpu)?)).map(|()| 0))
}
