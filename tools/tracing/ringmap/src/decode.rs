// SPDX-License-Identifier: GPL-2.0

//! The fields of an event: its [`Event`] and the [`Format`] of its type together.

use std::fmt;

use zerocopy::FromBytes;

use crate::event::Event;
use crate::format::{Field, Format, Inner, Kind};

/// The value of a field. Text and bytes are those of the ring buffer, not copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// A signed number.
    Signed(i64),
    /// An unsigned number.
    Unsigned(u64),
    /// A number that is better read in base 16.
    Hex(u64),
    /// Text, without the NUL.
    Text(&'a [u8]),
    /// Several numbers.
    List(Vec<Value<'a>>),
    /// Anything else.
    Bytes(&'a [u8]),
    /// The event is too short to have this field.
    Missing,
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Signed(n) => write!(f, "{n}"),
            Value::Unsigned(n) => write!(f, "{n}"),
            Value::Hex(n) => write!(f, "{n:#x}"),
            // What user space wrote may hold anything: no control characters to the terminal.
            Value::Text(text) => write!(f, "{}", text.trim_ascii_end().escape_ascii()),
            Value::List(list) => {
                f.write_str("[")?;
                for (n, value) in list.iter().enumerate() {
                    write!(f, "{}{value}", if n == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Value::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Value::Missing => f.write_str("?"),
        }
    }
}

/// A number of 1, 2, 4 or 8 bytes.
fn integer<'a>(bytes: &[u8], field: &Field) -> Value<'a> {
    let (unsigned, signed) = match *bytes {
        [a] => (a.into(), a.cast_signed().into()),
        [a, b] => {
            let n = u16::from_ne_bytes([a, b]);
            (n.into(), n.cast_signed().into())
        }
        [a, b, c, d] => {
            let n = u32::from_ne_bytes([a, b, c, d]);
            (n.into(), n.cast_signed().into())
        }
        _ => match u64::read_from_bytes(bytes) {
            Ok(n) => (n, n.cast_signed()),
            Err(_) => return Value::Missing,
        },
    };
    match (field.signed, field.hex) {
        (true, _) => Value::Signed(signed),
        (false, true) => Value::Hex(unsigned),
        (false, false) => Value::Unsigned(unsigned),
    }
}

fn list<'a>(bytes: &'a [u8], size: usize, field: &Field) -> Value<'a> {
    let chunks = bytes.chunks_exact(size.max(1));
    Value::List(chunks.map(|chunk| integer(chunk, field)).collect())
}

fn text(bytes: &[u8]) -> Value<'_> {
    let end = bytes.iter().position(|byte| *byte == 0);
    Value::Text(bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default())
}

/// What `__data_loc` or `__rel_loc` points to.
fn located<'a>(payload: &'a [u8], field: &Field, inner: Inner, base: usize) -> Option<Value<'a>> {
    let (location, _) = u32::read_from_prefix(payload.get(field.offset..)?).ok()?;
    let start = base.checked_add((location & 0xffff) as usize)?;
    let end = start.checked_add((location >> 16) as usize)?;
    let bytes = payload.get(start..end)?;
    Some(match inner {
        Inner::Text => text(bytes),
        Inner::Array(size) => list(bytes, size, field),
        Inner::Bytes => Value::Bytes(bytes),
    })
}

impl Field {
    /// The value of this field in the payload of an event.
    pub fn value<'a>(&self, payload: &'a [u8]) -> Value<'a> {
        self.read(payload).unwrap_or(Value::Missing)
    }

    fn read<'a>(&self, payload: &'a [u8]) -> Option<Value<'a>> {
        let end = self.offset.checked_add(self.size)?;
        let bytes = match self.size {
            0 => payload.get(self.offset..)?,
            _ => payload.get(self.offset..end)?,
        };
        match self.kind {
            Kind::Integer => Some(integer(bytes, self)),
            Kind::Array(size) => Some(list(bytes, size, self)),
            Kind::Text => Some(text(bytes)),
            Kind::DataLoc(inner) => located(payload, self, inner, 0),
            Kind::RelLoc(inner) => located(payload, self, inner, end),
            Kind::Bytes => Some(Value::Bytes(bytes)),
        }
    }
}

/// An event whose type is known. Prints as `name[pid] field=value ...`.
#[derive(Debug, Clone, Copy)]
pub struct Decoded<'a> {
    format: &'a Format,
    event: Event<'a>,
}

impl<'a> Decoded<'a> {
    /// Takes them together. The format must be that of the event's id.
    pub fn new(format: &'a Format, event: Event<'a>) -> Self {
        Decoded { format, event }
    }

    /// The name of the event's type.
    pub fn name(&self) -> &'a str {
        &self.format.name
    }

    /// The fields of the event's own type, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&'a Field, Value<'a>)> {
        let payload = self.event.payload;
        let fields = self.format.fields.iter();
        fields.map(move |field| (field, field.value(payload)))
    }

    /// A field by its name; the common ones (`common_pid`) as well.
    pub fn field(&self, name: &str) -> Option<Value<'a>> {
        let mut fields = self.format.common.iter().chain(&self.format.fields);
        let field = fields.find(|field| field.name == name)?;
        Some(field.value(self.event.payload))
    }
}

impl fmt::Display for Decoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if let Some(pid) = self.field("common_pid") {
            write!(f, "[{pid}]")?;
        }
        for (field, value) in self.fields() {
            write!(f, " {}={value}", field.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tests::format;
    use proptest::prelude::*;

    fn everything() -> Format {
        format(
            "all",
            1,
            "\tfield:char comm[8];\toffset:8;\tsize:8;\tsigned:0;\n\
             \tfield:short state;\toffset:16;\tsize:2;\tsigned:1;\n\
             \tfield:u16 args[3];\toffset:18;\tsize:6;\tsigned:0;\n\
             \tfield:__data_loc char[] name;\toffset:24;\tsize:4;\tsigned:0;\n\
             \tfield:__rel_loc char[] rel;\toffset:28;\tsize:4;\tsigned:0;\n\
             \tfield:unsigned long ip;\toffset:32;\tsize:8;\tsigned:0;\n\
             \tfield:u8 c;\toffset:40;\tsize:1;\tsigned:0;\n\
             \tfield:char buf[];\toffset:44;\tsize:0;\tsigned:0;\n",
        )
    }

    fn payload() -> Vec<u8> {
        let mut bytes = vec![1, 0, 0, 0];
        bytes.extend(42u32.to_ne_bytes());
        bytes.extend(b"sh\0.....");
        bytes.extend((-2i16).to_ne_bytes());
        [1u16, 2, 65535]
            .iter()
            .for_each(|n| bytes.extend(n.to_ne_bytes()));
        bytes.extend((44u32 | 3 << 16).to_ne_bytes());
        bytes.extend((14u32 | 2 << 16).to_ne_bytes());
        bytes.extend(0xffff_8000u64.to_ne_bytes());
        bytes.extend([7, 0, 0, 0]);
        bytes.extend(b"hi\nX\x1b\n\0\0");
        bytes
    }

    fn show(format: &Format, payload: &[u8]) -> String {
        Decoded::new(format, Event { time: 0, payload }).to_string()
    }

    #[test]
    fn every_kind() {
        assert_eq!(
            show(&everything(), &payload()),
            "all[42] comm=sh state=-2 args=[1,2,65535] name=hi rel=\\nX ip=0xffff8000 c=7 \
             buf=hi\\nX\\x1b"
        );
    }

    #[test]
    fn a_short_event_has_missing_fields() {
        assert_eq!(
            show(&everything(), &payload()[..18]),
            "all[42] comm=sh state=-2 args=? name=? rel=? ip=? c=? buf=?"
        );
    }

    proptest! {
        #[test]
        fn any_payload(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            show(&everything(), &bytes);
        }
    }
}
