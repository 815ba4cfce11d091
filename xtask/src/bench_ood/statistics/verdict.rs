//! One word for a comparison.

use std::cmp::Ordering;
use std::fmt;

use super::bootstrap::Estimate;

/// A difference with an adjusted p above this is not called one.
pub(crate) const LEVEL: f64 = 0.05;

/// What may be said about a gain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The interval lies above 0 and the corrected test agrees.
    Better,
    /// The interval lies below 0 and the corrected test agrees.
    Worse,
    /// Neither can be said.
    Undecided,
    /// Neither could be said whatever the numbers were: so few photos among so many conditions reach no such p.
    TooFew,
    /// Not asked: the photos are those of another domain, where they are judged.
    Repeated,
}

impl Verdict {
    /// Of a gain, where positive is better. `test` is the adjusted p and the direction of the test, `least` the smallest adjusted p
    /// that so many photos could have reached.
    pub(super) fn of(gain: &Estimate, test: Option<(f64, Ordering)>, least: f64) -> Self {
        let direction = match test {
            Some((p, direction)) if p <= LEVEL => direction,
            _ if least > LEVEL => return Self::TooFew,
            _ => return Self::Undecided,
        };
        // An interval that touches 0 does not leave it out. Mean and ranks may point apart: one large loss among small gains.
        match (gain.interval, direction) {
            (Some([low, _]), Ordering::Greater) if low > 0.0 => Self::Better,
            (Some([_, high]), Ordering::Less) if high < 0.0 => Self::Worse,
            _ => Self::Undecided,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Undecided => "undecided",
            Self::TooFew => "undecided (too few photos)",
            Self::Repeated => "not judged (photos of another domain)",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering::{Equal, Greater, Less};

    use super::*;

    fn gain(low: f64, high: f64) -> Estimate {
        Estimate {
            value: 0.5 * (low + high),
            interval: Some([low, high]),
            count: 12,
        }
    }

    #[test]
    fn nothing_is_better_whose_interval_touches_zero() {
        assert_eq!(
            Verdict::of(&gain(0.0, 1.0), Some((1e-9, Greater)), 1e-9),
            Verdict::Undecided
        );
        assert_eq!(
            Verdict::of(&gain(-1.0, -0.0), Some((1e-9, Less)), 1e-9),
            Verdict::Undecided
        );
        assert_eq!(
            Verdict::of(&gain(-0.1, 1.0), Some((1e-9, Greater)), 1e-9),
            Verdict::Undecided
        );
        assert_eq!(
            Verdict::of(&gain(0.1, 1.0), Some((0.05, Greater)), 1e-9),
            Verdict::Better
        );
        assert_eq!(
            Verdict::of(&gain(-1.0, -0.1), Some((0.05, Less)), 1e-9),
            Verdict::Worse
        );
    }

    #[test]
    fn nothing_is_better_whose_test_disagrees() {
        assert_eq!(
            Verdict::of(&gain(0.1, 1.0), Some((0.050_001, Greater)), 0.01),
            Verdict::Undecided
        );
        assert_eq!(Verdict::of(&gain(0.1, 1.0), None, 0.01), Verdict::Undecided);
        assert_eq!(
            Verdict::of(&gain(0.1, 1.0), Some((0.5, Greater)), 0.5),
            Verdict::TooFew
        );
        let without = Estimate {
            value: 3.0,
            interval: None,
            count: 1,
        };
        assert_eq!(
            Verdict::of(&without, Some((0.001, Greater)), 0.0001),
            Verdict::Undecided
        );
    }

    #[test]
    fn nothing_is_better_where_the_ranks_point_the_other_way() {
        for direction in [Less, Equal] {
            assert_eq!(
                Verdict::of(&gain(0.1, 1.0), Some((1e-9, direction)), 1e-9),
                Verdict::Undecided
            );
        }
        for direction in [Greater, Equal] {
            assert_eq!(
                Verdict::of(&gain(-1.0, -0.1), Some((1e-9, direction)), 1e-9),
                Verdict::Undecided
            );
        }
    }
}
