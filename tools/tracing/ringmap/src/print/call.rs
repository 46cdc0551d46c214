// SPDX-License-Identifier: LGPL-2.1-or-later

//! The functions that a `print fmt:` line may call.

use super::lex::Token;
use super::node::{Node, element};
use super::parse::Parser;
use super::tree::{Binary, Bytes, Expr, Int, Table, Text};
use super::{Failure, fail};

/// `a operator b` for two numbers of 64 bits without sign.
fn unsigned(operator: Binary, a: Expr, b: Expr) -> Expr {
    Expr::Binary(operator, Box::new((a, b)), Int::UNSIGNED_LONG)
}

impl Parser<'_> {
    /// A call, behind its opening bracket.
    pub fn call(&mut self, name: &str) -> Result<Node, Failure> {
        let node = self.call_inner(name)?;
        self.expect(")")?;
        Ok(node)
    }

    fn call_inner(&mut self, name: &str) -> Result<Node, Failure> {
        // With __rel_loc the functions have other names; what they do says the field itself.
        let plain = name.replacen("__get_rel_", "__get_", 1);
        Ok(match plain.as_str() {
            "__print_flags" | "__print_flags_u64" => {
                let (value, _) = self.number()?;
                self.expect(",")?;
                let between = self.literal()?;
                Node::Text(Text::Flags {
                    value,
                    between: String::from_utf8_lossy(&between).into(),
                    names: self.table()?,
                })
            }
            "__print_symbolic" | "__print_symbolic_u64" => Node::Text(Text::Symbol {
                value: self.number()?.0,
                names: self.table()?,
            }),
            "__print_hex" | "__print_hex_str" => {
                let (bytes, _) = self.bytes()?;
                self.expect(",")?;
                Node::Text(Text::Hex {
                    bytes,
                    length: self.number()?.0,
                    spaces: plain == "__print_hex",
                })
            }
            "__print_array" => {
                let (bytes, _) = self.bytes()?;
                self.expect(",")?;
                let (count, _) = self.number()?;
                self.expect(",")?;
                Node::Text(Text::Array {
                    bytes,
                    count: Some(count),
                    size: self.element_size()?,
                })
            }
            "__print_dynamic_array" => {
                let (bytes, _) = self.named()?;
                self.expect(",")?;
                Node::Text(Text::Array {
                    bytes,
                    count: None,
                    size: self.element_size()?,
                })
            }
            "__get_str" | "__get_dynamic_array" | "__get_sockaddr" => {
                let (bytes, element) = self.named()?;
                Node::Bytes(bytes, element)
            }
            "__get_dynamic_array_len" => {
                let (bytes, _) = self.named()?;
                Node::Number(Expr::Length(bytes), Int::INT)
            }
            "__get_bitmask" | "__get_cpumask" => Node::Text(Text::Bitmask(self.named()?.0)),
            "__get_stacktrace" => Node::Text(Text::Stack(self.named()?.0)),
            "__print_ns_to_secs" => {
                let secs = unsigned(Binary::Divide, self.number()?.0, Expr::Const(1_000_000_000));
                Node::Number(secs, Int::UNSIGNED_LONG)
            }
            "__print_ns_without_secs" => {
                let rest = unsigned(
                    Binary::Remainder,
                    self.number()?.0,
                    Expr::Const(1_000_000_000),
                );
                Node::Number(rest, Int::UNSIGNED)
            }
            "div_u64" | "div64_u64" | "div64_ul" => {
                let (a, _) = self.number()?;
                self.expect(",")?;
                let (b, _) = self.number()?;
                Node::Number(unsigned(Binary::Divide, a, b), Int::UNSIGNED_LONG)
            }
            "__builtin_expect" => {
                let node = self.argument()?;
                self.expect(",")?;
                self.argument()?;
                node
            }
            "likely" | "unlikely" => self.argument()?,
            "__builtin_constant_p" => {
                self.argument()?;
                Node::Number(Expr::Const(0), Int::INT)
            }
            "ntohs" | "htons" | "be16_to_cpu" | "cpu_to_be16" | "__be16_to_cpu" | "__fswab16" => {
                self.big_endian(2, name)?
            }
            "ntohl" | "htonl" | "be32_to_cpu" | "cpu_to_be32" | "__be32_to_cpu" | "__fswab32" => {
                self.big_endian(4, name)?
            }
            "be64_to_cpu" | "cpu_to_be64" | "__be64_to_cpu" | "__fswab64" => {
                self.big_endian(8, name)?
            }
            "le16_to_cpu" | "le32_to_cpu" | "le64_to_cpu" | "__le16_to_cpu" | "__le32_to_cpu"
            | "__le64_to_cpu"
                if cfg!(target_endian = "little") =>
            {
                self.argument()?
            }
            _ => return fail(format!("the function {name}()")),
        })
    }

    /// A field with `__data_loc` or `__rel_loc`, or in fact any.
    fn named(&mut self) -> Result<(Bytes, Int), Failure> {
        let name = self.name()?;
        let field = self.field(name)?;
        Ok((Bytes::of(field), element(field)))
    }

    fn element_size(&mut self) -> Result<usize, Failure> {
        match self.constant()? {
            size @ (1 | 2 | 4 | 8) => Ok(size as usize),
            size => fail(format!("an array of elements of {size} bytes")),
        }
    }

    fn big_endian(&mut self, size: usize, name: &str) -> Result<Node, Failure> {
        let (value, _) = self.number()?;
        let swapped = cfg!(target_endian = "little") || name.starts_with("__fswab");
        let value = match swapped {
            true => Expr::Swap(Box::new(value), size),
            false => value,
        };
        Ok(Node::Number(value, Int::new(size, false)))
    }

    /// What stands behind the value of flags and symbols: `, { number, "name" }` several times.
    fn table(&mut self) -> Result<Table, Failure> {
        let mut names = Vec::new();
        while self.take(",") {
            // Some lists end with a comma, or with an empty pair.
            if !self.take("{") {
                break;
            }
            let value = match self.constant() {
                Ok(value) => Some(value),
                // An enum that only the kernel knows: its value is printed as a number.
                Err(reason) => {
                    self.left_out.get_or_insert(reason);
                    self.skip_to(&[",", "}"]);
                    None
                }
            };
            self.expect(",")?;
            if !self.literal_is_next() {
                self.argument()?;
            } else {
                let name = self.literal()?;
                let name = String::from_utf8_lossy(&name).into();
                names.extend(value.map(|value| (value, name)));
            }
            self.take(",");
            self.expect("}")?;
        }
        Ok(names.into())
    }

    /// Whether a name is next, and not the NULL of a list's end.
    fn literal_is_next(&self) -> bool {
        matches!(self.peek(), Some(Token::Text(_)))
    }
}
