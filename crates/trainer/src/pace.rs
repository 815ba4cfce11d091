//! How fast a run is, and how long it will take.

use crate::TrainConfig;

/// Steps over which the speed and the loss are smoothed: the weight of a step halves with every so many.
const HALF_LIFE: f64 = 20.0;
/// Forward and backward pass take as long as so many forward passes.
const PASSES_OF_A_STEP: f64 = 3.0;

/// A mean in which older values count less; from the start a mean of all so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Smoothed {
    sum: f64,
    weight: f64,
}

impl Smoothed {
    /// Takes a value in; one that is not finite is passed over.
    pub(crate) fn add(&mut self, value: f64) {
        if value.is_finite() {
            let decay = 0.5f64.powf(1.0 / HALF_LIFE);
            self.sum = decay * self.sum + value;
            self.weight = decay * self.weight + 1.0;
        }
    }

    /// The mean, once there was a value.
    pub(crate) fn mean(self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

/// Times of one process.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Seconds per step, data included.
    step: Smoothed,
    /// Seconds of the last validation, with what is drawn after it.
    validation: Option<f64>,
    /// Seconds of the last checkpoint.
    checkpoint: f64,
}

impl Pace {
    pub(crate) fn step_took(&mut self, seconds: f64) {
        self.step.add(seconds);
    }

    pub(crate) fn validation_took(&mut self, seconds: f64) {
        self.validation = Some(seconds);
    }

    pub(crate) fn checkpoint_took(&mut self, seconds: f64) {
        self.checkpoint = seconds;
    }

    /// Crops per second while steps are made.
    pub(crate) fn images_per_second(&self, batch: usize) -> f64 {
        self.step
            .mean()
            .map_or(0.0, |seconds| batch as f64 / seconds)
    }

    /// Seconds until the end of the run after `step` steps, validations and checkpoints included, also those that are due now. `passes`
    /// is how many passes over a crop a validation takes; its time is guessed from them until there was one.
    pub(crate) fn left(&self, step: u64, config: &TrainConfig, passes: usize) -> f64 {
        let seconds = self.step.mean().unwrap_or(0.0);
        // How often from now on; at the last step in any case.
        let times = |every: u64| {
            let regular = config.steps / every - step.saturating_sub(1).min(config.steps) / every;
            (regular + u64::from(!config.steps.is_multiple_of(every))) as f64
        };
        let pixels = |side: usize| (side * side) as f64;
        let guess = || {
            let crops = passes as f64 * pixels(config.validation_crop);
            seconds * crops / (PASSES_OF_A_STEP * config.batch as f64 * pixels(config.crop))
        };
        let steps = config.steps.saturating_sub(step) as f64 * seconds;
        let validations = times(config.validate_every) * self.validation.unwrap_or_else(guess);
        let by_time = (steps + validations) / (60.0 * config.checkpoint_minutes);
        let checkpoints = times(config.checkpoint_every) + by_time.floor();
        steps + validations + checkpoints * self.checkpoint
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    #[test]
    fn a_smoothed_value_forgets_by_half() {
        let mut smoothed = Smoothed::default();
        assert_eq!(smoothed.mean(), None);
        smoothed.add(f64::NAN);
        smoothed.add(4.0);
        assert_eq!(smoothed.mean(), Some(4.0));
        smoothed.add(2.0);
        let mean = smoothed.mean().unwrap();
        assert!((2.9..3.0).contains(&mean), "{mean}");
        // After a long time at 1, twenty steps at 0 leave a half.
        let mut smoothed = Smoothed::default();
        (0..2000).for_each(|_| smoothed.add(1.0));
        (0..20).for_each(|_| smoothed.add(0.0));
        assert!((smoothed.mean().unwrap() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn the_time_left_counts_what_is_left_to_do() {
        let config = TrainConfig {
            steps: 100,
            validate_every: 30,
            checkpoint_every: 50,
            checkpoint_minutes: 1000.0,
            batch: 2,
            crop: 32,
            validation_crop: 64,
            ..TrainConfig::tiny(vec!["photos".into()], "run".into())
        };
        let mut pace = Pace::default();
        assert_eq!(pace.left(0, &config, 3), 0.0);
        pace.step_took(2.0);
        assert_eq!(pace.images_per_second(2), 1.0);
        // Guessed: 3 passes over 64 × 64 against a step of 3 × 2 passes over 32 × 32 in 2 s. At 30, 60, 90 and the end.
        let left = pace.left(0, &config, 3);
        assert!((left - (200.0 + 4.0 * 4.0)).abs() < 1e-9, "{left}");
        pace.validation_took(10.0);
        pace.checkpoint_took(1.0);
        let left = |step| pace.left(step, &config, 3);
        assert!((left(0) - (200.0 + 40.0 + 2.0)).abs() < 1e-9);
        assert!((left(60) - (80.0 + 30.0 + 1.0)).abs() < 1e-9);
        assert!((left(61) - (78.0 + 20.0 + 1.0)).abs() < 1e-9);
        assert!((left(100) - 11.0).abs() < 1e-9);
    }
}
