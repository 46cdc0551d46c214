// SPDX-License-Identifier: GPL-2.0

//! Walks over words that were chosen for one case each.

use crate::events::{
    walk,
    Walk, //
};

const PADDING: u32 = 29;
const TIME_STAMP: u32 = 31;

fn header(type_len: u32, delta: u32) -> u32 {
    if cfg!(target_endian = "little") {
        type_len | delta << 5
    } else {
        type_len << 27 | delta
    }
}

fn walked(words: &[u32], stamp: u64, max: usize) -> Walk {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();

    walk(&bytes[..], stamp, max)
}

#[test]
fn padding_without_a_delta_has_no_length() {
    // The word behind it would be one, and lead to the event.
    let words = [header(PADDING, 0), 4, header(1, 5), 0];

    assert_eq!(
        walked(&words, 7, usize::MAX),
        Walk {
            entries: 0,
            stamp: 7,
            length: 16,
        }
    );
}

#[test]
fn absolute_times_before_and_after_the_last_event() {
    const UPPER: u64 = 1 << 59;

    for (earlier, stamp) in [
        // There are no upper bits to complete it with, as in C.
        (9, 5),
        (5, 5),
        (UPPER + 4, UPPER + 5),
        (UPPER + 5, UPPER + 5),
        // The lower bits went around.
        (UPPER + 6, 2 * UPPER + 5),
        (u64::MAX, 5),
    ] {
        let walk = walked(&[header(TIME_STAMP, 5), 0], earlier, 1);

        assert_eq!((walk.entries, walk.stamp, walk.length), (0, stamp, 8));
    }
}
