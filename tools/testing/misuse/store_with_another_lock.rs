// SPDX-License-Identifier: GPL-2.0
// reader_lock does not protect the number of users.
// compiler: E0308

use super::{
    bindings::ring_buffer_per_cpu,
    raw::{
        fields,
        Locked,
        ReaderLock, //
    }, //
};

fn store_with_another_lock(mut cpu: Locked<'_, ring_buffer_per_cpu, ReaderLock>) {
    cpu.store(fields::cpu::USER_MAPPED, 1);
}
