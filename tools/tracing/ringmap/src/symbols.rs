// SPDX-License-Identifier: LGPL-2.1-or-later

//! Names for addresses of the kernel: functions from `/proc/kallsyms`, strings from
//! `printk_formats`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::print::layout;
use crate::tracefs::Tracefs;

/// A place in the text that the names stand in.
#[derive(Debug, Clone, Copy)]
struct Symbol {
    address: u64,
    start: u32,
    len: u16,
    /// Length of the module's name, which stands behind the name; 0 for the kernel's own.
    module: u16,
}

/// The symbols of a kernel, by address.
#[derive(Debug, Clone, Default)]
pub struct Symbols {
    list: Vec<Symbol>,
    text: String,
}

/// A symbol that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// Its name.
    pub name: &'a str,
    /// The module that it belongs to, if any.
    pub module: Option<&'a str>,
    /// How far behind its beginning the address is, in bytes.
    pub offset: u64,
    /// How far the next symbol is from this one; 0 if there is none.
    pub size: u64,
}

impl Symbols {
    /// Parses what stands in `/proc/kallsyms`. Lines that are not understood are left out, and so
    /// are symbols without an address: a process that may not know them reads zeros.
    pub fn parse(text: &str) -> Self {
        let mut symbols = Symbols::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(address), Some(kind), Some(name)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let module = words.next().unwrap_or_default();
            let module = module.trim_matches(['[', ']']);
            let Some(address) = u64::from_str_radix(address, 16).ok().filter(|a| *a != 0) else {
                continue;
            };
            let (Ok(start), Ok(len), Ok(module_len)) = (
                u32::try_from(symbols.text.len()),
                u16::try_from(name.len()),
                u16::try_from(module.len()),
            ) else {
                continue;
            };
            // Places within the area of a CPU, not addresses.
            if kind.eq_ignore_ascii_case("a") {
                continue;
            }
            symbols.text.push_str(name);
            symbols.text.push_str(module);
            symbols.list.push(Symbol {
                address,
                start,
                len,
                module: module_len,
            });
        }
        // Of several names for one address the first is the kernel's choice, too.
        symbols.list.sort_by_key(|symbol| symbol.address);
        symbols.list.dedup_by_key(|symbol| symbol.address);
        symbols
    }

    /// How many symbols there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The symbol that an address belongs to.
    pub fn find(&self, address: u64) -> Option<Found<'_>> {
        let behind = self
            .list
            .partition_point(|symbol| symbol.address <= address);
        let symbol = self.list.get(behind.checked_sub(1)?)?;
        let start = symbol.start as usize;
        let end = start + usize::from(symbol.len);
        let name = self.text.get(start..end)?;
        // Nothing of the kernel lies behind its end.
        if name == "_end" || name == "__bss_stop" {
            return None;
        }
        let module = self.text.get(end..end + usize::from(symbol.module))?;
        let next = self.list.get(behind);
        Some(Found {
            name,
            module: Some(module).filter(|module| !module.is_empty()),
            offset: address - symbol.address,
            size: next.map_or(0, |next| next.address - symbol.address),
        })
    }

    /// Adds a symbol as the kernel's `%pS` prints it (`name+0x1c/0x40 [module]`), or as its `%ps`
    /// does, without the offset; the address if there is no symbol.
    pub fn write(&self, address: u64, offset: bool, out: &mut Vec<u8>) {
        let Some(found) = self.find(address) else {
            return layout::hex_with_prefix(address, out);
        };
        out.extend_from_slice(found.name.as_bytes());
        if offset {
            out.push(b'+');
            layout::hex_with_prefix(found.offset, out);
            if found.size > 0 {
                out.push(b'/');
                layout::hex_with_prefix(found.size, out);
            }
        }
        if let Some(module) = found.module {
            out.extend_from_slice(b" [");
            out.extend_from_slice(module.as_bytes());
            out.push(b']');
        }
    }
}

/// Names for what an event has as an address.
#[derive(Debug, Default)]
pub struct Names {
    symbols: OnceLock<Symbols>,
    /// Where the symbols are to be read from when the first is asked for.
    kallsyms: Option<PathBuf>,
    strings: HashMap<u64, String>,
}

impl Names {
    /// No names.
    pub fn new() -> Self {
        Names::default()
    }

    /// The names of the running kernel. `/proc/kallsyms` is read when the first symbol is asked
    /// for, as that takes a tenth of a second.
    pub fn of_kernel(tracefs: &Tracefs) -> Self {
        let mut names = Names {
            kallsyms: Some("/proc/kallsyms".into()),
            ..Names::default()
        };
        let strings = std::fs::read_to_string(tracefs.root().join("printk_formats"));
        names.add_strings(&strings.unwrap_or_default());
        names
    }

    /// Names from the text of `/proc/kallsyms`.
    pub fn with_symbols(symbols: Symbols) -> Self {
        Names {
            symbols: OnceLock::from(symbols),
            ..Names::default()
        }
    }

    /// Adds the strings of a `printk_formats` file: `0xADDRESS : "TEXT"`.
    pub fn add_strings(&mut self, text: &str) {
        for line in text.lines() {
            let Some((address, string)) = line.split_once(':') else {
                continue;
            };
            let address = address.trim().trim_start_matches("0x");
            let string = string.trim();
            let string = string.strip_prefix('"').and_then(|s| s.strip_suffix('"'));
            if let (Ok(address), Some(string)) = (u64::from_str_radix(address, 16), string) {
                self.strings.insert(address, unescape(string));
            }
        }
    }

    /// The symbols.
    pub fn symbols(&self) -> &Symbols {
        self.symbols.get_or_init(|| {
            let read = |path: &Path| std::fs::read_to_string(path).ok();
            let text = self.kallsyms.as_deref().and_then(read);
            Symbols::parse(&text.unwrap_or_default())
        })
    }

    /// The string of the kernel that stands at an address.
    pub fn string(&self, address: u64) -> Option<&str> {
        self.strings.get(&address).map(String::as_str)
    }
}

/// What `printk_formats` escapes.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, chars.as_str().chars().next()) {
            ('\\', Some(next @ ('n' | 't' | '\\' | '"'))) => {
                chars.next();
                out.push(match next {
                    'n' => '\n',
                    't' => '\t',
                    next => next,
                });
            }
            (c, _) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KALLSYMS: &str = "0000000000001000 A per_cpu\n\
        ffffffff81000000 T _text\nffffffff81000000 T startup_64\nffffffff81000040 t second\n\
        ffffffff81001000 B _end\nffffffffc0000000 t first\t[mod]\nffffffffc0000020 t last\t[mod]\n\
        nonsense\n0000000000000000 T hidden\n";

    fn shown(symbols: &Symbols, address: u64, offset: bool) -> String {
        let mut out = Vec::new();
        symbols.write(address, offset, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names() {
        let symbols = Symbols::parse(KALLSYMS);
        assert_eq!(symbols.len(), 5);
        let text = 0xffff_ffff_8100_0000;
        assert_eq!(shown(&symbols, text, false), "_text");
        assert_eq!(shown(&symbols, text + 0x1c, true), "_text+0x1c/0x40");
        assert_eq!(shown(&symbols, text + 0x40, true), "second+0x0/0xfc0");
        assert_eq!(shown(&symbols, text - 1, true), "0xffffffff80ffffff");
        assert_eq!(shown(&symbols, text + 0x1000, true), "0xffffffff81001000");
        let module = 0xffff_ffff_c000_0000;
        assert_eq!(shown(&symbols, module + 1, true), "first+0x1/0x20 [mod]");
        assert_eq!(shown(&symbols, module + 0x21, true), "last+0x1 [mod]");
        assert_eq!(shown(&Symbols::default(), 1, true), "0x1");
    }

    #[test]
    fn strings() {
        let mut names = Names::new();
        names.add_strings("0x10 : \"a \\\"b\\\" %d\\n\"\n0x20 : nothing\nx\n");
        assert_eq!(names.string(0x10), Some("a \"b\" %d\n"));
        assert_eq!(names.string(0x20), None);
        assert!(names.symbols().is_empty());
    }

    proptest! {
        #[test]
        fn any_text(text in "\\PC*", address: u64) {
            shown(&Symbols::parse(&text), address, true);
            Names::new().add_strings(&text);
        }

        /// The nearest at or below, as a search from the beginning finds it.
        #[test]
        fn the_nearest(list in prop::collection::vec(1u64..100, 1..20), address in 0u64..120) {
            let text: String = list.iter().map(|a| format!("{a:x} T s{a}\n")).collect();
            let expected = list.iter().copied().filter(|a| *a <= address).max();
            let symbols = Symbols::parse(&text);
            let found = symbols.find(address);
            prop_assert_eq!(found.map(|f| f.name.to_owned()), expected.map(|a| format!("s{a}")));
        }
    }
}
