//! How far the work is: a bar on a terminal, elsewhere a line now and then.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// Time between two lines where there is no bar: a log stays short, and nobody takes the program for dead.
const BETWEEN_LINES: Duration = Duration::from_secs(30);

/// Shows on stderr how far the work is.
pub(crate) struct ProgressLine {
    bar: ProgressBar,
    quiet: bool,
    no_bar: bool,
    lines: OnceLock<Arc<Lines>>,
    between_lines: Duration,
    left: Arc<Mutex<Option<Left>>>,
}

/// An estimate of the time left, and when it was made.
#[derive(Clone, Copy)]
struct Left {
    time: Duration,
    since: Instant,
}

impl Left {
    fn at(self, now: Instant) -> Duration {
        self.time.saturating_sub(now.duration_since(self.since))
    }
}

/// What the thread that writes lines knows.
struct Lines {
    work: Mutex<Work>,
    ended: Condvar,
}

struct Work {
    done: u64,
    total: u64,
    unit: String,
    message: String,
    /// From where and when the speed is measured.
    start: (u64, Instant),
    /// Told by [`ProgressLine::time_left`].
    left: Option<Left>,
    ended: bool,
}

impl ProgressLine {
    /// With `quiet` nothing is shown, with `no_bar` lines alone.
    pub(crate) fn new(quiet: bool, no_bar: bool) -> Self {
        Self {
            bar: ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden()),
            quiet,
            no_bar,
            lines: OnceLock::new(),
            between_lines: BETWEEN_LINES,
            left: Arc::default(),
        }
    }

    /// Shows the bar, or begins to write lines where stderr is no terminal. `unit` names what is counted.
    pub(crate) fn start(&self, total: u64, unit: &str) {
        self.start_on(total, unit, std::io::stderr());
    }

    fn start_on(&self, total: u64, unit: &str, out: impl Write + Send + 'static) {
        if self.quiet {
            return;
        }
        if !self.no_bar {
            let template =
                format!("{{wide_msg}} [{{bar:24}}] {{pos}}/{{len}} {unit}, {{left}} left");
            if let Ok(style) = ProgressStyle::with_template(&template) {
                let left = Arc::clone(&self.left);
                let write = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                    let told = *left.lock().unwrap_or_else(PoisonError::into_inner);
                    let left = told.map_or_else(|| state.eta(), |left| left.at(Instant::now()));
                    // A bar that cannot be written is not seen.
                    let _ = write!(out, "{:#}", HumanDuration(left));
                };
                let style = style.with_key("left", write);
                self.bar.set_style(style.progress_chars("=> "));
            }
            self.bar.set_length(total);
            self.bar
                .set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
            self.bar.reset();
            if !self.bar.is_hidden() {
                self.bar.enable_steady_tick(Duration::from_millis(500));
                return;
            }
        }
        let lines = Arc::new(Lines {
            work: Mutex::new(Work {
                done: 0,
                total,
                unit: unit.to_owned(),
                message: String::new(),
                start: (0, Instant::now()),
                left: None,
                ended: false,
            }),
            ended: Condvar::new(),
        });
        if self.lines.set(Arc::clone(&lines)).is_ok() {
            let between = self.between_lines;
            // A thread of its own, because a single tile or validation may take longer than the time between two lines.
            std::thread::spawn(move || lines.write(between, out));
        }
    }

    /// What is being worked on.
    pub(crate) fn message(&self, message: String) {
        self.update(|work| work.message.clone_from(&message));
        self.bar.set_message(message);
    }

    /// How much is done.
    pub(crate) fn set(&self, done: u64) {
        self.update(|work| work.done = done);
        self.bar.set_position(done);
    }

    /// Where the work goes on; what was done before does not count for the time left.
    pub(crate) fn resume_at(&self, done: u64) {
        self.update(|work| {
            work.done = done;
            work.start = (done, Instant::now());
        });
        self.bar.set_position(done);
        self.bar.reset_eta();
    }

    /// How long it still takes, where that is known better than from what is done so far. It runs down by itself.
    pub(crate) fn time_left(&self, time: Duration) {
        let since = Instant::now();
        let left = Some(Left { time, since });
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = left;
        self.update(|work| work.left = left);
    }

    /// Prints while the bar is out of the way.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Takes the bar away; no line is written from here on.
    pub(crate) fn finish(&self) {
        self.update(|work| work.ended = true);
        if let Some(lines) = self.lines.get() {
            lines.ended.notify_all();
        }
        self.bar.finish_and_clear();
    }

    fn update(&self, change: impl FnOnce(&mut Work)) {
        if let Some(lines) = self.lines.get() {
            change(&mut lines.work());
        }
    }
}

impl Lines {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line after every `between`, until the end.
    fn write(&self, between: Duration, mut out: impl Write) {
        let mut next = Instant::now() + between;
        let mut work = self.work();
        while !work.ended {
            let now = Instant::now();
            if now >= next {
                // Where stderr is closed there is nobody to tell.
                let _ = out.write_all(work.line(now).as_bytes());
                next = now + between;
            }
            work = self
                .ended
                .wait_timeout(work, next - now)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Work {
    /// `progress: 12 of 40 tiles, about 2 minutes left; a.jpg (1 of 3)`.
    fn line(&self, now: Instant) -> String {
        let Self {
            done, total, unit, ..
        } = self;
        let mut line = format!("progress: {done} of {total} {unit}");
        let (first, since) = self.start;
        let finished = done.saturating_sub(first);
        let left = match self.left {
            Some(left) => Some(left.at(now)),
            None if finished == 0 => None,
            None => {
                let left = total.saturating_sub(*done) as f64 / finished as f64;
                let seconds = now.duration_since(since).as_secs_f64() * left;
                // More than u64 holds is no time that anybody waits for.
                Duration::try_from_secs_f64(seconds).ok()
            }
        };
        if let Some(left) = left {
            line.push_str(&format!(", about {} left", HumanDuration(left)));
        }
        if !self.message.is_empty() {
            line.push_str(&format!("; {}", self.message));
        }
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stderr to look at.
    #[derive(Clone, Default)]
    struct Text(Arc<Mutex<Vec<u8>>>);

    impl Write for Text {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("the text").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Text {
        fn so_far(&self) -> String {
            String::from_utf8(self.0.lock().expect("the text").clone()).expect("UTF-8")
        }

        /// Waits for some text that holds `part`.
        fn until(&self, part: &str) -> String {
            let start = Instant::now();
            loop {
                let text = self.so_far();
                if text.contains(part) {
                    return text;
                }
                assert!(start.elapsed().as_secs() < 60, "no {part:?} in {text:?}");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    fn progress(quiet: bool) -> ProgressLine {
        ProgressLine {
            between_lines: Duration::from_millis(10),
            ..ProgressLine::new(quiet, true)
        }
    }

    #[test]
    fn without_a_bar_a_line_is_written_now_and_then() {
        let (progress, text) = (progress(false), Text::default());
        progress.start_on(40, "tiles", text.clone());
        // Also when nothing is finished yet.
        text.until("progress: 0 of 40 tiles\n");
        progress.message("a.jpg (1 of 3)".into());
        progress.set(12);
        let lines = text.until("progress: 12 of 40 tiles, about ");
        let last = lines.lines().last().unwrap_or_default();
        assert!(last.ends_with("left; a.jpg (1 of 3)"), "{last}");
        progress.finish();
        let written = text.so_far();
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(text.so_far(), written, "nothing after the end");
    }

    #[test]
    fn those_who_want_quiet_get_no_lines() {
        let (progress, text) = (progress(true), Text::default());
        progress.start_on(40, "tiles", text.clone());
        progress.set(1);
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(text.so_far(), "");
    }

    #[test]
    fn the_time_left_is_that_of_this_run() {
        let start = Instant::now();
        let work = Work {
            done: 1100,
            total: 1400,
            unit: "steps".into(),
            message: String::new(),
            start: (1000, start),
            left: None,
            ended: false,
        };
        let line = work.line(start + Duration::from_secs(60));
        assert_eq!(line, "progress: 1100 of 1400 steps, about 3 minutes left\n");
        // Who knows what else is to be done is believed, and the time runs down while nothing is heard.
        let told = Work {
            left: Some(Left {
                time: Duration::from_secs(660),
                since: start,
            }),
            ..work
        };
        let line = told.line(start + Duration::from_secs(60));
        assert_eq!(
            line,
            "progress: 1100 of 1400 steps, about 10 minutes left\n"
        );
        let line = told.line(start + Duration::from_secs(900));
        assert_eq!(line, "progress: 1100 of 1400 steps, about 0 seconds left\n");
    }
}
