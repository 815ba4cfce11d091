//! Two methods over the conditions in domain, over those out of domain, and the gap between the two.

use super::analysis::only;
use super::bootstrap::{Estimate, Observation, Settings, estimate};
use super::conditions::{ConditionComparison, photo_means};
use super::family::{self, Family};
use super::pairs::Table;
use super::verdict::Verdict;
use super::wilcoxon::Test;
use super::{holm, wilcoxon};
use crate::bench_ood::results::Results;

/// Photos that each side of a gap must have: no test stands behind a gap, and an interval from fewer photos is far too narrow.
pub(crate) const GAP_PHOTOS: usize = 10;

/// A comparison over several conditions.
pub(crate) struct Pooled {
    /// Indices of the conditions.
    pub(crate) conditions: Vec<usize>,
    /// Indices of conditions that belong here and are not counted: the mean is infinite, or one of the two was not asked.
    pub(crate) left_out: Vec<usize>,
    /// Number of photos, which are the sample.
    pub(crate) photos: usize,
    /// Mean over the conditions of their mean gains.
    pub(crate) gain: Estimate,
    /// Wilcoxon's test on the mean gain of each photo.
    test: Option<Test>,
    /// What may be said, with p corrected over in domain and out of domain where both have enough photos.
    pub(crate) verdict: Verdict,
}

/// Both pools and their gap.
pub(super) struct Pools {
    pub(super) in_domain: Option<Pooled>,
    pub(super) out_of_domain: Option<Pooled>,
    pub(super) gap: Option<Estimate>,
}

pub(super) fn compare(
    (results, table, family): (&Results, &Table<'_>, &Family),
    observations: &[Observation],
    rows: &[ConditionComparison],
    settings: Settings,
) -> Pools {
    let pool = |in_domain: bool| {
        let own: Vec<usize> = (0..results.conditions.len())
            .filter(|&condition| results.conditions[condition].in_domain == in_domain)
            .filter(|&condition| !family.is_repeat(condition))
            .collect();
        pooled(results, table, observations, (&own, rows), settings)
    };
    let (mut in_domain, mut out_of_domain) = (pool(true), pool(false));
    correct(results, [&mut in_domain, &mut out_of_domain]);
    let gap = in_domain
        .as_ref()
        .zip(out_of_domain.as_ref())
        .filter(|(inside, outside)| inside.photos.min(outside.photos) >= GAP_PHOTOS)
        .and_then(|(inside, outside)| {
            let plus = only(results, &inside.conditions, 1.0);
            let minus = only(results, &outside.conditions, -1.0);
            let coefficients: Vec<f64> = plus.iter().zip(minus).map(|(a, b)| a + b).collect();
            estimate(observations, &table.strata, &coefficients, settings)
        });
    Pools {
        in_domain,
        out_of_domain,
        gap,
    }
}

fn pooled(
    results: &Results,
    table: &Table<'_>,
    observations: &[Observation],
    (own, rows): (&[usize], &[ConditionComparison]),
    settings: Settings,
) -> Option<Pooled> {
    let (conditions, left_out): (Vec<usize>, Vec<usize>) = own.iter().partition(|&&condition| {
        rows.iter()
            .any(|row| row.condition == condition && row.gain.value.is_finite())
    });
    let coefficients = only(results, &conditions, 1.0);
    // Without a condition the sum is empty and means nothing.
    let gain = (!conditions.is_empty())
        .then(|| estimate(observations, &table.strata, &coefficients, settings))??;
    let photos = photo_means(observations, &coefficients);
    Some(Pooled {
        conditions,
        left_out,
        photos: photos.len(),
        gain,
        test: wilcoxon::two_sided(&photos),
        verdict: Verdict::Undecided,
    })
}

/// Holm's correction over the pools that can reach a verdict, and the verdicts.
fn correct(results: &Results, mut pools: [&mut Option<Pooled>; 2]) {
    let is_hopeless = |pool: &Pooled| {
        let all = pool.conditions.iter().chain(&pool.left_out);
        family::are_hopeless(results, all.copied())
    };
    let p: Vec<Option<f64>> = pools
        .iter()
        .map(|pool| pool.as_ref().filter(|pool| !is_hopeless(pool)))
        .map(|pool| Some(pool?.test?.p))
        .collect();
    let tests = p.iter().flatten().count().max(1);
    for (pool, adjusted) in pools.iter_mut().zip(holm::adjust(&p)) {
        let Some(pool) = pool else { continue };
        pool.verdict = if is_hopeless(pool) {
            Verdict::TooFew
        } else {
            let least = wilcoxon::least(pool.photos) * tests as f64;
            let test = adjusted.zip(pool.test.map(|test| test.direction));
            Verdict::of(&pool.gain, test, least)
        };
    }
}
