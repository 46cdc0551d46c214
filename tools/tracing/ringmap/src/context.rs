// SPDX-License-Identifier: LGPL-2.1-or-later

//! The fields that all events have.

use crate::event::Event;

/// What the header of an event says of where it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Context {
    flags: u8,
    preempt: u8,
    pub pid: i32,
}

impl Context {
    /// All events have these fields, in these places.
    pub fn of(event: &Event<'_>) -> Self {
        match *event.payload {
            [_, _, flags, preempt, a, b, c, d, ..] => Context {
                flags,
                preempt,
                pid: i32::from_ne_bytes([a, b, c, d]),
            },
            _ => Context {
                flags: 0,
                preempt: 0,
                pid: 0,
            },
        }
    }

    /// The five characters of `trace`'s header: interrupts off, reschedule, interrupt, preemption
    /// off, migration off.
    pub fn letters(self) -> [u8; 5] {
        const IRQS_OFF: u8 = 0x01;
        const RESCHED_LAZY: u8 = 0x02;
        const RESCHED: u8 = 0x04;
        const HARDIRQ: u8 = 0x08;
        const SOFTIRQ: u8 = 0x10;
        const PREEMPT_RESCHED: u8 = 0x20;
        const NMI: u8 = 0x40;
        const BH_OFF: u8 = 0x80;

        let has = |flag| self.flags & flag != 0;
        let depth = |depth: u8| match depth & 0xf {
            0 => b'.',
            depth => b"0123456789abcdef"[usize::from(depth)],
        };
        [
            match (has(IRQS_OFF), has(BH_OFF)) {
                (true, true) => b'D',
                (true, false) => b'd',
                (false, true) => b'b',
                (false, false) => b'.',
            },
            match (has(RESCHED), has(RESCHED_LAZY), has(PREEMPT_RESCHED)) {
                (true, true, true) => b'B',
                (true, true, false) => b'b',
                (true, false, true) => b'N',
                (true, false, false) => b'n',
                (false, true, true) => b'L',
                (false, true, false) => b'l',
                (false, false, true) => b'p',
                (false, false, false) => b'.',
            },
            match (has(NMI), has(HARDIRQ), has(SOFTIRQ)) {
                (true, true, _) => b'Z',
                (true, false, _) => b'z',
                (false, true, true) => b'H',
                (false, true, false) => b'h',
                (false, false, true) => b's',
                (false, false, false) => b'.',
            },
            depth(self.preempt),
            depth(self.preempt >> 4),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(flags: u8, preempt: u8) -> String {
        let payload = [0, 0, flags, preempt, 7, 0, 0, 0];
        let event = Event {
            time: 0,
            payload: &payload,
        };
        assert_eq!(Context::of(&event).pid, i32::from_ne_bytes([7, 0, 0, 0]));
        String::from_utf8(Context::of(&event).letters().to_vec()).unwrap()
    }

    #[test]
    fn where_it_happened() {
        assert_eq!(letters(0, 0), ".....");
        assert_eq!(letters(0x01, 0x02), "d..2.");
        assert_eq!(letters(0x01 | 0x04 | 0x20 | 0x08, 0x13), "dNh31");
        assert_eq!(letters(0x80 | 0x10, 0xff), "b.sff");
        assert_eq!(letters(0x81 | 0x02 | 0x08 | 0x10, 0), "DlH..");
        assert_eq!(letters(0x40, 0), "..z..");
        assert_eq!(letters(0x48 | 0x26, 0), ".BZ..");
    }

    #[test]
    fn a_short_event() {
        let event = Event {
            time: 0,
            payload: &[1, 0, 1],
        };
        assert_eq!(Context::of(&event).pid, 0);
    }
}
