//! How far a long step is: a bar on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal, Read};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::report;

/// How often a line is written where a bar would only fill a log.
const LINES_EVERY: Duration = Duration::from_secs(10);

/// Counts bytes or files. Many threads may count at once.
pub(crate) struct Progress {
    bar: ProgressBar,
    unit: Unit,
    what: String,
    start: Instant,
    /// Where this run began: what an earlier run did says nothing about the rate of this one.
    begun_at: Mutex<u64>,
    /// When the last line was written; `None` on a terminal, which has the bar.
    last_line: Option<Mutex<Instant>>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Sizes of files.
    Bytes,
    /// Files, whatever their size.
    Files,
}

impl Unit {
    fn template(self) -> &'static str {
        match self {
            Self::Bytes => {
                "  {msg} [{bar:30}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta} left"
            }
            Self::Files => "  {msg} [{bar:30}] {pos}/{len} files {per_sec} {eta} left",
        }
    }
}

impl Progress {
    /// Begins to count `what`; a total of 0 is not known.
    pub(crate) fn new(total: u64, what: &str, unit: Unit) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        // A malformed template can only be a mistake above; the plain bar is a fair substitute.
        let style = ProgressStyle::with_template(unit.template())
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        let target = if is_terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target((total > 0).then_some(total), target)
            .with_style(style)
            .with_message(what.to_owned());
        let start = Instant::now();
        Self {
            bar,
            unit,
            what: what.to_owned(),
            start,
            begun_at: Mutex::new(0),
            last_line: (!is_terminal).then(|| Mutex::new(start)),
        }
    }

    /// Says that an earlier run did the first `position`.
    pub(crate) fn begin_at(&self, position: u64) {
        self.bar.set_position(position);
        self.bar.reset_eta();
        if let Ok(mut begun_at) = self.begun_at.lock() {
            *begun_at = position;
        }
    }

    /// Counts `more`.
    pub(crate) fn inc(&self, more: u64) {
        self.bar.inc(more);
        let Some(Ok(mut last)) = self.last_line.as_ref().map(Mutex::lock) else {
            return;
        };
        if last.elapsed() >= LINES_EVERY {
            *last = Instant::now();
            let begun_at = self.begun_at.lock().map_or(0, |begun_at| *begun_at);
            let line = line(
                self.unit,
                begun_at,
                self.bar.position(),
                self.bar.length(),
                self.start.elapsed(),
            );
            report::say(format!("{}: {line}", self.what));
        }
    }

    /// Counts what is read through it.
    pub(crate) fn wrap<R: Read>(&self, reader: R) -> Counted<'_, R> {
        Counted {
            reader,
            progress: self,
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A reader that counts for a [`Progress`].
pub(crate) struct Counted<'a, R> {
    reader: R,
    progress: &'a Progress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.progress.inc(read as u64);
        Ok(read)
    }
}

/// `1200.0 MB of 8900.0 MB, 12.3 MB/s, 10 min 26 s left`.
fn line(unit: Unit, begun_at: u64, position: u64, total: Option<u64>, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let rate = if seconds > 0.0 {
        position.saturating_sub(begun_at) as f64 / seconds
    } else {
        0.0
    };
    let amount = |count: u64| match unit {
        Unit::Bytes => report::megabytes(count),
        Unit::Files => format!("{count} files"),
    };
    let rate_text = match unit {
        Unit::Bytes => format!("{}/s", report::megabytes(rate as u64)),
        Unit::Files => format!("{rate:.1} files/s"),
    };
    match total {
        Some(total) if rate > 0.0 => {
            let left = Duration::from_secs_f64(total.saturating_sub(position) as f64 / rate);
            format!(
                "{} of {}, {rate_text}, {} left",
                amount(position),
                amount(total),
                report::duration(left)
            )
        }
        Some(total) => format!("{} of {}", amount(position), amount(total)),
        None => format!("{}, {rate_text}", amount(position)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_rate_and_time_left() {
        let time = Duration::from_secs(10);
        assert_eq!(
            line(Unit::Bytes, 0, 20_000_000, Some(100_000_000), time),
            "20.0 MB of 100.0 MB, 2.0 MB/s, 40.0 s left"
        );
        assert_eq!(
            line(Unit::Files, 0, 5, Some(10), time),
            "5 files of 10 files, 0.5 files/s, 10.0 s left"
        );
        assert_eq!(
            line(Unit::Bytes, 0, 20_000_000, None, time),
            "20.0 MB, 2.0 MB/s"
        );
        assert_eq!(line(Unit::Files, 0, 0, Some(3), time), "0 files of 3 files");
    }

    #[test]
    fn the_templates_are_well_formed() {
        for unit in [Unit::Bytes, Unit::Files] {
            ProgressStyle::with_template(unit.template()).unwrap();
        }
    }

    #[test]
    fn what_an_earlier_run_did_is_not_counted_as_speed() {
        let time = Duration::from_secs(10);
        assert_eq!(
            line(Unit::Bytes, 80_000_000, 90_000_000, Some(100_000_000), time),
            "90.0 MB of 100.0 MB, 1.0 MB/s, 10.0 s left"
        );
    }
}
