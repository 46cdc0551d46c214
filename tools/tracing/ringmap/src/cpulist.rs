// SPDX-License-Identifier: LGPL-2.1-or-later

//! Lists of CPUs as the kernel writes them: `0-3,6`.

use crate::{Error, Result};

/// No machine has more CPUs; a longer range is a typing error.
const MAX_CPUS: u32 = 1 << 16;

/// Parses a list of CPUs. The result is sorted and holds each CPU once.
///
/// # Errors
///
/// [`Error::CpuList`] if the text is no such list, or an empty one.
///
/// # Examples
///
/// ```
/// assert_eq!(ringmap::cpulist::parse("0-2,5").unwrap(), [0, 1, 2, 5]);
/// assert!(ringmap::cpulist::parse("2-0").is_err());
/// ```
pub fn parse(text: &str) -> Result<Vec<u32>> {
    let bad = || Error::CpuList(text.trim().into());
    let number = |s: &str| s.trim().parse::<u32>().ok().filter(|n| *n < MAX_CPUS);
    let mut cpus = Vec::new();

    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first = number(first).ok_or_else(bad)?;
        let last = number(last).ok_or_else(bad)?;
        if first > last {
            return Err(bad());
        }
        cpus.extend(first..=last);
    }
    cpus.sort_unstable();
    cpus.dedup();
    Ok(cpus)
}

/// Writes a sorted list of CPUs.
///
/// # Examples
///
/// ```
/// assert_eq!(ringmap::cpulist::format(&[0, 1, 2, 5]), "0-2,5");
/// ```
pub fn format(cpus: &[u32]) -> String {
    let runs = cpus.chunk_by(|a, b| a + 1 == *b);
    let run = |run: &[u32]| match run {
        [first, .., last] => format!("{first}-{last}"),
        [one] => one.to_string(),
        [] => String::new(),
    };
    runs.map(run).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::{MAX_CPUS, format, parse};

    #[test]
    fn lists() {
        assert_eq!(parse("0\n").unwrap(), [0]);
        assert_eq!(parse("3,0-1,1").unwrap(), [0, 1, 3]);
        assert_eq!(parse("65535").unwrap(), [MAX_CPUS - 1]);
    }

    #[test]
    fn there_and_back() {
        for text in ["0", "0-1", "0-3,6", "1,3,5", "7-9,11-12"] {
            assert_eq!(format(&parse(text).unwrap()), text);
        }
        assert_eq!(format(&[]), "");
    }

    #[test]
    fn refuses_what_is_no_list() {
        for text in ["", "a", "1-", "-1", "3-1", "0,,1", "65536", "0-4294967295"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
