// SPDX-License-Identifier: LGPL-2.1-or-later

//! Read Linux trace ring buffers where they are: through their memory mapping.
//!
//! The kernel lets a process map the ring buffer of one CPU (`mmap(2)` on
//! `per_cpu/cpuN/trace_pipe_raw`) and follow it page by page with one `ioctl(2)`, `GET_READER`.
//! No event is copied: what this crate hands out are slices of the mapping itself.
//!
//! | module | does |
//! |---|---|
//! | [`tracefs`] | finds tracefs, its instances and their control files |
//! | [`control`] | what an instance traces; puts back what was changed |
//! | [`select`] | which events: `SYSTEM:EVENT:FILTER` |
//! | [`undo`] | the steps back, also by another process |
//! | [`mapping`] | the two memory mappings and `GET_READER`; the only module with `unsafe` code |
//! | [`reader`] | turns `GET_READER` into sub-buffers: each event once, losses as values |
//! | [`event`] | walks the events of a sub-buffer |
//! | [`format`](mod@format) | parses the `format` files: which field lies where in an event |
//! | [`decode`] | event plus format: field values |
//! | [`print`](mod@print) | the text of an event, as its `print fmt` says |
//! | [`merge`] | the events of several CPUs in order of time |
//! | [`text`] | events as lines: `trace_pipe`'s text, or JSON |
//! | [`comm`] | names of processes, by pid |
//! | [`symbols`] | names for addresses of the kernel |
//! | [`stream`] | one thread per CPU, counters, samples |
//! | [`tracedat`] | writes files for trace-cmd and kernelshark |
//! | [`perfetto`] | writes traces for Perfetto |
//! | [`advice`] | what would have helped against lost events |
//! | [`account`] | the books at the end of a run: read + lost = written |
//! | [`hotplug`] | the CPUs that can be read, as they come online |
//! | [`kernel`] | which implementation of the mapping the running kernel has |
//!
//! # Example
//!
//! Count the events of CPU 0 for as long as there are any:
//!
//! ```no_run
//! use ringmap::{reader::CpuBuffer, tracefs::Tracefs};
//!
//! # fn main() -> Result<(), ringmap::Error> {
//! let instance = Tracefs::find()?.instance(None)?;
//! let mut buffer = CpuBuffer::open(&instance, 0)?;
//! let mut events = 0;
//! while let Some(page) = buffer.get_reader()? {
//!     if let Some(loss) = page.loss() {
//!         eprintln!("before this page: {loss}");
//!     }
//!     events += page.events().count();
//! }
//! println!("{events} events");
//! # Ok(())
//! # }
//! ```
//!
//! # One consumer
//!
//! A ring buffer has one reader page, and whoever asks for the next one takes it from everybody
//! else. The kernel does not stop a second process from reading the same CPU of the same instance
//! (another mapping, `trace_pipe`), and the result is then unpredictable for both: see
//! `Documentation/trace/ring-buffer-map.rst`. So [`CpuBuffer::open`](reader::CpuBuffer::open) locks
//! the file against others that use this crate, and
//! [`Instance::reset`](tracefs::Instance::reset) refuses while this process reads. Whoever may write
//! to tracefs otherwise is trusted not to read or reset the buffer meanwhile.

// The examples of the README are compiled.
#![cfg_attr(doctest, doc = include_str!("../README.md"))]
#![warn(missing_docs)]
#![warn(clippy::undocumented_unsafe_blocks)]
#![deny(unsafe_code)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("ringmap needs 64-bit Linux: it reads 8-byte words of kernel memory in one load");

mod access;
pub mod account;
pub mod advice;
mod builtin;
pub mod comm;
mod context;
pub mod control;
mod copies;
pub mod cpulist;
mod cursor;
pub mod decode;
pub mod error;
mod escape;
pub mod event;
mod exclusive;
#[cfg(test)]
mod fake;
pub mod format;
pub mod hotplug;
mod json;
pub mod kernel;
mod loss;
pub mod mapping;
pub mod merge;
mod meta;
mod page;
pub mod perfetto;
pub mod print;
pub mod reader;
mod sample;
pub mod select;
mod source;
pub mod stream;
mod subbuf;
pub mod symbols;
pub mod text;
pub mod tracedat;
pub mod tracefs;
pub mod undo;
mod worker;

pub use error::{Error, Result};
