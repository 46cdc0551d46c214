// SPDX-License-Identifier: LGPL-2.1-or-later

//! What is handed out: new data of one sub-buffer.

use crate::event::Events;
use crate::loss::Loss;

/// New data of one sub-buffer. It is the mapping itself, not a copy, and it must be gone before the
/// next [`CpuBuffer::get_reader`](crate::reader::CpuBuffer::get_reader).
#[derive(Debug, Clone, Copy)]
pub struct SubBuffer<'a> {
    pub(crate) id: u32,
    pub(crate) loss: Option<Loss>,
    pub(crate) swapped: bool,
    pub(crate) time: u64,
    pub(crate) bytes: &'a [u8],
}

impl<'a> SubBuffer<'a> {
    #[cfg(test)]
    pub(crate) fn fake(bytes: &'a [u8], time: u64, loss: Option<Loss>) -> Self {
        SubBuffer {
            id: 0,
            loss,
            swapped: true,
            time,
            bytes,
        }
    }

    /// Which sub-buffer it is: 0 to the number of sub-buffers.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Events that were lost between this data and what came before it.
    pub fn loss(&self) -> Option<Loss> {
        self.loss
    }

    /// The time that the events' deltas count from: that of the page, or of the event before.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// Whether this is the beginning of a page, and not the continuation of one.
    pub fn is_new_page(&self) -> bool {
        self.swapped
    }

    /// The data: records as [`Events`] walks them. May be empty on a new page.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The events in it.
    pub fn events(&self) -> Events<'a> {
        Events::new(self.bytes, self.time)
    }
}
