//! Two methods in each condition.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::analysis::only;
use super::bootstrap::{Estimate, Observation, Settings, estimate};
use super::family::Family;
use super::pairs::Table;
use super::verdict::Verdict;
use super::wilcoxon::Test;
use super::{holm, wilcoxon};
use crate::bench_ood::results::Results;

/// A comparison in one condition.
pub(crate) struct ConditionComparison {
    /// Index into the conditions.
    pub(crate) condition: usize,
    /// Mean gain.
    pub(crate) gain: Estimate,
    /// Pictures on which the method is better, equal, worse.
    pub(crate) counts: [usize; 3],
    /// Photos behind those pictures, which are the sample.
    pub(crate) photos: usize,
    /// Pictures of the condition that one of the two has no value for.
    pub(crate) missing: usize,
    /// Wilcoxon's test; `None` when all differences are 0.
    pub(crate) test: Option<Test>,
    /// Corrected over the conditions; `None` where the correction does not count the condition.
    pub(crate) adjusted_p: Option<f64>,
    /// What may be said.
    pub(crate) verdict: Verdict,
}

/// All conditions that have a pair of values.
pub(super) fn compare(
    (results, table, family): (&Results, &Table<'_>, &Family),
    observations: &[Observation],
    settings: Settings,
) -> Vec<ConditionComparison> {
    let mut rows: Vec<ConditionComparison> = (0..results.conditions.len())
        .filter_map(|condition| row(results, table, observations, condition, settings))
        .collect();
    correct(&mut rows, family);
    rows
}

fn row(
    results: &Results,
    table: &Table<'_>,
    observations: &[Observation],
    condition: usize,
    settings: Settings,
) -> Option<ConditionComparison> {
    let own: Vec<Observation> = observations
        .iter()
        .filter(|other| other.condition == condition)
        .copied()
        .collect();
    let coefficients = only(results, &[condition], 1.0);
    let gain = estimate(&own, &table.strata, &coefficients, settings)?;
    // Pictures of one photo in one condition (frames of a scene) are one value in the test.
    let photos = photo_means(&own, &coefficients);
    let count = |ordering| {
        own.iter()
            .filter(|other| other.value.partial_cmp(&0.0) == Some(ordering))
            .count()
    };
    Some(ConditionComparison {
        condition,
        gain,
        counts: [Ordering::Greater, Ordering::Equal, Ordering::Less].map(count),
        photos: photos.len(),
        missing: results.conditions[condition]
            .pairs
            .saturating_sub(own.len()),
        test: wilcoxon::two_sided(&photos),
        adjusted_p: None,
        verdict: Verdict::Undecided,
    })
}

/// Holm's correction and the verdicts.
fn correct(rows: &mut [ConditionComparison], family: &Family) {
    let p: Vec<Option<f64>> = rows
        .iter()
        .map(|row| row.test.filter(|_| family.holds(row.condition)))
        .map(|test| test.map(|test| test.p))
        .collect();
    let tests = p.iter().flatten().count().max(1);
    for (row, adjusted) in rows.iter_mut().zip(holm::adjust(&p)) {
        row.adjusted_p = adjusted;
        row.verdict = if family.is_repeat(row.condition) {
            Verdict::Repeated
        } else if family.is_hopeless(row.condition) {
            Verdict::TooFew
        } else {
            // The best that Holm leaves to a condition that is not first in line is a little more; this is the first's.
            let least = wilcoxon::least(row.photos) * tests as f64;
            let test = adjusted.zip(row.test.map(|test| test.direction));
            Verdict::of(&row.gain, test, least)
        };
    }
}

/// For each photo the mean over its conditions, weighted by `coefficients`.
pub(super) fn photo_means(observations: &[Observation], coefficients: &[f64]) -> Vec<f64> {
    let mut sums: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for observation in observations {
        let weight = coefficients[observation.condition];
        if weight != 0.0 {
            let sum = sums.entry(observation.photo).or_default();
            sum.0 += weight * observation.value;
            sum.1 += weight;
        }
    }
    sums.into_values()
        .map(|(sum, weight)| sum / weight)
        .collect()
}
