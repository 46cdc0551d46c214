// SPDX-License-Identifier: GPL-2.0

//! Bindings of what is private to `kernel/trace`, generated from `ring_buffer.c`.
//!
//! Nothing but `cpu_buffer.rs` and `trace_file.rs` may use these directly.

#![allow(
    clippy::all,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

use kernel::{
    bindings::*,
    ffi, //
};

include!(concat!(
    env!("OBJTREE"),
    "/kernel/trace/ring_buffer_map/bindings_generated.rs"
));
