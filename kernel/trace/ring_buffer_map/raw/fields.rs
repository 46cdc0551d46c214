// SPDX-License-Identifier: GPL-2.0

//! The fields of C's structs that the mapping accesses, with their types and locks.
//!
//! What each field means is described at the struct, in [`ring_buffer.c`] or in [`trace_mmap.h`].
//!
//! [`ring_buffer.c`]: srctree/kernel/trace/ring_buffer.c
//! [`trace_mmap.h`]: srctree/include/uapi/linux/trace_mmap.h

use super::{
    Atomic,
    BothLocks,
    CompletePageLock,
    Field,
    Link,
    LoadOnly,
    Lock,
    MappingLock,
    ReaderIndex,
    ReaderLock, //
};

/// Declares fields of `$struct`. The type of each is checked against the struct's.
///
/// # Safety
///
/// The lock of each field must protect it as the invariants of [`Field`] say.
macro_rules! fields {
    (unsafe $struct:ty { $($name:ident: $($path:ident).+, $type:ty, $lock:ty;)* }) => {
        $(
            pub(crate) const $name: Field<$struct, $type, $lock> = {
                let offset = core::mem::offset_of!($struct, $($path).+);

                // SAFETY: The offset and the type are those of one field. The user of the macro
                // vouches for the lock.
                unsafe { Field::new(offset, Field::typed(|s: &$struct| &s.$($path).+)) }
            };
        )*
    };
}

/// `struct trace_buffer`.
pub(crate) mod buffer {
    use super::*;
    use crate::bindings::{
        ring_buffer_per_cpu,
        trace_buffer, //
    };
    use kernel::sync::lock::mutex::MutexBackend;

    // SAFETY: C initialises the mutex with the struct.
    fields! {
        unsafe trace_buffer {
            BUFFERS: buffers, *mut *mut ring_buffer_per_cpu, LoadOnly;
            SUBBUF_ORDER: subbuf_order, u32, LoadOnly;
            MUTEX: mutex, kernel::bindings::mutex, Lock<(), MutexBackend>;
        }
    }
}

/// `struct ring_buffer_per_cpu`.
pub(crate) mod cpu {
    use super::*;
    use crate::bindings::{
        buffer_page,
        ring_buffer_cpu_meta,
        ring_buffer_per_cpu,
        ring_buffer_remote,
        trace_buffer, //
    };
    use core::ffi::c_void;
    use kernel::{
        bindings::raw_spinlock_t,
        sync::lock::{
            mutex::MutexBackend,
            raw_spinlock::RawSpinLockIrqBackend, //
        }, //
    };

    // SAFETY:
    // - Readers in C store to the fields of `ReaderLock` under that lock only, and cope with any
    //   value of them: they are statistics and a time.
    // - The reader page is never missing. It is swapped under `reader_lock`, and freed or given
    //   another memory under it or with the buffer.
    // - The fields of the mapping are Rust's alone.
    fields! {
        unsafe ring_buffer_per_cpu {
            CPU: cpu, i32, LoadOnly;
            CNT: cnt, usize, LoadOnly;
            REMOTE: remote, *mut ring_buffer_remote, LoadOnly;
            BUFFER: buffer, *mut trace_buffer, LoadOnly;
            RING_META: ring_meta, *mut ring_buffer_cpu_meta, LoadOnly;
            NR_PAGES: nr_pages, usize, LoadOnly;
            MAPPING_LOCK: mapping_lock, kernel::bindings::mutex, Lock<(), MutexBackend>;
            READER_LOCK: reader_lock, raw_spinlock_t, Lock<(), RawSpinLockIrqBackend>;

            // Set to 0 and from 0 only with `MAP_STATE`, so under both locks.
            USER_MAPPED: user_mapped, u32, MappingLock;
            MAP_STATE: map_state, *mut c_void, BothLocks;

            READER_PAGE: reader_page, *mut buffer_page, Link<ReaderLock>;
            COMMIT_PAGE: commit_page, *mut buffer_page, LoadOnly;
            LOST_EVENTS: lost_events, usize, ReaderLock;
            READ: read, usize, ReaderLock;
            READ_BYTES: read_bytes, usize, ReaderLock;
            READ_STAMP: read_stamp, u64, ReaderLock;

            ENTRIES: entries.a.counter, i64, LoadOnly;
            OVERRUN: overrun.a.counter, i64, LoadOnly;
            PAGES_LOST: pages_lost.a.counter, i64, LoadOnly;
            PAGES_TOUCHED: pages_touched.a.counter, i64, LoadOnly;
        }
    }

    /// The count of what disables resizing, which only
    /// [`ResizeDisabled`](crate::raw::ResizeDisabled) changes.
    pub(in crate::raw) const RESIZE_DISABLED: Field<ring_buffer_per_cpu, i32, Atomic<i32>> = {
        let offset = core::mem::offset_of!(ring_buffer_per_cpu, resize_disabled.counter);

        // SAFETY: The offset and the type are those of one field, which C accesses atomically.
        unsafe { Field::new(offset, Field::typed(|s| &s.resize_disabled.counter)) }
    };
}

/// `struct buffer_page`: a sub-buffer.
pub(crate) mod page {
    use super::*;
    use crate::bindings::{
        __BindgenBitfieldUnit, //
        buffer_data_page,
        buffer_page,
        list_head,
    };
    use core::mem::offset_of;

    // SAFETY: Readers in C store to `read` under `reader_lock` only, and trust it to be an index
    // into the committed bytes. A sub-buffer always has its memory, which is replaced under that
    // lock.
    fields! {
        unsafe buffer_page {
            NEXT: list.next, *mut list_head, LoadOnly;
            READ: read, u32, ReaderIndex;
            ENTRIES: entries.a.counter, i64, LoadOnly;
            REAL_END: real_end, usize, LoadOnly;
            ORDER: order, u32, LoadOnly;
            DATA: page, *mut buffer_data_page, Link<ReaderLock>;
        }
    }

    // A new bit-field changes this type. Then the stores to `ID` must keep it.
    const _: fn(u32, u32) -> __BindgenBitfieldUnit<[u8; 4]> = buffer_page::new_bitfield_1;

    /// The bit-fields `id` and `range`, as one word. `range` is 0 in buffers that have no memory of
    /// their own.
    pub(crate) const ID: Field<buffer_page, u32, ReaderLock> = {
        let offset = offset_of!(buffer_page, _bitfield_1);

        // SAFETY: The offset is that of the bit-fields, and `storage()` checks that they are stored
        // like a `u32`. They are stored to under `reader_lock` only.
        unsafe {
            Field::new(
                offset,
                Field::<_, u32, _>::storage(offset, |s| &s._bitfield_1),
            )
        }
    };
}

/// `struct buffer_data_page`: the memory of a sub-buffer.
pub(crate) mod data {
    use super::*;
    use crate::bindings::buffer_data_page;

    // SAFETY: Writers store to `commit`, but not once they have left the page. What is stored then
    // is taken from the page before.
    fields! {
        unsafe buffer_data_page {
            TIME_STAMP: time_stamp, u64, LoadOnly;
            COMMIT: commit.a.counter, i64, CompletePageLock;
        }
    }
}

/// `struct trace_buffer_meta`: the meta-page.
pub(crate) mod meta {
    use super::*;
    use kernel::uapi::trace_buffer_meta;

    // SAFETY: The kernel stores to a meta-page under the `reader_lock` of its buffer only, and
    // loads only the id, to compare it.
    fields! {
        unsafe trace_buffer_meta {
            META_PAGE_SIZE: meta_page_size, u32, ReaderLock;
            META_STRUCT_LEN: meta_struct_len, u32, ReaderLock;
            SUBBUF_SIZE: subbuf_size, u32, ReaderLock;
            NR_SUBBUFS: nr_subbufs, u32, ReaderLock;
            READER_LOST_EVENTS: reader.lost_events, u64, ReaderLock;
            READER_ID: reader.id, u32, ReaderLock;
            READER_READ: reader.read, u32, ReaderLock;
            ENTRIES: entries, u64, ReaderLock;
            OVERRUN: overrun, u64, ReaderLock;
            READ: read, u64, ReaderLock;
            PAGES_LOST: pages_lost, u64, ReaderLock;
            PAGES_TOUCHED: pages_touched, u64, ReaderLock;
        }
    }
}
