// SPDX-License-Identifier: GPL-2.0

//! The one view of C's per-CPU buffer, [`struct ring_buffer_per_cpu`]; all raw access is here.
//!
//! Writers change the buffer at any time and without a lock. So there is no reference to any of
//! its fields: they are accessed through raw pointers, each with one load or store that does not
//! tear. What a lock protects is reachable only from that lock's guard:
//!
//! - [`MappingGuard`], for `mapping_lock`: whether the buffer is mapped, and with what.
//! - [`ReaderGuard`], for `reader_lock`: the reader page, and the reader's counters.
//!
//! [`struct ring_buffer_per_cpu`]: srctree/kernel/trace/ring_buffer.c

use super::{
    bindings,
    ids::Ids,
    layout::Layout,
    meta::{
        MetaPage,
        MetaRef,
        Statistics, //
    }, //
};
use core::{
    ffi::c_void,
    mem::offset_of,
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    },
    slice, //
};
use kernel::{
    cpu::CpuId,
    cpumask::CpumaskVar,
    page::{
        flush_kernel_vmap_range,
        BorrowedPage,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        barrier::{
            smp_mb,
            Read,
            Write, //
        },
        lock::{
            mutex::MutexGuard,
            raw_spinlock::{
                RawSpinLockIrq,
                RawSpinLockIrqGuard, //
            }, //
        },
        Mutex, //
    },
    types::Opaque, //
};

/// The size of a sub-buffer's header, in bytes.
const PAGE_HEADER: usize = offset_of!(bindings::buffer_data_page, data);

/// Loads a field of a C struct that others may be writing, as `READ_ONCE()`.
///
/// Volatile rather than `Atomic`, which is a call of a C helper for each load.
macro_rules! load {
    ($ptr:expr, $($field:ident).+) => {{
        let ptr = $ptr;
        // SAFETY: The pointer is to a valid struct by the invariants of the type that has it. The
        // field is a word, which C writes with stores that do not tear.
        unsafe { (&raw const (*ptr).$($field).+).read_volatile() }
    }};
}

/// Stores to a field of a C struct that others may be reading, as `WRITE_ONCE()`.
macro_rules! store {
    ($ptr:expr, $($field:ident).+, $value:expr) => {{
        let (ptr, value) = ($ptr, $value);
        // SAFETY: As for `load!()`; the lock whose guard has this method excludes other writers.
        unsafe { (&raw mut (*ptr).$($field).+).write_volatile(value) }
    }};
}

/// Calls a function of C with the CPU's buffer of a [`Reader`].
macro_rules! call {
    ($reader:expr, $function:ident) => {{
        let reader: &Reader<'_> = $reader;
        // SAFETY: The buffer is valid, and its `reader_lock` held, by the type invariants.
        unsafe { bindings::$function(reader.cpu.as_ptr()) }
    }};
}

/// C's `struct trace_buffer`: the buffers of all CPUs.
///
/// # Invariants
///
/// A valid `struct trace_buffer`.
#[repr(transparent)]
pub(crate) struct TraceBuffer(Opaque<bindings::trace_buffer>);

impl TraceBuffer {
    /// # Safety
    ///
    /// `buffer` must be valid for `'a`.
    pub(crate) unsafe fn from_raw<'a>(buffer: *mut kernel::bindings::trace_buffer) -> &'a Self {
        // SAFETY: By the safety requirements; the two types are bindings of one C struct.
        unsafe { &*buffer.cast() }
    }

    pub(crate) fn as_raw(&self) -> *mut kernel::bindings::trace_buffer {
        self.0.get().cast()
    }

    /// Whether another kernel or a hypervisor writes the buffer.
    pub(crate) fn is_remote(&self) -> bool {
        !load!(self.0.get(), remote).is_null()
    }

    /// The buffer of `cpu`, if there is one. CPUs come, but never go.
    pub(crate) fn cpu(&self, cpu: i32) -> Option<&CpuBuffer> {
        let cpu = CpuId::from_i32(cpu)?;
        // SAFETY: The mask is valid by the type invariants, and its bits are atomic.
        let mask = unsafe { CpumaskVar::from_raw(&raw const (*self.0.get()).cpumask) };

        if !mask.test(cpu) {
            return None;
        }

        let buffers = load!(self.0.get(), buffers);
        // SAFETY: A CPU in the mask has a buffer, which is set before the bit is and lives as long
        // as `self`.
        unsafe { CpuBuffer::from_raw((*buffers.add(cpu.as_u32() as usize)).cast()) }.into()
    }
}

/// C's `struct ring_buffer_per_cpu`: the buffer of one CPU.
///
/// # Invariants
///
/// A valid `struct ring_buffer_per_cpu`. While `user_mapped` is not 0, `subbuf_ids` is a [`KBox`]
/// of [`SubbufIds`] with `nr_pages + 1` valid sub-buffers, `meta_page` is from a [`MetaPage`], and
/// one unit of `resize_disabled` keeps the sub-buffers from changing.
#[repr(transparent)]
pub(crate) struct CpuBuffer(Opaque<bindings::ring_buffer_per_cpu>);

/// The sub-buffers of a mapped buffer.
///
/// C has a pointer of another type for it, which only the mapping uses.
type SubbufIds = Ids<*mut bindings::buffer_page>;

impl CpuBuffer {
    /// # Safety
    ///
    /// `cpu_buffer` must be valid for `'a`.
    pub(crate) unsafe fn from_raw<'a>(
        cpu_buffer: *mut kernel::bindings::ring_buffer_per_cpu,
    ) -> &'a Self {
        // SAFETY: By the safety requirements; the two types are bindings of one C struct.
        unsafe { &*cpu_buffer.cast() }
    }

    fn as_ptr(&self) -> *mut bindings::ring_buffer_per_cpu {
        self.0.get()
    }

    /// Whether the buffer is in memory that keeps it across a boot.
    fn is_persistent(&self) -> bool {
        !load!(self.as_ptr(), ring_meta).is_null()
    }

    /// Whether no event waits to be read, which is sure only under the `reader_lock`. Mirrors
    /// `rb_per_cpu_empty()`.
    pub(crate) fn is_empty(&self) -> bool {
        let cpu = self.as_ptr();
        let gone = load!(cpu, overrun.a.counter).wrapping_add(load!(cpu, read) as i64);

        load!(cpu, entries.a.counter) == gone
    }

    fn order(&self) -> u32 {
        load!(load!(self.as_ptr(), buffer), subbuf_order)
    }

    /// Locks the mapping. May sleep.
    pub(crate) fn lock_mapping(&self) -> MappingGuard<'_> {
        // SAFETY: C has initialised the mutex, and it lives as long as `self`.
        let lock = unsafe { Mutex::from_raw(&raw mut (*self.as_ptr()).mapping_lock) };

        MappingGuard {
            cpu: self,
            _guard: lock.lock(),
        }
    }

    /// Locks the reader, with interrupts disabled.
    pub(crate) fn lock_reader(&self) -> ReaderGuard<'_> {
        // SAFETY: C has initialised the lock, and it lives as long as `self`.
        let lock = unsafe { RawSpinLockIrq::from_raw(&raw mut (*self.as_ptr()).reader_lock) };

        ReaderGuard {
            reader: Reader { cpu: self },
            _guard: lock.lock(),
        }
    }

    /// # Safety
    ///
    /// The caller must hold `reader_lock` for as long as the value lives.
    pub(crate) unsafe fn assume_reader_locked(&self) -> Reader<'_> {
        Reader { cpu: self }
    }
}

/// A CPU's buffer with its `mapping_lock` held.
pub(crate) struct MappingGuard<'a> {
    cpu: &'a CpuBuffer,
    _guard: MutexGuard<'a, ()>,
}

impl<'a> MappingGuard<'a> {
    /// The number of VMAs that map the buffer.
    pub(crate) fn users(&self) -> u32 {
        load!(self.cpu.as_ptr(), user_mapped)
    }

    /// Sets the number of VMAs that map the buffer; neither the old nor the new one may be 0.
    ///
    /// Other readers ask under `reader_lock` whether the buffer is mapped at all. That does not
    /// change, so the lock is not needed.
    pub(crate) fn set_users(&mut self, users: u32) {
        store!(self.cpu.as_ptr(), user_mapped, users);
    }

    /// The mapping, if the buffer is mapped.
    pub(crate) fn mapped(&self) -> Option<Mapped<'_>> {
        if self.users() == 0 {
            return None;
        }

        let ids = load!(self.cpu.as_ptr(), subbuf_ids);
        Some(Mapped {
            layout: self.cpu.layout()?,
            // SAFETY: The table is valid by the type invariants of `CpuBuffer`. It does not change,
            // and stays while the guard is borrowed, as `remove()` needs the guard.
            ids: unsafe { &*ids.cast() },
        })
    }

    /// The meta-page, if the buffer is mapped.
    pub(crate) fn meta(&self) -> Option<MetaRef> {
        match self.users() {
            0 => None,
            _ => self.cpu.meta(),
        }
    }

    /// Keeps the size of the buffer and of its sub-buffers from changing. May sleep.
    pub(crate) fn disable_resize(&self) -> ResizeDisabled<'a> {
        let buffer = load!(self.cpu.as_ptr(), buffer);
        // SAFETY: C has initialised the mutex, which outlives the CPU's buffer.
        let lock = unsafe { Mutex::from_raw(&raw mut (*buffer).mutex) };
        let _resize = lock.lock();

        self.cpu.resize_disabled().add(1, Relaxed);
        ResizeDisabled { cpu: self.cpu }
    }

    /// Makes the buffer a mapped one with one user, in one critical section.
    ///
    /// From here on other readers of the buffer copy its pages instead of taking them.
    ///
    /// # Errors
    ///
    /// `EIO`, and nothing is changed, if the list of sub-buffers is corrupt.
    pub(crate) fn install(&mut self, parts: Parts<'a>) -> Result {
        let Parts {
            mut ids,
            meta,
            resize,
        } = parts;
        let nr = resize.layout()?.nr_subbufs();

        {
            let reader = self.cpu.lock_reader();

            reader.fill_ids(&mut ids, nr)?;
            reader.publish(meta.get(), Some(reader.lost()));

            store!(self.cpu.as_ptr(), subbuf_ids, KBox::into_raw(ids).cast());
            store!(
                self.cpu.as_ptr(),
                meta_page,
                meta.into_raw().as_ptr().cast()
            );
            store!(self.cpu.as_ptr(), user_mapped, 1);
        }

        // The unit is `remove()`'s to give back.
        core::mem::forget(resize);
        Ok(())
    }

    /// Makes a buffer with one user an unmapped one, in one critical section.
    ///
    /// Its parts are freed when the result is dropped. `None` if the buffer is not mapped.
    pub(crate) fn remove(&mut self) -> Option<Parts<'a>> {
        if self.users() == 0 {
            return None;
        }

        let cpu = self.cpu.as_ptr();
        let (ids, meta) = (load!(cpu, subbuf_ids), NonNull::new(load!(cpu, meta_page))?);

        {
            let _reader = self.cpu.lock_reader();

            store!(cpu, user_mapped, 0);
            store!(cpu, subbuf_ids, ptr::null_mut());
            store!(cpu, meta_page, ptr::null_mut());
        }

        // SAFETY: `install()` left the page and the table. C has no pointer to them any more.
        Some(unsafe {
            Parts {
                ids: KBox::from_raw(ids.cast()),
                meta: MetaPage::from_raw(meta.cast()),
                resize: ResizeDisabled { cpu: self.cpu },
            }
        })
    }
}

impl CpuBuffer {
    fn resize_disabled(&self) -> &Atomic<i32> {
        // SAFETY: The counter is valid by the type invariants, and only accessed atomically.
        unsafe { Atomic::from_ptr(&raw mut (*self.as_ptr()).resize_disabled.counter) }
    }
}

/// One unit of a buffer's `resize_disabled`, given back on drop.
pub(crate) struct ResizeDisabled<'a> {
    cpu: &'a CpuBuffer,
}

impl ResizeDisabled<'_> {
    /// The layout of the buffer, which does not change while `self` lives.
    ///
    /// # Errors
    ///
    /// `E2BIG` if there are more sub-buffers than an id can name.
    pub(crate) fn layout(&self) -> Result<Layout> {
        let layout = self.cpu.layout().ok_or(E2BIG)?;

        if layout.nr_subbufs() > 1 << bindings::RB_STATIC_BITS {
            return Err(E2BIG);
        }
        Ok(layout)
    }
}

impl Drop for ResizeDisabled<'_> {
    fn drop(&mut self) {
        self.cpu.resize_disabled().add(-1, Relaxed);
    }
}

impl CpuBuffer {
    /// The layout at this moment. `nr_pages` does not count the reader page.
    fn layout(&self) -> Option<Layout> {
        Layout::new(load!(self.as_ptr(), nr_pages).checked_add(1)?, self.order())
    }
}

/// What a mapped buffer has that others have not.
pub(crate) struct Parts<'a> {
    ids: KBox<SubbufIds>,
    meta: MetaPage,
    resize: ResizeDisabled<'a>,
}

impl<'a> Parts<'a> {
    /// Allocates the parts for a buffer of `layout`. May sleep.
    pub(crate) fn new(layout: &Layout, resize: ResizeDisabled<'a>) -> Result<Self> {
        Ok(Self {
            meta: MetaPage::new(layout)?,
            ids: KBox::new(Ids::new(layout.nr_subbufs())?, GFP_KERNEL)?,
            resize,
        })
    }
}

/// A mapped buffer: it has ids and a fixed layout for as long as the guard is held.
///
/// # Invariants
///
/// `ids` is a table of `layout.nr_subbufs()` valid sub-buffers.
pub(crate) struct Mapped<'a> {
    layout: Layout,
    ids: &'a SubbufIds,
}

impl<'a> Mapped<'a> {
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Page `page` of sub-buffer `id`, if there is one.
    pub(crate) fn page(&self, id: usize, page: usize) -> Option<BorrowedPage<'a>> {
        if page >= self.layout.subbuf_pages() {
            return None;
        }

        let subbuf = self.ids.get(id)?;
        let address = NonNull::new(load!(subbuf, page).cast::<c_void>())?;

        // SAFETY: A sub-buffer is `subbuf_pages()` pages of the linear map. A mapped buffer keeps
        // its sub-buffers, as other readers copy from them and resizing is disabled.
        Some(unsafe { BorrowedPage::from_address(address.byte_add(page * PAGE_SIZE)) })
    }
}

impl CpuBuffer {
    fn meta(&self) -> Option<MetaRef> {
        let meta = NonNull::new(load!(self.as_ptr(), meta_page))?;

        // SAFETY: The page is from `install()`. It stays while the caller has the `mapping_lock`
        // or the `reader_lock`, as `remove()` takes both; this method is private to their guards.
        Some(unsafe { MetaRef::from_raw(meta.cast()) })
    }
}

/// A number of lost events.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// This many, or none.
    Events(u64),
    /// Some, but the number is not known: a part of a persistent buffer was found corrupt.
    Unknown,
}

impl Lost {
    /// No event was lost.
    pub(crate) const NONE: Self = Self::Events(0);

    /// The number of events, 0 if it is not known.
    pub(crate) fn known(self) -> u64 {
        match self {
            Lost::Events(events) => events,
            Lost::Unknown => 0,
        }
    }
}

/// A CPU's buffer with its `reader_lock` held.
pub(crate) struct ReaderGuard<'a> {
    reader: Reader<'a>,
    _guard: RawSpinLockIrqGuard<'a, ()>,
}

impl<'a> Deref for ReaderGuard<'a> {
    type Target = Reader<'a>;

    fn deref(&self) -> &Reader<'a> {
        &self.reader
    }
}

/// What the `reader_lock` protects.
///
/// # Invariants
///
/// The lock is held while the value lives.
pub(crate) struct Reader<'a> {
    cpu: &'a CpuBuffer,
}

impl Reader<'_> {
    /// The meta-page, if the buffer is mapped.
    pub(crate) fn meta(&self) -> Option<MetaRef> {
        self.cpu.meta()
    }

    /// The number of the CPU.
    pub(crate) fn cpu_number(&self) -> i32 {
        load!(self.cpu.as_ptr(), cpu)
    }

    /// Whether the pages must stay valid for the next boot, and so may not be marked.
    pub(crate) fn is_persistent(&self) -> bool {
        self.cpu.is_persistent()
    }

    /// Whether no event waits to be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.cpu.is_empty()
    }

    /// The reader page.
    pub(crate) fn page(&self) -> ReaderPage<'_> {
        ReaderPage {
            page: load!(self.cpu.as_ptr(), reader_page),
            cpu: self.cpu,
        }
    }

    /// Brings in the next reader page if the current one is read, as `rb_get_reader_page()`.
    ///
    /// `None` if there is nothing to read, or if the writer does not leave the page's end.
    pub(crate) fn next_page(&self) -> Option<ReaderPage<'_>> {
        let page = call!(self, rb_map_get_reader_page);

        (!page.is_null()).then(|| self.page())
    }

    /// Whether writers have left `page` for good: all its events are committed.
    ///
    /// What is then loaded of the page is final.
    pub(crate) fn is_complete(&self, page: &ReaderPage<'_>) -> bool {
        let commit = load!(self.cpu.as_ptr(), commit_page);

        // Pairs with the writer's barrier between its commit to a page and the step to the next.
        smp_mb(Read);
        commit != page.page
    }

    /// The events that were lost when the reader page came in, and are not reported yet.
    pub(crate) fn lost(&self) -> Lost {
        match load!(self.cpu.as_ptr(), lost_events) {
            usize::MAX => Lost::Unknown,
            events => Lost::Events(events as u64),
        }
    }

    /// Replaces [`Self::lost`]: by [`Lost::NONE`] once it is reported. Returns what it was.
    pub(crate) fn replace_lost(&self, lost: Lost) -> Lost {
        let before = self.lost();
        let events = match lost {
            Lost::Unknown => usize::MAX,
            Lost::Events(events) => events as usize,
        };

        store!(self.cpu.as_ptr(), lost_events, events);
        before
    }

    /// The time stamp of the last event that was read.
    pub(crate) fn stamp(&self) -> u64 {
        load!(self.cpu.as_ptr(), read_stamp)
    }

    /// Sets the time stamp of the last event that was read.
    pub(crate) fn set_stamp(&self, stamp: u64) {
        store!(self.cpu.as_ptr(), read_stamp, stamp);
    }

    /// Counts `entries` events of `bytes` bytes as read.
    pub(crate) fn account(&self, entries: usize, bytes: usize) {
        let cpu = self.cpu.as_ptr();

        store!(cpu, read, load!(cpu, read).wrapping_add(entries));
        store!(cpu, read_bytes, load!(cpu, read_bytes).wrapping_add(bytes));
    }

    /// Refreshes `meta`, the buffer's meta-page, which shows `lost` if it is given.
    ///
    /// Otherwise it shows a loss that waits to be reported; or what it showed before if that is on
    /// the page; or none, as another reader brought the page in.
    #[inline]
    pub(crate) fn publish(&self, meta: MetaRef, lost: Option<Lost>) {
        let cpu = self.cpu.as_ptr();
        let reader_id = call!(self, rb_map_reader_id) as u32;
        let page = self.page();
        // A mark goes when writers get the page back. Pages of persistent buffers have none.
        let stays = || match self.is_persistent() {
            true => meta.reader_id() == reader_id,
            false => page.is_marked(),
        };
        let lost = match (lost, self.lost()) {
            (None, Lost::NONE) if stays() => None,
            (None, pending) => Some(pending),
            (lost, _) => lost,
        };

        meta.publish(&Statistics {
            lost: lost.map(Lost::known),
            reader_id,
            reader_read: page.read() as u32,
            entries: load!(cpu, entries.a.counter) as u64,
            overrun: load!(cpu, overrun.a.counter) as u64,
            read: load!(cpu, read) as u64,
            pages_lost: load!(cpu, pages_lost.a.counter) as u64,
            pages_touched: load!(cpu, pages_touched.a.counter) as u64,
        });
    }

    /// Says in the kernel log that events were lost while one was being written.
    pub(crate) fn log_commit_overrun(&self, lost: Lost) {
        // SAFETY: Always safe to call.
        unsafe { bindings::rb_map_commit_overrun(self.cpu_number(), lost.known() as usize) };
    }

    /// Gives each sub-buffer its id, the reader page first, and fills `ids`, which has room for
    /// `nr`, with them.
    fn fill_ids(&self, ids: &mut SubbufIds, nr: usize) -> Result {
        let cpu = self.cpu.as_ptr();
        let reader = load!(cpu, reader_page);
        let head = call!(self, rb_map_set_head_page);

        if head.is_null() {
            return Err(EIO);
        }
        if self.cpu.is_persistent() {
            return self.find_ids(ids, nr, reader, head);
        }

        let mut id = 0;
        let end = ids.fill(reader, |page| {
            store!(page, _bitfield_1, id_field(id));
            id += 1;
            // The reader page is not in the ring.
            if id == 1 {
                head
            } else {
                next_page(page)
            }
        });
        check_ring(end, head)
    }

    /// As [`Self::fill_ids`] for a persistent buffer, whose ids are the places in its memory.
    fn find_ids(
        &self,
        ids: &mut SubbufIds,
        nr: usize,
        reader: *mut bindings::buffer_page,
        head: *mut bindings::buffer_page,
    ) -> Result {
        ids.fill(ptr::null_mut(), |null| null);

        let mut page = reader;
        for index in 0..nr {
            // SAFETY: The `reader_lock` is held by the type invariants, and `page` is a sub-buffer.
            let id = unsafe { bindings::rb_map_page_id(self.cpu.as_ptr(), page, index as i32) };
            let slot = ids.get_mut(id as usize).ok_or(EIO)?;

            if !slot.is_null() {
                return Err(EIO);
            }
            *slot = page;
            page = if index == 0 { head } else { next_page(page) };
        }
        check_ring(page, head)
    }
}

/// The sub-buffer behind `page` in the ring. Mirrors `rb_inc_page()`.
fn next_page(page: *mut bindings::buffer_page) -> *mut bindings::buffer_page {
    const _: () = assert!(offset_of!(bindings::buffer_page, list) == 0);

    // Writers keep flags in the lower bits of the pointer.
    load!(page, list.next)
        .map_addr(|next| next & !(bindings::RB_FLAG_MASK as usize))
        .cast()
}

/// The ring ends where it began, or it has not as many sub-buffers as `nr_pages` says.
fn check_ring(end: *mut bindings::buffer_page, head: *mut bindings::buffer_page) -> Result {
    if end != head {
        return Err(EIO);
    }
    Ok(())
}

type IdField = bindings::__BindgenBitfieldUnit<[u8; 4]>;

/// The bit-fields of a sub-buffer with `id` that is not in memory of a persistent buffer.
///
/// Written at once; the setters of bindgen go bit by bit.
fn id_field(id: u32) -> IdField {
    let word = if cfg!(target_endian = "little") {
        id
    } else {
        id << (u32::BITS - bindings::RB_STATIC_BITS)
    };

    IdField::new(word.to_ne_bytes())
}

/// The reader page of a buffer: a sub-buffer that writers may still be on, but do not take back.
///
/// # Invariants
///
/// A valid sub-buffer of `cpu`. It is the reader page for `'a`.
pub(crate) struct ReaderPage<'a> {
    page: *mut bindings::buffer_page,
    cpu: &'a CpuBuffer,
}

/// What tells sub-buffers apart, without access to them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageId(usize);

impl ReaderPage<'_> {
    fn data(&self) -> *mut bindings::buffer_data_page {
        load!(self.page, page)
    }

    /// The size of a sub-buffer, in bytes.
    fn subbuf_size(&self) -> usize {
        PAGE_SIZE << self.cpu.order()
    }

    /// How many bytes of data a sub-buffer has room for.
    fn capacity(&self) -> usize {
        self.subbuf_size() - PAGE_HEADER
    }

    /// What tells it from other sub-buffers.
    pub(crate) fn id(&self) -> PageId {
        PageId(self.page.addr())
    }

    /// Whether this is the sub-buffer with `id`.
    pub(crate) fn is(&self, id: PageId) -> bool {
        self.id() == id
    }

    /// How many bytes of it are read.
    pub(crate) fn read(&self) -> usize {
        load!(self.page, read) as usize
    }

    /// Counts the first `size` bytes as read.
    pub(crate) fn set_read(&self, size: usize) {
        store!(self.page, read, size as u32);
    }

    /// How many bytes of it are committed. Mirrors `rb_page_size()`.
    pub(crate) fn size(&self) -> usize {
        let commit = load!(self.data(), commit.a.counter) as u32;

        (commit & !bindings::RB_MISSED_MASK) as usize
    }

    /// The time that its first event is relative to.
    pub(crate) fn stamp(&self) -> u64 {
        load!(self.data(), time_stamp)
    }

    /// The number of events on it. Mirrors `rb_page_entries()`.
    pub(crate) fn entries(&self) -> usize {
        load!(self.page, entries.a.counter) as usize & bindings::RB_WRITE_MASK as usize
    }

    /// The committed bytes from `start` to `end`, as far as they are on the page.
    pub(crate) fn committed(&self, start: usize, end: usize) -> &[u8] {
        let end = end.min(self.size()).min(self.capacity());
        let start = start.min(end);

        // The writer's commit came after what it wrote. Pairs with the barrier there.
        smp_mb(Read);

        // SAFETY: The range is within the data of the page by the type invariants. Nobody writes
        // to committed bytes while it is the reader page: writers append behind them, and user
        // space maps the page read-only.
        unsafe {
            slice::from_raw_parts(
                (&raw const (*self.data()).data).cast::<u8>().add(start),
                end - start,
            )
        }
    }

    /// Whether it says that events are missing before it.
    fn is_marked(&self) -> bool {
        load!(self.data(), commit.a.counter) as u32 & bindings::RB_MISSED_EVENTS != 0
    }

    /// Marks on the page, which must be complete, that `lost` events are missing before it.
    ///
    /// The mark is a flag; the number goes behind the data, if it is known and there is room.
    pub(crate) fn mark_lost(&self, lost: Lost) {
        // Where the last event ends is known for a page that writers filled up.
        let end = match load!(self.page, real_end) {
            0 => self.size(),
            end => end,
        };
        let mut mark = bindings::RB_MISSED_EVENTS;

        if let Lost::Events(events) = lost {
            if self.capacity().saturating_sub(end) >= size_of::<u64>() {
                // SAFETY: There is room for the number on the page, by the check above and the
                // type invariants. It is behind the committed bytes, and writers are done.
                unsafe {
                    (&raw mut (*self.data()).data)
                        .cast::<u8>()
                        .add(end)
                        .cast::<u64>()
                        .write_unaligned(events)
                };
                mark |= bindings::RB_MISSED_STORED;
            }
        }

        // User space that sees the mark sees the number too.
        smp_mb(Write);
        // C adds the flags as an int: the upper half of the word is ABI, too.
        store!(
            self.data(),
            commit.a.counter,
            end as i64 | i64::from(mark as i32)
        );
    }

    /// Makes the page visible to user space where the data caches are not coherent.
    pub(crate) fn flush(&self) {
        if let Some(address) = NonNull::new(self.data().cast()) {
            // SAFETY: The page is mapped kernel memory of this size by the type invariants.
            unsafe { flush_kernel_vmap_range(address, self.subbuf_size()) };
        }
    }
}

#[kunit_tests(ring_buffer_map_cpu_buffer)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_where_bindgen_has_them() {
        for id in [0, 1, 0x1234_5678, (1 << bindings::RB_STATIC_BITS) - 1] {
            assert!(id_field(id) == bindings::buffer_page::new_bitfield_1(id, 0));
        }
    }
}
