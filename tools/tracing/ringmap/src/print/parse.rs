// SPDX-License-Identifier: LGPL-2.1-or-later

//! The words of a `print fmt:` line, one after the other, and its arguments as a whole.

use super::lex::Token;
use super::node::Node;
use super::tree::{Bytes, Expr, Int};
use super::{Failure, fail};
use crate::format::{Field, Format};

/// How deep expressions may be nested.
const DEPTH: u32 = 100;
/// How many operators an argument may have, and so how deep its tree can be.
const OPERATORS: u32 = 1000;

pub(super) struct Parser<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    pub format: &'a Format,
    depth: u32,
    operators: u32,
    /// The first thing that was left out because only the kernel knows it.
    pub left_out: Option<Failure>,
}

impl<'a> Parser<'a> {
    pub fn new(tokens: &'a [Token<'a>], format: &'a Format) -> Self {
        Parser {
            tokens,
            at: 0,
            format,
            depth: 0,
            operators: 0,
            left_out: None,
        }
    }

    pub fn peek(&self) -> Option<&'a Token<'a>> {
        self.tokens.get(self.at)
    }

    pub fn peek_at(&self, ahead: usize) -> Option<&'a Token<'a>> {
        self.tokens.get(self.at + ahead)
    }

    pub fn is_sign(&self, sign: &str) -> bool {
        self.peek() == Some(&Token::Sign(sign))
    }

    /// Takes the sign if it is the next word.
    pub fn take(&mut self, sign: &str) -> bool {
        let is = self.is_sign(sign);
        self.at += usize::from(is);
        is
    }

    pub fn expect(&mut self, sign: &str) -> Result<(), Failure> {
        match self.take(sign) {
            true => Ok(()),
            false => fail(format!("no '{sign}' where one is due")),
        }
    }

    pub fn name(&mut self) -> Result<&'a str, Failure> {
        let Some(Token::Name(name)) = self.peek() else {
            return fail("no name where one is due");
        };
        self.at += 1;
        Ok(name)
    }

    /// Strings that stand side by side.
    pub fn literal(&mut self) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::new();
        let start = self.at;
        while let Some(Token::Text(text)) = self.peek() {
            self.at += 1;
            out.extend(text);
        }
        match self.at == start {
            true => fail("no string where one is due"),
            false => Ok(out),
        }
    }

    /// A field by its name.
    pub fn field(&self, name: &str) -> Result<&'a Field, Failure> {
        match self.format.field(name) {
            Some(field) => Ok(field),
            None => fail(format!("the field {name}")),
        }
    }

    /// One argument. What it adds to the tree that it becomes part of counts there; a constant, and
    /// what is not understood, add nothing.
    pub fn argument(&mut self) -> Result<Node, Failure> {
        let (operators, depth) = (self.operators, self.depth);
        let node = self.expression();
        if node.is_err() {
            self.depth = depth;
        }
        if matches!(node, Err(_) | Ok(Node::Number(Expr::Const(_), _))) {
            self.operators = operators;
        }
        node
    }

    /// One argument, and the names of the fields in it. If it is not understood the next one is
    /// tried all the same.
    pub fn argument_or_not(&mut self) -> (Result<Node, Failure>, Vec<&'a str>) {
        let start = self.at;
        self.operators = 0;
        let mut node = self.argument();
        if node.is_ok() && !matches!(self.peek(), None | Some(Token::Sign(","))) {
            node = fail("something behind an argument");
        }
        if node.is_err() {
            self.at = start;
            self.skip_to(&[","]);
        }
        let used = self.tokens.get(start..self.at).unwrap_or_default();
        let fields = used.windows(3).filter_map(|words| match words {
            [
                Token::Name("REC") | Token::Sign(")"),
                Token::Sign("->"),
                Token::Name(name),
            ] => Some(*name),
            _ => None,
        });
        (node, fields.collect())
    }

    /// Goes to the next of these signs that stands in no further bracket, or to the end.
    pub fn skip_to(&mut self, signs: &[&str]) {
        let mut open = 0u32;
        while let Some(token) = self.peek() {
            if let Token::Sign(sign) = token {
                match *sign {
                    sign if open == 0 && signs.contains(&sign) => return,
                    "(" | "{" | "[" => open += 1,
                    ")" | "}" | "]" => open = open.saturating_sub(1),
                    _ => {}
                }
            }
            self.at += 1;
        }
    }

    pub fn number(&mut self) -> Result<(Expr, Int), Failure> {
        self.argument()?.number()
    }

    pub fn bytes(&mut self) -> Result<(Bytes, Int), Failure> {
        self.argument()?.bytes()
    }

    pub fn constant(&mut self) -> Result<i64, Failure> {
        match self.number()? {
            (Expr::Const(value), _) => Ok(value),
            _ => fail("a number that is not constant where one must be"),
        }
    }

    /// Takes a word.
    pub fn advance(&mut self) {
        self.at += 1;
    }

    /// Goes a step deeper; each is followed by [`leave`](Self::leave), but for failures.
    pub fn enter(&mut self) -> Result<(), Failure> {
        self.depth += 1;
        match self.depth > DEPTH {
            true => fail("an expression that is nested too deep"),
            false => Ok(()),
        }
    }

    pub fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Counts an operator.
    pub fn operator(&mut self) -> Result<(), Failure> {
        self.operators += 1;
        match self.operators > OPERATORS {
            true => fail("an expression that is too long"),
            false => Ok(()),
        }
    }
}
