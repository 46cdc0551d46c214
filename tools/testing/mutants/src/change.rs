// SPDX-License-Identifier: GPL-2.0

//! A change, its name, and the order in which changes are tried.

use std::ops::Range;

/// A part of a text, and what stands there instead.
pub struct Edit {
    pub range: Range<usize>,
    pub by: String,
}

impl Edit {
    pub fn apply(&self, text: &str) -> String {
        let mut changed = text.to_owned();

        changed.replace_range(self.range.clone(), &self.by);
        changed
    }
}

/// A change of one file.
pub struct Change {
    pub file: String,
    pub line: usize,
    pub function: String,
    pub kind: &'static str,
    /// The text before and after, on one line.
    pub text: String,
    /// Of how many that are the same in all of the above but the line, which one.
    pub nth: usize,
    pub edit: Edit,
}

impl Change {
    fn hash(&self, seed: u64) -> u64 {
        let nth = self.nth.to_string();
        let fields = [&self.file, &self.function, self.kind, &self.text, &nth];

        fnv(
            fields.iter().flat_map(|field| field.bytes().chain([0])),
            seed,
        )
    }

    pub fn id(&self) -> String {
        format!("{:016x}", self.hash(0))
    }

    pub fn line(&self) -> String {
        format!(
            "{}\t{}\t{}\t{}\t{}\t{}\n",
            self.id(),
            self.file,
            self.line,
            self.function,
            self.kind,
            self.text
        )
    }
}

/// FNV-1a, with a last step that spreads the seed over all bits.
fn fnv(bytes: impl Iterator<Item = u8>, seed: u64) -> u64 {
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let hash = (hash ^ hash >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);

    hash ^ hash >> 29
}

/// Puts the changes of all files in an order that depends on the seed. Any first part of it has
/// changes of each file in proportion to how many the file has.
pub fn ordered(files: Vec<Vec<Change>>, seed: u64) -> Vec<Change> {
    let mut all = Vec::new();

    for mut changes in files {
        let nr = changes.len() as f64;

        changes.sort_by_key(|change| change.hash(seed));
        all.extend(
            changes
                .into_iter()
                .enumerate()
                .map(|(index, change)| ((index as f64 + 0.5) / nr, change)),
        );
    }
    all.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    all.into_iter().map(|(_, change)| change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(file: &str, nth: usize) -> Change {
        Change {
            file: file.to_owned(),
            line: 1,
            function: "f".to_owned(),
            kind: "k",
            text: "a -> b".to_owned(),
            nth,
            edit: Edit {
                range: 1..2,
                by: "xy".to_owned(),
            },
        }
    }

    #[test]
    fn an_edit_replaces_its_range() {
        assert_eq!(change("a", 0).edit.apply("123"), "1xy3");
    }

    #[test]
    fn the_line_is_not_in_the_id() {
        let mut moved = change("a", 0);
        moved.line = 2;
        assert_eq!(moved.id(), change("a", 0).id());
        assert_ne!(change("a", 1).id(), change("a", 0).id());
        assert_ne!(change("b", 0).id(), change("a", 0).id());
    }

    #[test]
    fn each_file_has_its_share_of_a_first_part() {
        let files = |seed| {
            let big = (0..90).map(|nth| change("big", nth)).collect();
            let small = (0..10).map(|nth| change("small", nth)).collect();
            ordered(vec![big, small], seed)
        };
        let small = files(1)
            .iter()
            .take(50)
            .filter(|c| c.file == "small")
            .count();
        assert_eq!(small, 5);

        let ids = |seed| files(seed).iter().map(Change::id).collect::<Vec<_>>();
        assert_eq!(ids(1), ids(1));
        assert_ne!(ids(1), ids(2));
    }
}
