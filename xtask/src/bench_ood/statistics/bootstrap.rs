//! Bootstrap intervals of means over conditions, resampled by photo.

use super::normal;
use super::random::Random;

/// How intervals are computed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Number of resamples.
    pub(crate) resamples: usize,
    /// Seed of the resamples.
    pub(crate) seed: u64,
    /// Probability that the interval is to hold.
    pub(crate) coverage: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resamples: 10_000,
            seed: 20_221_205,
            coverage: 0.95,
        }
    }
}

/// A number with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    /// The mean over what was measured; infinite where an image equals the truth, no number where that has no meaning.
    pub(crate) value: f64,
    /// Lower and upper end; none from a single photo.
    pub(crate) interval: Option<[f64; 2]>,
    /// Number of pictures.
    pub(crate) count: usize,
}

/// A value of one picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observation {
    /// The photo behind the picture.
    pub(super) photo: usize,
    /// Index into the coefficients.
    pub(super) condition: usize,
    pub(super) value: f64,
}

/// Sums of one photo.
struct Cluster {
    stratum: usize,
    /// Condition, sum of the values, their number.
    terms: Vec<(usize, f64, usize)>,
}

/// What is estimated: Σ over conditions of coefficient × mean of the condition.
struct Design<'a> {
    coefficients: &'a [f64],
    clusters: Vec<Cluster>,
    /// Clusters of each stratum.
    strata: Vec<Vec<usize>>,
}

/// Σ over conditions of coefficient × mean over the pictures of the condition, with a BCa interval from resampling photos within
/// strata. Conditions with coefficient 0 take no part. `strata[photo]` is the stratum of a photo.
///
/// `None` when a condition that takes part has no value. The interval is absent if no stratum has two photos, or if the value is
/// no number.
pub(super) fn estimate(
    observations: &[Observation],
    strata: &[usize],
    coefficients: &[f64],
    settings: Settings,
) -> Option<Estimate> {
    let design = Design::new(observations, strata, coefficients);
    let count = design
        .clusters
        .iter()
        .flat_map(|cluster| &cluster.terms)
        .map(|&(_, _, count)| count)
        .sum();
    let value = design.value(&vec![1; design.clusters.len()])?;
    let interval = if value.is_nan() {
        None
    } else {
        design.interval(value, settings)
    };
    Some(Estimate {
        value,
        interval,
        count,
    })
}

impl<'a> Design<'a> {
    fn new(observations: &[Observation], strata: &[usize], coefficients: &'a [f64]) -> Self {
        let mut places = vec![None; strata.len()];
        let mut clusters: Vec<Cluster> = Vec::new();
        for observation in observations {
            if coefficients[observation.condition] == 0.0 {
                continue;
            }
            let place = *places[observation.photo].get_or_insert_with(|| {
                clusters.push(Cluster {
                    stratum: strata[observation.photo],
                    terms: Vec::new(),
                });
                clusters.len() - 1
            });
            let terms = &mut clusters[place].terms;
            match terms
                .iter_mut()
                .find(|(condition, ..)| *condition == observation.condition)
            {
                Some((_, sum, count)) => {
                    *sum += observation.value;
                    *count += 1;
                }
                None => terms.push((observation.condition, observation.value, 1)),
            }
        }
        let mut members: std::collections::BTreeMap<usize, Vec<usize>> = Default::default();
        for (index, cluster) in clusters.iter().enumerate() {
            members.entry(cluster.stratum).or_default().push(index);
        }
        Self {
            coefficients,
            clusters,
            strata: members.into_values().collect(),
        }
    }

    /// With each photo counted `weights` times; `None` when a condition is left without pictures.
    fn value(&self, weights: &[u32]) -> Option<f64> {
        let mut sums = vec![(0.0, 0.0); self.coefficients.len()];
        for (cluster, &weight) in self.clusters.iter().zip(weights) {
            // 0 × ∞ is no number.
            if weight == 0 {
                continue;
            }
            for &(condition, sum, count) in &cluster.terms {
                sums[condition].0 += f64::from(weight) * sum;
                sums[condition].1 += f64::from(weight) * count as f64;
            }
        }
        let mut value = 0.0;
        for (&coefficient, (sum, count)) in self.coefficients.iter().zip(sums) {
            if coefficient == 0.0 {
                continue;
            }
            if count == 0.0 {
                return None;
            }
            value += coefficient * sum / count;
        }
        Some(value)
    }

    fn resample(&self, random: &mut Random) -> Option<f64> {
        // Conditions that few photos of a stratum have may come out empty; that resample has no mean and is drawn again.
        const ATTEMPTS: usize = 1_000;
        let mut weights = vec![0; self.clusters.len()];
        for _ in 0..ATTEMPTS {
            weights.fill(0);
            for members in &self.strata {
                for _ in members {
                    weights[members[random.below(members.len())]] += 1;
                }
            }
            if let Some(value) = self.value(&weights) {
                return Some(value);
            }
        }
        None
    }

    fn interval(&self, value: f64, settings: Settings) -> Option<[f64; 2]> {
        if self.strata.iter().all(|members| members.len() < 2) {
            return None;
        }
        let mut resamples = (0..settings.resamples as u64)
            .map(|index| self.resample(&mut Random::stream(settings.seed, index)))
            .collect::<Option<Vec<f64>>>()?;
        if resamples.iter().any(|value| value.is_nan()) {
            return None;
        }
        resamples.sort_by(f64::total_cmp);
        let tail = 0.5 * (1.0 - settings.coverage);
        let levels = self
            .bca_levels(value, &resamples, tail)
            .unwrap_or([tail, 1.0 - tail]);
        Some(levels.map(|level| percentile(&resamples, level)))
    }

    /// Levels of the percentiles that BCa takes instead of `tail` and 1 − `tail` (Efron & Tibshirani 1993, equation 14.10). `None` where
    /// they are undefined, with infinite values for example; plain percentiles are taken then.
    fn bca_levels(&self, value: f64, sorted: &[f64], tail: f64) -> Option<[f64; 2]> {
        // Means of few or equal values come up again: half of those ties are below. Rounding must not decide it.
        let near = 1e-12 * (sorted[sorted.len() - 1] - sorted[0]);
        let below = sorted.partition_point(|&other| other < value - near);
        let equal = sorted.partition_point(|&other| other <= value + near) - below;
        let share = (below as f64 + 0.5 * equal as f64) / sorted.len() as f64;
        let bias = normal::quantile(share);
        let acceleration = self.acceleration()?;
        let level = |z: f64| {
            let moved = bias + z;
            normal::cumulative(bias + moved / (1.0 - acceleration * moved))
        };
        let z = normal::quantile(tail);
        let levels = [level(z), level(-z)];
        levels
            .iter()
            .all(|level| level.is_finite() && (0.0..=1.0).contains(level))
            .then_some(levels)
    }

    /// From leaving out one photo after the other (Efron & Tibshirani 1993, equation 14.15; strata as several samples: Davison & Hinkley
    /// 1997, equation 5.23).
    fn acceleration(&self) -> Option<f64> {
        let mut weights = vec![1; self.clusters.len()];
        let (mut cubes, mut squares) = (0.0, 0.0);
        for members in &self.strata {
            let count = members.len() as f64;
            let mut without = Vec::with_capacity(members.len());
            for &member in members {
                weights[member] = 0;
                // A condition that rests on one photo has no mean without it.
                if let Some(value) = self.value(&weights) {
                    without.push(value);
                }
                weights[member] = 1;
            }
            let mean = without.iter().sum::<f64>() / without.len().max(1) as f64;
            for value in without {
                let influence = (count - 1.0) * (mean - value);
                cubes += influence.powi(3) / count.powi(3);
                squares += influence.powi(2) / count.powi(2);
            }
        }
        if squares == 0.0 {
            return Some(0.0);
        }
        let acceleration = cubes / (6.0 * squares.powf(1.5));
        acceleration.is_finite().then_some(acceleration)
    }
}

/// Between two neighbours by linear interpolation; beside an infinite neighbour the farther one from the middle.
fn percentile(sorted: &[f64], level: f64) -> f64 {
    let place = level * (sorted.len() - 1) as f64;
    let (low, high) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    if low == high {
        low
    } else if low.is_finite() && high.is_finite() {
        low + (place - place.floor()) * (high - low)
    } else if level < 0.5 {
        low
    } else {
        high
    }
}
