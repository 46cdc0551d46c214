// SPDX-License-Identifier: GPL-2.0
// The reader that a consumer has is for the CPU of its access.
// compiler: E0596

use super::{
    buffer::CpuBuffer,
    reader_state::Consumer, //
};
use core::mem;

fn swap_by_the_guard<'a>(cpu: CpuBuffer<'a>, mut reader: Consumer<'a>) {
    let mut other = cpu.lock_reader();

    mem::swap(&mut *reader, &mut other);
}
