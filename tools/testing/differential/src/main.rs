// SPDX-License-Identifier: GPL-2.0

//! Runs the same operations on two implementations of mapped trace buffers, and compares.
//!
//! In a guest, `run` executes a list of operations and writes a transcript. On the host, `gen`
//! makes such a list, `compare` compares the transcripts of it from two kernels, and `shrink` makes
//! the list short that two kernels differ on.

mod compare;
mod generate;
mod guest;
mod random;
mod shrink;
mod subbuf_ids;
mod sys;
mod transcript;

use compare::{Comparer, Rule};
use generate::Kind;
use std::{fs, io::Write, process::ExitCode};

const USAGE: &str = "\
differential gen plain|moves SEED N           operations that follow from the seed
differential run OPS                          runs them, on the kernel of this machine
differential compare OPS C RUST [OPTION...]   compares the transcripts of two kernels
    --require       fail if there is a rule that was of no use
    --without RULE  a rule less
    --first FILE    write the first scenario with a difference there
differential shrink OPS RUN OUT               makes the only scenario in OPS short; RUN is a
                                              command: RUN OPS C RUST writes transcripts";

/// The process that writes markers has this number, as events hold it.
const PID: i32 = 20_000;

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|err| format!("{path}: {err}"))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("'{text}' is no number"))
}

fn generated(kind: &str, seed: &str, nr: &str) -> Result<bool, String> {
    let kind = match kind {
        "plain" => Kind::Plain,
        "moves" => Kind::Moves,
        _ => return Err(USAGE.to_owned()),
    };
    let all = generate::generate(number(seed)?, number(nr)?, kind);
    let text: String = all.iter().map(transcript::Scenario::text).collect();
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map(|()| true).map_err(|err| err.to_string())
}

fn run(ops: &str) -> Result<bool, String> {
    let all = transcript::scenarios(&read(ops)?);
    let status = sys::fork_as(PID, || {
        if sys::alone_on_cpu_0() < 0 {
            eprintln!("cannot have CPU 0 alone");
            return 1;
        }
        let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
        match guest::run(&all, &mut out) {
            Ok(()) => 0,
            Err(err) => {
                eprintln!("{err}");
                1
            }
        }
    });
    Ok(status == 0)
}

fn compare(ops: &str, c: &str, rust: &str, options: &[&str]) -> Result<bool, String> {
    let mut comparer = Comparer::new();
    let (mut require, mut first) = (false, None);
    let mut options = options.iter();
    while let Some(&option) = options.next() {
        match option {
            "--require" => require = true,
            "--without" => {
                let name = options.next().ok_or(USAGE)?;
                comparer.drop_rule(Rule::by_name(name).ok_or(format!("no rule '{name}'"))?);
            }
            "--first" => first = Some(*options.next().ok_or(USAGE)?),
            _ => return Err(USAGE.to_owned()),
        }
    }

    let all = transcript::scenarios(&read(ops)?);
    let differences = comparer.compare(&all, &read(c)?, &read(rust)?);
    for difference in differences.iter().take(10) {
        println!("{difference}");
    }
    if let (Some(path), Some(difference)) = (first, differences.first()) {
        let text = all[difference.scenario].text();
        fs::write(path, text).map_err(|err| format!("{path}: {err}"))?;
    }
    println!(
        "{} operations in {} scenarios, {} of them differ",
        comparer.operations,
        all.len(),
        differences.len()
    );
    let mut good = differences.is_empty();
    for (rule, hits) in comparer.hits() {
        println!("rule {}: {hits}", rule.name());
        if require && hits == 0 {
            println!("rule {} was of no use", rule.name());
            good = false;
        }
    }
    Ok(good)
}

fn shrink(ops: &str, command: &str, out: &str) -> Result<bool, String> {
    let all = transcript::scenarios(&read(ops)?);
    let [scenario] = all.as_slice() else {
        return Err(format!("{ops} has {} scenarios, not one", all.len()));
    };
    let small = shrink::shrink(scenario, &mut shrink::Kernels { command })?;
    fs::write(out, small.text()).map_err(|err| format!("{out}: {err}"))?;
    Ok(true)
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args.as_slice() {
        ["gen", kind, seed, nr] => generated(kind, seed, nr),
        ["run", ops] => run(ops),
        ["compare", ops, c, rust, options @ ..] => compare(ops, c, rust, options),
        ["shrink", ops, command, out] => shrink(ops, command, out),
        _ => Err(USAGE.to_owned()),
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
