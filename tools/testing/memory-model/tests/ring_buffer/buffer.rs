// SPDX-License-Identifier: GPL-2.0

//! What writer and reader share: a few sub-buffers, and the page that is committed to.

/// `struct ring_buffer_per_cpu`'s `commit_page`.
pub const COMMIT_PAGE: usize = 0;

/// The first is the reader page, the others are the ring.
pub const PAGES: usize = 3;

/// How much data a sub-buffer has room for. The smallest event takes one.
pub const CAPACITY: u32 = 3;

/// What is stored for an event of size 1, for one of size 2, and for its second half.
pub const SMALL: u32 = 1;
pub const LARGE: u32 = 2;
pub const BODY: u32 = 3;

/// What fills a sub-buffer behind the last event.
pub const PADDING: u32 = 4;

const WORDS_PER_PAGE: usize = 2 + CAPACITY as usize;

/// The size of a sub-buffer that readers see.
pub const fn commit(page: u32) -> usize {
    COMMIT_PAGE + 1 + page as usize * WORDS_PER_PAGE
}

/// The number of events on a sub-buffer.
pub const fn entries(page: u32) -> usize {
    commit(page) + 1
}

/// One unit of its data; 0 where nothing is written yet.
pub const fn data(page: u32, at: u32) -> usize {
    commit(page) + 2 + at as usize
}

/// Which barriers there are.
#[derive(Clone, Copy)]
pub struct Barriers {
    /// `smp_wmb()` in the first loop of `rb_set_commit_to_write()`.
    pub last_commit: bool,
    /// `smp_store_release()` of `commit_page` there.
    pub step: bool,
    /// `smp_wmb()` in the second loop.
    pub commit: bool,
    /// No barrier, but the order there: the size is loaded before the barrier.
    pub size_before_commit: bool,
    /// `smp_load_acquire()` of `commit_page` in `__rb_get_reader_page()`, by `rb_commit_page()`.
    pub get_reader_page: bool,
    /// No barrier, but the order there: `commit_page` before the size.
    pub commit_page_first: bool,
    /// `smp_rmb()` at the end of `__rb_get_reader_page()`.
    pub reader_page: bool,
    /// `smp_load_acquire()` of `commit_page` in `ring_buffer_read_page()`, by `rb_commit_page()`.
    pub read_page: bool,
    /// `smp_load_acquire()` of `commit_page` in `rb_advance_iter()`, by `rb_commit_page()`.
    pub advance_iter: bool,
    /// `smp_load_acquire()` of `commit_page` in `ring_buffer_iter_empty()`, by `rb_commit_page()`.
    pub iter_empty: bool,
    /// `smp_mb(Read)` in `CompletePage::of()`.
    pub complete_page: bool,
    /// `smp_mb(Read)` in `ReaderPage::committed()`.
    pub committed: bool,
}

pub const ALL: Barriers = Barriers {
    last_commit: true,
    step: true,
    commit: true,
    size_before_commit: true,
    get_reader_page: true,
    commit_page_first: true,
    reader_page: true,
    read_page: true,
    advance_iter: true,
    iter_empty: true,
    complete_page: true,
    committed: true,
};
