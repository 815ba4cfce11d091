//! Light that the sharp photo could not hold.

use ndarray::{Array3, Axis};
use serde::{Deserialize, Serialize};

use crate::error::Problem;

/// Shares of red, green and blue in luminance.
const BT_709: [f32; 3] = [0.2126, 0.7152, 0.0722];

/// Restores, by a guess, the light of pixels that are white in the sharp photo, so that lamps and reflections leave
/// streaks as bright as in a real exposure: a pixel of luminance `l` in linear light (BT.709; without three channels
/// each sample by itself) is multiplied by `1 + gain * max(l - threshold, 0) / (1 - threshold)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Highlights {
    /// Luminance from which a pixel counts as clipped, in `[0, 1)`.
    pub threshold: f32,
    /// How many times brighter than white a white sample becomes, less one; in `(0, 1000]`.
    pub gain: f32,
}

impl Highlights {
    /// Expands linear light in `[0, 1]`, `[C, H, W]`, in place.
    pub(crate) fn expand(self, light: &mut Array3<f32>) {
        let slope = self.gain / (1.0 - self.threshold);
        let factor = |luminance: f32| 1.0 + slope * (luminance - self.threshold).max(0.0);
        if light.len_of(Axis(0)) != BT_709.len() {
            light.mapv_inplace(|value| value * factor(value));
            return;
        }
        for mut row in light.axis_iter_mut(Axis(1)) {
            for mut pixel in row.axis_iter_mut(Axis(1)) {
                let luminance = BT_709[0] * pixel[0] + BT_709[1] * pixel[1] + BT_709[2] * pixel[2];
                pixel *= factor(luminance);
            }
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
