//! All that is said about a run.

use rayon::prelude::*;

use super::bootstrap::{Estimate, Observation, Settings, estimate};
use super::conditions::{self, ConditionComparison};
use super::family::{Family, Repeat};
use super::pairs::{PairedGain, Table};
use super::pools::{self, Pooled};
use crate::bench_ood::results::{INPUT, Results};

/// Means and comparisons of a run.
pub(crate) struct Analysis {
    /// How intervals were computed.
    pub(crate) settings: Settings,
    /// Means of each method in each condition.
    pub(crate) levels: Vec<Level>,
    /// Each method with the input, each guided model with its control.
    pub(crate) comparisons: Vec<Comparison>,
    /// Domains that are in no pool and no correction, because their photos are those of another domain.
    pub(crate) repeats: Vec<Repeat>,
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
    /// Gain in domain minus gain out of domain; only where both have [`super::GAP_PHOTOS`].
    pub(crate) gap: Option<Estimate>,
    /// Every pair, worst gain first.
    pub(crate) pairs: Vec<PairedGain>,
}

/// Computes everything that is said about a run. The same results and settings give the same numbers on any number of threads.
pub(crate) fn analyse(results: &Results, settings: Settings) -> Analysis {
    let table = Table::new(results);
    let family = Family::new(results);
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
            compare(
                (results, &table, &family),
                (kind, method, reference),
                metric,
                settings,
            )
        })
        .collect();
    Analysis {
        settings,
        levels,
        comparisons,
        repeats: family.repeats,
    }
}

impl Comparison {
    /// Pairs whose gain is a finite number, worst first.
    pub(crate) fn ranked(&self) -> impl Iterator<Item = &PairedGain> {
        self.pairs.iter().filter(|pair| pair.gain.is_finite())
    }

    /// Pairs whose gain is infinite, because one of the two equals the truth. Gains cannot order them, the method's own values can: the
    /// worst first.
    pub(crate) fn unranked(&self, higher_is_better: bool) -> Vec<&PairedGain> {
        let mut pairs: Vec<&PairedGain> = self
            .pairs
            .iter()
            .filter(|pair| pair.gain.is_infinite())
            .collect();
        pairs.sort_by(|a, b| {
            let rising = a.value.total_cmp(&b.value);
            if higher_is_better {
                rising
            } else {
                rising.reverse()
            }
        });
        pairs
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
pub(super) fn only(results: &Results, conditions: &[usize], total: f64) -> Vec<f64> {
    let mut coefficients = vec![0.0; results.conditions.len()];
    for &condition in conditions {
        coefficients[condition] = total / conditions.len() as f64;
    }
    coefficients
}

fn compare(
    (results, table, family): (&Results, &Table<'_>, &Family),
    (kind, method, reference): (ComparisonKind, &str, &str),
    metric: &str,
    settings: Settings,
) -> Option<Comparison> {
    let mut pairs = table.pairs(method, reference, metric);
    let observations: Vec<Observation> = pairs.iter().map(PairedGain::observation).collect();
    let conditions = conditions::compare((results, table, family), &observations, settings);
    if conditions.is_empty() {
        return None;
    }
    let pools = pools::compare(
        (results, table, family),
        &observations,
        &conditions,
        settings,
    );
    pairs.sort_by(|a, b| a.gain.total_cmp(&b.gain));
    Some(Comparison {
        kind,
        method: method.to_owned(),
        reference: reference.to_owned(),
        metric: metric.to_owned(),
        conditions,
        in_domain: pools.in_domain,
        out_of_domain: pools.out_of_domain,
        gap: pools.gap,
        pairs,
    })
}
