//! `--trace FILE`: where the time goes, as a file for a trace viewer and as a table.
//!
//! The crates below mark parts of their work with spans of level TRACE. With `--trace` they are written as they end, in the JSON array
//! form of the Trace Event Format that Perfetto and chrome://tracing read: a file that a killed program left without its end opens too.
//! The crate `tracing-chrome` does the same with a thread of its own that panics when the disk is full, and has no table.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tracing::span::Id;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::hints::Problem;

/// All spans of one name.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Total {
    count: u64,
    all: Duration,
    /// Without the spans inside.
    own: Duration,
}

#[derive(Debug)]
struct State {
    file: BufWriter<File>,
    /// Why writing stopped.
    failed: Option<std::io::Error>,
    events: u64,
    totals: BTreeMap<&'static str, Total>,
}

/// A trace that is being written; clones write the same one.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    path: PathBuf,
    start: Instant,
    state: Arc<Mutex<State>>,
}

/// What is known of a span while it lasts.
struct Open {
    entered: Option<Instant>,
    inside: Duration,
}

/// One event, complete: begin and duration in microseconds.
#[derive(Serialize)]
struct Complete {
    name: &'static str,
    cat: &'static str,
    ph: &'static str,
    ts: f64,
    dur: f64,
    pid: u32,
    tid: u64,
}

/// A line of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    name: &'static str,
    count: u64,
    seconds: f64,
    /// Without the parts inside.
    own_seconds: f64,
    /// `own_seconds` as a part of all time that was traced.
    share: f64,
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e3
}

/// A small number for this thread, in the order in which threads are first seen.
fn thread_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local!(static NUMBER: u64 = NEXT.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
}

impl Trace {
    /// Starts a trace in a new file.
    ///
    /// # Errors
    /// The file exists or cannot be made.
    pub(crate) fn create(path: &Path) -> Result<Self, Problem> {
        let file = File::create_new(path).map_err(|error| {
            let problem = Problem::new(format!("cannot start a trace: {error}")).at(path);
            if error.kind() == std::io::ErrorKind::AlreadyExists {
                return problem.hint("name another file after --trace, or delete this one");
            }
            problem
        })?;
        Ok(Self::to(file, path))
    }

    fn to(file: File, path: &Path) -> Self {
        let mut file = BufWriter::new(file);
        let failed = file.write_all(b"[\n").err();
        Self {
            path: path.to_owned(),
            start: Instant::now(),
            state: Arc::new(Mutex::new(State {
                file,
                failed,
                events: 0,
                totals: BTreeMap::new(),
            })),
        }
    }

    /// Which spans belong to a trace.
    pub(crate) fn wants(metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && *metadata.level() == Level::TRACE
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// The first error of writing, also of earlier.
    pub(crate) fn finish(&self) -> Result<(), Problem> {
        let mut state = self.lock();
        let ended = state
            .file
            .write_all(b"\n]\n")
            .and_then(|()| state.file.flush());
        match state.failed.take().or(ended.err()) {
            None => Ok(()),
            Some(error) => {
                Err(Problem::new(format!("the trace is not complete: {error}")).at(&self.path))
            }
        }
    }

    /// Where the time went, most first.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let state = self.lock();
        let all: Duration = state.totals.values().map(|total| total.own).sum();
        let mut rows: Vec<Row> = state
            .totals
            .iter()
            .map(|(&name, total)| Row {
                name,
                count: total.count,
                seconds: total.all.as_secs_f64(),
                own_seconds: total.own.as_secs_f64(),
                share: total.own.as_secs_f64() / all.as_secs_f64().max(f64::MIN_POSITIVE),
            })
            .collect();
        rows.sort_by(|a, b| b.own_seconds.total_cmp(&a.own_seconds));
        rows
    }

    /// The rows as a table for people.
    pub(crate) fn table(&self) -> String {
        let mut lines = vec![format!(
            "{:<12} {:>8} {:>10} {:>10} {:>7}",
            "part", "count", "seconds", "own", "share"
        )];
        lines.extend(self.rows().iter().map(|row| {
            format!(
                "{:<12} {:>8} {:>10.3} {:>10.3} {:>6.1}%",
                row.name,
                row.count,
                row.seconds,
                row.own_seconds,
                100.0 * row.share
            )
        }));
        lines.push(format!("trace: {}", self.path.display()));
        lines.join("\n")
    }
}

impl State {
    fn write(&mut self, event: &Complete) {
        if self.failed.is_some() {
            return;
        }
        let separator: &[u8] = if self.events == 0 { b"" } else { b",\n" };
        let written = self
            .file
            .write_all(separator)
            .and_then(|()| Ok(serde_json::to_writer(&mut self.file, event)?));
        self.events += 1;
        self.failed = written.err();
    }
}

impl<S> Layer<S> for Trace
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut extensions = span.extensions_mut();
            let entered = Some(Instant::now());
            match extensions.get_mut::<Open>() {
                Some(open) => open.entered = entered,
                None => extensions.insert(Open {
                    entered,
                    inside: Duration::ZERO,
                }),
            }
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        let now = Instant::now();
        let Some(span) = context.span(id) else { return };
        let (entered, inside) = {
            let mut extensions = span.extensions_mut();
            let Some(open) = extensions.get_mut::<Open>() else {
                return;
            };
            let Some(entered) = open.entered.take() else {
                return;
            };
            (entered, std::mem::take(&mut open.inside))
        };
        let duration = now - entered;
        if let Some(parent) = span.parent()
            && let Some(open) = parent.extensions_mut().get_mut::<Open>()
        {
            open.inside += duration;
        }
        let mut state = self.lock();
        let total = state.totals.entry(span.name()).or_default();
        total.count += 1;
        total.all += duration;
        total.own += duration.saturating_sub(inside);
        state.write(&Complete {
            name: span.name(),
            cat: span.metadata().target(),
            ph: "X",
            ts: microseconds(entered.saturating_duration_since(self.start)),
            dur: microseconds(duration),
            pid: std::process::id(),
            tid: thread_number(),
        });
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::filter_fn;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn spans_become_events_that_lie_inside_each_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("trace.json");
        let trace = Trace::create(&path).expect("a trace");
        let layer = trace.clone().with_filter(filter_fn(Trace::wants));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            for _ in 0..2 {
                let _outer = tracing::trace_span!("outer").entered();
                let _inner = tracing::trace_span!("inner").entered();
                std::thread::sleep(Duration::from_millis(2));
                // Not a part of the trace.
                let _other = tracing::debug_span!("other").entered();
                tracing::trace!("an event");
            }
        });
        trace.finish().expect("written");
        let text = std::fs::read_to_string(&path).expect("a file");
        let events: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
        assert_eq!(events.len(), 4, "{text}");
        let number = |event: &serde_json::Value, key: &str| event[key].as_f64().expect("a number");
        for pair in events.chunks(2) {
            let (inner, outer) = (&pair[0], &pair[1]);
            assert_eq!(
                (&inner["name"], &outer["name"]),
                (&"inner".into(), &"outer".into())
            );
            assert_eq!((&inner["ph"], &inner["tid"]), (&"X".into(), &outer["tid"]));
            assert!(number(inner, "dur") >= 2000.0, "{inner}");
            assert!(number(outer, "ts") <= number(inner, "ts"));
            let end = |event| number(event, "ts") + number(event, "dur");
            assert!(end(inner) <= end(outer) + 1e-3);
        }
        let rows = trace.rows();
        assert_eq!((rows[0].name, rows[0].count), ("inner", 2));
        assert!((rows.iter().map(|row| row.share).sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(rows[1].own_seconds < rows[1].seconds - rows[0].seconds + 1e-6);
        assert!(trace.table().contains("inner"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_said_at_the_end() {
        let path = Path::new("/dev/full");
        let file = File::options().write(true).open(path).expect("a device");
        let trace = Trace::to(file, path);
        let layer = trace.clone().with_filter(filter_fn(Trace::wants));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            // More than the buffer takes.
            for _ in 0..1000 {
                let _span = tracing::trace_span!("span").entered();
            }
        });
        let problem = trace.finish().expect_err("no space");
        assert!(
            problem
                .message
                .contains("/dev/full: the trace is not complete"),
            "{problem:?}"
        );
        assert_eq!(trace.rows()[0].count, 1000);
    }

    #[test]
    fn a_file_that_is_there_is_kept() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let problem = Trace::create(file.path()).expect_err("it exists");
        assert!(problem.hint.is_some(), "{problem:?}");
    }
}
