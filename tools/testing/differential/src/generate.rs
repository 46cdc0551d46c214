// SPDX-License-Identifier: GPL-2.0

//! Makes lists of operations from a seed.

use crate::{
    guest::{FDS, VMAS},
    random::Random,
    transcript::Scenario,
};

/// How many operations a scenario has at most.
const LENGTH: u64 = 250;

/// What kind of scenarios to make.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All operations but to move a mapping.
    Plain,
    /// A mapping that moves gives up its exclusion of snapshots with C, which then warns. In these
    /// there are no snapshots but one, at the end of some.
    Moves,
}

/// What a scenario does more of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Mapped,
    Unmapped,
    Mixed,
}

struct Generator {
    random: Random,
    kind: Kind,
    mood: Mood,
    ops: Vec<String>,
    /// Which slots are in use, as far as can be known without running it.
    fds: [bool; FDS],
    vmas: [bool; VMAS],
    /// How often a mapping has moved.
    moved: u32,
    /// The sub-buffers' size in pages and their number, if the last changes were allowed.
    order: u64,
    subbufs: u64,
}

/// `nr` operations of this seed, in scenarios.
pub fn generate(seed: u64, nr: u64, kind: Kind) -> Vec<Scenario> {
    let salt = if kind == Kind::Plain { 0 } else { 1 << 63 };
    let mut random = Random::new(seed ^ salt);
    let mut all = Vec::new();
    let mut left = nr;

    while left > 0 {
        let length = random.range(LENGTH / 5, LENGTH).min(left);
        let ops = Generator::new(Random::new(random.next()), kind).ops(length as usize);
        left -= length;
        let moved = kind == Kind::Moves && ops.last().is_some_and(|op| op == "snap 1");
        let keep = if moved { " keep" } else { "" };
        let number = all.len();
        let name = match kind {
            Kind::Plain => format!("plain {seed}.{number}"),
            Kind::Moves => format!("moves {seed}.{number}{keep}"),
        };
        all.push(Scenario { name, ops });
    }
    all
}

impl Generator {
    fn new(mut random: Random, kind: Kind) -> Self {
        let mood = random.pick(&[Mood::Mapped, Mood::Mapped, Mood::Unmapped, Mood::Mixed]);
        Self {
            random,
            kind,
            mood,
            ops: Vec::new(),
            fds: [false; FDS],
            vmas: [false; VMAS],
            moved: 0,
            order: 0,
            subbufs: 2,
        }
    }

    fn ops(mut self, length: usize) -> Vec<String> {
        // Of some use from the beginning, most of the time.
        if !self.random.one_in(8) {
            self.resize();
        }
        if self.random.one_in(3) {
            self.order();
        }
        self.open();
        if self.mood == Mood::Mapped {
            self.full();
        }
        while self.ops.len() < length {
            self.step();
        }
        self.ops.truncate(length);
        // Whether this is let in is what moving a mapping is about.
        if self.kind == Kind::Moves && self.moved > 0 && self.random.one_in(3) {
            self.ops.pop();
            self.push("snap 1".to_owned());
        }
        self.ops
    }

    fn push(&mut self, op: String) {
        self.ops.push(op);
    }

    /// A descriptor that is likely to be open.
    fn fd(&mut self) -> usize {
        let slot = self.random.below(FDS as u64) as usize;
        self.fds.iter().position(|&used| used).map_or(slot, |at| {
            if self.fds[slot] || self.random.one_in(20) {
                slot
            } else {
                at
            }
        })
    }

    /// A mapping that is likely to be there.
    fn vma(&mut self) -> usize {
        let slot = self.random.below(VMAS as u64) as usize;
        self.vmas.iter().position(|&used| used).map_or(slot, |at| {
            if self.vmas[slot] || self.random.one_in(20) {
                slot
            } else {
                at
            }
        })
    }

    fn free_vma(&mut self) -> usize {
        self.vmas
            .iter()
            .position(|&used| !used)
            .unwrap_or_else(|| self.random.below(VMAS as u64) as usize)
    }

    fn open(&mut self) {
        let slot = self
            .fds
            .iter()
            .position(|&used| !used)
            .unwrap_or_else(|| self.random.below(FDS as u64) as usize);
        // To wait takes time.
        let blocks = u8::from(self.random.one_in(12));
        self.fds[slot] = true;
        self.push(format!("open {slot} {blocks}"));
    }

    fn full(&mut self) {
        let (fd, vma) = (self.fd(), self.free_vma());
        self.vmas[vma] = true;
        self.push(format!("full {fd} {vma}"));
    }

    fn unmap_all(&mut self) {
        for vma in 0..VMAS {
            if std::mem::take(&mut self.vmas[vma]) {
                self.push(format!("unmap {vma}"));
            }
        }
    }

    fn resize(&mut self) {
        let op = self.random.pick(&["resize", "resize", "resizecpu"]);
        let kb = match self.random.below(12) {
            0 => 0,
            1 => self.random.range(100, 400),
            _ => self.random.range(4, 60),
        };
        self.subbufs = (kb / (4 << self.order)).max(2) + 1;
        self.push(format!("{op} {kb}"));
    }

    fn order(&mut self) {
        let kb = match self.random.below(12) {
            0 => self.random.pick(&[0, 1, 3, 5, 12, 1 << 20]),
            1 => self.random.pick(&[64, 128, 256]),
            _ => self.random.pick(&[4, 4, 8, 16, 32]),
        };
        self.order = (kb as u64 / 4).max(1).ilog2().into();
        self.push(format!("order {kb}"));
    }

    /// Part of the file, which may be there or not.
    fn map(&mut self) {
        let (fd, vma) = (self.fd(), self.free_vma());
        let page = 4096u64;
        let subbuf = page << self.order.min(8);
        let random = &mut self.random;
        let (mut offset, mut len) = match random.below(10) {
            // The meta-page, and perhaps its padding.
            0 | 1 => (0, random.pick(&[1, page, subbuf])),
            2 | 3 => (0, random.range(1, self.subbufs + 2) * subbuf),
            4..=6 => (
                random.range(1, self.subbufs + 1) * subbuf,
                random.range(1, self.subbufs) * page,
            ),
            // At any page.
            7 | 8 => (random.below(24) * page, random.range(0, 24) * page),
            _ => {
                let hostile = [
                    0,
                    1,
                    2048,
                    page,
                    1 << 31,
                    1 << 32,
                    1 << 44,
                    (1 << 52) - 1,
                    (1 << 62) - page,
                    i64::MAX as u64 - 4095,
                    i64::MAX as u64,
                    1 << 63,
                    0u64.wrapping_sub(page),
                    0u64.wrapping_sub(subbuf * 2),
                    u64::MAX,
                ];
                (random.pick(&hostile), random.pick(&hostile))
            }
        };
        // Next to a limit.
        if random.one_in(10) {
            len = (self.subbufs + 1) * subbuf;
            len = len
                .wrapping_sub(offset)
                .wrapping_add(random.below(3) * page);
            len = len.wrapping_sub(page);
        }
        if random.one_in(30) {
            offset = offset.wrapping_add(random.below(page));
        }
        let prot = if random.one_in(10) {
            random.below(8)
        } else {
            1
        };
        let flags = if random.one_in(15) { 2 } else { 1 };
        if prot == 1 && flags == 1 {
            self.vmas[vma] = true;
        }
        // Numbers are signed where they are parsed.
        let (offset, len) = (offset as i64, len as i64);
        self.push(format!("map {fd} {vma} {offset} {len} {prot} {flags}"));
    }

    /// A size of markers, and how many of them.
    fn mark(&mut self) {
        let random = &mut self.random;
        let len = match random.below(20) {
            0 => random.below(5),
            1 => random.range(4000, 4120),
            2 => random.range(100, 120),
            3..=5 => random.range(1000, 4064),
            6..=12 => random.range(4, 400),
            _ => random.range(4, 40),
        };
        let nr = if random.one_in(6) {
            // Much of it is overwritten.
            let all = (self.subbufs + random.below(self.subbufs)) * (4096 << self.order.min(4));
            (all / (len + 16)).clamp(1, 1200)
        } else {
            random.range(1, 12)
        };
        self.push(format!("mark {len} {nr}"));
    }

    fn step(&mut self) {
        let mapped = self.vmas.iter().any(|&used| used);
        let moves = self.kind == Kind::Moves;
        let random = &mut self.random;

        // Back to what the scenario is about.
        match self.mood {
            Mood::Mapped if !mapped && random.one_in(6) => return self.full(),
            Mood::Unmapped if mapped && random.one_in(5) => return self.unmap_all(),
            _ => (),
        }

        let op = random.below(1000);
        let (n3, n2) = (random.below(3), random.below(2));
        let pages = random.below(6);
        let len = match random.below(6) {
            0 => random.below(40),
            1 => random.range(16, 600),
            2 => 4096,
            3 => random.range(600, 9000),
            4 => 4096 << self.order.min(4),
            _ => 65536,
        };
        match op {
            0..=39 => self.open(),
            40..=64 => {
                let fd = self.fd();
                self.fds[fd] = false;
                self.push(format!("close {fd}"));
            }
            65..=104 => self.full(),
            105..=159 => self.map(),
            160..=209 => {
                let vma = self.vma();
                self.vmas[vma] = false;
                self.push(format!("unmap {vma}"));
            }
            210..=224 => self.unmap_all(),
            225..=239 => {
                let op = self.random.pick(&["cut", "cut", "over"]);
                let (vma, from, len) = (self.vma(), self.random.below(4), pages);
                self.push(format!("{op} {vma} {from} {len}"));
            }
            240..=269 => {
                let all = ["shrink", "grow", "dup", "dontunmap", "movepart", "stay"];
                let (op, vma) = (self.random.pick(&all), self.vma());
                self.push(format!("{op} {vma} {}", pages + 1));
            }
            270..=279 => {
                let vma = self.vma();
                let prot = self.random.pick(&[0, 0, 1, 2, 3, 4, 5, 7]);
                self.push(format!("prot {vma} {prot} {n2}"));
            }
            280..=289 => {
                // As in <linux/mman.h>, among them MADV_DOFORK. Not MADV_DONTNEED: nothing brings
                // back the pages then.
                let all = [
                    0, 1, 2, 3, 9, 10, 11, 11, 11, 12, 14, 16, 17, 18, 19, 20, 21, 22,
                ];
                let (vma, advice) = (self.vma(), self.random.pick(&all));
                self.push(format!("advise {vma} {advice}"));
            }
            290..=304 => {
                let fd = self.fd();
                self.push(format!("fork {fd} {n3}"));
            }
            305..=494 => {
                let fd = self.fd();
                self.push(format!("get {fd}"));
            }
            495..=554 => {
                let fd = self.fd();
                self.push(format!("read {fd} {len}"));
            }
            555..=584 => {
                let fd = self.fd();
                self.push(format!("splice {fd} {len}"));
            }
            585..=594 => self.push(format!("pipe {len}")),
            595..=599 => self.push("trace 4096".to_owned()),
            600..=774 => self.mark(),
            775..=829 => {
                let nr = if self.random.one_in(8) {
                    self.random.range(20, 300)
                } else {
                    self.random.range(1, 10)
                };
                self.push(format!("ppid {nr}"));
            }
            830..=849 => self.push(format!("event {}", u8::from(n3 > 0))),
            850..=869 => self.push(format!("filter {n3}")),
            870..=889 => self.push(format!("hist {}", u8::from(n3 > 0))),
            890..=904 => self.resize(),
            905..=914 => self.order(),
            915..=924 => self.push(format!("reset {n2}")),
            925..=949 if moves => {
                let vma = self.vma();
                if self.vmas[vma] {
                    self.moved += 1;
                }
                self.push(format!("move {vma}"));
            }
            925..=940 => {
                let what = self.random.pick(&[0, 1, 1, 1, 2]);
                self.push(format!("snap {what}"));
            }
            941..=949 => self.push(format!("trig {n2}")),
            950..=954 => {
                let all = ["counter", "local", "mono", "uptime", "nonsense"];
                let clock = self.random.pick(&all);
                self.push(format!("clock {clock}"));
            }
            955..=964 => self.push(format!("on {}", u8::from(n3 > 0))),
            965..=969 => self.push(format!("overwrite {}", u8::from(n3 > 0))),
            970..=974 => {
                let percent = self.random.pick(&[0, 1, 50, 50, 100, 101]);
                self.push(format!("percent {percent}"));
            }
            975..=984 => {
                let fd = self.fd();
                let command = self.random.pick(&[0, 0, 1, 21536]);
                self.push(format!("ioctl {fd} {command}"));
            }
            _ => {
                let vma = self.vma();
                self.push(format!("scan {vma}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_it_all() {
        for kind in [Kind::Plain, Kind::Moves] {
            let all = generate(7, 5_000, kind);
            assert_eq!(all, generate(7, 5_000, kind));
            assert_ne!(all, generate(8, 5_000, kind));
            assert_eq!(all.iter().map(|s| s.ops.len()).sum::<usize>(), 5_000);
        }
    }

    #[test]
    fn snapshots_and_moves_are_apart() {
        let plain = generate(3, 20_000, Kind::Plain);
        assert!(plain.iter().all(|s| !s.keeps_instance()));
        assert!(
            plain
                .iter()
                .flat_map(|s| &s.ops)
                .all(|op| !op.starts_with("move "))
        );

        for scenario in generate(3, 20_000, Kind::Moves) {
            let snapshot = |op: &&String| op.starts_with("snap") || op.starts_with("trig");
            let nr = scenario.ops.iter().filter(snapshot).count();
            assert_eq!(nr, usize::from(scenario.keeps_instance()));
        }
    }
}
