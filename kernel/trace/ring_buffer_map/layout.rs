// SPDX-License-Identifier: GPL-2.0

//! The layout of a mapped buffer: which page of the file is what.
//!
//! The file begins with the meta-page, padded with zeroes to the size of a sub-buffer. The
//! sub-buffers follow in the order of their ids. All sizes are in pages unless said otherwise.
//!
//! Pure arithmetic over numbers that may come from user space: nothing here overflows or panics.

/// The pages of a buffer as user space sees them.
///
/// # Invariants
///
/// `(nr_subbufs + 1) << order` does not overflow, and `order < usize::BITS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    nr_subbufs: usize,
    order: u32,
}

/// What a page of the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The meta-page.
    Meta,
    /// Fills up the meta-page to the size of a sub-buffer.
    Padding,
    /// A page of a sub-buffer.
    SubBuffer {
        /// The id of the sub-buffer.
        id: usize,
        /// The page within the sub-buffer.
        page: usize,
    },
}

/// Why a range of the file cannot be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// It does not begin at a sub-buffer.
    Unaligned,
    /// It is empty, or is not wholly within the buffer.
    OutOfRange,
}

impl Layout {
    /// The layout of `nr_subbufs` sub-buffers, the reader's among them, of `1 << order` pages.
    ///
    /// `None` if the number of pages overflows.
    pub(crate) fn new(nr_subbufs: usize, order: u32) -> Option<Self> {
        let pages = nr_subbufs.checked_add(1)?;
        let max = usize::MAX.checked_shr(order)?;

        // INVARIANT: Shifting `pages` by `order` gives at most `usize::MAX`; a shift by as many
        // bits as the type has was refused.
        (pages <= max).then_some(Self { nr_subbufs, order })
    }

    /// The number of sub-buffers, the reader's among them.
    pub(crate) fn nr_subbufs(&self) -> usize {
        self.nr_subbufs
    }

    /// The size of a sub-buffer.
    pub(crate) fn subbuf_pages(&self) -> usize {
        1 << self.order
    }

    /// The size of the file: the meta-page, its padding and all sub-buffers.
    pub(crate) fn nr_pages(&self) -> usize {
        (self.nr_subbufs + 1) << self.order
    }

    /// Checks that `len` pages at offset `pgoff` can be mapped.
    pub(crate) fn check(&self, pgoff: usize, len: usize) -> Result<(), Error> {
        if pgoff & (self.subbuf_pages() - 1) != 0 {
            return Err(Error::Unaligned);
        }
        match self.nr_pages().checked_sub(pgoff) {
            Some(left) if len != 0 && len <= left => Ok(()),
            _ => Err(Error::OutOfRange),
        }
    }

    /// What the page at offset `pgoff` is; its id is out of range if `pgoff` is.
    pub(crate) fn slot(&self, pgoff: usize) -> Slot {
        let page = pgoff & (self.subbuf_pages() - 1);

        match (pgoff >> self.order).checked_sub(1) {
            Some(id) => Slot::SubBuffer { id, page },
            None if page == 0 => Slot::Meta,
            None => Slot::Padding,
        }
    }
}

#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(ring_buffer_map_layout)
)]
#[cfg_attr(not(CONFIG_KUNIT = "y"), cfg(test))]
mod tests {
    use super::*;

    #[test]
    fn slots_in_order() {
        let layout = Layout::new(3, 0).unwrap();

        assert_eq!(layout.nr_pages(), 4);
        assert!(layout.slot(0) == Slot::Meta);
        assert!(layout.slot(1) == Slot::SubBuffer { id: 0, page: 0 });
        assert!(layout.slot(3) == Slot::SubBuffer { id: 2, page: 0 });
    }

    #[test]
    fn meta_page_is_padded_to_a_sub_buffer() {
        let layout = Layout::new(2, 2).unwrap();

        assert_eq!(layout.nr_pages(), 12);
        assert!(layout.slot(0) == Slot::Meta);
        for pgoff in 1..4 {
            assert!(layout.slot(pgoff) == Slot::Padding);
        }
        assert!(layout.slot(4) == Slot::SubBuffer { id: 0, page: 0 });
        assert!(layout.slot(11) == Slot::SubBuffer { id: 1, page: 3 });
    }

    #[test]
    fn ranges_within_the_buffer() {
        let layout = Layout::new(3, 1).unwrap();

        assert!(layout.check(0, 1) == Ok(()));
        assert!(layout.check(0, 8) == Ok(()));
        assert!(layout.check(6, 2) == Ok(()));
        assert!(layout.check(6, 1) == Ok(()));
    }

    #[test]
    fn ranges_outside_the_buffer() {
        let layout = Layout::new(3, 1).unwrap();

        assert!(layout.check(0, 0) == Err(Error::OutOfRange));
        assert!(layout.check(0, 9) == Err(Error::OutOfRange));
        assert!(layout.check(6, 3) == Err(Error::OutOfRange));
        assert!(layout.check(8, 1) == Err(Error::OutOfRange));
        assert!(layout.check(usize::MAX - 1, 2) == Err(Error::OutOfRange));
        assert!(layout.check(2, usize::MAX) == Err(Error::OutOfRange));
        assert!(layout.check(1, 1) == Err(Error::Unaligned));
        assert!(layout.check(usize::MAX, 1) == Err(Error::Unaligned));
    }

    #[test]
    fn page_counts_that_overflow() {
        assert!(Layout::new(usize::MAX, 0).is_none());
        assert!(Layout::new(usize::MAX - 1, 0).is_some());
        assert!(Layout::new(usize::MAX / 2, 1).is_none());
        assert!(Layout::new(1, usize::BITS - 1).is_none());
        assert!(Layout::new(1, usize::BITS).is_none());
        assert!(Layout::new(0, usize::BITS - 1).is_some());
    }
}
