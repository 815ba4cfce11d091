//! All that is said about a run.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::bootstrap::{Estimate, Observation, Settings, estimate};
use super::pairs::{PairedGain, Table};
use super::verdict::Verdict;
use super::{holm, wilcoxon};
use crate::bench_ood::results::{INPUT, Results};

/// Means and comparisons of a run.
pub(crate) struct Analysis {
    /// How intervals were computed.
    pub(crate) settings: Settings,
    /// Means of each method in each condition.
    pub(crate) levels: Vec<Level>,
    /// Each method with the input, each guided model with its control.
    pub(crate) comparisons: Vec<Comparison>,
}

/// The mean of a metric over the pictures of a condition.
pub(crate) struct Level {
    /// Name of the method.
    pub(crate) method: String,
    /// Index into the conditions.
    pub(crate) condition: usize,
    /// Name of the metric.
    pub(crate) metric: String,
    /// `None` without any value.
    pub(crate) mean: Option<Estimate>,
    /// Pictures that have no value.
    pub(crate) missing: usize,
    /// Pictures whose value is infinite.
    pub(crate) infinite: usize,
}

/// What a comparison asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ComparisonKind {
    /// What a method gains over the blurry input.
    Gain,
    /// What guidance gains over the matched model without it.
    Guidance,
}

/// Two methods in one metric, picture by picture.
pub(crate) struct Comparison {
    /// What it asks.
    pub(crate) kind: ComparisonKind,
    /// Name of the method.
    pub(crate) method: String,
    /// Name of what it is compared with.
    pub(crate) reference: String,
    /// Name of the metric.
    pub(crate) metric: String,
    /// Conditions with at least one pair of values.
    pub(crate) conditions: Vec<ConditionComparison>,
    /// Over the conditions in domain.
    pub(crate) in_domain: Option<Pooled>,
    /// Over the conditions out of domain.
    pub(crate) out_of_domain: Option<Pooled>,
    /// Gain in domain minus gain out of domain.
    pub(crate) gap: Option<Estimate>,
    /// Every pair, worst gain first.
    pub(crate) pairs: Vec<PairedGain>,
}

/// A comparison in one condition.
pub(crate) struct ConditionComparison {
    /// Index into the conditions.
    pub(crate) condition: usize,
    /// Mean gain.
    pub(crate) gain: Estimate,
    /// Pictures on which the method is better, equal, worse.
    pub(crate) counts: [usize; 3],
    /// Pictures of the condition that one of the two has no value for.
    pub(crate) missing: usize,
    /// Of Wilcoxon's test; `None` when all differences are 0.
    pub(crate) p: Option<f64>,
    /// Corrected over the conditions.
    pub(crate) adjusted_p: Option<f64>,
    /// What may be said.
    pub(crate) verdict: Verdict,
}

/// A comparison over several conditions.
pub(crate) struct Pooled {
    /// Indices of the conditions.
    pub(crate) conditions: Vec<usize>,
    /// Indices of conditions whose mean is infinite.
    pub(crate) left_out: Vec<usize>,
    /// Number of photos, which are the sample.
    pub(crate) photos: usize,
    /// Mean over the conditions of their mean gains.
    pub(crate) gain: Estimate,
    /// Of Wilcoxon's test on the mean gain of each photo.
    pub(crate) p: Option<f64>,
    /// Corrected over in domain and out of domain.
    pub(crate) adjusted_p: Option<f64>,
    /// What may be said.
    pub(crate) verdict: Verdict,
}

/// Computes everything that is said about a run. The same results and settings give the same numbers on any number of threads.
pub(crate) fn analyse(results: &Results, settings: Settings) -> Analysis {
    let table = Table::new(results);
    let metrics: Vec<&str> = results.metrics.keys().map(String::as_str).collect();
    let by_method: Vec<(&str, &str)> = results
        .methods
        .iter()
        .flat_map(|method| metrics.iter().map(|&metric| (method.name.as_str(), metric)))
        .collect();
    let levels = by_method
        .par_iter()
        .flat_map(|&(method, metric)| levels(results, &table, method, metric, settings))
        .collect();
    let mut asked = Vec::new();
    for method in &results.methods {
        if method.name != INPUT && results.method(INPUT).is_some() {
            asked.push((ComparisonKind::Gain, method.name.as_str(), INPUT));
        }
        if let Some(control) = &method.matched_with {
            asked.push((ComparisonKind::Guidance, method.name.as_str(), control));
        }
    }
    let asked: Vec<_> = asked
        .iter()
        .flat_map(|&question| metrics.iter().map(move |&metric| (question, metric)))
        .collect();
    let comparisons = asked
        .par_iter()
        .filter_map(|&((kind, method, reference), metric)| {
            compare(results, &table, (kind, method, reference), metric, settings)
        })
        .collect();
    Analysis {
        settings,
        levels,
        comparisons,
    }
}

impl Analysis {
    /// A comparison by what it asks, the method and the metric.
    pub(crate) fn comparison(
        &self,
        kind: ComparisonKind,
        method: &str,
        metric: &str,
    ) -> Option<&Comparison> {
        self.comparisons
            .iter()
            .find(|other| other.kind == kind && other.method == method && other.metric == metric)
    }

    /// The mean of a method in a condition.
    pub(crate) fn level(&self, method: &str, condition: usize, metric: &str) -> Option<&Level> {
        self.levels.iter().find(|level| {
            level.condition == condition && level.method == method && level.metric == metric
        })
    }
}

fn levels(
    results: &Results,
    table: &Table<'_>,
    method: &str,
    metric: &str,
    settings: Settings,
) -> Vec<Level> {
    let values = table.values(method, metric);
    let missing = table.missing(method, metric);
    (0..results.conditions.len())
        .filter_map(|condition| {
            let own: Vec<Observation> = values
                .iter()
                .filter(|value| value.condition == condition)
                .copied()
                .collect();
            let missing = missing.get(&condition).copied().unwrap_or(0);
            // Neither values nor failures: the method was not asked, the set does not have this metric here.
            (!own.is_empty() || missing > 0).then(|| Level {
                method: method.to_owned(),
                condition,
                metric: metric.to_owned(),
                mean: estimate(
                    &own,
                    &table.strata,
                    &only(results, &[condition], 1.0),
                    settings,
                ),
                missing,
                infinite: own.iter().filter(|value| value.value.is_infinite()).count(),
            })
        })
        .collect()
}

/// Coefficients: `total` spread evenly over some conditions.
fn only(results: &Results, conditions: &[usize], total: f64) -> Vec<f64> {
    let mut coefficients = vec![0.0; results.conditions.len()];
    for &condition in conditions {
        coefficients[condition] = total / conditions.len() as f64;
    }
    coefficients
}

fn compare(
    results: &Results,
    table: &Table<'_>,
    (kind, method, reference): (ComparisonKind, &str, &str),
    metric: &str,
    settings: Settings,
) -> Option<Comparison> {
    let mut pairs = table.pairs(method, reference, metric);
    let observations: Vec<Observation> = pairs.iter().map(PairedGain::observation).collect();
    let conditions = by_condition(results, table, &observations, settings);
    if conditions.is_empty() {
        return None;
    }
    let pool = |in_domain: bool| {
        pooled(
            results,
            table,
            &observations,
            &conditions,
            in_domain,
            settings,
        )
    };
    let (mut inside, mut outside) = (pool(true), pool(false));
    correct_pools([&mut inside, &mut outside]);
    let gap = match (&inside, &outside) {
        (Some(inside), Some(outside)) => {
            let mut coefficients = only(results, &inside.conditions, 1.0);
            for (coefficient, other) in
                coefficients
                    .iter_mut()
                    .zip(only(results, &outside.conditions, -1.0))
            {
                *coefficient += other;
            }
            estimate(&observations, &table.strata, &coefficients, settings)
        }
        _ => None,
    };
    pairs.sort_by(|a, b| a.gain.total_cmp(&b.gain));
    Some(Comparison {
        kind,
        method: method.to_owned(),
        reference: reference.to_owned(),
        metric: metric.to_owned(),
        conditions,
        in_domain: inside,
        out_of_domain: outside,
        gap,
        pairs,
    })
}

fn by_condition(
    results: &Results,
    table: &Table<'_>,
    observations: &[Observation],
    settings: Settings,
) -> Vec<ConditionComparison> {
    let mut rows = Vec::new();
    for (condition, about) in results.conditions.iter().enumerate() {
        let own: Vec<Observation> = observations
            .iter()
            .filter(|other| other.condition == condition)
            .copied()
            .collect();
        let Some(gain) = estimate(
            &own,
            &table.strata,
            &only(results, &[condition], 1.0),
            settings,
        ) else {
            continue;
        };
        // Pictures of one photo in one condition (frames of a scene) are one value in the test.
        let photos = photo_means(&own, &only(results, &[condition], 1.0));
        let count = |ordering| {
            own.iter()
                .filter(|other| other.value.partial_cmp(&0.0) == Some(ordering))
                .count()
        };
        rows.push(ConditionComparison {
            condition,
            gain,
            counts: [
                count(std::cmp::Ordering::Greater),
                count(std::cmp::Ordering::Equal),
                count(std::cmp::Ordering::Less),
            ],
            missing: about.pairs.saturating_sub(own.len()),
            p: wilcoxon::two_sided(&photos),
            adjusted_p: None,
            verdict: Verdict::of(&gain, None, wilcoxon::least(photos.len())),
        });
    }
    let adjusted = holm::adjust(&rows.iter().map(|row| row.p).collect::<Vec<_>>());
    let tests = rows.iter().filter(|row| row.p.is_some()).count().max(1);
    for (row, adjusted) in rows.iter_mut().zip(adjusted) {
        row.adjusted_p = adjusted;
        // The best that Holm leaves to a condition that is not first in line is a little more; this is the first's.
        let least = wilcoxon::least(row.counts.iter().sum()) * tests as f64;
        row.verdict = Verdict::of(&row.gain, adjusted, least);
    }
    rows
}

/// For each photo the mean over its conditions, weighted by `coefficients`.
fn photo_means(observations: &[Observation], coefficients: &[f64]) -> Vec<f64> {
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

fn pooled(
    results: &Results,
    table: &Table<'_>,
    observations: &[Observation],
    rows: &[ConditionComparison],
    in_domain: bool,
    settings: Settings,
) -> Option<Pooled> {
    let (conditions, left_out): (Vec<usize>, Vec<usize>) = rows
        .iter()
        .filter(|row| results.conditions[row.condition].in_domain == in_domain)
        .map(|row| (row.condition, row.gain.value.is_finite()))
        .fold(Default::default(), |mut parts, (condition, is_finite)| {
            if is_finite {
                parts.0.push(condition);
            } else {
                parts.1.push(condition);
            }
            parts
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
        p: wilcoxon::two_sided(&photos),
        adjusted_p: None,
        verdict: Verdict::of(&gain, None, wilcoxon::least(photos.len())),
    })
}

fn correct_pools(mut pools: [&mut Option<Pooled>; 2]) {
    let p: Vec<Option<f64>> = pools
        .iter()
        .map(|pool| pool.as_ref().and_then(|pool| pool.p))
        .collect();
    let tests = p.iter().flatten().count().max(1);
    for (pool, adjusted) in pools.iter_mut().zip(holm::adjust(&p)) {
        if let Some(pool) = pool {
            pool.adjusted_p = adjusted;
            let least = wilcoxon::least(pool.photos) * tests as f64;
            pool.verdict = Verdict::of(&pool.gain, adjusted, least);
        }
    }
}
