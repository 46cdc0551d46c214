// SPDX-License-Identifier: GPL-2.0

//! Bindings of the structs that are private to `ring_buffer.c`, and of the shims.
//!
//! Only `raw` accesses the structs and calls the functions, but for those of `trace_map_count`,
//! which `snapshot` calls, and `rb_map_cpu_buffer()`, which `kunit_api` calls. Other modules use
//! the names of the types and the constants.

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

pub(crate) use kernel::{
    bindings::*,
    ffi, //
};

/// An instance of the tracing system.
#[repr(C)]
pub(crate) struct trace_array([u8; 0]);

include!(concat!(
    env!("OBJTREE"),
    "/rust/bindings/ring_buffer_map_generated.rs"
));
