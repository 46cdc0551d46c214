// SPDX-License-Identifier: LGPL-2.1-or-later

//! `ringmap list`: the events that can be traced.

use std::collections::BTreeSet;
use std::io::{self, Write};

use anyhow::Result;

use crate::cli::ListArgs;
use crate::session::tracefs;
use ringmap::select::{Catalog, Choice};

/// One event a line, by name.
pub fn list(args: &ListArgs) -> Result<()> {
    let instance = tracefs(args.tracefs.as_ref())?.instance(None)?;
    let catalog = Catalog::load(&instance)?;
    let mut chosen = BTreeSet::new();
    for selector in &args.events {
        chosen.extend(catalog.find(selector)?);
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    for (system, event) in catalog.iter() {
        let whole = Choice::System {
            system: system.into(),
        };
        let one = Choice::Event {
            system: system.into(),
            event: event.into(),
        };
        if args.events.is_empty() || chosen.contains(&whole) || chosen.contains(&one) {
            writeln!(out, "{system}:{event}")?;
        }
    }
    Ok(out.flush()?)
}
