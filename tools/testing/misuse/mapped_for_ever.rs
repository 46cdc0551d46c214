// SPDX-License-Identifier: GPL-2.0
// A buffer is not mapped for ever.
// compiler: E0515

use super::{
    buffer::CpuBuffer,
    map_state::Mapped, //
};

fn mapped_for_ever(cpu: CpuBuffer<'static>) -> Option<Mapped<'static>> {
    let guard = cpu.lock_mapping();

    guard.mapped()
}
