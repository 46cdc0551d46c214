// SPDX-License-Identifier: LGPL-2.1-or-later

//! The exit status.

use std::process::ExitCode;

/// How a run of the command itself ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Status {
    /// All is well.
    #[default]
    Good,
    /// Something failed.
    Failed,
    /// A loss is unaccounted, or the counts differ.
    Books,
    /// Events were lost, all of them known, and that was to be an error.
    Lost,
    /// The program to be run is not there.
    NoCommand,
}

impl Status {
    fn code(self) -> u8 {
        match self {
            Status::Good => 0,
            Status::Failed => 1,
            // 2 is clap's, for a command line that is not understood.
            Status::Books => 3,
            Status::Lost => 4,
            Status::NoCommand => 127,
        }
    }

    /// The status to end with, if a command was run that ended with that one. It is what a caller
    /// asked for; what else happened was told.
    pub fn with(self, command: Option<u8>) -> ExitCode {
        match command {
            Some(code) if code != 0 => code.into(),
            _ => self.code().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_goes_first() {
        let shown = |code: ExitCode| format!("{code:?}");
        let is = |code: u8| shown(code.into());
        assert_eq!(shown(Status::Books.with(None)), is(3));
        assert_eq!(shown(Status::Books.with(Some(0))), is(3));
        assert_eq!(shown(Status::Books.with(Some(2))), is(2));
        assert_eq!(shown(Status::Good.with(Some(143))), is(143));
        assert_eq!(shown(Status::Good.with(Some(0))), is(0));
    }
}
