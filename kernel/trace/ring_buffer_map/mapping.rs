// SPDX-License-Identifier: GPL-2.0

//! Mapping and unmapping the buffer of a CPU.
//!
//! A buffer is unmapped, or it is mapped and then has ids, a meta-page and a fixed size, all of
//! which [`Parts`] stands for. [`MappingGuard::install`] and [`MappingGuard::remove`] are the steps
//! between the two.

use super::{
    cpu_buffer::{
        CpuBuffer,
        MappingGuard,
        Parts, //
    },
    layout::{
        self,
        Slot, //
    }, //
};
use kernel::{
    mm::virt::{
        flags,
        PageBatch,
        VmaMixedMap,
        VmaNew, //
    },
    page::{
        BorrowedPage,
        PAGE_SIZE, //
    },
    prelude::*, //
};

/// How many pages go into a VMA at a time; their array is on the stack.
const BATCH: usize = 64;

/// Maps the buffer of `cpu` into `vma` and counts the VMA as a user. May sleep.
///
/// Mirrors C's `ring_buffer_map()`.
///
/// # Errors
///
/// - `EPERM`: `vma` is writable, executable or private.
/// - `EINVAL`: `vma` is not within the buffer or does not begin at a sub-buffer.
/// - `E2BIG`: the buffer has more sub-buffers than an id can name.
/// - `EBUSY`: too many users.
/// - `EIO`: the buffer is corrupt.
/// - `ENOMEM`.
///
/// Whatever the error, the buffer is as before.
pub(crate) fn map(cpu: &CpuBuffer, vma: &VmaNew) -> Result {
    let area = seal(vma)?;
    let mut user = User::add(cpu.lock_mapping())?;

    populate(&user.guard, area)?;
    user.keep();
    Ok(())
}

/// Counts one more VMA of a mapped buffer. May sleep. Mirrors C's `ring_buffer_map_dup()`.
pub(crate) fn dup(cpu: &CpuBuffer) {
    let mut guard = cpu.lock_mapping();

    match guard.users() {
        0 => {
            kernel::warn_on!(true);
        }
        // The VMA exists and cannot be refused. It stays counted, and the buffer mapped.
        u32::MAX => (),
        users => guard.set_users(users + 1),
    }
}

/// Counts one VMA less, and unmaps the buffer with the last. May sleep.
///
/// Mirrors C's `ring_buffer_unmap()`.
///
/// # Errors
///
/// `ENODEV` if the buffer is not mapped.
pub(crate) fn unmap(cpu: &CpuBuffer) -> Result {
    remove_user(&mut cpu.lock_mapping())
}

fn remove_user(guard: &mut MappingGuard<'_>) -> Result {
    match guard.users() {
        0 => Err(ENODEV),
        1 => guard.remove().map(drop).ok_or(ENODEV),
        u32::MAX => Ok(()),
        users => {
            guard.set_users(users - 1);
            Ok(())
        }
    }
}

/// One VMA more that maps a buffer, taken back on drop unless kept.
struct User<'a> {
    guard: MappingGuard<'a>,
    keep: bool,
}

impl<'a> User<'a> {
    /// Counts one more user; the first installs what a mapped buffer needs.
    fn add(mut guard: MappingGuard<'a>) -> Result<Self> {
        match guard.users() {
            0 => {
                let resize = guard.disable_resize();
                let layout = resize.layout()?;

                guard.install(Parts::new(&layout, resize)?)?;
            }
            u32::MAX => return Err(EBUSY),
            users => guard.set_users(users + 1),
        }
        Ok(Self { guard, keep: false })
    }

    fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        if !self.keep {
            // The buffer has at least this user.
            let _ = remove_user(&mut self.guard);
        }
    }
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

/// Fills `area` with the pages of a mapped buffer. Mirrors C's `__rb_map_vma()`.
fn populate(guard: &MappingGuard<'_>, area: &VmaMixedMap) -> Result {
    let mapped = guard.mapped().ok_or(ENODEV)?;
    let layout = mapped.layout();
    let meta = guard.meta().ok_or(ENODEV)?;

    layout
        .check(area.pgoff(), area.pages())
        .map_err(|err| match err {
            layout::Error::Unaligned | layout::Error::OutOfRange => EINVAL,
        })?;

    let mut batch = PageBatch::<BATCH>::new();
    let mut address = area.start();

    for index in 0..area.pages() {
        let page = match layout.slot(area.pgoff() + index) {
            Slot::Meta => meta.page(),
            Slot::Padding => BorrowedPage::zero(area.start() + index * PAGE_SIZE),
            Slot::SubBuffer { id, page } => mapped.page(id, page).ok_or(EINVAL)?,
        };

        if batch.is_full() {
            address = area.vm_insert_pages(address, &mut batch)?;
        }
        batch.push(page);
    }
    area.vm_insert_pages(address, &mut batch)?;
    Ok(())
}
