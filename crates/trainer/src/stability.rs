//! What follows from a loss or gradient that is not finite: such a step is skipped, and the learning rate backs off for a while.

use serde::{Deserialize, Serialize};

/// Smallest factor of the learning rate: 2^-8.
const MAX_HALVINGS: u32 = 8;
/// Finite steps in a row after which one halving is taken back.
const CALM_STEPS: u32 = 100;

/// Counters of non-finite steps. Each such step halves the learning rate, down to 1/256 of what is configured; each 100 finite
/// steps in a row double it again until the configured one is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stability {
    /// Non-finite steps just now, without a finite one between.
    pub in_a_row: u32,
    /// Non-finite steps of the whole run.
    pub total: u64,
    halvings: u32,
    calm: u32,
}

impl Stability {
    /// What the learning rate is multiplied by.
    pub fn factor(&self) -> f64 {
        0.5f64.powi(self.halvings.min(MAX_HALVINGS) as i32)
    }

    /// A step was not finite.
    pub(crate) fn skipped(&mut self) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.total += 1;
        self.halvings = (self.halvings + 1).min(MAX_HALVINGS);
        self.calm = 0;
    }

    /// A step was finite.
    pub(crate) fn done(&mut self) {
        self.in_a_row = 0;
        if self.halvings > 0 {
            self.calm += 1;
            if self.calm >= CALM_STEPS {
                self.halvings -= 1;
                self.calm = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_backs_off_and_comes_back() {
        let mut stability = Stability::default();
        stability.done();
        assert_eq!(stability.factor(), 1.0);
        stability.skipped();
        stability.skipped();
        assert_eq!((stability.factor(), stability.in_a_row), (0.25, 2));
        for _ in 0..CALM_STEPS - 1 {
            stability.done();
        }
        assert_eq!((stability.factor(), stability.in_a_row), (0.25, 0));
        stability.done();
        assert_eq!(stability.factor(), 0.5);
        // A relapse starts the waiting anew.
        for _ in 0..CALM_STEPS - 1 {
            stability.done();
        }
        stability.skipped();
        assert_eq!(stability.factor(), 0.25);
        for _ in 0..2 * CALM_STEPS {
            stability.done();
        }
        assert_eq!((stability.factor(), stability.total), (1.0, 3));
        for _ in 0..1000 {
            stability.skipped();
        }
        assert_eq!(stability.factor(), 1.0 / 256.0);
    }
}
