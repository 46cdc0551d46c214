// SPDX-License-Identifier: GPL-2.0

//! Whether a CPU's buffer is mapped, and with what: the state under `mapping_lock`.
//!
//! C's per-CPU buffer has the number of VMAs that map it, `user_mapped`, and a pointer to the
//! [`MapState`], `map_state`. A buffer that is not mapped has neither. The steps between the two
//! states hold `reader_lock` as well, so that either lock keeps the state from changing.

use super::{
    bindings::{
        buffer_page,
        ring_buffer_per_cpu,
        RB_STATIC_BITS, //
    },
    buffer::CpuBuffer,
    ids::Ids,
    layout::Layout,
    meta::{
        MetaPage,
        MetaWriter, //
    },
    raw::{
        fields,
        BothLocks,
        Locked,
        MappingLock,
        ReaderLock,
        Shared, //
    },
    reader_state::ReaderGuard, //
};
use core::{
    num::NonZeroU32,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    page::{
        BorrowedPage,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::{
        atomic::Relaxed,
        MutexGuard, //
    },
    types::ScopeGuard, //
};

/// The sub-buffers of a mapped buffer by their ids. All are valid, see [`MapState`].
pub(crate) type SubbufIds = Ids<*mut buffer_page>;

/// What a mapped buffer has.
///
/// # Invariants
///
/// While C's per-CPU buffer points to the value, `ids` has all sub-buffers of that buffer, and
/// the buffer has one unit of `resize_disabled` on behalf of it. So the sub-buffers do not change:
/// resizing is disabled, and readers copy from a mapped buffer instead of taking its pages.
pub(crate) struct MapState {
    layout: Layout,
    ids: SubbufIds,
    meta: MetaPage,
}

impl MapState {
    /// Allocates the state for a buffer of `layout`. May sleep.
    fn new(layout: Layout) -> Result<KBox<Self>> {
        let state = Self {
            layout,
            ids: Ids::new(layout.nr_subbufs(), ptr::null_mut())?,
            meta: MetaPage::new(&layout)?,
        };

        Ok(KBox::new(state, GFP_KERNEL)?)
    }

    /// The meta-page of a buffer with its `reader_lock` held, if the buffer is mapped.
    pub(crate) fn meta_of<'a>(
        cpu: &'a mut Locked<'_, ring_buffer_per_cpu, ReaderLock>,
    ) -> Option<MetaWriter<'a>> {
        // SAFETY: The `reader_lock` is held for as long as `cpu` is borrowed.
        let state = unsafe { Self::of(**cpu) }?;

        // SAFETY: It is the lock of the buffer whose meta-page this is.
        Some(unsafe { state.meta.assume_locked() })
    }

    /// The state of a buffer, if it is mapped.
    ///
    /// # Safety
    ///
    /// The caller must hold one of [`BothLocks`] of the buffer for `'a`.
    unsafe fn of<'a>(cpu: Shared<'_, ring_buffer_per_cpu>) -> Option<&'a Self> {
        let state: *mut Self = cpu.load(fields::cpu::MAP_STATE).cast();

        // SAFETY: The pointer is null or from `MappingGuard::link()`, as nothing else stores to the
        // field. It is unlinked and freed under both locks, of which the caller holds one.
        unsafe { state.as_ref() }
    }
}

/// A CPU's buffer with its `mapping_lock` held.
pub(crate) struct MappingGuard<'a> {
    buffer: CpuBuffer<'a>,
    cpu: Locked<'a, ring_buffer_per_cpu, MappingLock>,
    _guard: MutexGuard<'a, ()>,
}

impl<'a> MappingGuard<'a> {
    /// Locks the mapping. May sleep.
    pub(crate) fn lock(buffer: CpuBuffer<'a>, cpu: Shared<'a, ring_buffer_per_cpu>) -> Self {
        let guard = cpu.lock(fields::cpu::MAPPING_LOCK).lock();

        Self {
            buffer,
            // SAFETY: The lock was taken just above, and is released with the value.
            cpu: unsafe { Locked::assume(cpu) },
            _guard: guard,
        }
    }

    /// The number of VMAs that map the buffer.
    pub(crate) fn users(&self) -> u32 {
        self.cpu.load(fields::cpu::USER_MAPPED)
    }

    /// The mapping, if the buffer is mapped.
    pub(crate) fn mapped(&self) -> Option<Mapped<'_>> {
        // SAFETY: The `mapping_lock` is held for as long as `self` is borrowed.
        unsafe { MapState::of(*self.cpu) }.map(Mapped)
    }

    /// Counts one more VMA; the first makes the buffer a mapped one. May sleep.
    ///
    /// # Errors
    ///
    /// - `EBUSY`: there are too many VMAs.
    /// - Those of the first VMA: `E2BIG` if there are more sub-buffers than ids, `EIO` if the list
    ///   of sub-buffers is corrupt, `ENOMEM`.
    pub(crate) fn add_user(&mut self) -> Result {
        let Some(users) = NonZeroU32::new(self.users()) else {
            return self.map();
        };

        self.set_users(users.checked_add(1).ok_or(EBUSY)?);
        Ok(())
    }

    /// Counts one VMA less; the last makes the buffer an unmapped one. May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the buffer is not mapped.
    pub(crate) fn remove_user(&mut self) -> Result {
        let users = self.users();

        // A count that is at its limit stays there, as it may have missed VMAs.
        if users == u32::MAX {
            return Ok(());
        }
        match NonZeroU32::new(users.checked_sub(1).ok_or(ENODEV)?) {
            Some(users) => self.set_users(users),
            None => self.unmap(),
        }
        Ok(())
    }

    /// Sets the number of VMAs of a mapped buffer.
    ///
    /// `reader_lock` is not needed. Code under it tests only whether the buffer is mapped, see
    /// rb_is_static(), and that does not change.
    fn set_users(&mut self, users: NonZeroU32) {
        self.cpu.store(fields::cpu::USER_MAPPED, users.get());
    }

    /// Makes the buffer a mapped one with one VMA, in one critical section.
    ///
    /// From there on other readers of the buffer copy its pages instead of taking them.
    fn map(&mut self) -> Result {
        let cpu = *self.cpu;

        disable_resize(cpu);
        let resize = ScopeGuard::new(|| enable_resize(cpu));
        let layout = self.buffer.layout().ok_or(E2BIG)?;

        if layout.nr_subbufs() > 1 << RB_STATIC_BITS {
            return Err(E2BIG);
        }

        let mut state = MapState::new(layout)?;
        let mut both = self.lock_both();

        both.reader.fill_ids(&mut state.ids)?;
        both.link(Some(state));
        both.reader.publish_pending();
        resize.dismiss();
        Ok(())
    }

    /// Makes a buffer with one VMA an unmapped one, in one critical section.
    fn unmap(&mut self) {
        let state = self.lock_both().link(None);

        // Both locks are released: the memory can be given back.
        drop(state);
        enable_resize(*self.cpu);
    }

    fn lock_both(&mut self) -> BothGuard<'_, 'a> {
        BothGuard {
            reader: self.buffer.lock_reader(),
            mapping: self,
        }
    }
}

/// A CPU's buffer with its `reader_lock` held besides its `mapping_lock`.
///
/// # Invariants
///
/// Both are of one buffer.
struct BothGuard<'m, 'a> {
    mapping: &'m mut MappingGuard<'a>,
    reader: ReaderGuard<'a>,
}

impl BothGuard<'_, '_> {
    /// Links `state` to C's buffer, with one VMA, or unlinks what is there. Returns what was linked
    /// before.
    fn link(&mut self, state: Option<KBox<MapState>>) -> Option<KBox<MapState>> {
        let users = state.is_some().into();
        // SAFETY: Both locks are held for as long as `self` lives.
        let mut cpu = unsafe { Locked::<_, BothLocks>::assume(*self.mapping.cpu) };
        let before: *mut MapState = cpu.load(fields::cpu::MAP_STATE).cast();

        self.mapping.cpu.store(fields::cpu::USER_MAPPED, users);
        cpu.store(
            fields::cpu::MAP_STATE,
            state.map_or(ptr::null_mut(), |state| KBox::into_raw(state).cast()),
        );

        // SAFETY: The pointer is null or from an earlier call of this function, which took it from
        // a box. C's buffer does not point to it any more.
        (!before.is_null()).then(|| unsafe { KBox::from_raw(before) })
    }
}

/// Keeps the size of a buffer and of its sub-buffers from changing. May sleep.
fn disable_resize(cpu: Shared<'_, ring_buffer_per_cpu>) {
    // A resize in progress holds the mutex.
    let _resizing = cpu.parent().lock(fields::buffer::MUTEX).lock();

    cpu.atomic(fields::cpu::RESIZE_DISABLED).add(1, Relaxed);
}

fn enable_resize(cpu: Shared<'_, ring_buffer_per_cpu>) {
    cpu.atomic(fields::cpu::RESIZE_DISABLED).add(-1, Relaxed);
}

/// A buffer that is mapped. It stays so for as long as its [`MappingGuard`] is borrowed.
pub(crate) struct Mapped<'a>(&'a MapState);

impl<'a> Mapped<'a> {
    /// The layout of the mapping.
    pub(crate) fn layout(&self) -> Layout {
        self.0.layout
    }

    /// The meta-page.
    pub(crate) fn meta_page(&self) -> BorrowedPage<'a> {
        self.0.meta.page()
    }

    /// Page `page` of the sub-buffer with the id `id`, if there is one.
    pub(crate) fn subbuf_page(&self, id: usize, page: usize) -> Option<BorrowedPage<'a>> {
        if page >= self.0.layout.subbuf_pages() {
            return None;
        }

        // SAFETY: By the invariants of `MapState` the table has valid sub-buffers, which stay.
        let subbuf = unsafe { Shared::from_raw(NonNull::new(self.0.ids.get(id)?)?) };
        let data = NonNull::new(subbuf.load(fields::page::DATA))?;

        // SAFETY: A sub-buffer has `subbuf_pages()` pages. They are in the linear map: a buffer
        // whose memory is not cannot be mapped, see `vma::mmap()`. They are freed with the
        // sub-buffer only, which stays.
        Some(unsafe { BorrowedPage::from_virt(data.cast().byte_add(page * PAGE_SIZE)) })
    }
}
