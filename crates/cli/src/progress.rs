//! The progress bar on stderr.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// One line that shows how far the work is. Hidden where stderr is no terminal.
pub(crate) struct ProgressLine {
    bar: ProgressBar,
    hidden: bool,
}

impl ProgressLine {
    pub(crate) fn new(hidden: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        Self { bar, hidden }
    }

    /// Shows the bar. `unit` names what is counted.
    pub(crate) fn start(&self, total: u64, unit: &str) {
        if self.hidden {
            return;
        }
        let template = format!("{{wide_msg}} [{{bar:24}}] {{pos}}/{{len}} {unit}, {{eta}} left");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        self.bar.set_length(total);
        self.bar
            .set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        self.bar.reset();
        self.bar.enable_steady_tick(Duration::from_millis(500));
    }

    /// What is being worked on.
    pub(crate) fn message(&self, message: String) {
        self.bar.set_message(message);
    }

    pub(crate) fn set(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Where the work goes on; what was done before does not count for the time left.
    pub(crate) fn resume_at(&self, done: u64) {
        self.bar.set_position(done);
        self.bar.reset_eta();
    }

    /// Prints while the bar is out of the way.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
