// SPDX-License-Identifier: GPL-2.0

//! Data cache maintenance.
//!
//! Reference: `Documentation/core-api/cachetlb.rst`.

use crate::{
    bindings,
    ffi::{
        c_int,
        c_void, //
    }, //
};

/// Whether [`flush_kernel_vmap_range()`] does anything on this architecture.
pub const FLUSHES_KERNEL_VMAP_RANGE: bool = bindings::ARCH_FLUSHES_KERNEL_VMAP_RANGE;

/// Writes back what the kernel stored in `size` bytes at `address`.
///
/// Where data caches are indexed by virtual addresses, a page that is mapped at a kernel address
/// and at another one can be stale at the latter. After this call the memory of the pages is
/// current. The function does nothing where caches are coherent. It does not sleep.
///
/// Mirrors `flush_kernel_vmap_range()`.
///
/// # Safety
///
/// `size` bytes at `address` must be mapped kernel memory. C takes the size as an `int`, so that it
/// must be below 2 GiB.
#[inline]
pub unsafe fn flush_kernel_vmap_range(address: *mut c_void, size: usize) {
    // CAST: By the safety requirements of this function the size fits.
    let size = size as c_int;

    // SAFETY: By the safety requirements of this function.
    unsafe { bindings::flush_kernel_vmap_range(address, size) };
}
