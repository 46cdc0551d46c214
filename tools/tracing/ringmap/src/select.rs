// SPDX-License-Identifier: LGPL-2.1-or-later

//! Which events: `SYSTEM:EVENT:FILTER`, looked up among those that the kernel has.

use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

use crate::tracefs::Instance;
use crate::{Error, Result};

/// How many names are proposed in place of a wrong one.
const NEAR: usize = 3;

/// Some events, and perhaps a filter.
///
/// `sched` is a whole system, `sched:sched_switch` or `sched_switch` one event. Both names may be
/// globs: `syscalls:sys_enter_open*`. Behind a second colon stands the filter, in the words of
/// `Documentation/trace/events.rst`.
///
/// # Examples
///
/// ```
/// use ringmap::select::Selector;
///
/// let one: Selector = "sched:sched_switch:prev_pid == 1".parse().unwrap();
/// assert_eq!(one.filter(), Some("prev_pid == 1"));
/// assert!("".parse::<Selector>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    text: String,
    system: glob::Pattern,
    /// None if there was one name only, which may be that of a system or of an event.
    event: Option<glob::Pattern>,
    filter: Option<String>,
}

impl Selector {
    /// The filter.
    pub fn filter(&self) -> Option<&str> {
        self.filter.as_deref()
    }

    /// The names as they were given, without the filter.
    fn names(&self) -> &str {
        match &self.filter {
            Some(filter) => &self.text[..self.text.len() - filter.len() - 1],
            None => &self.text,
        }
    }
}

impl FromStr for Selector {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::Selector(text.into());
        let mut parts = text.splitn(3, ':');
        let mut name = || match parts.next() {
            None => Ok(None),
            Some("") => Err(bad()),
            Some(name) => glob::Pattern::new(name).map(Some).map_err(|_| bad()),
        };
        let system = name()?.ok_or_else(bad)?;
        let event = name()?;
        let filter = parts.next().map(str::to_owned);
        if filter.as_ref().is_some_and(|f| f.trim().is_empty()) {
            return Err(bad());
        }
        Ok(Selector {
            text: text.into(),
            system,
            event,
            filter,
        })
    }
}

/// What a selector stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Choice {
    /// All events of a system.
    System {
        /// Its name.
        system: String,
    },
    /// One event.
    Event {
        /// Its system.
        system: String,
        /// Its name.
        event: String,
    },
}

/// The events that can be had in an instance.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// By name, each with its events by name.
    systems: Vec<(String, Vec<String>)>,
}

/// The names of the directories in a directory, in order.
fn directories(path: &Path) -> Result<Vec<String>> {
    let read = || -> io::Result<Vec<_>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        names.sort_unstable();
        Ok(names)
    };
    read().map_err(|e| Error::io("read", path, e))
}

impl Catalog {
    /// Lists them.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::Permission`].
    pub fn load(instance: &Instance) -> Result<Self> {
        let root = instance.dir().join("events");
        let mut systems = Vec::new();
        for system in directories(&root)? {
            // Its events come from tracers, and cannot be enabled.
            if system != "ftrace" {
                let events = directories(&root.join(&system))?;
                systems.push((system, events));
            }
        }
        Ok(Catalog { systems })
    }

    /// All systems and their events.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.systems.iter().flat_map(|(system, events)| {
            let events = events.iter();
            events.map(move |event| (system.as_str(), event.as_str()))
        })
    }

    /// The events of a system.
    pub(crate) fn events(&self, system: &str) -> &[String] {
        let found = self.systems.iter().find(|(name, _)| name == system);
        found.map_or(&[], |(_, events)| events)
    }

    /// Looks up what a selector stands for. A single name is that of a system, else of events in any
    /// system.
    ///
    /// # Errors
    ///
    /// [`Error::NoEvent`] if there is no such event, with what is near.
    pub fn find(&self, selector: &Selector) -> Result<Vec<Choice>> {
        let mut found = Vec::new();
        let systems = self.systems.iter();
        let systems = systems.filter(|(system, _)| selector.system.matches(system));
        for (system, events) in systems {
            let Some(pattern) = &selector.event else {
                let system = system.clone();
                found.push(Choice::System { system });
                continue;
            };
            if pattern.as_str() == "*" && selector.filter.is_none() {
                let system = system.clone();
                found.push(Choice::System { system });
                continue;
            }
            found.extend(matching(system, events, pattern));
        }
        if found.is_empty() && selector.event.is_none() {
            let all = self.systems.iter();
            found.extend(
                all.flat_map(|(system, events)| matching(system, events, &selector.system)),
            );
        }
        match found.is_empty() {
            true => Err(Error::NoEvent {
                name: selector.names().into(),
                near: Near(self.near(selector)),
            }),
            false => Ok(found),
        }
    }

    /// The names that a selector may have meant.
    fn near(&self, selector: &Selector) -> Vec<String> {
        let systems = || self.systems.iter().map(|(system, _)| system.clone());
        let full = || {
            self.iter()
                .map(|(system, event)| format!("{system}:{event}"))
        };
        match &selector.event {
            None => {
                let name = selector.system.as_str();
                let mut names = near(name, systems());
                // By their event, and shown in full.
                let by_event = self.iter().map(|(_, event)| event.to_owned());
                let by_event = near(name, by_event);
                names.extend(full().filter(|full| {
                    let event = full.split_once(':').map(|(_, event)| event);
                    by_event.iter().any(|near| Some(near.as_str()) == event)
                }));
                names.truncate(NEAR);
                names
            }
            Some(event) => {
                let names = near(selector.names(), full());
                if !names.is_empty() {
                    return names;
                }
                // The event of another system, or its filter behind one colon.
                let event = event.as_str();
                let by_event = |name: &str| -> Vec<_> {
                    let suffix = format!(":{name}");
                    full()
                        .filter(|full| full.ends_with(&suffix))
                        .take(NEAR)
                        .collect()
                };
                let elsewhere = by_event(event);
                match elsewhere.is_empty() {
                    true => by_event(selector.system.as_str()),
                    false => elsewhere,
                }
            }
        }
    }
}

/// The events of a system that match.
fn matching(
    system: &str,
    events: &[String],
    pattern: &glob::Pattern,
) -> impl Iterator<Item = Choice> {
    let events = events.iter().filter(|event| pattern.matches(event));
    events.map(|event| Choice::Event {
        system: system.into(),
        event: event.clone(),
    })
}

/// Those of some names that are a typing error away, the nearest first.
pub fn near(name: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    let limit = (name.len() / 3).max(1);
    let distance = |other: String| (strsim::osa_distance(name, &other), other);
    let mut near: Vec<_> = names
        .map(distance)
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    near.sort();
    near.dedup();
    let nearest = near.first().map_or(0, |(distance, _)| *distance);
    near.retain(|(distance, _)| *distance <= nearest + 1);
    near.truncate(NEAR);
    near.into_iter().map(|(_, name)| name).collect()
}

/// Names that may have been meant, as the end of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Near(pub Vec<String>);

impl std::fmt::Display for Near {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0[..] {
            [] => Ok(()),
            [one] => write!(f, ": did you mean '{one}'?"),
            [most @ .., last] => write!(f, ": did you mean '{}' or '{last}'?", most.join("', '")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        let systems = [
            ("irq", &["irq_handler_entry", "softirq_raise"][..]),
            ("sched", &["sched_switch", "sched_wakeup", "sched_waking"]),
            (
                "syscalls",
                &["sys_enter_open", "sys_enter_openat", "sys_exit_open"],
            ),
        ];
        let owned = |(system, events): &(&str, &[&str])| {
            let events = events.iter().map(|event| (*event).to_owned());
            ((*system).to_owned(), events.collect())
        };
        Catalog {
            systems: systems.iter().map(owned).collect(),
        }
    }

    fn find(text: &str) -> String {
        match catalog().find(&text.parse().unwrap()) {
            Ok(found) => {
                let name = |choice| match choice {
                    Choice::System { system } => system,
                    Choice::Event { system, event } => format!("{system}:{event}"),
                };
                found.into_iter().map(name).collect::<Vec<_>>().join(" ")
            }
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn finds() {
        assert_eq!(find("sched"), "sched");
        assert_eq!(find("s*"), "sched syscalls");
        assert_eq!(find("sched:*"), "sched");
        assert_eq!(find("sched:sched_switch"), "sched:sched_switch");
        assert_eq!(find("sched_switch"), "sched:sched_switch");
        assert_eq!(find("softirq_*"), "irq:softirq_raise");
        assert_eq!(
            find("syscalls:sys_enter_open*"),
            "syscalls:sys_enter_open syscalls:sys_enter_openat"
        );
        // A filter is of an event.
        assert_eq!(
            find("irq:*:irq > 1"),
            "irq:irq_handler_entry irq:softirq_raise"
        );
    }

    #[test]
    fn proposes_what_is_near() {
        assert_eq!(
            find("sched:sched_swich"),
            "no event 'sched:sched_swich': did you mean 'sched:sched_switch'?"
        );
        assert_eq!(find("shced"), "no event 'shced': did you mean 'sched'?");
        assert_eq!(
            find("sched_wakin"),
            "no event 'sched_wakin': did you mean 'sched:sched_waking'?"
        );
        assert_eq!(
            find("sched:sched_wakip"),
            "no event 'sched:sched_wakip': did you mean 'sched:sched_wakeup' or 'sched:sched_waking'?"
        );
        assert_eq!(
            find("irq:sched_switch"),
            "no event 'irq:sched_switch': did you mean 'sched:sched_switch'?"
        );
        assert_eq!(
            find("sched_switch:prev_pid == 1"),
            "no event 'sched_switch:prev_pid == 1': did you mean 'sched:sched_switch'?"
        );
        assert_eq!(find("something else"), "no event 'something else'");
    }

    #[test]
    fn refuses() {
        for text in ["", ":", "a:", ":b", "a:b:", "a:b: ", "a[", "a:**x"] {
            let e = text.parse::<Selector>().unwrap_err();
            assert!(matches!(e, Error::Selector(_)), "{text}: {e}");
        }
        let selector: Selector = "a:b:c:d".parse().unwrap();
        assert_eq!((selector.filter(), selector.names()), (Some("c:d"), "a:b"));
    }
}
