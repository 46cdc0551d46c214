// SPDX-License-Identifier: LGPL-2.1-or-later

//! A disk that is full.

use super::parse::parse;
use super::*;

/// Runs the next test where `/mnt` is a disk of 20 MiB.
#[test]
fn a_full_disk() {
    let script = "mount -t tmpfs -o size=20m none /mnt && exec \"$0\" --ignored --exact \
         --nocapture tracedat::tests::full::on_a_disk_of_20_mib";
    let this = std::env::current_exe().unwrap();
    let unshare = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--mount"])
            .args(args)
            .arg(&this);
        command.env("RINGMAP_SMALL_DISK", "/mnt").output()
    };
    let can = unshare(&["sh", "-c", "mount -t tmpfs -o size=20m none /mnt"]);
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
                    assert!(matches!(e, Error::DiskFull(_)), "{e}");
                    assert!(!e.to_string().contains('\n'), "{e}");
                    return pages;
                }
            }
        }
    }
}

#[test]
#[ignore = "it is run by the test before it"]
fn on_a_disk_of_20_mib() {
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
        // As long as those of a kernel are, next to what is reserved.
        let symbols = "ffffffff81000000 T _stext\n".repeat(120_000);
        fs::write(fixture.dir.path().join("kallsyms"), symbols).unwrap();
        let mut recording = fixture.create(8192, version);
        // What is not compressed is too long to be reserved on such a disk before it is known.
        // The rest can be written on a disk that is full by then.
        if [Version::V6, Version::V7(Compression::None)].contains(&version) {
            recording.check().unwrap();
        }
        let pages = fill(&mut recording, &noise);
        // More than could be there twice.
        assert!(pages[0] + pages[1] > 1000, "{pages:?}");
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
        let end = recording.file.0.metadata().unwrap().len();
        fallocate(
            &recording.file.0,
            punch,
            end.next_multiple_of(4096),
            2 * RESERVE,
        )
        .unwrap();
        let hog = fixture.dir.path().join("hog");
        let mut file = File::create(&hog).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
        drop(file);
        let e = recording.finish().unwrap_err();
        assert!(matches!(e, Error::DiskFull(_)), "{e}");

        let full = Fixture {
            dir: tempfile::tempdir().unwrap(),
            out: fixture.dir.path().join("another"),
        };
        tracefs(&full.dir.path().join("tracefs"));
        let e = full.try_create(4096, &Settings::default()).unwrap_err();
        assert!(matches!(e, Error::DiskFull(_)), "{e}");
        assert!(!full.out.exists());

        fs::remove_file(&hog).unwrap();
        restore(&fixture.out).unwrap();
        assert!(
            parse(&fixture.out, 8192).cpus == expected(pages),
            "{version:?}"
        );
    }
}
