// SPDX-License-Identifier: GPL-2.0
// What reader_lock protects needs the lock.
// compiler: E0133

use super::{
    bindings::ring_buffer_per_cpu,
    raw::{
        Locked,
        Shared, //
    },
    reader_state::ReaderGuard, //
};

fn reader_without_lock(cpu: Shared<'_, ring_buffer_per_cpu>) {
    ReaderGuard::locked(Locked::assume(cpu, None)).publish();
}
