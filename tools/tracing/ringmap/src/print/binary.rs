// SPDX-License-Identifier: LGPL-2.1-or-later

//! `trace_printk()`: a format of the kernel, and arguments as `vbin_printf()` packs them.

use super::conversion;
use super::node::Node;
use super::tree::{Expr, Int, Text};
use crate::symbols::Names;

/// The arguments that are not taken yet.
struct Packed<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Packed<'_> {
    /// A number of so many bytes. They lie at multiples of that, those of 8 bytes at those of 4.
    fn number(&mut self, size: usize) -> Option<Node> {
        let start = self.at.next_multiple_of(size.min(4));
        self.at = start.checked_add(size)?;
        self.bytes.get(start..self.at)?;
        let value = super::eval::load(self.bytes, start, Int::new(size, true));
        Some(Node::Number(Expr::Const(value), Int::LONG))
    }

    fn text(&mut self) -> Option<Node> {
        let text = super::eval::until_nul(self.bytes.get(self.at..)?);
        self.at = self.at.checked_add(text.len())?.checked_add(1)?;
        let mut clean = Vec::new();
        crate::escape::clean(text, &mut clean);
        let clean = String::from_utf8_lossy(&clean);
        Some(Node::Text(Text::Literal(clean.into())))
    }
}

/// Writes the text, or nothing if format and arguments do not fit each other.
pub(crate) fn write(format: &str, bytes: &[u8], names: &Names, out: &mut Vec<u8>) -> Option<()> {
    let mut packed = Packed { bytes, at: 0 };
    let mut arguments = Vec::new();
    let mut plain = String::with_capacity(format.len());
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        let (before, conversion) = rest.split_at(at);
        plain.push_str(before);
        let end = 1 + conversion[1..].find(|c: char| c.is_alphabetic() || c == '%')?;
        let layout = &conversion[..end];
        for _ in layout.matches('*') {
            arguments.push(packed.number(4)?);
        }
        let behind = &conversion[end..];
        let lengths = behind.bytes().take_while(|b| b"hlLqzjt".contains(b));
        let lengths = lengths.count();
        let size = match &behind[..lengths] {
            "hh" => 1,
            "h" => 2,
            "" => 4,
            _ => 8,
        };
        let letter = behind[lengths..].chars().next()?;
        let mut used = lengths + letter.len_utf8();
        match letter {
            '%' => {}
            's' => arguments.push(packed.text()?),
            'c' => arguments.push(packed.number(1)?),
            'p' => {
                let kind = behind[used..].bytes();
                let kind = kind.take_while(u8::is_ascii_alphanumeric).count();
                let kind = &behind[used..used + kind];
                used += kind.len();
                if kind.is_empty() || kind.starts_with(['S', 's', 'x', 'K', 'e']) {
                    arguments.push(packed.number(8)?);
                } else {
                    // The kernel has made text of it already.
                    arguments.push(packed.text()?);
                    plain.push_str("%s");
                    rest = &behind[used..];
                    continue;
                }
            }
            _ => arguments.push(packed.number(size)?),
        }
        plain.push_str(layout);
        plain.push_str(&behind[..used]);
        rest = &behind[used..];
    }
    plain.push_str(rest);

    let arguments = arguments.into_iter().map(Some).collect();
    let pieces = conversion::pieces(&plain, arguments).ok()?;
    for piece in &pieces {
        conversion::write_piece(piece, &[], names, out);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn show(format: &str, bytes: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        write(format, bytes, &Names::new(), &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn arguments() {
        let mut bytes = Vec::new();
        bytes.extend((-5i32).to_ne_bytes());
        bytes.extend(b"abc\0");
        bytes.extend(b"x\0\0\0");
        bytes.extend(0x1_0000_0001u64.to_ne_bytes());
        bytes.extend(4u32.to_ne_bytes());
        bytes.extend(7u32.to_ne_bytes());
        bytes.extend(b"1.2.3.4\0");
        assert_eq!(
            show("%d %s 100%% %c %lx [%*d] %pI4\n", &bytes).unwrap(),
            "-5 abc 100% x 100000001 [   7] 1.2.3.4\n"
        );
        assert_eq!(show("%d %d", &5i32.to_ne_bytes()), None);
        assert_eq!(show("%", &bytes), None);
        assert_eq!(show("no conversion", &[]).unwrap(), "no conversion");
    }

    proptest! {
        #[test]
        fn any_format(format in "[%a-z*.0-9 ]{0,20}|\\PC*", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            show(&format, &bytes);
        }
    }
}
