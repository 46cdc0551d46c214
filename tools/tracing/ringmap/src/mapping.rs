// SPDX-License-Identifier: GPL-2.0

//! The mapping itself: two VMAs and one ioctl. All `unsafe` code of the crate is here.
//!
//! The kernel writes to the mapped memory while we read it:
//!
//! - The meta-page changes at each `GET_READER` of anybody and at a reset. It is only ever seen
//!   through atomic loads.
//! - The header of a sub-buffer (time stamp and commit) is seen through atomic loads as well.
//! - The data of a sub-buffer below its commit does not change any more while the sub-buffer is the
//!   reader page, and it stays the reader page until the next `GET_READER`. Only these bytes become
//!   a slice, and the slice cannot outlive the [`Reader`], which the next `GET_READER` (`&mut self`)
//!   ends.
//!
//! No `&mut` is ever formed, and the pages are mapped read-only.

#![expect(unsafe_code)]

use std::fs::File;
use std::mem::{offset_of, size_of};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use rustix::io::Errno;
use rustix::ioctl::{self, NoArg, Opcode};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use zerocopy::FromBytes;

use crate::{Error, Result};

/// `TRACE_MMAP_IOCTL_GET_READER`.
const GET_READER: Opcode = ioctl::opcode::none(b'R', 0x20);

/// Bits of a page's commit that are no size: see [`Commit`].
const MISSED_EVENTS: u32 = 1 << 31;
const MISSED_STORED: u32 = 1 << 30;

/// Bytes of the smallest event (`RB_EVNT_MIN_SIZE`).
const MIN_EVENT: usize = 8;

/// `struct trace_buffer_meta` of `include/uapi/linux/trace_mmap.h`. Each field is an atomic, because
/// the kernel writes to it at any time.
#[repr(C)]
struct RawMeta {
    meta_page_size: AtomicU32,
    meta_struct_len: AtomicU32,
    subbuf_size: AtomicU32,
    nr_subbufs: AtomicU32,
    reader_lost_events: AtomicU64,
    reader_id: AtomicU32,
    reader_read: AtomicU32,
    flags: AtomicU64,
    entries: AtomicU64,
    overrun: AtomicU64,
    read: AtomicU64,
    pages_lost: AtomicU64,
    pages_touched: AtomicU64,
}

const _: () = {
    assert!(offset_of!(RawMeta, meta_page_size) == 0);
    assert!(offset_of!(RawMeta, meta_struct_len) == 4);
    assert!(offset_of!(RawMeta, subbuf_size) == 8);
    assert!(offset_of!(RawMeta, nr_subbufs) == 12);
    assert!(offset_of!(RawMeta, reader_lost_events) == 16);
    assert!(offset_of!(RawMeta, reader_id) == 24);
    assert!(offset_of!(RawMeta, reader_read) == 28);
    assert!(offset_of!(RawMeta, flags) == 32);
    assert!(offset_of!(RawMeta, entries) == 40);
    assert!(offset_of!(RawMeta, overrun) == 48);
    assert!(offset_of!(RawMeta, read) == 56);
    assert!(offset_of!(RawMeta, pages_lost) == 64);
    assert!(offset_of!(RawMeta, pages_touched) == 72);
    assert!(size_of::<RawMeta>() == 80);
};

/// The header of a sub-buffer, `struct buffer_data_page` of the kernel. `commit` is a `local_t`,
/// which has 8 bytes on a 64-bit kernel.
#[repr(C)]
struct RawHeader {
    time_stamp: AtomicU64,
    commit: AtomicU64,
}

/// Bytes of a sub-buffer's header: where the data begins.
pub const PAGE_HEADER: usize = size_of::<RawHeader>();

/// Sizes that hold for the life of a mapping: the kernel refuses to change them while it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes before the first sub-buffer.
    pub meta_page_size: usize,
    /// Bytes of a sub-buffer, its header included.
    pub subbuf_size: usize,
    /// Number of sub-buffers, the reader's included.
    pub nr_subbufs: u32,
}

impl Geometry {
    /// Bytes of all sub-buffers. Checked when the mapping was made.
    pub fn data_len(&self) -> usize {
        self.subbuf_size.saturating_mul(self.nr_subbufs as usize)
    }

    fn check(raw: &RawMeta, page_size: usize) -> std::result::Result<Self, String> {
        let load = |field: &AtomicU32| field.load(Ordering::Relaxed);
        let len = load(&raw.meta_struct_len) as usize;
        let geometry = Geometry {
            meta_page_size: load(&raw.meta_page_size) as usize,
            subbuf_size: load(&raw.subbuf_size) as usize,
            nr_subbufs: load(&raw.nr_subbufs),
        };
        let whole_pages = |size: usize| size != 0 && size.is_multiple_of(page_size);

        if len < size_of::<RawMeta>() || len > geometry.meta_page_size {
            return Err(format!("its structure has {len} bytes"));
        }
        if !whole_pages(geometry.meta_page_size) || !whole_pages(geometry.subbuf_size) {
            return Err(format!("sizes are not whole pages: {geometry:?}"));
        }
        let sum = geometry
            .subbuf_size
            .checked_mul(geometry.nr_subbufs as usize)
            .and_then(|len| len.checked_add(geometry.meta_page_size))
            .filter(|sum| isize::try_from(*sum).is_ok());
        if geometry.nr_subbufs == 0 || sum.is_none() {
            return Err(format!("{} sub-buffers", geometry.nr_subbufs));
        }
        Ok(geometry)
    }
}

/// The counters of the meta-page, as of the last `GET_READER`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meta {
    /// Events lost before the current reader page, if the swap to it lost any. (The C
    /// implementation leaves 0 here.)
    pub reader_lost_events: u64,
    /// Which sub-buffer is the reader page.
    pub reader_id: u32,
    /// How many bytes of the reader page's data the kernel takes for consumed.
    pub reader_read: u32,
    /// Events written since the buffer was reset.
    pub entries: u64,
    /// Events overwritten before they were read.
    pub overrun: u64,
    /// Events read.
    pub read: u64,
    /// Pages overwritten before they were read.
    pub pages_lost: u64,
    /// Pages written.
    pub pages_touched: u64,
}

impl Meta {
    /// Events in the buffer: written, neither read nor overwritten.
    pub fn unread(&self) -> u64 {
        self.entries
            .wrapping_sub(self.overrun)
            .wrapping_sub(self.read)
    }
}

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

/// One read-only shared mapping of a file; unmapped when dropped.
#[derive(Debug)]
struct Map {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: A mapping belongs to the process: any of its threads may read and unmap it.
unsafe impl Send for Map {}

impl Map {
    fn new(fd: BorrowedFd<'_>, offset: usize, len: usize) -> rustix::io::Result<Self> {
        // SAFETY: The kernel chooses the address (null hint, no MAP_FIXED), so no memory that is in
        // use is replaced.
        let base = unsafe {
            mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ,
                MapFlags::SHARED,
                fd,
                offset as u64,
            )
        }?;
        // mmap() does not hand out page 0 without MAP_FIXED.
        let base = NonNull::new(base.cast()).ok_or(Errno::INVAL)?;
        Ok(Map { base, len })
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: `base` and `len` are those of a successful mmap(), unmapped only here. References
        // into the mapping borrow from its owner, so none is left.
        let result = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
        debug_assert!(result.is_ok(), "munmap: {result:?}");
    }
}

/// The mapped ring buffer of one CPU.
#[derive(Debug)]
pub struct Mapping {
    file: File,
    path: PathBuf,
    geometry: Geometry,
    meta: Map,
    data: Map,
}

impl Mapping {
    /// Maps the ring buffer behind a `trace_pipe_raw` file, which must have been opened with
    /// O_NONBLOCK: otherwise [`get_reader`](Self::get_reader) waits for data. `path` is for messages.
    ///
    /// # Errors
    ///
    /// [`Error::SnapshotBusy`], [`Error::NotMappable`], [`Error::BadMeta`], [`Error::Permission`],
    /// or [`Error::Io`].
    pub fn new(file: File, path: &Path) -> Result<Self> {
        let fail = |e: Errno| match e {
            Errno::BUSY => Error::SnapshotBusy(path.into()),
            Errno::NODEV | Errno::INVAL | Errno::OPNOTSUPP => Error::NotMappable {
                path: path.into(),
                source: e.into(),
            },
            _ => Error::io("map", path, e.into()),
        };
        let page_size = rustix::param::page_size();

        // One page holds the structure. How long the meta-page is, only the structure tells; what
        // follows the structure is padding, so it is not mapped.
        let meta = Map::new(file.as_fd(), 0, page_size).map_err(fail)?;
        let geometry =
            Geometry::check(raw_meta(&meta), page_size).map_err(|what| Error::BadMeta {
                path: path.into(),
                what,
            })?;
        let data = Map::new(file.as_fd(), geometry.meta_page_size, geometry.data_len());
        Ok(Mapping {
            data: data.map_err(fail)?,
            file,
            path: path.into(),
            geometry,
            meta,
        })
    }

    /// The sizes of this mapping.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The file behind it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The counters, as of the last `GET_READER` of this buffer.
    pub fn meta(&self) -> Meta {
        let raw = raw_meta(&self.meta);
        let load = |field: &AtomicU64| field.load(Ordering::Relaxed);

        // The kernel stores the id last. Pairs with the smp_wmb() in MetaWriter::publish(): the
        // other fields are at least as new as the id. (Relaxed load and fence, as an acquire load
        // on read-only memory must be.)
        let reader_id = raw.reader_id.load(Ordering::Relaxed);
        fence(Ordering::Acquire);

        Meta {
            reader_lost_events: load(&raw.reader_lost_events),
            reader_id,
            reader_read: raw.reader_read.load(Ordering::Relaxed),
            entries: load(&raw.entries),
            overrun: load(&raw.overrun),
            read: load(&raw.read),
            pages_lost: load(&raw.pages_lost),
            pages_touched: load(&raw.pages_touched),
        }
    }

    /// The reader page as it is, without a system call.
    ///
    /// # Errors
    ///
    /// [`Error::BadMeta`] if the meta-page names a sub-buffer that does not exist.
    pub fn reader(&mut self) -> Result<Reader<'_>> {
        let meta = self.meta();
        let size = self.geometry.subbuf_size;
        let capacity = size.saturating_sub(PAGE_HEADER);

        if meta.reader_id >= self.geometry.nr_subbufs {
            return Err(Error::BadMeta {
                path: self.path.clone(),
                what: format!(
                    "reader page {} of {} sub-buffers",
                    meta.reader_id, self.geometry.nr_subbufs
                ),
            });
        }
        // SAFETY: `Geometry::check` has checked that `nr_subbufs` times `subbuf_size` is at most
        // `isize::MAX`, that many bytes are mapped, and the id is below `nr_subbufs`.
        let page = unsafe { self.data.base.add(meta.reader_id as usize * size) };
        // SAFETY: A sub-buffer is at least one page, aligned to pages, and mapped as long as `self`
        // lives. The header's fields are atomics, so writes by the kernel are allowed; 8-byte
        // relaxed loads are the only access and permitted on read-only memory.
        let header: &RawHeader = unsafe { page.cast().as_ref() };

        let commit = Commit::from_word(header.commit.load(Ordering::Relaxed));
        // Pairs with the smp_wmb() before the stores to commit. In rb_set_commit_to_write(): the data
        // below commit is complete, and the time stamp is that of its first event. In
        // CompletePage::mark_missed(): the number of lost events is stored. (Relaxed load and fence,
        // as above.)
        fence(Ordering::Acquire);
        let time_stamp = header.time_stamp.load(Ordering::Relaxed);

        let committed = commit.size().min(capacity);
        let stored = commit.missed() && commit.stored();
        let count = if stored { size_of::<u64>() } else { 0 };
        let len = committed.saturating_add(count).min(capacity);
        // SAFETY: PAGE_HEADER + `len` is at most the size of the sub-buffer, which is mapped as long
        // as `self` lives. These bytes do not change as long as the sub-buffer is the reader page:
        // the writer only appends behind commit, and the count behind the data is only there on a
        // page that the writer has left. It is the reader page until the next GET_READER, which
        // needs `&mut self` and so ends the borrow. (Another consumer of the same buffer could take
        // the page away: see «One consumer» in the crate's documentation. The walk over the bytes
        // reads each header once and bounds every access, so that it is robust even then.)
        let bytes = unsafe { std::slice::from_raw_parts(page.add(PAGE_HEADER).as_ptr(), len) };
        let (data, behind) = bytes.split_at(committed);

        Ok(Reader {
            id: meta.reader_id,
            read: meta.reader_read as usize,
            lost_events: meta.reader_lost_events,
            time_stamp,
            commit,
            stored_count: u64::read_from_bytes(behind).ok(),
            complete: commit.completes(capacity),
            data,
        })
    }

    /// Consumes what is left of the reader page, or swaps in the next one if nothing is left
    /// (`TRACE_MMAP_IOCTL_GET_READER`), and returns the reader page.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the ioctl fails, otherwise those of [`reader`](Self::reader).
    pub fn get_reader(&mut self) -> Result<Reader<'_>> {
        self.advance()?;
        self.reader()
    }

    /// The system call of [`get_reader`](Self::get_reader) alone.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn advance(&mut self) -> Result<()> {
        // SAFETY: GET_READER is the opcode of an ioctl without an argument. It touches no memory of
        // this process other than the mapped pages, and no slice of these is alive: each borrows
        // from a `Reader`, which borrows `self`.
        let result = unsafe { ioctl::ioctl(&self.file, NoArg::<GET_READER>::new()) };
        result.map_err(|e| Error::io("get the next reader page of", &self.path, e.into()))
    }
}

impl AsFd for Mapping {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The meta-page of a mapping at offset 0.
fn raw_meta(map: &Map) -> &RawMeta {
    const { assert!(size_of::<RawMeta>() <= 4096) };
    // SAFETY: Every mapping is aligned to pages, at least one page long (mmap() refuses length 0), and
    // mapped as long as `map` lives. All fields are atomics, so any contents are valid and writes by
    // the kernel are allowed; relaxed loads of up to 8 bytes are the only access and permitted on
    // read-only memory.
    unsafe { map.base.cast().as_ref() }
}

/// The reader page: what is committed on it, and what is known about it.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// Which sub-buffer it is.
    pub id: u32,
    /// How many bytes of `data` the kernel takes for consumed.
    pub read: usize,
    /// The meta-page's `reader.lost_events`.
    pub lost_events: u64,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcode_is_the_kernels() {
        assert_eq!(GET_READER, (u32::from(b'R') << 8 | 0x20) as Opcode);
    }

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

    fn raw(page: u32, len: u32, size: u32, nr: u32) -> RawMeta {
        let zero = || AtomicU64::new(0);
        RawMeta {
            meta_page_size: page.into(),
            meta_struct_len: len.into(),
            subbuf_size: size.into(),
            nr_subbufs: nr.into(),
            reader_lost_events: zero(),
            reader_id: 0.into(),
            reader_read: 0.into(),
            flags: zero(),
            entries: zero(),
            overrun: zero(),
            read: zero(),
            pages_lost: zero(),
            pages_touched: zero(),
        }
    }

    #[test]
    fn geometry_is_checked() {
        let check = |page, len, size, nr| Geometry::check(&raw(page, len, size, nr), 4096);
        let good = check(65536, 80, 65536, 17).unwrap();
        assert_eq!(good.data_len(), 17 * 65536);
        for (page, len, size, nr) in [
            (4096, 72, 4096, 3),
            (4096, 8192, 4096, 3),
            (0, 80, 4096, 3),
            (4096, 80, 0, 3),
            (4096, 80, 4000, 3),
            (4096, 80, 4096, 0),
            (4096, 80, 0xffff_f000, u32::MAX),
        ] {
            assert!(
                check(page, len, size, nr).is_err(),
                "{page} {len} {size} {nr}"
            );
        }
    }

    #[test]
    fn a_file_that_is_no_ring_buffer() {
        // A file of zeros maps, but is no meta-page.
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        let e = Mapping::new(file, Path::new("zeros")).unwrap_err();
        assert!(matches!(e, Error::BadMeta { .. }), "{e}");
    }
}
