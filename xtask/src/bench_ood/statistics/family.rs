//! Which conditions are pooled and corrected together. It follows from the photos of the suite, before anything is measured, so
//! that no result can choose its own family.

use std::collections::{BTreeMap, BTreeSet};

use super::verdict::LEVEL;
use super::wilcoxon;
use crate::bench_ood::results::Results;

/// A domain that has photos of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repeat {
    /// The domain that is left out.
    pub(crate) domain: String,
    /// The domain that has its photos too.
    pub(crate) of: String,
}

/// The conditions of a run as the tests see them.
pub(super) struct Family {
    /// Number of photos of each condition, those that failed too.
    photos: Vec<usize>,
    /// Whether the domain of each condition has photos of another domain.
    is_repeat: Vec<bool>,
    /// Domains that are left out.
    pub(super) repeats: Vec<Repeat>,
}

impl Family {
    pub(super) fn new(results: &Results) -> Self {
        let mut by_condition: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for image in &results.images {
            by_condition
                .entry(&image.condition)
                .or_default()
                .insert(&image.photo);
        }
        let photos = |id: &str| by_condition.get(id).cloned().unwrap_or_default();
        let repeats = repeats(results, &photos);
        Self {
            photos: results
                .conditions
                .iter()
                .map(|condition| photos(&condition.id).len())
                .collect(),
            is_repeat: results
                .conditions
                .iter()
                .map(|condition| repeats.iter().any(|other| other.domain == condition.domain))
                .collect(),
            repeats,
        }
    }

    /// Its photos are those of another domain: counted once more they would seem to be more photos than there are, and one picture
    /// would be in domain and out of domain.
    pub(super) fn is_repeat(&self, condition: usize) -> bool {
        self.is_repeat[condition]
    }

    /// So few photos reach no verdict, even alone.
    pub(super) fn is_hopeless(&self, condition: usize) -> bool {
        wilcoxon::least(self.photos[condition]) > LEVEL
    }

    /// Whether Holm's correction counts the condition.
    pub(super) fn holds(&self, condition: usize) -> bool {
        !self.is_repeat(condition) && !self.is_hopeless(condition)
    }
}

/// Whether all photos of several conditions, those that failed too, are so few that even together they reach no verdict.
pub(super) fn are_hopeless(results: &Results, conditions: impl Iterator<Item = usize>) -> bool {
    let ids: BTreeSet<&str> = conditions
        .map(|condition| results.conditions[condition].id.as_str())
        .collect();
    let photos: BTreeSet<&str> = results
        .images
        .iter()
        .filter(|image| ids.contains(image.condition.as_str()))
        .map(|image| image.photo.as_str())
        .collect();
    wilcoxon::least(photos.len()) > LEVEL
}

/// Domains in domain first, then those of many photos: each is kept unless one that is kept has a photo of it.
fn repeats<'a>(results: &'a Results, photos: &dyn Fn(&str) -> BTreeSet<&'a str>) -> Vec<Repeat> {
    let mut domains: Vec<(&str, bool, BTreeSet<&str>)> = Vec::new();
    for condition in &results.conditions {
        let own = photos(&condition.id);
        match domains
            .iter_mut()
            .find(|(name, ..)| *name == condition.domain)
        {
            Some((_, in_domain, known)) => {
                *in_domain |= condition.in_domain;
                known.extend(own);
            }
            None => domains.push((&condition.domain, condition.in_domain, own)),
        }
    }
    domains.sort_by_key(|(_, in_domain, photos)| (!in_domain, std::cmp::Reverse(photos.len())));
    let mut kept: Vec<(&str, BTreeSet<&str>)> = Vec::new();
    let mut repeats = Vec::new();
    for (name, _, photos) in domains {
        match kept.iter().find(|(_, other)| !other.is_disjoint(&photos)) {
            Some((other, _)) => repeats.push(Repeat {
                domain: name.to_owned(),
                of: (*other).to_owned(),
            }),
            None => kept.push((name, photos)),
        }
    }
    repeats
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench_ood::fixture;

    #[test]
    fn a_domain_with_photos_of_another_is_left_out_by_name() {
        let results = fixture::two_domains();
        let family = Family::new(&results);
        let night = Repeat {
            domain: "night".into(),
            of: "photos".into(),
        };
        assert_eq!(family.repeats, std::slice::from_ref(&night));
        let held: Vec<bool> = (0..4).map(|condition| family.holds(condition)).collect();
        // Five pages of text reach 2 / 2^5 at best.
        assert_eq!(held, [true, true, false, false]);
        assert!(family.is_hopeless(3) && !family.is_repeat(3));

        // One photo of two domains is enough: its picture would count twice.
        let mut results = results;
        for image in &mut results.images {
            if image.condition == "night/new" && image.name != "photos-0" {
                image.photo.insert_str(0, "night-");
            }
        }
        assert_eq!(Family::new(&results).repeats, [night]);
        results
            .images
            .retain(|image| image.condition != "night/new" || image.name != "photos-0");
        assert_eq!(Family::new(&results).repeats, []);
    }

    #[test]
    fn what_is_in_domain_is_never_left_out_for_a_larger_domain() {
        let mut results = fixture::two_domains();
        for condition in &mut results.conditions {
            condition.in_domain = condition.domain == "night";
        }
        let repeats = Family::new(&results).repeats;
        assert_eq!(
            (repeats[0].domain.as_str(), repeats[0].of.as_str()),
            ("photos", "night")
        );
    }
}
