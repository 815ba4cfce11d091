//! Everything that is printed: JSON Lines on stdout, messages on stderr.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::MessageArgs;
use crate::hints::Problem;
use crate::progress::ProgressLine;
use crate::trace::Trace;

/// Version of the JSON Lines; it rises when a field changes its meaning or goes away.
pub(crate) const JSON_VERSION: u32 = 1;

/// Prints for one subcommand.
pub(crate) struct Printer {
    name: &'static str,
    options: MessageArgs,
    pub(crate) progress: ProgressLine,
}

#[derive(Serialize)]
struct Line<'a, T> {
    version: u32,
    r#type: &'a str,
    data: &'a T,
}

impl Printer {
    /// Sets up logging as well; call it once.
    pub(crate) fn new(name: &'static str, options: MessageArgs) -> Self {
        log(options, None);
        Self {
            name,
            options,
            progress: ProgressLine::new(options.quiet, options.no_progress),
        }
    }

    /// As [`new`](Self::new), with spans going into `trace`.
    pub(crate) fn traced(name: &'static str, options: MessageArgs, trace: Option<Trace>) -> Self {
        // The first to set up logging wins.
        log(options, trace);
        Self::new(name, options)
    }

    /// A problem, on stderr, whatever the verbosity.
    pub(crate) fn problem(&self, problem: &Problem) {
        self.error_text(&problem.lines(self.name));
    }

    /// Something worth knowing about a file, on stderr.
    pub(crate) fn note(&self, path: &Path, note: &str) {
        self.status(&format!("note: {}: {note}", path.display()));
    }

    /// Something that works, but hardly as the user wants it, on stderr.
    pub(crate) fn warning(&self, warning: &str) {
        self.status(&format!("warning: {warning}"));
    }

    /// A line on stderr, unless --quiet.
    pub(crate) fn status(&self, line: &str) {
        if !self.options.quiet {
            self.error_text(&format!("{line}\n"));
        }
    }

    /// A line of data on stdout, with --json.
    pub(crate) fn data<T: Serialize>(&self, kind: &str, data: &T) {
        if self.options.json {
            self.progress.suspend(|| write_json(kind, data));
        }
    }

    fn error_text(&self, text: &str) {
        // Nobody is left to tell if stderr is closed.
        self.progress
            .suspend(|| drop(std::io::stderr().write_all(text.as_bytes())));
    }
}

/// Sets up log lines on stderr and, if it is wanted, a trace. Where nobody listens, spans are turned off as a whole.
fn log(options: MessageArgs, trace: Option<Trace>) {
    let level = match (options.quiet, options.verbose) {
        (true, _) => LevelFilter::ERROR,
        (_, 0) => LevelFilter::WARN,
        (_, 1) => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    // With internal errors on, a log line that stderr cannot take is reported on stderr by a macro that panics.
    let lines = tracing_subscriber::fmt::layer()
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time()
        .with_ansi(false)
        .with_filter(level);
    let spans = trace.map(|trace| trace.with_filter(filter_fn(Trace::wants)));
    // Only the first subcommand of a process sets it up; there is only one.
    drop(
        tracing_subscriber::registry()
            .with(lines)
            .with(spans)
            .try_init(),
    );
}

/// Whether some data could not be written to stdout.
static DATA_LOST: AtomicBool = AtomicBool::new(false);

/// Whether some data could not be written, other than to a reader that has gone away.
pub(crate) fn data_lost() -> bool {
    DATA_LOST.load(Ordering::Relaxed)
}

fn lose_data(what: &str, error: &dyn std::fmt::Display) {
    // Once is enough: the next lines fail in the same way.
    if !DATA_LOST.swap(true, Ordering::Relaxed) {
        let _ = writeln!(std::io::stderr(), "cannot write {what}: {error}");
    }
}

/// Prints one versioned object on a line of stdout.
pub(crate) fn write_json<T: Serialize>(kind: &str, data: &T) {
    match serde_json::to_string(&Line {
        version: JSON_VERSION,
        r#type: kind,
        data,
    }) {
        Ok(line) => write_stdout(&format!("{line}\n")),
        Err(error) => lose_data(kind, &error),
    }
}

/// Prints data on stdout. A reader that has gone away (`… | head`) is no failure: the work goes on, unread.
pub(crate) fn write_stdout(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        lose_data("to stdout", &error);
    }
}

/// A path for JSON, which holds text only: bytes that are none are replaced, so that no line is lost.
pub(crate) fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
