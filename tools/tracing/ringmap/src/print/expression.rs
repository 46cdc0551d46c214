// SPDX-License-Identifier: LGPL-2.1-or-later

//! C expressions: operators by how strongly they bind, casts, fields.

use super::lex::Token;
use super::node::{Node, choose, compute, element, folded, index, load, skip};
use super::parse::Parser;
use super::tree::{Binary, Bytes, Expr, Int, Text, Unary};
use super::types::Type;
use super::{Failure, fail};

/// Enums of the interface to user space (`linux/ioprio.h`), which cannot change, and which the
/// events of block devices have by name.
const USER_API: [(&str, i64); 5] = [
    ("IOPRIO_CLASS_NONE", 0),
    ("IOPRIO_CLASS_RT", 1),
    ("IOPRIO_CLASS_BE", 2),
    ("IOPRIO_CLASS_IDLE", 3),
    ("IOPRIO_CLASS_INVALID", 7),
];

/// The binary operators, and how strongly each binds.
const BINARY: [(&str, Binary, u32); 18] = [
    ("*", Binary::Multiply, 10),
    ("/", Binary::Divide, 10),
    ("%", Binary::Remainder, 10),
    ("+", Binary::Add, 9),
    ("-", Binary::Subtract, 9),
    ("<<", Binary::Left, 8),
    (">>", Binary::Right, 8),
    ("<", Binary::Less, 7),
    ("<=", Binary::LessEqual, 7),
    (">", Binary::Greater, 7),
    (">=", Binary::GreaterEqual, 7),
    ("==", Binary::Equal, 6),
    ("!=", Binary::NotEqual, 6),
    ("&", Binary::And, 5),
    ("^", Binary::Xor, 4),
    ("|", Binary::Or, 3),
    ("&&", Binary::Both, 2),
    ("||", Binary::Either, 1),
];

impl Parser<'_> {
    pub fn expression(&mut self) -> Result<Node, Failure> {
        self.enter()?;
        let condition = self.binary(1)?;
        let node = if self.take("?") {
            self.operator()?;
            let yes = self.expression()?;
            self.expect(":")?;
            let no = self.expression()?;
            choose(condition.condition(), yes, no)
        } else {
            condition
        };
        self.leave();
        Ok(node)
    }

    /// Operators that bind at least so strongly.
    fn binary(&mut self, least: u32) -> Result<Node, Failure> {
        let mut left = self.unary()?;
        while let Some(Token::Sign(sign)) = self.peek() {
            let found = BINARY.iter().find(|(text, ..)| text == sign);
            let Some((_, operator, strength)) = found.filter(|found| found.2 >= least) else {
                break;
            };
            self.advance();
            self.operator()?;
            let right = self.binary(strength + 1)?;
            left = compute(*operator, left, right)?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Node, Failure> {
        self.enter()?;
        self.operator()?;
        let node = self.unary_inner()?;
        self.leave();
        Ok(node)
    }

    fn unary_inner(&mut self) -> Result<Node, Failure> {
        let signs = [
            ("-", Unary::Minus),
            ("~", Unary::Complement),
            ("!", Unary::Not),
        ];
        for (sign, operator) in signs {
            if !self.take(sign) {
                continue;
            }
            let node = self.unary()?;
            let (value, ty) = match operator {
                Unary::Not => (node.condition(), Int::INT),
                _ => node.number()?,
            };
            let ty = ty.promoted();
            let constant = matches!(value, Expr::Const(_));
            let expr = folded(Expr::Unary(operator, Box::new(value), ty), constant);
            return Ok(Node::Number(expr, ty));
        }
        if self.take("+") {
            return self.unary();
        }
        if self.take("*") {
            let (bytes, element) = self.unary()?.bytes()?;
            return Ok(index(bytes, Expr::Const(0), element));
        }
        if self.take("&") {
            return self.address();
        }
        if self.is_sign("(") && self.type_ahead() {
            return self.cast();
        }
        let mut node = self.primary()?;
        while self.take("[") {
            self.operator()?;
            let (at, _) = self.expression()?.number()?;
            self.expect("]")?;
            let (bytes, element) = node.bytes()?;
            node = index(bytes, at, element);
        }
        Ok(node)
    }

    /// `&REC->field`, or an element of it.
    fn address(&mut self) -> Result<Node, Failure> {
        let inside = self.take("(");
        if self.name()? != "REC" {
            return fail("an address that is none of a field");
        }
        self.expect("->")?;
        let name = self.name()?;
        let field = self.field(name)?;
        let element = element(field);
        let mut bytes = Bytes::of(field);
        if self.take("[") {
            self.operator()?;
            let (at, _) = self.expression()?.number()?;
            self.expect("]")?;
            bytes = skip(bytes, at, element);
        }
        if inside {
            self.expect(")")?;
        }
        Ok(Node::Bytes(bytes, element))
    }

    /// What stands behind a type in brackets is converted to it.
    fn cast(&mut self) -> Result<Node, Failure> {
        self.expect("(")?;
        let ty = self.type_name()?;
        self.expect(")")?;
        let node = self.unary()?;
        Ok(match (ty, node) {
            (Type::Number(ty), Node::Number(value, _)) => {
                let constant = matches!(value, Expr::Const(_));
                Node::Number(folded(Expr::Cast(Box::new(value), ty), constant), ty)
            }
            (Type::Pointer(_), Node::Number(value, _)) => Node::Number(value, Int::UNSIGNED_LONG),
            (Type::Pointer(element), Node::Bytes(bytes, _)) => Node::Bytes(bytes, element),
            (Type::Number(_), _) => return fail("an address of bytes as a number"),
            (_, node) => node,
        })
    }

    /// What stands behind `REC`.
    fn member(&mut self) -> Result<Node, Failure> {
        self.expect("->")?;
        let name = self.name()?;
        // The header that all events have is a field of its own in the kernel.
        if name == "ent" && self.take(".") {
            let name = format!("common_{}", self.name()?);
            return Ok(load(self.field(&name)?));
        }
        if self.is_sign(".") || self.is_sign("->") {
            return fail(format!("a member of the field {name}"));
        }
        Ok(load(self.field(name)?))
    }

    fn primary(&mut self) -> Result<Node, Failure> {
        match self.peek() {
            Some(Token::Number(value, ty)) => {
                self.advance();
                Ok(Node::Number(Expr::Const(*value), *ty))
            }
            Some(Token::Text(_)) => {
                let text = self.literal()?;
                let text = String::from_utf8_lossy(&text).into();
                Ok(Node::Text(Text::Literal(text)))
            }
            // (REC)->field
            Some(Token::Sign("("))
                if self.peek_at(1) == Some(&Token::Name("REC"))
                    && self.peek_at(2) == Some(&Token::Sign(")")) =>
            {
                (0..3).for_each(|_| self.advance());
                self.member()
            }
            Some(Token::Sign("(")) => {
                self.advance();
                let node = self.expression()?;
                self.expect(")")?;
                Ok(node)
            }
            Some(Token::Name("REC")) => {
                self.advance();
                self.member()
            }
            Some(Token::Name("sizeof")) => {
                self.advance();
                self.sizeof()
            }
            Some(Token::Name(name)) => {
                self.advance();
                match (*name, self.take("(")) {
                    (name, true) => self.call(name),
                    ("true", false) => Ok(Node::Number(Expr::Const(1), Int::INT)),
                    ("false", false) => Ok(Node::Number(Expr::Const(0), Int::INT)),
                    ("NULL", false) => Ok(Node::Number(Expr::Const(0), Int::UNSIGNED_LONG)),
                    (name, false) => match USER_API.iter().find(|(known, _)| *known == name) {
                        Some((_, value)) => Ok(Node::Number(Expr::Const(*value), Int::INT)),
                        None => fail(format!("the name {name}")),
                    },
                }
            }
            Some(Token::Sign(sign)) => fail(format!("'{sign}' where a value is due")),
            None => fail("nothing where a value is due"),
        }
    }
}
