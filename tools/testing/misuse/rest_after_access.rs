// SPDX-License-Identifier: GPL-2.0
// Others may have consumed the rest of the page.
// compiler: E0505

use super::{
    buffer::CpuBuffer,
    reader_state::Consumer, //
};
use core::num::NonZeroUsize;

fn rest_after_access(cpu: CpuBuffer<'_>) {
    let access = cpu.lock_access();
    let rest = Consumer::lock(&access).consume(NonZeroUsize::MIN);

    drop(access);
    if let Some(rest) = rest {
        Consumer::lock(&cpu.lock_access()).resume(rest, NonZeroUsize::MIN);
    }
}
