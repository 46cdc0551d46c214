// SPDX-License-Identifier: LGPL-2.1-or-later

//! A recording that is ended by others.

use proptest::prelude::*;

use super::parse::parse;
use super::*;

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

/// A process that records until it is killed.
#[test]
#[ignore = "it is run by the test behind it"]
fn records_for_ever() {
    let Some(dir) = std::env::var_os("RINGMAP_KILL_ME_IN") else {
        return;
    };
    let fixture = Fixture::at(TempDir::with_prefix_in("it", dir).unwrap());
    let mut recording = fixture.create(4096, Version::default());
    let mut sinks = [0, 1].map(|cpu| recording.sink(cpu).unwrap());
    recording.check().unwrap();
    let bytes = data(1, 3, 7).repeat(200);
    for n in 0..5000 {
        for sink in &mut sinks {
            sink(&SubBuffer::fake(&bytes, 9, None)).unwrap();
        }
        if n == 100 {
            fs::write(fixture.dir.path().join("ready"), "").unwrap();
        }
        thread::sleep(Duration::from_micros(100));
    }
    // That is enough for a disk. Who started this is slow, or gone.
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn killed_for_real() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "tracedat::tests::killed::records_for_ever",
        ])
        .env("RINGMAP_KILL_ME_IN", dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let ready = || {
        let path = fs::read_dir(dir.path()).unwrap().next()?.unwrap().path();
        path.join("ready").exists().then_some(path)
    };
    let path = loop {
        if let Some(path) = ready() {
            break path;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        thread::sleep(Duration::from_millis(5));
    };
    let out = path.join("out.dat");
    assert!(matches!(restore(&out), Err(Error::Recording(_))));
    child.kill().unwrap();
    child.wait().unwrap();

    assert_eq!(restore(&out).unwrap().cpus, [0, 1]);
    let bytes = data(1, 3, 7).repeat(200);
    let whole = page(&SubBuffer::fake(&bytes, 9, None), 4096);
    for (_, data) in parse(&out, 4096).cpus {
        assert!(data.len() >= 100 * 4096);
        assert!(data.chunks(4096).all(|page| page == whole));
    }
}

/// Killed before each step of finish(), and again at each step of the restoring.
#[test]
fn killed_at_the_end() {
    for version in versions() {
        // More than one piece.
        let plain = [Version::V6, Version::V7(Compression::None)].contains(&version);
        let count = if plain { 260 } else { 70 };
        let pages = BTreeMap::from([(0, vec![(1, None); count]), (2, vec![(1, None); 2])]);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever became of the file: it is restored or refused, and what is refused stays.
    #[test]
    fn any_damage(
        version in 0..versions().len(),
        steps in 0usize..12,
        at: prop::sample::Index,
        bits in 1u8..,
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let fixture = Fixture::new();
        let mut recording = fixture.create(4096, versions()[version]);
        let expected = record(&mut recording, &some_pages(), 4096);
        STEPS.set(steps);
        let finished = recording.finish().is_ok();
        STEPS.set(usize::MAX);
        let mut file = fs::read(&fixture.out).unwrap();
        let at = at.index(file.len());
        // Who believes in sub-buffers of another size takes the last one for half of one.
        prop_assume!(!(14..18).contains(&at));
        file[at] ^= bits;
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        fs::write(&fixture.out, &file).unwrap();
        let data = || {
            let files = [1, 3].map(|cpu| fs::read(cpu_path(&fixture.out, cpu)).ok());
            files.into_iter().flatten().collect::<Vec<_>>()
        };
        let before = data();
        if restore(&fixture.out).is_err() {
            prop_assert!(finished || data().len() == before.len());
        } else if steps == 0 && cut.is_none() {
            // The names may be wrong, or the address of a symbol; the data is not.
            let file = fs::read(&fixture.out).unwrap();
            for data in expected.values() {
                prop_assert!(version == 2 || file.windows(data.len()).any(|part| part == data));
            }
        }
    }
}
