// SPDX-License-Identifier: GPL-2.0
// A field is stored to with its lock held only.
// compiler: E0599

use super::{
    bindings::ring_buffer_per_cpu,
    raw::{
        fields,
        Shared, //
    }, //
};

fn store_without_lock(cpu: Shared<'_, ring_buffer_per_cpu>) {
    cpu.store(fields::cpu::READ, 0);
}
