// SPDX-License-Identifier: GPL-2.0

//! The ids of sub-buffers on the two kernels.
//!
//! C numbers the sub-buffers anew at each first mapping, in the order of the ring. Rust keeps the
//! ids of a buffer that was mapped before. So an id of one kernel stands for an id of the other,
//! for as long as there is a mapping, and no two stand for the same.

/// The content of a mapping, sub-buffer by sub-buffer, as a result of "scan".
pub struct Scan {
    /// A hash of what is behind the fields of the meta-page.
    pub meta: u64,
    /// The id of the first sub-buffer.
    pub first: usize,
    /// A hash of each sub-buffer.
    pub subbufs: Vec<u64>,
}

impl Scan {
    pub fn text(&self) -> String {
        let hashes: Vec<_> = self
            .subbufs
            .iter()
            .map(|hash| format!("{hash:x}"))
            .collect();
        format!("{:x}:{}:{}", self.meta, self.first, hashes.join(","))
    }

    fn parse(text: &str) -> Option<Self> {
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let mut words = text.split(':');

        Some(Self {
            meta: hex(words.next()?)?,
            first: words.next()?.parse().ok()?,
            subbufs: words
                .next()?
                .split(',')
                .filter(|word| !word.is_empty())
                .map(hex)
                .collect::<Option<_>>()?,
        })
    }

    fn get(&self, id: u64) -> Option<u64> {
        let at = usize::try_from(id).ok()?.checked_sub(self.first)?;
        self.subbufs.get(at).copied()
    }
}

/// Which id with C stands for which with Rust, as far as it is known.
#[derive(Default)]
pub struct SubbufIds(Vec<(u64, u64)>);

impl SubbufIds {
    /// Whether these may be ids of the same sub-buffer. From now on, they are.
    pub fn agree(&mut self, c: u64, rust: u64) -> bool {
        match self.0.iter().find(|pair| pair.0 == c || pair.1 == rust) {
            Some(pair) => *pair == (c, rust),
            None => {
                self.0.push((c, rust));
                true
            }
        }
    }

    /// Whether two results of "scan" have the same sub-buffers, of `nr` that there are. Those of a
    /// part of the buffer need not be the same ones.
    pub fn scans_agree(&self, c: &str, rust: &str, nr: Option<u64>) -> bool {
        let (Some(c), Some(rust)) = (Scan::parse(c), Scan::parse(rust)) else {
            return false;
        };
        let sorted = |scan: &Scan| {
            let mut all = scan.subbufs.clone();
            all.sort_unstable();
            all
        };
        let shape = |scan: &Scan| (scan.meta, scan.first, scan.subbufs.len());
        let known = self
            .0
            .iter()
            .all(|&(c_id, rust_id)| match (c.get(c_id), rust.get(rust_id)) {
                (Some(c), Some(rust)) => c == rust,
                _ => true,
            });

        shape(&c) == shape(&rust)
            && known
            && (nr != Some(c.subbufs.len() as u64) || sorted(&c) == sorted(&rust))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stands_for_one() {
        let mut ids = SubbufIds::default();

        for (c, rust, agree) in [
            (0, 2, true),
            (1, 0, true),
            (0, 2, true),
            (0, 0, false),
            (3, 2, false),
            (2, 1, true),
        ] {
            assert_eq!(ids.agree(c, rust), agree, "{c} {rust}");
        }
    }

    #[test]
    fn scans_agree_up_to_the_ids() {
        let mut ids = SubbufIds::default();

        assert!(ids.scans_agree("a:0:1,2,3", "a:0:3,1,2", Some(3)));
        for other in [
            "b:0:3,1,2",
            "a:1:3,1,2",
            "a:0:3,1",
            "a:0:3,1,4",
            "a:0:3,1,x",
            "0",
            "none",
        ] {
            assert!(!ids.scans_agree("a:0:1,2,3", other, Some(3)), "{other}");
        }
        // A part.
        assert!(ids.scans_agree("a:1:1,2", "a:1:3,4", Some(3)));
        assert!(ids.agree(2, 1));
        assert!(!ids.scans_agree("a:1:1,2", "a:1:3,4", Some(3)));
        assert!(ids.scans_agree("a:1:1,2", "a:1:2,4", Some(3)));
        assert!(!ids.scans_agree("a:0:1,2,3", "a:0:3,1,2", Some(3)));
        assert!(ids.scans_agree("a:0:1,2,3", "a:0:2,3,1", Some(3)));
    }

    #[test]
    fn a_scan_can_be_read() {
        for text in ["7f:0:1,2", "0:3:", "0:0:ffffffffffffffff"] {
            assert_eq!(Scan::parse(text).unwrap().text(), text);
        }
    }
}
