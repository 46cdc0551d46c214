// SPDX-License-Identifier: GPL-2.0

//! The view of what is behind an open `trace_pipe_raw`: C's [`struct trace_iterator`] and
//! [`struct trace_array`].
//!
//! [`struct trace_array`]: srctree/kernel/trace/trace.h
//! [`struct trace_iterator`]: srctree/include/linux/trace_events.h

use super::{
    bindings,
    cpu_buffer::TraceBuffer, //
};
#[cfg(CONFIG_TRACER_SNAPSHOT)]
use kernel::sync::{
    atomic::{
        Atomic,
        Relaxed, //
    },
    barrier::{
        smp_mb,
        Full, //
    },
    rcu::synchronize_rcu,
    SpinLock, //
};
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// An open `per_cpu/cpuN/trace_pipe_raw`: what is set at open and stays.
pub(crate) struct TraceFile<'a> {
    /// The instance of the file.
    pub(crate) array: &'a TraceArray,
    /// The CPU of the file.
    pub(crate) cpu: i32,
    /// The flags of the instance.
    flags: u32,
    array_buffer: *const bindings::array_buffer,
}

impl<'a> TraceFile<'a> {
    /// # Safety
    ///
    /// `file` must be valid for `'a` and have been opened by `tracing_buffers_open()`.
    pub(crate) unsafe fn from_raw(file: *mut kernel::bindings::file) -> Self {
        // SAFETY: By the safety requirements `private_data` has an iterator, whose fields were set
        // at open. The open file keeps the instance, whose flags were set before.
        unsafe {
            let iter =
                &raw const (*(*file).private_data.cast::<bindings::ftrace_buffer_info>()).iter;

            Self {
                array: &*(*iter).tr.cast(),
                cpu: (*iter).cpu_file,
                flags: (*(*iter).tr).flags,
                array_buffer: (*iter).array_buffer,
            }
        }
    }

    /// The ring buffer of the instance, at this moment: a snapshot swaps it for another.
    ///
    /// It is the one to map only while snapshots are excluded.
    pub(crate) fn buffer(&self) -> &'a TraceBuffer {
        // SAFETY: The instance owns both of the ring buffers that are swapped, and the open file
        // keeps the instance.
        unsafe {
            TraceBuffer::from_raw(
                (&raw const (*self.array_buffer).buffer)
                    .read_volatile()
                    .cast(),
            )
        }
    }

    /// Whether the instance is of a kind that cannot be mapped: in reserved physical memory, or a
    /// backup of a persistent one.
    pub(crate) fn is_unmappable(&self) -> bool {
        self.flags & (bindings::TRACE_ARRAY_FL_MEMMAP | bindings::TRACE_ARRAY_FL_VMALLOC) != 0
    }

    /// Excludes other consumers of the CPU. May sleep. Mirrors C's `trace_access_lock()`.
    ///
    /// Its holders may take the mmap lock, to print addresses of user space.
    pub(crate) fn lock_access(&self) -> Access {
        // SAFETY: The CPU of an open file is a possible one.
        unsafe { bindings::trace_map_access_lock(self.cpu) };
        Access { cpu: self.cpu }
    }

    /// Waits until `buffer_percent` of the CPU's buffer is full. Interruptible.
    pub(crate) fn wait(&self) -> Result {
        // SAFETY: The buffer and the instance are valid by the invariants of their types; without a
        // condition the wait is for one wake-up.
        to_result(unsafe {
            kernel::bindings::ring_buffer_wait(
                self.buffer().as_raw(),
                self.cpu,
                (*self.array.0.get()).buffer_percent,
                None,
                core::ptr::null_mut(),
            )
        })
    }
}

/// The right to consume events of a CPU, given back on drop.
///
/// Who formats an event has it, too: the event stays on its page for so long.
pub(crate) struct Access {
    cpu: i32,
}

impl Drop for Access {
    fn drop(&mut self) {
        // SAFETY: `lock_access()` has locked it for the CPU.
        unsafe { bindings::trace_map_access_unlock(self.cpu) };
    }
}

/// An instance of the tracing system, C's `struct trace_array`.
///
/// # Invariants
///
/// A valid `struct trace_array`.
#[repr(transparent)]
pub(crate) struct TraceArray(Opaque<bindings::trace_array>);

/// What decides between snapshots and mappings: taking a snapshot swaps the ring buffers of an
/// instance, so only one of the two can be had at a time.
#[cfg(CONFIG_TRACER_SNAPSHOT)]
struct SnapshotState<'a> {
    /// Held to change `mapped` and `armed`; C reads `mapped` without it.
    lock: &'a SpinLock<()>,
    /// The number of VMAs, and [`SETTLED`]. C asks only whether it is 0.
    mapped: &'a Atomic<u32>,
    /// The number of users that may take a snapshot.
    armed: &'a Atomic<u32>,
    /// Whether there is a buffer to swap with.
    allocated: &'a Atomic<bool>,
}

/// Set once every snapshot that did not see the first VMA is over.
#[cfg(CONFIG_TRACER_SNAPSHOT)]
const SETTLED: u32 = 1 << 31;

/// More VMAs than this are not counted, and the exclusion stays.
#[cfg(CONFIG_TRACER_SNAPSHOT)]
const MANY: u32 = SETTLED - 1;

#[cfg(CONFIG_TRACER_SNAPSHOT)]
impl TraceArray {
    fn snapshots(&self) -> SnapshotState<'_> {
        let array = self.0.get();

        // SAFETY: The struct is valid for as long as `self` is, and C has initialised the lock.
        // C writes each field in one go.
        unsafe {
            SnapshotState {
                lock: SpinLock::from_raw(&raw mut (*array).snapshot_trigger_lock),
                mapped: Atomic::from_ptr(&raw mut (*array).mapped),
                armed: Atomic::from_ptr(&raw mut (*array).snapshot),
                allocated: Atomic::from_ptr(&raw mut (*array).allocated_snapshot),
            }
        }
    }

    /// Excludes snapshots for one VMA. May sleep. Mirrors C's `get_snapshot_map()`.
    ///
    /// # Errors
    ///
    /// `EBUSY` if a snapshot is armed, or if there are too many VMAs.
    pub(crate) fn exclude_snapshots(&self) -> Result {
        let state = self.snapshots();

        {
            let _guard = state.lock.lock();
            let mapped = state.mapped.load(Relaxed);

            if mapped & MANY == MANY || state.armed.load(Relaxed) != 0 {
                return Err(EBUSY);
            }
            state.mapped.store(mapped + 1, Relaxed);
            if mapped & SETTLED != 0 {
                return Ok(());
            }

            // Without a buffer to swap with there is no snapshot, and who allocates one later sees
            // the count.
            smp_mb(Full);
            if !state.allocated.load(Relaxed) {
                state.mapped.store((mapped + 1) | SETTLED, Relaxed);
                return Ok(());
            }
        }

        // A snapshot that did not see the count may be in flight, with preemption disabled. Who
        // maps in the meantime waits, too.
        synchronize_rcu();

        let _guard = state.lock.lock();
        let mapped = state.mapped.load(Relaxed);

        state.mapped.store(mapped | SETTLED, Relaxed);
        Ok(())
    }

    /// Excludes snapshots for one more VMA; there already is one.
    pub(crate) fn exclude_snapshots_again(&self) {
        let state = self.snapshots();
        let _guard = state.lock.lock();
        let mapped = state.mapped.load(Relaxed);

        if mapped & MANY != MANY {
            state.mapped.store(mapped + 1, Relaxed);
        }
    }

    /// Gives back what one VMA excluded. Mirrors C's `put_snapshot_map()`.
    pub(crate) fn allow_snapshots(&self) {
        let state = self.snapshots();
        let _guard = state.lock.lock();

        let mapped = state.mapped.load(Relaxed);

        match mapped & MANY {
            MANY => (),
            0 | 1 => state.mapped.store(0, Relaxed),
            _ => state.mapped.store(mapped - 1, Relaxed),
        }
    }
}

/// Without snapshots there is nothing to exclude.
#[cfg(not(CONFIG_TRACER_SNAPSHOT))]
impl TraceArray {
    pub(crate) fn exclude_snapshots(&self) -> Result {
        Ok(())
    }

    pub(crate) fn exclude_snapshots_again(&self) {}

    pub(crate) fn allow_snapshots(&self) {}
}
