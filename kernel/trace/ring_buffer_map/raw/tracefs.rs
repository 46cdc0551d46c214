// SPDX-License-Identifier: GPL-2.0

//! Functions of `trace.c`: open files and instances.

use super::{
    fields,
    ReaderLocked,
    Shared, //
};
use crate::bindings::{
    self,
    ftrace_buffer_info,
    ring_buffer_per_cpu,
    trace_array, //
};
#[cfg(CONFIG_TRACER_SNAPSHOT)]
use kernel::sync::SpinLock;
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
        // SAFETY: The struct is valid by the type invariants. The result is null or a buffer that
        // is not a remote one. An instance keeps both of the buffers that a snapshot swaps for as
        // long as it lives.
        unsafe {
            let cpu_buffer = bindings::trace_map_cpu_buffer(self.as_ptr());

            (!cpu_buffer.is_null()).then(|| Shared::from_raw(cpu_buffer))
        }
    }

    /// Waits until `buffer_percent` of the CPU's buffer is full. May sleep.
    pub(crate) fn wait(self) -> Result {
        // SAFETY: The struct is valid by the type invariants.
        to_result(unsafe { bindings::trace_map_wait(self.as_ptr()) })
    }
}

impl<'a> Shared<'a, ring_buffer_per_cpu> {
    /// Takes the right to consume the events of the CPU. May sleep. Mirrors `trace_access_lock()`.
    pub(crate) fn lock_access(self) -> AccessGuard<'a> {
        // SAFETY: A CPU that has a buffer is a possible one.
        unsafe { bindings::trace_map_access_lock(self.load(fields::cpu::CPU)) };
        // INVARIANT: It was locked just above.
        AccessGuard {
            cpu: self,
            _not_send: NotThreadSafe,
        }
    }
}

/// The right to consume the events of a CPU.
///
/// Code that prints an event in place holds it, too, so that the page of the event is not handed
/// back to the writers meanwhile. ftrace_dump() does not take it: if it runs beside a consumer, it
/// may print from a page that is being written.
///
/// # Invariants
///
/// The value has locked the access to the CPU of the buffer.
#[must_use = "the access unlocks immediately when the guard is unused"]
pub(crate) struct AccessGuard<'a> {
    cpu: Shared<'a, ring_buffer_per_cpu>,
    _not_send: NotThreadSafe,
}

impl<'a> AccessGuard<'a> {
    /// The buffer of the CPU.
    pub(crate) fn cpu_buffer(&self) -> Shared<'a, ring_buffer_per_cpu> {
        self.cpu
    }

    /// Brings in the next reader page if the current one is read, and hands the latter back to the
    /// writers. Returns whether the reader page has something to read. Mirrors
    /// `rb_get_reader_page()`.
    ///
    /// Does nothing for the buffer of another CPU.
    pub(crate) fn get_reader_page(&self, cpu: &mut ReaderLocked<'_>) -> bool {
        if cpu.as_ptr() != self.cpu.as_ptr() {
            return false;
        }
        // SAFETY: The buffer is valid and its `reader_lock` is held by the type invariants. `cpu`
        // is borrowed exclusively, so nobody has bytes of the page that goes back to the writers.
        !unsafe { bindings::rb_map_get_reader_page(cpu.as_ptr()) }.is_null()
    }
}

impl Drop for AccessGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants this context has locked it.
        unsafe { bindings::trace_map_access_unlock(self.cpu.load(fields::cpu::CPU)) };
    }
}

/// An instance and its snapshots.
#[cfg(CONFIG_TRACER_SNAPSHOT)]
impl<'a> Shared<'a, trace_array> {
    /// The `snapshot_trigger_lock`.
    pub(crate) fn snapshot_lock(self) -> &'a SpinLock<()> {
        // SAFETY: The instance is valid by the type invariants, and C has initialised its lock.
        unsafe { SpinLock::from_raw(bindings::trace_map_snapshot_lock(self.as_ptr())) }
    }
}
