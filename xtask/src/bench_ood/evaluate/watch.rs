//! How far a method is, condition by condition.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Line, Outcome};
use crate::report::{duration, say};

/// Counts the pictures of a method and says when a condition is done.
pub(crate) struct Watch {
    /// What is at work, `guided (4 of 7)`.
    what: String,
    start: Instant,
    /// Pictures to come by condition.
    open: BTreeMap<String, usize>,
    /// Values of PSNR by condition.
    psnr: BTreeMap<String, Vec<f64>>,
    conditions: usize,
    total: usize,
    done: usize,
    failed: usize,
}

impl Watch {
    pub(crate) fn new(what: String, lines: &[Line]) -> Self {
        let mut open = BTreeMap::new();
        for line in lines {
            *open.entry(condition(&line.name).to_owned()).or_insert(0) += 1;
        }
        Self {
            what,
            start: Instant::now(),
            conditions: open.len(),
            open,
            psnr: BTreeMap::new(),
            total: lines.len(),
            done: 0,
            failed: 0,
        }
    }

    /// Counts a picture.
    pub(crate) fn note(&mut self, name: &str, outcome: &Outcome) {
        if let Some(line) = self.count(name, outcome, self.start.elapsed()) {
            say(line);
        }
    }

    /// A line when a condition is done, or a picture has failed.
    fn count(&mut self, name: &str, outcome: &Outcome, time: Duration) -> Option<String> {
        self.done += 1;
        let condition = condition(name).to_owned();
        match outcome {
            Outcome::Scored { metrics, .. } => {
                let values = self.psnr.entry(condition.clone()).or_default();
                values.extend(metrics.get("psnr"));
            }
            Outcome::Failed(error) => {
                self.failed += 1;
                say(format!("{}: {name} failed: {error}", self.what));
            }
        }
        let open = self.open.get_mut(&condition)?;
        *open = open.saturating_sub(1);
        if *open > 0 {
            return None;
        }
        self.open.remove(&condition);
        let values = self.psnr.remove(&condition).unwrap_or_default();
        let mean = if values.is_empty() {
            String::new()
        } else {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            format!(", PSNR {mean:.2} dB")
        };
        let done = self.conditions - self.open.len();
        let left = time.mul_f64((self.total - self.done.min(self.total)) as f64 / self.done as f64);
        let left = if self.open.is_empty() {
            let failed = match self.failed {
                0 => String::new(),
                failed => format!(", {failed} failed"),
            };
            format!("done in {}{failed}", duration(time))
        } else {
            format!("{} left", duration(left))
        };
        Some(format!(
            "{}: {condition}{mean}; {done} of {} conditions, {left}",
            self.what, self.conditions
        ))
    }
}

/// `DOMAIN/CONDITION` of `DOMAIN/CONDITION/NAME`.
fn condition(name: &str) -> &str {
    name.rsplit_once('/')
        .map_or(name, |(condition, _)| condition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_told_when_its_last_picture_is_done() {
        let line = |name: &str| Line {
            name: name.to_owned(),
            sharp: "s".into(),
            blurry: None,
            restored: None,
        };
        let lines = ["p/a/1", "p/a/2", "p/b/1", "p/b/2"].map(line);
        let mut watch = Watch::new("guided".to_owned(), &lines);
        let scored = |psnr| Outcome::Scored {
            metrics: BTreeMap::from([("psnr".to_owned(), psnr)]),
            seconds: 1.0,
        };
        let time = Duration::from_secs(10);
        assert_eq!(watch.count("p/a/1", &scored(20.0), time), None);
        assert_eq!(
            watch.count("p/a/2", &scored(30.0), time).unwrap(),
            "guided: p/a, PSNR 25.00 dB; 1 of 2 conditions, 10.0 s left"
        );
        let failed = Outcome::Failed("cut off".to_owned());
        assert_eq!(watch.count("p/b/1", &failed, time), None);
        assert_eq!(
            watch.count("p/b/2", &failed, time).unwrap(),
            "guided: p/b; 2 of 2 conditions, done in 10.0 s, 2 failed"
        );
    }
}
