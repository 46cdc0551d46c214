// SPDX-License-Identifier: LGPL-2.1-or-later

//! Numbers and text as `printf` lays them out.

use super::tree::{Base, Int};

/// The widest that anything is made: an event may say any width.
const WIDEST: usize = 4096;

/// A layout with its numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Numbers {
    pub left: bool,
    pub plus: bool,
    pub space: bool,
    pub alternate: bool,
    pub zero: bool,
    pub width: usize,
    pub precision: Option<usize>,
}

/// The digits of the numbers from 0 to 99.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

/// The digits of a number, from the right end of a buffer.
struct Digits {
    buffer: [u8; 24],
    start: usize,
}

impl Digits {
    fn as_bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    // Inlined, so that it divides by a constant.
    #[inline(always)]
    fn new(mut value: u64, base: u64, upper: bool) -> Self {
        let mut digits = Digits {
            buffer: [0; 24],
            start: 24,
        };
        let letters: &[u8; 16] = match upper {
            true => b"0123456789ABCDEF",
            false => b"0123456789abcdef",
        };
        loop {
            digits.start -= 1;
            digits.buffer[digits.start] = letters[(value % base) as usize];
            value /= base;
            if value == 0 {
                return digits;
            }
        }
    }

    /// Two at a time: half of the divisions.
    fn decimal(mut value: u64) -> Self {
        let mut digits = Digits {
            buffer: [0; 24],
            start: 24,
        };
        while value >= 100 {
            let pair = PAIRS[(value % 100) as usize];
            value /= 100;
            digits.start -= 2;
            digits.buffer[digits.start..digits.start + 2].copy_from_slice(&pair);
        }
        let [tens, ones] = PAIRS[value as usize];
        digits.start -= 1;
        digits.buffer[digits.start] = ones;
        if value >= 10 {
            digits.start -= 1;
            digits.buffer[digits.start] = tens;
        }
        digits
    }

    fn in_base(value: u64, base: Base) -> Self {
        match base {
            Base::Signed | Base::Unsigned => Digits::decimal(value),
            Base::Octal => Digits::new(value, 8, false),
            Base::Hex => Digits::new(value, 16, false),
            Base::UpperHex => Digits::new(value, 16, true),
        }
    }
}

pub(crate) fn decimal(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(Digits::decimal(value).as_bytes());
}

pub(crate) fn signed(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    decimal(value.unsigned_abs(), out);
}

/// With so many digits at least, and what to fill them up with.
pub(crate) fn padded(value: u64, width: usize, fill: u8, out: &mut Vec<u8>) {
    let digits = Digits::decimal(value);
    let digits = digits.as_bytes();
    out.resize(out.len() + width.saturating_sub(digits.len()), fill);
    out.extend_from_slice(digits);
}

pub(crate) fn hex(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(Digits::new(value, 16, false).as_bytes());
}

/// With so many digits at least.
pub(crate) fn hex_digits(value: u64, width: usize, out: &mut Vec<u8>) {
    let digits = Digits::new(value, 16, false);
    let digits = digits.as_bytes();
    out.resize(out.len() + width.saturating_sub(digits.len()), b'0');
    out.extend_from_slice(digits);
}

pub(crate) fn hex_with_prefix(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0x");
    hex(value, out);
}

/// A number, already in its type.
pub(super) fn number(value: i64, base: Base, ty: Int, layout: &Numbers, out: &mut Vec<u8>) {
    let negative = base == Base::Signed && value < 0;
    let magnitude = match base {
        Base::Signed => value.unsigned_abs(),
        _ => Int::new(ty.size, false).wrap(value) as u64,
    };
    let digits = Digits::in_base(magnitude, base);
    let digits = match (magnitude, layout.precision) {
        (0, Some(0)) => &[],
        _ => digits.as_bytes(),
    };
    let sign: &[u8] = match base {
        Base::Signed if negative => b"-",
        Base::Signed if layout.plus => b"+",
        Base::Signed if layout.space => b" ",
        Base::Hex if layout.alternate && magnitude != 0 => b"0x",
        Base::UpperHex if layout.alternate && magnitude != 0 => b"0X",
        Base::Octal if layout.alternate && magnitude != 0 => b"0",
        _ => b"",
    };
    let width = layout.width.min(WIDEST);
    let least = match layout.precision {
        Some(precision) => precision.min(WIDEST),
        None if layout.zero && !layout.left => width.saturating_sub(sign.len()),
        None => 0,
    };
    let zeros = least.saturating_sub(digits.len());
    let pad = width.saturating_sub(sign.len() + zeros + digits.len());
    if !layout.left {
        out.resize(out.len() + pad, b' ');
    }
    out.extend_from_slice(sign);
    out.resize(out.len() + zeros, b'0');
    out.extend_from_slice(digits);
    if layout.left {
        out.resize(out.len() + pad, b' ');
    }
}

/// Pads what stands in `out` from `start` on.
pub(super) fn pad(out: &mut Vec<u8>, start: usize, layout: &Numbers) {
    let end = out.len();
    let pad = layout.width.min(WIDEST).saturating_sub(end - start);
    if pad == 0 {
        return;
    }
    out.resize(end + pad, b' ');
    if !layout.left {
        out.copy_within(start..end, start + pad);
        out[start..start + pad].fill(b' ');
    }
}

/// Cuts what stands in `out` from `start` on to so many bytes, or one character less.
pub(super) fn shorten(out: &mut Vec<u8>, start: usize, most: usize) {
    let Some(mut end) = start.checked_add(most).filter(|end| *end < out.len()) else {
        return;
    };
    while end > start && out[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    out.truncate(end);
}

/// Two digits for each byte.
pub(crate) fn hex_bytes(bytes: &[u8], between: Option<u8>, out: &mut Vec<u8>) {
    let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
    for (n, byte) in bytes.iter().enumerate() {
        if n > 0 {
            out.extend(between);
        }
        out.extend([digit(byte >> 4), digit(*byte)]);
    }
}

/// The bits of a bitmap of `long`s: eight digits each, from the highest on.
pub(super) fn bitmask(bytes: &[u8], out: &mut Vec<u8>) {
    let words = bytes.chunks_exact(8).rev();
    let words = words.map(|chunk| u64::from_ne_bytes(chunk.try_into().unwrap_or_default()));
    let halves = words.flat_map(|word| [(word >> 32) as u32, word as u32]);
    for (n, half) in halves.enumerate() {
        if n > 0 {
            out.push(b',');
        }
        hex_bytes(&half.to_be_bytes(), None, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with(value: i64, base: Base, layout: Numbers) -> String {
        let mut out = Vec::new();
        number(value, base, Int::LONG, &layout, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn layouts() {
        let plain = Numbers::default();
        let wide = Numbers { width: 6, ..plain };
        assert_eq!(with(-12, Base::Signed, plain), "-12");
        assert_eq!(with(-12, Base::Signed, wide), "   -12");
        assert_eq!(
            with(-12, Base::Signed, Numbers { left: true, ..wide }),
            "-12   "
        );
        assert_eq!(
            with(-12, Base::Signed, Numbers { zero: true, ..wide }),
            "-00012"
        );
        assert_eq!(
            with(
                12,
                Base::Signed,
                Numbers {
                    plus: true,
                    ..plain
                }
            ),
            "+12"
        );
        assert_eq!(
            with(
                255,
                Base::Hex,
                Numbers {
                    alternate: true,
                    ..plain
                }
            ),
            "0xff"
        );
        assert_eq!(
            with(
                0,
                Base::Hex,
                Numbers {
                    alternate: true,
                    ..plain
                }
            ),
            "0"
        );
        let precise = Numbers {
            precision: Some(4),
            zero: true,
            ..wide
        };
        assert_eq!(with(255, Base::UpperHex, precise), "  00FF");
        assert_eq!(with(-1, Base::Hex, plain), "ffffffffffffffff");
        assert_eq!(with(i64::MIN, Base::Signed, plain), i64::MIN.to_string());
    }

    #[test]
    fn bitmaps() {
        let mut out = Vec::new();
        let words = [0x1_0000_000fu64.to_ne_bytes(), 2u64.to_ne_bytes()].concat();
        bitmask(&words, &mut out);
        assert_eq!(out, b"00000000,00000002,00000001,0000000f");
    }

    #[test]
    fn cut_between_characters() {
        let mut out = "ab\u{fc}c".as_bytes().to_vec();
        shorten(&mut out, 1, 2);
        assert_eq!(out, b"ab");
    }

    proptest! {
        /// As Rust does what both can.
        #[test]
        fn as_rust_does(value: i64, width in 0usize..30) {
            let layout = Numbers { width, ..Numbers::default() };
            prop_assert_eq!(with(value, Base::Signed, layout), format!("{value:width$}"));
            let small = value % 1000;
            prop_assert_eq!(with(small, Base::Signed, layout), format!("{small:width$}"));
            prop_assert_eq!(with(value, Base::Hex, layout), format!("{value:width$x}"));
            prop_assert_eq!(with(value, Base::Octal, layout), format!("{value:width$o}"));
            let zero = Numbers { zero: true, ..layout };
            prop_assert_eq!(with(value, Base::Signed, zero), format!("{value:0width$}"));
        }
    }
}
