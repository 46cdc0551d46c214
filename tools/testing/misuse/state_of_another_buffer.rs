// SPDX-License-Identifier: GPL-2.0
// A state is linked to the buffer that it was made for.
// compiler: E0624

use super::{
    layout::Layout,
    map_state::MapState, //
};

fn state_of_another_buffer(layout: Layout) {
    let _ = MapState::new(layout);
}
