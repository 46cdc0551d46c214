// SPDX-License-Identifier: LGPL-2.1-or-later

//! What is to be done to leave tracefs as it was found.
//!
//! Each step is noted before the change that it takes back. Dropping an [`Undo`] takes all of them
//! back, the last one first. What a kill leaves behind is for whoever else knows the steps:
//! [`Undo::noting`] tells them to another process, which calls [`Undo::read`].

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use std::{ffi::OsString, fmt};

use crate::{Error, Result};

/// How long a file may be busy: the kernel takes its time to close what a process had open.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// One step back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Give a control file its old value.
    Write {
        /// The file.
        path: PathBuf,
        /// The value.
        value: String,
    },
    /// Remove a tracing instance.
    Remove {
        /// Its directory.
        path: PathBuf,
    },
}

impl Step {
    /// Takes the step. What is gone already needs none.
    fn take(&self) -> Result<()> {
        let (path, action) = match self {
            Step::Write { path, .. } => (path, "restore"),
            Step::Remove { path } => (path, "remove"),
        };
        let limit = Instant::now() + PATIENCE;
        loop {
            let done = match self {
                Step::Write { path, value } => write(path, value),
                Step::Remove { path } => fs::remove_dir(path),
            };
            match done {
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::ResourceBusy && Instant::now() < limit => {
                    thread::sleep(PAUSE);
                }
                Err(e) => return Err(Error::io(action, path, e)),
            }
        }
    }

    /// As three words, each with a NUL behind it, which neither a path nor a value has.
    fn encode(&self, out: &mut impl Write) -> io::Result<()> {
        let (kind, path, value) = match self {
            Step::Write { path, value } => ("write", path, value.as_str()),
            Step::Remove { path } => ("remove", path, ""),
        };
        let words = [
            kind.as_bytes(),
            path.as_os_str().as_bytes(),
            value.as_bytes(),
        ];
        let mut line = words.join(&0);
        line.push(0);
        out.write_all(&line)
    }

    fn decode(kind: &[u8], path: &[u8], value: &[u8]) -> Option<Self> {
        let path = PathBuf::from(OsString::from_vec(path.into()));
        match kind {
            b"write" => Some(Step::Write {
                path,
                value: String::from_utf8(value.into()).ok()?,
            }),
            b"remove" => Some(Step::Remove { path }),
            _ => None,
        }
    }
}

/// Writes to a control file, emptying it first: some of them are lists.
fn write(path: &Path, value: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path)?;
    file.write_all(value.as_bytes())
}

/// The steps back, so far.
#[derive(Default)]
pub struct Undo {
    steps: Vec<Step>,
    notes: Option<Box<dyn Write + Send>>,
}

impl Undo {
    /// No steps yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// No steps yet, and each will be written there before the change is made. If that fails nobody
    /// else knows them, which is no reason not to go on.
    pub fn noting(notes: impl Write + Send + 'static) -> Self {
        Undo {
            steps: Vec::new(),
            notes: Some(Box::new(notes)),
        }
    }

    /// The steps that another process has noted: all of them, when it has ended. None if they have
    /// been taken meanwhile.
    ///
    /// # Errors
    ///
    /// Those of the reader.
    pub fn read(mut notes: impl Read) -> io::Result<Self> {
        let mut text = Vec::new();
        notes.read_to_end(&mut text)?;
        let mut words: Vec<_> = text.split(|byte| *byte == 0).collect();
        // Nothing, or what was cut off: its change was not made.
        words.pop();
        let mut undo = Undo::new();
        for words in words.chunks_exact(3) {
            match words {
                [b"done", ..] => undo.steps.clear(),
                [kind, path, value] => undo.steps.extend(Step::decode(kind, path, value)),
                _ => {}
            }
        }
        Ok(undo)
    }

    /// Notes a step. The change that it takes back is to follow.
    pub fn note(&mut self, step: Step) {
        if let Some(notes) = &mut self.notes {
            if step.encode(notes).is_err() {
                self.notes = None;
            }
        }
        self.steps.push(step);
    }

    /// The steps, the first one first.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Takes all steps back, the last one first, also behind one that fails.
    ///
    /// # Errors
    ///
    /// That of the first step that failed.
    pub fn finish(mut self) -> Result<()> {
        self.take()
    }

    fn take(&mut self) -> Result<()> {
        let mut result = Ok(());
        while let Some(step) = self.steps.pop() {
            let done = step.take();
            result = result.and(done);
        }
        if let Some(mut notes) = self.notes.take() {
            // Who cannot be told takes the steps again, which changes nothing.
            let _ = notes.write_all(b"done\0\0\0");
        }
        result
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        // Nobody is there to be told.
        let _ = self.take();
    }
}

impl fmt::Debug for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.steps).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn set(path: &Path, value: &str) -> Step {
        Step::Write {
            path: path.into(),
            value: value.into(),
        }
    }

    #[test]
    fn the_last_change_is_taken_back_first() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "now").unwrap();
        let mut undo = Undo::new();
        undo.note(set(&file, "first"));
        undo.note(set(&file, "second"));
        undo.finish().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "first");
    }

    #[test]
    fn a_drop_takes_back_too() {
        let dir = tempfile::tempdir().unwrap();
        let made = dir.path().join("instance");
        fs::create_dir(&made).unwrap();
        let mut undo = Undo::new();
        undo.note(Step::Remove { path: made.clone() });
        drop(undo);
        assert!(!made.exists());
    }

    #[test]
    fn a_step_that_fails_stops_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (file, full) = (dir.path().join("file"), dir.path().join("full"));
        fs::write(&file, "now").unwrap();
        fs::create_dir_all(full.join("of things")).unwrap();
        let mut undo = Undo::new();
        undo.note(set(&file, "before"));
        undo.note(Step::Remove { path: full.clone() });
        let e = undo.finish().unwrap_err().to_string();
        assert!(e.contains("cannot remove") && e.contains("full"), "{e}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "before");
    }

    #[test]
    fn what_is_gone_needs_no_step() {
        let dir = tempfile::tempdir().unwrap();
        let mut undo = Undo::new();
        undo.note(Step::Remove {
            path: dir.path().join("x"),
        });
        undo.note(set(&dir.path().join("x/file"), "1"));
        undo.finish().unwrap();
        assert!(!dir.path().join("x").exists());
    }

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn another_process_knows_the_steps_until_they_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        let notes = Shared::default();
        let noted = || Undo::read(&notes.0.lock().unwrap()[..]).unwrap();
        let mut undo = Undo::noting(notes.clone());
        let steps = [
            set(&dir.path().join("a b"), "1\n2\n"),
            Step::Remove {
                path: dir.path().join("none"),
            },
            set(&dir.path().join("list"), ""),
        ];
        for step in &steps {
            undo.note(step.clone());
        }
        let copy = noted();
        assert_eq!(copy.steps(), steps);
        undo.finish().unwrap();
        assert_eq!(noted().steps(), []);
    }

    #[test]
    fn a_note_that_was_cut_off_is_none() {
        let undo = Undo::read(&b"remove\0/x/y\0\0write\0/x/z\x0012"[..]).unwrap();
        assert_eq!(
            undo.steps(),
            [Step::Remove {
                path: "/x/y".into()
            }]
        );
        let undo = Undo::read(&b""[..]).unwrap();
        assert_eq!(undo.steps(), []);
    }
}
