// SPDX-License-Identifier: GPL-2.0

//! Whether rounds leave memory behind.

use std::{fs, thread, time::Duration};

const PAGE_OWNER: &str = "/sys/kernel/debug/page_owner_stacks/show_stacks";
const KMEMLEAK: &str = "/sys/kernel/debug/kmemleak";

/// Rounds before the caches have their size.
const WARM_UP: usize = 10;
/// Rounds that a trend is looked for in, at least.
const ENOUGH: usize = 20;
/// Pages that the caches may still take, in all.
const CACHES: i64 = 1024;
/// Pages that each round may seem to keep.
const TOLERANCE: i64 = 4;

fn sum(file: &str, key: &str) -> i64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let values = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix(key)?.trim().parse::<i64>().ok());
    values.sum()
}

/// Pages that are free, in the lists of CPUs too, or user space's.
fn free() -> i64 {
    sum("/proc/vmstat", "nr_free_pages ")
        + sum("/proc/vmstat", "nr_anon_pages ")
        + sum("/proc/vmstat", "nr_page_table_pages ")
        + sum("/proc/zoneinfo", "count:")
}

/// Free pages after each round.
#[derive(Default)]
pub struct Memory(Vec<i64>);

impl Memory {
    /// Takes note of the free pages, if nothing finds leaks more exactly. Kernels with kmemleak have
    /// KASAN as well, which keeps freed memory for later.
    pub fn sample(&mut self) {
        if fs::exists(KMEMLEAK).unwrap_or(false) {
            return;
        }
        let _ = fs::write("/proc/sys/vm/drop_caches", "3");
        self.0.push(free());
    }

    /// Pages that are missing at the end, and between how many rounds, if these were enough. The
    /// best round of the first and of the last third are compared: one that does not have its pages
    /// back yet does not count.
    pub fn missing(&self) -> Option<(i64, i64)> {
        let rounds = self.0.get(WARM_UP..).filter(|rest| rest.len() >= ENOUGH)?;
        let third = rounds.len() / 3;
        let first = rounds[..third].iter().max()?;
        let last = rounds[rounds.len() - third..].iter().max()?;
        Some((first - last, (rounds.len() - third) as i64))
    }

    /// A line on it, and whether that is good.
    pub fn verdict(&self) -> (String, bool) {
        match self.missing() {
            Some((pages, rounds)) => {
                let text = format!("{pages} pages went in {rounds} rounds");
                (text, pages <= CACHES.min(256 + TOLERANCE * rounds))
            }
            None => ("too few rounds to look for lost pages".into(), true),
        }
    }
}

/// The pages that the mapping has now, and where each was allocated. None when nothing is mapped.
/// The slab allocator's are not among them, as it keeps them for later, nor are page tables, which
/// the process keeps.
fn mapping_pages() -> Option<(i64, String)> {
    let stacks = fs::read_to_string(PAGE_OWNER).ok()?;
    let others = ["slab", "pte_alloc", "pmd_alloc"];
    let ours = |stack: &&str| {
        stack.contains("ring_buffer_map") && !others.iter().any(|other| stack.contains(other))
    };
    let (mut pages, mut places) = (0, String::new());
    for stack in stacks.split("\n\n").filter(ours) {
        let number = stack
            .split_once("nr_base_pages: ")
            .and_then(|(_, rest)| rest.lines().next()?.trim().parse::<i64>().ok());
        if let Some(number @ 1..) = number {
            let place: Vec<_> = stack.lines().map(str::trim).collect();
            pages += number;
            places += &format!(" {};", place.join(" "));
        }
    }
    Some((pages, places))
}

/// What the kernel's own debugging finds, if it has it: pages that the mapping still has, and objects
/// that nothing points to.
pub fn leaks() -> Option<String> {
    if let Some((pages, places)) = mapping_pages()
        && pages != 0
    {
        return Some(format!("{pages} pages of the mapping are left:{places}"));
    }
    if !fs::exists(KMEMLEAK).unwrap_or(false) {
        return None;
    }
    // An object is to be older than 5 seconds, and to look lost twice.
    thread::sleep(Duration::from_millis(5500));
    for _ in 0..2 {
        fs::write(KMEMLEAK, "scan").ok()?;
    }
    let reports = fs::read_to_string(KMEMLEAK).ok()?;
    (!reports.is_empty()).then(|| format!("kmemleak:\n{reports}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds that keep so many pages each, with some noise.
    fn rounds(nr: i64, kept: i64) -> Memory {
        let free = |round: i64| 100_000 - kept * round - round % 7 * 30;
        Memory((0..nr).map(free).collect())
    }

    #[test]
    fn noise_is_no_leak() {
        assert!(rounds(200, 0).verdict().1);
        assert!(rounds(200, 1).verdict().1);
    }

    #[test]
    fn a_leak_is_one() {
        assert!(!rounds(100, 10).verdict().1);
        assert!(!rounds(1000, 2).verdict().1);
    }

    #[test]
    fn a_few_rounds_say_nothing() {
        assert_eq!(rounds(15, 1000).missing(), None);
    }
}
