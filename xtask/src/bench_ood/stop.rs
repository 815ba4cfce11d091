//! Ctrl-C: stop where nothing is lost.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use crate::failure::Failure;
use crate::report::say;

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on the first Ctrl-C (or SIGTERM, which schedulers send) asks to stop; the second stops at once.
///
/// # Errors
/// A system without signals.
pub(crate) fn watch() -> Result<()> {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
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
