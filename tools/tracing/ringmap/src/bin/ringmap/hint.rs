// SPDX-License-Identifier: LGPL-2.1-or-later

//! What the user of the command can do about an error of the library.

use ringmap::Error;

/// The end of a message, if there is something to do that the message does not say.
fn hint(error: &anyhow::Error) -> Option<&'static str> {
    Some(match error.downcast_ref::<Error>()? {
        Error::Permission(_) => {
            "run this as root (sudo), or as a member of the group that the files belong to"
        }
        Error::NoInstance { .. } => "or leave out --instance to have one made",
        Error::Output { .. } => "choose another file with --output",
        Error::DiskFull { .. } => {
            "if FILE.cpuN are left, 'ringmap restore FILE' completes it when there is room"
        }
        Error::Exists(_) => "--force replaces it",
        Error::Unfinished(_) => "'ringmap restore' does so, --force replaces it",
        Error::NoEvent { near, .. } if near.0.is_empty() => "'ringmap list' shows all",
        Error::SizeBusy(_) => "or leave out --instance to have an instance of its own",
        _ => return None,
    })
}

/// An error as one line: what was tried, why it failed, what to do.
pub fn message(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Some name their cause themselves.
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    match hint(error) {
        Some(hint) => format!("{message}; {hint}"),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn each_cause_once() {
        let source = std::io::Error::other("no luck");
        let path = PathBuf::from("/x");
        let e = Error::Output { path, source };
        let e = anyhow::Error::from(e).context("while writing");
        assert_eq!(
            message(&e),
            "while writing: /x: cannot be written: no luck; choose another file with --output"
        );
    }

    #[test]
    fn of_an_error_in_its_context() {
        let e = anyhow::Error::from(Error::Permission(PathBuf::from("/x"))).context("while");
        assert!(hint(&e).is_some_and(|hint| hint.contains("sudo")));
        assert_eq!(hint(&anyhow::anyhow!("x")), None);
    }
}
