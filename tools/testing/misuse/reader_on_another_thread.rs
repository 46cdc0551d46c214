// SPDX-License-Identifier: GPL-2.0
// reader_lock is released on the CPU that has taken it.
// compiler: E0277

use super::reader_state::ReaderGuard;

fn send<T: Send>(_: T) {}

fn reader_on_another_thread(reader: ReaderGuard<'static>) {
    send(reader);
}
