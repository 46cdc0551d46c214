// SPDX-License-Identifier: LGPL-2.1-or-later

//! Protocol buffers, as far as a trace needs them: numbers, texts, messages in messages.

/// A message that is being written.
#[derive(Debug, Default)]
pub(super) struct Message(pub Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// A number. One that is signed is widened to 64 bits before.
    pub fn number(&mut self, field: u32, number: u64) {
        self.varint(u64::from(field) << 3);
        self.varint(number);
    }

    /// A text, or a whole message.
    pub fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    /// What is text for people, but what user space wrote may hold anything: Perfetto wants UTF-8.
    pub fn text(&mut self, field: u32, text: &[u8]) {
        self.bytes(field, String::from_utf8_lossy(text).as_bytes());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A field of a message that is being read.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Read {
        Number(u64),
        Bytes(Vec<u8>),
    }

    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return number;
            }
        }
        panic!("a number of more than ten bytes");
    }

    /// All fields of a message.
    pub fn read(mut bytes: &[u8]) -> Vec<(u32, Read)> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            let value = match tag & 7 {
                0 => Read::Number(varint(&mut bytes)),
                2 => {
                    let len = varint(&mut bytes) as usize;
                    let (value, rest) = bytes.split_at(len);
                    bytes = rest;
                    Read::Bytes(value.to_vec())
                }
                kind => panic!("a field of kind {kind}"),
            };
            fields.push((u32::try_from(tag >> 3).unwrap(), value));
        }
        fields
    }

    #[test]
    fn numbers_and_texts() {
        let mut message = Message::default();
        message.number(1, 150);
        message.text(2, b"testing");
        message.number(512, u64::MAX);
        message.text(3, b"\xff");
        // The first two are the examples of the encoding's own documentation.
        assert_eq!(message.0[..12], *b"\x08\x96\x01\x12\x07testing");
        assert_eq!(
            read(&message.0),
            [
                (1, Read::Number(150)),
                (2, Read::Bytes(b"testing".into())),
                (512, Read::Number(u64::MAX)),
                (3, Read::Bytes("\u{fffd}".into())),
            ]
        );
    }
}
