// SPDX-License-Identifier: LGPL-2.1-or-later

//! The names of types in a `print fmt:` line: casts and `sizeof`.

use super::lex::Token;
use super::node::Node;
use super::parse::Parser;
use super::tree::{Bytes, Expr, Int};
use super::{Failure, fail};
use crate::format::type_size;

/// What a cast converts to.
pub(super) enum Type {
    Number(Int),
    /// A pointer to numbers of this type.
    Pointer(Int),
    /// A type that is not known: the value stays as it is.
    Unknown,
}

/// Whether numbers of a type have no sign, by one of its words.
fn is_unsigned(word: &str) -> bool {
    const OTHERS: [&str; 12] = [
        "size_t",
        "bool",
        "_Bool",
        "gfp_t",
        "dev_t",
        "sector_t",
        "dma_addr_t",
        "phys_addr_t",
        "resource_size_t",
        "blk_opf_t",
        "fmode_t",
        "pgoff_t",
    ];
    let starts = ["u", "__u", "__be", "__le"];
    starts.iter().any(|start| word.starts_with(start)) || OTHERS.contains(&word)
}

impl Parser<'_> {
    /// Whether what stands in this bracket is a type.
    pub fn type_ahead(&self) -> bool {
        let mut ahead = 1;
        let mut words = Vec::new();
        while let Some(Token::Name(name)) = self.peek_at(ahead) {
            words.push(*name);
            ahead += 1;
        }
        let mut pointer = false;
        while self.peek_at(ahead) == Some(&Token::Sign("*")) {
            pointer = true;
            ahead += 1;
        }
        if words.is_empty() || self.peek_at(ahead) != Some(&Token::Sign(")")) {
            return false;
        }
        if pointer || words.len() > 1 || words[0] == "void" || type_size(words[0]).is_some() {
            return true;
        }
        // A name alone: a type if what follows is a value.
        matches!(
            self.peek_at(ahead + 1),
            Some(
                Token::Name(_) | Token::Number(..) | Token::Text(_) | Token::Sign("(" | "~" | "!")
            )
        )
    }

    /// The words of a type.
    pub fn type_name(&mut self) -> Result<Type, Failure> {
        let mut words = Vec::new();
        while let Some(Token::Name(_)) = self.peek() {
            words.push(self.name()?);
        }
        words.retain(|word| !matches!(*word, "__force" | "__user" | "__bitwise" | "const"));
        let mut stars = 0;
        while self.take("*") {
            stars += 1;
        }
        let base = match words.first() {
            Some(&"enum") => Some(Int::INT),
            Some(&"void") => Some(Int::BYTE),
            Some(&("struct" | "union")) | None => None,
            Some(_) => type_size(&words.join(" "))
                .map(|size| Int::new(size, !words.iter().any(|word| is_unsigned(word)))),
        };
        Ok(match (base, stars) {
            (Some(ty), 0) => Type::Number(ty),
            (None, 0) => Type::Unknown,
            (Some(element), 1) => Type::Pointer(element),
            (None, 1) => Type::Pointer(Int::BYTE),
            (_, _) => Type::Pointer(Int::UNSIGNED_LONG),
        })
    }

    pub fn sizeof(&mut self) -> Result<Node, Failure> {
        let size = if self.is_sign("(") && self.type_ahead() {
            self.expect("(")?;
            match self.type_name()? {
                Type::Number(ty) => ty.size,
                Type::Pointer(_) => 8,
                Type::Unknown => return fail("the size of a type"),
            }
        } else {
            self.expect("(")?;
            let is = |ahead, token| self.peek_at(ahead) == Some(&token);
            if is(0, Token::Name("struct")) && is(1, Token::Sign("{")) {
                // How the kernel checks that an array is one: a structure without members.
                self.skip_to(&[")"]);
                0
            } else {
                match self.argument()? {
                    Node::Number(_, ty) => ty.size,
                    Node::Bytes(Bytes::Fixed { size, .. }, _) => size,
                    _ => return fail("the size of what has none"),
                }
            }
        };
        self.expect(")")?;
        Ok(Node::Number(Expr::Const(size as i64), Int::UNSIGNED_LONG))
    }
}
