// SPDX-License-Identifier: GPL-2.0
// Others may look at an event that is consumed.
// compiler: E0599

use super::buffer::CpuBuffer;
use core::num::NonZeroUsize;

fn consume_without_access(cpu: CpuBuffer<'_>) {
    cpu.lock_reader().consume(NonZeroUsize::MIN);
}
