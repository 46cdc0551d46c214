// SPDX-License-Identifier: GPL-2.0

//! Runs random operations on one mapped trace buffer from several threads at once.
//!
//! In a guest, rounds follow each other. All that a round does follows from its seed, but for the
//! order in which its threads meet. After each round the buffer must be free again, its counters must
//! agree, and each event must have come at most once.

mod check;
mod events;
mod instance;
mod kind;
mod memory;
mod ops;
mod plan;
#[path = "../../differential/src/random.rs"]
mod random;
mod round;
mod shared;
mod stream;
mod sys;
mod worker;

use kind::{Counts, Kind};
use round::Options;
use std::{
    fs,
    process::ExitCode,
    time::{Duration, Instant},
};

const USAGE: &str = "\
fuzz SEED [OPTION...]    rounds with this seed and the next ones
    --rounds N       so many (no limit)
    --seconds N      begin no round after that (60)
    --same           all with the same seed
    --without A,B    leave these kinds of operations out
    --threads 0,2    only these threads of each round
    --limit N        operations of each thread in a round (no limit)
    --percent N      of the time of a round (100)
    --patience N     seconds after which a thread counts as stuck (60)
fuzz plan SEED           the number of threads of a round, and what it does
fuzz kinds               the kinds of operations";

struct Run {
    seed: u64,
    rounds: u64,
    time: Duration,
    same: bool,
    options: Options,
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("'{text}' is no number"))
}

fn arguments(args: &[String]) -> Result<Run, String> {
    let mut args = args.iter().map(String::as_str);
    let mut run = Run {
        seed: number(args.next().ok_or(USAGE)?)?,
        rounds: u64::MAX,
        time: Duration::from_secs(60),
        same: false,
        options: Options {
            skip: Vec::new(),
            workers: Vec::new(),
            limit: u64::MAX,
            percent: 100,
            patience: Duration::from_secs(60),
        },
    };
    while let Some(option) = args.next() {
        let mut value = || args.next().ok_or(USAGE);
        match option {
            "--same" => run.same = true,
            "--rounds" => run.rounds = number(value()?)?,
            "--seconds" => run.time = Duration::from_secs(number(value()?)?),
            "--limit" => run.options.limit = number(value()?)?,
            "--percent" => run.options.percent = number(value()?)?,
            "--patience" => run.options.patience = Duration::from_secs(number(value()?)?),
            "--without" => {
                for name in value()?.split(',') {
                    let kind = Kind::by_name(name).ok_or(format!("no kind '{name}'"))?;
                    run.options.skip.push(kind);
                }
            }
            "--threads" => {
                for index in value()?.split(',') {
                    run.options.workers.push(number(index)? as usize);
                }
            }
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(run)
}

/// In the kernel's log, so that a warning there has a round.
fn note(text: &str) {
    let _ = fs::write("/dev/kmsg", format!("fuzz: {text}\n"));
}

fn rounds(run: &Run) -> Result<bool, String> {
    let files = instance::Instance::named("fuzz");
    let id = |name| {
        files
            .event_id(name)
            .map_err(|error| format!("{name}: {error}"))
    };
    let types = events::Types {
        print: id("print")?,
        raw: id("raw_data")?,
    };
    sys::prepare_kicks();

    let start = Instant::now();
    let mut memory = memory::Memory::default();
    let mut all = Counts::default();
    let mut good = true;
    for round in 0..run.rounds {
        if start.elapsed() > run.time {
            break;
        }
        let seed = if run.same { run.seed } else { run.seed + round };
        note(&format!("seed {seed} begins"));
        let report = round::run(seed, &run.options, types);
        let totals = report.totals;
        all.merge(&report.counts);
        memory.sample();
        println!(
            "# {} operations; {} events written, {} read, {} mapped, {} unseen",
            report.counts.total(),
            totals.written,
            totals.copied,
            totals.mapped,
            totals.unseen
        );
        println!("# kinds {}", report.counts.text());
        if let Some(failure) = report.failure {
            println!("not ok seed {seed}: {failure} ({})", report.plan);
            good = false;
            break;
        }
        println!("ok seed {seed}: {}", report.plan);
    }

    let (text, fits) = memory.verdict();
    println!("# memory: {text}");
    if good && !fits {
        println!("not ok memory: {text}");
        good = false;
    }
    if good && let Some(leaks) = memory::leaks() {
        println!("not ok memory: {leaks}");
        good = false;
    }
    Ok(good)
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.first().map(String::as_str) {
        Some("plan") => args.get(1).ok_or(USAGE.to_owned()).and_then(|seed| {
            let plan = plan::Plan::new(number(seed)?);
            println!("{}\n{}", plan.roles.len(), plan.text());
            Ok(true)
        }),
        Some("kinds") => {
            for (_, name) in Kind::ALL {
                println!("{name}");
            }
            Ok(true)
        }
        _ => arguments(&args).and_then(|run| rounds(&run)),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}
