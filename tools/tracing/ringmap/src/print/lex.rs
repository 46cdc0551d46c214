// SPDX-License-Identifier: LGPL-2.1-or-later

//! The words of a `print fmt:` line.

use super::tree::Int;
use super::{Failure, fail};

/// A word of C.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name.
    Name(&'a str),
    /// A number or a character, with the type that C gives it.
    Number(i64, Int),
    /// A string, without its escapes.
    Text(Vec<u8>),
    /// An operator or a bracket.
    Sign(&'a str),
}

/// Operators of two characters; all others have one.
const PAIRS: [&str; 9] = ["->", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||"];

/// Splits the text into words.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Failure> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.bytes().next() {
        let len;
        let token = match first {
            b'"' => {
                let (text, end) = quoted(rest, b'"')?;
                len = end;
                Token::Text(text)
            }
            b'\'' => {
                let (text, end) = quoted(rest, b'\'')?;
                let [character] = text[..] else {
                    return fail("a character in quotes that is none");
                };
                len = end;
                Token::Number(i64::from(character as i8), Int::INT)
            }
            b'0'..=b'9' => {
                len = word(rest);
                number(&rest[..len])?
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                len = word(rest);
                Token::Name(&rest[..len])
            }
            _ if !first.is_ascii_graphic() => return fail("a character that C does not have"),
            _ => {
                let pair = PAIRS.iter().any(|pair| rest.starts_with(pair));
                len = if pair { 2 } else { 1 };
                Token::Sign(&rest[..len])
            }
        };
        tokens.push(token);
        rest = rest[len..].trim_start();
    }
    Ok(tokens)
}

/// How many characters at the beginning are of a name or a number.
fn word(text: &str) -> usize {
    let other = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    text.find(other).unwrap_or(text.len())
}

/// What stands in quotes at the beginning of `text`, and how long it is there.
fn quoted(text: &str, quote: u8) -> Result<(Vec<u8>, usize), Failure> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 1;
    loop {
        let Some(byte) = bytes.get(at) else {
            return fail("a quote without end");
        };
        at += 1;
        match byte {
            b'\\' => at += escape(&bytes[at..], &mut out)?,
            byte if *byte == quote => break,
            byte => out.push(*byte),
        }
    }
    Ok((out, at))
}

/// What stands behind a backslash. Returns how long it is.
fn escape(bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, Failure> {
    let digits = |radix: u32, from: usize, most: usize| {
        let digit = |byte: &&u8| char::from(**byte).is_digit(radix);
        bytes.iter().skip(from).take(most).take_while(digit).count()
    };
    let (from, count, radix) = match bytes.first() {
        Some(b'x') => (1, digits(16, 1, 2), 16),
        Some(b'0'..=b'7') => (0, digits(8, 0, 3), 8),
        Some(byte) => {
            out.push(match byte {
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'a' => 7,
                b'b' => 8,
                b'f' => 12,
                b'v' => 11,
                byte => *byte,
            });
            return Ok(1);
        }
        None => return fail("a quote without end"),
    };
    let text = std::str::from_utf8(&bytes[from..from + count]).unwrap_or_default();
    let Ok(value) = u32::from_str_radix(text, radix) else {
        return fail("an escape without digits");
    };
    out.push(value as u8);
    Ok(from + count)
}

/// A number, with its suffix.
fn number(text: &str) -> Result<Token<'_>, Failure> {
    let digits = text.trim_end_matches(['u', 'U', 'l', 'L']);
    let suffix = text[digits.len()..].to_ascii_lowercase();
    let lower = digits.to_ascii_lowercase();
    let parsed = match lower.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None if lower.starts_with('0') => u64::from_str_radix(&lower, 8),
        None => lower.parse(),
    };
    let Ok(value) = parsed else {
        return fail(format!("the number {text}"));
    };
    let decimal = !lower.starts_with('0');
    let unsigned = suffix.contains('u');
    let long = suffix.contains('l');
    let ty = if !long && !unsigned && i32::try_from(value).is_ok() {
        Int::INT
    } else if !long && (unsigned || !decimal) && u32::try_from(value).is_ok() {
        Int::UNSIGNED
    } else if !unsigned && i64::try_from(value).is_ok() {
        Int::LONG
    } else {
        Int::UNSIGNED_LONG
    };
    Ok(Token::Number(value as i64, ty))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Token<'_> {
        let mut list = tokens(text).unwrap();
        assert_eq!(list.len(), 1, "{text:?}");
        list.remove(0)
    }

    #[test]
    fn numbers() {
        assert_eq!(one("12"), Token::Number(12, Int::INT));
        assert_eq!(one("0"), Token::Number(0, Int::INT));
        assert_eq!(one("017"), Token::Number(15, Int::INT));
        assert_eq!(one("0xfFu"), Token::Number(255, Int::UNSIGNED));
        assert_eq!(one("0x80000000"), Token::Number(1 << 31, Int::UNSIGNED));
        assert_eq!(one("2147483648"), Token::Number(1 << 31, Int::LONG));
        assert_eq!(one("1UL"), Token::Number(1, Int::UNSIGNED_LONG));
        assert_eq!(one("1ll"), Token::Number(1, Int::LONG));
        assert_eq!(
            one("0xffffffffffffffff"),
            Token::Number(-1, Int::UNSIGNED_LONG)
        );
        assert_eq!(one("'A'"), Token::Number(65, Int::INT));
        assert_eq!(one(r"'\\'"), Token::Number(92, Int::INT));
    }

    #[test]
    fn strings() {
        let text = |bytes: &[u8]| Token::Text(bytes.to_vec());
        assert_eq!(one(r#""a\n\t\"\\b""#), text(b"a\n\t\"\\b"));
        assert_eq!(one(r#""\x41\101\0""#), text(b"AA\0"));
        assert_eq!(one("\"\u{fc}\""), text("\u{fc}".as_bytes()));
    }

    #[test]
    fn signs() {
        let list = tokens("REC->a<<1>=b").unwrap();
        let signs: Vec<_> = list
            .iter()
            .filter_map(|token| match token {
                Token::Sign(sign) => Some(*sign),
                _ => None,
            })
            .collect();
        assert_eq!(signs, ["->", "<<", ">="]);
    }

    #[test]
    fn what_is_none() {
        for text in [
            "\"", "\"\\", "''", "'ab'", "1.5x", "0x", "08", "\u{fc}", r#""\x""#,
        ] {
            assert!(tokens(text).is_err(), "{text:?}");
        }
    }
}
