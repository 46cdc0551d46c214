// SPDX-License-Identifier: GPL-2.0
// Resizing stays disabled while a buffer is mapped.
// compiler: E0624

use super::{
    bindings::ring_buffer_per_cpu,
    raw::{
        fields::cpu::RESIZE_DISABLED,
        Shared, //
    }, //
};
use kernel::sync::atomic::Relaxed;

fn resize_of_a_mapped_buffer(cpu: Shared<'_, ring_buffer_per_cpu>) {
    cpu.atomic(RESIZE_DISABLED).add(-1, Relaxed);
}
