// SPDX-License-Identifier: GPL-2.0

//! A writer, interrupted once at any point, and a reader of the mapped ring buffer on another CPU.
//!
//! Whatever the two see of each other, and when: each event is counted exactly once, no sub-buffer
//! goes back with events unread, and no data is read before it is written. That holds with all
//! barriers. With any of them taken out it does not.

mod buffer;
mod reader;
mod writer;

use buffer::{Barriers, ALL};
use memory_model::{explore, Violation};

fn run(barriers: Barriers) -> Result<usize, Violation> {
    explore(&[&|cpu| writer::write(cpu, barriers), &|cpu| {
        reader::read(cpu, barriers)
    }])
}

/// What goes wrong.
fn violation(barriers: Barriers) -> &'static str {
    run(barriers).expect_err("nothing goes wrong").what
}

#[test]
fn ring_buffer_holds() {
    let states = run(ALL).unwrap_or_else(|violation| panic!("{violation:#?}"));

    // The search is of no worth if it ends early.
    assert!(states > 100_000, "{states} states");
}

#[test]
fn d20_without_barrier_before_the_last_commit() {
    assert_eq!(
        violation(Barriers {
            last_commit: false,
            ..ALL
        }),
        "data is read before it is written"
    );
}

#[test]
fn d20_without_release_of_the_step() {
    assert_eq!(
        violation(Barriers { step: false, ..ALL }),
        "events are not counted exactly once"
    );
}

#[test]
fn without_barrier_before_a_commit() {
    assert_eq!(
        violation(Barriers {
            commit: false,
            ..ALL
        }),
        "data is read before it is written"
    );
}

#[test]
fn without_barrier_in_complete_page() {
    assert_eq!(
        violation(Barriers {
            complete_page: false,
            ..ALL
        }),
        "events are not counted exactly once"
    );
}

#[test]
fn without_barrier_in_committed() {
    assert_eq!(
        violation(Barriers {
            committed: false,
            ..ALL
        }),
        "data is read before it is written"
    );
}

#[test]
fn d19_without_barrier_behind_commit_page() {
    assert_eq!(
        violation(Barriers {
            reader_page: false,
            ..ALL
        }),
        "events are not counted exactly once"
    );
}

#[test]
fn d19_size_before_commit_page() {
    assert_eq!(
        violation(Barriers {
            commit_page_first: false,
            ..ALL
        }),
        "events are not counted exactly once"
    );
}
