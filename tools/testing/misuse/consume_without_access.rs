// SPDX-License-Identifier: GPL-2.0
// Others may look at an event that is consumed.
// compiler: E0061

use super::{
    buffer::CpuBuffer,
    consume, //
};

fn consume_without_access(cpu: CpuBuffer<'_>) {
    let _ = consume::get_reader(cpu);
}
