// SPDX-License-Identifier: LGPL-2.1-or-later

//! The command `ringmap`: a thin layer over the library of the same name.

mod cli;
mod doctor;
mod flow;
mod guard;
mod help;
mod hint;
mod launch;
mod list;
mod own;
mod pages;
mod record;
mod report;
mod run;
mod running;
mod screen;
mod session;
mod signals;
mod stat;
mod status;
mod stream;
mod table;
mod top;

use std::env;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, error::ErrorKind};

use cli::{Cli, Command};
use signals::Stop;
use status::Status;

fn main() -> ExitCode {
    // Two processes of this program that are not for its users.
    let mut arguments = env::args_os().skip(1);
    match arguments.next() {
        Some(first) if first == guard::ARGUMENT => return guard::run(),
        Some(first) if first == launch::ARGUMENT => {
            return launch::run(&arguments.collect::<Vec<OsString>>());
        }
        _ => {}
    }
    match run(&Cli::parse().command) {
        Ok(code) => code,
        // Whoever read the output has seen enough.
        Err(e) if is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("ringmap: {}", hint::message(&e));
            let status = match e.is::<launch::NotFound>() {
                true => Status::NoCommand,
                false => Status::Failed,
            };
            status.with(None)
        }
    }
}

fn run(command: &Command) -> Result<ExitCode> {
    let stop = Stop::on_signals()?;
    match command {
        Command::Top(args) => top::top(args, &stop),
        Command::Stream(args) => stream::stream(args, &stop),
        Command::Record(args) => record::record(args, &stop),
        Command::Restore(args) => record::restore(args).map(|()| ExitCode::SUCCESS),
        Command::Stat(args) => stat::stat(args, &stop).map(|()| ExitCode::SUCCESS),
        Command::List(args) => list::list(args).map(|()| ExitCode::SUCCESS),
        Command::Doctor(args) => doctor::doctor(args).map(|()| ExitCode::SUCCESS),
        Command::Completions(args) => {
            pages::completions(args.shell);
            Ok(ExitCode::SUCCESS)
        }
        Command::Man(args) => pages::man(&args.folder).map(|()| ExitCode::SUCCESS),
    }
}

/// Ends with a message about the command line.
fn usage(message: &str) -> ! {
    Cli::command()
        .error(ErrorKind::MissingRequiredArgument, message)
        .exit()
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    error
        .chain()
        .any(|cause| cause.downcast_ref().is_some_and(broken))
}
