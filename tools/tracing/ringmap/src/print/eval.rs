// SPDX-License-Identifier: LGPL-2.1-or-later

//! Computes what a `print fmt:` line says from the bytes of an event.
//!
//! Bytes that an event does not have are none: a number there is 0, text is empty.

use super::layout;
use super::tree::{Binary, Bytes, Expr, Int, Located, Text, Unary};
use crate::escape;
use crate::symbols::Names;

/// A number that lies in an event, extended to 64 bits.
#[inline]
pub(super) fn load(payload: &[u8], offset: usize, ty: Int) -> i64 {
    let Some(bytes) = offset
        .checked_add(ty.size)
        .and_then(|end| payload.get(offset..end))
    else {
        return 0;
    };
    let value = match *bytes {
        [a] => i64::from(a),
        [a, b] => i64::from(u16::from_ne_bytes([a, b])),
        [a, b, c, d] => i64::from(u32::from_ne_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => i64::from_ne_bytes([a, b, c, d, e, f, g, h]),
        _ => 0,
    };
    ty.wrap(value)
}

fn located(at: Located, payload: &[u8]) -> &[u8] {
    let location = load(payload, at.offset, Int::UNSIGNED) as usize;
    let start = at.base.saturating_add(location & 0xffff);
    let end = start.saturating_add(location >> 16);
    payload.get(start..end).unwrap_or_default()
}

/// Bytes of an event.
pub(super) fn bytes<'a>(what: &Bytes, payload: &'a [u8]) -> &'a [u8] {
    match what {
        Bytes::Fixed { offset, size } => {
            let end = offset.saturating_add(*size);
            payload.get(*offset..end).unwrap_or_default()
        }
        Bytes::Rest { offset } => payload.get(*offset..).unwrap_or_default(),
        Bytes::Located(at) => located(*at, payload),
        Bytes::Skip(inner) => {
            let count = usize::try_from(number(&inner.1, payload)).unwrap_or(usize::MAX);
            bytes(&inner.0, payload).get(count..).unwrap_or_default()
        }
    }
}

/// The bytes before the first NUL.
pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == 0);
    bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default()
}

/// The value of an expression, extended to 64 bits as its type says.
pub(super) fn number(expr: &Expr, payload: &[u8]) -> i64 {
    match expr {
        Expr::Const(value) => *value,
        Expr::Load { offset, ty } => load(payload, *offset, *ty),
        Expr::Cast(inner, ty) => ty.wrap(number(inner, payload)),
        Expr::Unary(operator, inner, ty) => {
            let value = number(inner, payload);
            match operator {
                Unary::Minus => ty.wrap(value.wrapping_neg()),
                Unary::Complement => ty.wrap(!value),
                Unary::Not => i64::from(value == 0),
            }
        }
        Expr::Binary(operator, operands, ty) => binary(*operator, operands, *ty, payload),
        Expr::Choose(parts) => {
            let (condition, yes, no) = &**parts;
            match number(condition, payload) {
                0 => number(no, payload),
                _ => number(yes, payload),
            }
        }
        Expr::Index(array, element) => {
            let (array, at) = &**array;
            let start = usize::try_from(number(at, payload))
                .ok()
                .and_then(|at| at.checked_mul(element.size));
            start.map_or(0, |start| load(bytes(array, payload), start, *element))
        }
        Expr::Length(what) => bytes(what, payload).len() as i64,
        Expr::Swap(inner, size) => {
            let value = number(inner, payload) as u64;
            // The lower bytes, in the other order.
            (value.swap_bytes() >> (64 - 8 * size.clamp(&1, &8))) as i64
        }
    }
}

fn binary(operator: Binary, operands: &(Expr, Expr), ty: Int, payload: &[u8]) -> i64 {
    let a = number(&operands.0, payload);
    // These two look at the second operand only if they must.
    match operator {
        Binary::Both if a == 0 => return 0,
        Binary::Either if a != 0 => return 1,
        _ => {}
    }
    let b = number(&operands.1, payload);
    if matches!(operator, Binary::Both | Binary::Either) {
        return i64::from(b != 0);
    }
    if matches!(operator, Binary::Left | Binary::Right) {
        let bits = 8 * ty.size as i64;
        // More than there are is undefined in C.
        let count = (b & (bits - 1)) as u32;
        return ty.wrap(match (operator, ty.signed) {
            (Binary::Left, _) => a.wrapping_shl(count),
            (_, true) => a.wrapping_shr(count),
            (_, false) => (a as u64).wrapping_shr(count) as i64,
        });
    }
    let (a, b) = (ty.wrap(a), ty.wrap(b));
    let less = |a: i64, b: i64| match ty.signed {
        true => a < b,
        false => (a as u64) < (b as u64),
    };
    let value = match operator {
        Binary::Multiply => a.wrapping_mul(b),
        Binary::Divide | Binary::Remainder if b == 0 => 0,
        Binary::Divide if ty.signed => a.wrapping_div(b),
        Binary::Divide => (a as u64 / b as u64) as i64,
        Binary::Remainder if ty.signed => a.wrapping_rem(b),
        Binary::Remainder => (a as u64 % b as u64) as i64,
        Binary::Add => a.wrapping_add(b),
        Binary::Subtract => a.wrapping_sub(b),
        Binary::And => a & b,
        Binary::Xor => a ^ b,
        Binary::Or => a | b,
        Binary::Less => return less(a, b).into(),
        Binary::LessEqual => return (!less(b, a)).into(),
        Binary::Greater => return less(b, a).into(),
        Binary::GreaterEqual => return (!less(a, b)).into(),
        Binary::Equal => return (a == b).into(),
        Binary::NotEqual => return (a != b).into(),
        Binary::Left | Binary::Right | Binary::Both | Binary::Either => 0,
    };
    ty.wrap(value)
}

/// A string, without the line feed that many messages end with: each event has a line.
fn string(text: &[u8], out: &mut Vec<u8>) {
    escape::clean(text.strip_suffix(b"\n").unwrap_or(text), out);
}

/// Writes text, of the bytes of an event at most so many.
pub(super) fn text(what: &Text, most: usize, payload: &[u8], names: &Names, out: &mut Vec<u8>) {
    let start = out.len();
    match what {
        Text::Bytes(what) => {
            let found = bytes(what, payload);
            let found = found.get(..most).unwrap_or(found);
            return string(until_nul(found), out);
        }
        Text::Literal(literal) => out.extend_from_slice(literal.as_bytes()),
        Text::Choose(parts) => {
            let (condition, yes, no) = &**parts;
            let chosen = match number(condition, payload) {
                0 => no,
                _ => yes,
            };
            return text(chosen, most, payload, names, out);
        }
        Text::Address(value) => {
            let address = number(value, payload) as u64;
            match names.string(address) {
                Some(found) => string(found.as_bytes(), out),
                None if address == 0 => out.extend_from_slice(b"(null)"),
                None => layout::hex_with_prefix(address, out),
            }
        }
        Text::Flags {
            value,
            between,
            names,
        } => {
            let mut left = number(value, payload);
            let start = out.len();
            for (mask, name) in names {
                if left == 0 {
                    break;
                }
                if left & mask != *mask {
                    continue;
                }
                left &= !mask;
                if out.len() > start {
                    out.extend_from_slice(between.as_bytes());
                }
                out.extend_from_slice(name.as_bytes());
            }
            if left != 0 {
                if out.len() > start {
                    out.extend_from_slice(between.as_bytes());
                }
                layout::hex_with_prefix(left as u64, out);
            }
        }
        Text::Symbol { value, names } => {
            let value = number(value, payload);
            match names.iter().find(|(key, _)| *key == value) {
                Some((_, name)) => out.extend_from_slice(name.as_bytes()),
                None => layout::hex_with_prefix(value as u64, out),
            }
        }
        Text::Hex {
            bytes: what,
            length,
            spaces,
        } => {
            let found = bytes(what, payload);
            let length = usize::try_from(number(length, payload)).unwrap_or(0);
            let between = spaces.then_some(b' ');
            layout::hex_bytes(found.get(..length).unwrap_or(found), between, out);
        }
        Text::Array {
            bytes: what,
            count,
            size,
        } => {
            let found = bytes(what, payload);
            let count = count.as_ref().map(|count| number(count, payload));
            let count = count.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(0));
            let element = Int::new(*size, false);
            out.push(b'{');
            for (n, chunk) in found.chunks_exact((*size).max(1)).take(count).enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                layout::hex_with_prefix(load(chunk, 0, element) as u64, out);
            }
            out.push(b'}');
        }
        Text::Bitmask(what) => layout::bitmask(bytes(what, payload), out),
        Text::Stack(what) => stack(bytes(what, payload), out, |address, out| {
            names.symbols().write(address, true, out);
        }),
    }
    layout::shorten(out, start, most);
}

/// A line for each address of a stack that is shorter than its field, or as long.
pub(crate) fn stack(addresses: &[u8], out: &mut Vec<u8>, write: impl Fn(u64, &mut Vec<u8>)) {
    let addresses = addresses.chunks_exact(8);
    let addresses = addresses.map(|chunk| load(chunk, 0, Int::UNSIGNED_LONG) as u64);
    for address in addresses.take_while(|address| !matches!(*address, 0 | u64::MAX)) {
        out.extend_from_slice(b"\n => ");
        write(address, out);
    }
}
