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
    IdLock,
    KeptLock,
    Link,
    LoadOnly,
    Lock,
    MappingLock,
    ReaderIndex,
    ReaderLock, //
};
use crate::bindings::{
    __BindgenBitfieldUnit,
    buffer_data_page,
    buffer_page,
    list_head,
    ring_buffer_cpu_meta,
    ring_buffer_per_cpu,
    trace_buffer, //
};
use kernel::{
    bindings::{
        mutex,
        raw_spinlock_t, //
    },
    ffi::c_void,
    sync::lock::{
        mutex::MutexBackend,
        raw_spinlock::RawSpinLockIrqBackend, //
    },
    uapi::trace_buffer_meta, //
};

/// Declares the fields of C's structs, those of each struct in a module of their own.
///
/// The type of each field is checked against the struct's. Of an `opaque` field only the
/// size and the alignment are checked.
///
/// # Safety
///
/// Each field must be accessed, and its lock protect it, as the invariants of [`Field`] say.
macro_rules! fields {
    (unsafe { $(
        $(#[$doc:meta])*
        mod $module:ident: $struct:ty {
            $($name:ident: $($path:ident).+ $(= $check:ident)?, $type:ty, $lock:ty;)*
        }
    )* }) => {
        $(
            $(#[$doc])*
            pub(crate) mod $module {
                use super::*;

                $(
                    pub(crate) const $name: Field<$struct, $type, $lock> = {
                        let offset = core::mem::offset_of!($struct, $($path).+);

                        // INVARIANT: The offset and the type are those of one field. The user of
                        // the macro vouches for the lock.
                        Field {
                            offset,
                            _type: fields!(@check $($check)?)(
                                offset,
                                |s: &$struct| &raw const s.$($path).+,
                            ),
                        }
                    };
                )*
            }
        )*
    };
    (@check) => { Field::typed };
    (@check opaque) => { Field::storage };
}

// SAFETY: This holds except for what a reader in an NMI does that finds `reader_lock` taken, see
// `reader_state`. It stores to the fields below without the lock, as it does while a reader in C
// holds it.
// - Each field is one aligned word. C stores to it by a `local_t`, by `WRITE_ONCE()`, or by a plain
//   store, which the kernel takes to be of the whole word. The types are integers and pointers, of
//   which each value is valid.
// - C initialises each mutex and lock with its struct. `resize_disabled` is atomic in C.
// - Fields of `LoadOnly` are not stored to.
// - `struct ring_buffer_per_cpu`: C stores to the fields of `ReaderLock` only under that lock,
//   and works with any value in them: they are statistics and a time stamp. A buffer always has a
//   reader page and a head page. Both pointers are changed under `reader_lock`. The sub-buffers are
//   unlinked to be freed, or their memory replaced, under that lock or together with the buffer.
//   `user_mapped`, `map_state` and `map_kept` are Rust's alone.
// - `struct buffer_page`: Readers in C store to `read` under `reader_lock` only, and trust it to be
//   the index of an event or of the end. The ids of sub-buffers in ordinary memory are Rust's
//   alone, and the other bit-fields are 0 there. A sub-buffer always has its memory, which is
//   replaced under `reader_lock`.
// - `struct buffer_data_page`: Writers store to `commit` until they have left the page. The value
//   that Rust stores after that was loaded from the page.
// - `struct trace_buffer_meta`: The kernel stores to a meta-page under the `reader_lock` of its
//   buffer only, and loads nothing of it.
fields! { unsafe {
    /// `struct trace_buffer`.
    mod buffer: trace_buffer {
        SUBBUF_ORDER: subbuf_order, u32, LoadOnly;
        MUTEX: mutex, mutex, Lock<(), MutexBackend>;
    }

    /// `struct ring_buffer_per_cpu`.
    mod cpu: ring_buffer_per_cpu {
        CPU: cpu, i32, LoadOnly;
        CNT: cnt, usize, LoadOnly;
        BUFFER: buffer, *mut trace_buffer, LoadOnly;
        RING_META: ring_meta, *mut ring_buffer_cpu_meta, LoadOnly;
        NR_PAGES: nr_pages, usize, LoadOnly;
        RESIZE_DISABLED: resize_disabled.counter, i32, Atomic<i32>;
        MAPPING_LOCK: mapping_lock, mutex, Lock<(), MutexBackend>;
        READER_LOCK: reader_lock, raw_spinlock_t, Lock<(), RawSpinLockIrqBackend>;

        // Set to 0 and from 0 only with `MAP_STATE`, so under both locks.
        USER_MAPPED: user_mapped, u32, MappingLock;
        MAP_STATE: map_state, *mut c_void, BothLocks;
        MAP_KEPT: map_kept, *mut c_void, KeptLock;

        HEAD_PAGE: head_page, *mut buffer_page, Link<ReaderLock>;
        READER_PAGE: reader_page, *mut buffer_page, Link<ReaderLock>;
        COMMIT_PAGE: commit_page, *mut buffer_page, LoadOnly;
        TAIL_PAGE: tail_page, *mut buffer_page, LoadOnly;
        LOST_EVENTS: lost_events, usize, ReaderLock;
        READER_LOST_EVENTS: reader_lost_events, usize, LoadOnly;
        READ: read, usize, ReaderLock;
        READ_BYTES: read_bytes, usize, ReaderLock;
        READ_STAMP: read_stamp, u64, ReaderLock;

        COMMITTING: committing = opaque, i64, LoadOnly;
        WRITE_STAMP: write_stamp = opaque, i64, LoadOnly;

        ENTRIES: entries = opaque, i64, LoadOnly;
        OVERRUN: overrun = opaque, i64, LoadOnly;
        PAGES_LOST: pages_lost = opaque, i64, LoadOnly;
        PAGES_TOUCHED: pages_touched = opaque, i64, LoadOnly;
    }

    /// `struct buffer_page`: a sub-buffer.
    mod page: buffer_page {
        NEXT: list.next, *mut list_head, LoadOnly;
        READ: read, u32, ReaderIndex;
        WRITE: write = opaque, i64, LoadOnly;
        ENTRIES: entries = opaque, i64, LoadOnly;
        REAL_END: real_end, usize, LoadOnly;
        ORDER: order, u32, LoadOnly;
        // The bit-fields `id` and `range`.
        ID: _bitfield_1 = opaque, u32, IdLock;
        DATA: page, *mut buffer_data_page, Link<ReaderLock>;
    }

    /// `struct buffer_data_page`: the memory of a sub-buffer.
    mod data: buffer_data_page {
        TIME_STAMP: time_stamp, u64, LoadOnly;
        COMMIT: commit = opaque, i64, CompletePageLock;
    }

    /// `struct trace_buffer_meta`: the meta-page.
    mod meta: trace_buffer_meta {
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
} }

// A new bit-field changes this type. Then the stores to `page::ID` must keep it, too.
const _: fn(u32, u32) -> __BindgenBitfieldUnit<[u8; 4]> = buffer_page::new_bitfield_1;
