// SPDX-License-Identifier: GPL-2.0
// A guard has the lock of the buffer that it is for.
// compiler: E0061

use super::{
    bindings::ring_buffer_per_cpu,
    buffer::CpuBuffer,
    map_state::MappingGuard,
    raw::Shared, //
};

fn guard_of_two_buffers(
    one: Shared<'_, ring_buffer_per_cpu>,
    other: Shared<'_, ring_buffer_per_cpu>,
) {
    let _ = MappingGuard::lock(CpuBuffer::new(one), other).add_user();
}
