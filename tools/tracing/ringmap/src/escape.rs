// SPDX-License-Identifier: LGPL-2.1-or-later

//! Text that user space wrote, made fit for a terminal.

/// Adds text without control characters. What is UTF-8 stays as it is; control characters and bytes
/// that are no UTF-8 become `\n`, `\x1b` and the like. So what was UTF-8 in `out` stays UTF-8.
pub(crate) fn clean(text: &[u8], out: &mut Vec<u8>) {
    if text.iter().all(|byte| matches!(byte, 0x20..=0x7e)) {
        return out.extend_from_slice(text);
    }
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                c if !c.is_control() => {
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                c if c.is_ascii() => out.extend((c as u8).escape_ascii()),
                c => out.extend(c.escape_unicode().map(|c| c as u8)),
            }
        }
        out.extend(chunk.invalid().escape_ascii());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cleaned(text: &[u8]) -> String {
        let mut out = Vec::new();
        clean(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_changes() {
        assert_eq!(cleaned(b"a b\\c"), "a b\\c");
        assert_eq!(cleaned("gr\u{fc}n".as_bytes()), "gr\u{fc}n");
        assert_eq!(cleaned(b"a\n\x1b[m\xff\0"), r"a\n\x1b[m\xff\x00");
        // The terminal's other escape character, which UTF-8 has too.
        assert_eq!(cleaned("\u{9b}m".as_bytes()), r"\u{9b}m");
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(!cleaned(&bytes).contains(|c: char| c.is_control()));
        }
    }
}
