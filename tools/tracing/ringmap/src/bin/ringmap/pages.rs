// SPDX-License-Identifier: LGPL-2.1-or-later

//! Manual pages and completions, made of the command line itself.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;

/// Writes the completions of a shell to standard output.
pub fn completions(shell: Shell) {
    clap_complete::generate(shell, &mut Cli::command(), "ringmap", &mut io::stdout());
}

/// Writes a page for the program and one for each command.
pub fn man(folder: &Path) -> Result<()> {
    let write = |folder: &Path| -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut root = Cli::command().disable_help_subcommand(true);
        root.build();
        clap_mangen::generate_to(root, folder)
    };
    write(folder).with_context(|| format!("cannot write into {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_for_each_command() {
        let dir = tempfile::tempdir().unwrap();
        man(dir.path()).unwrap();
        for name in [
            "ringmap",
            "ringmap-top",
            "ringmap-stream",
            "ringmap-record",
            "ringmap-stat",
        ] {
            let page = fs::read_to_string(dir.path().join(format!("{name}.1"))).unwrap();
            assert!(page.contains(".SH NAME"), "{name}");
        }
        let page = fs::read_to_string(dir.path().join("ringmap-record.1")).unwrap();
        assert!(page.contains("Exit status"));
    }
}
