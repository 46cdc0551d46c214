// SPDX-License-Identifier: LGPL-2.1-or-later

//! trace-cmd reads what was written, where there is one.

use proptest::prelude::*;

use super::*;

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// trace-cmd shows each event on its CPU, in order, and each loss.
    #[test]
    fn trace_cmd_shows_what_was_recorded(
        pages in prop::collection::btree_map(
            0u32..5,
            prop::collection::vec((1u32..99, prop::option::of(1u64..1000)), 1..9),
            1..4,
        ),
        version in 0..versions().len(),
    ) {
        let known = |(events, loss): (u32, Option<u64>)| (events, loss.map(Loss::Known));
        let pages: Pages = pages
            .into_iter()
            .map(|(cpu, pages)| (cpu, pages.into_iter().map(known).collect()))
            .collect();
        let fixture = Fixture::new();
        let mut recording = fixture.create(4096, versions()[version]);
        record(&mut recording, &pages, 4096);
        recording.finish().unwrap();
        let Some(report) = fixture.trace_cmd(&["report", "out.dat"]) else {
            return Ok(());
        };

        // For each CPU: the numbers of its events, and how many were lost in between.
        let mut theirs: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
        let mut lost: BTreeMap<u32, u64> = BTreeMap::new();
        for line in shown(&report) {
            if let Some((_, drop)) = line.split_once("CPU:") {
                let (cpu, count) = drop.split_once(" [").unwrap();
                let count = count.split(' ').next().unwrap();
                lost.insert(cpu.parse().unwrap(), count.parse().unwrap());
                continue;
            }
            let (_, rest) = line.split_once('[').unwrap();
            let cpu: u32 = rest[..3].parse().unwrap();
            let (_, number) = line.rsplit_once(' ').unwrap();
            let before = lost.remove(&cpu).unwrap_or(0);
            theirs.entry(cpu).or_default().push((before, number.parse().unwrap()));
        }
        let mut number = 0;
        for (cpu, pages) in &pages {
            let mut ours = Vec::new();
            for (events, loss) in pages {
                for n in 0..*events {
                    number += 1;
                    let before = match loss {
                        Some(Loss::Known(count)) if n == 0 => *count,
                        _ => 0,
                    };
                    ours.push((before, number));
                }
            }
            prop_assert_eq!(theirs.get(cpu), Some(&ours), "cpu{}: {}", cpu, &report);
        }
    }
}
