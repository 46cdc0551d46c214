// SPDX-License-Identifier: GPL-2.0
// No snapshot swaps a buffer that is being mapped.
// compiler: E0308

use super::{
    buffer::CpuBuffer,
    mapping, //
};
use kernel::{
    mm::virt::VmaNew,
    prelude::*, //
};

fn map_without_exclusion(cpu: CpuBuffer<'_>, vma: &VmaNew) -> Result {
    mapping::map(cpu, vma)
}
