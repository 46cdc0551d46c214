// SPDX-License-Identifier: GPL-2.0

//! The iterator in C, which reads of `trace` use: `ring_buffer_iter_peek()` and
//! `ring_buffer_iter_advance()`. It consumes nothing.
//!
//! A sub-buffer is filled up with a discarded event, which an iterator steps over as over others.

use memory_model::{Cpu, Step};

use crate::buffer::{commit, COMMIT_PAGE};
use crate::reader::Reader;

/// `max_loops` in `rb_iter_peek()`.
const LOOPS: usize = 3;

impl Reader {
    /// Looks at one event. Returns whether there was one.
    pub fn iterate(&mut self, cpu: &mut Cpu<'_>) -> Step<bool> {
        // rb_iter_peek()
        for _ in 0..LOOPS {
            if self.is_iter_empty(cpu)? {
                return Ok(false);
            }
            if self.read >= self.size(cpu)? {
                self.inc_iter();
                continue;
            }

            // rb_iter_head_event()
            let size = self.size(cpu)?;

            cpu.rmb(true)?;

            let (length, event) = self.event(cpu, self.read)?;

            self.counted += event;
            self.read += length;
            cpu.check(self.read <= size, "an event does not fit")?;
            self.advance_iter(cpu)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// `ring_buffer_iter_empty()`. The time stamps of the sub-buffers do not change.
    fn is_iter_empty(&self, cpu: &mut Cpu<'_>) -> Step<bool> {
        let commit_page = cpu.load(COMMIT_PAGE)?;

        cpu.rmb(true)?;

        let size = cpu.load(commit(commit_page))?;

        cpu.rmb(true)?;

        let current = self.commit_page(cpu, self.barriers.iter_empty)?;

        Ok(current == commit_page && self.page == commit_page && self.read >= size)
    }

    /// `rb_advance_iter()`.
    fn advance_iter(&mut self, cpu: &mut Cpu<'_>) -> Step<()> {
        let acquire = self.barriers.advance_iter;
        let (commit_page, size) = if self.barriers.commit_page_first {
            let commit_page = self.commit_page(cpu, acquire)?;

            (commit_page, self.size(cpu)?)
        } else {
            let size = self.size(cpu)?;

            (self.commit_page(cpu, acquire)?, size)
        };

        if self.read >= size && commit_page != self.page {
            self.inc_iter();
        }
        Ok(())
    }

    /// `rb_inc_iter()`.
    fn inc_iter(&mut self) {
        self.page += 1;
        self.read = 0;
    }
}
