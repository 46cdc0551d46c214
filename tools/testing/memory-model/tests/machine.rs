// SPDX-License-Identifier: GPL-2.0

//! The machine is as weak as the kernel's memory model: the shapes of tools/memory-model's litmus
//! tests, with the results that they have there.

use memory_model::{explore, Cpu, Process, Step};

const X: usize = 0;
const Y: usize = 1;
const Z: usize = 2;

/// Whether all of the processes can return 1.
fn sometimes(processes: &[Process<'_>]) -> bool {
    let judge = |cpu: &mut Cpu<'_>| {
        let mut all = true;

        for process in 0..processes.len() {
            all &= cpu.join(process)? == 1;
        }
        cpu.check(!all, "all")?;
        Ok(0)
    };
    let mut together = processes.to_vec();

    together.push(&judge);
    explore(&together).is_err()
}

/// `MP`: two stores, and two loads in the other order.
fn message_passing(wmb: bool, rmb: bool) -> bool {
    sometimes(&[
        &|cpu| {
            cpu.store(X, 1)?;
            cpu.wmb(wmb)?;
            cpu.store(Y, 1)?;
            Ok(1)
        },
        &|cpu| {
            let y = cpu.load(Y)?;
            cpu.rmb(rmb)?;
            let x = cpu.load(X)?;
            Ok(u32::from(y == 1 && x == 0))
        },
    ])
}

#[test]
fn mp_wmb_rmb_never() {
    assert!(!message_passing(true, true));
}

#[test]
fn mp_without_wmb_sometimes() {
    assert!(message_passing(false, true));
}

#[test]
fn mp_without_rmb_sometimes() {
    assert!(message_passing(true, false));
}

#[test]
fn mp_release_acquire_never() {
    assert!(!sometimes(&[
        &|cpu| {
            cpu.store(X, 1)?;
            cpu.store_release(Y, 1)?;
            Ok(1)
        },
        &|cpu| {
            let y = cpu.load_acquire(Y)?;
            let x = cpu.load(X)?;
            Ok(u32::from(y == 1 && x == 0))
        },
    ]));
}

/// A release, and a load that is no acquire: with a read barrier behind it, as CompletePage::of(), or
/// without.
fn message_passing_release(rmb: bool) -> bool {
    sometimes(&[
        &|cpu| {
            cpu.store(X, 1)?;
            cpu.store_release(Y, 1)?;
            Ok(1)
        },
        &|cpu| {
            let y = cpu.load(Y)?;
            cpu.rmb(rmb)?;
            let x = cpu.load(X)?;
            Ok(u32::from(y == 1 && x == 0))
        },
    ])
}

#[test]
fn mp_release_rmb_never() {
    assert!(!message_passing_release(true));
}

#[test]
fn mp_release_without_acquire_sometimes() {
    assert!(message_passing_release(false));
}

/// `SB`: a store and a load of the other's word.
fn store_buffering(first: bool, second: bool) -> bool {
    let side = |mine, other, mb| {
        move |cpu: &mut Cpu<'_>| -> Step<u32> {
            cpu.store(mine, 1)?;
            cpu.mb(mb)?;
            Ok(u32::from(cpu.load(other)? == 0))
        }
    };

    sometimes(&[&side(X, Y, first), &side(Y, X, second)])
}

#[test]
fn sb_mb_mb_never() {
    assert!(!store_buffering(true, true));
}

#[test]
fn sb_with_one_mb_sometimes() {
    assert!(store_buffering(true, false));
}

#[test]
fn corr_never() {
    assert!(!sometimes(&[
        &|cpu| {
            cpu.store(X, 1)?;
            Ok(1)
        },
        &|cpu| {
            let new = cpu.load(X)?;
            let old = cpu.load(X)?;
            Ok(u32::from(new == 1 && old == 0))
        },
    ]));
}

/// `S`: a store that follows the load of a later one goes behind the former. The condition orders
/// the load before it.
fn store_behind_load(release: bool) -> bool {
    let end = |cpu: &mut Cpu<'_>| {
        cpu.join(0)?;
        cpu.join(1)?;
        Ok(u32::from(cpu.load(X)? == 2))
    };

    sometimes(&[
        &|cpu| {
            cpu.store(X, 2)?;
            match release {
                true => cpu.store_release(Y, 1)?,
                false => cpu.store(Y, 1)?,
            }
            Ok(1)
        },
        &|cpu| {
            let y = cpu.load(Y)?;
            cpu.rmb(true)?;
            if y == 1 {
                cpu.store(X, 1)?;
            }
            Ok(y)
        },
        &end,
    ])
}

#[test]
fn s_release_never() {
    assert!(!store_behind_load(true));
}

#[test]
fn s_without_release_sometimes() {
    assert!(store_behind_load(false));
}

/// `RWC`: what a third CPU stored, seen by the first and not by the second.
fn read_to_write(barrier: fn(&mut Cpu<'_>) -> Step<()>) -> bool {
    sometimes(&[
        &|cpu| {
            cpu.store(X, 1)?;
            Ok(1)
        },
        &|cpu| {
            let x = cpu.load(X)?;
            barrier(cpu)?;
            let y = cpu.load(Y)?;
            Ok(u32::from(x == 1 && y == 0))
        },
        &|cpu| {
            cpu.store(Y, 1)?;
            cpu.mb(true)?;
            Ok(u32::from(cpu.load(X)? == 0))
        },
    ])
}

#[test]
fn rwc_mb_mb_never() {
    assert!(!read_to_write(|cpu| cpu.mb(true)));
}

#[test]
fn rwc_rmb_mb_sometimes() {
    assert!(read_to_write(|cpu| cpu.rmb(true)));
}

/// `WRC`: what is seen is passed on. A release does so for the stores of others, too.
fn write_to_read(release: bool) -> bool {
    sometimes(&[
        &|cpu| {
            cpu.store(X, 1)?;
            Ok(1)
        },
        &|cpu| {
            let x = cpu.load(X)?;
            match release {
                true => cpu.store_release(Y, 1)?,
                false => {
                    cpu.wmb(true)?;
                    cpu.store(Y, 1)?;
                }
            }
            Ok(x)
        },
        &|cpu| {
            let y = cpu.load(Y)?;
            cpu.rmb(true)?;
            let x = cpu.load(X)?;
            Ok(u32::from(y == 1 && x == 0))
        },
    ])
}

#[test]
fn wrc_release_rmb_never() {
    assert!(!write_to_read(true));
}

#[test]
fn wrc_wmb_rmb_sometimes() {
    assert!(write_to_read(false));
}

/// `IRIW`: two CPUs see two stores in different orders.
fn independent_reads(barrier: fn(&mut Cpu<'_>) -> Step<()>) -> bool {
    let write = |word| {
        move |cpu: &mut Cpu<'_>| -> Step<u32> {
            cpu.store(word, 1)?;
            Ok(1)
        }
    };
    let read = |first, second| {
        move |cpu: &mut Cpu<'_>| -> Step<u32> {
            let new = cpu.load(first)?;
            barrier(cpu)?;
            let old = cpu.load(second)?;
            Ok(u32::from(new == 1 && old == 0))
        }
    };

    sometimes(&[&write(X), &write(Y), &read(X, Y), &read(Y, X)])
}

#[test]
fn iriw_mb_never() {
    assert!(!independent_reads(|cpu| cpu.mb(true)));
}

#[test]
fn iriw_rmb_sometimes() {
    assert!(independent_reads(|cpu| cpu.rmb(true)));
}

/// `ISA2`: a chain of two messages.
#[test]
fn isa2_release_acquire_never() {
    assert!(!sometimes(&[
        &|cpu| {
            cpu.store(X, 1)?;
            cpu.store_release(Y, 1)?;
            Ok(1)
        },
        &|cpu| {
            let y = cpu.load_acquire(Y)?;
            cpu.store_release(Z, 1)?;
            Ok(y)
        },
        &|cpu| {
            let z = cpu.load_acquire(Z)?;
            let x = cpu.load(X)?;
            Ok(u32::from(z == 1 && x == 0))
        },
    ]));
}

/// `2+2W`: two words, stored to by two CPUs in opposite order.
fn opposite_stores(wmb: bool) -> bool {
    let write = |first, second| {
        move |cpu: &mut Cpu<'_>| -> Step<u32> {
            cpu.store(first, 1)?;
            cpu.wmb(wmb)?;
            cpu.store(second, 2)?;
            Ok(1)
        }
    };
    let end = |cpu: &mut Cpu<'_>| {
        cpu.join(0)?;
        cpu.join(1)?;
        let x = cpu.load(X)?;
        let y = cpu.load(Y)?;
        Ok(u32::from(x == 1 && y == 1))
    };

    sometimes(&[&write(X, Y), &write(Y, X), &end])
}

#[test]
fn w2_2_without_wmb_sometimes() {
    assert!(opposite_stores(false));
}

/// A section of RCU beside a grace period: it does not see what is stored behind the grace period
/// and miss what is stored before.
fn rcu_message_passing(section: bool) -> bool {
    sometimes(&[
        &|cpu| {
            cpu.store(X, 1)?;
            cpu.synchronize_rcu(true)?;
            cpu.store(Y, 1)?;
            Ok(1)
        },
        &|cpu| {
            if section {
                cpu.rcu_read_lock()?;
            }
            let y = cpu.load(Y)?;
            let x = cpu.load(X)?;
            if section {
                cpu.rcu_read_unlock()?;
            }
            Ok(u32::from(y == 1 && x == 0))
        },
    ])
}

#[test]
fn rcu_mp_never() {
    assert!(!rcu_message_passing(true));
}

#[test]
fn rcu_mp_without_section_sometimes() {
    assert!(rcu_message_passing(false));
}
