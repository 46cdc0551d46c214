// SPDX-License-Identifier: GPL-2.0

//! Pages and the kernel virtual addresses of their memory.

use super::{
    BorrowedPage,
    Page, //
};
use crate::bindings;
use core::{
    ffi::c_void,
    ptr::NonNull, //
};

impl Page {
    /// The address of the page's memory in the kernel's linear map.
    ///
    /// `None` if the page has no permanent address, as a page of high memory. Mirrors
    /// `page_address()`.
    ///
    /// # Examples
    ///
    /// ```
    /// use kernel::page::{BorrowedPage, Page};
    ///
    /// let page = Page::alloc_page(GFP_KERNEL)?;
    /// let addr = page.address().ok_or(EINVAL)?;
    ///
    /// // SAFETY: `addr` is the linear address of `page`, which outlives `same`.
    /// let same = unsafe { BorrowedPage::from_address(addr) };
    /// assert_eq!(same.as_ptr(), page.as_ptr());
    /// # Ok::<(), Error>(())
    /// ```
    #[inline]
    pub fn address(&self) -> Option<NonNull<c_void>> {
        // SAFETY: By the type invariants, the pointer is to a valid `struct page`.
        NonNull::new(unsafe { bindings::page_address(self.as_ptr()) })
    }
}

impl BorrowedPage<'_> {
    /// Borrows the page that holds `address`, an address in the kernel's linear map.
    ///
    /// Mirrors `virt_to_page()`.
    ///
    /// # Safety
    ///
    /// `address` must be in the kernel's linear map, and the page's memory must not be freed while
    /// the returned value lives.
    #[inline]
    pub unsafe fn from_address(address: NonNull<c_void>) -> Self {
        // SAFETY: An address in the linear map has a `struct page`, so the pointer is not null.
        let page = unsafe { NonNull::new_unchecked(bindings::virt_to_page(address.as_ptr())) };

        // SAFETY: The page is valid for as long as its memory is, by the safety requirements.
        unsafe { Self::from_raw(page) }
    }
}

impl BorrowedPage<'static> {
    /// The page of zeroes that is mapped at user address `address`.
    ///
    /// Architectures with coloured caches have several of them. Mirrors `ZERO_PAGE()`.
    #[inline]
    pub fn zero(address: usize) -> Self {
        // SAFETY: Every architecture has a zero page for each address, so it is not null.
        let page = unsafe { NonNull::new_unchecked(bindings::zero_page(address)) };

        // SAFETY: Zero pages are never freed.
        unsafe { Self::from_raw(page) }
    }
}

/// Makes what the kernel wrote at `address` visible to mappings of the same pages in user space.
///
/// A no-op where the data caches are coherent between different addresses of a page. Mirrors
/// `flush_kernel_vmap_range()`, see `Documentation/core-api/cachetlb.rst`.
///
/// # Safety
///
/// `size` bytes at `address` must be mapped kernel memory, and `size` must fit into an `i32`.
#[inline]
pub unsafe fn flush_kernel_vmap_range(address: NonNull<c_void>, size: usize) {
    // SAFETY: By the safety requirements of this function.
    unsafe { bindings::flush_kernel_vmap_range(address.as_ptr(), size as crate::ffi::c_int) };
}
