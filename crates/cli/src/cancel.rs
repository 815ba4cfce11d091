//! The end of the program: Ctrl-C, and leaving in a hurry.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::{INTERRUPTED, folders};

static REQUESTED: AtomicBool = AtomicBool::new(false);
/// Threads that write.
static WRITING: AtomicUsize = AtomicUsize::new(0);

/// Starts listening: the first Ctrl-C asks for an orderly end and says that `current` is finished first, the second one ends the program at once.
/// Should listening fail, the first one does.
pub(crate) fn install(current: &'static str) {
    let listening = ctrlc::set_handler(move || {
        if !REQUESTED.swap(true, Ordering::SeqCst) {
            // Where stderr is closed there is nobody to tell.
            let _ = writeln!(
                std::io::stderr(),
                "\nstopping after this {current}; Ctrl-C again stops now"
            );
        } else if WRITING.load(Ordering::SeqCst) == 0 {
            quit(INTERRUPTED);
        }
    });
    if let Err(error) = listening {
        tracing::debug!("cannot listen to Ctrl-C: {error}");
    }
}

/// Whether Ctrl-C was pressed.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// Runs `write` without being ended in its middle, so that no temporary file is left behind.
pub(crate) fn while_writing<T>(write: impl FnOnce() -> T) -> T {
    WRITING.fetch_add(1, Ordering::SeqCst);
    let result = write();
    WRITING.fetch_sub(1, Ordering::SeqCst);
    result
}

/// Ends the program, without empty folders that it made, and without the destructors of libtorch, which take a noticeable part of a short call and may not run while its threads
/// still work. Nothing of ours is left to do: files are written whole, stdout and stderr are flushed.
#[cfg(unix)]
pub(crate) fn quit(code: u8) -> ! {
    unsafe extern "C" {
        // POSIX: ends the process at once. It takes any number and does not return.
        safe fn _exit(status: std::ffi::c_int) -> !;
    }
    folders::remove_empty();
    _exit(code.into())
}

/// Ends the program, without empty folders that it made.
#[cfg(not(unix))]
pub(crate) fn quit(code: u8) -> ! {
    folders::remove_empty();
    std::process::exit(code.into())
}
