// SPDX-License-Identifier: GPL-2.0

//! Makes a table, JSON and a picture of what `ringbench` has measured, keeps the record, and
//! compares with it.

mod compare;
mod cpu;
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
use rows::Kernels;
use std::{fs, path::Path};

const USAGE: &str = "\
ringbench-report bench ENVIRONMENT C RUST CALLS FOLDER
    prints the table and the limits, writes FOLDER/{results.json,table.md,bench.svg}
ringbench-report cpu C RUST FOLDER
    the same of the benchmark within the kernel, FOLDER/{cpu.md,cpu.svg}
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
        ["bench", environment, c, rust, calls, folder] => {
            let environment = Environment::parse(&read(environment)?)?;
            let all = Kernels {
                c: Figures::parse(&read(c)?)?,
                rust: Figures::parse(&read(rust)?)?,
                calls: Figures::parse(&read(calls)?)?,
            };
            bench(&environment, &all, Path::new(folder))
        }
        ["cpu", c, rust, folder] => {
            let (c, rust) = (cpu::parse(&read(c)?)?, cpu::parse(&read(rust)?)?);
            on_cpu(&c, &rust, Path::new(folder))
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

fn put(folder: &Path, name: &str, text: String) -> Result<()> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| path.display().to_string())
}

fn on_cpu(c: &Figures, rust: &Figures, folder: &Path) -> Result<()> {
    let (table, counter) = (cpu::table(c, rust), cpu::counter(c, rust));

    println!("{}\n{}\n{counter}", table.text(), cpu::NOTES);
    if let Some(limit) = cpu::limit(c, rust) {
        println!("\nLimits\n  {limit}");
    }
    put(
        folder,
        "cpu.md",
        format!("{}\n{}\n{counter}\n", table.markdown(), cpu::NOTES),
    )?;
    put(folder, "cpu.svg", svg::draw_cpu(&counter, c, rust))
}

fn bench(environment: &Environment, all: &Kernels, folder: &Path) -> Result<()> {
    let tables = rows::tables(all);
    let limits = limits::lines(&all.c, &all.rust);

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

    put(folder, "results.json", json::write(environment, all))?;
    put(folder, "table.md", markdown)?;
    put(
        folder,
        "bench.svg",
        svg::draw(environment, &all.c, &all.rust),
    )
}
