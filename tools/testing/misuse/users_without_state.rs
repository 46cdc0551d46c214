// SPDX-License-Identifier: GPL-2.0
// A buffer with users has a state, which the next one would look at.
// compiler: E0624

use super::buffer::CpuBuffer;
use core::num::NonZeroU32;

fn users_without_state(cpu: CpuBuffer<'_>) {
    cpu.lock_mapping().set_users(NonZeroU32::MIN);
}
