// SPDX-License-Identifier: GPL-2.0

//! The exclusion of snapshots by mappings.
//!
//! A snapshot swaps the ring buffer of an instance for another one, and nobody would write to the
//! mapped buffer any more. An instance therefore has either mappings or users that may take
//! snapshots. C's `mapped` counts the former, `snapshot` the latter, both under
//! `snapshot_trigger_lock`. C takes a snapshot without the lock if `mapped` is 0. `mapped_settled`
//! says that every snapshot in flight has seen that it is not 0.

#[cfg(CONFIG_TRACER_SNAPSHOT)]
use super::bindings::{
    trace_map_count,
    trace_map_set_count, //
};
use super::{
    bindings::{
        ftrace_buffer_info,
        trace_array, //
    },
    raw::{
        Settled,
        Shared, //
    }, //
};
use core::mem::ManuallyDrop;
use kernel::prelude::*;
#[cfg(CONFIG_TRACER_SNAPSHOT)]
use kernel::sync::{
    barrier::{
        smp_mb,
        Full, //
    },
    rcu::synchronize_rcu,
    SpinLockGuard, //
};

/// An instance with its `snapshot_trigger_lock` held, to count its mappings.
///
/// The invariants of [`SnapshotExclusion`] depend on that count, so only this module changes it.
///
/// # Invariants
///
/// The guard is of the lock of `array`.
#[cfg(CONFIG_TRACER_SNAPSHOT)]
struct CountGuard<'a> {
    array: Shared<'a, trace_array>,
    _guard: SpinLockGuard<'a, ()>,
}

#[cfg(CONFIG_TRACER_SNAPSHOT)]
impl<'a> CountGuard<'a> {
    fn lock(array: Shared<'a, trace_array>) -> Self {
        // INVARIANT: It is the lock of this instance.
        Self {
            array,
            _guard: array.snapshot_lock().lock(),
        }
    }

    /// The mappings, and what there is of snapshots.
    fn get(&self) -> trace_map_count {
        // SAFETY: The instance is valid by the type invariants of `Shared`, and the lock is held.
        unsafe { trace_map_count(self.array.as_ptr()) }
    }

    /// Sets the mappings. What there is of snapshots is ignored.
    fn set(&mut self, count: trace_map_count) {
        // SAFETY: As in `get()`.
        unsafe { trace_map_set_count(self.array.as_ptr(), count) };
    }
}

/// The exclusion of snapshots by one VMA.
///
/// Allows them again when it is dropped, if it is the last.
///
/// # Invariants
///
/// The instance has no snapshot in flight, and one unit of its count of mappings, which keeps
/// snapshots from being taken, is of this value.
#[must_use = "snapshots are allowed again immediately when the value is unused"]
pub(crate) struct SnapshotExclusion<'a> {
    array: Shared<'a, trace_array>,
}

impl<'a> SnapshotExclusion<'a> {
    /// Leaves the exclusion to the VMA, which [`Self::of_vma`] takes it back from.
    pub(crate) fn leave_to_vma(self) {
        let _left = ManuallyDrop::new(self);
    }

    /// Takes back what was left to a VMA.
    ///
    /// # Safety
    ///
    /// [`Self::leave_to_vma`] must have left an exclusion of the instance, which was not taken back
    /// yet. The result must be dropped once for it, as the VMA goes away; before that it may be
    /// borrowed, but not dropped.
    pub(crate) unsafe fn of_vma(array: Shared<'a, trace_array>) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self { array }
    }

    /// The buffer of `file`, which is of the instance, and which no snapshot swaps for another one.
    pub(crate) fn buffer_of(&self, file: Shared<'a, ftrace_buffer_info>) -> Option<Settled<'_>> {
        if file.array().as_ptr() != self.array.as_ptr() {
            return None;
        }
        // SAFETY: By the type invariants there is no snapshot for as long as `self` is borrowed. It
        // is the buffer of an instance: __remove_instance() frees persistent memory if user space
        // has no reference, and no mapping to take one from.
        Some(unsafe { Settled::assume(file.cpu_buffer()?) })
    }
}

#[cfg(CONFIG_TRACER_SNAPSHOT)]
impl<'a> SnapshotExclusion<'a> {
    /// Excludes snapshots, and waits for one that is in flight. May sleep.
    ///
    /// Mirrors C's `get_snapshot_map()`.
    ///
    /// # Errors
    ///
    /// `EBUSY` if a snapshot is armed, or if there are too many VMAs.
    pub(crate) fn new(array: Shared<'a, trace_array>) -> Result<Self> {
        let guard = CountGuard::lock(array);
        let count = guard.get();

        // A count that is at its limit stays there.
        if count.mapped == u32::MAX || count.armed {
            return Err(EBUSY);
        }
        Ok(Self::count(array, guard))
    }

    /// Excludes snapshots for one more VMA. May sleep, if another VMA waits for a snapshot yet.
    pub(crate) fn again(&self) -> Self {
        Self::count(self.array, CountGuard::lock(self.array))
    }

    /// Counts one more VMA, and waits until every snapshot in flight has seen the count.
    fn count(array: Shared<'a, trace_array>, mut guard: CountGuard<'a>) -> Self {
        let mut count = guard.get();
        let settled = count.settled;

        count.mapped = count.mapped.saturating_add(1);
        guard.set(count);

        // INVARIANT: The unit was added just above. At the limit there is one for good. No snapshot
        // was armed under the same lock: `new()` has tested that, and `again()` has another
        // exclusion, with which none can be. The wait comes before anybody uses the value.
        let this = Self { array };

        if !settled {
            this.settle(guard);
        }
        this
    }

    /// Waits until every snapshot in flight has seen the count. May sleep.
    fn settle(&self, mut guard: CountGuard<'a>) {
        // Orders the store of the count before the load of `had_snapshot`. Pairs with the smp_mb()
        // in tracing_snapshot_instance_cond(), between the loads of `allocated_snapshot` and of the
        // count, and with the smp_wmb() in tracing_alloc_snapshot_instance(), between the stores of
        // `had_snapshot` and of `allocated_snapshot`. If `had_snapshot` is loaded as false, a
        // snapshot that finds a buffer to swap with sees the count.
        smp_mb(Full);

        if guard.get().had_snapshot {
            drop(guard);
            // A snapshot has interrupts disabled from the load of the count to the swap. As the
            // flag is not set yet, a VMA that is mapped meanwhile waits, too.
            synchronize_rcu();
            guard = CountGuard::lock(self.array);
        }

        let mut count = guard.get();

        count.settled = true;
        guard.set(count);
    }
}

/// Mirrors C's `put_snapshot_map()`.
#[cfg(CONFIG_TRACER_SNAPSHOT)]
impl Drop for SnapshotExclusion<'_> {
    fn drop(&mut self) {
        let mut guard = CountGuard::lock(self.array);
        let mut count = guard.get();

        if count.mapped != u32::MAX {
            count.mapped = count.mapped.saturating_sub(1);
        }
        count.settled &= count.mapped != 0;
        guard.set(count);
    }
}

/// Without snapshots there is nothing to exclude.
#[cfg(not(CONFIG_TRACER_SNAPSHOT))]
impl<'a> SnapshotExclusion<'a> {
    pub(crate) fn new(array: Shared<'a, trace_array>) -> Result<Self> {
        // INVARIANT: There are no snapshots.
        Ok(Self { array })
    }

    pub(crate) fn again(&self) -> Self {
        // INVARIANT: As above.
        Self { array: self.array }
    }
}
