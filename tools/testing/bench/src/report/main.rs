// SPDX-License-Identifier: GPL-2.0

//! Makes a table, JSON and a picture of what `ringbench` has measured, keeps the record, and
//! compares with it.

mod compare;
mod environment;
mod figures;
mod json;
mod limits;
mod record;
mod rows;
mod svg;
mod table;

use anyhow::{Context, Result, bail};
use environment::Environment;
use figures::Figures;
use std::{fs, path::Path};

const USAGE: &str = "\
ringbench-report bench ENVIRONMENT C RUST FOLDER
    prints the table and the limits, writes FOLDER/{results.json,table.md,bench.svg}
ringbench-report record ENVIRONMENT RUST
    prints the record of these figures
ringbench-report gate ENVIRONMENT RUST RECORD
    a line for each recorded figure: ok, not ok or skip, and why";

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.to_owned())
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["bench", environment, c, rust, folder] => {
            let environment = Environment::parse(&read(environment)?)?;
            let c = Figures::parse(&read(c)?)?;
            let rust = Figures::parse(&read(rust)?)?;
            bench(&environment, &c, &rust, Path::new(folder))
        }
        ["record", environment, rust] => {
            let environment = Environment::parse(&read(environment)?)?;
            let rust = Figures::parse(&read(rust)?)?;
            print!("{}", record::write(&environment, &rust)?);
            Ok(())
        }
        ["gate", environment, rust, recorded] => {
            let environment = Environment::parse(&read(environment)?)?;
            let rust = Figures::parse(&read(rust)?)?;
            let recorded = record::Record::parse(&read(recorded)?)?;
            for line in compare::all(&recorded, &environment, &rust) {
                println!("{line}");
            }
            Ok(())
        }
        _ => bail!("{USAGE}"),
    }
}

fn bench(environment: &Environment, c: &Figures, rust: &Figures, folder: &Path) -> Result<()> {
    let tables = rows::tables(c, rust);
    let limits = limits::lines(c, rust);
    let put = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())
    };

    let mut markdown = String::new();
    for table in &tables {
        println!("{}", table.text());
        markdown.push_str(&table.markdown());
        markdown.push('\n');
    }
    println!("{}", rows::NOTES);
    markdown.push_str(rows::NOTES);
    markdown.push('\n');
    markdown.push_str(&environment.line());
    markdown.push('\n');
    println!("{}\n\nLimits", environment.line());
    for line in &limits {
        println!("  {line}");
    }

    put("results.json", json::write(environment, c, rust))?;
    put("table.md", markdown)?;
    put("bench.svg", svg::draw(environment, c, rust))
}
