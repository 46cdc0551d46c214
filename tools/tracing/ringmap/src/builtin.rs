// SPDX-License-Identifier: LGPL-2.1-or-later

//! The kernel's own events, of the system `ftrace`.

use crate::event::Event;
use crate::format::{Field, Format};
use crate::print::{binary, eval, layout};
use crate::symbols::Names;

/// Events of the kernel's own that are printed in another way than their `print fmt` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builtin {
    /// `trace_marker` and `trace_printk()`: the text says by itself where it comes from.
    Print,
    /// `trace_printk()` with packed arguments.
    Binary,
    Function,
    Stack,
    Raw,
}

impl Builtin {
    /// Nothing for all others.
    pub fn of(format: &Format) -> Option<Self> {
        if format.system != "ftrace" {
            return None;
        }
        Some(match format.name.as_str() {
            "print" | "bputs" => Builtin::Print,
            "bprint" => Builtin::Binary,
            "function" => Builtin::Function,
            "kernel_stack" | "user_stack" => Builtin::Stack,
            "raw_data" => Builtin::Raw,
            _ => return None,
        })
    }

    /// The text of an event that is not printed as its `print fmt` says; `None` if it has not the
    /// fields that it should have.
    pub fn write(
        self,
        format: &Format,
        event: &Event<'_>,
        names: &Names,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let number = |name| {
            format
                .field(name)
                .and_then(|field: &Field| field.u64(event))
        };
        let rest = |name| event.payload.get(format.field(name)?.offset..);
        match self {
            Builtin::Print => return None,
            Builtin::Binary => {
                names.symbols().write(number("ip")?, false, out);
                out.extend_from_slice(b": ");
                let template = names.string(number("fmt")?)?;
                binary::write(template, rest("buf")?, names, out)?;
                while out.ends_with(b"\n") {
                    out.pop();
                }
            }
            Builtin::Function => {
                names.symbols().write(number("ip")?, false, out);
                out.extend_from_slice(b" <-");
                names.symbols().write(number("parent_ip")?, false, out);
            }
            Builtin::Stack => {
                let callers = format.field("caller")?;
                let callers = event.payload.get(callers.offset..)?;
                let most = number("size").and_then(|size| usize::try_from(size).ok());
                let most = most.and_then(|count| count.checked_mul(8));
                let callers = most.and_then(|most| callers.get(..most)).unwrap_or(callers);
                if format.name == "user_stack" {
                    out.extend_from_slice(b"<user stack trace>");
                    eval::stack(callers, out, |address, out| {
                        out.extend_from_slice(b" <");
                        layout::hex_digits(address, 16, out);
                        out.push(b'>');
                    });
                } else {
                    out.extend_from_slice(b"<stack trace>");
                    eval::stack(callers, out, |address, out| {
                        names.symbols().write(address, false, out);
                    });
                }
            }
            Builtin::Raw => {
                out.extend_from_slice(b"# ");
                layout::hex(number("id")?, out);
                out.extend_from_slice(b" buf: ");
                layout::hex_bytes(rest("buf")?, Some(b' '), out);
            }
        }
        Some(())
    }
}
