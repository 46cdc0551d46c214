// SPDX-License-Identifier: GPL-2.0

//! The kinds of operations.

/// One kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Write,
    WriteRaw,
    Pin,
    Map,
    Unmap,
    UnmapPart,
    Move,
    Remap,
    Fork,
    Protect,
    GetReader,
    GetReaderWait,
    Read,
    Splice,
    Pipe,
    Iterate,
    Size,
    Order,
    Reset,
    ResetCpu,
    Snapshot,
    Trigger,
    Instance,
    Hotplug,
    Toggle,
    Events,
}

impl Kind {
    pub const ALL: [(Kind, &'static str); 26] = [
        (Self::Write, "write"),
        (Self::WriteRaw, "write-raw"),
        (Self::Pin, "pin"),
        (Self::Map, "map"),
        (Self::Unmap, "unmap"),
        (Self::UnmapPart, "unmap-part"),
        (Self::Move, "move"),
        (Self::Remap, "remap"),
        (Self::Fork, "fork"),
        (Self::Protect, "protect"),
        (Self::GetReader, "get-reader"),
        (Self::GetReaderWait, "get-reader-wait"),
        (Self::Read, "read"),
        (Self::Splice, "splice"),
        (Self::Pipe, "pipe"),
        (Self::Iterate, "iterate"),
        (Self::Size, "size"),
        (Self::Order, "order"),
        (Self::Reset, "reset"),
        (Self::ResetCpu, "reset-cpu"),
        (Self::Snapshot, "snapshot"),
        (Self::Trigger, "trigger"),
        (Self::Instance, "instance"),
        (Self::Hotplug, "hotplug"),
        (Self::Toggle, "toggle"),
        (Self::Events, "events"),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    pub fn by_name(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, other)| *other == name);
        found.map(|(kind, _)| *kind)
    }
}

/// How often each kind of operation succeeded, and how often the kernel refused it.
#[derive(Clone, Default)]
pub struct Counts([(u64, u64); Kind::ALL.len()]);

impl Counts {
    pub fn add(&mut self, kind: Kind, refused: bool) {
        let (good, bad) = &mut self.0[kind as usize];
        *if refused { bad } else { good } += 1;
    }

    pub fn merge(&mut self, other: &Self) {
        for (to, from) in self.0.iter_mut().zip(other.0) {
            *to = (to.0 + from.0, to.1 + from.1);
        }
    }

    pub fn total(&self) -> u64 {
        self.0.iter().map(|(good, bad)| good + bad).sum()
    }

    /// As "name=good/refused" for those that there are.
    pub fn text(&self) -> String {
        let all = Kind::ALL.iter().zip(self.0);
        let used = all.filter(|(_, (good, bad))| good + bad > 0);
        let words: Vec<_> = used
            .map(|((_, name), (good, bad))| format!("{name}={good}/{bad}"))
            .collect();
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order() {
        for (at, (kind, name)) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at);
            assert_eq!(Kind::by_name(name), Some(kind));
        }
    }
}
