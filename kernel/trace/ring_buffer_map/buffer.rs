// SPDX-License-Identifier: GPL-2.0

//! The buffer of a CPU, and the way to its locks.

use super::{
    bindings,
    layout::Layout,
    map_state::MappingGuard,
    raw::{
        fields,
        AccessGuard,
        Shared, //
    },
    reader_state::ReaderGuard, //
};

/// The buffer of one CPU, C's `struct ring_buffer_per_cpu`.
#[derive(Clone, Copy)]
pub(crate) struct CpuBuffer<'a>(Shared<'a, bindings::ring_buffer_per_cpu>);

impl<'a> CpuBuffer<'a> {
    pub(crate) fn new(cpu_buffer: Shared<'a, bindings::ring_buffer_per_cpu>) -> Self {
        Self(cpu_buffer)
    }

    /// Whether no event waits to be read. Without the `reader_lock` that may change at any time.
    /// Mirrors `rb_per_cpu_empty()`.
    pub(crate) fn is_empty(self) -> bool {
        let overrun = self.0.load(fields::cpu::OVERRUN) as u64;
        let read = self.0.load(fields::cpu::READ) as u64;

        none_waits(self.0.load(fields::cpu::ENTRIES) as u64, overrun, read)
    }

    /// The layout of the buffer; [`None`] if its size overflows. It may change unless resizing is
    /// disabled.
    pub(crate) fn layout(self) -> Option<Layout> {
        // C does not count the reader page.
        let nr_subbufs = self.0.load(fields::cpu::NR_PAGES).checked_add(1)?;

        Layout::new(
            nr_subbufs,
            self.0.parent().load(fields::buffer::SUBBUF_ORDER),
        )
    }

    /// Locks the mapping. May sleep.
    pub(crate) fn lock_mapping(self) -> MappingGuard<'a> {
        MappingGuard::lock(self.0)
    }

    /// Takes the right to consume the events of the CPU. May sleep.
    pub(crate) fn lock_access(self) -> AccessGuard<'a> {
        self.0.lock_access()
    }

    /// Locks the reader, which disables interrupts.
    pub(crate) fn lock_reader(self) -> ReaderGuard<'a> {
        ReaderGuard::lock(self.0)
    }
}

/// Whether each of the events that were written was overwritten or read.
#[inline(always)]
pub(crate) fn none_waits(entries: u64, overrun: u64, read: u64) -> bool {
    entries == overrun.wrapping_add(read)
}
