// SPDX-License-Identifier: GPL-2.0
// A state has the sub-buffers and the layout of one buffer.
// compiler: E0451

use super::{
    layout::Layout,
    map_state::MapState,
    meta::MetaPage,
    ring::SubbufIds, //
};

fn state_of_another_buffer(layout: Layout, ids: SubbufIds, meta: MetaPage) {
    let _ = MapState { layout, ids, meta };
}
