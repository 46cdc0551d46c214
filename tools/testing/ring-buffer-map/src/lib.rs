// SPDX-License-Identifier: GPL-2.0

//! The modules of `kernel/trace/ring_buffer_map` that use nothing of the kernel, under plain
//! `cargo test`: their own unit tests, which KUnit runs too, and what is tried with random input.

#[cfg(test)]
#[path = "../../../../kernel/trace/ring_buffer_map/events.rs"]
mod events;

#[cfg(test)]
#[path = "../../../../kernel/trace/ring_buffer_map/layout.rs"]
mod layout;

#[cfg(test)]
mod random;
