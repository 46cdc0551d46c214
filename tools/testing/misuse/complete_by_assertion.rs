// SPDX-License-Identifier: GPL-2.0
// A page is complete if the writers were seen to have left it.
// compiler: E0423

use super::{
    bindings::ring_buffer_per_cpu,
    raw::{
        fields,
        Locked,
        ReaderLock, //
    },
    reader_page::CompletePage,
    reader_state::MissedEvents, //
};

fn complete_by_assertion(mut cpu: Locked<'_, ring_buffer_per_cpu, ReaderLock>) {
    let page = cpu.follow_mut(fields::cpu::READER_PAGE);

    CompletePage(page).mark_missed(MissedEvents::Count(1));
}
