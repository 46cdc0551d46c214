// SPDX-License-Identifier: GPL-2.0

//! The arguments of a `print fmt:` line: C expressions, with the types that C gives them.

use super::eval;
use super::lex::Token;
use super::tree::{Binary, Bytes, Expr, Int, Text, Unary};
use super::types::Type;
use super::{Failure, fail};
use crate::format::{Field, Format, Inner, Kind};

/// How deep expressions may be nested.
const DEPTH: u32 = 100;
/// How many operators an argument may have, and so how deep its tree can be.
const OPERATORS: u32 = 1000;

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Number(Expr, Int),
    Text(Text),
    /// Bytes of the event, and what they are an array of.
    Bytes(Bytes, Int),
}

impl Node {
    /// As text: a number is the address of some.
    pub fn text(self) -> Text {
        match self {
            Node::Number(value, _) => Text::Address(value),
            Node::Text(text) => text,
            Node::Bytes(bytes, _) => Text::Bytes(bytes),
        }
    }

    /// As a condition: text is there.
    fn condition(self) -> Expr {
        match self {
            Node::Number(value, _) => value,
            Node::Text(_) | Node::Bytes(..) => Expr::Const(1),
        }
    }

    fn number(self) -> Result<(Expr, Int), Failure> {
        match self {
            Node::Number(value, ty) => Ok((value, ty)),
            Node::Text(_) | Node::Bytes(..) => fail("text where a number is due"),
        }
    }

    fn bytes(self) -> Result<(Bytes, Int), Failure> {
        match self {
            Node::Bytes(bytes, element) => Ok((bytes, element)),
            Node::Number(..) | Node::Text(_) => fail("no bytes where some are due"),
        }
    }
}

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

pub(super) struct Parser<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    pub format: &'a Format,
    depth: u32,
    operators: u32,
    /// The first thing that was left out because only the kernel knows it.
    pub left_out: Option<Failure>,
}

/// A tree of a constant is that constant.
fn folded(expr: Expr, constant: bool) -> Expr {
    match constant {
        true => Expr::Const(eval::number(&expr, &[])),
        false => expr,
    }
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

    /// One argument: its size is bounded by itself.
    pub fn argument(&mut self) -> Result<Node, Failure> {
        let outside = std::mem::take(&mut self.operators);
        let node = self.expression();
        self.operators = outside;
        node
    }

    /// One argument, and the names of the fields in it. If it is not understood the next one is
    /// tried all the same.
    pub fn argument_or_not(&mut self) -> (Result<Node, Failure>, Vec<&'a str>) {
        let start = self.at;
        let mut node = self.argument();
        if node.is_ok() && !matches!(self.peek(), None | Some(Token::Sign(","))) {
            node = fail("something behind an argument");
        }
        if node.is_err() {
            (self.at, self.depth) = (start, 0);
            self.skip_to(&[","]);
        }
        let used = self.tokens.get(start..self.at).unwrap_or_default();
        let fields = used.windows(3).filter_map(|words| match words {
            [before, Token::Sign("->"), Token::Name(name)]
                if matches!(before, Token::Name("REC") | Token::Sign(")")) =>
            {
                Some(*name)
            }
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

    fn operator(&mut self) -> Result<(), Failure> {
        self.operators += 1;
        match self.operators > OPERATORS {
            true => fail("an expression that is too long"),
            false => Ok(()),
        }
    }

    fn expression(&mut self) -> Result<Node, Failure> {
        self.depth += 1;
        if self.depth > DEPTH {
            return fail("an expression that is nested too deep");
        }
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
        self.depth -= 1;
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
            self.at += 1;
            self.operator()?;
            let right = self.binary(strength + 1)?;
            left = compute(*operator, left, right)?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Node, Failure> {
        self.depth += 1;
        self.operator()?;
        if self.depth > DEPTH {
            return fail("an expression that is nested too deep");
        }
        let node = self.unary_inner()?;
        self.depth -= 1;
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
                self.at += 1;
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
                self.at += 3;
                self.member()
            }
            Some(Token::Sign("(")) => {
                self.at += 1;
                let node = self.expression()?;
                self.expect(")")?;
                Ok(node)
            }
            Some(Token::Name("REC")) => {
                self.at += 1;
                self.member()
            }
            Some(Token::Name("sizeof")) => {
                self.at += 1;
                self.sizeof()
            }
            Some(Token::Name(name)) => {
                self.at += 1;
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

/// What a field is an array of.
pub(super) fn element(field: &Field) -> Int {
    let size = match field.kind {
        Kind::Array(size)
        | Kind::DataLoc(Inner::Array(size))
        | Kind::RelLoc(Inner::Array(size)) => size,
        Kind::Integer => field.size,
        _ => 1,
    };
    match size {
        1 | 2 | 4 | 8 => Int::new(size, field.signed),
        _ => Int::BYTE,
    }
}

/// The value of a field.
fn load(field: &Field) -> Node {
    match (field.kind, field.size) {
        (Kind::Integer, size @ (1 | 2 | 4 | 8)) => {
            let ty = Int::new(size, field.signed);
            let offset = field.offset;
            Node::Number(Expr::Load { offset, ty }, ty)
        }
        _ => Node::Bytes(Bytes::of(field), element(field)),
    }
}

/// An element of an array in the event.
fn index(bytes: Bytes, at: Expr, element: Int) -> Node {
    // Mostly the place is known now.
    let fixed = match (&bytes, &at) {
        (Bytes::Fixed { offset, size }, Expr::Const(at)) => usize::try_from(*at)
            .ok()
            .and_then(|at| at.checked_mul(element.size))
            .filter(|start| {
                start
                    .checked_add(element.size)
                    .is_some_and(|end| end <= *size)
            })
            .map(|start| offset + start),
        _ => None,
    };
    let expr = match fixed {
        Some(offset) => Expr::Load {
            offset,
            ty: element,
        },
        None => Expr::Index(Box::new((bytes, at)), element),
    };
    Node::Number(expr, element)
}

/// The bytes from an element on.
fn skip(bytes: Bytes, elements: Expr, element: Int) -> Bytes {
    let size = Expr::Const(element.size as i64);
    let count = Expr::Binary(Binary::Multiply, Box::new((elements, size)), Int::LONG);
    Bytes::Skip(Box::new((bytes, count)))
}

fn choose(condition: Expr, yes: Node, no: Node) -> Node {
    match (condition, yes, no) {
        (Expr::Const(0), _, no) => no,
        (Expr::Const(_), yes, _) => yes,
        (condition, Node::Number(yes, a), Node::Number(no, b)) => {
            let ty = a.common(b);
            Node::Number(Expr::Choose(Box::new((condition, yes, no))), ty)
        }
        (condition, yes, no) => {
            Node::Text(Text::Choose(Box::new((condition, yes.text(), no.text()))))
        }
    }
}

fn compute(operator: Binary, left: Node, right: Node) -> Result<Node, Failure> {
    if matches!(operator, Binary::Both | Binary::Either) {
        let operands = (left.condition(), right.condition());
        let constant = matches!(operands, (Expr::Const(_), Expr::Const(_)));
        let expr = Expr::Binary(operator, Box::new(operands), Int::INT);
        return Ok(Node::Number(folded(expr, constant), Int::INT));
    }
    if let (Binary::Add, Node::Bytes(..)) = (operator, &left) {
        let (bytes, element) = left.bytes()?;
        let (count, _) = right.number()?;
        return Ok(Node::Bytes(skip(bytes, count, element), element));
    }
    let ((left, a), (right, b)) = (left.number()?, right.number()?);
    let ty = match operator {
        Binary::Left | Binary::Right => a.promoted(),
        _ => a.common(b),
    };
    let result = match operator {
        Binary::Less
        | Binary::LessEqual
        | Binary::Greater
        | Binary::GreaterEqual
        | Binary::Equal
        | Binary::NotEqual => Int::INT,
        _ => ty,
    };
    let constant = matches!((&left, &right), (Expr::Const(_), Expr::Const(_)));
    let expr = Expr::Binary(operator, Box::new((left, right)), ty);
    Ok(Node::Number(folded(expr, constant), result))
}
