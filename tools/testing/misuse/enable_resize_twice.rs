// SPDX-License-Identifier: GPL-2.0
// A unit that disables resizing is taken back once.
// compiler: E0133

use super::{
    bindings::ring_buffer_per_cpu,
    raw::{
        ResizeDisabled,
        Shared, //
    }, //
};

fn enable_resize_twice(cpu: Shared<'_, ring_buffer_per_cpu>) {
    drop(ResizeDisabled::take_over(cpu));
}
