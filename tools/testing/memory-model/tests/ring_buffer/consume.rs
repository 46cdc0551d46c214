// SPDX-License-Identifier: GPL-2.0

//! The reader of a mapped buffer: `get_reader()` of `kernel/trace/ring_buffer_map/consume.rs`, and
//! user space behind it.

use memory_model::{Cpu, Step};

use crate::buffer::{commit, entries};
use crate::reader::Reader;

/// How many events are walked in one critical section. A sub-buffer may have more.
const MAX_EVENTS_PER_LOCK: u32 = 2;

impl Reader {
    /// Consumes what is on the reader page, or else on the next one. User space looks at it then.
    /// Returns whether there was something.
    pub fn get_reader(&mut self, cpu: &mut Cpu<'_>) -> Step<bool> {
        // begin()
        if self.read >= self.size(cpu)? && !self.get_reader_page(cpu)? {
            return Ok(false);
        }

        // consume()
        let start = self.read;
        let end = self.size(cpu)?;

        if !self.consume_page(cpu, end)? {
            // Each turn is a critical section of its own.
            while !self.consume_events(cpu, end)? {}
        }
        self.show(cpu, start)?;
        Ok(true)
    }

    /// `CompletePage::of()`. Whether the writer has left the page.
    fn is_complete(&self, cpu: &mut Cpu<'_>) -> Step<bool> {
        let commit_page = self.commit_page(cpu, false)?;

        cpu.rmb(self.barriers.complete_page)?;
        Ok(commit_page != self.page)
    }

    /// The first part of `Consumer::consume()`. Returns whether the page was consumed as a whole.
    fn consume_page(&mut self, cpu: &mut Cpu<'_>, size: u32) -> Step<bool> {
        if self.read != 0 || !self.is_complete(cpu)? {
            return Ok(false);
        }

        let entries = cpu.load(entries(self.page))?;

        if self.size(cpu)? != size {
            return Ok(false);
        }
        self.counted += entries;
        self.read = size;
        Ok(true)
    }

    /// `Consumer::walk()`. Returns whether all before `end` were consumed.
    fn consume_events(&mut self, cpu: &mut Cpu<'_>, end: u32) -> Step<bool> {
        // ReaderPage::committed()
        let size = self.size(cpu)?;

        cpu.check(end <= size, "the size of the page shrinks")?;
        cpu.rmb(self.barriers.committed)?;

        // events::walk()
        for _ in 0..MAX_EVENTS_PER_LOCK {
            if self.read < end {
                let (length, event) = self.event(cpu, self.read)?;

                self.counted += event;
                self.read += length;
            }
        }
        cpu.check(self.read <= end, "an event does not fit")?;
        Ok(self.read == end)
    }

    /// What user space sees after the call.
    fn show(&self, cpu: &mut Cpu<'_>, start: u32) -> Step<()> {
        let size = cpu.load_acquire(commit(self.page))?;

        cpu.check(self.read <= size, "more is shown than committed")?;
        self.events(cpu, start, self.read)?;
        Ok(())
    }
}
