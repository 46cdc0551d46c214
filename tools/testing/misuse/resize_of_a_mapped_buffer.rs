// SPDX-License-Identifier: GPL-2.0
// Resizing stays disabled while a buffer is mapped.
// compiler: E0603

use super::{
    bindings::ring_buffer_per_cpu,
    raw::{
        fields::cpu::RESIZE_DISABLED,
        Shared, //
    }, //
};

fn resize_of_a_mapped_buffer(cpu: Shared<'_, ring_buffer_per_cpu>) -> i32 {
    cpu.load(RESIZE_DISABLED)
}
