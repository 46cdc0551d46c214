// SPDX-License-Identifier: GPL-2.0

//! The table from ids to sub-buffers.

use crate::{
    ids::Ids,
    page::PAGE_SIZE,
    prelude::ENOMEM,
    shim::heap, //
};

/// How many entries a part has.
const PART: usize = PAGE_SIZE / size_of::<u64>();

/// Few, some that fill up their parts, and some that do not.
const SIZES: [usize; 8] = [
    0,
    1,
    2,
    PART - 1,
    PART,
    PART + 1,
    3 * PART,
    3 * PART + 5, //
];

#[test]
fn each_entry_is_where_it_was_put() {
    for nr in SIZES {
        let mut ids = Ids::new(nr, 0u64).unwrap();

        for id in 0..nr {
            *ids.get_mut(id).unwrap() = 7 + id as u64;
        }
        for id in 0..nr {
            assert_eq!(ids.get(id), Some(7 + id as u64));
            assert_eq!(ids.get_mut(id).copied(), Some(7 + id as u64));
        }
        assert_eq!(ids.get(nr), None);
        assert_eq!(ids.get_mut(nr), None);
        assert_eq!(ids.get(usize::MAX), None);
        assert_eq!(ids.get_mut(usize::MAX), None);
    }
}

#[test]
fn a_new_table_has_empty_entries() {
    for nr in SIZES {
        let ids = Ids::new(nr, 5u64).unwrap();

        for id in 0..nr {
            assert_eq!(ids.get(id), Some(5));
        }
        assert_eq!(ids.get(nr), None);
    }
}

#[test]
fn one_entry_is_changed_alone() {
    let nr = 2 * PART + 1;

    for id in [0, 1, PART - 1, PART, 2 * PART] {
        let mut ids = Ids::new(nr, 0u64).unwrap();

        *ids.get_mut(id).unwrap() = 1;
        for other in 0..nr {
            assert_eq!(ids.get(other), Some(u64::from(other == id)));
        }
    }
}

#[test]
fn slices_are_of_one_part() {
    for nr in SIZES {
        let mut ids = Ids::new(nr, 0u64).unwrap();

        for (start, max) in [(0, 3), (1, 1), (PART - 1, 2), (PART, PART + 9), (nr, 1)] {
            let left = nr.saturating_sub(start);
            let expected = max.min(left).min(PART - start % PART);
            let slice = ids.slice_mut(start, max);

            assert_eq!(slice.len(), expected);
            slice.fill(9);
            for id in 0..nr {
                let within = id >= start && id - start < expected;

                assert_eq!(ids.get(id), Some(if within { 9 } else { 0 }));
            }
            ids.slice_mut(start, max).fill(0);
        }
        assert!(ids.slice_mut(usize::MAX, usize::MAX).is_empty());
        assert!(ids.slice_mut(0, 0).is_empty());
    }
}

#[test]
fn no_allocation_is_larger_than_a_page() {
    let _ids = Ids::new(20 * PART, 0u64).unwrap();

    assert_eq!(heap::largest(), PAGE_SIZE);
}

#[test]
fn a_table_takes_no_more_than_it_needs() {
    let _ids = Ids::new(5, [0u64; 4]).unwrap();

    assert!(heap::largest() <= 5 * size_of::<[u64; 4]>());
}

#[test]
fn memory_runs_out() {
    // The list of the parts, and three of them.
    for allocations in 0..4 {
        heap::fail_after(allocations);
        assert_eq!(Ids::new(3 * PART, 0u64).err(), Some(ENOMEM));
    }
    heap::fail_after(4);
    assert!(Ids::new(3 * PART, 0u64).is_ok());
}
