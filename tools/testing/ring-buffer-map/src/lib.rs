// SPDX-License-Identifier: GPL-2.0

//! The modules of `kernel/trace/ring_buffer_map` that need no kernel, under plain `cargo test`:
//! their own unit tests, which KUnit runs too, and more than a kernel has time for.

#![cfg(test)]

#[path = "../../../../kernel/trace/ring_buffer_map/events.rs"]
mod events;
#[path = "../../../../kernel/trace/ring_buffer_map/ids.rs"]
mod ids;
#[path = "../../../../kernel/trace/ring_buffer_map/layout.rs"]
mod layout;

mod random;
mod table;
mod walks;

// `ids.rs` names the kernel crate, which is this one here.
extern crate self as kernel;

mod shim;

use shim::{
    alloc,
    page,
    prelude, //
};
