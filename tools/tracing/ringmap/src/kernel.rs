// SPDX-License-Identifier: LGPL-2.1-or-later

//! Which implementation of the mapping the running kernel has.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

/// Where the kernel lists its symbols.
const KALLSYMS: &str = "/proc/kallsyms";

/// The Rust implementation is a crate of this name. In a mangled (v0) symbol a name stands behind
/// its length.
const CRATE: &str = "15ring_buffer_map";

/// The implementation of the ring-buffer mapping, and the symbol that gave it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Implementation {
    /// The Rust one: the kernel has code of a crate `ring_buffer_map`.
    Rust {
        /// One symbol of that crate.
        symbol: String,
    },
    /// The C one: the kernel has `ring_buffer_map`, and no such crate.
    C,
    /// Not known.
    Unknown {
        /// Why.
        reason: String,
    },
}

impl Implementation {
    /// Looks into `/proc/kallsyms`.
    pub fn detect() -> Self {
        let symbols = File::open(KALLSYMS).map(BufReader::new);
        match symbols.and_then(Self::from_symbols) {
            Ok(found) => found,
            Err(e) => Implementation::Unknown {
                reason: format!("{KALLSYMS}: {e}"),
            },
        }
    }

    /// The same from any list of symbols in the format of `/proc/kallsyms`.
    ///
    /// # Errors
    ///
    /// Those of the reader.
    pub fn from_symbols(symbols: impl BufRead) -> io::Result<Self> {
        let mut c = false;
        let mut generic = None;
        for line in symbols.lines() {
            let line = line?;
            let mut words = line.split_ascii_whitespace().skip(1);
            let (Some(kind), Some(name)) = (words.next(), words.next()) else {
                continue;
            };
            if !kind.eq_ignore_ascii_case("t") {
                continue;
            }
            if name.starts_with("_R") {
                let symbol = || Some(name.to_owned());
                match name.split_once(CRATE).map(|(_, rest)| rest) {
                    // A path goes on behind the name of its crate.
                    Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphanumeric()) => {
                        return Ok(Implementation::Rust {
                            symbol: name.into(),
                        });
                    }
                    // A name at the end is that of the crate for which other code was compiled.
                    Some(_) => generic = generic.or_else(symbol),
                    None => {}
                }
            }
            c |= name == "ring_buffer_map";
        }
        Ok(match generic {
            Some(symbol) => Implementation::Rust { symbol },
            None if c => Implementation::C,
            None => Implementation::Unknown {
                reason: format!("{KALLSYMS} has no symbol ring_buffer_map"),
            },
        })
    }
}

impl fmt::Display for Implementation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Implementation::Rust { symbol } => write!(
                f,
                "Rust ({KALLSYMS} has code of the Rust crate ring_buffer_map: {symbol})"
            ),
            Implementation::C => write!(
                f,
                "C ({KALLSYMS} has ring_buffer_map, and no code of a Rust crate of that name)"
            ),
            Implementation::Unknown { reason } => write!(f, "unknown ({reason})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Implementation {
        Implementation::from_symbols(text.as_bytes()).unwrap()
    }

    #[test]
    fn rust_by_its_crate() {
        let symbol = "_RNvNtCs5Xg_15ring_buffer_map7mapping3map";
        let text = format!("0 T ring_buffer_map\n0 t {symbol}\n");
        assert_eq!(
            of(&text),
            Implementation::Rust {
                symbol: symbol.into()
            }
        );
    }

    #[test]
    fn rather_by_its_own_code_than_by_code_made_for_it() {
        let generic = "_RINvCsX_6kernel6insertKj20_ECsY_15ring_buffer_map";
        let own = "_RNvCsY_15ring_buffer_map4open";
        let rust = |symbol: &str| Implementation::Rust {
            symbol: symbol.into(),
        };
        assert_eq!(of(&format!("0 t {generic}\n0 t {own}\n")), rust(own));
        assert_eq!(
            of(&format!("0 t {generic}\n0 T ring_buffer_map\n")),
            rust(generic)
        );
    }

    #[test]
    fn c_without_it() {
        assert_eq!(
            of("0 T ring_buffer_map\n0 T _RNvCs_6kernel5x\n0 d x\n"),
            Implementation::C
        );
    }

    #[test]
    fn unknown_without_either() {
        assert!(matches!(of("0 T printk\n"), Implementation::Unknown { .. }));
        assert!(matches!(of(""), Implementation::Unknown { .. }));
    }
}
