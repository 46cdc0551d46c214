// SPDX-License-Identifier: LGPL-2.1-or-later

//! Reading ahead of the kernel, while the writer is on the page.

use std::hint;
use std::thread;
use std::time::Duration;

use super::{CpuBuffer, SubBuffer, is_over};
use crate::Result;
#[cfg(doc)]
use crate::mapping::Mapping;

/// How often [`CpuBuffer::follow`] looks at a page that does not change before it waits: some ten
/// microseconds.
const LOOKS: u32 = 1000;

/// The shortest and the longest of its waits. While little comes each is twice the one before.
pub(super) const SHORT: Duration = Duration::from_micros(50);
pub(super) const LONG: Duration = Duration::from_millis(20);

/// How much of a wait is spent asleep if little has ended the one before, so that what the waits
/// themselves cause (they are traced like others) does not keep it busy.
pub(super) const REST: Duration = Duration::from_millis(2);

impl CpuBuffer {
    /// Hands out what the writer has committed to the mapped page since. Neither waits nor makes a
    /// system call. `None` means that there is nothing: then [`advance`](Self::advance), and if still
    /// there is nothing, wait until the file is readable ([`AsFd`](std::os::fd::AsFd),
    /// [`AsRawFd`](std::os::fd::AsRawFd)).
    ///
    /// The kernel calls the file readable when the buffer is filled to the instance's
    /// `buffer_percent`; with 0, at the first event.
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::reader`].
    pub fn try_follow(&mut self) -> Result<Option<SubBuffer<'_>>> {
        self.take(|page| page.data.len())
    }

    /// Whether all that is on the page was handed out, and nothing will be added to it, so that only
    /// [`advance`](Self::advance) can bring more. Makes no system call.
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::reader`].
    pub fn needs_kernel(&mut self) -> Result<bool> {
        let page = self.source.page()?;
        Ok(self.cursor.has_all(&page) && is_over(&page))
    }

    /// Has the kernel count as read what was handed out, and if the page is complete asks for the
    /// next one: no, one or two system calls, none of which waits. Does nothing as long as
    /// [`try_follow`](Self::try_follow) has something to hand out.
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::advance`].
    pub fn advance(&mut self) -> Result<()> {
        let page = self.source.page()?;
        if !self.cursor.has_all(&page) {
            return Ok(());
        }
        // What is on the page may go only if nothing can be added to it: the kernel consumes all of
        // it, or swaps it, never both in one call.
        let (ahead, over) = (self.cursor.is_ahead(&page), is_over(&page));
        if ahead {
            self.call(false)?;
        }
        if over {
            self.call(false)?;
        }
        Ok(())
    }

    /// Follows the writer: hands out what it has committed to the mapped page since, without a system
    /// call, and asks the kernel for the next page only when this one is complete. This is
    /// [`try_follow`](Self::try_follow), [`advance`](Self::advance) and [`wait`](Self::wait) in turn.
    ///
    /// While nothing comes it looks again for some microseconds, then waits until the buffer is filled
    /// to `buffer_percent`, at most 20 milliseconds, and asks the kernel as well: the writer may be on
    /// another page, and others should see what was read. With a `buffer_percent` of 0 the first event
    /// after a quiet time is handed out at once, and those that follow after 2 milliseconds at most.
    /// `None` means that nothing came in all that time.
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::get_reader`] and [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// The numbers of the tracepoints, as soon as they are hit, for some time:
    ///
    /// ```no_run
    /// # fn main() -> Result<(), ringmap::Error> {
    /// # let instance = ringmap::tracefs::Tracefs::find()?.instance(None)?;
    /// use std::time::{Duration, Instant};
    ///
    /// let mut buffer = ringmap::reader::CpuBuffer::open(&instance, 0)?;
    /// let start = Instant::now();
    /// while start.elapsed() < Duration::from_secs(10) {
    ///     if let Some(new) = buffer.follow()? {
    ///         new.events().for_each(|event| println!("{:?}", event.id()));
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn follow(&mut self) -> Result<Option<SubBuffer<'_>>> {
        for _ in 0..LOOKS {
            let page = self.source.page()?;
            if !self.cursor.has_all(&page) {
                return self.try_follow();
            }
            if page.complete {
                // If there is none yet, only the kernel will know when there is.
                break;
            }
            hint::spin_loop();
        }
        self.advance()?;
        if self.has_all()? {
            self.idle()?;
        }
        self.try_follow()
    }

    /// Waits for the writer, longer each time, and asks the kernel if nothing came meanwhile.
    fn idle(&mut self) -> Result<()> {
        let much = self.geometry().subbuf_size / 2;
        let little = std::mem::take(&mut self.followed) < much;
        self.pause = match little {
            true => LONG.min(self.pause * 2),
            false => SHORT,
        };
        let mut left = self.pause;
        if little && self.woken {
            let rest = REST.min(left);
            self.waits += 1;
            thread::sleep(rest);
            left -= rest;
            // What came meanwhile is on the page, or behind it.
            self.advance()?;
        }
        if self.has_all()? {
            self.woken = self.wait(left)?;
        }
        if self.needs_kernel()? {
            self.advance()?;
        }
        Ok(())
    }
}
