// SPDX-License-Identifier: LGPL-2.1-or-later

//! The events of a sub-buffer.
//!
//! A sub-buffer is a sequence of records, each with a header of 32 bits: `type_len` (5) and
//! `time_delta` (27), as in `include/linux/ring_buffer.h`. [`Events`] yields the records that carry
//! data and keeps the time. It takes any bytes: it reads each header once, checks each length, never
//! panics and always ends.

use zerocopy::FromBytes;

/// `type_len` of padding, and of an event that was discarded after it was written.
const TYPE_PADDING: u32 = 29;
/// `type_len` of a time delta too long for an event's own 27 bits.
const TYPE_TIME_EXTEND: u32 = 30;
/// `type_len` of an absolute time stamp.
const TYPE_TIME_STAMP: u32 = 31;

/// Bits of `type_len`.
const TYPE_BITS: u32 = 5;
/// Bits of `time_delta`.
const TIME_BITS: u32 = 27;
/// Bytes of a record's header.
const HEADER: usize = 4;
/// An absolute time stamp has 59 bits (27 + 32). The upper 5 come from the time before.
const STAMP_BITS: u32 = TIME_BITS + 32;

/// One event, as it lies in the ring buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// When it was written, in units of the trace clock (nanoseconds for most of them).
    pub time: u64,
    /// What was written. The first two bytes are the event's id (`common_type`). The length is a
    /// multiple of 4: there may be some padding at the end.
    pub payload: &'a [u8],
}

impl Event<'_> {
    /// The id of the event's type, `common_type`; nothing if the payload is too short for one.
    pub fn id(&self) -> Option<u16> {
        let (id, _) = u16::read_from_prefix(self.payload).ok()?;
        Some(id)
    }
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An event; the payload begins so many bytes into the record.
    Data { payload: usize },
    /// Space without an event.
    Padding,
    /// Only moves the time.
    Time,
}

/// One record: the place where it was found plus `len` is the place of the next.
struct Record {
    kind: Kind,
    /// Whole length in bytes; never 0.
    len: usize,
    /// The time after it.
    time: u64,
}

/// The `type_len` and the `time_delta` of a header.
#[inline]
fn split(header: u32) -> (u32, u32) {
    // The C bit fields: the first is the low end on little endian, the high end on big endian.
    if cfg!(target_endian = "little") {
        (header & ((1 << TYPE_BITS) - 1), header >> TYPE_BITS)
    } else {
        (header >> TIME_BITS, header & ((1 << TIME_BITS) - 1))
    }
}

/// Decodes the record at the start of `data`. `None` at the end, which is also what null padding
/// means; `Some(Err(()))` if the record is not whole.
fn record(data: &[u8], time: u64) -> Option<Result<Record, ()>> {
    if data.is_empty() {
        return None;
    }
    let Ok((header, rest)) = u32::read_from_prefix(data) else {
        return Some(Err(()));
    };
    let (type_len, delta) = split(header);
    if type_len == TYPE_PADDING && delta == 0 {
        return None;
    }
    // Of the types, those with a length of their own in the header (1 to 28) have no second word.
    let word = || u32::read_from_prefix(rest).map(|(word, _)| word).ok();
    let whole = |kind, len: Option<usize>, time| match len {
        Some(len) if len <= data.len() => Ok(Record { kind, len, time }),
        _ => Err(()),
    };
    let add = |a: u32| usize::try_from(a).ok()?.checked_add(HEADER);
    let later = time.wrapping_add(u64::from(delta));

    Some(match type_len {
        TYPE_PADDING => {
            // The writer puts a delta of 1 where it has none: then it is no time.
            let time = if delta == 1 { time } else { later };
            whole(Kind::Padding, word().and_then(add), time)
        }
        TYPE_TIME_EXTEND | TYPE_TIME_STAMP => {
            let Some(high) = word() else {
                return Some(Err(()));
            };
            let value = (u64::from(high) << TIME_BITS) + u64::from(delta);
            let time = if type_len == TYPE_TIME_EXTEND {
                time.wrapping_add(value)
            } else {
                absolute(value, time)
            };
            whole(Kind::Time, Some(2 * HEADER), time)
        }
        0 => {
            // The second word counts itself.
            let len = word().filter(|len| *len >= 4).and_then(add);
            whole(
                Kind::Data {
                    payload: 2 * HEADER,
                },
                len,
                later,
            )
        }
        words => whole(Kind::Data { payload: HEADER }, add(words * 4), later),
    })
}

/// Records are made of words.
type Word = [u8; HEADER];

/// The whole words of `data`.
#[inline]
fn words(data: &[u8]) -> &[Word] {
    let whole = data.len() / HEADER * HEADER;
    <[Word]>::ref_from_bytes(&data[..whole]).unwrap_or_default()
}

/// The event at the start of `words` if it has 1 to 28 words, as nearly all have, and the words
/// behind it. `time` is that of the record before.
///
/// [`record`] gives the same; this is what a busy stream spends its time in.
#[inline]
fn short(words: &[Word], time: u64) -> Option<(Event<'_>, &[Word])> {
    let (type_len, delta) = split(u32::from_ne_bytes(*words.first()?));
    if !(1..TYPE_PADDING).contains(&type_len) {
        return None;
    }
    let (record, rest) = words.split_at_checked(1 + type_len as usize)?;
    let event = Event {
        time: time.wrapping_add(u64::from(delta)),
        payload: record[1..].as_flattened(),
    };
    Some((event, rest))
}

/// Completes a 59-bit time stamp with the upper bits of the time before it.
fn absolute(stamp: u64, before: u64) -> u64 {
    let high = before >> STAMP_BITS << STAMP_BITS;
    let stamp = stamp | high;
    if high != 0 && stamp < before {
        stamp.wrapping_add(1 << STAMP_BITS)
    } else {
        stamp
    }
}

/// Iterates over the events in committed bytes of a sub-buffer.
///
/// The iterator ends at the end of the bytes, at null padding, and at the first record that is not
/// whole; [`malformed`](Self::malformed) tells the last case from the others.
#[derive(Debug, Clone)]
pub struct Events<'a> {
    data: &'a [u8],
    position: usize,
    time: u64,
    malformed: bool,
    done: bool,
}

impl<'a> Events<'a> {
    /// The events in `data`, which begins with a record's header. `time` is the time stamp of the
    /// page if `data` is its beginning, otherwise the time of the record before.
    pub fn new(data: &'a [u8], time: u64) -> Self {
        Events {
            data,
            position: 0,
            time,
            malformed: false,
            done: false,
        }
    }

    /// Where the next record is, in bytes from the beginning.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The time of the last record that was read.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// Whether the iteration ended at a record that is not whole. The kernel never writes one.
    pub fn malformed(&self) -> bool {
        self.malformed
    }

    /// The words from the next record on.
    #[inline]
    fn words(&self) -> &'a [Word] {
        let data = self.data.get(self.position..).unwrap_or_default();
        words(data)
    }

    /// Reads one record, an event or not.
    fn step(&mut self) -> Option<Option<Event<'a>>> {
        let data = self.data.get(self.position..).unwrap_or_default();
        if self.done {
            return None;
        }
        let record = match record(data, self.time) {
            None => {
                self.done = true;
                return None;
            }
            Some(Err(())) => {
                self.done = true;
                self.malformed = true;
                return None;
            }
            Some(Ok(record)) => record,
        };
        self.position += record.len;
        self.time = record.time;
        let Kind::Data { payload } = record.kind else {
            return Some(None);
        };
        let payload = data.get(payload..record.len).unwrap_or_default();
        Some(Some(Event {
            time: record.time,
            payload,
        }))
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    #[inline]
    fn next(&mut self) -> Option<Event<'a>> {
        loop {
            if let Some((event, _)) = short(self.words(), self.time) {
                self.position += HEADER + event.payload.len();
                self.time = event.time;
                return Some(event);
            }
            if let Some(event) = self.step()? {
                return Some(event);
            }
        }
    }

    /// What `for_each()` and its kin go by: quicker than one `next()` after the other, as nothing is
    /// written back between two short events.
    #[inline]
    fn fold<B, F: FnMut(B, Event<'a>) -> B>(mut self, init: B, mut f: F) -> B {
        let mut folded = init;
        loop {
            let all = self.words();
            let (mut words, mut time) = (all, self.time);
            while let Some((event, rest)) = short(words, time) {
                (words, time) = (rest, event.time);
                folded = f(folded, event);
            }
            self.position += (all.len() - words.len()) * HEADER;
            self.time = time;
            match self.step() {
                None => return folded,
                Some(None) => {}
                Some(Some(event)) => folded = f(folded, event),
            }
        }
    }
}

impl std::iter::FusedIterator for Events<'_> {}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A record's header.
    pub(crate) fn header(type_len: u32, delta: u32) -> [u8; 4] {
        let header = if cfg!(target_endian = "little") {
            delta << TYPE_BITS | type_len
        } else {
            type_len << TIME_BITS | delta
        };
        header.to_ne_bytes()
    }

    /// An event of `words` words that are all `value`.
    pub(crate) fn data(delta: u32, words: u32, value: u32) -> Vec<u8> {
        let mut bytes = if (1..=28).contains(&words) {
            header(words, delta).to_vec()
        } else {
            let mut bytes = header(0, delta).to_vec();
            bytes.extend((words * 4 + 4).to_ne_bytes());
            bytes
        };
        for _ in 0..words {
            bytes.extend(value.to_ne_bytes());
        }
        bytes
    }

    fn words(type_len: u32, delta: u32, word: u32) -> Vec<u8> {
        let mut bytes = header(type_len, delta).to_vec();
        bytes.extend(word.to_ne_bytes());
        bytes
    }

    /// Time and payload length of each event, and whether the end was malformed.
    fn walk(bytes: &[u8], time: u64) -> (Vec<(u64, usize)>, bool) {
        let mut events = Events::new(bytes, time);
        let list = events.by_ref().map(|e| (e.time, e.payload.len())).collect();
        (list, events.malformed())
    }

    #[test]
    fn small_and_large_events() {
        let bytes = [data(0, 2, 7), data(5, 28, 7), data(1, 29, 7), data(1, 0, 7)].concat();
        assert_eq!(
            walk(&bytes, 100),
            (vec![(100, 8), (105, 112), (106, 116), (107, 0)], false)
        );
        let event = Events::new(&bytes, 0).next().unwrap();
        assert_eq!(event.id(), Some(7));
        assert_eq!(Events::new(&data(0, 0, 0), 0).next().unwrap().id(), None);
    }

    #[test]
    fn the_quick_way_gives_the_same() {
        for (delta, words) in [(0, 1), (5, 2), (7, 28)] {
            let bytes = [data(delta, words, 7), data(1, 1, 8)].concat();
            let all = super::words(&bytes);
            let (event, rest) = short(all, 100).unwrap();

            assert_eq!(event.time, 100 + u64::from(delta));
            assert_eq!(
                event.payload,
                [7u32.to_ne_bytes()].repeat(words as usize).as_flattened()
            );
            assert_eq!(rest.len(), 2);
            assert_eq!(Events::new(&bytes, 100).words().len(), all.len());
        }
        for bytes in [data(0, 0, 0), data(0, 29, 7), words(TYPE_PADDING, 1, 4)] {
            assert!(short(super::words(&bytes), 0).is_none());
        }
    }

    #[test]
    fn time_extend_adds_and_time_stamp_sets() {
        let bytes = [
            words(TYPE_TIME_EXTEND, 3, 1),
            data(0, 1, 0),
            words(TYPE_TIME_STAMP, 9, 2),
            data(1, 1, 0),
        ]
        .concat();
        let extend = (1 << 27) + 3;
        let stamp = (2 << 27) + 9;
        assert_eq!(
            walk(&bytes, 10),
            (vec![(10 + extend, 4), (stamp + 1, 4)], false)
        );
    }

    #[test]
    fn time_stamp_keeps_the_upper_bits() {
        assert_eq!(absolute(5, 3), 5);
        // Without upper bits there is nothing to complete, as in the kernel.
        assert_eq!(absolute(5, 9), 5);
        assert_eq!(absolute(5, (3 << 59) + 4), (3 << 59) + 5);
        assert_eq!(absolute(9, (3 << 59) + 9), (3 << 59) + 9);
        // The lower 59 bits went around since.
        assert_eq!(absolute(5, (3 << 59) + 9), (4 << 59) + 5);
    }

    #[test]
    fn padding_is_skipped_and_null_padding_ends() {
        let bytes = [
            words(TYPE_PADDING, 1, 8),
            vec![0xff; 4],
            data(2, 1, 0),
            words(TYPE_PADDING, 7, 4),
            data(1, 1, 0),
            header(TYPE_PADDING, 0).to_vec(),
            vec![0xff; 16],
        ]
        .concat();
        assert_eq!(walk(&bytes, 0), (vec![(2, 4), (10, 4)], false));
    }

    #[test]
    fn a_record_that_is_not_whole_ends_it() {
        for bytes in [
            vec![1, 2, 3],
            header(3, 0).to_vec(),
            header(0, 0).to_vec(),
            words(0, 0, 3),
            words(0, 0, 5),
            words(0, 0, u32::MAX),
            header(TYPE_TIME_EXTEND, 0).to_vec(),
            header(TYPE_PADDING, 1).to_vec(),
            words(TYPE_PADDING, 1, 9),
        ] {
            assert_eq!(walk(&bytes, 0), (vec![], true), "{bytes:?}");
        }
        assert_eq!(walk(&[], 0), (vec![], false));
    }

    proptest! {
        /// Any bytes: the walk ends, stays inside, and each step moves on.
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..5000), time: u64) {
            let mut events = Events::new(&bytes, time);
            let mut last = 0;
            let mut steps = 0;
            while events.step().is_some() {
                prop_assert!(events.position() >= last + HEADER);
                prop_assert!(events.position() <= bytes.len());
                last = events.position();
                steps += 1;
            }
            prop_assert!(steps <= bytes.len() / HEADER);
            prop_assert!(events.next().is_none());

            // One after the other, or all in one go.
            let all = Events::new(&bytes, time);
            let single: Vec<_> = std::iter::from_fn({
                let mut events = all.clone();
                move || events.next()
            }).collect();
            let mut folded = Vec::new();
            all.for_each(|event| folded.push(event));
            prop_assert_eq!(single, folded);
        }

        /// Headers that are plausible more often than random bytes are.
        #[test]
        fn any_headers(records in prop::collection::vec((0u32..32, any::<u32>(), 0u32..64), 0..300)) {
            let bytes: Vec<u8> = records
                .iter()
                .flat_map(|(kind, delta, word)| words(*kind, delta >> TYPE_BITS, *word))
                .collect();
            for event in Events::new(&bytes, u64::MAX) {
                prop_assert!(event.payload.len() < bytes.len());
            }
        }

        /// What was written comes out, wherever the walk is cut in two.
        #[test]
        fn what_was_written(list in prop::collection::vec((0u32..1 << 27, 0u32..60), 0..50), cut: usize) {
            let mut bytes = Vec::new();
            let mut starts = vec![0];
            for (delta, words) in &list {
                bytes.extend(data(*delta, *words, 1));
                starts.push(bytes.len());
            }
            let (all, malformed) = walk(&bytes, 1000);
            prop_assert!(!malformed);
            prop_assert_eq!(all.len(), list.len());
            let cut = starts[cut % starts.len()];
            let mut first = Events::new(&bytes[..cut], 1000);
            let mut parts: Vec<_> = first.by_ref().map(|e| (e.time, e.payload.len())).collect();
            parts.extend(walk(&bytes[cut..], first.time()).0);
            prop_assert_eq!(all, parts);
        }
    }
}
