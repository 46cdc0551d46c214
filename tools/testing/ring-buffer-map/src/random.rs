// SPDX-License-Identifier: GPL-2.0

//! Random and hostile input.

use crate::{
    events::walk,
    layout::{
        Layout,
        Slot, //
    },
};
use proptest::{
    collection::vec,
    prelude::*, //
};

/// An event header that is likely to be valid, little-endian or not.
fn header() -> impl Strategy<Value = u32> {
    (0u32..32, 0u32..1 << 27).prop_map(|(type_len, delta)| {
        if cfg!(target_endian = "little") {
            type_len | delta << 5
        } else {
            type_len << 27 | delta
        }
    })
}

/// The words of a sub-buffer: event headers among small sizes and anything else.
fn words() -> impl Strategy<Value = Vec<u32>> {
    vec(
        prop_oneof![3 => header(), 2 => 0u32..256, 1 => any::<u32>()],
        0..1024,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_walk_ends_and_counts_no_more_than_fits(words in words(), cut in 0usize..4) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let bytes = &bytes[..bytes.len().saturating_sub(cut)];
        let walk = walk(bytes, 0, usize::MAX);

        prop_assert!(walk.entries <= bytes.len() / 4);
        prop_assert_eq!(walk.length, bytes.len());
    }

    #[test]
    fn a_walk_of_bytes_ends(bytes in vec(any::<u8>(), 0..4096), stamp: u64, max: usize) {
        let walk = walk(&bytes[..], stamp, max);

        prop_assert!(walk.entries <= max.min(bytes.len() / 4));
        prop_assert!(walk.length <= bytes.len());
    }

    #[test]
    fn steps_find_what_a_walk_finds(words in words(), max in 1usize..100) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let whole = walk(&bytes[..], 7, usize::MAX);
        let (mut at, mut entries, mut stamp) = (0, 0, 7);

        while at < bytes.len() {
            let step = walk(&bytes[at..], stamp, max);

            prop_assert!(step.length > 0);
            at += step.length;
            entries += step.entries;
            stamp = step.stamp;
        }
        prop_assert_eq!((entries, stamp), (whole.entries, whole.stamp));
    }

    #[test]
    fn what_may_be_mapped_is_there(
        nr_subbufs in 0usize..64,
        order in 0u32..8,
        pgoff in prop_oneof![0usize..20_000, any::<usize>()],
        len in prop_oneof![0usize..20_000, any::<usize>()],
    ) {
        let layout = Layout::new(nr_subbufs, order).unwrap();
        let fits = pgoff
            .checked_add(len)
            .is_some_and(|end| len > 0 && end <= (nr_subbufs + 1) << order);
        let allowed = layout.check(pgoff, len).is_ok();

        prop_assert_eq!(layout.nr_subbufs(), nr_subbufs);

        prop_assert_eq!(allowed, fits && pgoff % (1 << order) == 0);
        if allowed {
            for pgoff in [pgoff, pgoff + len - 1] {
                if let Slot::SubBuffer { id, page } = layout.slot(pgoff) {
                    prop_assert!(id < nr_subbufs && page < layout.subbuf_pages());
                    prop_assert_eq!(((id + 1) << order) + page, pgoff);
                }
            }
        }
    }
}
