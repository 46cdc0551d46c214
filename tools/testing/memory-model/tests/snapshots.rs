// SPDX-License-Identifier: GPL-2.0

//! Snapshots and mappings exclude each other.
//!
//! A snapshot swaps the ring buffer for another one. A mapping counts itself and then waits for an
//! RCU grace period, unless the instance never had a snapshot buffer. Somebody allocates one
//! meanwhile, and frees it.

use memory_model::{explore, Cpu, Step};

const MAPPED: usize = 0;
const HAD: usize = 1;
const ALLOCATED: usize = 2;
const SWAPPED: usize = 3;

/// Which barriers there are.
#[derive(Clone, Copy)]
struct Barriers {
    /// `smp_mb(Full)` in `SnapshotExclusion::settle()`.
    mapping: bool,
    /// `smp_mb()` in `tracing_snapshot_instance_cond()`.
    snapshot: bool,
    /// `smp_wmb()` in `tracing_alloc_snapshot_instance()`.
    allocation: bool,
    /// No barrier, but where the count is looked at: with interrupts disabled.
    in_section: bool,
    /// `synchronize_rcu()`, if there was a snapshot buffer.
    grace_period: bool,
    /// No barrier, but what the mapping looks at: `had_snapshot`, which stays set. Otherwise
    /// `allocated_snapshot`, which `free_snapshot()` clears.
    had_snapshot: bool,
}

const ALL: Barriers = Barriers {
    mapping: true,
    snapshot: true,
    allocation: true,
    in_section: true,
    grace_period: true,
    had_snapshot: true,
};

/// `SnapshotExclusion::new()` and `settle()`. Returns whether the buffer that is mapped then is the
/// one before the swap.
fn map(cpu: &mut Cpu<'_>, barriers: Barriers) -> Step<u32> {
    cpu.store(MAPPED, 1)?;
    cpu.mb(barriers.mapping)?;

    let waits = match barriers.had_snapshot {
        true => cpu.load(HAD)?,
        false => cpu.load(ALLOCATED)?,
    };

    if waits == 1 {
        cpu.synchronize_rcu(barriers.grace_period)?;
    }
    Ok(u32::from(cpu.load(SWAPPED)? == 0))
}

/// `tracing_snapshot_instance_cond()`. Returns whether it swaps the buffers.
fn snapshot(cpu: &mut Cpu<'_>, barriers: Barriers) -> Step<u32> {
    let is_mapped = |cpu: &mut Cpu<'_>| {
        cpu.mb(barriers.snapshot)?;
        cpu.load(MAPPED)
    };

    if cpu.load(ALLOCATED)? == 0 {
        return Ok(0);
    }

    let early = match barriers.in_section {
        true => 0,
        false => is_mapped(cpu)?,
    };

    cpu.rcu_read_lock()?; // local_irq_save()
    let mapped = early == 1 || barriers.in_section && is_mapped(cpu)? == 1;
    // update_max_tr() looks at allocated_snapshot again.
    let swaps = !mapped && cpu.load(ALLOCATED)? == 1;

    if swaps {
        cpu.store(SWAPPED, 1)?;
    }
    cpu.rcu_read_unlock()?;
    Ok(swaps.into())
}

/// `tracing_alloc_snapshot_instance()`.
fn alloc(cpu: &mut Cpu<'_>, barriers: Barriers) -> Step<()> {
    cpu.store(HAD, 1)?;
    cpu.wmb(barriers.allocation)?;
    cpu.store(ALLOCATED, 1)
}

/// `free_snapshot()`.
fn free(cpu: &mut Cpu<'_>) -> Step<()> {
    cpu.store(ALLOCATED, 0)
}

/// A mapping on CPU 0 and a snapshot on CPU 1.
fn check(cpu: &mut Cpu<'_>) -> Step<u32> {
    let maps_the_old = cpu.join(0)? == 1;
    let swaps = cpu.join(1)? == 1;

    cpu.check(!(maps_the_old && swaps), "the mapped buffer is swapped")?;
    Ok(0)
}

/// Somebody else allocates a snapshot buffer, and frees it if `freed`.
fn holds_if(freed: bool, barriers: Barriers) -> bool {
    explore(&[
        &|cpu| map(cpu, barriers),
        &|cpu| snapshot(cpu, barriers),
        &|cpu| {
            alloc(cpu, barriers)?;
            if freed {
                free(cpu)?;
            }
            Ok(0)
        },
        &check,
    ])
    .is_ok()
}

fn holds(barriers: Barriers) -> bool {
    holds_if(true, barriers)
}

/// `tracing_snapshot_alloc()`: one CPU allocates the buffer and takes the snapshot.
fn alloc_holds(barriers: Barriers) -> bool {
    explore(&[
        &|cpu| map(cpu, barriers),
        &|cpu| {
            alloc(cpu, barriers)?;
            snapshot(cpu, barriers)
        },
        &check,
    ])
    .is_ok()
}

#[test]
fn snapshots_hold() {
    assert!(holds(ALL));
    assert!(alloc_holds(ALL));
}

#[test]
fn snapshots_without_barrier_in_the_mapping() {
    let barriers = Barriers {
        mapping: false,
        ..ALL
    };

    assert!(!holds(barriers));
    assert!(!alloc_holds(barriers));
}

#[test]
fn snapshots_without_barrier_in_the_snapshot() {
    let barriers = Barriers {
        snapshot: false,
        ..ALL
    };

    assert!(!holds(barriers));
    assert!(!alloc_holds(barriers));
}

#[test]
fn snapshots_without_barrier_in_the_allocation() {
    assert!(!holds(Barriers {
        allocation: false,
        ..ALL
    }));
}

/// Right as long as nobody frees the snapshot buffer, and wrong if somebody does.
#[test]
fn snapshots_with_a_flag_that_is_cleared() {
    let barriers = Barriers {
        had_snapshot: false,
        ..ALL
    };

    assert!(holds_if(false, barriers));
    assert!(!holds_if(true, barriers));
}

#[test]
fn d22_count_before_interrupts_are_disabled() {
    assert!(!holds(Barriers {
        in_section: false,
        ..ALL
    }));
}

#[test]
fn snapshots_without_grace_period() {
    assert!(!holds(Barriers {
        grace_period: false,
        ..ALL
    }));
}
