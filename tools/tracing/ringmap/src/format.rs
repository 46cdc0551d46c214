// SPDX-License-Identifier: LGPL-2.1-or-later

//! The `format` files of tracefs: which field of an event lies where.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::{Error, Result};

/// How the bytes of a field are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A number of 1, 2, 4 or 8 bytes.
    Integer,
    /// An array of such numbers, each of so many bytes.
    Array(usize),
    /// An array of characters: text up to the first NUL.
    Text,
    /// `__data_loc`: the field holds length and offset (from the beginning of the event) of what is
    /// described by the inner kind.
    DataLoc(Inner),
    /// `__rel_loc`: the same, with an offset from the end of the field itself.
    RelLoc(Inner),
    /// Anything else.
    Bytes,
}

/// What a [`Kind::DataLoc`] or [`Kind::RelLoc`] points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Inner {
    /// Text up to the first NUL.
    Text,
    /// Numbers, each of so many bytes.
    Array(usize),
    /// Anything else.
    Bytes,
}

/// A field of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type as in the format file, without the name.
    pub ty: String,
    /// Where it begins, in bytes from the beginning of the event.
    pub offset: usize,
    /// Its length in bytes; 0 if it reaches to the end of the event.
    pub size: usize,
    /// Whether its numbers are signed.
    pub signed: bool,
    /// How to read it.
    pub kind: Kind,
    /// Whether its numbers are better read in base 16: addresses and bit patterns.
    pub hex: bool,
}

/// The format of one type of event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Format {
    /// The subsystem, such as `sched`.
    pub system: String,
    /// The name, such as `sched_switch`.
    pub name: String,
    /// The id: `common_type` of its events.
    pub id: u16,
    /// The fields that all events have.
    pub common: Vec<Field>,
    /// The fields of this type of event.
    pub fields: Vec<Field>,
    /// What stands behind `print fmt:`; see [`PrintFmt`](crate::print::PrintFmt).
    pub print_fmt: String,
}

/// Bytes of an integer type of the kernel, 64-bit.
pub(crate) fn type_size(ty: &str) -> Option<usize> {
    let words = ty.split_ascii_whitespace().filter(|word| {
        ![
            "const",
            "volatile",
            "unsigned",
            "signed",
            "__data_loc",
            "__rel_loc",
        ]
        .contains(word)
    });
    let ty = words.collect::<Vec<_>>().join(" ");
    Some(match ty.trim_end_matches("[]").trim() {
        "char" | "u8" | "s8" | "__u8" | "__s8" | "bool" | "_Bool" | "uint8_t" | "int8_t" => 1,
        "short" | "short int" | "u16" | "s16" | "__u16" | "__s16" | "__be16" | "__le16"
        | "uint16_t" | "int16_t" | "umode_t" => 2,
        "int" | "" | "u32" | "s32" | "__u32" | "__s32" | "__be32" | "__le32" | "uint32_t"
        | "int32_t" | "pid_t" | "gfp_t" | "dev_t" | "uid_t" | "gid_t" | "fmode_t" | "blk_opf_t" => {
            4
        }
        "long" | "long int" | "long long" | "long long int" | "u64" | "s64" | "__u64" | "__s64"
        | "__be64" | "__le64" | "uint64_t" | "int64_t" | "size_t" | "ssize_t" | "uintptr_t"
        | "intptr_t" | "loff_t" | "sector_t" | "ino_t" | "ktime_t" | "time64_t" | "pgoff_t"
        | "dma_addr_t" | "phys_addr_t" | "resource_size_t" => 8,
        ty if ty.ends_with('*') => 8,
        _ => return None,
    })
}

/// Whether a type, without brackets, is a plain character.
fn is_char(ty: &str) -> bool {
    let words = ty.split_ascii_whitespace();
    let words: Vec<_> = words
        .filter(|w| !["const", "__data_loc", "__rel_loc"].contains(w))
        .collect();
    words == ["char"]
}

impl Field {
    /// Parses what stands behind `field:`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let declaration = parts.next()?;
        let (mut offset, mut size, mut signed) = (None, None, false);
        for part in parts {
            match part.split_once(':') {
                Some(("offset", n)) => offset = n.parse().ok(),
                Some(("size", n)) => size = n.parse().ok(),
                Some(("signed", n)) => signed = n == "1",
                _ => {}
            }
        }
        let (offset, size): (usize, usize) = (offset?, size?);

        // «type name», «type name[count]», «__data_loc type[] name».
        let (declaration, count) = match declaration.strip_suffix(']') {
            Some(array) => {
                let (declaration, count) = array.split_once('[')?;
                (declaration.trim(), Some(count.trim()))
            }
            None => (declaration, None),
        };
        let start = declaration
            .rfind(|c: char| !c.is_alphanumeric() && c != '_')
            .map_or(0, |at| at + 1);
        let (ty, name) = declaration.split_at(start);
        let ty = ty.trim();
        if name.is_empty() || ty.is_empty() {
            return None;
        }

        let located = ty.starts_with("__data_loc") || ty.starts_with("__rel_loc");
        let kind = if located {
            let element = ty.trim_end_matches("[]").trim();
            let inner = match type_size(element) {
                _ if is_char(element) => Inner::Text,
                Some(size) => Inner::Array(size),
                None => Inner::Bytes,
            };
            match ty.starts_with("__data_loc") {
                true => Kind::DataLoc(inner),
                false => Kind::RelLoc(inner),
            }
        } else if let Some(count) = count {
            // The count may be a name that only the kernel knows.
            let counted = count.parse().ok().filter(|n| *n > 0);
            match counted.map(|n: usize| size / n).or_else(|| type_size(ty)) {
                _ if is_char(ty) => Kind::Text,
                Some(size @ (1 | 2 | 4 | 8)) => Kind::Array(size),
                _ => Kind::Bytes,
            }
        } else if matches!(size, 1 | 2 | 4 | 8) && !ty.starts_with("struct ") || ty.ends_with('*') {
            Kind::Integer
        } else {
            Kind::Bytes
        };
        Some(Field {
            name: name.into(),
            ty: match count {
                Some(count) => format!("{ty}[{count}]"),
                None => ty.into(),
            },
            offset,
            size,
            signed,
            kind,
            hex: !signed
                && (ty.ends_with('*') || ty.trim_end_matches("[]").ends_with("unsigned long")),
        })
    }
}

impl Format {
    /// Parses a format file. `system` is the directory in which the event is.
    ///
    /// Returns `None` if the text is no such file, or the id is none that an event can have.
    pub fn parse(system: &str, text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut value = |key: &str| Some(lines.next()?.strip_prefix(key)?.trim().to_owned());
        let name = value("name:")?;
        let id = value("ID:")?.parse().ok()?;
        let mut format = Format {
            system: system.into(),
            name,
            id,
            common: Vec::new(),
            fields: Vec::new(),
            print_fmt: String::new(),
        };
        while let Some(line) = lines.next() {
            let line = line.trim();
            if let Some(print_fmt) = line.strip_prefix("print fmt:") {
                // It may have line feeds of its own.
                format.print_fmt = print_fmt.trim().into();
                for line in lines {
                    format.print_fmt.push('\n');
                    format.print_fmt.push_str(line);
                }
                break;
            }
            let Some(text) = line.strip_prefix("field:") else {
                continue;
            };
            let field = Field::parse(text)?;
            if field.name.starts_with("common_") {
                format.common.push(field);
            } else {
                format.fields.push(field);
            }
        }
        Some(format)
    }

    /// A field by its name; the common ones (`common_pid`) as well. Look it up once and keep it:
    /// it reads the value from each event of this type.
    pub fn field(&self, name: &str) -> Option<&Field> {
        let mut fields = self.fields.iter().chain(&self.common);
        fields.find(|field| field.name == name)
    }
}

/// The formats of all events of a kernel.
#[derive(Debug, Default)]
pub struct Formats {
    by_id: HashMap<u16, Format>,
}

impl Formats {
    /// Reads all format files below the directory `events` of a tracefs. Files that are not
    /// understood are left out: their events have no name then.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::Permission`] if the directory cannot be read.
    pub fn load(events: &Path) -> Result<Self> {
        let mut formats = Formats::default();
        let systems = fs::read_dir(events).map_err(|e| Error::io("read", events, e))?;
        for system in systems.flatten() {
            // Files stand beside the directories.
            let Ok(list) = fs::read_dir(system.path()) else {
                continue;
            };
            let system = system.file_name().to_string_lossy().into_owned();
            for event in list.flatten() {
                let text = fs::read_to_string(event.path().join("format"));
                if let Some(format) = text.ok().and_then(|text| Format::parse(&system, &text)) {
                    formats.insert(format);
                }
            }
        }
        Ok(formats)
    }

    /// Adds a format, or replaces the one with the same id.
    pub fn insert(&mut self, format: Format) {
        self.by_id.insert(format.id, format);
    }

    /// The format of an id.
    pub fn get(&self, id: u16) -> Option<&Format> {
        self.by_id.get(&id)
    }

    /// How many formats there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) const COMMON: &str = "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\
        \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n";

    pub(crate) fn format(name: &str, id: u16, fields: &str) -> Format {
        let text = format!("name: {name}\nID: {id}\nformat:\n{COMMON}{fields}\nprint fmt: \"\"\n");
        Format::parse("test", &text).unwrap()
    }

    fn field(text: &str) -> Field {
        Field::parse(text).unwrap()
    }

    #[test]
    fn a_format_file() {
        let format = format(
            "sys_enter",
            23,
            "\tfield:long id;\toffset:8;\tsize:8;\tsigned:1;\n\
             \tfield:unsigned long args[6];\toffset:16;\tsize:48;\tsigned:0;\n",
        );
        assert_eq!((format.name.as_str(), format.id), ("sys_enter", 23));
        assert_eq!(format.common.len(), 4);
        assert_eq!(format.fields[0].kind, Kind::Integer);
        assert_eq!(format.fields[1].kind, Kind::Array(8));
        assert_eq!(format.fields[1].name, "args");
        assert!(format.fields[1].hex);
    }

    #[test]
    fn kinds() {
        let kind = |declaration: &str, size: usize| {
            field(&format!(
                "{declaration};\toffset:8;\tsize:{size};\tsigned:0;"
            ))
            .kind
        };
        assert_eq!(kind("char comm[16]", 16), Kind::Text);
        assert_eq!(kind("char comm[TASK_COMM_LEN]", 16), Kind::Text);
        assert_eq!(kind("char buf[]", 0), Kind::Text);
        assert_eq!(kind("__u8 mac[6]", 6), Kind::Array(1));
        assert_eq!(kind("u32 x[SOME]", 40), Kind::Array(4));
        assert_eq!(kind("struct x y[2]", 40), Kind::Bytes);
        assert_eq!(
            kind("__data_loc char[] name", 4),
            Kind::DataLoc(Inner::Text)
        );
        assert_eq!(kind("__rel_loc char[] name", 4), Kind::RelLoc(Inner::Text));
        assert_eq!(
            kind("__data_loc unsigned long[] x", 4),
            Kind::DataLoc(Inner::Array(8))
        );
        assert_eq!(
            kind("__data_loc cpumask_t x", 4),
            Kind::DataLoc(Inner::Bytes)
        );
        assert_eq!(kind("const char * str", 8), Kind::Integer);
        assert_eq!(kind("const void *p", 8), Kind::Integer);
        assert_eq!(kind("enum hrtimer_mode mode", 4), Kind::Integer);
        assert_eq!(kind("struct timespec64 t", 16), Kind::Bytes);
    }

    #[test]
    fn names() {
        let field = field("const void *p;\toffset:8;\tsize:8;\tsigned:0;");
        assert_eq!(
            (field.name.as_str(), field.ty.as_str()),
            ("p", "const void *")
        );
    }

    #[test]
    fn what_is_no_format_file() {
        for text in ["", "name: x\n", "name: x\nID: 70000\n", "x\nID: 1\n"] {
            assert!(Format::parse("s", text).is_none(), "{text:?}");
        }
        for text in [
            "",
            "int x;",
            "int x;\toffset:0;",
            "x;\toffset:0;\tsize:4;",
            "];offset:0;size:1;",
        ] {
            assert!(Field::parse(text).is_none(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text(text in "\\PC*") {
            let _ = Field::parse(&text);
            let _ = Format::parse("s", &format!("name: x\nID: 1\n\tfield:{text}\n"));
        }
    }
}
