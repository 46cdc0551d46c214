// SPDX-License-Identifier: GPL-2.0

//! What user space sees of a mapped buffer, without a system call: events on the reader page, the
//! meta-page, and the mark of lost events. The kernel stores each with a write barrier before the
//! word that tells of it, and user space loads that word with acquire.

use memory_model::{explore, Cpu, Process, Step};

fn load(cpu: &mut Cpu<'_>, word: usize, acquire: bool) -> Step<u32> {
    match acquire {
        true => cpu.load_acquire(word),
        false => cpu.load(word),
    }
}

/// Whether the processes do nothing wrong.
fn holds(processes: &[Process<'_>]) -> bool {
    explore(processes).is_ok()
}

/// Events are written and committed one by one, as in the second loop of
/// `rb_set_commit_to_write()`. User space reads up to the commit, as ringmap's `Mapping::reader()`.
fn events(wmb: bool, acquire: bool) -> bool {
    const EVENTS: u32 = 3;
    const COMMIT: usize = 0;
    let data = |event: u32| 1 + event as usize;

    holds(&[
        &|cpu| {
            for event in 0..EVENTS {
                cpu.store(data(event), 1)?;
                cpu.wmb(wmb)?;
                cpu.store(COMMIT, event + 1)?;
            }
            Ok(0)
        },
        &|cpu| {
            for event in 0..load(cpu, COMMIT, acquire)? {
                let event = cpu.load(data(event))?;

                cpu.check(event != 0, "an event is committed and not written")?;
            }
            Ok(0)
        },
    ])
}

#[test]
fn events_hold() {
    assert!(events(true, true));
}

#[test]
fn events_without_wmb() {
    assert!(!events(false, true));
}

#[test]
fn events_without_acquire() {
    assert!(!events(true, false));
}

/// How the id of the reader page is stored behind the fields of the meta-page.
#[derive(Clone, Copy)]
enum Publish {
    /// `MetaWriter::publish()`.
    WriteBarrier,
    /// `rb_update_meta_page()` with the fixes for C.
    Release,
    /// `rb_update_meta_page()` of Linux 7.3.4.
    Plain,
}

/// One reader page after the other is published. A field is at least as new as the id.
fn meta_page(publish: Publish, acquire: bool) -> bool {
    const ID: usize = 0;
    const FIELDS: [usize; 2] = [1, 2];

    holds(&[
        &|cpu| {
            for page in 1..3 {
                for field in FIELDS {
                    cpu.store(field, page)?;
                }
                match publish {
                    Publish::WriteBarrier => {
                        cpu.wmb(true)?;
                        cpu.store(ID, page)?;
                    }
                    Publish::Release => cpu.store_release(ID, page)?,
                    Publish::Plain => cpu.store(ID, page)?,
                }
            }
            Ok(0)
        },
        &|cpu| {
            let id = load(cpu, ID, acquire)?;

            for field in FIELDS {
                let field = cpu.load(field)?;

                cpu.check(field >= id, "a field is older than the id")?;
            }
            Ok(0)
        },
    ])
}

#[test]
fn meta_page_holds() {
    assert!(meta_page(Publish::WriteBarrier, true));
    assert!(meta_page(Publish::Release, true));
}

#[test]
fn d11_meta_page_without_barrier() {
    assert!(!meta_page(Publish::Plain, true));
}

#[test]
fn meta_page_without_acquire() {
    assert!(!meta_page(Publish::WriteBarrier, false));
    assert!(!meta_page(Publish::Release, false));
}

/// Which barriers there are around a mark of lost events.
#[derive(Clone, Copy)]
struct Mark {
    /// `smp_store_release()` in `rb_set_commit_to_write()`.
    step: bool,
    /// `CompletePage::of()`: a read barrier behind the load of `commit_page`. Otherwise the acquire
    /// load in `rb_commit_page()`.
    rust: bool,
    /// `smp_mb(Write)` in `CompletePage::mark_missed()`.
    wmb: bool,
    /// The acquire load of the commit field in user space.
    acquire: bool,
}

const ALL: Mark = Mark {
    step: true,
    rust: true,
    wmb: true,
    acquire: true,
};

/// The writer commits to a page for the last time and leaves it. The reader marks it if it is
/// complete: the number of lost events behind the data, then the flag. The mark stays, and user
/// space that sees it sees the number.
fn mark(barriers: Mark) -> bool {
    const COMMIT: usize = 0;
    const COMMIT_PAGE: usize = 1;
    const NUMBER: usize = 2;
    const MARKED: u32 = 2;

    holds(&[
        &|cpu| {
            cpu.wmb(true)?;
            cpu.store(COMMIT, 1)?;
            match barriers.step {
                true => cpu.store_release(COMMIT_PAGE, 1)?,
                false => cpu.store(COMMIT_PAGE, 1)?,
            }
            Ok(0)
        },
        &|cpu| {
            let complete = load(cpu, COMMIT_PAGE, !barriers.rust)? == 1;

            cpu.rmb(barriers.rust)?;
            if complete {
                cpu.store(NUMBER, 1)?;
                cpu.wmb(barriers.wmb)?;
                cpu.store(COMMIT, MARKED)?;
            }
            Ok(complete.into())
        },
        &|cpu| {
            let commit = load(cpu, COMMIT, barriers.acquire)?;
            let number = cpu.load(NUMBER)?;

            cpu.check(commit != MARKED || number == 1, "a mark without its number")?;

            let marked = cpu.join(1)? == 1;

            cpu.join(0)?;
            let commit = cpu.load(COMMIT)?;
            cpu.check(!marked || commit == MARKED, "the mark is gone")?;
            Ok(0)
        },
    ])
}

#[test]
fn mark_holds() {
    assert!(mark(ALL));
    assert!(mark(Mark { rust: false, ..ALL }));
}

#[test]
fn mark_without_release_of_the_step() {
    assert!(!mark(Mark { step: false, ..ALL }));
    assert!(!mark(Mark {
        step: false,
        rust: false,
        ..ALL
    }));
}

#[test]
fn mark_without_wmb() {
    assert!(!mark(Mark { wmb: false, ..ALL }));
}

#[test]
fn mark_without_acquire() {
    assert!(!mark(Mark {
        acquire: false,
        ..ALL
    }));
}
