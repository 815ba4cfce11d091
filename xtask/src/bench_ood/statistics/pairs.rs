//! Pictures of a run by condition, name and method, and two methods picture by picture.

use std::collections::{BTreeMap, HashMap};

use super::bootstrap::Observation;
use crate::bench_ood::results::Results;

/// One picture under two methods.
#[derive(Clone, Debug)]
pub(crate) struct PairedGain {
    /// Index into the conditions of the results.
    pub(crate) condition: usize,
    /// Name of the picture.
    pub(crate) name: String,
    /// Value of the reference.
    pub(crate) reference: f64,
    /// Value of the method.
    pub(crate) value: f64,
    /// Positive is better; 0 for two equal values, infinite ones too.
    pub(crate) gain: f64,
    pub(super) photo: usize,
}

impl PairedGain {
    /// A pair of which only name and gain matter.
    #[cfg(test)]
    pub(crate) fn for_test(name: &str, gain: f64) -> Self {
        Self {
            condition: 0,
            name: name.to_owned(),
            reference: 0.0,
            value: gain,
            gain,
            photo: 0,
        }
    }

    pub(super) fn observation(&self) -> Observation {
        Observation {
            photo: self.photo,
            condition: self.condition,
            value: self.gain,
        }
    }
}

/// The difference of two values, positive where `value` is the better one. Equal values do not differ, infinite ones too.
fn gain(value: f64, reference: f64, higher_is_better: bool) -> f64 {
    if value == reference {
        0.0
    } else if higher_is_better {
        value - reference
    } else {
        reference - value
    }
}

/// Results by place.
pub(super) struct Table<'a> {
    results: &'a Results,
    /// Photos by their names.
    photos: HashMap<&'a str, usize>,
    /// Stratum of each photo.
    pub(super) strata: Vec<usize>,
    /// Images by method, condition and name.
    images: HashMap<&'a str, BTreeMap<(usize, &'a str), usize>>,
}

impl<'a> Table<'a> {
    pub(super) fn new(results: &'a Results) -> Self {
        let conditions: HashMap<&str, usize> = results
            .conditions
            .iter()
            .enumerate()
            .map(|(index, condition)| (condition.id.as_str(), index))
            .collect();
        let mut photos = HashMap::new();
        let mut images: HashMap<&str, BTreeMap<(usize, &str), usize>> = HashMap::new();
        let mut domains = Domains::new(results);
        for (index, image) in results.images.iter().enumerate() {
            let Some(&condition) = conditions.get(image.condition.as_str()) else {
                continue;
            };
            let next = photos.len();
            let photo = *photos.entry(image.photo.as_str()).or_insert(next);
            domains.join(photo, condition);
            images
                .entry(image.method.as_str())
                .or_default()
                .insert((condition, image.name.as_str()), index);
        }
        Self {
            results,
            photos,
            strata: domains.strata(),
            images,
        }
    }

    /// Values of a method, those that are numbers.
    pub(super) fn values(&self, method: &str, metric: &str) -> Vec<Observation> {
        self.of(method)
            .filter_map(|(condition, index)| {
                let image = &self.results.images[index];
                let value = *image.metrics.get(metric)?;
                (!value.is_nan()).then(|| Observation {
                    photo: self.photos[image.photo.as_str()],
                    condition,
                    value,
                })
            })
            .collect()
    }

    /// Pictures of a method that have no value of a metric, by condition.
    pub(super) fn missing(&self, method: &str, metric: &str) -> BTreeMap<usize, usize> {
        let mut missing = BTreeMap::new();
        for (condition, index) in self.of(method) {
            let value = self.results.images[index].metrics.get(metric);
            if value.is_none_or(|value| value.is_nan()) {
                *missing.entry(condition).or_default() += 1;
            }
        }
        missing
    }

    fn of(&self, method: &str) -> impl Iterator<Item = (usize, usize)> {
        self.images
            .get(method)
            .into_iter()
            .flatten()
            .map(|(&(condition, _), &index)| (condition, index))
    }

    /// Pictures that both methods have a value for, matched by condition and name; in the order of conditions and names.
    pub(super) fn pairs(&self, method: &str, reference: &str, metric: &str) -> Vec<PairedGain> {
        let (Some(own), Some(other), Some(about)) = (
            self.images.get(method),
            self.images.get(reference),
            self.results.metrics.get(metric),
        ) else {
            return Vec::new();
        };
        own.iter()
            .filter_map(|(place, &index)| {
                let image = &self.results.images[index];
                let value = *image.metrics.get(metric)?;
                let reference = *self.results.images[*other.get(place)?]
                    .metrics
                    .get(metric)?;
                let gain = gain(value, reference, about.higher_is_better);
                (!gain.is_nan()).then(|| PairedGain {
                    condition: place.0,
                    name: image.name.clone(),
                    reference,
                    value,
                    gain,
                    photo: self.photos[image.photo.as_str()],
                })
            })
            .collect()
    }
}

/// Which domains share photos: photos are resampled within such groups.
struct Domains {
    /// Domain of each condition.
    of_condition: Vec<usize>,
    /// The group that a domain was merged into; itself for the first of a group.
    parent: Vec<usize>,
    /// A domain of each photo.
    of_photo: Vec<usize>,
}

impl Domains {
    fn new(results: &Results) -> Self {
        let mut names: Vec<&str> = Vec::new();
        let of_condition = results
            .conditions
            .iter()
            .map(|condition| {
                let known = names.iter().position(|name| *name == condition.domain);
                known.unwrap_or_else(|| {
                    names.push(&condition.domain);
                    names.len() - 1
                })
            })
            .collect();
        Self {
            of_condition,
            parent: (0..names.len()).collect(),
            of_photo: Vec::new(),
        }
    }

    fn group(&self, mut domain: usize) -> usize {
        while self.parent[domain] != domain {
            domain = self.parent[domain];
        }
        domain
    }

    /// `photo` is a number below or equal to those that came before.
    fn join(&mut self, photo: usize, condition: usize) {
        let domain = self.of_condition[condition];
        match self.of_photo.get(photo) {
            Some(&other) => {
                let (a, b) = (self.group(other), self.group(domain));
                self.parent[a.max(b)] = a.min(b);
            }
            None => self.of_photo.push(domain),
        }
    }

    fn strata(&self) -> Vec<usize> {
        self.of_photo
            .iter()
            .map(|&domain| self.group(domain))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_are_positive_where_the_method_is_better() {
        let inf = f64::INFINITY;
        for (value, reference, higher, expected) in [
            (31.0, 30.0, true, 1.0),
            (0.1, 0.3, false, 0.2),
            (inf, inf, true, 0.0),
            (40.0, inf, true, -inf),
            (inf, 40.0, true, inf),
            (40.0, -inf, false, -inf),
        ] {
            let found = gain(value, reference, higher);
            assert!(
                found == expected || (found - expected).abs() < 1e-15,
                "{value} {reference}: {found}"
            );
        }
        assert!(gain(f64::NAN, 1.0, true).is_nan());
    }
}
