// SPDX-License-Identifier: LGPL-2.1-or-later

//! What is written is read back by a reader of its own, and by trace-cmd where there is one.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::pack::tests::STEPS;
use super::*;
use crate::event::tests::data;
use crate::format::{Format, Formats};
use crate::reader::{Loss, SubBuffer};

mod full;
mod killed;
mod parse;
mod trace_cmd;

use parse::{parse, text};

const PAGE: &str = "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\
    \tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n\
    \tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n\
    \tfield: char data;\toffset:16;\tsize:4080;\tsigned:1;\n";

const EVENT: &str = "# compressed entry header\n\ttype_len    :    5 bits\n\
    \ttime_delta  :   27 bits\n\tarray       :   32 bits\n\n\
    \tpadding     : type == 29\n\ttime_extend : type == 30\n\ttime_stamp : type == 31\n\
    \tdata max type_len  == 28\n";

/// The event with the id 7, as `event::tests::data` makes it.
const SEVEN: &str = "name: seven\nID: 7\nformat:\n\
    \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
    \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\
    \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n\
    \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
    \tfield:int number;\toffset:8;\tsize:4;\tsigned:1;\n\n\
    print fmt: \"number %d\", REC->number\n";

const CLOCKS: &str = "local [mono] boot\n";

/// A tracefs that has what a recording needs.
fn tracefs(dir: &Path) -> Tracefs {
    let put = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("trace_clock", CLOCKS);
    put("saved_cmdlines", "7 lucky\n");
    put("events/header_page", PAGE);
    put("events/header_event", EVENT);
    put(
        "events/ftrace/print/format",
        &SEVEN.replace("seven", "print").replace("7", "5"),
    );
    put("events/test/seven/format", SEVEN);
    put("events/test/filter", "none");
    put("per_cpu/cpu1/stats", "entries: 0\n");
    Tracefs::at(dir).unwrap()
}

struct Fixture {
    dir: TempDir,
    out: PathBuf,
}

impl Fixture {
    fn new() -> Self {
        Fixture::at(tempfile::tempdir().unwrap())
    }

    fn at(dir: TempDir) -> Self {
        tracefs(&dir.path().join("tracefs"));
        let symbols = "ffffffff81000000 T _stext\n";
        fs::write(dir.path().join("kallsyms"), symbols).unwrap();
        let out = dir.path().join("out.dat");
        Fixture { dir, out }
    }

    fn try_create(&self, subbuf: usize, settings: &Settings) -> Result<Recording> {
        let tracefs = Tracefs::at(self.dir.path().join("tracefs")).unwrap();
        let instance = tracefs.instance(None).unwrap();
        let settings = Settings {
            kallsyms: Some(self.dir.path().join("kallsyms")),
            ..settings.clone()
        };
        Recording::create(&self.out, &tracefs, &instance, subbuf, &settings)
    }

    fn create(&self, subbuf: usize, version: Version) -> Recording {
        let settings = Settings {
            version,
            ..Settings::default()
        };
        self.try_create(subbuf, &settings).unwrap()
    }

    /// The names of all files beside the recording.
    fn files(&self) -> Vec<String> {
        let list = fs::read_dir(self.dir.path()).unwrap();
        let mut list: Vec<_> = list
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("out"))
            .collect();
        list.sort();
        list
    }

    /// trace-cmd, on this file; nothing where there is none.
    fn trace_cmd(&self, args: &[&str]) -> Option<String> {
        let said = trace_cmd(Command::new("trace-cmd").args(args).current_dir(&self.dir))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(said.status.success(), "{args:?}: {}", text(&said.stderr));
        Some(text(&said.stdout))
    }
}

fn trace_cmd(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(said) => Some(said),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            eprintln!("not compared with trace-cmd: it is not installed");
            None
        }
        Err(e) => panic!("trace-cmd: {e}"),
    }
}

fn versions() -> Vec<Version> {
    vec![
        Version::V6,
        Version::V7(Compression::None),
        #[cfg(feature = "zstd")]
        Version::V7(Compression::Zstd),
    ]
}

fn page(page: &SubBuffer<'_>, size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let len = write_page(&mut out, page, &vec![0; size]).unwrap();
    assert_eq!(len, out.len() as u64);
    out
}

/// Records pages: for each CPU the number of events on each, and of those lost before it. Returns
/// what each CPU's data should be.
type Pages = BTreeMap<u32, Vec<(u32, Option<Loss>)>>;

fn record(recording: &mut Recording, pages: &Pages, subbuf: usize) -> BTreeMap<u32, Vec<u8>> {
    let mut number = 0;
    let mut all = BTreeMap::new();
    for (cpu, pages) in pages {
        let mut sink = recording.sink(*cpu).unwrap();
        let mut expected = Vec::new();
        for (events, loss) in pages {
            let mut bytes = Vec::new();
            for _ in 0..*events {
                number += 1;
                let mut event = data(10, 3, 7);
                event[12..16].copy_from_slice(&u32::to_ne_bytes(number));
                bytes.extend(event);
            }
            let sub = SubBuffer::fake(&bytes, 1000 * u64::from(number), *loss);
            sink(&sub).unwrap();
            expected.extend(page(&sub, subbuf));
        }
        all.insert(*cpu, expected);
    }
    all
}

/// Two CPUs that are not neighbours, with losses of both kinds.
fn some_pages() -> Pages {
    BTreeMap::from([
        (
            1,
            vec![
                (3, None),
                (2, Some(Loss::Known(5))),
                (1, Some(Loss::Unknown)),
            ],
        ),
        (3, vec![(4, None); 3]),
    ])
}

#[test]
fn a_recording() {
    for version in versions() {
        let fixture = Fixture::new();
        let mut recording = fixture.create(4096, version);
        let expected = record(&mut recording, &some_pages(), 4096);
        assert_eq!(fixture.files(), ["out.dat", "out.dat.cpu1", "out.dat.cpu3"]);
        // The names at the end are those that count.
        let names = fixture.dir.path().join("tracefs/saved_cmdlines");
        recording.check().unwrap();
        fs::write(names, "7 seven\n").unwrap();
        let size = recording.finish().unwrap();

        assert_eq!(fixture.files(), ["out.dat"]);
        let found = fs::metadata(&fixture.out).unwrap();
        assert_eq!(found.len(), size);
        // What was reserved is free again.
        assert!(
            found.blocks() * 512 < size + RESERVE / 2,
            "{} blocks",
            found.blocks()
        );
        let parsed = parse(&fixture.out, 4096);
        assert_eq!(parsed.cpus, expected, "{version:?}");
        assert_eq!(parsed.cmdlines, b"7 seven\n");
        let option = |id| parsed.options.iter().find(|(this, _)| *this == id).unwrap();
        assert_eq!(text(&option(4).1), CLOCKS.as_bytes());
        // There are no statistics of CPU 3.
        assert_eq!(parsed.options.iter().filter(|(id, _)| *id == 2).count(), 1);
        assert_eq!(text(&option(2).1), b"CPU: 1\nentries: 0\n");
        if version == Version::V6 {
            assert_eq!(parsed.clock, CLOCKS.as_bytes());
        } else {
            assert_eq!(
                (&parsed.clock[..], &parsed.instance[..]),
                (&b"mono"[..], &b""[..])
            );
            assert!(text(&option(5).1).starts_with(b"Linux "));
            assert_eq!(option(8).1, 4u32.to_ne_bytes());
        }
    }
}

#[test]
fn a_file_that_cannot_be_written() {
    let mut fixture = Fixture::new();
    fixture.out = "/nonexistent/file".into();
    let e = fixture.try_create(4096, &Settings::default()).unwrap_err();
    assert!(matches!(e, Error::Output { .. }), "{e}");
    fixture.out = "/dev/null".into();
    for overwrite in [Overwrite::Refuse, Overwrite::Replace] {
        let settings = Settings {
            overwrite,
            ..Settings::default()
        };
        let e = fixture.try_create(4096, &settings).unwrap_err();
        assert!(e.to_string().contains("no regular file"), "{e}");
    }
}

/// No tracefs to speak of: found by check(), and by finish().
#[test]
fn a_beginning_that_cannot_be_read() {
    let fixture = Fixture::new();
    fs::remove_dir_all(fixture.dir.path().join("tracefs/events")).unwrap();
    let mut recording = fixture.create(4096, Version::V6);
    recording.check().unwrap_err();
    recording.check().unwrap_err();
    recording.finish().unwrap_err();
    fs::remove_file(&fixture.out).unwrap();
    let mut recording = fixture.create(4096, Version::V6);
    drop(recording.sink(0).unwrap());
    recording.discard().unwrap();
    assert!(fixture.files().is_empty());
}

#[test]
fn what_is_there_stays_unless_it_is_to_be_replaced() {
    let fixture = Fixture::new();
    let replace = Settings {
        overwrite: Overwrite::Replace,
        ..Settings::default()
    };
    let refuse = Settings::default();

    fs::write(&fixture.out, "dear").unwrap();
    let e = fixture.try_create(4096, &refuse).unwrap_err();
    assert!(matches!(e, Error::Exists(_)), "{e}");
    assert_eq!(fs::read(&fixture.out).unwrap(), b"dear");
    let recording = fixture.try_create(4096, &replace).unwrap();
    // Not under the hands of who is recording it.
    for settings in [&refuse, &replace] {
        fixture.try_create(4096, settings).unwrap_err();
    }
    let e = fixture.try_create(4096, &replace).unwrap_err();
    assert!(matches!(e, Error::Recording(_)), "{e}");
    let e = restore(&fixture.out).unwrap_err();
    assert!(matches!(e, Error::Recording(_)), "{e}");
    recording.finish().unwrap();

    fs::remove_file(&fixture.out).unwrap();
    let rest = fixture.dir.path().join("out.dat.cpu12");
    fs::write(&rest, "dear").unwrap();
    fs::write(fixture.dir.path().join("out.dat.cpux"), "none of ours").unwrap();
    let e = fixture.try_create(4096, &refuse).unwrap_err();
    assert!(matches!(e, Error::Unfinished(_)), "{e}");
    assert_eq!(fixture.files().len(), 2);
    fixture.try_create(4096, &replace).unwrap();
    assert_eq!(fixture.files(), ["out.dat", "out.dat.cpux"]);
}

#[test]
fn figures() {
    let fixture = Fixture::new();
    let mut recording = fixture.create(4096, Version::V6);
    record(&mut recording, &some_pages(), 4096);
    let cpu = Progress {
        events: 5,
        bytes: 100,
        lost: 2,
        unknown_losses: 1,
        ..Progress::default()
    };
    let figures = recording.figures(&[(0, cpu), (1, cpu)]).unwrap();
    assert_eq!((figures.events, figures.lost), (10, 4));
    assert_eq!((figures.bytes, figures.unknown_losses), (6 * 4096, 2));
    assert!(figures.disk_free > 0);
}

#[test]
fn the_end_says_how_far_it_is() {
    let pages = BTreeMap::from([(0, vec![(1, None); 600]), (1, vec![(1, None)])]);
    for version in versions() {
        let fixture = Fixture::new();
        let mut recording = fixture.create(4096, version);
        record(&mut recording, &pages, 4096);
        let mut said = Vec::new();
        recording
            .finish_with(|done, total| said.push((done, total)))
            .unwrap();
        assert!(said.len() > 3 && said.is_sorted(), "{said:?}");
        assert_eq!(said.last(), Some(&(601 * 4096, 601 * 4096)));
    }
}

#[test]
fn a_perfetto_trace_besides() {
    let fixture = Fixture::new();
    let mut recording = fixture.create(4096, Version::default());
    let expected = record(&mut recording, &some_pages(), 4096);
    let mut formats = Formats::default();
    formats.insert(Format::parse("test", SEVEN).unwrap());
    let path = fixture.dir.path().join("out.perfetto");
    let export = |overwrite| recording.perfetto(&path, &formats, overwrite);
    let size = export(Overwrite::Refuse).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), size);
    let e = export(Overwrite::Refuse).unwrap_err();
    assert!(matches!(e, Error::Exists(_)), "{e}");
    assert_eq!(export(Overwrite::Replace).unwrap(), size);
    let trace = fs::read(&path).unwrap();
    let names = trace.windows(7).filter(|at| at == b"\x0a\x05seven");
    assert_eq!(names.count(), 18);

    recording.finish().unwrap();
    assert_eq!(parse(&fixture.out, 4096).cpus, expected);
}

/// What looks like the data of a CPU may be a link to what is dear to somebody.
#[test]
fn links_are_not_followed() {
    let fixture = Fixture::new();
    let dear = fixture.dir.path().join("dear");
    fs::write(&dear, [1; 8192]).unwrap();
    let mut recording = fixture.create(4096, Version::default());
    recording.check().unwrap();
    std::os::unix::fs::symlink(&dear, cpu_path(&fixture.out, 0)).unwrap();
    let e = recording.sink(0).err().unwrap();
    assert!(matches!(e, Error::Exists(_)), "{e}");
    drop(recording);
    restore(&fixture.out).unwrap_err();
    assert_eq!(fs::read(&dear).unwrap(), [1; 8192]);
    let replace = Settings {
        overwrite: Overwrite::Replace,
        ..Settings::default()
    };
    fixture.try_create(4096, &replace).unwrap();
    assert!(dear.exists() && !cpu_path(&fixture.out, 0).exists());
}

#[test]
fn nothing_to_restore() {
    let fixture = Fixture::new();
    restore(&fixture.out).unwrap_err();
    for contents in [
        &b""[..],
        b"text",
        b"\x17\x08\x44tracing8\0\0\x08\0\x10\0\0",
        b"\x17\x08\x44tracing6\0\0\x08\0\x10\0\0",
        b"\x17\x08\x44tracing6\0\0\x08\0\0\0\0",
        b"\x17\x08\x44tracing6\0\x07\x08\0\x10\0\0",
        b"\x17\x08\x44tracing7\0\0\x08\0\x10\0\0none\0\0\0\0\0\0\0\0\0\0",
        b"\x17\x08\x44tracing7\0\0\x08\0\x10\0\0lzo\0\0\0\0\0\0\0\0\0\0",
    ] {
        fs::write(&fixture.out, contents).unwrap();
        let e = restore(&fixture.out).unwrap_err();
        assert!(matches!(e, Error::Parse { .. }), "{e}");
    }
}

/// The space is not needed twice.
#[test]
fn what_was_moved_is_freed() {
    let fixture = Fixture::new();
    let mut recording = fixture.create(4096, Version::V7(Compression::None));
    let pages = BTreeMap::from([(0, vec![(1, None); 1024])]);
    record(&mut recording, &pages, 4096);
    let cpu = File::open(cpu_path(&fixture.out, 0)).unwrap();
    let before = cpu.metadata().unwrap().blocks();
    recording.finish().unwrap();
    let after = cpu.metadata().unwrap().blocks();
    let punches = fallocate(
        File::create(fixture.dir.path().join("probe")).unwrap(),
        FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
        0,
        4096,
    );
    match punches {
        Ok(()) => assert!(after * 10 < before, "{before} blocks, then {after}"),
        Err(e) => eprintln!("not tested: this file system cannot punch holes: {e}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_was_recorded(
        pages in prop::collection::btree_map(
            0u32..9,
            prop::collection::vec((0u32..99, prop::option::of(1u64..1000)), 0..20),
            0..4,
        ),
        order in 0u32..3,
        version in 0..versions().len(),
        kill in prop::option::of(0usize..20),
    ) {
        let subbuf = 4096 << order;
        let known = |(events, loss): (u32, Option<u64>)| (events, loss.map(Loss::Known));
        let pages: Pages = pages
            .into_iter()
            .map(|(cpu, pages)| (cpu, pages.into_iter().map(known).collect()))
            .collect();
        let fixture = Fixture::new();
        let mut recording = fixture.create(subbuf, versions()[version]);
        let expected = record(&mut recording, &pages, subbuf);
        recording.check().unwrap();
        STEPS.set(kill.unwrap_or(usize::MAX));
        let finished = recording.finish();
        STEPS.set(usize::MAX);
        if finished.is_err() {
            prop_assert!(kill.is_some());
            restore(&fixture.out).unwrap();
        }
        let mut parsed = parse(&fixture.out, subbuf);
        // Version 6 cannot tell a CPU without data from one that was not recorded.
        parsed.cpus.retain(|cpu, data| expected.contains_key(cpu) || !data.is_empty());
        prop_assert_eq!(&parsed.cpus, &expected);
        prop_assert_eq!(fixture.files(), ["out.dat"]);
    }
}
#[test]
fn pages() {
    let bytes = data(1, 2, 7);
    let expected = |commit: u64, stored: &[u8]| {
        let mut page = [
            &9u64.to_ne_bytes(),
            &commit.to_ne_bytes(),
            &bytes[..],
            stored,
        ]
        .concat();
        page.resize(64, 0);
        page
    };
    let lost = |loss| page(&SubBuffer::fake(&bytes, 9, loss), 64);
    assert_eq!(lost(None), expected(12, &[]));
    assert_eq!(lost(Some(Loss::Unknown)), expected(12 | 1 << 31, &[]));
    assert_eq!(
        lost(Some(Loss::Known(5))),
        expected(12 | 3 << 30, &5u64.to_ne_bytes())
    );
    // Without room for the number the flag has to do.
    let full = page(&SubBuffer::fake(&bytes, 9, Some(Loss::Known(5))), 32);
    assert_eq!(full.len(), 32);
    assert_eq!(full[8..16], (12u64 | 1 << 31).to_ne_bytes());
    assert!(page(&SubBuffer::fake(&[], 9, None), 64).is_empty());
}

/// Accepts a few bytes at a time.
struct Slow(Vec<u8>);

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(5);
        self.0.extend(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn short_writes() {
    let bytes = data(1, 2, 7);
    let sub = SubBuffer::fake(&bytes, 9, Some(Loss::Known(5)));
    let mut slow = Slow(Vec::new());
    write_page(&mut slow, &sub, &[0; 64]).unwrap();
    assert_eq!(slow.0, page(&sub, 64));
}
