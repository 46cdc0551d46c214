// SPDX-License-Identifier: LGPL-2.1-or-later

//! Instances of this program's own: one for each process, and what is left of those that were killed.

use std::fs;

use ringmap::control::Control;
use ringmap::tracefs::Tracefs;
use ringmap::undo::Undo;

/// What the instances of this program are called, before the number of their process.
const OWN: &str = "ringmap-";

/// Makes an instance of this process.
pub fn make(tracefs: &Tracefs, undo: Undo) -> ringmap::Result<Control> {
    let name = format!("{OWN}{}", std::process::id());
    // That of a dead process with the same number.
    let _ = tracefs.remove_instance(&name);
    Control::make(tracefs, &name, undo)
}

/// Removes what runs that were killed have left.
pub fn remove_dead(tracefs: &Tracefs) {
    for name in tracefs.instances().unwrap_or_default() {
        let pid = name
            .strip_prefix(OWN)
            .and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !lives(pid)) {
            // One in use cannot be removed, which is as well.
            let _ = tracefs.remove_instance(&name);
        }
    }
}

/// Whether that process is one of this program.
fn lives(pid: u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/comm"));
    // Without /proc, nobody is known to be dead.
    match name {
        Ok(name) => name.starts_with("ringmap"),
        Err(_) => !fs::exists("/proc/self").unwrap_or(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives() {
        assert!(lives(std::process::id()));
        assert!(!lives(1 << 22));
        // Another program has got the number.
        assert!(!lives(1));
    }

    #[test]
    fn the_dead_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("trace_clock"), "[local]").unwrap();
        let own = format!("{OWN}{}", std::process::id());
        for name in ["ringmap-4194304", "ringmap-x", "ringmap-", "theirs", &own] {
            fs::create_dir_all(dir.path().join("instances").join(name)).unwrap();
        }
        let tracefs = Tracefs::at(dir.path()).unwrap();
        remove_dead(&tracefs);
        let mut left = vec!["ringmap-", "ringmap-x", "theirs", &own];
        left.sort_unstable();
        assert_eq!(tracefs.instances().unwrap(), left);
    }
}
