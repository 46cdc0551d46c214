// SPDX-License-Identifier: GPL-2.0

//! Functions of `<linux/ring_buffer.h>` that only the KUnit tests in C call.
//!
//! They map a buffer that is not one of an instance, so that there are no snapshots to exclude.

use super::{
    bindings::trace_buffer,
    buffer::TraceBuffer,
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
        let buffer = Shared::<trace_buffer>::from_raw(buffer.cast());

        (
            buffer.cpu_buffer(cpu).map(|cpu| Settled::assume(cpu)),
            VmaNew::from_raw(vma),
        )
    };

    from_result(|| mapping::map(cpu.ok_or(EINVAL)?, vma).map(|()| 0))
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
/// `buffer` must be valid.
#[export]
pub unsafe extern "C" fn ring_buffer_map_get_reader(
    buffer: *mut c::trace_buffer,
    cpu: c_int,
) -> c_int {
    // SAFETY: By the safety requirements of this function.
    let buffer = unsafe { Shared::from_raw(buffer.cast()) };

    from_result(|| consume::get_reader(TraceBuffer::new(buffer).cpu(cpu)?).map(|()| 0))
}
