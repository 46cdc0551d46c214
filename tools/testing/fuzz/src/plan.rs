// SPDX-License-Identifier: GPL-2.0

//! What a round does: all of it follows from its seed.

use crate::{kind::Kind, random::Random};

/// Which consumers a round has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// read(), splice() and trace_pipe.
    Copied,
    /// GET_READER.
    Mapped,
    Both,
}

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Writes markers.
    Writer,
    /// Maps and unmaps.
    Mapper,
    /// Consumes through a mapping.
    Reader,
    /// Consumes copies.
    Copier,
    /// Does what loses no event unseen.
    Toggler,
    /// Does all the rest.
    Control,
}

impl Role {
    /// The kinds of operations, and how likely each is.
    pub fn kinds(self) -> &'static [(Kind, u64)] {
        use Kind::*;
        match self {
            Self::Writer => &[(Write, 20), (WriteRaw, 20), (Pin, 1)],
            Self::Mapper => &[
                (Map, 24),
                (Unmap, 16),
                (UnmapPart, 3),
                (Move, 6),
                (Remap, 3),
                (Fork, 2),
                (Protect, 3),
                (Pin, 2),
            ],
            Self::Reader => &[(GetReader, 20), (GetReaderWait, 2), (Map, 2), (Unmap, 3)],
            Self::Copier => &[(Read, 12), (Splice, 12), (Pipe, 3), (Pin, 1)],
            Self::Toggler => &[(Toggle, 8), (Iterate, 4), (Hotplug, 1)],
            Self::Control => &[
                (Size, 6),
                (Order, 6),
                (Reset, 4),
                (ResetCpu, 4),
                (Snapshot, 8),
                (Trigger, 4),
                (Instance, 4),
                (Hotplug, 1),
                (Toggle, 4),
                (Events, 4),
                (Iterate, 2),
            ],
        }
    }

    /// One kind out of these.
    pub fn pick(self, random: &mut Random) -> Kind {
        let kinds = self.kinds();
        let mut at = random.below(kinds.iter().map(|(_, weight)| weight).sum());
        for &(kind, weight) in kinds {
            if at < weight {
                return kind;
            }
            at -= weight;
        }
        unreachable!("{at} is below the sum of all weights")
    }
}

pub struct Plan {
    pub seed: u64,
    pub reading: Reading,
    /// Tracepoints and the function tracer write, too, also in interrupts.
    pub noise: bool,
    /// Events may vanish unseen: by a reset, another size, a snapshot.
    pub wild: bool,
    pub roles: Vec<Role>,
    pub milliseconds: u64,
    pub buffer_kib: u64,
    pub subbuf_kib: u64,
    pub percent: u64,
    pub overwrite: bool,
    pub counter_clock: bool,
    /// Copies are not taken while a mapping is looked at, from which they could take the page away.
    pub exclusive: bool,
    /// Grace periods are short.
    pub expedited: bool,
}

impl Plan {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let reading = random.pick(&[Reading::Copied, Reading::Mapped, Reading::Both]);
        let wild = random.one_in(2);
        let mut roles = vec![Role::Writer, Role::Mapper];
        if reading != Reading::Copied {
            roles.push(Role::Reader);
        }
        if reading != Reading::Mapped {
            roles.push(Role::Copier);
        }
        if wild {
            roles.push(Role::Control);
        } else if random.one_in(2) {
            roles.push(Role::Toggler);
        }
        for _ in 0..random.below(3) {
            roles.push(random.pick(&roles));
        }
        let subbuf_kib = random.pick(&[4, 4, 4, 8, 32]);
        let (small, large) = (random.range(3, 24), random.range(64, 400));
        Self {
            seed,
            reading,
            noise: random.one_in(2),
            wild,
            roles,
            milliseconds: random.range(200, 1200),
            // A large one takes longer to map.
            buffer_kib: subbuf_kib * random.pick(&[small, small, large]),
            subbuf_kib,
            percent: random.pick(&[0, 0, 1, 50]),
            overwrite: !random.one_in(4),
            counter_clock: random.one_in(3),
            exclusive: reading == Reading::Both && random.one_in(2),
            expedited: !random.one_in(3),
        }
    }

    /// Whether each event can be accounted for in the end.
    pub fn exact(&self) -> bool {
        !self.wild && !self.noise
    }

    /// The operations of one thread.
    pub fn operations(&self, worker: usize) -> Random {
        let mut random = Random::new(self.seed ^ (worker as u64 + 1) << 40);
        Random::new(random.next())
    }

    pub fn text(&self) -> String {
        let roles: Vec<_> = self.roles.iter().map(|role| format!("{role:?}")).collect();
        format!(
            "{:?}{}{}{}, {} KiB of {}, {} ms, {}",
            self.reading,
            if self.exclusive { ", exclusive" } else { "" },
            if self.noise { ", noise" } else { "" },
            if self.wild { ", wild" } else { "" },
            self.buffer_kib,
            self.subbuf_kib,
            self.milliseconds,
            roles.join(" ")
        )
    }
}
