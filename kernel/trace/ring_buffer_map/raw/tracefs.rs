// SPDX-License-Identifier: GPL-2.0

//! Functions of `trace.c`: open files and instances.

use super::Shared;
#[cfg(CONFIG_TRACER_SNAPSHOT)]
use crate::bindings::trace_map_count;
use crate::bindings::{
    self,
    ftrace_buffer_info,
    ring_buffer_per_cpu,
    trace_array, //
};
use core::ops::Deref;
#[cfg(CONFIG_TRACER_SNAPSHOT)]
use kernel::sync::{
    SpinLock,
    SpinLockGuard, //
};
use kernel::{
    error::to_result,
    prelude::*,
    types::NotThreadSafe, //
};

/// An open `trace_pipe_raw`.
impl<'a> Shared<'a, ftrace_buffer_info> {
    /// The instance of the file.
    pub(crate) fn array(self) -> Shared<'a, trace_array> {
        // SAFETY: The struct is valid by the type invariants. An open file keeps its instance.
        unsafe { Shared::from_raw(bindings::trace_map_array(self.as_ptr())) }
    }

    /// The CPU's buffer at this moment, if the CPU has one.
    pub(crate) fn cpu_buffer(self) -> Option<Shared<'a, ring_buffer_per_cpu>> {
        // SAFETY: The struct is valid by the type invariants. The result is null or a buffer. An
        // instance keeps both of the buffers that a snapshot swaps for as long as it lives.
        unsafe {
            let cpu_buffer = bindings::trace_map_cpu_buffer(self.as_ptr());

            (!cpu_buffer.is_null()).then(|| Shared::from_raw(cpu_buffer))
        }
    }

    /// Whether the memory of the instance's buffer cannot be mapped.
    pub(crate) fn is_unmappable(self) -> bool {
        // SAFETY: The struct is valid by the type invariants.
        unsafe { bindings::trace_map_unmappable(self.as_ptr()) }
    }

    /// Waits until `buffer_percent` of the CPU's buffer is full. May sleep.
    pub(crate) fn wait(self) -> Result {
        // SAFETY: The struct is valid by the type invariants.
        to_result(unsafe { bindings::trace_map_wait(self.as_ptr()) })
    }

    /// Takes the right to consume the CPU's events. May sleep.
    pub(crate) fn lock_access(self) -> AccessGuard<'a> {
        // SAFETY: The struct is valid by the type invariants.
        unsafe { bindings::trace_map_access_lock(self.as_ptr()) };
        // INVARIANT: It was locked just above.
        AccessGuard {
            file: self,
            access: Access(NotThreadSafe),
        }
    }
}

/// The right to consume the events of a CPU.
///
/// Code that prints an event in place holds it, too, so that the page of the event is not handed
/// back to the writers meanwhile.
///
/// # Invariants
///
/// Only this context has the right.
pub(crate) struct Access(NotThreadSafe);

impl Access {
    /// The right, which the caller has.
    ///
    /// # Safety
    ///
    /// No other context may have the right for as long as the value lives.
    pub(crate) unsafe fn assume() -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(NotThreadSafe)
    }
}

/// The [`Access`] to the CPU of a file. Mirrors `trace_access_lock()`.
///
/// # Invariants
///
/// The value has locked the access.
#[must_use = "the access unlocks immediately when the guard is unused"]
pub(crate) struct AccessGuard<'a> {
    file: Shared<'a, ftrace_buffer_info>,
    access: Access,
}

impl Deref for AccessGuard<'_> {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

impl Drop for AccessGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants this context has locked it.
        unsafe { bindings::trace_map_access_unlock(self.file.as_ptr()) };
    }
}

/// An instance and its snapshots.
#[cfg(CONFIG_TRACER_SNAPSHOT)]
impl<'a> Shared<'a, trace_array> {
    /// Locks the count of mappings and the count of users that may take a snapshot.
    pub(crate) fn lock_snapshots(self) -> SnapshotGuard<'a> {
        // SAFETY: The instance is valid by the type invariants, and C has initialised its lock.
        let lock = unsafe { SpinLock::from_raw(bindings::trace_map_snapshot_lock(self.as_ptr())) };

        SnapshotGuard {
            array: self,
            _guard: lock.lock(),
        }
    }

    /// Whether the instance ever had a buffer to swap with.
    pub(crate) fn had_snapshot(self) -> bool {
        // SAFETY: The instance is valid by the type invariants.
        unsafe { bindings::trace_map_had_snapshot(self.as_ptr()) }
    }
}

/// An instance with its `snapshot_trigger_lock` held.
#[cfg(CONFIG_TRACER_SNAPSHOT)]
pub(crate) struct SnapshotGuard<'a> {
    array: Shared<'a, trace_array>,
    _guard: SpinLockGuard<'a, ()>,
}

#[cfg(CONFIG_TRACER_SNAPSHOT)]
impl SnapshotGuard<'_> {
    /// The mappings.
    pub(crate) fn count(&self) -> trace_map_count {
        // SAFETY: The instance is valid by the type invariants of `Shared`.
        unsafe { bindings::trace_map_count(self.array.as_ptr()) }
    }

    /// Sets the mappings.
    pub(crate) fn set_count(&mut self, count: trace_map_count) {
        // SAFETY: The instance is valid by the type invariants of `Shared`, and the lock is held.
        unsafe { bindings::trace_map_set_count(self.array.as_ptr(), count) };
    }

    /// Whether there are users that may take a snapshot.
    pub(crate) fn is_armed(&self) -> bool {
        // SAFETY: The instance is valid by the type invariants of `Shared`.
        unsafe { bindings::trace_map_snapshot_armed(self.array.as_ptr()) }
    }
}
