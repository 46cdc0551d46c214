// SPDX-License-Identifier: GPL-2.0

//! Where a VMA lies in its file, and filling it with pages in batches.

use super::{
    VmaMixedMap,
    VmaRef, //
};
use crate::{
    bindings,
    error::{
        code::EFAULT,
        to_result,
        Result, //
    },
    page::{
        BorrowedPage,
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
};
use core::{
    marker::PhantomData,
    mem::MaybeUninit, //
};

impl VmaRef {
    /// The offset of the area in its file, in pages.
    ///
    /// Comes from user space and may be anything: compute with it in checked arithmetic only.
    /// Mirrors `vma_start_pgoff()`.
    #[inline]
    pub fn pgoff(&self) -> usize {
        // SAFETY: By the type invariants, the caller holds at least the mmap read lock, so this
        // access is not a data race.
        unsafe { (*self.as_ptr()).vm_pgoff }
    }

    /// The size of the area, in pages. Mirrors `vma_pages()`.
    #[inline]
    pub fn pages(&self) -> usize {
        (self.end() - self.start()) >> PAGE_SHIFT
    }
}

/// Up to `N` pages that go into a VMA with one call.
///
/// The array is part of the value, so that filling a VMA of any size needs no allocation. With the
/// value on the stack, keep `N` to some dozens.
///
/// # Examples
///
/// Filling a new VMA with a page of zeroes, over and over:
///
/// ```
/// use kernel::{
///     mm::virt::{PageBatch, VmaNew},
///     page::{BorrowedPage, PAGE_SIZE},
/// };
///
/// fn mmap(vma: &VmaNew) -> Result {
///     let area = vma.set_mixedmap();
///     let mut batch = PageBatch::<16>::new();
///     let mut address = vma.start();
///
///     for page in (vma.start()..vma.end()).step_by(PAGE_SIZE) {
///         if batch.is_full() {
///             address = area.vm_insert_pages(address, &mut batch)?;
///         }
///         batch.push(BorrowedPage::zero(page));
///     }
///     area.vm_insert_pages(address, &mut batch)?;
///     Ok(())
/// }
/// ```
///
/// # Invariants
///
/// The first `len` pointers are initialised, to valid pages borrowed for `'a`; `len <= N`.
pub struct PageBatch<'a, const N: usize> {
    pages: [MaybeUninit<*mut bindings::page>; N],
    len: usize,
    _borrow: PhantomData<BorrowedPage<'a>>,
}

impl<'a, const N: usize> PageBatch<'a, N> {
    /// Creates an empty batch.
    #[inline]
    pub const fn new() -> Self {
        // INVARIANT: There are no pages yet.
        Self {
            pages: [MaybeUninit::uninit(); N],
            len: 0,
            _borrow: PhantomData,
        }
    }

    /// The number of pages in the batch.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the batch has no page.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the batch has no room.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len == N
    }

    /// Appends a page. Returns `false`, and leaves the page out, if the batch is full.
    #[inline]
    pub fn push(&mut self, page: BorrowedPage<'a>) -> bool {
        let Some(slot) = self.pages.get_mut(self.len) else {
            return false;
        };

        // INVARIANT: `page` is valid for `'a`, and `len` is below `N`, as the slot exists.
        slot.write(page.as_ptr());
        self.len += 1;
        true
    }
}

impl<const N: usize> Default for PageBatch<'_, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl VmaMixedMap {
    /// Maps the pages of `batch` at `address` and the addresses that follow, and empties it.
    ///
    /// Takes a reference to each page, which the unmapping gives back. May sleep. Returns the
    /// address behind the last page.
    ///
    /// Mirrors `vm_insert_pages()`.
    ///
    /// # Errors
    ///
    /// `EFAULT` if the pages do not fit into the area at `address`, `EBUSY` if a page is mapped
    /// there, `EINVAL` for a page that user space cannot map, `ENOMEM`. Pages before the one that
    /// failed stay mapped.
    #[inline]
    pub fn vm_insert_pages<const N: usize>(
        &self,
        address: usize,
        batch: &mut PageBatch<'_, N>,
    ) -> Result<usize> {
        if batch.is_empty() {
            return Ok(address);
        }

        let mut left = batch.len;
        let end = address.checked_add(left * PAGE_SIZE).ok_or(EFAULT)?;

        // SAFETY: By the type invariants, the VMA may be inserted into and `VM_MIXEDMAP` is set.
        // The first `left` pointers are to valid pages by the invariants of `PageBatch`. The end
        // does not wrap, so that C's check of the range against the area holds; C also checks the
        // kind of each page.
        to_result(unsafe {
            bindings::vm_insert_pages(
                self.as_ptr(),
                address,
                batch.pages.as_mut_ptr().cast(),
                &mut left,
            )
        })?;

        batch.len = 0;
        Ok(end)
    }
}
