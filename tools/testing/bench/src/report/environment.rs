// SPDX-License-Identifier: GPL-2.0

//! What the figures depend on: kernel, compilers, emulator, configuration.

use anyhow::{Context, Result};

/// Of these, a difference makes figures incomparable.
const DECISIVE: [&str; 4] = ["kernel", "clang", "rustc", "qemu"];

/// Names and values, in the order of the file.
pub struct Environment(pub Vec<(String, String)>);

impl Environment {
    /// Lines of a name, a tab and a value.
    pub fn parse(text: &str) -> Result<Environment> {
        let pair = |line: &str| {
            let (name, value) = line.split_once('\t').with_context(|| line.to_owned())?;
            Ok((name.to_owned(), value.to_owned()))
        };
        text.lines()
            .map(pair)
            .collect::<Result<_>>()
            .map(Environment)
    }

    pub fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map_or("unknown", |(_, value)| value)
    }

    /// The decisive ones, as they are recorded.
    pub fn decisive(&self) -> Vec<(&'static str, &str)> {
        DECISIVE
            .iter()
            .map(|name| (*name, self.get(name)))
            .collect()
    }

    /// The first decisive difference, in words.
    pub fn difference(&self, recorded: &Environment) -> Option<String> {
        DECISIVE.iter().find_map(|name| {
            let (here, there) = (self.get(name), recorded.get(name));
            (here != there).then(|| format!("{name} is {here} here, the record is of {there}"))
        })
    }

    /// In one line.
    pub fn line(&self) -> String {
        let words: Vec<String> = self
            .decisive()
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        format!("Measured with {}.", words.join(", "))
    }
}
