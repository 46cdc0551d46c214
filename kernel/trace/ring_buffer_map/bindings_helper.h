/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bindgen reads for ring_buffer_map/bindings.rs. The structs that the
 * mapping works on are private to this file, so the file itself is read: the
 * layout then is that of the configuration at hand, and cannot drift.
 */
#include "../ring_buffer.c"
