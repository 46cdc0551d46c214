// SPDX-License-Identifier: GPL-2.0
// Readers in C take what is at the index for an event.
// compiler: E0451

use super::reader_state::{
    Consumer,
    Position, //
};

fn advance_into_an_event(mut reader: Consumer<'_>) {
    let end = Position {
        index: 3,
        ..reader.end()
    };

    reader.consume_events(&end, 1);
}
