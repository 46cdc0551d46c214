// SPDX-License-Identifier: GPL-2.0

//! A writer, interrupted once at any point, and a reader on another CPU: that of a mapped ring
//! buffer in Rust, `ring_buffer_read_page()` in C, or an iterator in C.
//!
//! Whatever the two see of each other, and when: each event is counted exactly once, no sub-buffer
//! goes back with events unread, and no data is read before it is written. That holds with all
//! barriers. With any of them taken out it does not.

mod buffer;
mod consume;
mod iterate;
mod read_page;
mod reader;
mod writer;

use buffer::{Barriers, ALL};
use memory_model::{explore, Violation};
use reader::{Read, Reader};

const GET_READER: Read = Reader::get_reader;
const READ_PAGE: Read = Reader::read_page;
const ITERATE: Read = Reader::iterate;

const NOT_ONCE: &str = "events are not counted exactly once";
const TOO_EARLY: &str = "data is read before it is written";

fn run(read: Read, barriers: Barriers) -> Result<usize, Violation> {
    explore(&[&|cpu| writer::write(cpu, barriers), &|cpu| {
        reader::read(cpu, barriers, read)
    }])
}

fn holds(read: Read) {
    let states = run(read, ALL).unwrap_or_else(|violation| panic!("{violation:#?}"));

    // The search is of no worth if it ends early.
    assert!(states > 100_000, "{states} states");
}

/// What goes wrong.
fn violation(read: Read, barriers: Barriers) -> &'static str {
    run(read, barriers).expect_err("nothing goes wrong").what
}

#[test]
fn get_reader_holds() {
    holds(GET_READER);
}

#[test]
fn read_page_holds() {
    holds(READ_PAGE);
}

#[test]
fn iterate_holds() {
    holds(ITERATE);
}

#[test]
fn iterate_without_acquire_in_iter_empty() {
    let barriers = Barriers {
        iter_empty: false,
        ..ALL
    };

    assert_eq!(violation(ITERATE, barriers), NOT_ONCE);
}

#[test]
fn d19_without_acquire_in_advance_iter() {
    let barriers = Barriers {
        advance_iter: false,
        ..ALL
    };

    assert_eq!(violation(ITERATE, barriers), NOT_ONCE);
}

#[test]
fn d20_without_barrier_before_the_last_commit() {
    let barriers = Barriers {
        last_commit: false,
        ..ALL
    };

    assert_eq!(violation(GET_READER, barriers), TOO_EARLY);
    assert_eq!(violation(READ_PAGE, barriers), TOO_EARLY);
    assert_eq!(violation(ITERATE, barriers), TOO_EARLY);
}

#[test]
fn d20_without_release_of_the_step() {
    let barriers = Barriers { step: false, ..ALL };

    assert_eq!(violation(GET_READER, barriers), NOT_ONCE);
    assert_eq!(violation(READ_PAGE, barriers), NOT_ONCE);
    assert_eq!(violation(ITERATE, barriers), NOT_ONCE);
}

#[test]
fn without_barrier_before_a_commit() {
    let barriers = Barriers {
        commit: false,
        ..ALL
    };

    assert_eq!(violation(GET_READER, barriers), TOO_EARLY);
    assert_eq!(violation(READ_PAGE, barriers), TOO_EARLY);
    assert_eq!(violation(ITERATE, barriers), TOO_EARLY);
}

#[test]
fn size_loaded_after_the_barrier_before_a_commit() {
    let barriers = Barriers {
        size_before_commit: false,
        ..ALL
    };

    assert_eq!(violation(GET_READER, barriers), TOO_EARLY);
    assert_eq!(violation(READ_PAGE, barriers), TOO_EARLY);
    assert_eq!(violation(ITERATE, barriers), TOO_EARLY);
}

#[test]
fn without_barrier_in_complete_page() {
    let barriers = Barriers {
        complete_page: false,
        ..ALL
    };

    assert_eq!(violation(GET_READER, barriers), NOT_ONCE);
}

#[test]
fn without_barrier_in_committed() {
    let barriers = Barriers {
        committed: false,
        ..ALL
    };

    assert_eq!(violation(GET_READER, barriers), TOO_EARLY);
}

#[test]
fn without_barrier_at_the_end_of_get_reader_page() {
    let barriers = Barriers {
        reader_page: false,
        ..ALL
    };

    assert_eq!(violation(READ_PAGE, barriers), TOO_EARLY);
}

#[test]
fn d20_without_acquire_in_read_page() {
    let barriers = Barriers {
        read_page: false,
        ..ALL
    };

    assert_eq!(violation(READ_PAGE, barriers), TOO_EARLY);
}

#[test]
fn d19_without_acquire_in_get_reader_page() {
    let barriers = Barriers {
        get_reader_page: false,
        ..ALL
    };

    assert_eq!(violation(GET_READER, barriers), NOT_ONCE);
    assert_eq!(violation(READ_PAGE, barriers), NOT_ONCE);
}

#[test]
fn d19_size_before_commit_page() {
    let barriers = Barriers {
        commit_page_first: false,
        ..ALL
    };

    assert_eq!(violation(GET_READER, barriers), NOT_ONCE);
    assert_eq!(violation(READ_PAGE, barriers), NOT_ONCE);
    assert_eq!(violation(ITERATE, barriers), NOT_ONCE);
}
