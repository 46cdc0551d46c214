// SPDX-License-Identifier: GPL-2.0

//! The memory of the machine.
//!
//! Each word keeps all values that were stored to it, in coherence order. A load may return any of
//! them that is not too old for the CPU. What is too old is in the CPU's [`View`]: for each word,
//! the oldest store that the CPU may still see.
//!
//! A barrier moves no data. A write barrier makes later stores carry a view, and a read barrier
//! makes the views count that earlier loads have met.

/// As many words as the largest model has.
const WORDS: usize = 16;

/// A place in memory.
pub type Word = usize;

/// For each word, the number of its oldest store that may be seen.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct View([u8; WORDS]);

impl View {
    fn join(&mut self, other: &View) {
        for (mine, other) in self.0.iter_mut().zip(other.0) {
            *mine = (*mine).max(other);
        }
    }

    /// A store was put into the coherence order of `word`: those behind it have moved.
    fn make_room(&mut self, word: Word, store: u8) {
        if self.0[word] >= store {
            self.0[word] += 1;
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Store {
    value: u32,
    /// What is seen, too, after a read barrier behind the load of the value.
    carries: View,
}

/// The order that a CPU keeps.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Order {
    /// What its loads may see.
    seen: View,
    /// What its loads may see after the next read barrier.
    met: View,
    /// Its own stores.
    stored: View,
    /// What its stores carry: its own stores before the last write barrier.
    fenced: View,
    /// Whether it is in a read-side section of RCU.
    in_section: bool,
}

impl Order {
    /// `smp_rmb()`: loads before it are satisfied before those behind it.
    pub fn rmb(&mut self) {
        self.seen.join(&self.met);
    }

    /// `smp_wmb()`: stores before it are visible before those behind it.
    pub fn wmb(&mut self) {
        self.fenced.join(&self.stored);
    }

    /// What is behind the end of another process comes after all that it did.
    pub fn join(&mut self, other: &Order) {
        self.seen.join(&other.seen);
        self.seen.join(&other.met);
    }

    fn make_room(&mut self, word: Word, store: u8) {
        for view in [
            &mut self.seen,
            &mut self.met,
            &mut self.stored,
            &mut self.fenced,
        ] {
            view.make_room(word, store);
        }
    }
}

/// All of the memory, and the order that each CPU keeps.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Memory {
    words: Vec<Vec<Store>>,
    /// Full barriers have one order: each sees what those before it have seen.
    full: View,
    /// What was seen before the grace periods. A section that begins later sees it.
    grace: View,
    /// What was seen at the ends of the sections. A grace period that ends later sees it.
    sections: View,
    pub orders: Vec<Order>,
}

impl Memory {
    /// Every word is 0.
    pub fn new(cpus: usize) -> Self {
        let zero = Store {
            value: 0,
            carries: View::default(),
        };
        Memory {
            words: vec![vec![zero]; WORDS],
            full: View::default(),
            grace: View::default(),
            sections: View::default(),
            orders: vec![Order::default(); cpus],
        }
    }

    /// The stores that a load of the CPU may be satisfied by.
    pub fn visible(&self, cpu: usize, word: Word) -> std::ops::Range<u8> {
        self.orders[cpu].seen.0[word]..self.words[word].len() as u8
    }

    /// Satisfies a load by one of the visible stores. Returns its value.
    pub fn load(&mut self, cpu: usize, word: Word, store: u8, acquire: bool) -> u32 {
        let Store { value, carries } = &self.words[word][store as usize];
        let order = &mut self.orders[cpu];

        order.seen.0[word] = store;
        order.met.join(carries);
        if acquire {
            order.seen.join(carries);
        }
        *value
    }

    /// Where in the coherence order a store of the CPU may go: behind all that it has seen.
    pub fn places(&self, cpu: usize, word: Word) -> std::ops::Range<u8> {
        self.orders[cpu].seen.0[word] + 1..self.words[word].len() as u8 + 1
    }

    /// Stores at one of these places.
    pub fn store(&mut self, cpu: usize, word: Word, value: u32, place: u8, release: bool) {
        self.make_room(word, place);

        let order = &mut self.orders[cpu];
        let mut carries = order.fenced;

        if release {
            carries.join(&order.seen);
            carries.join(&order.met);
        }
        carries.0[word] = place;
        order.seen.0[word] = place;
        order.stored.0[word] = place;
        self.words[word].insert(place as usize, Store { value, carries });
    }

    /// `smp_mb()`.
    pub fn mb(&mut self, cpu: usize) {
        let order = &mut self.orders[cpu];

        order.rmb();
        order.seen.join(&self.full);
        self.full = order.seen;
        order.fenced = order.seen;
    }

    pub fn rcu_read_lock(&mut self, cpu: usize) {
        let order = &mut self.orders[cpu];

        order.in_section = true;
        order.seen.join(&self.grace);
    }

    pub fn rcu_read_unlock(&mut self, cpu: usize) {
        let order = &mut self.orders[cpu];

        order.in_section = false;
        self.sections.join(&order.seen);
        self.sections.join(&order.met);
    }

    /// Whether a grace period can end: what was a section when it began is over.
    pub fn is_quiescent(&self) -> bool {
        !self.orders.iter().any(|order| order.in_section)
    }

    /// `synchronize_rcu()`, at a moment without any section.
    pub fn synchronize_rcu(&mut self, cpu: usize) {
        self.mb(cpu);
        self.grace.join(&self.orders[cpu].seen);
        self.orders[cpu].seen.join(&self.sections);
        self.mb(cpu);
    }

    fn make_room(&mut self, word: Word, place: u8) {
        for view in [&mut self.full, &mut self.grace, &mut self.sections] {
            view.make_room(word, place);
        }
        for order in &mut self.orders {
            order.make_room(word, place);
        }
        for store in self.words.iter_mut().flatten() {
            store.carries.make_room(word, place);
        }
    }
}
