// SPDX-License-Identifier: LGPL-2.1-or-later

//! The text of an event, as the `print fmt:` line of its format file says.
//!
//! That line has a `printf` format and C expressions with the fields of the event. [`PrintFmt`]
//! takes it apart once; [`PrintFmt::write`] then writes the text of an event without allocating.
//!
//! Some lines have functions or names that only the kernel knows. [`PrintFmt::reason`] says so.
//! What the text can do without is left out: it has a `?` there, or a number in place of its name.
//! Otherwise it is a list of all fields, and [`PrintFmt::is_fallback`].

pub(crate) mod binary;
mod call;
mod conversion;
pub(crate) mod eval;
mod expression;
pub(crate) mod layout;
mod lex;
mod node;
mod parse;
mod pointer;
mod tree;
mod types;

use crate::event::Event;
use crate::format::Format;
use crate::symbols::Names;
use conversion::{Compiled, write_piece};

/// Longer lines are not looked at.
const LONGEST: usize = 1 << 20;

/// Why a line was not understood.
type Failure = Box<str>;

fn fail<T>(what: impl Into<Box<str>>) -> Result<T, Failure> {
    Err(what.into())
}

/// A `print fmt:` line that was taken apart.
#[derive(Debug, Clone)]
pub struct PrintFmt {
    compiled: Result<Compiled, Failure>,
    /// How long an event must be to have all fields.
    least: usize,
}

impl PrintFmt {
    /// Takes the line of a format file apart.
    pub fn new(format: &Format) -> Self {
        let text = format.print_fmt.as_str();
        let compiled = match text.len() > LONGEST {
            true => fail("a line that is too long"),
            false => conversion::compile(text, format),
        };
        let ends = format.fields.iter();
        let ends = ends.map(|field| field.offset.saturating_add(field.size));
        PrintFmt {
            compiled,
            least: ends.max().unwrap_or(0),
        }
    }

    /// Whether the line was not understood, so that the text is `field=value` for each field.
    pub fn is_fallback(&self) -> bool {
        self.compiled.is_err()
    }

    /// What was not understood, if anything: a function, a name, a field, or the like.
    pub fn reason(&self) -> Option<&str> {
        match &self.compiled {
            Ok(compiled) => compiled.left_out.as_deref(),
            Err(reason) => Some(reason),
        }
    }

    /// Adds the text of an event to `out`, in UTF-8, without a line feed at its end. `format` must
    /// be the one that this was made of.
    ///
    /// An event that is too short for its fields gets a list of those, with `?` where one is
    /// missing.
    pub fn write(&self, format: &Format, event: &Event<'_>, names: &Names, out: &mut Vec<u8>) {
        let payload = event.payload;
        match &self.compiled {
            Ok(compiled) if payload.len() >= self.least => {
                let start = out.len();
                for piece in &compiled.pieces {
                    write_piece(piece, payload, names, out);
                }
                while out.len() > start && out.ends_with(b"\n") {
                    out.pop();
                }
            }
            _ => write_fields(format, payload, out),
        }
    }
}

/// `field=value` for each field.
pub(crate) fn write_fields(format: &Format, payload: &[u8], out: &mut Vec<u8>) {
    for (n, field) in format.fields.iter().enumerate() {
        if n > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(field.name.as_bytes());
        out.push(b'=');
        field.value(payload).write(out);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::format::tests::COMMON;
    use crate::symbols::Symbols;
    use proptest::prelude::*;

    /// A format with fields of all kinds, and this line.
    pub(crate) fn format(print_fmt: &str) -> Format {
        let fields = "\tfield:char comm[8];\toffset:8;\tsize:8;\tsigned:0;\n\
            \tfield:int state;\toffset:16;\tsize:4;\tsigned:1;\n\
            \tfield:unsigned int flags;\toffset:20;\tsize:4;\tsigned:0;\n\
            \tfield:unsigned long ip;\toffset:24;\tsize:8;\tsigned:0;\n\
            \tfield:__u8 addr[16];\toffset:32;\tsize:16;\tsigned:0;\n\
            \tfield:__data_loc char[] name;\toffset:48;\tsize:4;\tsigned:0;\n\
            \tfield:__rel_loc u16[] list;\toffset:52;\tsize:4;\tsigned:0;\n\
            \tfield:short small;\toffset:56;\tsize:2;\tsigned:1;\n\
            \tfield:u8 len;\toffset:58;\tsize:1;\tsigned:0;\n\
            \tfield:bool on;\toffset:59;\tsize:1;\tsigned:0;\n\
            \tfield:__data_loc unsigned long[] mask;\toffset:60;\tsize:4;\tsigned:0;\n\
            \tfield:u32 words[2];\toffset:64;\tsize:8;\tsigned:0;\n";
        let text = format!("name: all\nID: 1\nformat:\n{COMMON}{fields}\nprint fmt: {print_fmt}\n");
        Format::parse("test", &text).unwrap()
    }

    pub(crate) fn payload() -> Vec<u8> {
        let mut bytes = vec![1, 0, 0, 0];
        bytes.extend(42u32.to_ne_bytes());
        bytes.extend(b"sh\0.....");
        bytes.extend((-2i32).to_ne_bytes());
        bytes.extend(0x8000_0005u32.to_ne_bytes());
        bytes.extend(0xffff_ffff_8100_0010u64.to_ne_bytes());
        bytes.extend(1..=16);
        bytes.extend((72u32 | 6 << 16).to_ne_bytes());
        bytes.extend(((80u32 - 56) | 4 << 16).to_ne_bytes());
        bytes.extend((-3i16).to_ne_bytes());
        bytes.extend([4, 1]);
        bytes.extend((84u32 | 8 << 16).to_ne_bytes());
        bytes.extend([7u32.to_ne_bytes(), 9u32.to_ne_bytes()].concat());
        bytes.extend(b"hello\0..");
        bytes.extend([258u16.to_ne_bytes(), 3u16.to_ne_bytes()].concat());
        bytes.extend(0x1_0000_0003u64.to_ne_bytes());
        bytes
    }

    fn names() -> Names {
        let mut names = Names::with_symbols(Symbols::parse(
            "ffffffff81000000 T start\nffffffff81000040 T next\nffffffff82000000 T _end\n",
        ));
        names.add_strings("0xffffffff81000010 : \"tick\"\n");
        names
    }

    fn show(print_fmt: &str) -> String {
        let format = format(print_fmt);
        let print = PrintFmt::new(&format);
        assert_eq!(print.reason(), None, "{print_fmt}");
        let payload = payload();
        let event = Event {
            time: 0,
            payload: &payload,
        };
        let mut out = Vec::new();
        print.write(&format, &event, &names(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn reason(print_fmt: &str) -> String {
        let print = PrintFmt::new(&format(print_fmt));
        assert!(print.is_fallback(), "{print_fmt}");
        print.reason().unwrap().into()
    }

    #[test]
    fn numbers() {
        assert_eq!(show(r#""%d %u", REC->state, REC->state"#), "-2 4294967294");
        assert_eq!(
            show(r#""%d %lx", REC->flags, REC->state"#),
            "-2147483643 fffffffffffffffe"
        );
        assert_eq!(
            show(r#""%08x|%#llx|%-6d|%+d|%6d|%%|%hhu|%hd", 0xabc, 0xabcull, 7, 7, 7, 258, 65537"#),
            "00000abc|0xabc|7     |+7|     7|%|2|1"
        );
        assert_eq!(show(r#""%*d|%-*d|%.3d", 4, 1, 3, 2, 5"#), "   1|2  |005");
        assert_eq!(show(r#""%c%c", 'a', REC->comm[1]"#), "ah");
        assert_eq!(show(r#""a" "%" "llu" "\n", (u64)REC->len"#), "a4");
    }

    #[test]
    fn arithmetic_is_that_of_c() {
        let value = |expression: &str| show(&format!("\"%ld\", (long)({expression})"));
        assert_eq!(value("1 + 2 * 3 - 4 / 2 % 3"), "5");
        assert_eq!(value("(1 << 31)"), "-2147483648");
        assert_eq!(value("(1U << 31)"), "2147483648");
        assert_eq!(value("REC->state >> 1"), "-1");
        assert_eq!(value("(unsigned int)REC->state >> 1"), "2147483647");
        assert_eq!(value("REC->state < REC->flags"), "0");
        assert_eq!(value("REC->small < REC->len"), "1");
        assert_eq!(value("(u8)REC->state"), "254");
        assert_eq!(value("-REC->len"), "-4");
        assert_eq!(value("~REC->len & 0xf"), "11");
        assert_eq!(value("!REC->on || !!REC->len"), "1");
        assert_eq!(value("REC->on ? REC->len : 9"), "4");
        assert_eq!(value("REC->len == 4 && REC->len != 5 && 1"), "1");
        assert_eq!(value("1 ? 2 : 3 ? 4 : 5"), "2");
        assert_eq!(value("REC->words[1] + REC->words[REC->on]"), "18");
        assert_eq!(value("REC->words[2]"), "0");
        assert_eq!(value("5 / (REC->len - 4) + 5 % 0"), "0");
        assert_eq!(
            value("sizeof(u64) + sizeof(REC->addr) + sizeof(struct x *)"),
            "32"
        );
        assert_eq!(value("__get_dynamic_array_len(list) / sizeof(u16)"), "2");
        assert_eq!(value("((u16 *)__get_rel_dynamic_array(list))[1]"), "3");
        assert_eq!(value("*(u16 *)__get_rel_dynamic_array(list)"), "258");
        assert_eq!(
            value("(( gfp_t)0x400u) | (( gfp_t)((((1UL))) << (3)))"),
            "1032"
        );
        assert_eq!(value("(some_type)REC->len"), "4");
        assert_eq!(value("(REC->len) - 1"), "3");
        assert_eq!(
            value("be16_to_cpu(*(u16 *)__get_rel_dynamic_array(list))"),
            "513"
        );
        assert_eq!(
            value("__print_ns_to_secs(REC->ip) + likely(1)"),
            "18446744072"
        );
    }

    #[test]
    fn text() {
        assert_eq!(
            show(r#""%s|%5s|%-5s|%.1s", REC->comm, REC->comm, REC->comm, REC->comm"#),
            "sh|   sh|sh   |s"
        );
        assert_eq!(
            show(r#""%s %.*s", __get_str(name), 2, __get_str(name)"#),
            "hello he"
        );
        assert_eq!(show(r#""%s", REC->on ? "on" : "off""#), "on");
        assert_eq!(show(r#""[%s]", REC->len > 4 ? __get_str(name) : """#), "[]");
        assert_eq!(
            show(r#""%s %s", (char *)REC->ip, (const char *)REC->len"#),
            "tick 0x4"
        );
        assert_eq!(show(r#""%s", NULL"#), "(null)");
    }

    #[test]
    fn flags_and_symbols() {
        let flags =
            r#""%s", __print_flags(REC->flags, "|", { 1, "A" }, { 2, "B" }, { (1U << 31), "C" })"#;
        assert_eq!(show(flags), "A|C|0x4");
        assert_eq!(show(r#""%s", __print_flags(0, "", { 1, "A" })"#), "");
        let symbols = r#""%-4s|", __print_symbolic(REC->len, { 1 + 1, "two" }, { 4, "4" "4" })"#;
        assert_eq!(show(symbols), "44  |");
        assert_eq!(
            show(r#""%s", __print_symbolic_u64(REC->state, { 1, "A" }, )"#),
            "0xfffffffffffffffe"
        );
    }

    #[test]
    fn arrays() {
        assert_eq!(
            show(r#""%s %s", __print_hex(REC->addr, 3), __print_hex_str(REC->addr, 3)"#),
            "01 02 03 010203"
        );
        assert_eq!(
            show(r#""%s", __print_array(REC->words, 2, 4)"#),
            "{0x7,0x9}"
        );
        assert_eq!(
            show(r#""%s", __print_array(__get_rel_dynamic_array(list), 1, sizeof(u16))"#),
            "{0x102}"
        );
        assert_eq!(
            show(r#""%s", __print_dynamic_array(list, sizeof(u16))"#),
            "{0x102,0x3}"
        );
        assert_eq!(show(r#""%s", __get_bitmask(mask)"#), "00000001,00000003");
        assert_eq!(
            show(r#""%*ph|%3phN", 2, REC->addr, &REC->addr[1]"#),
            "01 02|020304"
        );
        assert_eq!(
            show(r#""%pI4 %pM", REC->addr, &REC->addr"#),
            "1.2.3.4 01:02:03:04:05:06"
        );
    }

    #[test]
    fn addresses() {
        assert_eq!(
            show(r#""%pS %ps", (void *)REC->ip, (void *)REC->ip"#),
            "start+0x10/0x40 start"
        );
        assert_eq!(
            show(r#""%p|%20p|%px", REC->ip, (void *)REC->len, 1"#),
            "0xffffffff81000010|                 0x4|0x1"
        );
    }

    #[test]
    fn quotes_without_backslashes() {
        assert_eq!(
            show(r#"""%s" %x", __get_str(name), REC->len"#),
            r#""hello" 4"#
        );
        assert_eq!(
            show(r#""name="%s", len=%d", __get_str(name), REC->len"#),
            r#"name="hello", len=4"#
        );
    }

    #[test]
    fn the_size_of_an_array() {
        let count = "(sizeof(REC->words) / sizeof((REC->words)[0]) + ((int)(sizeof(struct { \
            int:(-!!(__builtin_types_compatible_p(typeof((REC->words)), \
            typeof(&(REC->words)[0])))); }))))";
        let array = format!("\"%s\", __print_array(REC->words, {count}, sizeof(u32))");
        assert_eq!(show(&array), "{0x7,0x9}");
    }

    #[test]
    fn what_is_not_understood() {
        assert_eq!(
            reason(r#""%s", xhci_decode(REC->len)"#),
            "the function xhci_decode()"
        );
        assert_eq!(reason(r#""%d", REC->nothing"#), "the field nothing");
        assert_eq!(reason(r#""%d", REC->len * HZ"#), "the name HZ");
        assert_eq!(reason(r#""%d""#), "less arguments than conversions");
        assert_eq!(reason(r#""%pV", REC->ip"#), "the conversion %pV");
        assert_eq!(reason(r#""%y", REC->ip"#), "the conversion %y");
        assert_eq!(
            reason(r#""%d", ({ int x = REC->len; x; })"#),
            "'{' where a value is due"
        );
        assert_eq!(
            reason(r#""%d", REC->comm"#),
            "text for a conversion of numbers"
        );
        assert_eq!(reason(""), "no string where one is due");
        assert!(reason(&format!("\"%d\", {}REC->len", "(".repeat(5000))).contains("deep"));
        assert!(reason(&format!("\"%d\", {}REC->len", "-".repeat(5000))).contains("deep"));
        assert!(reason(&format!("\"%d\", {}1", "REC->len+".repeat(5000))).contains("long"));
    }

    /// The text of a line that is understood but for something.
    fn partly(print_fmt: &str, left_out: &str) -> String {
        let format = format(print_fmt);
        let print = PrintFmt::new(&format);
        assert!(!print.is_fallback(), "{print_fmt}");
        assert_eq!(print.reason(), Some(left_out));
        let payload = payload();
        let event = Event {
            time: 0,
            payload: &payload,
        };
        let mut out = Vec::new();
        print.write(&format, &event, &names(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_only_the_kernel_knows_is_left_out() {
        let page = r#""page=%p pfn=%d", (((struct page *)base) + (REC->len)), REC->len"#;
        assert_eq!(partly(page, "the name base"), "page=? pfn=4");
        let mode = r#""%s", __print_symbolic(REC->len, { MODE_A, "A" }, { 5, "B" })"#;
        assert_eq!(partly(mode, "the name MODE_A"), "0x4");
        let bits = r#""%s", __print_flags(REC->flags, "|", { (1 << BIT_A), "A" }, { 1, "B" })"#;
        assert_eq!(partly(bits, "the name BIT_A"), "B|0x80000004");
        let both = r#""%d %*d %s", f(REC->len), g(), REC->len, h(1)"#;
        assert_eq!(partly(both, "the function f()"), "? 4 ?");
    }

    #[test]
    fn the_header_is_part_of_the_event() {
        assert_eq!(show(r#""%d %d", REC->ent.pid, (REC)->common_pid"#), "42 42");
    }

    #[test]
    fn many_names_that_are_not_known() {
        let names: String = (0..400)
            .map(|n| format!(", {{ N_{n}, \"{n}\" }}"))
            .collect();
        let line = format!("\"%s\", __print_symbolic(REC->len{names}, {{ 4, \"four\" }})");
        assert_eq!(partly(&line, "the name N_0"), "four");
    }

    /// The tree of an argument is walked recursively: it must not get deep by way of the arguments
    /// of functions in it.
    #[test]
    fn a_tree_is_not_deep() {
        let sum = "+REC->len".repeat(400);
        let deep = (0..45).fold("1".to_owned(), |inner, _| {
            format!("div_u64({inner}{sum},3)")
        });
        assert!(reason(&format!("\"%d\", {deep}")).contains("long"));
    }

    #[test]
    fn a_fallback_lists_the_fields() {
        let format = format(r#""%d", f(1)"#);
        let mut out = Vec::new();
        let payload = payload();
        let event = |len: usize| Event {
            time: 0,
            payload: &payload[..len],
        };
        PrintFmt::new(&format).write(&format, &event(payload.len()), &names(), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "comm=sh state=-2 flags=2147483653 ip=0xffffffff81000010 \
             addr=[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16] name=hello list=[258,3] small=-3 len=4 \
             on=1 mask=[0x100000003] words=[7,9]"
        );
        let short = self::format(r#""%d", REC->state"#);
        let mut out = Vec::new();
        PrintFmt::new(&short).write(&short, &event(20), &names(), &mut out);
        assert!(out.starts_with(b"comm=sh state=-2 flags=? ip=? addr=?"));
    }

    /// Text that the parser gets far with more often than with any.
    fn expressions() -> impl Strategy<Value = String> {
        const WORDS: &[&str] = &[
            "REC->",
            "comm",
            "state",
            "ip",
            "list",
            "mask",
            "name",
            "addr",
            "words",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ",",
            "+",
            "-",
            "*",
            "/",
            "%",
            "<<",
            ">>",
            "<",
            "&&",
            "?",
            ":",
            "!",
            "~",
            "&",
            "1",
            "0x80000000",
            "-1",
            "\"a\"",
            "(u8)",
            "(long)",
            "(void *)",
            "sizeof(int)",
            "__get_str(",
            "__print_flags(",
            "__print_symbolic(",
            "__print_hex(",
            "__print_array(",
            "__get_bitmask(",
            "__get_dynamic_array(",
            "be32_to_cpu(",
            "__get_stacktrace(",
        ];
        prop::collection::vec(prop::sample::select(WORDS), 0..12).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn any_text(text in "\\PC*", bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let format = format(&text.replace('\n', " "));
            let event = Event { time: 0, payload: &bytes };
            PrintFmt::new(&format).write(&format, &event, &names(), &mut Vec::new());
        }

        /// Whatever the event and the conversions: UTF-8, and no character for the terminal.
        #[test]
        fn any_event(
            conversions in "(%[-+ #0]{0,3}[0-9*]{0,3}(\\.[0-9*]?)?(hh|h|ll|l|z)?[duxXcsp]([SsfFBMmIU46ch]{0,2}))",
            arguments in prop::collection::vec(expressions(), 1..4),
            mut bytes in prop::collection::vec(any::<u8>(), 72..200),
            place: u8,
        ) {
            let format = format(&format!("\"{conversions}\", {}", arguments.join(", ")));
            let print = PrintFmt::new(&format);
            for random in [true, false] {
                let event = Event { time: 0, payload: &bytes };
                let mut out = Vec::new();
                print.write(&format, &event, &names(), &mut out);
                let text = String::from_utf8(out);
                let plain = text.is_ok_and(|text| !text.contains(['\x1b', '\0', '\u{9b}']));
                prop_assert!(plain);
                if random {
                    // A place that is more plausible than a random one.
                    bytes[48..52].copy_from_slice(&(u32::from(place) | 5 << 16).to_ne_bytes());
                }
            }
        }
    }
}
