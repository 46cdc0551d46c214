// SPDX-License-Identifier: LGPL-2.1-or-later

//! Values as JSON.

use crate::decode::Value;
use crate::format::Format;
use crate::print::layout;

/// The constant parts of an event's object.
#[derive(Debug)]
pub(crate) struct Keys {
    /// `"event":"system:name","fields":{`
    head: Box<[u8]>,
    /// `"name":` of each field, with a comma before all but the first.
    fields: Box<[Box<[u8]>]>,
}

impl Keys {
    pub fn new(format: &Format) -> Self {
        let mut head = b"\"event\":".to_vec();
        string(
            format!("{}:{}", format.system, format.name).as_bytes(),
            &mut head,
        );
        head.extend_from_slice(b",\"fields\":{");
        let fields = format.fields.iter().enumerate().map(|(n, field)| {
            let mut key = if n == 0 { Vec::new() } else { vec![b','] };
            string(field.name.as_bytes(), &mut key);
            key.push(b':');
            key.into()
        });
        Keys {
            head: head.into(),
            fields: fields.collect(),
        }
    }

    /// Adds the members `event` and `fields`.
    pub fn write(&self, format: &Format, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        for (key, field) in self.fields.iter().zip(&format.fields) {
            out.extend_from_slice(key);
            value(field.value(payload), out);
        }
        out.push(b'}');
    }
}

fn value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Signed(n) => layout::signed(n, out),
        Value::Unsigned(n) | Value::Hex(n) => layout::decimal(n, out),
        Value::Text(text) => string(text, out),
        Value::List(list) => {
            out.push(b'[');
            for (n, one) in list.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                self::value(one, out);
            }
            out.push(b']');
        }
        Value::Bytes(bytes) => {
            out.push(b'"');
            layout::hex_bytes(bytes, None, out);
            out.push(b'"');
        }
        Value::Missing => out.extend_from_slice(b"null"),
    }
}

/// Adds a string with its quotes. Bytes that are no UTF-8 become U+FFFD.
pub(crate) fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let plain = |byte: &u8| matches!(byte, 0x20..=0x7e) && *byte != b'"' && *byte != b'\\';
    if text.iter().all(plain) {
        out.extend_from_slice(text);
    } else {
        for chunk in text.utf8_chunks() {
            escaped(chunk.valid(), out);
            if !chunk.invalid().is_empty() {
                out.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
    }
    out.push(b'"');
}

fn escaped(text: &str, out: &mut Vec<u8>) {
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\r' => out.extend_from_slice(b"\\r"),
            // Those above 0x7f too: they may go to a terminal.
            c if c.is_control() => {
                out.extend_from_slice(b"\\u00");
                layout::hex_bytes(&[c as u8], None, out);
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::tests::{format, payload};
    use proptest::prelude::*;

    fn parsed(payload: &[u8]) -> serde_json::Value {
        let format = format("\"\"");
        let mut out = b"{".to_vec();
        Keys::new(&format).write(&format, payload, &mut out);
        out.push(b'}');
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn fields() {
        let object = parsed(&payload());
        assert_eq!(object["event"], "test:all");
        let fields = &object["fields"];
        assert_eq!(fields["comm"], "sh");
        assert_eq!(fields["state"], -2);
        assert_eq!(fields["ip"], 0xffff_ffff_8100_0010u64);
        assert_eq!(fields["list"], serde_json::json!([258, 3]));
        assert_eq!(fields["name"], "hello");
        assert_eq!(parsed(&[])["fields"]["state"], serde_json::Value::Null);
    }

    proptest! {
        /// What serde_json reads is what was written.
        #[test]
        fn any_string(text in "\\PC*|[\\x00-\\x7f\u{80}-\u{9f}]{0,20}") {
            let mut out = Vec::new();
            string(text.as_bytes(), &mut out);
            let read: String = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(&read, &text);
            let plain = !out.iter().any(u8::is_ascii_control);
            prop_assert!(plain);
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut out = Vec::new();
            string(&bytes, &mut out);
            let read: String = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&bytes).into_owned());
        }

        #[test]
        fn any_event(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            parsed(&bytes);
        }
    }
}
