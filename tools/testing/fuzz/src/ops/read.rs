// SPDX-License-Identifier: GPL-2.0

//! The consumers: GET_READER, read(), splice() and trace_pipe.

use crate::{
    events::{self, HEADER},
    random::Random,
    shared::Shared,
    stream::View,
    sys::{self, Result},
    worker::Worker,
};
use std::{io::Read, thread, time::Duration};

/// As large as a sub-buffer can get here.
pub const LARGEST: usize = 1 << 16;

/// Maps all of a buffer to consume from.
pub fn view(worker: &mut Worker<'_>, random: &mut Random, block: bool) -> Result<()> {
    let cpu = Worker::cpu(random);
    worker.view = None;
    worker.view = Some((cpu, View::new(&worker.shared.instance, cpu, block)?));
    Ok(())
}

/// Consumes nothing for a while, without a mapping.
pub fn rest(worker: &mut Worker<'_>, random: &mut Random) {
    worker.view = None;
    if worker.shared.plan.wild {
        thread::sleep(Duration::from_micros(random.below(8000)));
    }
}

fn advance(shared: &Shared, cpu: usize, view: &View) -> Result<()> {
    let mut stream = shared.stream(cpu);
    let result = stream.advance(view, shared.types);
    if let Err(errno) = result
        && errno.0 == libc::ERANGE
    {
        shared.fail("the meta-page names a sub-buffer that is not there".into());
    }
    result
}

pub fn get_reader(worker: &mut Worker<'_>, random: &mut Random) -> Result<()> {
    if worker.view.is_none() {
        view(worker, random, false)?;
    }
    let Some((cpu, view)) = &worker.view else {
        return Ok(());
    };
    for _ in 0..random.range(1, 8) {
        advance(worker.shared, *cpu, view)?;
    }
    Ok(())
}

pub fn get_reader_wait(worker: &mut Worker<'_>, random: &mut Random) -> Result<()> {
    view(worker, random, true)?;
    let result = match &worker.view {
        Some((cpu, view)) => worker.waiting(|| advance(worker.shared, *cpu, view)),
        None => Ok(()),
    };
    worker.view = None;
    result
}

/// All that one call gets, which is not the size of the buffer if that is small.
pub fn read(worker: &mut Worker<'_>, random: &mut Random) -> Result<()> {
    let (cpu, block) = (Worker::cpu(random), random.one_in(8));
    let _exclusive = worker.shared.exclusive(cpu);
    let mut file = worker.shared.instance.open(cpu, "trace_pipe_raw", block)?;
    let mut bytes = vec![0; LARGEST];
    let len = match random.below(4) {
        0 => random.range(1, 400) as usize,
        1 => sys::page(),
        _ => LARGEST,
    };
    let got = worker.waiting(|| file.read(&mut bytes[..len]))?;
    take(worker, &bytes[..got]);
    Ok(())
}

/// Notes what is on a sub-buffer.
fn take(worker: &mut Worker<'_>, bytes: &[u8]) {
    let types = worker.shared.types;
    // A short read may end within the header, and then has no event.
    if bytes.len() >= HEADER && types.subbuf(bytes, &mut worker.copied).is_err() {
        worker.malformed += 1;
    }
}

/// Whole sub-buffers.
pub fn splice(worker: &mut Worker<'_>, random: &mut Random) -> Result<()> {
    let instance = &worker.shared.instance;
    let (cpu, block) = (Worker::cpu(random), random.one_in(8));
    let _exclusive = worker.shared.exclusive(cpu);
    let file = instance.open(cpu, "trace_pipe_raw", block)?;
    let subbuf = instance.subbuf_size()?;
    let (mut output, input) = sys::pipe()?;
    let len = subbuf * random.range(1, 8) as usize;
    let moved = worker.waiting(|| sys::splice(&file, &input, len, block))?;

    let mut bytes = vec![0; moved];
    output.read_exact(&mut bytes)?;
    // They may have got another size meanwhile.
    if instance.subbuf_size()? == subbuf {
        for page in bytes.chunks(subbuf) {
            take(worker, page);
        }
    }
    Ok(())
}

pub fn pipe(worker: &mut Worker<'_>, random: &mut Random) -> Result<()> {
    let instance = &worker.shared.instance;
    let cpu = Worker::cpu(random);
    let _exclusive = worker.shared.exclusive(cpu);
    let mut file = instance.open(cpu, "trace_pipe", false)?;
    let mut bytes = vec![0; LARGEST];
    for _ in 0..random.range(1, 4) {
        let got = file.read(&mut bytes)?;
        // A snapshot may come between the look at an event and its consumption, which then takes
        // one of the other buffer: the event comes twice.
        if !worker.shared.plan.wild {
            events::text(&bytes[..got], &mut worker.copied);
        }
    }
    Ok(())
}
