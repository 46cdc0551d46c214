// SPDX-License-Identifier: GPL-2.0

//! What is written is read back by a reader of its own, and by trace-cmd where there is one.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Output};

use proptest::prelude::*;
use tempfile::TempDir;

use super::bytes::Scan;
use super::pack::tests::STEPS;
use super::*;
use crate::event::tests::data;
use crate::format::{Format, Formats};
use crate::reader::{Loss, SubBuffer};

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

/// What a file says.
#[derive(Debug, Default)]
struct Parsed {
    cpus: BTreeMap<u32, Vec<u8>>,
    cmdlines: Vec<u8>,
    clock: Vec<u8>,
    instance: Vec<u8>,
    /// Options by their number.
    options: Vec<(u16, Vec<u8>)>,
}

fn text(bytes: &[u8]) -> &[u8] {
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
fn parse(path: &Path, subbuf: usize) -> Parsed {
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
        let len = fs::metadata(&fixture.out).unwrap().len();
        assert_eq!(len, size);
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
    };
    let figures = recording.figures(&[(0, cpu), (1, cpu)]).unwrap();
    assert_eq!((figures.events, figures.lost), (10, 4));
    assert_eq!((figures.bytes, figures.unknown_losses), (6 * 4096, 2));
    assert!(figures.disk_free > 0);
}

/// What trace-cmd shows of each event, and of each loss: the CPU, and what it is.
fn shown(report: &str) -> Vec<String> {
    let lines = report.lines().filter(|line| !line.starts_with("cpus="));
    lines.map(str::to_owned).collect()
}

#[test]
fn trace_cmd_reads_it() {
    for version in versions() {
        let fixture = Fixture::new();
        let mut recording = fixture.create(4096, version);
        record(&mut recording, &some_pages(), 4096);
        recording.finish().unwrap();
        let Some(report) = fixture.trace_cmd(&["report", "out.dat"]) else {
            return;
        };
        let lines = shown(&report);
        assert_eq!(lines.len(), 6 + 12 + 2, "{report}");
        for n in 1..=18 {
            let event = lines
                .iter()
                .find(|line| line.ends_with(&format!("number {n}")));
            let event = event.unwrap_or_else(|| panic!("no {n}: {report}"));
            let cpu = if n <= 6 { "[001]" } else { "[003]" };
            assert!(event.contains("lucky-7") && event.contains(cpu), "{report}");
        }
        assert!(report.contains("CPU:1 [5 EVENTS DROPPED]"), "{report}");
        assert!(report.contains("CPU:1 [EVENTS DROPPED]"), "{report}");

        let summary = fixture
            .trace_cmd(&["dump", "--summary", "-i", "out.dat"])
            .unwrap();
        for what in [
            "[Little endian]",
            "8\t[Bytes in a long]",
            "4096\t[Page size",
        ] {
            assert!(summary.contains(what), "{what}: {summary}");
        }
        if version != Version::V6 {
            let clock = "[buffer \"\", \"mono\" clock, 4096 page size, 2 cpus";
            assert!(summary.contains(clock), "{summary}");
            let data = fixture
                .trace_cmd(&["dump", "--flyrecord", "-i", "out.dat"])
                .unwrap();
            assert!(data.contains("\"buffer flyrecord\""), "{data}");
            let options = fixture
                .trace_cmd(&["dump", "--options", "-i", "out.dat"])
                .unwrap();
            assert!(options.contains(": \"options\""), "{options}");
            assert!(!options.contains("Unknown"), "{options}");
        }
        fixture.trace_cmd(&["dump", "-v", "-i", "out.dat"]).unwrap();
    }
}

/// The instance has a name in the file; larger sub-buffers; a CPU without data.
#[test]
fn trace_cmd_reads_what_is_unusual() {
    for version in versions() {
        let fixture = Fixture::new();
        let settings = Settings {
            version,
            instance: "mine".into(),
            ..Settings::default()
        };
        let mut recording = fixture.try_create(16384, &settings).unwrap();
        let pages = BTreeMap::from([(0, vec![]), (1, vec![(900, None), (700, None)])]);
        record(&mut recording, &pages, 16384);
        recording.finish().unwrap();
        let Some(report) = fixture.trace_cmd(&["report", "out.dat"]) else {
            return;
        };
        let events: Vec<_> = report
            .lines()
            .filter(|line| line.contains("number "))
            .collect();
        assert_eq!(events.len(), 1600);
        let named = version != Version::V6;
        assert!(
            events.iter().all(|line| line.contains("mine:") == named),
            "{report}"
        );

        let fixture = Fixture::new();
        fixture.create(4096, version).finish().unwrap();
        fixture.trace_cmd(&["report", "out.dat"]).unwrap();
    }
}

/// What is there before the end is what trace-cmd restores from.
#[test]
fn trace_cmd_restores_it() {
    for version in versions() {
        let fixture = Fixture::new();
        let mut recording = fixture.create(4096, version);
        let pages = BTreeMap::from([(0, vec![(3, None)]), (1, vec![(2, None)])]);
        record(&mut recording, &pages, 4096);
        recording.check().unwrap();
        drop(recording);
        let restore = ["restore", "-i", "out.dat", "-o", "out.new"];
        let files = ["out.dat.cpu0", "out.dat.cpu1"];
        if fixture
            .trace_cmd(&[&restore[..], &files].concat())
            .is_none()
        {
            return;
        }
        let theirs = fixture.trace_cmd(&["report", "out.new"]).unwrap();
        super::restore(&fixture.out).unwrap();
        let ours = fixture.trace_cmd(&["report", "out.dat"]).unwrap();
        assert_eq!(shown(&ours), shown(&theirs), "{version:?}");
        assert_eq!(shown(&ours).len(), 5, "{ours}");
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

/// One that was killed while it recorded, in the middle of a sub-buffer.
#[test]
fn killed() {
    for version in versions() {
        let fixture = Fixture::new();
        let mut recording = fixture.create(4096, version);
        let expected = record(&mut recording, &some_pages(), 4096);
        recording.check().unwrap();
        drop(recording);
        let cpu = cpu_path(&fixture.out, 1);
        let mut cpu = File::options().append(true).open(cpu).unwrap();
        cpu.write_all(&[1; 100]).unwrap();

        let restored = restore(&fixture.out).unwrap();
        assert_eq!(restored.cpus, [1, 3]);
        assert_eq!(fixture.files(), ["out.dat"]);
        let parsed = parse(&fixture.out, 4096);
        assert_eq!(parsed.cpus, expected, "{version:?}");
        assert_eq!(parsed.cmdlines, b"7 lucky\n");
        let once_more = restore(&fixture.out).unwrap();
        assert!(once_more.cpus.is_empty());
        assert_eq!(once_more.bytes, restored.bytes);
        assert_eq!(parse(&fixture.out, 4096).cpus, expected);
    }
}

/// Killed before each step of finish(), and again at each step of the restoring.
#[test]
fn killed_at_the_end() {
    // More than one piece of either size.
    let pages = BTreeMap::from([(0, vec![(1, None); 300]), (2, vec![(1, None); 2])]);
    for version in versions() {
        for again in [usize::MAX, 2] {
            for steps in 0.. {
                let fixture = Fixture::new();
                let mut recording = fixture.create(4096, version);
                let expected = record(&mut recording, &pages, 4096);
                STEPS.set(steps);
                let finished = recording.finish().is_ok();
                STEPS.set(again);
                if restore(&fixture.out).is_err() {
                    STEPS.set(usize::MAX);
                    restore(&fixture.out).unwrap();
                }
                STEPS.set(usize::MAX);
                let parsed = parse(&fixture.out, 4096);
                assert!(parsed.cpus == expected, "{version:?}, {steps} steps");
                assert_eq!(fixture.files(), ["out.dat"]);
                if finished {
                    assert!(steps > 6, "{steps}");
                    break;
                }
            }
        }
    }
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
    use std::os::unix::fs::MetadataExt;

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

/// Runs the next test where `/mnt` is a disk of 6 MiB.
#[test]
fn a_full_disk() {
    let script = "mount -t tmpfs -o size=6m none /mnt && exec \"$0\" --ignored --exact \
         --nocapture tracedat::tests::on_a_disk_of_6_mib";
    let this = std::env::current_exe().unwrap();
    let unshare = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--mount"])
            .args(args)
            .arg(&this);
        command.env("RINGMAP_SMALL_DISK", "/mnt").output()
    };
    let can = unshare(&["sh", "-c", "mount -t tmpfs -o size=6m none /mnt"]);
    if !can.is_ok_and(|said| said.status.success()) {
        eprintln!("not tested: no namespace in which to mount a small disk");
        return;
    }
    let said = unshare(&["sh", "-c", script]).unwrap();
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(
        said.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&said.stderr)
    );
    assert!(text.contains("1 passed"), "{text}");
}

/// Records the same page on two CPUs until the disk is full. Returns how many each of them has.
fn fill(recording: &mut Recording, bytes: &[u8]) -> [usize; 2] {
    let mut sinks = [0, 1].map(|cpu| recording.sink(cpu).unwrap());
    let mut pages = [0; 2];
    loop {
        for (sink, count) in sinks.iter_mut().zip(&mut pages) {
            match sink(&SubBuffer::fake(bytes, 9, None)) {
                Ok(()) => *count += 1,
                Err(e) => {
                    assert!(matches!(e, Error::DiskFull { .. }), "{e}");
                    assert!(!e.to_string().contains('\n'), "{e}");
                    return pages;
                }
            }
        }
    }
}

#[test]
#[ignore = "it is run by the test before it"]
fn on_a_disk_of_6_mib() {
    let Some(disk) = std::env::var_os("RINGMAP_SMALL_DISK") else {
        return;
    };
    // Nothing that could be made smaller: 4072 bytes without order.
    let noise = (0..1018u32).map(|n| n.wrapping_mul(0x9e37_79b9).rotate_left(n) | 1);
    let noise: Vec<u8> = noise.flat_map(u32::to_ne_bytes).collect();
    let whole = page(&SubBuffer::fake(&noise, 9, None), 8192);
    let expected = |pages: [usize; 2]| {
        let cpus = pages.iter().zip(0..);
        cpus.map(|(pages, cpu)| (cpu, whole.repeat(*pages)))
            .collect::<BTreeMap<_, _>>()
    };
    for version in versions() {
        let fixture = Fixture::at(tempfile::tempdir_in(&disk).unwrap());
        let mut recording = fixture.create(8192, version);
        recording.check().unwrap();
        let pages = fill(&mut recording, &noise);
        // More than could be there twice.
        assert!(pages[0] + pages[1] > 400, "{pages:?}");
        recording.finish().unwrap();
        assert!(
            parse(&fixture.out, 8192).cpus == expected(pages),
            "{version:?}"
        );
        fs::remove_file(&fixture.out).unwrap();

        // Somebody else takes what is left, so that the end has to wait.
        let mut recording = fixture.create(8192, version);
        recording.check().unwrap();
        let pages = fill(&mut recording, &noise);
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&recording.file.0, punch, 8192, 2 * RESERVE).unwrap();
        let hog = fixture.dir.path().join("hog");
        let mut file = File::create(&hog).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
        drop(file);
        let e = recording.finish().unwrap_err();
        assert!(matches!(e, Error::DiskFull { .. }), "{e}");

        let full = Fixture {
            dir: tempfile::tempdir().unwrap(),
            out: fixture.dir.path().join("another"),
        };
        tracefs(&full.dir.path().join("tracefs"));
        let e = full.try_create(4096, &Settings::default()).unwrap_err();
        assert!(matches!(e, Error::DiskFull { .. }), "{e}");
        assert!(!full.out.exists());

        fs::remove_file(&hog).unwrap();
        restore(&fixture.out).unwrap();
        assert!(
            parse(&fixture.out, 8192).cpus == expected(pages),
            "{version:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

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
