// SPDX-License-Identifier: GPL-2.0

//! Snapshots and mappings exclude each other.
//!
//! A snapshot swaps the ring buffer for another one. A mapping counts itself and then waits for an
//! RCU grace period, unless there is no snapshot buffer. Somebody allocates one meanwhile.

use memory_model::{explore, Cpu, Step};

const MAPPED: usize = 0;
const ALLOCATED: usize = 1;
const SWAPPED: usize = 2;

/// Which barriers there are.
#[derive(Clone, Copy)]
struct Barriers {
    /// `smp_mb()` in `SnapshotExclusion::new()`.
    mapping: bool,
    /// `smp_mb()` in `tracing_snapshot_instance_cond()`.
    snapshot: bool,
    /// No barrier, but where the count is looked at: with interrupts disabled.
    in_section: bool,
    /// `synchronize_rcu()`, if there is a snapshot buffer.
    grace_period: bool,
}

const ALL: Barriers = Barriers {
    mapping: true,
    snapshot: true,
    in_section: true,
    grace_period: true,
};

/// `SnapshotExclusion::new()`. Returns whether the buffer that is mapped then is the one before the
/// swap.
fn map(cpu: &mut Cpu<'_>, barriers: Barriers) -> Step<u32> {
    cpu.store(MAPPED, 1)?;
    cpu.mb(barriers.mapping)?;
    if cpu.load(ALLOCATED)? == 1 {
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
    let swaps = early == 0 && (!barriers.in_section || is_mapped(cpu)? == 0);

    if swaps {
        cpu.store(SWAPPED, 1)?; // update_max_tr()
    }
    cpu.rcu_read_unlock()?;
    Ok(swaps.into())
}

fn holds(barriers: Barriers) -> bool {
    explore(&[
        &|cpu| map(cpu, barriers),
        &|cpu| snapshot(cpu, barriers),
        &|cpu| {
            // tracing_alloc_snapshot_instance()
            cpu.store(ALLOCATED, 1)?;
            Ok(0)
        },
        &|cpu| {
            let maps_the_old = cpu.join(0)? == 1;
            let swaps = cpu.join(1)? == 1;

            cpu.check(!(maps_the_old && swaps), "the mapped buffer is swapped")?;
            Ok(0)
        },
    ])
    .is_ok()
}

#[test]
fn snapshots_hold() {
    assert!(holds(ALL));
}

#[test]
fn snapshots_without_barrier_in_the_mapping() {
    assert!(!holds(Barriers {
        mapping: false,
        ..ALL
    }));
}

#[test]
fn snapshots_without_barrier_in_the_snapshot() {
    assert!(!holds(Barriers {
        snapshot: false,
        ..ALL
    }));
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
