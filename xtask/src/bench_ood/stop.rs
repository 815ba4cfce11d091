//! Ctrl-C: stop where nothing is lost, and leave no program behind.

use std::collections::BTreeMap;
use std::io;
use std::process::{Child, ChildStdout, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use crate::failure::Failure;
use crate::report::say;

static ASKED: AtomicBool = AtomicBool::new(false);

/// The programs that this one has started.
pub(crate) static RUNNING: Programs = Programs(Mutex::new(BTreeMap::new()));

/// Programs that work for this one, by their ids. One that went on alone would hold the files that `--resume` needs.
pub(crate) struct Programs(Mutex<BTreeMap<u32, Child>>);

/// One of [`Programs`].
pub(crate) struct Program<'a> {
    all: &'a Programs,
    id: u32,
    /// What it says, if that was asked for.
    pub(crate) stdout: Option<ChildStdout>,
}

impl Programs {
    /// Starts a program.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn start(&self, command: &mut Command) -> io::Result<Program<'_>> {
        // Locked before it starts, so that none is missed by `kill`.
        let mut programs = self.locked();
        let mut child = command.spawn()?;
        let stdout = child.stdout.take();
        let id = child.id();
        programs.insert(id, child);
        Ok(Program {
            all: self,
            id,
            stdout,
        })
    }

    /// Ends them all at once.
    fn kill(&self) {
        for child in self.locked().values_mut() {
            // It may have ended by itself.
            let _ = child.kill();
        }
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<u32, Child>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Program<'_> {
    /// Ends it at once.
    pub(crate) fn kill(&self) {
        if let Some(child) = self.all.locked().get_mut(&self.id) {
            // It may have ended by itself.
            let _ = child.kill();
        }
    }

    /// Waits for the end of a program that has said all it had to say.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn wait(self) -> io::Result<ExitStatus> {
        let child = self.all.locked().remove(&self.id);
        child
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?
            .wait()
    }
}

/// From now on the first Ctrl-C (or SIGTERM, which schedulers send) asks to stop; the second stops at once, with all that was started.
///
/// # Errors
/// A system without signals.
pub(crate) fn watch() -> Result<()> {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            RUNNING.kill();
            std::process::exit(130);
        }
        say("stopping after the pictures in hand; again to stop at once");
    })
    .context("cannot watch for Ctrl-C")
}

/// Whether it was asked for.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}

/// The error when it was.
///
/// # Errors
/// When the run should stop.
pub(crate) fn check() -> Result<()> {
    if asked() {
        return Err(Failure::error(
            "stopped",
            "what is done is kept: the same command with --resume goes on",
        ));
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_program_does_not_outlive_the_one_that_started_it() {
        let programs = Programs(Mutex::new(BTreeMap::new()));
        let mut sleep = Command::new("sleep");
        sleep.arg("600");
        let [one, other] = [(); 2].map(|()| programs.start(&mut sleep).unwrap());
        one.kill();
        assert!(!one.wait().unwrap().success());
        programs.kill();
        assert!(!other.wait().unwrap().success());
        let own = programs.start(&mut Command::new("true")).unwrap();
        assert!(own.wait().unwrap().success());
    }
}
