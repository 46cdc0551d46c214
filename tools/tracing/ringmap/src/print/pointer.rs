// SPDX-License-Identifier: LGPL-2.1-or-later

//! What the kernel's `%p` does beyond addresses: symbols, hardware and network addresses, UUIDs.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::layout;
use super::tree::Address;

/// What a `%p` wants.
pub(super) enum Kind {
    /// An address, as a number.
    Plain,
    /// An address, as a name.
    Symbol { offset: bool },
    /// Bytes.
    Bytes(Address),
}

/// The longest match first.
const KINDS: &[(&str, Kind)] = &[
    ("SR", Kind::Symbol { offset: true }),
    ("S", Kind::Symbol { offset: true }),
    ("s", Kind::Symbol { offset: false }),
    ("F", Kind::Symbol { offset: true }),
    ("f", Kind::Symbol { offset: false }),
    ("B", Kind::Symbol { offset: true }),
    ("x", Kind::Plain),
    ("K", Kind::Plain),
    ("MR", mac(Some(b':'), true)),
    ("MF", mac(Some(b'-'), false)),
    ("M", mac(Some(b':'), false)),
    ("mR", mac(None, true)),
    ("m", mac(None, false)),
    ("I4", Kind::Bytes(Address::Ip4)),
    ("i4", Kind::Bytes(Address::Ip4)),
    ("I6c", ip6(true, true)),
    ("I6", ip6(false, true)),
    ("i6", ip6(false, false)),
    ("ISpc", Kind::Bytes(Address::Socket { port: true })),
    ("ISc", Kind::Bytes(Address::Socket { port: false })),
    ("ISp", Kind::Bytes(Address::Socket { port: true })),
    ("IS", Kind::Bytes(Address::Socket { port: false })),
    ("UL", uuid(true, true)),
    ("Ul", uuid(true, false)),
    ("UB", uuid(false, true)),
    ("Ub", uuid(false, false)),
    ("U", uuid(false, false)),
    (
        "hC",
        Kind::Bytes(Address::Hex {
            between: Some(b':'),
        }),
    ),
    (
        "hD",
        Kind::Bytes(Address::Hex {
            between: Some(b'-'),
        }),
    ),
    ("hN", Kind::Bytes(Address::Hex { between: None })),
    (
        "h",
        Kind::Bytes(Address::Hex {
            between: Some(b' '),
        }),
    ),
];

const fn mac(between: Option<u8>, reverse: bool) -> Kind {
    Kind::Bytes(Address::Mac { between, reverse })
}

const fn ip6(compressed: bool, colons: bool) -> Kind {
    Kind::Bytes(Address::Ip6 { compressed, colons })
}

const fn uuid(little: bool, upper: bool) -> Kind {
    Kind::Bytes(Address::Uuid { little, upper })
}

/// What stands behind `%p`, and how long it is. All letters there belong to it, as in the kernel,
/// even those that say nothing.
pub(super) fn kind(text: &str) -> Option<(&'static Kind, usize)> {
    let letters = text.bytes().take_while(u8::is_ascii_alphanumeric).count();
    if letters == 0 {
        return Some((&Kind::Plain, 0));
    }
    let text = &text[..letters];
    let (_, kind) = KINDS.iter().find(|(name, _)| text.starts_with(name))?;
    Some((kind, letters))
}

/// A part of the bytes, if there are so many.
fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Writes what the bytes are, or `?` if they are too few.
pub(super) fn write(kind: Address, bytes: &[u8], out: &mut Vec<u8>) {
    if try_write(kind, bytes, out).is_none() {
        out.push(b'?');
    }
}

fn try_write(kind: Address, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match kind {
        Address::Mac { between, reverse } => {
            let mut address: [u8; 6] = array(bytes, 0)?;
            if reverse {
                address.reverse();
            }
            layout::hex_bytes(&address, between, out);
        }
        Address::Ip4 => ip4(array(bytes, 0)?, out),
        Address::Ip6 { compressed, colons } => {
            let address: [u8; 16] = array(bytes, 0)?;
            if compressed {
                show(Ipv6Addr::from(address), out);
            } else {
                for (n, pair) in address.chunks_exact(2).enumerate() {
                    if n > 0 && colons {
                        out.push(b':');
                    }
                    layout::hex_bytes(pair, None, out);
                }
            }
        }
        Address::Socket { port } => socket(bytes, port, out)?,
        Address::Uuid { little, upper } => {
            let mut id: [u8; 16] = array(bytes, 0)?;
            if little {
                id[0..4].reverse();
                id[4..6].reverse();
                id[6..8].reverse();
            }
            let start = out.len();
            for (n, part) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
                if n > 0 {
                    out.push(b'-');
                }
                layout::hex_bytes(&id[part], None, out);
            }
            if upper {
                out[start..].make_ascii_uppercase();
            }
        }
        Address::Hex { between } => layout::hex_bytes(bytes, between, out),
    }
    Some(())
}

fn ip4(address: [u8; 4], out: &mut Vec<u8>) {
    show(Ipv4Addr::from(address), out);
}

fn show(what: impl std::fmt::Display, out: &mut Vec<u8>) {
    // A Vec takes everything.
    let _ = write!(out, "{what}");
}

/// A `struct sockaddr`.
fn socket(bytes: &[u8], with_port: bool, out: &mut Vec<u8>) -> Option<()> {
    const INET: u16 = 2;
    const INET6: u16 = 10;
    let family = u16::from_ne_bytes(array(bytes, 0)?);
    let port = u16::from_be_bytes(array(bytes, 2)?);
    match family {
        INET => ip4(array(bytes, 4)?, out),
        INET6 => {
            let address = Ipv6Addr::from(array::<16>(bytes, 8)?);
            match with_port {
                true => show(format_args!("[{address}]"), out),
                false => show(address, out),
            }
        }
        _ => return None,
    }
    if with_port {
        show(format_args!(":{port}"), out);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(letters: &str, bytes: &[u8]) -> String {
        let Some((Kind::Bytes(kind), _)) = kind(letters) else {
            panic!("{letters}");
        };
        let mut out = Vec::new();
        write(*kind, bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn addresses() {
        let bytes: Vec<u8> = (1..=16).collect();
        assert_eq!(shown("M", &bytes), "01:02:03:04:05:06");
        assert_eq!(shown("mR", &bytes), "060504030201");
        assert_eq!(shown("I4", &bytes), "1.2.3.4");
        assert_eq!(
            shown("I6", &bytes),
            "0102:0304:0506:0708:090a:0b0c:0d0e:0f10"
        );
        assert_eq!(shown("I6c", &[0; 16]), "::");
        assert_eq!(shown("Ub", &bytes), "01020304-0506-0708-090a-0b0c0d0e0f10");
        assert_eq!(shown("UL", &bytes), "04030201-0605-0807-090A-0B0C0D0E0F10");
        assert_eq!(shown("M", &bytes[..5]), "?");
    }

    #[test]
    fn sockets() {
        let inet = [&2u16.to_ne_bytes()[..], &[0, 80, 127, 0, 0, 1]].concat();
        assert_eq!(shown("ISpc", &inet), "127.0.0.1:80");
        assert_eq!(shown("IS", &inet), "127.0.0.1");
        let mut inet6 = [&10u16.to_ne_bytes()[..], &[0, 80, 0, 0, 0, 0], &[0; 16]].concat();
        inet6[23] = 1;
        assert_eq!(shown("ISpc", &inet6), "[::1]:80");
        assert_eq!(shown("ISpc", &inet6[..20]), "?");
        assert_eq!(shown("ISpc", &[1, 0, 0, 0, 0]), "?");
    }

    #[test]
    fn what_is_not_known() {
        assert!(kind("zz").is_none());
        assert!(matches!(kind(" x"), Some((Kind::Plain, 0))));
        assert!(matches!(
            kind("S)"),
            Some((Kind::Symbol { offset: true }, 1))
        ));
    }
}
