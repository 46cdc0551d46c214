// SPDX-License-Identifier: GPL-2.0

//! Lists small changes ("mutants") of Rust files that tests should notice, and makes one of them.
//!
//! The files are parsed, not compiled: some of the changes do not build. A change is known by an
//! id that depends on its function and its text, and not on the lines above.

mod change;
mod find;

use change::{Change, Edit, ordered};
use std::{fs, io::Write, process::ExitCode};

const USAGE: &str = "\
mutants list SEED FILE...           all changes of the files in a random order, in which each file
                                    has its share of every part: a line each of id, file, line,
                                    function, kind and text, separated by tabs
mutants apply ID FILE               the file with that change
mutants replace TEXT BY FILE        the file with the only occurrence of TEXT replaced";

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|err| format!("{path}: {err}"))
}

fn changes(path: &str) -> Result<(String, Vec<Change>), String> {
    let text = read(path)?;
    let changes = find::find(path, &text).map_err(|err| format!("{path}: {err}"))?;

    Ok((text, changes))
}

fn list(seed: &str, paths: &[&str]) -> Result<String, String> {
    let seed = seed.parse().map_err(|_| format!("'{seed}' is no number"))?;
    let mut files = Vec::new();

    for path in paths {
        files.push(changes(path)?.1);
    }
    Ok(ordered(files, seed).iter().map(Change::line).collect())
}

fn apply(id: &str, path: &str) -> Result<String, String> {
    let (text, changes) = changes(path)?;

    changes
        .iter()
        .find(|change| change.id() == id)
        .map(|change| change.edit.apply(&text))
        .ok_or_else(|| format!("{path} has no change {id}"))
}

fn replace(from: &str, by: &str, path: &str) -> Result<String, String> {
    let text = read(path)?;
    let mut places = text.match_indices(from);

    match (places.next(), places.next()) {
        (Some((start, _)), None) => Ok(Edit {
            range: start..start + from.len(),
            by: by.to_owned(),
        }
        .apply(&text)),
        (None, _) => Err(format!("{path} does not have '{from}'")),
        _ => Err(format!("{path} has '{from}' more than once")),
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = match args[..] {
        ["list", seed, ref paths @ ..] => list(seed, paths),
        ["apply", id, path] => apply(id, path),
        ["replace", from, by, path] => replace(from, by, path),
        _ => Err(USAGE.to_owned()),
    };

    match output.map(|text| std::io::stdout().write_all(text.as_bytes())) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(err)) => {
            eprintln!("mutants: {err}");
            ExitCode::FAILURE
        }
        Err(err) => {
            eprintln!("{err}");
            ExitCode::FAILURE
        }
    }
}
