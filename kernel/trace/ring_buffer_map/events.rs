// SPDX-License-Identifier: GPL-2.0

//! Walking the event headers of a sub-buffer.
//!
//! The bytes are not trusted: whatever they hold, the walk stays within them and ends.

/// `type_len` values above those of data, as in [`enum ring_buffer_type`].
///
/// [`enum ring_buffer_type`]: srctree/include/linux/ring_buffer.h
pub(crate) const TYPE_PADDING: u32 = 29;
pub(crate) const TYPE_TIME_EXTEND: u32 = 30;
pub(crate) const TYPE_TIME_STAMP: u32 = 31;

/// The size of an event header, in bytes.
const HEADER: usize = 4;

/// The size of a time extend and of an absolute time stamp, in bytes.
pub(crate) const TIME_EVENT: usize = 8;

/// The unit in which `type_len` counts data, in bytes.
const ALIGNMENT: usize = 4;

/// The number of bits of a header's `time_delta`.
pub(crate) const TIME_SHIFT: u32 = 27;

/// The bits that an absolute time stamp has no room for.
pub(crate) const TIME_STAMP_MSB: u64 = 0xf8 << 56;

/// Bytes that begin at an event.
pub(crate) trait Bytes: Copy {
    /// How many there are.
    fn len(self) -> usize;

    /// The word at `offset`, if it is within the bytes and aligned.
    fn word(self, offset: usize) -> Option<u32>;

    /// The bytes from `offset` on.
    fn skip(self, offset: usize) -> Option<Self>;
}

impl Bytes for &[u8] {
    fn len(self) -> usize {
        <[u8]>::len(self)
    }

    fn word(self, offset: usize) -> Option<u32> {
        let word = self.get(offset..offset.checked_add(4)?)?;

        Some(u32::from_ne_bytes(word.try_into().ok()?))
    }

    fn skip(self, offset: usize) -> Option<Self> {
        self.get(offset..)
    }
}

/// What a walk over events found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walk {
    /// The number of data events.
    pub(crate) entries: usize,
    /// The time stamp of the last event.
    pub(crate) stamp: u64,
    /// How many bytes are done with: those before the next event, or all.
    pub(crate) length: usize,
}

/// Walks up to `max` events in `bytes`, which begin at an event; `stamp` is the time of the one
/// before.
///
/// Counts and adds up as C's `rb_advance_reader()` would, event by event. What follows a padding
/// event without a length, or an event that does not fit, is skipped.
pub(crate) fn walk(bytes: impl Bytes, stamp: u64, max: usize) -> Walk {
    let mut walk = Walk {
        entries: 0,
        stamp,
        length: bytes.len(),
    };
    let mut rest = bytes;

    for _ in 0..max {
        let Some(next) = walk.step(rest).and_then(|length| rest.skip(length)) else {
            return walk;
        };
        rest = next;
    }
    walk.length -= rest.len();
    walk
}

impl Walk {
    /// Accounts the first event in `bytes`. Returns its length, which is never 0.
    fn step(&mut self, bytes: impl Bytes) -> Option<usize> {
        let (type_len, delta) = header(bytes)?;

        match type_len {
            // Discarded, or the end of a sub-buffer. Without a delta there is no length either.
            TYPE_PADDING if delta == 0 => None,
            TYPE_PADDING => Some(sized(bytes)?),
            TYPE_TIME_EXTEND => {
                self.stamp = self.stamp.wrapping_add(wide_time(bytes, delta)?);
                Some(TIME_EVENT)
            }
            TYPE_TIME_STAMP => {
                self.stamp = absolute_time(wide_time(bytes, delta)?, self.stamp);
                Some(TIME_EVENT)
            }
            _ => {
                let length = match type_len {
                    0 => sized(bytes)?,
                    words => HEADER + words as usize * ALIGNMENT,
                };
                self.stamp = self.stamp.wrapping_add(delta);
                self.entries += 1;
                Some(length)
            }
        }
    }
}

/// The `type_len` and the `time_delta` of the event at the start of `bytes`.
fn header(bytes: impl Bytes) -> Option<(u32, u64)> {
    let word = bytes.word(0)?;

    // C declares them as bit-fields, whose order follows the endianness.
    let (type_len, delta) = if cfg!(target_endian = "little") {
        (word & 31, word >> 5)
    } else {
        (word >> TIME_SHIFT, word & ((1 << TIME_SHIFT) - 1))
    };
    Some((type_len, delta.into()))
}

/// The length of the event at the start of `bytes` that has its size in the word after the header.
fn sized(bytes: impl Bytes) -> Option<usize> {
    (bytes.word(HEADER)? as usize).checked_add(HEADER)
}

/// A time of which the header holds the lower bits and the word after it the upper ones.
fn wide_time(bytes: impl Bytes, delta: u64) -> Option<u64> {
    Some((u64::from(bytes.word(HEADER)?) << TIME_SHIFT) + delta)
}

/// An absolute time stamp with the upper bits that it lacks taken from an earlier one.
fn absolute_time(stamp: u64, earlier: u64) -> u64 {
    if earlier & TIME_STAMP_MSB == 0 {
        return stamp;
    }

    let stamp = stamp | (earlier & TIME_STAMP_MSB);
    if stamp < earlier {
        stamp.wrapping_add(1 << 59)
    } else {
        stamp
    }
}

#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(ring_buffer_map_events)
)]
#[cfg_attr(not(CONFIG_KUNIT = "y"), cfg(test))]
mod tests {
    use super::*;

    /// A sub-buffer under construction.
    struct Bytes {
        bytes: [u8; 128],
        len: usize,
    }

    impl Bytes {
        fn new() -> Self {
            Self {
                bytes: [0; 128],
                len: 0,
            }
        }

        fn word(mut self, word: u32) -> Self {
            self.bytes[self.len..self.len + 4].copy_from_slice(&word.to_ne_bytes());
            self.len += 4;
            self
        }

        fn header(self, type_len: u32, delta: u32) -> Self {
            self.word(if cfg!(target_endian = "little") {
                type_len | delta << 5
            } else {
                type_len << 27 | delta
            })
        }

        fn data(mut self, len: usize) -> Self {
            self.len += len;
            self
        }

        /// The entries and the last time stamp of all events.
        fn walk(&self, stamp: u64) -> (usize, u64) {
            let walk = walk(&self.bytes[..self.len], stamp, usize::MAX);

            assert_eq!(walk.length, self.len);
            (walk.entries, walk.stamp)
        }
    }

    #[test]
    fn nothing() {
        for bytes in [&[][..], &[1, 0, 0]] {
            let walk = walk(bytes, 7, 1);

            assert_eq!(walk.entries, 0);
            assert_eq!(walk.stamp, 7);
            assert_eq!(walk.length, bytes.len());
        }
    }

    #[test]
    fn data_of_both_kinds() {
        let small = Bytes::new().header(2, 5).data(8);
        assert!(small.walk(100) == (1, 105));

        let both = small.header(0, 7).word(12).data(8).header(1, 1).data(4);
        assert!(both.walk(100) == (3, 113));
    }

    #[test]
    fn times() {
        let extend = Bytes::new().header(TYPE_TIME_EXTEND, 3).word(2);
        assert!(extend.walk(10) == (0, 13 + (2 << 27)));

        let data = extend.header(1, 1).data(4);
        assert!(data.walk(10) == (1, 14 + (2 << 27)));

        let stamp = Bytes::new().header(TYPE_TIME_STAMP, 3).word(2);
        assert!(stamp.walk(10) == (0, 3 + (2 << 27)));
    }

    #[test]
    fn absolute_times_keep_the_upper_bits() {
        let upper = 1 << 59;

        assert_eq!(absolute_time(5, 4), 5);
        assert_eq!(absolute_time(5, upper + 4), upper + 5);
        assert_eq!(absolute_time(5, upper + 6), 2 * upper + 5);
    }

    #[test]
    fn padding_is_no_entry() {
        let discarded = Bytes::new().header(TYPE_PADDING, 1).word(8).data(4);
        let data = discarded.header(1, 2).data(4);
        assert!(data.walk(0) == (1, 2));

        let end = Bytes::new().header(1, 2).data(4).header(TYPE_PADDING, 0);
        let behind = end.header(1, 2).data(4);
        assert!(behind.walk(0) == (1, 2));
    }

    #[test]
    fn what_does_not_fit_ends_the_walk() {
        let mut event = Bytes::new().header(0, 1).word(u32::MAX).data(8);
        assert!(event.walk(0) == (1, 1));

        event.len = 4;
        assert!(event.walk(0) == (0, 0));

        let extend = Bytes::new().header(TYPE_TIME_EXTEND, 1);
        assert!(extend.walk(0) == (0, 0));
    }

    #[test]
    fn an_event_of_size_0_is_not_repeated() {
        let event = Bytes::new().header(0, 1).word(0);
        // The size word is taken for the next event, which then has no size word of its own.
        assert!(event.walk(0) == (1, 1));
    }

    #[test]
    fn a_walk_stops_at_an_event() {
        let three = Bytes::new()
            .header(1, 1)
            .data(4)
            .header(2, 1)
            .data(8)
            .header(1, 1)
            .data(4);
        let bytes = &three.bytes[..three.len];

        for (max, length) in [0, 8, 20, 28, 28].into_iter().enumerate() {
            let walk = walk(bytes, 0, max);

            assert_eq!(walk.length, length);
            assert_eq!(walk.entries, max.min(3));
        }
    }
}
