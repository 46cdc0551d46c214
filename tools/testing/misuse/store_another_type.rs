// SPDX-License-Identifier: GPL-2.0
// A field is stored to with a value of its type.
// compiler: E0308

use super::{
    bindings::ring_buffer_per_cpu,
    raw::{
        fields,
        Locked,
        ReaderLock, //
    }, //
};

fn store_another_type(mut cpu: Locked<'_, ring_buffer_per_cpu, ReaderLock>) {
    cpu.store(fields::cpu::READ, 0u32);
}
