// SPDX-License-Identifier: LGPL-2.1-or-later

//! The meta-page of a mapped buffer: its sizes and the kernel's counters.

use std::mem::{offset_of, size_of};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// `struct trace_buffer_meta` of `include/uapi/linux/trace_mmap.h`. Each field is an atomic, because
/// the kernel writes to it at any time.
#[repr(C)]
pub(crate) struct RawMeta {
    meta_page_size: AtomicU32,
    meta_struct_len: AtomicU32,
    subbuf_size: AtomicU32,
    nr_subbufs: AtomicU32,
    reader_lost_events: AtomicU64,
    reader_id: AtomicU32,
    reader_read: AtomicU32,
    flags: AtomicU64,
    entries: AtomicU64,
    overrun: AtomicU64,
    read: AtomicU64,
    pages_lost: AtomicU64,
    pages_touched: AtomicU64,
}

const _: () = {
    assert!(offset_of!(RawMeta, meta_page_size) == 0);
    assert!(offset_of!(RawMeta, meta_struct_len) == 4);
    assert!(offset_of!(RawMeta, subbuf_size) == 8);
    assert!(offset_of!(RawMeta, nr_subbufs) == 12);
    assert!(offset_of!(RawMeta, reader_lost_events) == 16);
    assert!(offset_of!(RawMeta, reader_id) == 24);
    assert!(offset_of!(RawMeta, reader_read) == 28);
    assert!(offset_of!(RawMeta, flags) == 32);
    assert!(offset_of!(RawMeta, entries) == 40);
    assert!(offset_of!(RawMeta, overrun) == 48);
    assert!(offset_of!(RawMeta, read) == 56);
    assert!(offset_of!(RawMeta, pages_lost) == 64);
    assert!(offset_of!(RawMeta, pages_touched) == 72);
    assert!(size_of::<RawMeta>() == 80);
};

/// Sizes that hold for the life of a mapping: the kernel refuses to change them while it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Geometry {
    /// Bytes before the first sub-buffer.
    pub meta_page_size: usize,
    /// Bytes of a sub-buffer, its header included.
    pub subbuf_size: usize,
    /// Number of sub-buffers, the reader's included.
    pub nr_subbufs: u32,
}

impl Geometry {
    /// Bytes of all sub-buffers. Checked when the mapping was made.
    pub fn data_len(&self) -> usize {
        self.subbuf_size.saturating_mul(self.nr_subbufs as usize)
    }

    pub(crate) fn check(raw: &RawMeta, page_size: usize) -> std::result::Result<Self, String> {
        let load = |field: &AtomicU32| field.load(Ordering::Relaxed);
        let len = load(&raw.meta_struct_len) as usize;
        let geometry = Geometry {
            meta_page_size: load(&raw.meta_page_size) as usize,
            subbuf_size: load(&raw.subbuf_size) as usize,
            nr_subbufs: load(&raw.nr_subbufs),
        };
        let whole_pages = |size: usize| size != 0 && size.checked_rem(page_size) == Some(0);

        if len < size_of::<RawMeta>() || len > geometry.meta_page_size {
            return Err(format!("its structure has {len} bytes"));
        }
        if !whole_pages(geometry.meta_page_size) || !whole_pages(geometry.subbuf_size) {
            return Err(format!("sizes are not whole pages: {geometry:?}"));
        }
        let sum = geometry
            .subbuf_size
            .checked_mul(geometry.nr_subbufs as usize)
            .and_then(|len| len.checked_add(geometry.meta_page_size))
            .filter(|sum| isize::try_from(*sum).is_ok());
        if geometry.nr_subbufs == 0 || sum.is_none() {
            return Err(format!("{} sub-buffers", geometry.nr_subbufs));
        }
        Ok(geometry)
    }
}

/// The counters of the meta-page, as of the last `GET_READER`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Meta {
    /// Events lost before the current reader page, if the swap to it lost any. (The C
    /// implementation leaves 0 here.)
    pub reader_lost_events: u64,
    /// Which sub-buffer is the reader page.
    pub reader_id: u32,
    /// How many bytes of the reader page's data the kernel takes for consumed.
    pub reader_read: u32,
    /// Events written since the buffer was reset.
    pub entries: u64,
    /// Events overwritten before they were read.
    pub overrun: u64,
    /// Events read.
    pub read: u64,
    /// Pages overwritten before they were read.
    pub pages_lost: u64,
    /// Pages written.
    pub pages_touched: u64,
}

impl Meta {
    /// The counters of a meta-page.
    pub(crate) fn load(raw: &RawMeta) -> Self {
        let load = |field: &AtomicU64| field.load(Ordering::Relaxed);

        // The Rust implementation stores the id last, behind the smp_wmb() in MetaWriter::publish():
        // then the other fields are at least as new as the id. (Relaxed load and fence, as an
        // acquire load on read-only memory must be.) The C one stores all of them plainly, so that a
        // mixture of two calls may be seen while somebody else makes one.
        let reader_id = raw.reader_id.load(Ordering::Relaxed);
        fence(Ordering::Acquire);

        Meta {
            reader_lost_events: load(&raw.reader_lost_events),
            reader_id,
            reader_read: raw.reader_read.load(Ordering::Relaxed),
            entries: load(&raw.entries),
            overrun: load(&raw.overrun),
            read: load(&raw.read),
            pages_lost: load(&raw.pages_lost),
            pages_touched: load(&raw.pages_touched),
        }
    }

    /// Events in the buffer: written, neither read nor overwritten.
    pub fn unread(&self) -> u64 {
        self.entries
            .wrapping_sub(self.overrun)
            .wrapping_sub(self.read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(page: u32, len: u32, size: u32, nr: u32) -> RawMeta {
        let zero = || AtomicU64::new(0);
        RawMeta {
            meta_page_size: page.into(),
            meta_struct_len: len.into(),
            subbuf_size: size.into(),
            nr_subbufs: nr.into(),
            reader_lost_events: zero(),
            reader_id: 0.into(),
            reader_read: 0.into(),
            flags: zero(),
            entries: zero(),
            overrun: zero(),
            read: zero(),
            pages_lost: zero(),
            pages_touched: zero(),
        }
    }

    #[test]
    fn geometry_is_checked() {
        let check = |page, len, size, nr| Geometry::check(&raw(page, len, size, nr), 4096);
        let good = check(65536, 80, 65536, 17).unwrap();
        assert_eq!(good.data_len(), 17 * 65536);
        for (page, len, size, nr) in [
            (4096, 72, 4096, 3),
            (4096, 8192, 4096, 3),
            (0, 80, 4096, 3),
            (4096, 80, 0, 3),
            (4096, 80, 4000, 3),
            (4096, 80, 4096, 0),
            (4096, 80, 0xffff_f000, u32::MAX),
        ] {
            assert!(
                check(page, len, size, nr).is_err(),
                "{page} {len} {size} {nr}"
            );
        }
    }
}
