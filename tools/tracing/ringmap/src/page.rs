// SPDX-License-Identifier: LGPL-2.1-or-later

//! One sub-buffer as the kernel lays it out: header, data, and behind the data the number of the
//! events that were lost before it.

use std::mem::size_of;
use std::sync::atomic::AtomicU64;

use zerocopy::FromBytes;

use crate::loss::Loss;

/// Bits of a page's commit that are no size: see [`Commit`].
const MISSED_EVENTS: u32 = 1 << 31;
const MISSED_STORED: u32 = 1 << 30;

/// Bytes of the smallest event (`RB_EVNT_MIN_SIZE`).
const MIN_EVENT: usize = 8;

/// The header of a sub-buffer, `struct buffer_data_page` of the kernel. `commit` is a `local_t`,
/// which has 8 bytes on a 64-bit kernel.
#[repr(C)]
pub(crate) struct RawHeader {
    pub(crate) time_stamp: AtomicU64,
    pub(crate) commit: AtomicU64,
}

/// Bytes of a sub-buffer's header: where the data begins.
pub const PAGE_HEADER: usize = size_of::<RawHeader>();

/// The commit word of a sub-buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit(u32);

impl Commit {
    /// From the word on the page. Only its low 32 bits count: the kernel sets the flags with
    /// signed arithmetic, which may fill the upper half of a `local_t` with ones.
    pub fn from_word(word: u64) -> Self {
        Commit(word as u32)
    }

    /// As the kernel makes it.
    pub fn new(size: usize, missed: bool, stored: bool) -> Self {
        let flag = |set, flag| if set { flag } else { 0 };
        Commit(size as u32 | flag(missed, MISSED_EVENTS) | flag(stored, MISSED_STORED))
    }

    /// The word on a page.
    pub fn word(self) -> u64 {
        self.0.into()
    }

    /// Bytes of data on the page.
    pub fn size(self) -> usize {
        (self.0 & !(MISSED_EVENTS | MISSED_STORED)) as usize
    }

    /// Whether events were lost before this page.
    pub fn missed(self) -> bool {
        self.0 & MISSED_EVENTS != 0
    }

    /// Whether their number is stored behind the data.
    pub fn stored(self) -> bool {
        self.0 & MISSED_STORED != 0
    }

    /// Whether nothing will be added to a page with room for `capacity` bytes of data.
    ///
    /// A writer that leaves a page fills what is left of it with a discarded event, which counts as
    /// committed (`rb_reset_tail()`). So commit ends within the size of the smallest event of the
    /// page's end when the writer has left the page, and not before. Only on a page before which
    /// events were lost does the kernel take that off again, and it marks only complete pages.
    pub fn completes(self, capacity: usize) -> bool {
        self.missed() || self.size().saturating_add(MIN_EVENT) > capacity
    }
}

/// The reader page: what is committed on it, and what is known about it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Reader<'a> {
    /// Which sub-buffer it is.
    pub id: u32,
    /// How many bytes of `data` the kernel takes for consumed.
    pub read: usize,
    /// The meta-page's `reader.lost_events`.
    pub lost_events: u64,
    /// The meta-page's `overrun`.
    pub overrun: u64,
    /// The time of the page's first event, in units of the trace clock; 0 on an empty page.
    pub time_stamp: u64,
    /// The page's commit word.
    pub commit: Commit,
    /// The number of lost events that is stored on the page, if one is.
    pub stored_count: Option<u64>,
    /// Whether nothing will be added to `data` any more.
    pub complete: bool,
    /// The committed bytes, without the page's header.
    pub data: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Divides what follows a page's header. `capacity` is how many bytes of data a page has room
    /// for; `bytes` are at least the first [`len`](Self::len) of them.
    pub(crate) fn new(time_stamp: u64, commit: Commit, capacity: usize, bytes: &'a [u8]) -> Self {
        let committed = commit.size().min(capacity).min(bytes.len());
        let (data, behind) = bytes.split_at(committed);
        let stored = commit.missed() && commit.stored();
        let count = u64::read_from_prefix(behind).ok().map(|(count, _)| count);
        Reader {
            id: 0,
            read: 0,
            lost_events: 0,
            overrun: 0,
            time_stamp,
            commit,
            stored_count: count.filter(|_| stored),
            complete: commit.completes(capacity),
            data,
        }
    }

    /// How many bytes behind a page's header have a meaning: the committed ones, and the number.
    pub(crate) fn len(commit: Commit, capacity: usize) -> usize {
        let stored = commit.missed() && commit.stored();
        let count = if stored { size_of::<u64>() } else { 0 };
        commit.size().saturating_add(count).min(capacity)
    }

    /// What was lost before this page as the kernel says it, to be asked once, when the page is new:
    /// the count on the page, else the count in the meta-page, else the flag on the page.
    pub fn loss(&self) -> Option<Loss> {
        match (self.stored_count, self.lost_events) {
            (Some(count), _) => Some(Loss::from_count(count)),
            (None, 0) => self.commit.missed().then_some(Loss::Unknown),
            (None, count) => Some(Loss::from_count(count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_word() {
        let commit = Commit::from_word(4080);
        assert_eq!((commit.size(), commit.missed()), (4080, false));
        // What local_add(RB_MISSED_STORED) and local_add(RB_MISSED_EVENTS) make of 4000.
        let word = 4000i64
            .wrapping_add(1 << 30)
            .wrapping_add(i64::from(1i32 << 31));
        let commit = Commit::from_word(word as u64);
        assert_eq!(
            (commit.size(), commit.missed(), commit.stored()),
            (4000, true, true)
        );
        assert!(commit.completes(4080));
    }

    #[test]
    fn complete_when_no_event_fits() {
        let completes = |word| Commit::from_word(word).completes(4080);
        assert!(!completes(0));
        assert!(!completes(4072));
        assert!(completes(4076));
        assert!(completes(4080));
        assert!(completes(u64::from(u32::MAX >> 2)));
    }

    #[test]
    fn where_the_loss_is_told() {
        let flags = |word, stored, meta| {
            let mut page = Reader::new(0, Commit::from_word(word), 4080, &[]);
            page.stored_count = stored;
            page.lost_events = meta;
            page.loss()
        };
        let both = 3 << 30;
        assert_eq!(flags(0, None, 0), None);
        assert_eq!(flags(both, Some(7), 7), Some(Loss::Known(7)));
        assert_eq!(flags(both, Some(7), 0), Some(Loss::Known(7)));
        assert_eq!(flags(both, Some(u64::MAX), 0), Some(Loss::Unknown));
        assert_eq!(flags(1 << 31, None, 5), Some(Loss::Known(5)));
        assert_eq!(flags(1 << 31, None, 0), Some(Loss::Unknown));
        assert_eq!(flags(0, None, 5), Some(Loss::Known(5)));
        assert_eq!(flags(0, None, u64::MAX), Some(Loss::Unknown));
    }
}
