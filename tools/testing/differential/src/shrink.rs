// SPDX-License-Identifier: GPL-2.0

//! Makes a scenario short on which two kernels differ.
//!
//! Delta debugging: leave out parts, first large, then small ones, for as long as the rest still
//! differs. All candidates of a round are scenarios of one run, so that a round takes no longer than
//! to boot the two kernels once.

use crate::{
    compare::Comparer,
    transcript::{Scenario, scenarios},
};
use std::{fs, process::Command};

/// Says which of some candidates differ.
pub trait Oracle {
    fn differ(&mut self, candidates: &[Scenario]) -> Result<Vec<bool>, String>;
}

/// Runs candidates on both kernels, by a command that gets the names of three files.
pub struct Kernels<'a> {
    pub command: &'a str,
}

impl Oracle for Kernels<'_> {
    fn differ(&mut self, candidates: &[Scenario]) -> Result<Vec<bool>, String> {
        let dir = std::env::temp_dir().join(format!("differential-{}", std::process::id()));
        let error = |err: std::io::Error| err.to_string();
        let [ops, c, rust] = ["ops", "c", "rust"].map(|name| dir.join(name));
        let text: String = candidates.iter().map(Scenario::text).collect();

        fs::create_dir_all(&dir).map_err(error)?;
        fs::write(&ops, &text).map_err(error)?;
        // A kernel that died has an incomplete transcript. That is for the comparison.
        let _ = Command::new(self.command)
            .args([&ops, &c, &rust])
            .status()
            .map_err(error)?;
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let found = Comparer::new().compare(&scenarios(&text), &read(c), &read(rust));
        let _ = fs::remove_dir_all(&dir);

        // After a candidate that one kernel did not survive, nothing is known of the others.
        let died = found
            .iter()
            .position(|difference| difference.to_string().contains("did not get there"));
        let known = died.map_or(found.len(), |at| at + 1);
        let mut result = vec![false; candidates.len()];
        for difference in &found[..known] {
            result[difference.scenario] = true;
        }
        Ok(result)
    }
}

/// The shortest list that was found.
pub fn shrink(scenario: &Scenario, oracle: &mut impl Oracle) -> Result<Scenario, String> {
    let with = |ops: Vec<String>| Scenario {
        name: scenario.name.clone(),
        ops,
    };
    let mut best = scenario.clone();

    if !oracle.differ(std::slice::from_ref(&best))?[0] {
        return Err("it does not differ, on its own".to_owned());
    }
    // What comes after the difference has no part in it: find the shortest beginning, 16 at a time.
    let mut low = 0;
    while best.ops.len() - low > 1 {
        let step = (best.ops.len() - low).div_ceil(16);
        let ends: Vec<usize> = (low + step..best.ops.len()).step_by(step).collect();
        let all: Vec<Scenario> = ends
            .iter()
            .map(|&end| with(best.ops[..end].to_vec()))
            .collect();
        match oracle.differ(&all)?.iter().position(|&differs| differs) {
            Some(at) => {
                low = ends[at] - step;
                best = all[at].clone();
            }
            None => match ends.last() {
                Some(&end) => low = end,
                None => break,
            },
        }
    }

    let mut parts = 2;
    while best.ops.len() > 1 {
        let size = best.ops.len().div_ceil(parts);
        let all: Vec<Scenario> = (0..best.ops.len())
            .step_by(size)
            .map(|from| {
                let to = (from + size).min(best.ops.len());
                with([&best.ops[..from], &best.ops[to..]].concat())
            })
            .collect();
        eprintln!("{} operations, {} candidates", best.ops.len(), all.len());
        if let Some(at) = oracle.differ(&all)?.iter().position(|&differs| differs) {
            best = all[at].clone();
            parts = (parts - 1).max(2);
        } else if size == 1 {
            break;
        } else {
            parts = (parts * 2).min(best.ops.len());
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Differs where all of these operations are, in that order.
    struct Needs(&'static [&'static str], usize);

    impl Oracle for Needs {
        fn differ(&mut self, candidates: &[Scenario]) -> Result<Vec<bool>, String> {
            self.1 += 1;
            let differs = |scenario: &Scenario| {
                let mut ops = scenario.ops.iter();
                self.0.iter().all(|need| ops.any(|op| op == need))
            };
            Ok(candidates.iter().map(differs).collect())
        }
    }

    #[test]
    fn only_what_matters_is_left() {
        let ops = (0..1000).map(|i| i.to_string()).collect();
        let name = "a".to_owned();
        let scenario = Scenario { name, ops };

        for needs in [&["3", "500", "501"][..], &["999"], &["0"], &["0", "999"]] {
            let mut oracle = Needs(needs, 0);
            assert_eq!(shrink(&scenario, &mut oracle).unwrap().ops, needs);
            assert!(oracle.1 < 60, "{} rounds for {needs:?}", oracle.1);
        }
        assert!(shrink(&scenario, &mut Needs(&["none"], 0)).is_err());
    }
}
