// SPDX-License-Identifier: LGPL-2.1-or-later

//! Numbers and texts as they stand in a file, in the byte order of this machine.

use zerocopy::FromBytes;

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Bytes(pub Vec<u8>);

impl Bytes {
    pub fn u16(&mut self, number: u16) {
        self.0.extend(number.to_ne_bytes());
    }

    /// A length or a count. None of what is written with 4 bytes is near 4 GiB.
    pub fn len32(&mut self, number: usize) {
        self.0.extend((number as u32).to_ne_bytes());
    }

    pub fn u64(&mut self, number: u64) {
        self.0.extend(number.to_ne_bytes());
    }

    /// A text, with its NUL.
    pub fn string(&mut self, text: impl AsRef<[u8]>) {
        self.0.extend(text.as_ref());
        self.0.push(0);
    }

    /// Bytes behind their length, of 4 bytes.
    pub fn sized32(&mut self, text: &[u8]) {
        self.len32(text.len());
        self.0.extend(text);
    }

    /// Bytes behind their length, of 8 bytes.
    pub fn sized64(&mut self, text: &[u8]) {
        self.u64(text.len() as u64);
        self.0.extend(text);
    }

    /// An option: its number, its length, and its data.
    pub fn option(&mut self, id: u16, data: &[u8]) {
        self.u16(id);
        self.sized32(data);
    }

    /// An option that is a text.
    pub fn text_option(&mut self, id: u16, text: &[u8]) {
        self.option(id, &[text, &[0]].concat());
    }
}

/// What was read, and how far it was understood. Each step gives nothing at the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan<'a> {
    pub data: &'a [u8],
    pub at: usize,
}

impl<'a> Scan<'a> {
    pub fn new(data: &'a [u8], at: usize) -> Self {
        Scan { data, at }
    }

    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let bytes = self.data.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    pub fn u16(&mut self) -> Option<u16> {
        u16::read_from_bytes(self.take(2)?).ok()
    }

    pub fn u32(&mut self) -> Option<u32> {
        u32::read_from_bytes(self.take(4)?).ok()
    }

    pub fn u64(&mut self) -> Option<u64> {
        u64::read_from_bytes(self.take(8)?).ok()
    }

    /// Up to a NUL, which is passed.
    pub fn string(&mut self) -> Option<&'a [u8]> {
        let len = self.data.get(self.at..)?.iter().position(|b| *b == 0)?;
        let text = self.take(len)?;
        self.at += 1;
        Some(text)
    }

    pub fn sized32(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()? as usize;
        self.take(len)
    }

    pub fn sized64(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.u64()?).ok()?;
        self.take(len)
    }

    /// The next option. The last one has the number 0.
    pub fn option(&mut self) -> Option<(u16, &'a [u8])> {
        let id = self.u16()?;
        Some((id, self.sized32()?))
    }
}
