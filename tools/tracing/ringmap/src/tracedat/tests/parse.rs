// SPDX-License-Identifier: LGPL-2.1-or-later

//! Reads what was written, by itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::SEVEN;
use crate::tracedat::bytes::Scan;

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub cpus: BTreeMap<u32, Vec<u8>>,
    pub cmdlines: Vec<u8>,
    pub clock: Vec<u8>,
    pub instance: Vec<u8>,
    /// Options by their number.
    pub options: Vec<(u16, Vec<u8>)>,
}

pub(super) fn text(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(&[0]).unwrap()
}

fn parse_6(file: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    let mut scan = Scan::new(file, 18);
    for name in [&b"header_page"[..], b"header_event"] {
        assert_eq!(scan.string().unwrap(), name);
        scan.sized64().unwrap();
    }
    // One of ftrace, one system with one event.
    assert_eq!(scan.u32(), Some(1));
    assert!(scan.sized64().unwrap().starts_with(b"name: print\n"));
    assert_eq!(scan.u32(), Some(1));
    assert_eq!(scan.string(), Some(&b"test"[..]));
    assert_eq!(scan.u32(), Some(1));
    assert_eq!(scan.sized64(), Some(SEVEN.as_bytes()));
    assert!(scan.sized32().unwrap().ends_with(b" T _stext\n"));
    assert_eq!(scan.sized32(), Some(&b""[..]));
    parsed.cmdlines = scan.sized64().unwrap().to_vec();
    let cpus = scan.u32().unwrap();
    assert_eq!(scan.take(10), Some(&b"options  \0"[..]));
    loop {
        let id = scan.u16().unwrap();
        if id == 0 {
            break;
        }
        parsed.options.push((id, scan.sized32().unwrap().to_vec()));
    }
    assert_eq!(scan.take(10), Some(&b"flyrecord\0"[..]));
    for cpu in 0..cpus {
        let (at, size) = (scan.u64().unwrap(), scan.u64().unwrap());
        if at > 0 {
            let data = &file[at as usize..(at + size) as usize];
            parsed.cpus.insert(cpu, data.to_vec());
        }
    }
    parsed.clock = scan.sized64().unwrap().to_vec();
    parsed
}

#[cfg(feature = "zstd")]
fn unzip(data: &[u8], len: u32) -> Vec<u8> {
    let data = zstd::bulk::decompress(data, len as usize).unwrap();
    assert_eq!(data.len(), len as usize);
    data
}

#[cfg(not(feature = "zstd"))]
fn unzip(_: &[u8], _: u32) -> Vec<u8> {
    unreachable!("compressed without zstd");
}

/// The id of the section at a place, whether it is compressed, and what is in it.
fn section(file: &[u8], at: u64) -> (u16, bool, Vec<u8>) {
    let mut scan = Scan::new(file, at as usize);
    let (id, flags) = (scan.u16().unwrap(), scan.u16().unwrap());
    scan.u32().unwrap();
    let size = scan.u64().unwrap() as usize;
    if flags == 0 || id == 3 {
        return (id, flags == 1, scan.take(size).unwrap().to_vec());
    }
    let (small, len) = (scan.u32().unwrap(), scan.u32().unwrap());
    assert_eq!(small as usize + 8, size);
    (id, true, unzip(scan.take(small as usize).unwrap(), len))
}

fn chunks(file: &[u8], at: u64, size: u64) -> Vec<u8> {
    let mut scan = Scan::new(file, at as usize);
    let mut data = Vec::new();
    for _ in 0..scan.u32().unwrap() {
        let (small, len) = (scan.u32().unwrap(), scan.u32().unwrap());
        data.extend(unzip(scan.take(small as usize).unwrap(), len));
    }
    assert_eq!(scan.at as u64, at + size);
    data
}

fn parse_7(file: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    let mut scan = Scan::new(file, 18);
    let zip = scan.string().unwrap();
    let version = scan.string().unwrap();
    assert_eq!((zip == b"none"), version.is_empty());
    let mut next = scan.u64().unwrap();
    let mut seen = Vec::new();
    while next != 0 {
        let (id, _, options) = section(file, next);
        assert_eq!(id, 0);
        let mut scan = Scan::new(&options, 0);
        loop {
            let (id, data) = scan.option().unwrap();
            parsed.options.push((id, data.to_vec()));
            let mut data = Scan::new(data, 0);
            match id {
                0 => {
                    next = data.u64().unwrap();
                    break;
                }
                16..=21 => {
                    let (same, zipped, bytes) = section(file, data.u64().unwrap());
                    assert_eq!(same, id);
                    assert_eq!(zipped, zip != b"none");
                    seen.push(id);
                    match id {
                        18 => assert!(bytes.ends_with(SEVEN.as_bytes())),
                        21 => parsed.cmdlines = Scan::new(&bytes, 0).sized64().unwrap().to_vec(),
                        _ => {}
                    }
                }
                3 => {
                    let (id, zipped, _) = section(file, data.u64().unwrap());
                    assert_eq!((id, zipped), (3, zip != b"none"));
                    parsed.instance = data.string().unwrap().to_vec();
                    parsed.clock = data.string().unwrap().to_vec();
                    let subbuf = u64::from(data.u32().unwrap());
                    for _ in 0..data.u32().unwrap() {
                        let cpu = data.u32().unwrap();
                        let (at, size) = (data.u64().unwrap(), data.u64().unwrap());
                        assert_eq!(at % subbuf, 0);
                        let bytes = match zipped {
                            true => chunks(file, at, size),
                            false => file[at as usize..(at + size) as usize].to_vec(),
                        };
                        assert!(parsed.cpus.insert(cpu, bytes).is_none());
                    }
                }
                _ => {}
            }
        }
    }
    assert_eq!(seen, [16, 17, 18, 19, 20, 21]);
    parsed
}

/// Reads a file of either version.
pub(super) fn parse(path: &Path, subbuf: usize) -> Parsed {
    let file = fs::read(path).unwrap();
    assert_eq!(&file[..10], b"\x17\x08\x44tracing");
    assert_eq!(file[12], u8::from(cfg!(target_endian = "big")));
    assert_eq!(file[13], 8);
    assert_eq!(file[14..18], (subbuf as u32).to_ne_bytes());
    match &file[10..12] {
        b"6\0" => parse_6(&file),
        b"7\0" => parse_7(&file),
        version => panic!("{version:?}"),
    }
}
