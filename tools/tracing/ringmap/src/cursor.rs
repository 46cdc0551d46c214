// SPDX-License-Identifier: LGPL-2.1-or-later

//! How far a page was handed out, and whether it is still the same page.

use crate::event::Events;
use crate::page::Reader;

/// How far the reader page has been handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    id: u32,
    time_stamp: u64,
    /// Bytes that the kernel had consumed.
    read: usize,
    /// Whether the page was marked as one before which events were lost.
    missed: bool,
    /// Bytes of data that were handed out.
    taken: usize,
    /// Time of the last record before byte `timed`, and that byte: somewhere at or before `taken`.
    time: u64,
    timed: usize,
}

/// What is new on the reader page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Time before `start`.
    pub(crate) time: u64,
    pub(crate) swapped: bool,
}

impl Cursor {
    /// Everything that the kernel has consumed already was for somebody else.
    pub(crate) fn new(page: &Reader<'_>) -> Self {
        Cursor {
            id: page.id,
            time_stamp: page.time_stamp,
            read: page.read,
            missed: page.commit.missed(),
            taken: page.read.min(page.data.len()),
            time: page.time_stamp,
            timed: 0,
        }
    }

    /// Whether the reader page is another one than last time. The id alone does not say: with few
    /// sub-buffers, empty ones or a reset of the buffer the same one may come back. Then it was
    /// emptied in between. Either less is on it or consumed than was before, or its first event is
    /// another one. (As long as nothing was taken the time stamp says nothing: it is 0 on an empty
    /// page and set with the first event.)
    pub(crate) fn is_new(&self, page: &Reader<'_>) -> bool {
        page.id != self.id
            || page.read < self.read
            || (page.data.len() < self.taken && !self.is_marked(page))
            || (self.taken > 0 && page.time_stamp != self.time_stamp)
    }

    /// Whether a page of the same id was marked since: when the kernel marks a page it takes the
    /// padding off its end. The Rust implementation may do so after the page was shown, if it was not
    /// complete when it came, or if another reader has brought it.
    fn is_marked(&self, page: &Reader<'_>) -> bool {
        page.commit.missed() && !self.missed
    }

    /// Whether all that is on the page was handed out.
    pub(crate) fn has_all(&self, page: &Reader<'_>) -> bool {
        !self.is_new(page) && self.taken >= page.data.len()
    }

    /// Whether the kernel takes something for consumed that was not handed out.
    pub(crate) fn is_behind(&self, page: &Reader<'_>) -> bool {
        self.is_new(page) || self.taken < page.read.min(page.data.len())
    }

    /// Whether something was handed out that the kernel does not take for consumed.
    pub(crate) fn is_ahead(&self, page: &Reader<'_>) -> bool {
        !self.is_new(page) && page.read < self.taken.min(page.data.len())
    }

    /// Moves on to byte `end`, if it is not there yet. `None` if there is neither data nor a new
    /// page.
    pub(crate) fn step(&mut self, page: &Reader<'_>, end: usize) -> Option<Step> {
        let swapped = self.is_new(page);
        if swapped {
            *self = Cursor {
                taken: 0,
                ..Cursor::new(page)
            };
        } else if self.taken == 0 {
            self.time_stamp = page.time_stamp;
            self.time = page.time_stamp;
        }
        self.read = page.read;
        self.missed = page.commit.missed();
        self.taken = self.taken.min(page.data.len());
        self.timed = self.timed.min(self.taken);
        let start = self.taken;
        let end = end.min(page.data.len()).max(start);
        if start == end && !swapped {
            return None;
        }
        // Each record is looked at for its time once more than for its event, not more.
        let before = page.data.get(self.timed..start).unwrap_or_default();
        let mut events = Events::new(before, self.time);
        events.by_ref().for_each(drop);
        self.time = events.time();
        self.timed = start;
        self.taken = end;
        Some(Step {
            start,
            end,
            time: self.time,
            swapped,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::event::tests::data;
    use crate::page::Commit;

    /// A page on which `read` of `data.len()` bytes are consumed.
    pub(crate) fn page(id: u32, time_stamp: u64, data: &[u8], read: usize) -> Reader<'_> {
        Reader {
            id,
            read,
            lost_events: 0,
            overrun: 0,
            time_stamp,
            commit: Commit::from_word(data.len() as u64),
            stored_count: None,
            complete: false,
            data,
        }
    }

    /// What a call of the kernel hands out.
    fn called(cursor: &mut Cursor, page: &Reader<'_>) -> Option<Step> {
        cursor.step(page, page.read)
    }

    fn step(start: usize, end: usize, time: u64, swapped: bool) -> Option<Step> {
        Some(Step {
            start,
            end,
            time,
            swapped,
        })
    }

    #[test]
    fn a_growing_page_is_handed_out_once() {
        let bytes = [data(0, 1, 0), data(5, 1, 0), data(7, 1, 0)].concat();
        let mut cursor = Cursor::new(&page(0, 0, &[], 0));
        // The first event of an empty page sets its time stamp: that is no swap.
        assert_eq!(
            called(&mut cursor, &page(0, 100, &bytes[..8], 8)),
            step(0, 8, 100, false)
        );
        assert_eq!(called(&mut cursor, &page(0, 100, &bytes[..8], 8)), None);
        // More is committed than consumed: the rest comes next time.
        assert_eq!(
            called(&mut cursor, &page(0, 100, &bytes, 16)),
            step(8, 16, 100, false)
        );
        assert_eq!(
            called(&mut cursor, &page(0, 100, &bytes, 24)),
            step(16, 24, 105, false)
        );
        assert_eq!(called(&mut cursor, &page(0, 100, &bytes, 24)), None);
    }

    #[test]
    fn a_new_page_by_its_id() {
        let bytes = data(0, 1, 0);
        let mut cursor = Cursor::new(&page(0, 1, &bytes, 8));
        assert_eq!(
            called(&mut cursor, &page(1, 2, &bytes, 8)),
            step(0, 8, 2, true)
        );
        // Swapped, and nothing on it yet.
        assert_eq!(
            called(&mut cursor, &page(2, 0, &[], 0)),
            step(0, 0, 0, true)
        );
        assert_eq!(called(&mut cursor, &page(2, 0, &[], 0)), None);
        assert_eq!(
            called(&mut cursor, &page(2, 9, &bytes, 8)),
            step(0, 8, 9, false)
        );
    }

    #[test]
    fn the_same_page_again_after_a_round() {
        let bytes = [data(0, 1, 0), data(0, 1, 0)].concat();
        let mut cursor = Cursor::new(&page(0, 1, &bytes, 16));
        // As full as before, with another first event.
        assert_eq!(
            called(&mut cursor, &page(0, 2, &bytes, 16)),
            step(0, 16, 2, true)
        );
        // Less on it than before.
        assert_eq!(
            called(&mut cursor, &page(0, 2, &bytes, 8)),
            step(0, 8, 2, true)
        );
        // The buffer was reset.
        assert_eq!(
            called(&mut cursor, &page(0, 0, &[], 0)),
            step(0, 0, 0, true)
        );
    }

    #[test]
    fn read_ahead_of_the_kernel() {
        let bytes = [data(0, 1, 0), data(5, 1, 0), data(7, 1, 0)].concat();
        let mut cursor = Cursor::new(&page(0, 0, &[], 0));
        let ahead = page(0, 100, &bytes[..16], 0);
        assert!(!cursor.has_all(&ahead));
        assert_eq!(cursor.step(&ahead, 16), step(0, 16, 100, false));
        // What the kernel consumes later is not new.
        for read in [0, 8, 16] {
            let page = page(0, 100, &bytes[..16], read);
            assert!(cursor.has_all(&page));
            assert_eq!(cursor.step(&page, 16), None);
            assert_eq!(called(&mut cursor, &page), None);
        }
        let more = page(0, 100, &bytes, 16);
        assert!(!cursor.has_all(&more));
        assert_eq!(called(&mut cursor, &more), None);
        assert_eq!(cursor.step(&more, 24), step(16, 24, 105, false));
        // The same page with less consumed than before was emptied in between.
        let again = page(0, 100, &bytes, 8);
        assert!(!cursor.has_all(&again));
        assert_eq!(cursor.step(&again, 24), step(0, 24, 100, true));
    }

    #[test]
    fn opened_in_the_middle_of_a_page() {
        let bytes = [data(0, 1, 0), data(5, 1, 0)].concat();
        let mut cursor = Cursor::new(&page(0, 100, &bytes, 8));
        assert_eq!(called(&mut cursor, &page(0, 100, &bytes, 8)), None);
        assert_eq!(
            called(&mut cursor, &page(0, 100, &bytes, 16)),
            step(8, 16, 100, false)
        );
    }

    #[test]
    fn a_meta_page_that_lies_reads_nothing_else() {
        let bytes = data(0, 1, 0);
        let mut cursor = Cursor::new(&page(0, 1, &bytes, usize::MAX));
        assert_eq!(cursor.taken, 8);
        assert_eq!(called(&mut cursor, &page(0, 1, &bytes, usize::MAX)), None);
    }

    /// The kernel takes the padding off a page again when it marks the page after it was shown: commit
    /// goes back from capacity to the end of the last event. Same page, same stamp, more consumed.
    #[test]
    fn a_mark_after_the_fact_is_no_new_page() {
        let full = [data(0, 1, 0).repeat(508), vec![0; 16]].concat();
        let page = |len: usize, read, missed| Reader {
            commit: Commit::new(len, missed, missed),
            complete: len > 4072 || missed,
            ..page(0, 100, &full[..len], read)
        };
        let mut cursor = Cursor::new(&page(0, 0, false));
        assert!(cursor.step(&page(4080, 0, false), 4080).is_some());
        let marked = page(4064, 4064, true);
        assert!(cursor.has_all(&marked));
        assert_eq!(cursor.step(&marked, 4064), None, "handed out again");
        assert!(cursor.has_all(&marked));
        // A page that was marked before and has less on it now is another one.
        assert!(cursor.is_new(&page(4000, 4064, true)));
    }
}
