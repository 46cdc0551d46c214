// SPDX-License-Identifier: LGPL-2.1-or-later

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
//! The last point fails if somebody else consumes from the same buffer or resets it. So
//! [`Mapping::new`] is `unsafe` and its contract excludes that. [`Mapping::open`] is safe: it takes
//! only files of tracefs, and only those that no other `ringmap` has open. Whoever else may write to
//! tracefs (that is root, reading `trace_pipe`, resetting through `trace` or choosing another
//! `trace_clock`) is trusted not to: as with a debugger or /proc/self/mem, the language's promises
//! end there. The walk over events is written so that even then it stays inside its bytes and ends:
//! it bounds each access by lengths that it has loaded itself.
//!
//! No `&mut` is ever formed, and the pages are mapped read-only.

#![expect(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::ioctl::{self, NoArg, Opcode};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::exclusive::Lease;
use crate::meta::RawMeta;
pub use crate::meta::{Geometry, Meta};
use crate::page::RawHeader;
pub use crate::page::{Commit, PAGE_HEADER, Reader};
use crate::tracefs::Instance;
use crate::{Error, Result};

/// `TRACE_MMAP_IOCTL_GET_READER`.
const GET_READER: Opcode = ioctl::opcode::none(b'R', 0x20);

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

/// Memory that a test writes as the kernel does: another mapping of the same file.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Memory(Map);

#[cfg(test)]
impl Memory {
    pub(crate) fn new(file: &File, len: usize) -> Self {
        // SAFETY: As in `Map::new()`: the kernel chooses the address.
        let base = unsafe {
            let prot = ProtFlags::READ | ProtFlags::WRITE;
            mmap(std::ptr::null_mut(), len, prot, MapFlags::SHARED, file, 0)
        };
        let base = NonNull::new(base.unwrap().cast()).unwrap();
        Memory(Map { base, len })
    }

    /// Stores words so that whoever sees one of them sees what was stored before.
    pub(crate) fn store(&self, at: usize, words: &[u64]) {
        use std::sync::atomic::AtomicU64;

        assert!(at.trailing_zeros() >= 3 && at + 8 * words.len() <= self.0.len);
        for (n, word) in words.iter().enumerate() {
            // SAFETY: Inside the mapping and aligned, by the assertion; everybody uses atomics here.
            let place: &AtomicU64 = unsafe { self.0.base.add(at + 8 * n).cast().as_ref() };
            place.store(*word, Ordering::Release);
        }
    }

    /// Copies bytes to where no reader looks yet.
    pub(crate) fn copy(&self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.0.len);
        // SAFETY: Inside the mapping, by the assertion. Readers look at data below a commit only, and
        // that is stored later; what is stored behind the data of a reader page is stored within
        // GET_READER, when no slice is alive. There is one writer at a time.
        unsafe {
            let place = self.0.base.add(at).as_ptr();
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
        }
    }
}

/// What a mapping asks of the kernel.
pub(crate) trait Kernel: fmt::Debug + Send {
    /// `GET_READER`.
    fn get_reader(&mut self, file: BorrowedFd<'_>) -> rustix::io::Result<()>;

    /// Waits until there is something to read, at most so long. Returns whether there is.
    fn wait(&mut self, file: BorrowedFd<'_>, limit: Duration) -> rustix::io::Result<bool>;
}

/// The running kernel.
#[derive(Debug)]
struct Running;

impl Kernel for Running {
    fn get_reader(&mut self, file: BorrowedFd<'_>) -> rustix::io::Result<()> {
        // SAFETY: GET_READER is the opcode of an ioctl without an argument. It touches no memory of
        // this process other than the mapped pages, and no slice of these is alive: each borrows
        // from a `Reader`, which borrows the `Mapping` that calls this with `&mut self`.
        unsafe { ioctl::ioctl(file, NoArg::<GET_READER>::new()) }
    }

    fn wait(&mut self, file: BorrowedFd<'_>, limit: Duration) -> rustix::io::Result<bool> {
        wait(file, limit)
    }
}

/// `poll(2)` for reading. A signal counts as nothing to read.
pub(crate) fn wait(file: BorrowedFd<'_>, limit: Duration) -> rustix::io::Result<bool> {
    let timeout = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    match poll(
        &mut [PollFd::from_borrowed_fd(file, PollFlags::IN)],
        Some(&timeout),
    ) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(e) => Err(e),
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
    kernel: Box<dyn Kernel>,
    /// Last, so that the next one may have the buffer only when it is unmapped here.
    _lease: Option<Lease>,
}

impl Mapping {
    /// Maps the ring buffer of a CPU, for this process and this mapping alone.
    ///
    /// # Errors
    ///
    /// Those of [`Instance::open_pipe_raw`]; [`Error::NotTracefs`] if the file is not of a tracefs;
    /// [`Error::InUse`] if another mapping of this crate has it, here or in another process;
    /// [`Error::SnapshotBusy`], [`Error::NotMappable`], [`Error::BadMeta`], [`Error::Permission`],
    /// or [`Error::Io`].
    pub fn open(instance: &Instance, cpu: u32) -> Result<Self> {
        let (file, path) = instance.open_pipe_raw(cpu)?;
        let lease = Lease::take(&file, &path, cpu)?;
        Self::leased(file, &path, lease)
    }

    /// Maps a file of tracefs that nobody else of this crate has.
    pub(crate) fn leased(file: File, path: &Path, lease: Lease) -> Result<Self> {
        // SAFETY: The lease says that the file is one of tracefs, and of those only `trace_pipe_raw`
        // can be mapped. It excludes every other user of this crate, whose resets respect it, too.
        // Others who may write to tracefs are trusted: see the module's documentation.
        let mut mapping = unsafe { Self::new(file, path) }?;
        mapping._lease = Some(lease);
        Ok(mapping)
    }

    /// Maps the ring buffer behind a `trace_pipe_raw` file, which must have been opened with
    /// O_NONBLOCK: otherwise [`get_reader`](Self::get_reader) waits for data. `path` is for messages.
    ///
    /// # Errors
    ///
    /// [`Error::SnapshotBusy`], [`Error::NotMappable`], [`Error::BadMeta`], [`Error::Permission`],
    /// or [`Error::Io`].
    ///
    /// # Safety
    ///
    /// `file` is `per_cpu/cpuN/trace_pipe_raw` of a tracefs. As long as the mapping lives, nobody
    /// else consumes from the buffer (by a mapping, `trace_pipe`, `read(2)` or `splice(2)`), and
    /// nobody resets it (by writing to `trace`, or by choosing another `trace_clock`) while a
    /// [`Reader`] is alive. Otherwise memory that a `&[u8]` points to changes.
    pub unsafe fn new(file: File, path: &Path) -> Result<Self> {
        Self::with(file, path, Box::new(Running))
    }

    /// The same with another kernel, for tests: the file is laid out as the kernel's mapping is.
    #[cfg(test)]
    pub(crate) fn fake(file: File, kernel: Box<dyn Kernel>) -> Result<Self> {
        Self::with(file, Path::new("fake"), kernel)
    }

    /// The callers answer for the contract of [`new`](Self::new).
    fn with(file: File, path: &Path, kernel: Box<dyn Kernel>) -> Result<Self> {
        let fail = |e: Errno| match e {
            Errno::BUSY => Error::SnapshotBusy(path.into()),
            Errno::NODEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOTTY => Error::NotMappable {
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
            kernel,
            _lease: None,
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
        Meta::load(raw_meta(&self.meta))
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
        // Orders the load of commit before those of what it covers: the time stamp, the data, and the
        // number of lost events. The other side:
        // - The second loop of rb_set_commit_to_write(), which moves commit on within the writer's
        //   page, has an smp_wmb() before the store.
        // - Its first loop, which moves commit to the end of the pages that the writer has left,
        //   has none and relies on the cmpxchg() of tail_page. That comes after the data of the
        //   event that left the page, but not after that of an outer event which an interrupt has
        //   come into. On x86 stores are seen in order. On weakly ordered processors the last
        //   event of such a page might in theory be seen before it is whole; the kernel's own
        //   readers have the same gap.
        // - The number of lost events and its flags are stored within the GET_READER of this thread
        //   (C); CompletePage::mark_missed() has an smp_wmb() between them (Rust).
        // (Relaxed load and fence, as an acquire load on read-only memory must be.)
        fence(Ordering::Acquire);
        let time_stamp = header.time_stamp.load(Ordering::Relaxed);

        let len = Reader::len(commit, capacity);
        // SAFETY: PAGE_HEADER + `len` is at most the size of the sub-buffer, which is mapped as long
        // as `self` lives. These bytes do not change as long as the sub-buffer is the reader page:
        // the writer only appends behind commit, and the count behind the data is only there on a
        // page that the writer has left. It is the reader page until the next GET_READER, which
        // needs `&mut self` and so ends the borrow: others who would consume or reset are excluded
        // by the contract of `new()`.
        let bytes = unsafe { std::slice::from_raw_parts(page.add(PAGE_HEADER).as_ptr(), len) };

        let page = Reader::new(time_stamp, commit, capacity, bytes);
        Ok(Reader {
            id: meta.reader_id,
            read: meta.reader_read as usize,
            lost_events: meta.reader_lost_events,
            overrun: meta.overrun,
            ..page
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
        let result = self.kernel.get_reader(self.file.as_fd());
        result.map_err(|e| Error::io("get the next reader page of", &self.path, e.into()))
    }

    /// Waits until the buffer is filled to the instance's `buffer_percent`, at most so long. Returns
    /// whether it is.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if `poll(2)` fails. A signal is no failure.
    pub fn wait(&mut self, limit: Duration) -> Result<bool> {
        let result = self.kernel.wait(self.file.as_fd(), limit);
        result.map_err(|e| Error::io("wait for", &self.path, e.into()))
    }
}

impl AsFd for Mapping {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for Mapping {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcode_is_the_kernels() {
        assert_eq!(GET_READER, (u32::from(b'R') << 8 | 0x20) as Opcode);
    }

    #[test]
    fn a_file_that_is_no_ring_buffer() {
        // A file of zeros maps, but is no meta-page.
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        let e = Mapping::fake(file, Box::new(Running)).unwrap_err();
        assert!(matches!(e, Error::BadMeta { .. }), "{e}");
    }
}
