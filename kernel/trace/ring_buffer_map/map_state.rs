// SPDX-License-Identifier: GPL-2.0

//! Whether a CPU's buffer is mapped, and with what: the state under `mapping_lock`.
//!
//! C's per-CPU buffer has the number of VMAs that map it, `user_mapped`, and a pointer to the
//! [`MapState`], `map_state`. A buffer that is not mapped has neither. It may have a `map_kept`
//! instead, the [`MapState`] of an earlier mapping. The steps between the two states hold
//! `reader_lock` as well, so that either lock keeps the state from changing.

use super::{
    bindings::{
        buffer_page,
        ring_buffer_per_cpu,
        RB_STATIC_BITS, //
    },
    buffer::CpuBuffer,
    layout::{
        Layout,
        Slot, //
    },
    meta::{
        MetaPage,
        MetaWriter, //
    },
    raw::{
        fields,
        BothLocks,
        KeptLock,
        Locked,
        MappingLock,
        ReaderLocked,
        ResizeDisabled,
        Settled,
        Shared, //
    },
    reader_state::ReaderGuard,
    ring::{
        Filling,
        SubbufIds, //
    }, //
};
use core::{
    num::NonZeroU32,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    mm::virt::VmaMixedMap,
    page::{
        ReadOnlyPage,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::MutexGuard, //
};

/// The state of a mapped buffer.
///
/// # Invariants
///
/// While C's per-CPU buffer points to the value, `ids` has the sub-buffers of that buffer, whose
/// memory is in the linear map, and `layout` is its layout. If the buffer is mapped, a
/// [`ResizeDisabled`] of it, which was [`Settled`], was left to it. So the sub-buffers do not
/// change: they are not resized, and readers copy from a mapped buffer instead of taking its pages.
/// Otherwise the state is kept until the buffer is mapped again, or C forgets it, which it does
/// before it resizes the buffer.
pub(crate) struct MapState {
    layout: Layout,
    ids: SubbufIds,
    meta: MetaPage,
}

impl MapState {
    /// Takes the state that is kept for the next mapping of a buffer, if there is one.
    pub(crate) fn take_kept(
        cpu: &mut Locked<'_, ring_buffer_per_cpu, KeptLock>,
    ) -> Option<KBox<Self>> {
        let state = cpu.load(fields::cpu::MAP_KEPT);

        if state.is_null() {
            return None;
        }
        cpu.store(fields::cpu::MAP_KEPT, ptr::null_mut());
        // SAFETY: The pointer is that of a box from `Unlinked::keep()`, as nothing else stores to
        // the field, and the field does not have it any more.
        Some(unsafe { KBox::from_raw(state.cast()) })
    }

    /// The meta-page of a buffer with its `reader_lock` held, if the buffer is mapped.
    pub(crate) fn meta_of<'a>(cpu: &'a mut ReaderLocked<'_>) -> Option<MetaWriter<'a>> {
        // SAFETY: See `of()`. The `reader_lock` is held for as long as `cpu` is borrowed, and it is
        // the lock of the meta-page, which is valid for as long as the state.
        unsafe {
            let state = Self::of(**cpu).as_ref()?;
            let meta = Shared::from_raw(state.meta.as_ptr());

            Some(MetaWriter::new(Locked::assume(meta, ())))
        }
    }

    /// The state of a buffer; null if it is not mapped.
    ///
    /// While one of [`BothLocks`] is held, the pointer is null or to a valid state: it is from
    /// [`BothGuard::link`], as nothing else stores to the field. [`BothGuard::unlink`] holds both
    /// locks, and the state is freed later.
    ///
    /// The holders of the two locks may look at the state at once, on different CPUs, and another
    /// thread than the one that made it may free it. The state does not change while it is linked.
    fn of(cpu: Shared<'_, ring_buffer_per_cpu>) -> *mut Self {
        cpu.load(fields::cpu::MAP_STATE).cast()
    }
}

/// A state that no buffer points to.
///
/// # Invariants
///
/// `state` has the sub-buffers of the buffer that `resize` is of, which keeps them from changing.
struct Unlinked<'a> {
    state: KBox<MapState>,
    resize: ResizeDisabled<'a>,
}

impl<'a> Unlinked<'a> {
    /// A state with the sub-buffers of a table that was filled.
    fn new(layout: Layout, meta: MetaPage, filling: Filling<'a>) -> Result<Self> {
        let (ids, resize) = filling.finish()?;

        // INVARIANT: The table is of the sub-buffers of this buffer.
        Ok(Self {
            state: KBox::new(MapState { layout, ids, meta }, GFP_KERNEL)?,
            resize,
        })
    }

    /// The state that `mapping` keeps for the next mapping, if there is one, or else `resize`.
    fn kept(
        mapping: &mut MappingGuard<'_>,
        resize: ResizeDisabled<'a>,
    ) -> Result<Self, ResizeDisabled<'a>> {
        let state = mapping
            .kept(&resize)
            .and_then(|mut kept| MapState::take_kept(&mut kept));

        match state {
            // INVARIANT: It is a state of the buffer as it is, which `KeptLock` says.
            Some(state) => Ok(Self { state, resize }),
            None => Err(resize),
        }
    }

    /// Keeps the state for the next mapping, if `mapping` is of its buffer.
    fn keep(self, mapping: &mut MappingGuard<'_>) {
        if let Some(mut kept) = mapping.kept(&self.resize) {
            drop(MapState::take_kept(&mut kept));
            kept.store(fields::cpu::MAP_KEPT, KBox::into_raw(self.state).cast());
        }
    }
}

/// A CPU's buffer with its `mapping_lock` held.
#[must_use = "the mapping unlocks immediately when the guard is unused"]
pub(crate) struct MappingGuard<'a> {
    cpu: Locked<'a, ring_buffer_per_cpu, MappingLock, MutexGuard<'a, ()>>,
}

impl<'a> MappingGuard<'a> {
    /// Locks the mapping. May sleep.
    pub(crate) fn lock(cpu: Shared<'a, ring_buffer_per_cpu>) -> Self {
        let guard = cpu.lock(fields::cpu::MAPPING_LOCK).lock();

        Self {
            // SAFETY: The guard is of the lock of this buffer. `link()` and `unlink()` store the
            // number of users together with the state. `set_users()` never stores 0.
            cpu: unsafe { Locked::assume(cpu, guard) },
        }
    }

    /// The number of VMAs that map the buffer.
    pub(crate) fn users(&self) -> u32 {
        self.cpu.load(fields::cpu::USER_MAPPED)
    }

    /// The mapping, if the buffer is mapped.
    pub(crate) fn mapped(&self) -> Option<Mapped<'_>> {
        // SAFETY: See `of()`. The `mapping_lock` is held for as long as `self` is borrowed.
        unsafe { MapState::of(*self.cpu).as_ref() }.map(Mapped)
    }

    /// Counts one more VMA of `buffer`, which is the one of this guard; the first makes it a mapped
    /// one. May sleep.
    ///
    /// # Errors
    ///
    /// - `EBUSY`: there are too many VMAs.
    /// - Those of the first VMA: `EINVAL` if the guard is of another buffer, `E2BIG` if there are
    ///   more sub-buffers than ids, `ENODEV` if their memory is not in the linear map, `EIO` if the
    ///   list of sub-buffers is corrupt, `EBUSY` if readers kept moving them, `ENOMEM`.
    pub(crate) fn add_user(&mut self, buffer: Settled<'a>) -> Result {
        let Some(users) = NonZeroU32::new(self.users()) else {
            return self.map(buffer.disable_resize()?);
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

    /// Makes the buffer a mapped one with one VMA. The last of its critical sections does so.
    ///
    /// From there on, other readers copy the pages of the buffer instead of taking them.
    fn map(&mut self, resize: ResizeDisabled<'a>) -> Result {
        let state = match Unlinked::kept(self, resize) {
            Ok(state) => state,
            Err(resize) => self.new_state(resize)?,
        };
        // Declared before the locks: what is left of it is freed without them.
        let mut state = Some(state);

        self.lock_both().link(&mut state)
    }

    /// Makes the state of a buffer that has not been mapped since its size last changed.
    ///
    /// Enables interrupts every few sub-buffers.
    fn new_state(&mut self, resize: ResizeDisabled<'a>) -> Result<Unlinked<'a>> {
        let cpu = *self.cpu;
        let layout = CpuBuffer::new(cpu).layout().ok_or(E2BIG)?;

        if layout.nr_subbufs() > 1 << RB_STATIC_BITS {
            return Err(E2BIG);
        }

        let meta = MetaPage::new()?;
        let mut filling = Filling::new(layout.nr_subbufs(), resize)?;

        while !ReaderGuard::lock(cpu).fill(&mut filling)? {}
        Unlinked::new(layout, meta, filling)
    }

    /// Makes a buffer with one VMA an unmapped one, in one critical section.
    fn unmap(&mut self) {
        if let Some(state) = self.lock_both().unlink() {
            state.keep(self);
        }
    }

    /// What is kept for the next mapping, if `resize` is of this buffer.
    fn kept<'k>(
        &'k mut self,
        resize: &'k ResizeDisabled<'_>,
    ) -> Option<Locked<'k, ring_buffer_per_cpu, KeptLock>> {
        // SAFETY: The `mapping_lock` is held for as long as `self` is borrowed, and the unit for as
        // long as `resize` is. `Unlinked::keep()` and `take_kept()` store what they may.
        resize
            .is_of(*self.cpu)
            .then(|| unsafe { Locked::assume(*self.cpu, ()) })
    }

    fn lock_both(&mut self) -> BothGuard<'_, 'a> {
        // INVARIANT: The reader is of the same buffer.
        BothGuard {
            reader: ReaderGuard::lock(*self.cpu),
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

impl<'a> BothGuard<'_, 'a> {
    fn locked(&mut self) -> Locked<'_, ring_buffer_per_cpu, BothLocks> {
        // SAFETY: Both locks are held for as long as `self` is borrowed, by the type invariants.
        // `link()` and `unlink()` store what they may.
        unsafe { Locked::assume(*self.mapping.cpu, ()) }
    }

    /// Links `state` to C's buffer, which is not mapped yet, with one VMA.
    fn link(mut self, state: &mut Option<Unlinked<'a>>) -> Result {
        let cpu = *self.mapping.cpu;
        let Unlinked { state, resize } = state
            .take_if(|unlinked| {
                unlinked.resize.is_of(cpu)
                    && unlinked.state.ids.are_of(cpu)
                    && CpuBuffer::new(cpu).layout() == Some(unlinked.state.layout)
            })
            .ok_or(EINVAL)?;
        let layout = state.layout;

        // INVARIANT: By those of `Unlinked`, as it is the buffer of the unit, which is left below.
        // Its layout was tested just above. `ReaderGuard::fill()` has tested that its memory is in
        // the linear map.
        self.locked()
            .store(fields::cpu::MAP_STATE, KBox::into_raw(state).cast());
        self.mapping.cpu.store(fields::cpu::USER_MAPPED, 1);
        resize.leave();
        self.reader.publish_first(&layout);
        Ok(())
    }

    /// Unlinks the state from C's buffer, if it is mapped.
    fn unlink(mut self) -> Option<Unlinked<'a>> {
        let cpu = *self.mapping.cpu;
        let state = MapState::of(cpu);

        if state.is_null() {
            return None;
        }
        self.mapping.cpu.store(fields::cpu::USER_MAPPED, 0);
        self.locked().store(fields::cpu::MAP_STATE, ptr::null_mut());

        // SAFETY: The pointer is that of a box from `link()`, which has left the unit as well. C's
        // buffer does not point to the state any more. Nobody looks at it: that takes one of the
        // locks, both of which are held.
        // INVARIANT: By those of `MapState`.
        Some(unsafe {
            Unlinked {
                state: KBox::from_raw(state),
                resize: ResizeDisabled::take_over(cpu),
            }
        })
    }
}

/// A buffer that is mapped. It stays so for as long as its [`MappingGuard`] is borrowed.
pub(crate) struct Mapped<'a>(&'a MapState);

impl Mapped<'_> {
    /// Fills `area` with the pages of the buffer. Mirrors C's `__rb_map_vma()`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `area` is not within the buffer or does not begin at a sub-buffer.
    /// - Those of [`VmaMixedMap::vm_insert_pages`].
    pub(crate) fn insert_into(&self, area: &VmaMixedMap) -> Result {
        let layout = self.0.layout;
        let (pgoff, len) = (area.start_pgoff(), area.nr_pages());

        layout.check(pgoff, len).map_err(|_| EINVAL)?;

        let pages = (0..len).map_while(|index| match layout.slot(pgoff + index) {
            Slot::Meta => Some(self.0.meta.page()),
            Slot::Padding => Some(ReadOnlyPage::zero_page(area.start() + index * PAGE_SIZE)),
            Slot::SubBuffer { id, page } => self.subbuf_page(id, page),
        });

        // The range was checked, so that there is a page for each index.
        if area.vm_insert_pages(area.start(), pages)? != len {
            return Err(EINVAL);
        }
        Ok(())
    }

    /// Page `page` of the sub-buffer with the id `id`, if there is one.
    fn subbuf_page(&self, id: usize, page: usize) -> Option<ReadOnlyPage<'_>> {
        if page >= self.0.layout.subbuf_pages() {
            return None;
        }

        let subbuf = self.0.ids.get(id)?;

        // SAFETY: By the invariants of `MapState` the sub-buffer is valid, and stays. It has its
        // memory, which is not null, of `subbuf_pages()` pages. By the same invariants that is in
        // the linear map, and is freed with the sub-buffer only. Freeing it gives back a reference,
        // which leaves the pages to user space that has them. The memory of a persistent buffer may
        // be freed at once, but not while user space has it, by the invariants of `Settled`.
        Some(unsafe {
            let data = Shared::<buffer_page>::from_raw(subbuf.as_ptr()).load(fields::page::DATA);
            let data = NonNull::new_unchecked(data).byte_add(page * PAGE_SIZE);

            ReadOnlyPage::from_virt(data.cast())
        })
    }
}
