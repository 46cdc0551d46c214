// SPDX-License-Identifier: GPL-2.0

//! Compares the transcripts of the C and of the Rust kernel, line by line.
//!
//! The two must be equal but for what a named rule allows. There is a rule for each defect of C
//! that such a run can meet, and none for anything else. How sub-buffers are numbered is no
//! difference: see [`SubbufIds`].

use crate::{
    subbuf_ids::SubbufIds,
    transcript::{Field, Scenario, State},
};
use std::fmt;

const EINTR: &str = "-4";
const EACCES: &str = "-13";
const EBUSY: &str = "-16";
const ENODEV: &str = "-19";
const EINVAL: &str = "-22";

/// Flags of the commit field of a sub-buffer: events were lost before it, their number is stored.
const LOST: u64 = 1 << 31;
const STORED: u64 = 1 << 30;

/// A difference that is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// With C, a mapping that was moved excludes snapshots no more, and one is let in.
    D1,
    /// With C, the meta-page never has the number of lost events.
    D4,
    /// With C, a blocking GET_READER waits for events of a buffer that is not mapped.
    D13,
    /// With C, a mapping can be made executable.
    D14,
    /// With C, a GET_READER that finds a page whose loss no other reader has reported does not
    /// either. A later page has it, or there is a warning.
    D18,
    /// With C, the padding that a GET_READER cuts off a page that reports a loss stays in "bytes".
    D28,
}

impl Rule {
    pub const ALL: [Rule; 6] = [
        Rule::D1,
        Rule::D4,
        Rule::D13,
        Rule::D14,
        Rule::D18,
        Rule::D28,
    ];

    pub fn name(self) -> String {
        format!("{self:?}")
    }

    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name)
    }
}

/// The first difference in a scenario.
#[derive(Debug)]
pub struct Difference {
    /// Which of the scenarios.
    pub scenario: usize,
    text: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What the rules need to know of a scenario so far. Results are those of both kernels.
#[derive(Default)]
struct Context {
    /// The descriptors that are open, and those of them that wait.
    open: Vec<String>,
    blocking: Vec<String>,
    /// The slots of mappings that there are.
    mapped: Vec<String>,
    /// How often one of them has moved.
    moved: u32,
    /// The number of lost events that the meta-page had with Rust when it was seen last.
    lost: u64,
    /// By how much "bytes" was more with C, and is in the buffer that a snapshot would swap in.
    cut: u64,
    spare_cut: u64,
    /// The reader page at the last operation.
    page: Option<(u64, u64)>,
    ids: SubbufIds,
}

impl Context {
    fn follow(&mut self, op: &[&str], result: &str) {
        let slot = |at: usize| op.get(at).map_or_else(String::new, |&slot| slot.to_owned());

        if result != "0" {
            return;
        }
        match op[0] {
            "open" => {
                self.open.push(slot(1));
                if op.get(2) != Some(&"0") {
                    self.blocking.push(slot(1));
                }
            }
            "close" => {
                self.open.retain(|open| *open != slot(1));
                self.blocking.retain(|open| *open != slot(1));
            }
            "map" | "full" => self.mapped.push(slot(2)),
            "unmap" | "cut" | "over" => self.mapped.retain(|vma| *vma != slot(1)),
            "move" => self.moved += 1,
            _ => (),
        }
    }

    /// By how much "bytes" is more with C now. `stays` says that no snapshot has swapped the
    /// buffers, and that another number has another cause.
    fn count(&mut self, more: u64, stays: bool) {
        if !stays && more != self.cut {
            self.spare_cut = self.cut;
        }
        self.cut = more;
    }

    /// Whether `op` has brought the meta-page up to date by a GET_READER.
    fn looked(&self, op: &[&str], result: &str) -> bool {
        let slot = op.get(1).copied().unwrap_or_default();
        let child = || {
            let is = |all: &[String]| all.iter().any(|open| open == slot);
            op[0] == "fork" && op.get(2) == Some(&"1") && is(&self.open) && !is(&self.blocking)
        };
        result == "0" && (op[0] == "get" || child())
    }

    /// Whether `op` has begun the meta-page anew, by a first mapping.
    fn begun(&self, op: &[&str], result: &str) -> bool {
        matches!(op[0], "map" | "full") && result == "0" && self.mapped.is_empty()
    }

    /// Whether `op` has reset the buffer.
    fn reset(&self, op: &[&str], result: &str) -> bool {
        match op[0] {
            "reset" => result == "0",
            // Another clock is a reset, too.
            "clock" => result.ends_with(",0"),
            _ => false,
        }
    }

    /// Whether `op` has emptied the buffer: other sub-buffers are new ones, and a histogram has a
    /// clock.
    fn emptied(&self, op: &[&str], result: &str) -> bool {
        self.reset(op, result) || (matches!(op[0], "order" | "hist") && result == "0")
    }
}

/// A scenario of a transcript: its name and its lines.
type Block<'a> = (&'a str, Vec<&'a str>);

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut all: Vec<Block<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("= ") {
            all.push((name, Vec::new()));
        } else if let Some((_, lines)) = all.last_mut() {
            lines.push(line);
        }
    }
    all
}

pub struct Comparer {
    rules: Vec<(Rule, u64)>,
    pub operations: usize,
}

impl Comparer {
    pub fn new() -> Self {
        Self {
            rules: Rule::ALL.into_iter().map(|rule| (rule, 0)).collect(),
            operations: 0,
        }
    }

    /// From now on, what `rule` allows is a difference.
    pub fn drop_rule(&mut self, rule: Rule) {
        self.rules.retain(|(other, _)| *other != rule);
    }

    /// How often each rule was needed.
    pub fn hits(&self) -> impl Iterator<Item = (Rule, u64)> {
        self.rules.iter().copied()
    }

    /// Whether `rule` is in force, which counts as a hit.
    fn allow(&mut self, rule: Rule) -> bool {
        let found = self.rules.iter_mut().find(|(other, _)| *other == rule);
        found.map(|(_, hits)| *hits += 1).is_some()
    }

    /// The first difference of each scenario.
    pub fn compare(&mut self, all: &[Scenario], c: &str, rust: &str) -> Vec<Difference> {
        let (c, rust) = (blocks(c), blocks(rust));
        let mut differences = Vec::new();

        for (number, scenario) in all.iter().enumerate() {
            let result = match (c.get(number), rust.get(number)) {
                (Some(c), Some(rust)) => self.scenario(scenario, c, rust),
                (None, None) => Err("neither kernel got there".to_owned()),
                (None, _) => Err("the C kernel did not get there".to_owned()),
                (_, None) => Err("the Rust kernel did not get there".to_owned()),
            };
            if let Err(text) = result {
                differences.push(Difference {
                    scenario: number,
                    text: format!("scenario '{}': {text}", scenario.name),
                });
            }
        }
        differences
    }

    fn scenario(
        &mut self,
        scenario: &Scenario,
        (c_name, c): &Block<'_>,
        (rust_name, rust): &Block<'_>,
    ) -> Result<(), String> {
        let mut context = Context::default();
        let (mut c_state, mut rust_state) = (State::default(), State::default());

        if *c_name != scenario.name || *rust_name != scenario.name {
            return Err(format!("the transcripts are of {c_name} and {rust_name}"));
        }
        for (number, op) in scenario.ops.iter().enumerate() {
            let words: Vec<&str> = op.split_whitespace().collect();
            let at = |text: String| format!("operation {number} '{op}': {text}");
            let c = line(c, number, &mut c_state).map_err(|err| at(format!("C: {err}")))?;
            let rust =
                line(rust, number, &mut rust_state).map_err(|err| at(format!("Rust: {err}")))?;
            let last = number + 1 == scenario.ops.len();

            self.operations += 1;
            let scans = || {
                let nr = rust_state.get(Field::NrSubbufs);
                words[0] == "scan" && context.ids.scans_agree(c, rust, nr)
            };
            if c != rust && !scans() {
                let rule = differing_result(&context, &words, c, rust, last);
                if !rule.is_some_and(|rule| self.allow(rule)) {
                    return Err(at(format!("C: {c}, Rust: {rust}")));
                }
                // The snapshot took the events away, and the scenario is at its end.
                if rule == Some(Rule::D1) {
                    continue;
                }
            }
            let looked = context.looked(&words, rust);
            let begun = context.begun(&words, rust);
            if begun {
                context.ids = SubbufIds::default();
            }
            let page = reader_page(&rust_state);
            let cuts = looked && marked(&rust_state) == Some(true) && page != context.page;
            if context.reset(&words, rust) {
                context.lost = 0;
            }
            // From here on, C is wrong in all that this loss has an influence on.
            if looked && late(&c_state, &rust_state) && self.allow(Rule::D18) {
                break;
            }
            for &field in Field::ALL {
                let (c, rust) = (c_state.get(field), rust_state.get(field));
                let same = match (field, c, rust) {
                    (Field::ReaderId, Some(c), Some(rust)) => context.ids.agree(c, rust),
                    _ => c == rust,
                };
                if same {
                    continue;
                }
                let stays = (!looked && !begun).then_some(context.lost);
                let rule = match field {
                    Field::StatBytes => {
                        let room = if cuts {
                            rust_state.get(Field::SubbufSize)
                        } else {
                            None
                        };
                        cut(&context, c, rust, room.unwrap_or(0))
                    }
                    _ => differing_field(&rust_state, field, c, rust, stays),
                };
                if !rule.is_some_and(|rule| self.allow(rule)) {
                    let hex = |value: Option<u64>| {
                        value.map_or_else(|| "none".to_owned(), |value| format!("{value:#x}"))
                    };
                    let name = field.name();
                    return Err(at(format!("{name}: C: {}, Rust: {}", hex(c), hex(rust))));
                }
            }
            context.lost = rust_state.get(Field::LostEvents).unwrap_or(context.lost);
            let bytes = |state: &State| state.get(Field::StatBytes).unwrap_or(0);
            let more = bytes(&c_state).saturating_sub(bytes(&rust_state));
            context.count(more, cuts || context.emptied(&words, rust));
            context.page = page;
            context.follow(&words, rust);
        }

        let end = |lines: &[&str]| {
            lines
                .get(scenario.ops.len()..)
                .unwrap_or_default()
                .join(", ")
        };
        let (c, rust) = (end(c), end(rust));
        if c != rust || !c.starts_with("end ") {
            return Err(format!("at its end: C: {c:?}, Rust: {rust:?}"));
        }
        Ok(())
    }
}

/// The result in line `number`; what it says of the state is taken over.
fn line<'a>(lines: &[&'a str], number: usize, state: &mut State) -> Result<&'a str, String> {
    let line = lines.get(number).ok_or("did not get there")?;
    let mut words = line.split_whitespace();
    if words.next() != Some(&number.to_string()) {
        return Err(format!("line '{line}'"));
    }
    let result = words.next().ok_or("no result")?;
    state.apply(words)?;
    Ok(result)
}

/// The rule that may allow an operation to have two results.
fn differing_result(
    context: &Context,
    op: &[&str],
    c: &str,
    rust: &str,
    last: bool,
) -> Option<Rule> {
    let slot = op.get(1).copied().unwrap_or_default();
    let mapped = !context.mapped.is_empty();

    match op[0] {
        // Only where a mapping has moved that still is there, or another one with it. The buffer of
        // C is lost after that.
        "snap" if slot == "1" && c == "0" && rust == EBUSY => {
            (mapped && context.moved > 0 && last).then_some(Rule::D1)
        }
        // Only where there is no mapping. The alarm ends the wait.
        "get" if c == EINTR && rust == ENODEV => {
            let blocks = context.blocking.iter().any(|open| open == slot);
            (blocks && !mapped).then_some(Rule::D13)
        }
        // Only for execution, alone or to read. A part of a mapping cannot be split off.
        "prot" if rust == EACCES => {
            let exec = matches!(op.get(2), Some(&"4" | &"5"));
            let part = op.get(3) != Some(&"0");
            (exec && (c == "0" || (part && c == EINVAL))).then_some(Rule::D14)
        }
        _ => None,
    }
}

/// Which the reader page is, and its commit field: no two pages in a row have both.
fn reader_page(state: &State) -> Option<(u64, u64)> {
    Some((state.get(Field::ReaderId)?, state.get(Field::Commit)?))
}

/// Whether the reader page reports a loss.
fn marked(state: &State) -> Option<bool> {
    state.get(Field::Commit).map(|commit| commit & LOST != 0)
}

/// Whether C shows a loss that the reader page, which is consumed, does not have. It has with Rust.
fn late(c: &State, rust: &State) -> bool {
    let lost = c.get(Field::LostEvents).unwrap_or(0);

    let shown = rust.get(Field::LostEvents) == Some(lost);
    let stored = rust.get(Field::Stored).is_none_or(|stored| stored == lost);

    lost != 0 && shown && stored && marked(c) == Some(false) && marked(rust) == Some(true)
}

/// The rule that may allow "bytes" to have two values: the difference is what it was, or more by
/// less than `room`, the size of a page that now reports a loss.
fn cut(context: &Context, c: Option<u64>, rust: Option<u64>, room: u64) -> Option<Rule> {
    let more = c?.checked_sub(rust?)?;
    let known = more == context.cut || more == context.spare_cut;
    let grown = more > context.cut && more - context.cut < room;

    (known || grown).then_some(Rule::D28)
}

/// The rule that may allow a field to have two values.
///
/// `stays` is the value that the number of lost events must still have; there is none after a
/// GET_READER or a first mapping.
fn differing_field(
    state: &State,
    field: Field,
    c: Option<u64>,
    rust: Option<u64>,
    stays: Option<u64>,
) -> Option<Rule> {
    if field != Field::LostEvents || c != Some(0) {
        return None;
    }
    let lost = rust?;
    let right = match (stays, state.get(Field::Commit)) {
        // Other readers take pages away, and tell the meta-page nothing.
        (Some(before), _) => lost == before,
        // The number must be the one that is stored on the page, where one is, by code of C's that
        // is right. There is none without room for it, or if another reader has reported the loss.
        // More than all cannot be lost.
        (None, Some(commit)) if commit & STORED != 0 => state.get(Field::Stored) == Some(lost),
        (None, _) => lost <= state.get(Field::Overrun)?,
    };
    right.then_some(Rule::D4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::scenarios;

    fn compare(ops: &str, c: &str, rust: &str) -> (Vec<String>, u64) {
        let mut comparer = Comparer::new();
        let differences = comparer.compare(&scenarios(ops), c, rust);
        let hits = comparer.hits().map(|(_, hits)| hits).sum();
        (differences.iter().map(ToString::to_string).collect(), hits)
    }

    #[test]
    fn equal_is_good() {
        let text = "= a\n0 0 en=1\n1 0\nend 0\n";
        assert_eq!(compare("= a\nopen 0 0\nget 0\n", text, text), (vec![], 0));
    }

    #[test]
    fn each_difference_is_found() {
        let ops = "= a\nopen 0 0\nget 0\n= b\nget 0\n";
        let good = "= a\n0 0 en=1\n1 0\nend 0\n= b\n0 none\nend 0\n";
        for (from, to) in [
            ("0 0 en=1", "0 -1 en=1"),
            ("en=1", "en=2"),
            ("1 0\n", "1 0 lost=1\n"),
            ("1 0\n", ""),
            ("end 0\n= b", "end 1\n= b"),
            ("end 0\n= b", "= b"),
            ("= b\n0 none\nend 0\n", ""),
            ("= b\n0 none\nend 0\n", "= b\n0 none\n"),
            ("= b", "= c"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_eq!(compare(ops, good, &bad).0.len(), 1, "{bad}");
            assert_eq!(compare(ops, &bad, good).0.len(), 1, "{bad}");
        }
        // Both broke off.
        assert_eq!(compare(ops, "= a\n0 0\n", "= a\n0 0\n").0.len(), 2);
    }

    #[test]
    fn ids_are_equal_up_to_a_permutation() {
        let ops = "= a\nopen 0 0\nfull 0 0\nget 0\nget 0\nscan 0\n";
        let c = "= a\n0 0\n1 0 nr=3 id=0\n2 0 id=1\n3 0 id=0\n4 0:0:1,2,3\nend 0\n";
        let rust = "= a\n0 0\n1 0 nr=3 id=2\n2 0 id=0\n3 0 id=2\n4 0:0:2,3,1\nend 0\n";
        assert_eq!(compare(ops, c, rust), (vec![], 0));
        for (from, to) in [
            ("3 0 id=2", "3 0 id=1"),
            ("3 0 id=2", "3 0"),
            ("2,3,1", "2,1,3"),
        ] {
            assert_eq!(compare(ops, c, &rust.replace(from, to)).0.len(), 1, "{to}");
        }
        // The ids of another mapping may be others.
        let ops = ops.replace("get 0\nget 0", "unmap 0\nfull 0 0");
        let rust = rust
            .replace("3 0 id=2", "3 0 id=1")
            .replace("2,3,1", "3,1,2");
        assert_eq!(compare(&ops, c, &rust).0.len(), 0);
    }

    #[test]
    fn rules_are_narrow() {
        let ops = "= a\nget 0\n";
        let c = "= a\n0 0 lost=0 ov=5 commit=c0000010 stored=5\nend 0\n";
        let rust = "= a\n0 0 lost=5 ov=5 commit=c0000010 stored=5\nend 0\n";
        assert_eq!(compare(ops, c, rust), (vec![], 1));
        // The other way round; the wrong number; more than all.
        assert_eq!(compare(ops, rust, c).0.len(), 1);
        let wrong = rust.replace("lost=5", "lost=4");
        assert_eq!(compare(ops, c, &wrong).0.len(), 1);
        for (from, to) in [
            ("c0000010", "10"),
            ("commit=c0000010 stored=5", "commit=80000010"),
        ] {
            let (c, rust) = (c.replace(from, to), rust.replace(from, to));
            let rust = rust.replace("lost=5", "lost=6");
            assert_eq!(compare(ops, &c, &rust).0.len(), 1);
        }

        // Nothing but a GET_READER changes it.
        let ops = "= a\nopen 0 0\nfull 0 0\nget 0\nread 0 64\nclose 0\nfork 0 1\n";
        let c = "= a\n0 0\n1 0 lost=0 ov=5\n2 0 commit=80000010\n3 64 commit=10\n4 0\n5 0\nend 0\n";
        let rust = c.replace("2 0", "2 0 lost=5");
        assert_eq!(compare(ops, c, &rust), (vec![], 4));
        for op in ["full 0 0", "reset 0", "read 0 9"] {
            assert_eq!(compare(&ops.replace("get 0", op), c, &rust).0.len(), 1);
        }
        for op in ["reset 1", "clock local"] {
            let result = if op == "clock local" { "3 0,0" } else { "3 0" };
            let (c, rust) = (c.replace("3 64", result), rust.replace("3 64", result));
            assert_eq!(compare(&ops.replace("read 0 64", op), &c, &rust).0.len(), 1);
        }
        let other = rust.replace("3 64", "3 64 lost=4");
        assert_eq!(compare(ops, c, &other).0.len(), 1);

        // That of a child counts, too. It may show less, but no more than all.
        let child = ops.replace("close 0", "stay 0");
        let less = rust.replace("5 0", "5 0 lost=4");
        assert_eq!(compare(ops, c, &less).0.len(), 1);
        assert_eq!(compare(&child, c, &less), (vec![], 4));
        let more = rust.replace("5 0", "5 0 lost=6");
        assert_eq!(compare(&child, c, &more).0.len(), 1);

        // C has the number, but not the page; all that follows may differ, but not the end.
        let ops = "= a\nget 0\nget 0\n";
        let c = "= a\n0 0 lost=5 ov=5 commit=10\n1 0 lost=0\nend 0\n";
        let rust = "= a\n0 0 lost=5 ov=5 commit=80000010\n1 0\nend 0\n";
        assert_eq!(compare(ops, c, rust), (vec![], 1));
        for (from, to) in [("lost=5", "lost=4"), ("end 0", "end 1")] {
            assert_eq!(compare(ops, c, &rust.replace(from, to)).0.len(), 1);
        }
        assert_eq!(compare("= a\nread 0 9\nget 0\n", c, rust).0.len(), 1);
        let unmarked = rust.replace("commit=80000010", "commit=11");
        assert_eq!(compare(ops, c, &unmarked).0.len(), 1);

        // What is cut off stays, and no more comes without a mark, or to Rust.
        let ops = "= a\nget 0\nread 0 9\nsnap 1\n";
        let c = "= a\n0 0 ss=1000 id=1 commit=80000010 s.by=30\n\
                 1 9 s.by=34\n2 0 s.by=0\nend 0\n";
        let rust = "= a\n0 0 ss=1000 id=1 commit=80000010 s.by=10\n\
                    1 9 s.by=14\n2 0 s.by=0\nend 0\n";
        assert_eq!(compare(ops, c, rust), (vec![], 2));
        for (from, to) in [
            ("s.by=34", "s.by=35"),
            ("s.by=30", "s.by=9"),
            ("s.by=30", "s.by=1010"),
        ] {
            assert_eq!(compare(ops, &c.replace(from, to), rust).0.len(), 1);
        }
        // The page has its mark already.
        let again = ops.replace("read 0 9", "get 0");
        let more = c.replace("s.by=34", "s.by=35");
        assert_eq!(
            compare(
                &again,
                &more.replace("1 9", "1 0"),
                &rust.replace("1 9", "1 0")
            )
            .0
            .len(),
            1
        );
        // A snapshot swaps the buffer for another, and back.
        let swaps = |text: &str, by: &str| text.replace("end 0", &format!("3 0 s.by={by}\nend 0"));
        let longer = format!("{ops}ppid 1\n");
        assert_eq!(
            compare(&longer, &swaps(c, "36"), &swaps(rust, "16")),
            (vec![], 3)
        );
        assert_eq!(
            compare(&longer, &swaps(c, "37"), &swaps(rust, "16"))
                .0
                .len(),
            1
        );
        // A reset does not.
        let ops = "= a\nget 0\nppid 1\nget 0\nreset 0\nppid 1\n";
        let c = "= a\n0 0 ss=1000 id=1 commit=80000010 s.by=30\n1 0 s.by=0\n\
                 2 0 id=2 s.by=9\n3 0 s.by=0\n4 0 s.by=30\nend 0\n";
        let rust = "= a\n0 0 ss=1000 id=1 commit=80000010 s.by=10\n1 0 s.by=0\n\
                    2 0 id=2 s.by=2\n3 0 s.by=0\n4 0 s.by=10\nend 0\n";
        assert_eq!(compare(ops, c, rust), (vec![], 3));
        for op in ["order 4", "hist 1"] {
            assert_eq!(compare(&ops.replace("reset 0", op), c, rust), (vec![], 3));
        }
        assert_eq!(
            compare(&ops.replace("reset 0", "ppid 1"), c, rust).0.len(),
            1
        );
        let unmarked = |text: &str| text.replace("80000010", "10");
        assert_eq!(compare(ops, &unmarked(c), &unmarked(rust)).0.len(), 1);

        let d1 = |tail: &str| {
            let c = format!("= a\n0 0\n1 0\n2 0\n3 0{tail}");
            let rust = format!("= a\n0 0\n1 0\n2 0\n3 -16{tail}");
            (c, rust)
        };
        let (c, rust) = d1(" en=1\nend keep\n");
        let ops = "= a\nopen 0 0\nfull 0 0\nmove 0\nsnap 1\n";
        assert_eq!(compare(ops, &c, &rust), (vec![], 1));
        // It has not moved; it is unmapped; it is not the end.
        assert_eq!(compare(&ops.replace("move", "stay"), &c, &rust).0.len(), 1);
        let unmapped = "= a\nfull 0 0\nmove 0\nunmap 0\nsnap 1\n";
        assert_eq!(compare(unmapped, &c, &rust).0.len(), 1);
        let (c, rust) = d1("\n4 0\nend keep\n");
        assert_eq!(compare(&format!("{ops}get 0\n"), &c, &rust).0.len(), 1);

        // Blocking, and not mapped.
        let c = "= a\n0 0\n1 -4\nend 0\n";
        let rust = "= a\n0 0\n1 -19\nend 0\n";
        assert_eq!(compare("= a\nopen 0 1\nget 0\n", c, rust), (vec![], 1));
        assert_eq!(compare("= a\nopen 0 0\nget 0\n", c, rust).0.len(), 1);

        let c = "= a\n0 0\nend 0\n";
        let rust = "= a\n0 -13\nend 0\n";
        assert_eq!(compare("= a\nprot 0 5 0\n", c, rust), (vec![], 1));
        assert_eq!(compare("= a\nprot 0 1 0\n", c, rust).0.len(), 1);
        assert_eq!(compare("= a\nprot 0 5 0\n", rust, c).0.len(), 1);
    }

    #[test]
    fn without_a_rule_it_is_a_difference() {
        let mut comparer = Comparer::new();
        comparer.drop_rule(Rule::D14);
        let all = scenarios("= a\nprot 0 5 0\n");
        let found = comparer.compare(&all, "= a\n0 0\nend 0\n", "= a\n0 -13\nend 0\n");
        assert_eq!(found.len(), 1);
    }
}
