// SPDX-License-Identifier: LGPL-2.1-or-later

//! The CPUs that may be read, as they come online.
//!
//! tracefs has files for each CPU that the machine may ever get. The kernel makes a CPU's buffer when
//! it comes online for the first time, and keeps it when the CPU goes: what is in it can be read.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::tracefs::Instance;
use crate::{Error, Result, cpulist};

/// Which CPUs are online.
const ONLINE: &str = "/sys/devices/system/cpu/online";

/// The CPUs of an instance that are not open yet.
#[derive(Debug)]
pub struct Waiting {
    instance: Instance,
    cpus: BTreeSet<u32>,
    online: PathBuf,
}

impl Waiting {
    /// Those that are `wanted`, or all that the machine may get.
    ///
    /// # Errors
    ///
    /// [`Error::NoCpu`] if one is wanted that it cannot get; [`Error::Io`] or [`Error::Permission`].
    pub fn new(instance: &Instance, wanted: Option<&[u32]>) -> Result<Self> {
        let possible: BTreeSet<_> = instance.possible_cpus()?.into_iter().collect();
        let cpus = match wanted {
            Some(wanted) => wanted.iter().copied().collect(),
            None => possible.clone(),
        };
        if let Some(cpu) = cpus.difference(&possible).next() {
            return Err(Error::NoCpu {
                cpu: *cpu,
                path: instance.per_cpu(*cpu, ""),
            });
        }
        Ok(Waiting {
            instance: instance.clone(),
            cpus,
            online: ONLINE.into(),
        })
    }

    /// The CPUs that can be opened now: those that are online, and those that were and have left
    /// something. Each is named once.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Permission`], or [`Error::Parse`].
    pub fn first(&mut self) -> Result<Vec<u32>> {
        let mut cpus = self.come();
        for cpu in &self.cpus {
            let stats = self.instance.stats(*cpu)?;
            if stats.entries + stats.overrun + stats.read > 0 {
                cpus.push(*cpu);
            }
        }
        self.cpus.retain(|cpu| !cpus.contains(cpu));
        cpus.sort_unstable();
        Ok(cpus)
    }

    /// The CPUs that have come online since. It reads one file, and so may be called often.
    pub fn come(&mut self) -> Vec<u32> {
        if self.cpus.is_empty() {
            return Vec::new();
        }
        let online = fs::read_to_string(&self.online).ok();
        let Some(online) = online.and_then(|text| cpulist::parse(&text).ok()) else {
            // Without sysfs every CPU is taken for online.
            return std::mem::take(&mut self.cpus).into_iter().collect();
        };
        let come: Vec<_> = online
            .into_iter()
            .filter(|cpu| self.cpus.contains(cpu))
            .collect();
        self.cpus.retain(|cpu| !come.contains(cpu));
        come
    }

    /// The CPUs that have not come yet.
    pub fn cpus(&self) -> impl Iterator<Item = u32> {
        self.cpus.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracefs::tests::Fake;

    /// A machine with CPUs 0 to 3.
    fn machine(wanted: Option<&[u32]>) -> (Fake, Waiting) {
        let fake = Fake::new();
        for cpu in 0..4 {
            stats(&fake, cpu, 0);
        }
        let instance = fake.tracefs().instance(None).unwrap();
        let mut waiting = Waiting::new(&instance, wanted).unwrap();
        waiting.online = fake.tracefs().root().join("online");
        (fake, waiting)
    }

    fn stats(fake: &Fake, cpu: u32, entries: u32) {
        let text = format!(
            "entries: {entries}\noverrun: 0\ncommit overrun: 0\nbytes: 0\n\
             dropped events: 0\nread events: 0\n"
        );
        fake.put(&format!("per_cpu/cpu{cpu}/stats"), &text);
    }

    #[test]
    fn cpus_are_named_as_they_come() {
        let (fake, mut waiting) = machine(None);
        fake.put("online", "0-1\n");
        // CPU 2 is gone, and its events are not.
        stats(&fake, 2, 7);
        assert_eq!(waiting.first().unwrap(), [0, 1, 2]);
        assert!(waiting.come().is_empty());
        fake.put("online", "0-1,3\n");
        assert_eq!(waiting.come(), [3]);
        fake.put("online", "0-3\n");
        assert!(waiting.come().is_empty());
    }

    #[test]
    fn without_sysfs_all_are_online() {
        let (_fake, mut waiting) = machine(None);
        assert_eq!(waiting.first().unwrap(), [0, 1, 2, 3]);
    }

    #[test]
    fn only_those_wanted() {
        let (fake, mut waiting) = machine(Some(&[1, 3]));
        fake.put("online", "0-1\n");
        assert_eq!(waiting.first().unwrap(), [1]);
        assert_eq!(waiting.cpus().collect::<Vec<_>>(), [3]);
        fake.put("online", "0-3\n");
        assert_eq!(waiting.come(), [3]);
    }

    #[test]
    fn one_that_the_machine_cannot_get() {
        let fake = Fake::new();
        let instance = fake.tracefs().instance(None).unwrap();
        let e = Waiting::new(&instance, Some(&[0, 9])).unwrap_err();
        assert!(matches!(e, Error::NoCpu { cpu: 9, .. }), "{e}");
    }
}
