// SPDX-License-Identifier: LGPL-2.1-or-later

//! The `printf` format of a `print fmt:` line, with its arguments.

use super::layout::{self, Numbers};
use super::lex;
use super::node::Node;
use super::parse::Parser;
use super::tree::{Address, Base, Expr, Int, Layout, Piece, Size};
use super::{Failure, eval, fail, pointer};
use crate::format::Format;
use crate::symbols::Names;

/// A line that was taken apart.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    pub pieces: Vec<Piece>,
    /// What was left out.
    pub left_out: Option<Failure>,
}

/// Takes a line apart: what stands behind `print fmt:`.
///
/// An argument that is not understood is left out, if the fields in it are printed by others.
pub(super) fn compile(text: &str, format: &Format) -> Result<Compiled, Failure> {
    let compiled = compile_words(text, format);
    match &compiled {
        Ok(_) => compiled,
        Err(_) => compile_quotes(text, format).map_or(compiled, Ok),
    }
}

/// How many places are tried as the end of a format.
const ENDS: usize = 16;

/// The kernel writes quotes that are part of the format without backslashes: `"name="%s"", ...`. So
/// the format ends at some quote before a comma; the first that makes sense.
fn compile_quotes(text: &str, format: &Format) -> Option<Compiled> {
    let inside = text.strip_prefix('"')?;
    let ends = inside.match_indices('"').filter(|(at, _)| {
        let behind = inside[at + 1..].trim_start();
        behind.is_empty() || behind.starts_with(',')
    });
    let compiled = ends.take(ENDS).filter_map(|(at, _)| {
        let (template, behind) = inside.split_at(at);
        let escaped = template.replace("\\\"", "\"").replace('"', "\\\"");
        compile_words(&format!("\"{escaped}{behind}"), format).ok()
    });
    compiled
        .into_iter()
        .find(|compiled| compiled.left_out.is_none())
}

/// Takes a line apart that is C.
fn compile_words(text: &str, format: &Format) -> Result<Compiled, Failure> {
    let tokens = lex::tokens(text)?;
    let mut parser = Parser::new(&tokens, format);
    let literal = parser.literal()?;
    let mut arguments = Vec::new();
    let (mut known, mut missing) = (Vec::new(), Vec::new());
    let mut failure = None;
    while parser.take(",") {
        let (node, fields) = parser.argument_or_not();
        match node {
            Ok(node) => {
                known.extend(fields);
                arguments.push(Some(node));
            }
            Err(reason) => {
                missing.extend(fields);
                failure.get_or_insert(reason);
                arguments.push(None);
            }
        }
    }
    if parser.peek().is_some() {
        return fail("something behind the arguments");
    }
    let is_lost = known.is_empty() || missing.iter().any(|name| !known.contains(name));
    if let (Some(reason), true) = (&failure, is_lost) {
        return Err(reason.clone());
    }
    Ok(Compiled {
        pieces: pieces(&String::from_utf8_lossy(&literal), arguments)?,
        left_out: failure.or(parser.left_out),
    })
}

/// Takes a format apart. Of arguments that are none nothing is known.
pub(super) fn pieces(format: &str, arguments: Vec<Option<Node>>) -> Result<Vec<Piece>, Failure> {
    let mut arguments = arguments.into_iter();
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = format;
    while let Some((before, behind)) = rest.split_once('%') {
        plain.push_str(before);
        if let Some(behind) = behind.strip_prefix('%') {
            plain.push('%');
            rest = behind;
            continue;
        }
        if !plain.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut plain).into()));
        }
        let mut conversion = Conversion {
            rest: behind,
            arguments: &mut arguments,
        };
        pieces.push(conversion.piece()?);
        rest = conversion.rest;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Literal(plain.into()));
    }
    Ok(pieces)
}

/// A conversion that is being parsed.
struct Conversion<'a, 'b> {
    rest: &'a str,
    arguments: &'b mut std::vec::IntoIter<Option<Node>>,
}

impl Conversion<'_, '_> {
    fn take(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn argument(&mut self) -> Result<Option<Node>, Failure> {
        match self.arguments.next() {
            Some(node) => Ok(node),
            None => fail("less arguments than conversions"),
        }
    }

    fn number(&mut self) -> Result<Option<Expr>, Failure> {
        match self.argument()? {
            Some(Node::Number(value, _)) => Ok(Some(value)),
            Some(_) => fail("text for a conversion of numbers"),
            None => Ok(None),
        }
    }

    fn size(&mut self) -> Result<Size, Failure> {
        if self.take("*") {
            return Ok(self.number()?.map_or(Size::None, Size::Computed));
        }
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(digits);
        self.rest = rest;
        Ok(match digits.parse() {
            Ok(size) => Size::Fixed(size),
            Err(_) if digits.is_empty() => Size::None,
            Err(_) => return fail("a width that is too large"),
        })
    }

    fn layout(&mut self) -> Result<Layout, Failure> {
        let mut layout = Layout {
            left: false,
            plus: false,
            space: false,
            alternate: false,
            zero: false,
            width: Size::None,
            precision: Size::None,
        };
        loop {
            let flag = match self.rest.bytes().next() {
                Some(b'-') => &mut layout.left,
                Some(b'+') => &mut layout.plus,
                Some(b' ') => &mut layout.space,
                Some(b'#') => &mut layout.alternate,
                Some(b'0') => &mut layout.zero,
                _ => break,
            };
            *flag = true;
            self.rest = &self.rest[1..];
        }
        layout.width = self.size()?;
        if self.take(".") {
            layout.precision = match self.size()? {
                Size::None => Size::Fixed(0),
                size => size,
            };
        }
        Ok(layout)
    }

    /// What the conversion makes of a number: a length in C's words.
    fn length(&mut self) -> usize {
        const LENGTHS: [(&str, usize); 9] = [
            ("hh", 1),
            ("h", 2),
            ("ll", 8),
            ("l", 8),
            ("L", 8),
            ("q", 8),
            ("z", 8),
            ("j", 8),
            ("t", 8),
        ];
        let length = LENGTHS.iter().find(|(text, _)| self.take(text));
        length.map_or(4, |(_, size)| *size)
    }

    fn piece(&mut self) -> Result<Piece, Failure> {
        let layout = self.layout()?;
        let plain = Layout {
            left: false,
            plus: false,
            space: false,
            alternate: false,
            zero: false,
            width: Size::None,
            precision: Size::None,
        };
        let layout = (layout != plain).then(|| Box::new(layout));
        let size = self.length();
        let Some(letter) = self.rest.chars().next() else {
            return fail("a conversion without a letter");
        };
        self.rest = &self.rest[letter.len_utf8()..];
        let base = match letter {
            'd' | 'i' => Base::Signed,
            'u' => Base::Unsigned,
            'o' => Base::Octal,
            'x' => Base::Hex,
            'X' => Base::UpperHex,
            'c' => {
                let value = self.number()?;
                let piece = value.map(|value| Piece::Character { value, layout });
                return Ok(piece.unwrap_or(Piece::Unknown));
            }
            's' => {
                let value = self.argument()?.map(Node::text);
                let piece = value.map(|value| Piece::Text { value, layout });
                return Ok(piece.unwrap_or(Piece::Unknown));
            }
            'p' => return self.pointer(layout),
            letter => return fail(format!("the conversion %{letter}")),
        };
        let ty = Int::new(size, base == Base::Signed);
        let piece = self.number()?.map(|value| Piece::Number {
            base,
            ty,
            value,
            layout,
        });
        Ok(piece.unwrap_or(Piece::Unknown))
    }

    /// What stands behind `%p`.
    fn pointer(&mut self, layout: Option<Box<Layout>>) -> Result<Piece, Failure> {
        let Some((kind, len)) = pointer::kind(self.rest) else {
            let letters = self.rest.bytes().take_while(u8::is_ascii_alphanumeric);
            return fail(format!(
                "the conversion %p{}",
                &self.rest[..letters.count()]
            ));
        };
        self.rest = &self.rest[len..];
        let Some(argument) = self.argument()? else {
            return Ok(Piece::Unknown);
        };
        Ok(match (kind, argument) {
            (pointer::Kind::Plain, Node::Number(value, _)) => Piece::Pointer { value, layout },
            (pointer::Kind::Symbol { offset }, Node::Number(value, _)) => Piece::Symbol {
                value,
                offset: *offset,
                layout,
            },
            (pointer::Kind::Bytes(kind), Node::Bytes(bytes, _)) => Piece::Address {
                kind: *kind,
                bytes,
                layout,
            },
            _ => return fail("an argument that is none for %p"),
        })
    }
}

/// Computes a layout.
fn numbers(layout: Option<&Layout>, payload: &[u8]) -> Numbers {
    let Some(layout) = layout else {
        return Numbers::default();
    };
    let size = |size: &Size| match size {
        Size::None => None,
        Size::Fixed(size) => Some(*size as i64),
        Size::Computed(expr) => Some(Int::INT.wrap(eval::number(expr, payload))),
    };
    let width = size(&layout.width).unwrap_or(0);
    Numbers {
        // A negative width is a flag and a width.
        left: layout.left || width < 0,
        plus: layout.plus,
        space: layout.space,
        alternate: layout.alternate,
        zero: layout.zero,
        width: width.unsigned_abs() as usize,
        // And a negative precision is none.
        precision: size(&layout.precision).and_then(|size| usize::try_from(size).ok()),
    }
}

/// Writes a piece of an event's text.
pub(super) fn write_piece(piece: &Piece, payload: &[u8], names: &Names, out: &mut Vec<u8>) {
    let start = out.len();
    let layout = match piece {
        Piece::Literal(text) => {
            out.extend_from_slice(text.as_bytes());
            return;
        }
        Piece::Unknown => {
            out.push(b'?');
            return;
        }
        Piece::Number {
            base,
            ty,
            value,
            layout,
        } => {
            let value = ty.wrap(eval::number(value, payload));
            match (base, layout) {
                (Base::Signed, None) => layout::signed(value, out),
                (Base::Unsigned, None) => layout::decimal(value as u64, out),
                (Base::Hex, None) => layout::hex(value as u64, out),
                _ => {
                    let numbers = numbers(layout.as_deref(), payload);
                    layout::number(value, *base, *ty, &numbers, out);
                }
            }
            return;
        }
        Piece::Character { value, layout } => {
            crate::escape::clean(&[eval::number(value, payload) as u8], out);
            layout
        }
        Piece::Text { value, layout } => {
            let numbers = numbers(layout.as_deref(), payload);
            let most = numbers.precision.unwrap_or(usize::MAX);
            eval::text(value, most, payload, names, out);
            return layout::pad(out, start, &numbers);
        }
        Piece::Pointer { value, layout } => {
            layout::hex_with_prefix(eval::number(value, payload) as u64, out);
            layout
        }
        Piece::Symbol {
            value,
            offset,
            layout,
        } => {
            let address = eval::number(value, payload) as u64;
            names.symbols().write(address, *offset, out);
            layout
        }
        Piece::Address {
            kind: Address::Hex { between },
            bytes,
            layout,
        } => {
            let found = eval::bytes(bytes, payload);
            let width = numbers(layout.as_deref(), payload).width;
            // As many as the width says, and the kernel does not show more.
            let most = if width == 0 { found.len() } else { width };
            let found = found.get(..most).unwrap_or(found);
            layout::hex_bytes(found.get(..64).unwrap_or(found), *between, out);
            return;
        }
        Piece::Address {
            kind,
            bytes,
            layout,
        } => {
            pointer::write(*kind, eval::bytes(bytes, payload), out);
            layout
        }
    };
    if layout.is_some() {
        layout::pad(out, start, &numbers(layout.as_deref(), payload));
    }
}
