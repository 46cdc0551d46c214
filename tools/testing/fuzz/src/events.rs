// SPDX-License-Identifier: GPL-2.0

//! The numbers of the markers on a sub-buffer, and in the text of trace_pipe.

/// Bytes before the events of a sub-buffer.
pub const HEADER: usize = 16;
/// The bits of the header's second word that are the size of the data.
pub const SIZE_MASK: u64 = (1 << 27) - 1;

const PADDING: u32 = 29;
const TIME_STAMP: u32 = 31;

/// What a text marker begins with; its number follows, as eight digits.
pub const TEXT: &str = "marker-";

/// The types of the events that markers are.
#[derive(Clone, Copy)]
pub struct Types {
    pub print: u16,
    pub raw: u16,
}

/// A page that does not consist of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

fn word(bytes: &[u8], at: usize) -> Result<u32, Malformed> {
    let word = bytes.get(at..at + 4).ok_or(Malformed)?;
    Ok(u32::from_ne_bytes(word.try_into().map_err(|_| Malformed)?))
}

/// The type and the time of an event's header: bit fields, whose order is that of the bytes.
fn header(word: u32) -> (u32, u32) {
    if cfg!(target_endian = "little") {
        (word & 31, word >> 5)
    } else {
        (word >> 27, word & ((1 << 27) - 1))
    }
}

fn text_number(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(TEXT.as_bytes())?.get(..8)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

impl Types {
    /// The markers among the events in `data`, added to `numbers`.
    pub fn walk(self, data: &[u8], numbers: &mut Vec<u32>) -> Result<(), Malformed> {
        let mut at = 0;
        while at < data.len() {
            let (kind, delta) = header(word(data, at)?);
            let (body, end) = match kind {
                // Nothing but padding up to the end.
                PADDING if delta == 0 => return Ok(()),
                0 | PADDING => (at + 8, at + 4 + word(data, at + 4)? as usize),
                PADDING..=TIME_STAMP => (at + 8, at + 8),
                words => (at + 4, at + 4 + words as usize * 4),
            };
            let event = data.get(body..end).ok_or(Malformed)?;
            if kind < PADDING {
                numbers.extend(self.number(event));
            }
            at = end;
        }
        Ok(())
    }

    /// The number of an event, if it is a marker.
    fn number(self, event: &[u8]) -> Option<u32> {
        let kind = u16::from_ne_bytes(event.get(..2)?.try_into().ok()?);
        if kind == self.raw {
            word(event, 8).ok()
        } else if kind == self.print {
            text_number(event.get(16..)?)
        } else {
            None
        }
    }

    /// The markers on a sub-buffer.
    pub fn subbuf(self, bytes: &[u8], numbers: &mut Vec<u32>) -> Result<(), Malformed> {
        let commit = bytes.get(8..HEADER).ok_or(Malformed)?;
        let commit = u64::from_ne_bytes(commit.try_into().map_err(|_| Malformed)?);
        let end = HEADER + (commit & SIZE_MASK) as usize;
        self.walk(bytes.get(HEADER..end).ok_or(Malformed)?, numbers)
    }
}

/// The markers in what trace_pipe says.
pub fn text(text: &[u8], numbers: &mut Vec<u32>) {
    for line in text.split(|&byte| byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        if let Some(at) = line.find(TEXT) {
            numbers.extend(text_number(&line.as_bytes()[at..]));
        } else if let Some((_, rest)) = line.split_once(": # ")
            && let Some((number, _)) = rest.split_once(" buf:")
        {
            numbers.extend(u32::from_str_radix(number, 16));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPES: Types = Types { print: 5, raw: 16 };

    /// A sub-buffer with these words as its data.
    fn subbuf(words: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; 8];
        bytes.extend(((words.len() as u64 * 4) | (1 << 31)).to_ne_bytes());
        bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        bytes
    }

    fn numbers(bytes: &[u8]) -> Result<Vec<u32>, Malformed> {
        let mut numbers = Vec::new();
        TYPES.subbuf(bytes, &mut numbers).map(|()| numbers)
    }

    #[test]
    fn raw_markers() {
        // A short one, a time extend, another event, padding of 8 bytes, a long one.
        let words = [
            3,
            16,
            0,
            0x11,
            30,
            0,
            3,
            9,
            0,
            0x22,
            (1 << 5) | 29,
            4,
            0,
            16,
            16,
            0,
            0x33,
        ];
        assert_eq!(numbers(&subbuf(&words)), Ok(vec![0x11, 0x33]));
    }

    #[test]
    fn text_markers() {
        let mut words = vec![9, 5, 0, 0, 0];
        words.extend(
            b"marker-0100002axxxxx"
                .chunks(4)
                .map(|word| u32::from_ne_bytes(word.try_into().unwrap())),
        );
        assert_eq!(numbers(&subbuf(&words)), Ok(vec![0x0100_002a]));
    }

    #[test]
    fn padding_ends_a_page() {
        let words = [3, 16, 0, 0x11, 29, 0xdead, 0xbeef];
        assert_eq!(numbers(&subbuf(&words)), Ok(vec![0x11]));
    }

    #[test]
    fn what_does_not_fit_is_malformed() {
        assert_eq!(numbers(&subbuf(&[3, 16, 0])), Err(Malformed));
        assert_eq!(numbers(&subbuf(&[0, 400, 0, 0])), Err(Malformed));
        assert_eq!(numbers(&subbuf(&[3, 16, 0, 1])[..24]), Err(Malformed));
    }

    #[test]
    fn lines_of_trace_pipe() {
        let lines = b"  fuzz-57 [000] ..... 12.3: tracing_mark_write: marker-0000000bxx\n\
            CPU:0 [LOST 12 EVENTS]\n   <...>-9 [000] ..... 12.4: # 1000007 buf: 55 55\n";
        let mut numbers = Vec::new();
        text(lines, &mut numbers);
        assert_eq!(numbers, [0xb, 0x100_0007]);
    }
}
