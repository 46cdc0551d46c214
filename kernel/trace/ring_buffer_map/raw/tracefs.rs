// SPDX-License-Identifier: GPL-2.0

//! Functions of `trace.c`: open files and instances.

use super::Shared;
use crate::bindings::{
    self,
    ftrace_buffer_info,
    trace_array,
    trace_buffer, //
};
use core::{
    marker::PhantomData,
    mem::ManuallyDrop, //
};
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
    /// Creates a [`Shared`] of what is behind an open file.
    ///
    /// # Safety
    ///
    /// `file` must have been opened by `tracing_buffers_open()` and stay open for `'a`.
    pub(crate) unsafe fn from_file(file: *mut kernel::bindings::file) -> Self {
        // SAFETY: By the safety requirements of this function, the file has this struct, which
        // lives until the file is released.
        unsafe {
            let info = bindings::trace_map_info(file);

            Shared::from_raw(info)
        }
    }

    /// The instance of the file.
    pub(crate) fn array(self) -> Shared<'a, trace_array> {
        // SAFETY: The struct is valid by the type invariants. An open file keeps its instance.
        unsafe {
            let array = bindings::trace_map_array(self.as_ptr());

            Shared::from_raw(array)
        }
    }

    /// The buffer of the instance at this moment.
    pub(crate) fn buffer(self) -> Shared<'a, trace_buffer> {
        // SAFETY: The struct is valid by the type invariants. An instance keeps both of the
        // buffers that a snapshot swaps for as long as it lives.
        unsafe {
            let buffer = bindings::trace_map_buffer(self.as_ptr());

            Shared::from_raw(buffer)
        }
    }

    /// The CPU of the file.
    pub(crate) fn cpu(self) -> i32 {
        // SAFETY: The struct is valid by the type invariants.
        unsafe { bindings::trace_map_cpu(self.as_ptr()) }
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
        let cpu = self.cpu();

        // SAFETY: The CPU of an open file is a possible one.
        unsafe { bindings::trace_map_access_lock(cpu) };
        // INVARIANT: It was locked just above.
        AccessGuard {
            cpu,
            _file: PhantomData,
            _not_send: NotThreadSafe,
        }
    }
}

/// The right to consume the events of a CPU.
///
/// Code that prints an event in place holds it, too, so that the page of the event is not handed
/// back to the writers meanwhile. Mirrors `trace_access_lock()`.
///
/// # Invariants
///
/// Only this context has the right. Unless the value is in a [`ManuallyDrop`], it has locked it.
#[must_use = "the access unlocks immediately when the guard is unused"]
pub(crate) struct AccessGuard<'a> {
    cpu: i32,
    _file: PhantomData<&'a ()>,
    _not_send: NotThreadSafe,
}

impl AccessGuard<'static> {
    /// The right to consume the events of `cpu`, which the caller has. It is not given back.
    ///
    /// # Safety
    ///
    /// No other context may have the right for as long as the value lives.
    pub(crate) unsafe fn assume_locked(cpu: i32) -> ManuallyDrop<Self> {
        // INVARIANT: By the safety requirements of this function.
        ManuallyDrop::new(Self {
            cpu,
            _file: PhantomData,
            _not_send: NotThreadSafe,
        })
    }
}

impl Drop for AccessGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants this context has locked it.
        unsafe { bindings::trace_map_access_unlock(self.cpu) };
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
    /// The count of mappings.
    pub(crate) fn map_count(&self) -> u32 {
        // SAFETY: The instance is valid by the type invariants of `Shared`.
        unsafe { bindings::trace_map_count(self.array.as_ptr()) }
    }

    /// Sets the count of mappings.
    pub(crate) fn set_map_count(&mut self, count: u32) {
        // SAFETY: The instance is valid by the type invariants of `Shared`, and the lock is held.
        unsafe { bindings::trace_map_set_count(self.array.as_ptr(), count) };
    }

    /// Whether there are users that may take a snapshot.
    pub(crate) fn is_armed(&self) -> bool {
        // SAFETY: The instance is valid by the type invariants of `Shared`.
        unsafe { bindings::trace_map_snapshot_armed(self.array.as_ptr()) }
    }
}
