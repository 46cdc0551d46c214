// SPDX-License-Identifier: GPL-2.0
// A mark is stored to bytes that a slice may cover.
// compiler: E0502

use super::{
    events,
    reader_state::{
        Consumer,
        MissedEvents, //
    }, //
};

fn slice_during_mark(mut reader: Consumer<'_>) {
    let page = reader.page();
    let bytes = page.committed(0, 64);

    if let Some(mut complete) = reader.complete_page() {
        complete.mark_missed(MissedEvents::Count(1));
    }
    events::walk(bytes, 0, 1);
}
