//! Wilcoxon's signed-rank test (Wilcoxon 1945), two-sided.

use std::cmp::Ordering;

use super::normal;

/// What the test found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Test {
    /// The two-sided p-value.
    pub(crate) p: f64,
    /// The sum of the positive ranks beside its mean without a difference: `Greater` speaks for positive differences. It need not
    /// be the sign of their mean, which a single large difference can turn.
    pub(super) direction: Ordering,
}

/// Up to so many non-zero differences the distribution is computed, not approximated.
const EXACT: usize = 50;

/// The test of the hypothesis that the differences are symmetric around 0. Zeros are dropped; equal sizes share their ranks.
/// `None` without a non-zero difference, and for differences that are no numbers.
///
/// Infinite differences are the largest and tie with each other. Exact up to 50 non-zero differences: every assignment of
/// signs to the ranks found is equally likely under the hypothesis, with ties as well. Above, the normal approximation with the
/// corrections for ties and for continuity (Hollander & Wolfe 1999, section 3.1).
pub(super) fn two_sided(differences: &[f64]) -> Option<Test> {
    if differences.iter().any(|difference| difference.is_nan()) {
        return None;
    }
    let mut differences: Vec<f64> = differences
        .iter()
        .copied()
        .filter(|&difference| difference != 0.0)
        .collect();
    if differences.is_empty() {
        return None;
    }
    differences.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let ranks = doubled_ranks(&differences);
    let positive: u64 = differences
        .iter()
        .zip(&ranks)
        .filter(|(difference, _)| **difference > 0.0)
        .map(|(_, rank)| rank)
        .sum();
    let p = if differences.len() <= EXACT {
        exact(&ranks, positive)
    } else {
        approximate(&ranks, positive)
    };
    let direction = (2 * positive).cmp(&ranks.iter().sum());
    Some(Test { p, direction })
}

/// The smallest p-value that `count` non-zero differences without ties can give: all of one sign.
pub(super) fn least(count: usize) -> f64 {
    (2.0 * 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX))).min(1.0)
}

/// Ranks times two, which makes the shared rank of ties a whole number.
fn doubled_ranks(sorted: &[f64]) -> Vec<u64> {
    let mut ranks = Vec::with_capacity(sorted.len());
    while ranks.len() < sorted.len() {
        let first = ranks.len();
        let size = sorted[first].abs();
        let ties = sorted[first..]
            .iter()
            .take_while(|other| other.abs() == size)
            .count();
        // Ranks first + 1 to first + ties, on average.
        ranks.extend(std::iter::repeat_n((2 * first + ties + 1) as u64, ties));
    }
    ranks
}

fn exact(ranks: &[u64], positive: u64) -> f64 {
    let total: u64 = ranks.iter().sum();
    // probabilities[s]: of positive ranks that sum to s.
    let mut probabilities = vec![0.0_f64; total as usize + 1];
    probabilities[0] = 1.0;
    let mut reach = 0;
    for &rank in ranks {
        let rank = rank as usize;
        reach += rank;
        for sum in (0..=reach).rev() {
            let with = if sum >= rank {
                probabilities[sum - rank]
            } else {
                0.0
            };
            probabilities[sum] = 0.5 * (probabilities[sum] + with);
        }
    }
    // The distribution is symmetric: both tails are those of the smaller sum.
    let smaller = positive.min(total - positive) as usize;
    let tail: f64 = probabilities[..=smaller].iter().sum();
    (2.0 * tail).min(1.0)
}

fn approximate(ranks: &[u64], positive: u64) -> f64 {
    let count = ranks.len() as f64;
    let sum = positive as f64 / 2.0;
    let mean = count * (count + 1.0) / 4.0;
    let ties: f64 = ranks
        .chunk_by(|a, b| a == b)
        .map(|tied| {
            let size = tied.len() as f64;
            size * size * size - size
        })
        .sum();
    let variance = (count * (count + 1.0) * (2.0 * count + 1.0) - ties / 2.0) / 24.0;
    let distance = ((sum - mean).abs() - 0.5).max(0.0);
    (2.0 * normal::cumulative(-distance / variance.sqrt())).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(differences: &[f64]) -> Option<f64> {
        two_sided(differences).map(|test| test.p)
    }

    #[test]
    fn the_direction_is_that_of_the_ranks_not_of_the_mean() {
        let direction = |differences: &[f64]| two_sided(differences).unwrap().direction;
        assert_eq!(direction(&[1.0, 2.0, 3.0]), Ordering::Greater);
        assert_eq!(direction(&[-1.0, -2.0, 3.0]), Ordering::Equal);
        assert_eq!(direction(&[-1.0, -2.0, -3.0, 100.0]), Ordering::Less);
        assert_eq!(direction(&[0.5; 60]), Ordering::Greater);
    }

    #[test]
    fn all_of_one_sign_has_the_least_p() {
        for count in 1..=20 {
            let differences: Vec<f64> = (1..=count).map(f64::from).collect();
            let least_p = p(&differences).unwrap();
            assert!(
                (least_p - least(count as usize)).abs() < 1e-15,
                "{count}: {least_p}"
            );
            let negative: Vec<f64> = differences.iter().map(|x| -x).collect();
            assert_eq!(p(&negative), Some(least_p));
        }
    }

    #[test]
    fn a_table_of_three_by_hand() {
        // Eight assignments of signs to ranks 1, 2, 3: sums 0 1 2 3 3 4 5 6.
        assert_eq!(p(&[1.0, 2.0, 3.0]), Some(0.25));
        assert_eq!(p(&[-1.0, 2.0, 3.0]), Some(0.5));
        assert_eq!(p(&[1.0, -2.0, 3.0]), Some(0.75));
        assert_eq!(p(&[1.0, 2.0, -3.0]), Some(1.0));
        // Ranks 1.5, 1.5, 3: sums 0 1.5 1.5 3 3 4.5 4.5 6.
        assert_eq!(p(&[1.0, -1.0, 3.0]), Some(0.75));
    }

    #[test]
    fn zeros_count_for_nothing_and_infinity_ranks_first() {
        assert_eq!(p(&[0.0, 0.0]), None);
        assert_eq!(p(&[]), None);
        assert_eq!(p(&[1.0, f64::NAN]), None);
        assert_eq!(p(&[0.0, 1.0, -2.0, 3.0, -0.0]), Some(0.75));
        assert_eq!(p(&[1.0, 2.0, f64::NEG_INFINITY]), p(&[1.0, 2.0, -3.0]));
        assert_eq!(p(&[f64::INFINITY; 6]), Some(least(6)));
    }

    #[test]
    fn the_approximation_joins_the_exact_values() {
        let differences: Vec<f64> = (1..=EXACT)
            .map(|rank| {
                if rank % 3 == 0 {
                    -(rank as f64)
                } else {
                    rank as f64
                }
            })
            .collect();
        let ranks = doubled_ranks(&differences);
        let positive = ranks
            .iter()
            .zip(&differences)
            .filter(|(_, difference)| **difference > 0.0)
            .map(|(rank, _)| rank)
            .sum();
        let (exact, approximate) = (exact(&ranks, positive), approximate(&ranks, positive));
        assert!(
            (exact / approximate - 1.0).abs() < 0.05,
            "{exact} {approximate}"
        );
    }
}
