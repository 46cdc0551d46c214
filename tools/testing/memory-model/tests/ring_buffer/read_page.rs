// SPDX-License-Identifier: GPL-2.0

//! The reader in C: `ring_buffer_read_page()`, which `splice()` and `read()` of `trace_pipe_raw` call.

use memory_model::{Cpu, Step};

use crate::buffer::entries;
use crate::reader::Reader;

impl Reader {
    /// Takes the reader page out of the buffer if it is complete and unread, and else copies its
    /// events. Returns whether there was something.
    pub fn read_page(&mut self, cpu: &mut Cpu<'_>) -> Step<bool> {
        if !self.get_reader_page(cpu)? {
            return Ok(false);
        }

        let commit_page = self.commit_page(cpu, self.barriers.read_page)?;
        let size = self.size(cpu)?;

        if self.read == 0 && commit_page != self.page {
            self.take(cpu)?;
        } else {
            self.copy(cpu, size)?;
        }
        Ok(true)
    }

    /// Counts the page as a whole. The caller of `ring_buffer_read_page()` looks at it.
    fn take(&mut self, cpu: &mut Cpu<'_>) -> Step<()> {
        let counted = cpu.load(entries(self.page))?;
        let size = self.size(cpu)?;
        let events = self.events(cpu, 0, size)?;

        cpu.check(counted == events, "events are not counted exactly once")?;
        self.counted += counted;
        self.taken = true;
        Ok(())
    }

    /// Copies what is before `size`, and counts each event.
    fn copy(&mut self, cpu: &mut Cpu<'_>, size: u32) -> Step<()> {
        while self.read < size {
            let (length, event) = self.event(cpu, self.read)?;

            // rb_advance_reader()
            let page = self.page;
            let found = self.get_reader_page(cpu)?;

            cpu.check(found && self.page == page, "the page is gone")?;
            self.counted += event;
            self.read += length;
        }
        cpu.check(self.read == size, "an event does not fit")?;
        Ok(())
    }
}
