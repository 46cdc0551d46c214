// SPDX-License-Identifier: LGPL-2.1-or-later

use super::proto::tests::{Read, read};
use super::*;
use crate::event::tests::data;
use crate::format::tests::format;

/// A switch, an event that Perfetto does not know, and one that nobody knows.
fn formats() -> Formats {
    let mut formats = Formats::default();
    formats.insert(format(
        "sched_switch",
        7,
        "\tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:0;\n\
         \tfield:pid_t prev_pid;\toffset:24;\tsize:4;\tsigned:1;\n\
         \tfield:int new_in_this_kernel;\toffset:28;\tsize:4;\tsigned:1;\n\
         \tfield:long prev_state;\toffset:32;\tsize:8;\tsigned:1;\n",
    ));
    formats.insert(format(
        "mine",
        8,
        "\tfield:int below;\toffset:8;\tsize:4;\tsigned:1;\n\
         \tfield:u32 above;\toffset:12;\tsize:4;\tsigned:0;\n\
         \tfield:char text[8];\toffset:16;\tsize:8;\tsigned:0;\n\
         \tfield:u16 list[2];\toffset:24;\tsize:4;\tsigned:0;\n\
         \tfield:u32 beyond;\toffset:100;\tsize:4;\tsigned:0;\n",
    ));
    formats.insert(format(
        "sys_enter",
        9,
        "\tfield:long id;\toffset:8;\tsize:8;\tsigned:1;\n\
         \tfield:unsigned long args[2];\toffset:16;\tsize:16;\tsigned:0;\n",
    ));
    formats
}

/// An event with this payload.
fn record(delta: u32, payload: &[u8]) -> Vec<u8> {
    let mut event = data(delta, payload.len() as u32 / 4, 0);
    event[4..].copy_from_slice(payload);
    event
}

/// Fields before those of the event's own.
fn common(id: u16, pid: i32) -> Vec<u8> {
    [&id.to_ne_bytes()[..], &[1, 0], &pid.to_ne_bytes()].concat()
}

fn a_page() -> Vec<u8> {
    let mut switch = common(7, 41);
    switch.extend(b"old\xff\0 rest of it");
    switch.resize(24, 0);
    switch.extend(41i32.to_ne_bytes());
    switch.extend([0; 4]);
    switch.extend((-2i64).to_ne_bytes());
    let mut mine = common(8, 42);
    mine.extend((-5i32).to_ne_bytes());
    mine.extend(0x8000_0000u32.to_ne_bytes());
    mine.extend(b"four\0\0\0\0");
    mine.extend([3u16.to_ne_bytes(), 4u16.to_ne_bytes()].as_flattened());
    let mut enter = common(9, 0);
    for n in [63u64, 1, 2] {
        enter.extend(n.to_ne_bytes());
    }
    let events = [
        record(5, &switch),
        record(6, &mine),
        record(7, &enter),
        record(8, &common(999, 43)),
    ]
    .concat();
    let commit = Commit::new(events.len(), true, false);
    let mut page = 1_000_000u64.to_ne_bytes().to_vec();
    page.extend(commit.word().to_ne_bytes());
    page.extend(events);
    page.resize(4096, 0);
    page
}

fn number(n: u64) -> Read {
    Read::Number(n)
}

fn text(text: &str) -> Read {
    Read::Bytes(text.into())
}

/// The packets of a trace: each one's first field, which is a message.
fn packets(trace: &[u8]) -> Vec<(u32, Vec<(u32, Read)>)> {
    let packets = read(trace).into_iter().map(|(field, packet)| {
        assert_eq!(field, 1);
        let mut packet = inner(&packet);
        assert_eq!(packet.pop(), Some((10, number(1))));
        let (field, message) = packet.remove(0);
        assert!(packet.is_empty());
        (field, inner(&message))
    });
    packets.collect()
}

fn inner(value: &Read) -> Vec<(u32, Read)> {
    match value {
        Read::Bytes(bytes) => read(bytes),
        Read::Number(n) => panic!("{n} is no message"),
    }
}

fn all_messages(fields: &[(u32, Read)], of: u32) -> Vec<Vec<(u32, Read)>> {
    let of = fields.iter().filter(|(field, _)| *field == of);
    of.map(|(_, value)| inner(value)).collect()
}

#[test]
fn a_trace() {
    let formats = formats();
    let mut exporter = Exporter::new(Vec::new(), &formats).unwrap();
    exporter.page(3, &a_page()).unwrap();
    exporter.events(4, Events::new(&[], 0), false).unwrap();
    let trace = exporter.finish(|tid| {
        let known = [(41, 41, "main"), (42, 40, "worker"), (40, 40, "leader")];
        let (_, tgid, name) = known.into_iter().find(|(of, ..)| *of == tid)?;
        let name = name.into();
        Some(Task { tgid, name })
    });
    let packets = packets(&trace.unwrap());
    let kinds: Vec<_> = packets.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [45, 1, 1, 2]);

    let utsname = all_messages(&packets[0].1, 1);
    assert_eq!(utsname[0][0], (1, text("Linux")));

    let bundle = &packets[1].1;
    assert_eq!(bundle[0], (1, number(3)));
    assert_eq!(bundle.last(), Some(&(3, number(1))));
    let events = all_messages(bundle, 2);
    let heads: Vec<_> = events
        .iter()
        .map(|event| &event[..event.len() - 1])
        .collect();
    let head = |time, pid| vec![(1, number(time)), (2, number(pid)), (5, number(1))];
    assert_eq!(
        heads[..3],
        [
            &head(1_000_005, 41)[..],
            &head(1_000_011, 42),
            &head(1_000_018, 0)
        ]
    );
    assert_eq!(heads[3], [(1, number(1_000_026))]);

    let bodies = events.iter().map(|event| event.last().unwrap());
    let bodies: Vec<_> = bodies.map(|(kind, body)| (*kind, inner(body))).collect();
    let minus_2 = u64::MAX - 1;
    assert_eq!(
        bodies[0],
        (
            4,
            vec![
                (1, text("old\u{fffd}")),
                (2, number(41)),
                (4, number(minus_2))
            ]
        )
    );
    assert_eq!(
        bodies[2],
        (329, vec![(1, number(63)), (2, number(1)), (2, number(2))])
    );
    let (generic, mine) = &bodies[1];
    assert_eq!((*generic, &mine[0]), (327, &(1, text("mine"))));
    let fields: Vec<_> = all_messages(mine, 2).into_iter().flatten().collect();
    let expected = [
        (1, text("below")),
        (4, number(u64::MAX - 4)),
        (1, text("above")),
        (5, number(0x8000_0000)),
        (1, text("text")),
        (3, text("four")),
        (1, text("list")),
        (3, text("[3,4]")),
    ];
    assert_eq!(fields, expected);
    assert_eq!(bodies[3], (327, vec![(1, text("event_999"))]));

    assert_eq!(packets[2].1, [(1, number(4))]);

    let tree = &packets[3].1;
    let thread = |tid, tgid, name| vec![(1, number(tid)), (3, number(tgid)), (2, text(name))];
    assert_eq!(
        all_messages(tree, 2),
        [thread(41, 41, "main"), thread(42, 40, "worker")]
    );
    let process = |pid, name| vec![(1, number(pid)), (3, text(name)), (9, number(1))];
    assert_eq!(
        all_messages(tree, 1),
        [process(40, "leader"), process(41, "main")]
    );
}

#[test]
fn what_is_no_page() {
    let formats = Formats::default();
    let mut exporter = Exporter::new(Vec::new(), &formats).unwrap();
    let mut page = a_page();
    for len in [0, 8, 15, 40] {
        let e = exporter.page(0, &page[..len]).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::InvalidData);
    }
    page[8..12].copy_from_slice(&0x3fff_ffffu32.to_ne_bytes());
    exporter.page(0, &page).unwrap_err();
    assert_eq!(packets(&exporter.finish(|_| None).unwrap()).len(), 1);
}

#[test]
fn tasks() {
    let this = Task::of_proc(std::process::id() as i32).unwrap();
    assert_eq!(this.tgid, std::process::id() as i32);
    assert_eq!(
        Task::parse("Name:\ta b\nUmask:\t0022\nTgid:\t5\nPid:\t6\n"),
        Some(Task {
            tgid: 5,
            name: "a b".into()
        })
    );
    assert_eq!(Task::parse("Name:\ta\n"), None);
    assert_eq!(Task::of_proc(-1), None);
}
