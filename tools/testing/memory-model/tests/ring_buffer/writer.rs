// SPDX-License-Identifier: GPL-2.0

//! The writer, as in `kernel/trace/ring_buffer.c`, with an interrupt that writes, too.
//!
//! What no other CPU looks at is not in memory, but in [`Writer`]. It never fills the buffer: no
//! events are overwritten.

use memory_model::{Cpu, Step};

use crate::buffer::{
    commit, data, entries, Barriers, BODY, CAPACITY, COMMIT_PAGE, LARGE, PADDING, PAGES, SMALL,
};

/// Writes some events, interrupted at one point or none. Returns how many.
pub fn write(cpu: &mut Cpu<'_>, barriers: Barriers) -> Step<u32> {
    let mut writer = Writer {
        barriers,
        tail_page: 0,
        commit_page: 0,
        write: [0; PAGES],
        commit: [0; PAGES],
        entries: [0; PAGES],
        committing: 0,
        commits: 0,
        interrupted: false,
    };

    for size in [1, 1, 2] {
        writer.event(cpu, size)?;
    }
    Ok(writer.entries.iter().sum())
}

struct Writer {
    barriers: Barriers,
    tail_page: u32,
    commit_page: u32,
    write: [u32; PAGES],
    commit: [u32; PAGES],
    entries: [u32; PAGES],
    committing: u32,
    commits: u32,
    interrupted: bool,
}

impl Writer {
    /// A point at which an interrupt may come. It writes an event that does not fit everywhere.
    fn interrupt(&mut self, cpu: &mut Cpu<'_>) -> Step<()> {
        if !self.interrupted && cpu.choose(2)? == 1 {
            self.interrupted = true;
            self.event(cpu, 2)?;
        }
        Ok(())
    }

    /// `ring_buffer_lock_reserve()` to `ring_buffer_unlock_commit()`.
    fn event(&mut self, cpu: &mut Cpu<'_>, size: u32) -> Step<()> {
        // rb_start_commit()
        self.committing += 1;
        self.commits += 1;

        let (page, at) = loop {
            if let Some(place) = self.reserve_next(cpu, size)? {
                break place;
            }
        };

        self.interrupt(cpu)?;
        if size == 1 {
            cpu.store(data(page, at), SMALL)?;
        } else {
            cpu.store(data(page, at), LARGE)?;
            cpu.store(data(page, at + 1), BODY)?;
        }
        self.interrupt(cpu)?;
        self.end_commit(cpu)
    }

    /// `__rb_reserve_next()`. `None` is `-EAGAIN`.
    fn reserve_next(&mut self, cpu: &mut Cpu<'_>, size: u32) -> Step<Option<(u32, u32)>> {
        let page = self.tail_page;

        self.interrupt(cpu)?;
        let tail = self.write[page as usize];

        self.write[page as usize] += size;
        if tail + size > CAPACITY {
            self.move_tail(cpu, page, tail, size)?;
            return Ok(None);
        }

        self.entries[page as usize] += 1;
        cpu.store(entries(page), self.entries[page as usize])?;
        Ok(Some((page, tail)))
    }

    fn move_tail(&mut self, cpu: &mut Cpu<'_>, page: u32, tail: u32, size: u32) -> Step<()> {
        // rb_tail_page_update()
        if self.tail_page == page {
            cpu.store(commit(page + 1), 0)?;
            cpu.mb(true)?; // try_cmpxchg()
            self.tail_page = page + 1;
        }
        self.interrupt(cpu)?;

        // rb_reset_tail()
        for at in tail..CAPACITY {
            cpu.store(data(page, at), PADDING)?;
        }
        if tail < CAPACITY {
            cpu.wmb(true)?;
        }
        self.write[page as usize] -= tail + size - tail.max(CAPACITY);

        self.interrupt(cpu)?;
        self.end_commit(cpu)?;
        self.committing += 1;
        Ok(())
    }

    fn end_commit(&mut self, cpu: &mut Cpu<'_>) -> Step<()> {
        loop {
            let commits = self.commits;

            if self.committing == 1 {
                self.set_commit_to_write(cpu)?;
            }
            self.interrupt(cpu)?;
            self.committing -= 1;
            self.interrupt(cpu)?;

            if self.commits == commits || self.committing != 0 {
                return Ok(());
            }
            self.committing += 1;
        }
    }

    fn set_commit_to_write(&mut self, cpu: &mut Cpu<'_>) -> Step<()> {
        loop {
            while self.commit_page != self.tail_page {
                cpu.wmb(self.barriers.last_commit)?;
                self.interrupt(cpu)?;
                self.commit_to(cpu, self.page_write())?;

                self.commit_page += 1;
                if self.barriers.step {
                    cpu.store_release(COMMIT_PAGE, self.commit_page)?;
                } else {
                    cpu.store(COMMIT_PAGE, self.commit_page)?;
                }
                self.interrupt(cpu)?;
            }

            loop {
                let write = self.page_write();

                if write == self.commit[self.commit_page as usize] {
                    break;
                }
                cpu.wmb(self.barriers.commit)?;
                self.interrupt(cpu)?;
                if self.barriers.size_before_commit {
                    self.commit_to(cpu, write)?;
                } else {
                    self.commit_to(cpu, self.page_write())?;
                }
            }
            if self.commit_page == self.tail_page {
                return Ok(());
            }
        }
    }

    /// `rb_page_write()` of the page that is committed to.
    fn page_write(&self) -> u32 {
        self.write[self.commit_page as usize]
    }

    /// Commits the first `write` of this page.
    fn commit_to(&mut self, cpu: &mut Cpu<'_>, write: u32) -> Step<()> {
        self.commit[self.commit_page as usize] = write;
        cpu.store(commit(self.commit_page), write)?;
        self.interrupt(cpu)
    }
}
