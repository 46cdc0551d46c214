// SPDX-License-Identifier: LGPL-2.1-or-later

//! What a `print fmt:` line becomes: pieces of text, and trees of what is to be computed.

use crate::format::{Field, Kind};

/// A C integer type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Int {
    /// Bytes: 1, 2, 4 or 8.
    pub size: usize,
    pub signed: bool,
}

impl Int {
    pub const INT: Int = Int::new(4, true);
    pub const UNSIGNED: Int = Int::new(4, false);
    pub const LONG: Int = Int::new(8, true);
    pub const UNSIGNED_LONG: Int = Int::new(8, false);
    pub const BYTE: Int = Int::new(1, false);

    pub const fn new(size: usize, signed: bool) -> Self {
        Int { size, signed }
    }

    /// What is left of a number in this type, extended to 64 bits.
    #[inline]
    pub fn wrap(self, value: i64) -> i64 {
        match (self.size, self.signed) {
            (1, true) => value as i8 as i64,
            (1, false) => value as u8 as i64,
            (2, true) => value as i16 as i64,
            (2, false) => value as u16 as i64,
            (4, true) => value as i32 as i64,
            (4, false) => value as u32 as i64,
            _ => value,
        }
    }

    /// The type in which C computes with one operand.
    pub fn promoted(self) -> Self {
        if self.size < 4 { Int::INT } else { self }
    }

    /// The type in which C computes with two operands.
    pub fn common(self, other: Self) -> Self {
        let (a, b) = (self.promoted(), other.promoted());
        let (wide, narrow) = if a.size >= b.size { (a, b) } else { (b, a) };
        Int {
            size: wide.size,
            signed: wide.signed && (narrow.signed || narrow.size < wide.size),
        }
    }
}

/// Where a field with `__data_loc` or `__rel_loc` lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Located {
    pub offset: usize,
    /// What its offset counts from.
    pub base: usize,
}

/// Bytes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bytes {
    Fixed {
        offset: usize,
        size: usize,
    },
    /// From here to the end of the event.
    Rest {
        offset: usize,
    },
    Located(Located),
    /// Without so many bytes at the beginning.
    Skip(Box<(Bytes, Expr)>),
}

impl Bytes {
    /// Those of a field.
    pub fn of(field: &Field) -> Self {
        let offset = field.offset;
        match field.kind {
            Kind::DataLoc(_) => Bytes::Located(Located { offset, base: 0 }),
            Kind::RelLoc(_) => Bytes::Located(Located {
                offset,
                base: offset.saturating_add(field.size),
            }),
            _ if field.size == 0 => Bytes::Rest { offset },
            _ => Bytes::Fixed {
                offset,
                size: field.size,
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unary {
    Minus,
    Complement,
    Not,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Multiply,
    Divide,
    Remainder,
    Add,
    Subtract,
    Left,
    Right,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
    And,
    Xor,
    Or,
    Both,
    Either,
}

/// What has a number as its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expr {
    Const(i64),
    /// A number that lies in the event.
    Load {
        offset: usize,
        ty: Int,
    },
    /// Converted to a type.
    Cast(Box<Expr>, Int),
    Unary(Unary, Box<Expr>, Int),
    /// The type is the one in which it is computed; that of the left operand for shifts.
    Binary(Binary, Box<(Expr, Expr)>, Int),
    Choose(Box<(Expr, Expr, Expr)>),
    /// An element of an array.
    Index(Box<(Bytes, Expr)>, Int),
    /// How many bytes there are.
    Length(Bytes),
    /// With the bytes in the other order, as a number of so many bytes.
    Swap(Box<Expr>, usize),
}

/// Names of numbers or of bits.
pub(super) type Table = Box<[(i64, Box<str>)]>;

/// What has text as its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    Literal(Box<str>),
    /// Up to the first NUL.
    Bytes(Bytes),
    /// A string of the kernel, of which the event has the address.
    Address(Expr),
    Choose(Box<(Expr, Text, Text)>),
    Flags {
        value: Expr,
        between: Box<str>,
        names: Table,
    },
    Symbol {
        value: Expr,
        names: Table,
    },
    Hex {
        bytes: Bytes,
        length: Expr,
        spaces: bool,
    },
    /// As many elements as there are if there is no count.
    Array {
        bytes: Bytes,
        count: Option<Expr>,
        size: usize,
    },
    Bitmask(Bytes),
    Stack(Bytes),
}

/// A width or a precision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Size {
    None,
    Fixed(usize),
    Computed(Expr),
}

/// How a value is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub left: bool,
    pub plus: bool,
    pub space: bool,
    pub alternate: bool,
    pub zero: bool,
    pub width: Size,
    pub precision: Size,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    Signed,
    Unsigned,
    Octal,
    Hex,
    UpperHex,
}

/// What the bytes behind a `%p` are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    /// `%pM`: with what is between two bytes; backwards for `%pMR`.
    Mac {
        between: Option<u8>,
        reverse: bool,
    },
    Ip4,
    /// Compressed, or in full with or without colons.
    Ip6 {
        compressed: bool,
        colons: bool,
    },
    /// A socket's address, with its port or without.
    Socket {
        port: bool,
    },
    /// Of little endian fields or not, and in upper case or not.
    Uuid {
        little: bool,
        upper: bool,
    },
    /// `%*ph`.
    Hex {
        between: Option<u8>,
    },
}

/// A piece of an event's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(Box<str>),
    /// What only the kernel knows.
    Unknown,
    Number {
        base: Base,
        /// The type that the conversion makes of it.
        ty: Int,
        value: Expr,
        layout: Option<Box<Layout>>,
    },
    Character {
        value: Expr,
        layout: Option<Box<Layout>>,
    },
    Text {
        value: Text,
        layout: Option<Box<Layout>>,
    },
    Pointer {
        value: Expr,
        layout: Option<Box<Layout>>,
    },
    /// A name for an address, with the offset from it or without.
    Symbol {
        value: Expr,
        offset: bool,
        layout: Option<Box<Layout>>,
    },
    Address {
        kind: Address,
        bytes: Bytes,
        layout: Option<Box<Layout>>,
    },
}
