// SPDX-License-Identifier: GPL-2.0

//! The reader page, and how C brings in the next one. Both readers build on this.

use memory_model::{Cpu, Step};

use crate::buffer::{commit, data, Barriers, CAPACITY, COMMIT_PAGE, LARGE, PADDING, PAGES, SMALL};

/// How often a reader looks while the writer writes.
const LOOKS: usize = 2;

/// Reads once, and returns whether there was something.
pub type Read = fn(&mut Reader, &mut Cpu<'_>) -> Step<bool>;

/// Reads events while the writer writes, and all that are left when it has ended.
pub fn read(cpu: &mut Cpu<'_>, barriers: Barriers, read: Read) -> Step<u32> {
    let mut reader = Reader {
        barriers,
        page: 0,
        read: 0,
        taken: false,
        counted: 0,
    };

    for _ in 0..LOOKS {
        read(&mut reader, cpu)?;
    }
    let written = cpu.join(0)?;

    while read(&mut reader, cpu)? {}
    cpu.check(
        reader.counted == written,
        "events are not counted exactly once",
    )?;
    Ok(0)
}

pub struct Reader {
    pub barriers: Barriers,
    /// The reader page.
    pub page: u32,
    /// How much of it is read.
    pub read: u32,
    /// Whether its memory was replaced by an empty page.
    pub taken: bool,
    /// The events that are counted as read.
    pub counted: u32,
}

impl Reader {
    /// `rb_page_size()` of the reader page.
    pub fn size(&self, cpu: &mut Cpu<'_>) -> Step<u32> {
        if self.taken {
            return Ok(0);
        }
        cpu.load(commit(self.page))
    }

    /// `rb_commit_page()`, or a plain load of `commit_page`.
    pub fn commit_page(&self, cpu: &mut Cpu<'_>, acquire: bool) -> Step<u32> {
        if acquire {
            cpu.load_acquire(COMMIT_PAGE)
        } else {
            cpu.load(COMMIT_PAGE)
        }
    }

    /// `__rb_get_reader_page()`. Whether there is something to read.
    pub fn get_reader_page(&mut self, cpu: &mut Cpu<'_>) -> Step<bool> {
        let found = self.find_reader_page(cpu)?;

        cpu.rmb(self.barriers.reader_page)?;
        Ok(found)
    }

    fn find_reader_page(&mut self, cpu: &mut Cpu<'_>) -> Step<bool> {
        let acquire = self.barriers.get_reader_page;

        for _ in 0..PAGES {
            let (commit_page, size) = if self.barriers.commit_page_first {
                let commit_page = self.commit_page(cpu, acquire)?;

                (commit_page, self.size(cpu)?)
            } else {
                let size = self.size(cpu)?;

                (self.commit_page(cpu, acquire)?, size)
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
            self.taken = false;
        }
        Ok(false)
    }

    /// Looks at the event at `at`. Returns its length, and 1 unless it is padding.
    pub fn event(&self, cpu: &mut Cpu<'_>, at: u32) -> Step<(u32, u32)> {
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
        Ok((length, event))
    }

    /// Looks at all events from `start` to `end`. Returns their number.
    pub fn events(&self, cpu: &mut Cpu<'_>, start: u32, end: u32) -> Step<u32> {
        let mut events = 0;
        let mut at = start;

        while at < end {
            let (length, event) = self.event(cpu, at)?;

            at += length;
            events += event;
        }
        cpu.check(at == end, "an event does not fit")?;
        Ok(events)
    }
}
