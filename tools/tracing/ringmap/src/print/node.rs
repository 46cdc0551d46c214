// SPDX-License-Identifier: LGPL-2.1-or-later

//! Puts the trees of expressions together, with the types that C gives them.

use super::tree::{Binary, Bytes, Expr, Int, Text};
use super::{Failure, eval, fail};
use crate::format::{Field, Inner, Kind};

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
    pub fn condition(self) -> Expr {
        match self {
            Node::Number(value, _) => value,
            Node::Text(_) | Node::Bytes(..) => Expr::Const(1),
        }
    }

    pub fn number(self) -> Result<(Expr, Int), Failure> {
        match self {
            Node::Number(value, ty) => Ok((value, ty)),
            Node::Text(_) | Node::Bytes(..) => fail("text where a number is due"),
        }
    }

    pub fn bytes(self) -> Result<(Bytes, Int), Failure> {
        match self {
            Node::Bytes(bytes, element) => Ok((bytes, element)),
            Node::Number(..) | Node::Text(_) => fail("no bytes where some are due"),
        }
    }
}

/// A tree of a constant is that constant.
pub(super) fn folded(expr: Expr, constant: bool) -> Expr {
    match constant {
        true => Expr::Const(eval::number(&expr, &[])),
        false => expr,
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
pub(super) fn load(field: &Field) -> Node {
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
pub(super) fn index(bytes: Bytes, at: Expr, element: Int) -> Node {
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
pub(super) fn skip(bytes: Bytes, elements: Expr, element: Int) -> Bytes {
    let size = Expr::Const(element.size as i64);
    let count = Expr::Binary(Binary::Multiply, Box::new((elements, size)), Int::LONG);
    Bytes::Skip(Box::new((bytes, count)))
}

pub(super) fn choose(condition: Expr, yes: Node, no: Node) -> Node {
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

pub(super) fn compute(operator: Binary, left: Node, right: Node) -> Result<Node, Failure> {
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
