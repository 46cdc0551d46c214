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

        prop_assert!(walk(bytes, 0).entries <= bytes.len() / 4);
    }

    #[test]
    fn a_walk_of_bytes_ends(bytes in vec(any::<u8>(), 0..4096), stamp: u64) {
        prop_assert!(walk(&bytes, stamp).entries <= bytes.len() / 4);
    }

    #[test]
    fn a_walk_may_pause_between_events(sizes in vec(1u32..28, 1..64), pause in 0usize..64) {
        let mut bytes = Vec::new();
        let mut ends = vec![0];

        for (size, delta) in sizes.iter().zip(1u32..) {
            let header = if cfg!(target_endian = "little") {
                size | delta << 5
            } else {
                size << 27 | delta
            };
            bytes.extend(header.to_ne_bytes());
            bytes.resize(bytes.len() + *size as usize * 4, 0xaa);
            ends.push(bytes.len());
        }

        let at = ends[pause % ends.len()];
        let first = walk(&bytes[..at], 7);
        let second = walk(&bytes[at..], first.stamp);
        let whole = walk(&bytes, 7);

        prop_assert_eq!(whole.entries, sizes.len());
        prop_assert_eq!(first.entries + second.entries, whole.entries);
        prop_assert_eq!(second.stamp, whole.stamp);
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
