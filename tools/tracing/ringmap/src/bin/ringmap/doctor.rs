// SPDX-License-Identifier: LGPL-2.1-or-later

//! `ringmap doctor`: what can be done on this machine.

use std::io::{self, Write};

use anyhow::Result;

use crate::cli::DoctorArgs;
use crate::{own, session};
use ringmap::cpulist;
use ringmap::kernel::Implementation;
use ringmap::reader::CpuBuffer;
use ringmap::select::Catalog;

/// One line for each thing that somebody who helps will ask for.
pub fn doctor(args: &DoctorArgs) -> Result<()> {
    let mut out = io::stdout();
    let tracefs = session::tracefs(args.tracefs.as_ref())?;
    writeln!(out, "tracefs: {}", tracefs.root().display())?;
    writeln!(out, "implementation: {}", Implementation::detect())?;

    let (guard, undo) = crate::guard::Guard::start();
    let control = own::make(&tracefs, undo)?;
    let instance = control.instance();
    let (online, possible) = (instance.cpus()?, instance.possible_cpus()?);
    let (online_list, possible_list) = (cpulist::format(&online), cpulist::format(&possible));
    writeln!(out, "cpus: {online_list} online, {possible_list} possible")?;
    writeln!(out, "events: {}", Catalog::load(instance)?.iter().count())?;
    writeln!(out, "clock: {}", instance.clock()?)?;
    if let Some(cpu) = online.first() {
        let buffer = CpuBuffer::open(instance, *cpu)?;
        let g = buffer.geometry();
        let kib = g.subbuf_size / 1024;
        let (count, access) = (g.nr_subbufs, buffer.access());
        writeln!(out, "buffer: {count} sub-buffers of {kib} KiB, {access}")?;
    }
    control.finish()?;
    drop(guard);
    Ok(())
}
