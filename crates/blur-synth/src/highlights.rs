//! Light that the sharp photo could not hold.

use serde::{Deserialize, Serialize};

use crate::error::Problem;

/// Restores, by a guess, the light of pixels that are white in the sharp photo, so that lamps and reflections leave
/// streaks as bright as in a real exposure: `v` in linear light becomes `v * (1 + gain * (v - threshold) / (1 - threshold))`
/// above the threshold, in each channel by itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Highlights {
    /// Linear light from which a sample counts as clipped, in `[0, 1)`.
    pub threshold: f32,
    /// How many times brighter than white a white sample becomes, less one; in `(0, 1000]`.
    pub gain: f32,
}

impl Highlights {
    /// Expands linear light in `[0, 1]` in place.
    pub(crate) fn expand(self, values: &mut [f32]) {
        let slope = self.gain / (1.0 - self.threshold);
        for value in values {
            let excess = (*value - self.threshold).max(0.0);
            *value *= 1.0 + slope * excess;
        }
    }

    pub(crate) fn problems(self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !(0.0..1.0).contains(&self.threshold) {
            problems.push(Problem::new(
                "highlights.threshold",
                self.threshold,
                "at least 0 and less than 1",
            ));
        }
        if !(self.gain > 0.0 && self.gain <= 1000.0) {
            problems.push(Problem::new(
                "highlights.gain",
                self.gain,
                "greater than 0 and at most 1000",
            ));
        }
        problems
    }
}
