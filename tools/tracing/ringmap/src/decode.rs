// SPDX-License-Identifier: LGPL-2.1-or-later

//! The fields of an event: its [`Event`] and the [`Format`] of its type together.

use std::fmt;

use zerocopy::FromBytes;

use crate::escape;
use crate::event::Event;
use crate::format::{Field, Format, Inner, Kind};
use crate::print::layout;

/// The value of a field. Text and bytes are those of the ring buffer, not copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
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
    List(List<'a>),
    /// Anything else.
    Bytes(&'a [u8]),
    /// The event is too short to have this field.
    Missing,
}

/// Several numbers of the same type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List<'a> {
    bytes: &'a [u8],
    /// Bytes of a number, not 0.
    size: usize,
    signed: bool,
    hex: bool,
}

impl<'a> List<'a> {
    /// The numbers.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Value<'a>> + use<'a> {
        let List { signed, hex, .. } = *self;
        let chunks = self.bytes.chunks_exact(self.size);
        chunks.map(move |chunk| integer(chunk, signed, hex))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.size
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> Value<'a> {
    /// A number that fits: no negative one.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Value::Signed(n) => n.try_into().ok(),
            Value::Unsigned(n) | Value::Hex(n) => Some(n),
            _ => None,
        }
    }

    /// A number that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Value::Signed(n) => Some(n),
            Value::Unsigned(n) | Value::Hex(n) => n.try_into().ok(),
            _ => None,
        }
    }

    /// Text that is UTF-8.
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            Value::Text(text) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }

    /// Text, or what is neither text nor a number.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        match self {
            Value::Text(bytes) | Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Adds it as it prints to `out`, without allocating.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Signed(n) => layout::signed(*n, out),
            Value::Unsigned(n) => layout::decimal(*n, out),
            Value::Hex(n) => layout::hex_with_prefix(*n, out),
            // What user space wrote may hold anything: no control characters to the terminal.
            Value::Text(text) => escape::clean(text.trim_ascii_end(), out),
            Value::List(list) => {
                out.push(b'[');
                for (n, value) in list.iter().enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    value.write(out);
                }
                out.push(b']');
            }
            Value::Bytes(bytes) => layout::hex_bytes(bytes, None, out),
            Value::Missing => out.push(b'?'),
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        self.write(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

/// A number of 1, 2, 4 or 8 bytes.
fn integer<'a>(bytes: &[u8], signed: bool, hex: bool) -> Value<'a> {
    let (unsigned, value) = match *bytes {
        [a] => (a.into(), (a as i8).into()),
        [a, b] => {
            let n = u16::from_ne_bytes([a, b]);
            (n.into(), (n as i16).into())
        }
        [a, b, c, d] => {
            let n = u32::from_ne_bytes([a, b, c, d]);
            (n.into(), (n as i32).into())
        }
        _ => match u64::read_from_bytes(bytes) {
            Ok(n) => (n, n as i64),
            Err(_) => return Value::Missing,
        },
    };
    match (signed, hex) {
        (true, _) => Value::Signed(value),
        (false, true) => Value::Hex(unsigned),
        (false, false) => Value::Unsigned(unsigned),
    }
}

fn list<'a>(bytes: &'a [u8], size: usize, field: &Field) -> Value<'a> {
    Value::List(List {
        bytes,
        size: size.max(1),
        signed: field.signed,
        hex: field.hex,
    })
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

/// A field reads its value from any event of its type:
///
/// ```
/// # use ringmap::{event::Event, format::Format};
/// # fn example(format: &Format, events: &[Event<'_>]) -> Option<()> {
/// let pid = format.field("next_pid")?;
/// let comm = format.field("next_comm")?;
/// for event in events {
///     println!("{:?} {:?}", pid.u32(event), comm.str(event));
/// }
/// # Some(())
/// # }
/// ```
impl Field {
    /// The value of this field in the payload of an event.
    pub fn value<'a>(&self, payload: &'a [u8]) -> Value<'a> {
        self.read(payload).unwrap_or(Value::Missing)
    }

    /// The number in this field of an event, if it is one and fits.
    pub fn u64(&self, event: &Event<'_>) -> Option<u64> {
        self.value(event.payload).as_u64()
    }

    /// The number in this field of an event, if it is one and fits.
    pub fn u32(&self, event: &Event<'_>) -> Option<u32> {
        self.u64(event)?.try_into().ok()
    }

    /// The number in this field of an event, if it is one and fits.
    pub fn i64(&self, event: &Event<'_>) -> Option<i64> {
        self.value(event.payload).as_i64()
    }

    /// The text in this field of an event, if it is text and UTF-8.
    pub fn str<'a>(&self, event: &Event<'a>) -> Option<&'a str> {
        self.value(event.payload).as_str()
    }

    fn read<'a>(&self, payload: &'a [u8]) -> Option<Value<'a>> {
        let end = self.offset.checked_add(self.size)?;
        let bytes = match self.size {
            0 => payload.get(self.offset..)?,
            _ => payload.get(self.offset..end)?,
        };
        match self.kind {
            Kind::Integer => Some(integer(bytes, self.signed, self.hex)),
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
        Some(self.format.field(name)?.value(self.event.payload))
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
