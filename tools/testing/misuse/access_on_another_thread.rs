// SPDX-License-Identifier: GPL-2.0
// The access is unlocked by the context that has locked it.
// compiler: E0277

use super::raw::AccessGuard;

fn send<T: Send>(_: T) {}

fn access_on_another_thread(access: AccessGuard<'static>) {
    send(access);
}
