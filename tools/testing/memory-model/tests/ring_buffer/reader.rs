// SPDX-License-Identifier: GPL-2.0

//! The reader: `get_reader()` of `kernel/trace/ring_buffer_map/consume.rs`, which takes the next
//! reader page from C's `__rb_get_reader_page()`, and user space behind it.

use memory_model::{Cpu, Step};

use crate::buffer::{
    commit, data, entries, Barriers, CAPACITY, COMMIT_PAGE, LARGE, PADDING, PAGES, SMALL,
};

/// How often the reader looks while the writer writes.
const LOOKS: usize = 2;

/// Consumes events while the writer writes, and all that are left when it has ended.
pub fn read(cpu: &mut Cpu<'_>, barriers: Barriers) -> Step<u32> {
    let mut reader = Reader {
        barriers,
        page: 0,
        read: 0,
        counted: 0,
    };

    for _ in 0..LOOKS {
        reader.get_reader(cpu)?;
    }
    let written = cpu.join(0)?;

    while reader.get_reader(cpu)? {}
    cpu.check(
        reader.counted == written,
        "events are not counted exactly once",
    )?;
    Ok(0)
}

struct Reader {
    barriers: Barriers,
    /// The reader page.
    page: u32,
    /// How much of it is read.
    read: u32,
    /// The events that are counted as read.
    counted: u32,
}

impl Reader {
    /// Consumes what is on the reader page, or else on the next one. User space looks at it then.
    /// Returns whether there was something.
    fn get_reader(&mut self, cpu: &mut Cpu<'_>) -> Step<bool> {
        let size = self.size(cpu)?;

        if self.read < size {
            self.consume(cpu, size)?;
            return Ok(true);
        }
        if !self.next_page(cpu)? {
            return Ok(false);
        }
        let size = self.size(cpu)?;

        self.consume(cpu, size)?;
        Ok(true)
    }

    /// `rb_page_size()` of the reader page.
    fn size(&self, cpu: &mut Cpu<'_>) -> Step<u32> {
        cpu.load(commit(self.page))
    }

    /// `__rb_get_reader_page()`. Whether there is something to read.
    fn next_page(&mut self, cpu: &mut Cpu<'_>) -> Step<bool> {
        for _ in 0..PAGES {
            let (commit_page, size) = if self.barriers.commit_page_first {
                let commit_page = cpu.load(COMMIT_PAGE)?;

                cpu.rmb(self.barriers.reader_page)?;
                (commit_page, self.size(cpu)?)
            } else {
                let size = self.size(cpu)?;

                cpu.rmb(self.barriers.reader_page)?;
                (cpu.load(COMMIT_PAGE)?, size)
            };

            if self.read < size {
                return Ok(true);
            }
            cpu.check(self.read == size, "more is read than committed")?;
            if commit_page == self.page {
                return Ok(false);
            }

            // The writer gets the page back.
            cpu.mb(true)?; // smp_mb(), rb_head_page_replace()
            self.page += 1;
            self.read = 0;
        }
        Ok(false)
    }

    /// `complete_page()`.
    fn complete_page(&self, cpu: &mut Cpu<'_>) -> Step<bool> {
        let commit_page = cpu.load(COMMIT_PAGE)?;

        cpu.rmb(self.barriers.complete_page)?;
        Ok(commit_page != self.page)
    }

    /// Counts what is before `end` as read: a complete page as a whole, the events of others.
    fn consume(&mut self, cpu: &mut Cpu<'_>, end: u32) -> Step<()> {
        let start = self.read;

        if start >= end {
            return Ok(());
        }
        if start == 0 && self.complete_page(cpu)? && end == self.size(cpu)? {
            self.counted += cpu.load(entries(self.page))?;
        } else {
            // committed()
            let end = end.min(self.size(cpu)?);

            cpu.rmb(self.barriers.committed)?;
            self.counted += self.walk(cpu, start, end)?;
        }
        self.read = end;
        self.show(cpu, start)
    }

    /// What user space sees after the call.
    fn show(&self, cpu: &mut Cpu<'_>, start: u32) -> Step<()> {
        let size = cpu.load_acquire(commit(self.page))?;

        cpu.check(self.read <= size, "more is shown than committed")?;
        self.walk(cpu, start, self.read)?;
        Ok(())
    }

    /// `events::walk()`. Returns the number of events.
    fn walk(&self, cpu: &mut Cpu<'_>, start: u32, end: u32) -> Step<u32> {
        let mut events = 0;
        let mut at = start;

        while at < end {
            let (length, event) = match cpu.load(data(self.page, at))? {
                SMALL => (1, 1),
                LARGE => (2, 1),
                PADDING => (CAPACITY - at, 0),
                _ => (0, 0),
            };

            cpu.check(length != 0, "data is read before it is written")?;
            if length == 2 {
                let body = cpu.load(data(self.page, at + 1))?;

                cpu.check(body != 0, "data is read before it is written")?;
            }
            at += length;
            events += event;
        }
        cpu.check(at == end, "an event does not fit")?;
        Ok(events)
    }
}
