// SPDX-License-Identifier: GPL-2.0

//! Operations and transcripts as text.
//!
//! A list of operations has one to a line, `name argument...`. A line `= name` begins a scenario,
//! which has a trace instance of its own. Empty lines and those that begin with `#` mean nothing.
//!
//! A transcript has the same `= name` lines, and a line for each operation: its number within the
//! scenario, its result, and those fields of the state that are not what they were before, as
//! `name=hex` (or `name=-` if there is no such value any more).

use std::fmt::Write as _;

/// One scenario of a list of operations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scenario {
    pub name: String,
    pub ops: Vec<String>,
}

impl Scenario {
    /// After a snapshot that only C lets in, its buffer cannot be used any more.
    pub fn keeps_instance(&self) -> bool {
        self.name.contains("keep")
    }

    pub fn text(&self) -> String {
        let mut text = format!("= {}\n", self.name);
        for op in &self.ops {
            text.push_str(op);
            text.push('\n');
        }
        text
    }
}

/// The scenarios in `text`.
pub fn scenarios(text: &str) -> Vec<Scenario> {
    let mut all: Vec<Scenario> = Vec::new();

    for line in text.lines() {
        if let Some(name) = line.strip_prefix("= ") {
            all.push(Scenario {
                name: name.to_owned(),
                ops: Vec::new(),
            });
        } else if line.is_empty() || line.starts_with('#') {
            continue;
        } else {
            if all.is_empty() {
                all.push(Scenario::default());
            }
            all.last_mut()
                .expect("there is one")
                .ops
                .push(line.to_owned());
        }
    }
    all
}

/// Declares the fields of a state and their names in transcripts.
macro_rules! fields {
    ($($(#[$doc:meta])* $field:ident $name:literal,)*) => {
        /// A value that is compared after each operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Field { $($(#[$doc])* $field,)* }

        impl Field {
            pub const ALL: &[Field] = &[$(Field::$field,)*];
            const NAMES: &[&str] = &[$($name,)*];
        }
    };
}

fields! {
    MetaPageSize "mps",
    MetaStructLen "msl",
    SubbufSize "ss",
    NrSubbufs "nr",
    LostEvents "lost",
    ReaderId "id",
    ReaderRead "rr",
    Flags "fl",
    Entries "en",
    Overrun "ov",
    Read "rd",
    PagesLost "pl",
    PagesTouched "pt",
    /// The commit field of the reader page, its flags among it.
    Commit "commit",
    /// The number of lost events behind the data of the reader page.
    Stored "stored",
    /// A hash of the reader page.
    Page "page",
    StatEntries "s.en",
    StatOverrun "s.ov",
    StatCommitOverrun "s.co",
    StatBytes "s.by",
    /// Counted from the beginning of the scenario.
    StatOldest "s.old",
    /// How much later it is than after the operation before.
    StatNow "s.now",
    StatDropped "s.dr",
    StatRead "s.rd",
}

impl Field {
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// All values after an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State([Option<u64>; Field::ALL.len()]);

impl State {
    pub fn get(&self, field: Field) -> Option<u64> {
        self.0[field as usize]
    }

    pub fn set(&mut self, field: Field, value: Option<u64>) {
        self.0[field as usize] = value;
    }

    /// What is different from `before`, as in a transcript.
    pub fn changes(&self, before: &State) -> String {
        let mut text = String::new();
        for &field in Field::ALL {
            if self.get(field) == before.get(field) {
                continue;
            }
            // Writing to a string does not fail.
            let _ = match self.get(field) {
                Some(value) => write!(text, " {}={value:x}", field.name()),
                None => write!(text, " {}=-", field.name()),
            };
        }
        text
    }

    /// Takes over what `changes()` has written.
    pub fn apply<'a>(&mut self, words: impl Iterator<Item = &'a str>) -> Result<(), String> {
        for word in words {
            let bad = || format!("bad field '{word}'");
            let (name, value) = word.split_once('=').ok_or_else(bad)?;
            let at = Field::NAMES
                .iter()
                .position(|&n| n == name)
                .ok_or_else(bad)?;
            self.0[at] = match value {
                "-" => None,
                hex => Some(u64::from_str_radix(hex, 16).map_err(|_| bad())?),
            };
        }
        Ok(())
    }
}

/// The hash "FNV-1a" over 64-bit words, and over bytes for the rest.
pub fn hash(bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let (words, rest) = bytes.as_chunks::<8>();

    for word in words {
        // A product has no influence on lower bits; the shift brings the upper ones down.
        hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(PRIME);
        hash ^= hash >> 29;
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
    }
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_can_be_applied() {
        let before = State::default();
        let mut state = State::default();

        state.set(Field::Overrun, Some(17));
        state.set(Field::Page, Some(u64::MAX));
        let text = state.changes(&before);
        assert_eq!(text, " ov=11 page=ffffffffffffffff");

        let mut other = State::default();
        other.apply(text.split_whitespace()).unwrap();
        assert_eq!(other, state);
        other
            .apply(before.changes(&state).split_whitespace())
            .unwrap();
        assert_eq!(other, before);
        assert!(other.apply(["nonsense=1"].into_iter()).is_err());
    }

    #[test]
    fn each_byte_counts_for_the_hash() {
        let bytes = [7u8; 27];
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut other = bytes;
                other[at] ^= 1 << bit;
                assert_ne!(hash(&bytes), hash(&other));
            }
        }
    }

    #[test]
    fn lists_have_scenarios() {
        let all = scenarios("= a\nmark 1 2\n\n# no\nget 0\n= b keep\n");
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].ops, ["mark 1 2", "get 0"]);
        assert!(all[1].keeps_instance() && !all[0].keeps_instance());
        assert_eq!(scenarios(&all[0].text())[0], all[0]);
    }
}
