// SPDX-License-Identifier: GPL-2.0

//! What the user of the command can do about an error of the library.

use ringmap::Error;

/// The end of a message, if there is something to do that the message does not say.
pub fn hint(error: &anyhow::Error) -> Option<&'static str> {
    Some(match error.downcast_ref::<Error>()? {
        Error::Permission(_) => {
            "run this as root (sudo), or as a member of the group that the files belong to"
        }
        Error::NoInstance { .. } => "or leave out --instance to have one made",
        Error::Output { .. } => "choose another file with --output",
        Error::NoEvent { near, .. } if near.0.is_empty() => "'ringmap list' shows all",
        Error::SizeBusy(_) => "or leave out --instance to have an instance of its own",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn of_an_error_in_its_context() {
        let e = anyhow::Error::from(Error::Permission(PathBuf::from("/x"))).context("while");
        assert!(hint(&e).is_some_and(|hint| hint.contains("sudo")));
        assert_eq!(hint(&anyhow::anyhow!("x")), None);
    }
}
