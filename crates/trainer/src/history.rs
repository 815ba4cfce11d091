//! The numbers of a run so far, as its log has them: what the curves are drawn from.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::quality::Quality;

/// Values over finished steps.
pub(crate) type Series = Vec<(f64, f64)>;

/// What is drawn, read from lines of `metrics.jsonl`. Keys that a line lacks leave gaps.
#[derive(Debug, Default)]
pub(crate) struct History {
    steps: BTreeMap<&'static str, Series>,
    /// Value name of [`Quality::values`], then set of pairs.
    validations: BTreeMap<String, BTreeMap<String, Series>>,
}

/// Keys of step lines that are drawn.
const STEP_KEYS: [&str; 6] = [
    "loss",
    "smoothed_loss",
    "guidance_loss",
    "learning_rate",
    "images_per_second",
    "step_seconds",
];

impl History {
    /// Takes a line in.
    pub(crate) fn add(&mut self, line: &Value) {
        let Some(step) = line.get("step").and_then(Value::as_f64) else {
            return;
        };
        match line.get("type").and_then(Value::as_str) {
            Some("step") => {
                for key in STEP_KEYS {
                    if let Some(value) = line.get(key).and_then(Value::as_f64) {
                        self.steps.entry(key).or_default().push((step, value));
                    }
                }
            }
            Some("validation") => {
                let sets = line.get("report").and_then(Value::as_object);
                for (set, quality) in sets.into_iter().flatten() {
                    // A PSNR that is infinite is null in the log; that set has no curve.
                    let Ok(quality) = Quality::deserialize(quality) else {
                        continue;
                    };
                    for (name, value) in quality.values() {
                        let sets = self.validations.entry(name).or_default();
                        sets.entry(set.clone()).or_default().push((step, value));
                    }
                }
            }
            _ => {}
        }
    }

    /// A key of step lines.
    pub(crate) fn step(&self, key: &str) -> Series {
        self.steps.get(key).cloned().unwrap_or_default()
    }

    /// A validated value of one set.
    pub(crate) fn validated(&self, name: &str, set: &str) -> Series {
        let sets = self.validations.get(name);
        sets.and_then(|sets| sets.get(set))
            .cloned()
            .unwrap_or_default()
    }

    /// The sets of pairs, `all` first.
    pub(crate) fn sets(&self) -> Vec<&str> {
        let sets = self.validations.get("output_psnr").into_iter().flatten();
        let mut names: Vec<&str> = sets.map(|(name, _)| name.as_str()).collect();
        names.sort_by_key(|name| *name != "all");
        names
    }

    /// `value` minus `base` of one set, where both were measured.
    pub(crate) fn gain(&self, value: &str, base: &str, set: &str) -> Series {
        let base = self.validated(base, set);
        let mut base = base.iter().peekable();
        let values = self.validated(value, set);
        values
            .into_iter()
            .filter_map(|(step, value)| {
                while base.next_if(|(other, _)| *other < step).is_some() {}
                let (_, base) = base.peek().filter(|(other, _)| *other == step)?;
                Some((step, value - base))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_of_the_log_become_series() {
        let mut history = History::default();
        history.add(&json!({"type": "step", "step": 20, "loss": 0.5, "learning_rate": 1e-4}));
        history.add(&json!({"type": "step", "step": 40, "loss": null, "learning_rate": 2e-4}));
        let set = json!({"pairs": 1, "input_psnr": 20.0, "output_psnr": 21.5});
        let sharp = json!({"pairs": 1, "input_psnr": null, "output_psnr": 50.0});
        history.add(&json!({"type": "validation", "step": 40, "report": {"all": set, "b": sharp}}));
        let more =
            json!({"pairs": 1, "input_psnr": 20.0, "output_psnr": 23.0, "output_ssim": 0.75});
        history.add(&json!({"type": "validation", "step": 60, "report": {"all": more, "a": set}}));
        history.add(&json!({"type": "of a later version", "step": 60}));
        history.add(&json!("no object"));
        assert_eq!(history.step("loss"), [(20.0, 0.5)]);
        assert_eq!(history.step("learning_rate").len(), 2);
        assert_eq!(history.sets(), ["all", "a"]);
        let gain = history.gain("output_psnr", "input_psnr", "all");
        assert_eq!(gain, [(40.0, 1.5), (60.0, 3.0)]);
        assert_eq!(history.validated("output_ssim", "all"), [(60.0, 0.75)]);
        assert!(history.gain("output_ssim", "input_ssim", "all").is_empty());
    }
}
