//! From what all methods reached to the results of a run.

use std::collections::BTreeMap;
use std::path::Path;

use super::evaluate::Outcome;
use super::measure::{self, Measured, RESTORED};
use super::pairs::{Condition, Pair};
use super::results::{
    Image, Metric, NotApplicable, Picture, PictureKind, Provenance, Results, SCHEMA_VERSION,
};
use super::resume::{RunRecord, Setup};

/// Puts the results together; `out` is the folder of the run, absolute.
pub(crate) fn results(
    record: &RunRecord,
    conditions: &[Condition],
    measured: &[Measured],
    provenance: Provenance,
    notes: Vec<String>,
    out: &Path,
) -> Results {
    let mut results = Results {
        schema_version: SCHEMA_VERSION,
        suite: record.suite.clone(),
        provenance,
        methods: measured
            .iter()
            .map(|measured| measured.planned.method.clone())
            .collect(),
        conditions: Vec::new(),
        images: Vec::new(),
        not_applicable: Vec::new(),
        pictures: Vec::new(),
        notes,
        metrics: record.setup.usual_metrics(),
    };
    for (condition, described) in conditions.iter().zip(&record.conditions) {
        // A part of a run may have no picture of a condition.
        if condition.pairs.is_empty() {
            continue;
        }
        let mut described = described.condition.clone();
        described.protocols = protocols(condition, &record.setup, &results.metrics);
        results.conditions.push(described);
    }
    for measured in measured {
        let method = &measured.planned.method.name;
        for condition in conditions
            .iter()
            .filter(|condition| !condition.pairs.is_empty())
        {
            if let Some(reason) = measure::not_applicable(&measured.planned, condition) {
                results.not_applicable.push(NotApplicable {
                    condition: condition.id(),
                    method: method.clone(),
                    reason: reason.to_owned(),
                });
                continue;
            }
            for pair in &condition.pairs {
                let name = measure::full_name(condition, &pair.name);
                results
                    .images
                    .push(image(condition, pair, method, measured.pictures.get(&name)));
            }
        }
    }
    results.pictures = pictures(conditions, measured, out);
    sort(&mut results);
    results
}

/// Brings pictures and images into the order of methods, conditions and names, so that the same measurements are the same file.
pub(crate) fn sort(results: &mut Results) {
    let places = |names: Vec<String>| -> BTreeMap<String, usize> {
        names
            .into_iter()
            .enumerate()
            .map(|(at, name)| (name, at))
            .collect()
    };
    let methods = places(
        results
            .methods
            .iter()
            .map(|method| method.name.clone())
            .collect(),
    );
    let conditions = places(
        results
            .conditions
            .iter()
            .map(|condition| condition.id.clone())
            .collect(),
    );
    let method = |name: &str| methods.get(name).copied();
    let condition = |id: &str| conditions.get(id).copied();
    results.images.sort_by(|one, other| {
        let key = |image: &Image| (method(&image.method), condition(&image.condition));
        key(one)
            .cmp(&key(other))
            .then_with(|| one.name.cmp(&other.name))
    });
    results
        .not_applicable
        .sort_by_key(|entry| (method(&entry.method), condition(&entry.condition)));
    results.pictures.sort_by(|one, other| {
        let key = |picture: &Picture| {
            let of = picture.method.as_deref().and_then(method);
            (condition(&picture.condition), of, picture.kind as u8)
        };
        key(one)
            .cmp(&key(other))
            .then_with(|| one.name.cmp(&other.name))
    });
}

fn image(condition: &Condition, pair: &Pair, method: &str, outcome: Option<&Outcome>) -> Image {
    let (metrics, seconds, error) = match outcome {
        Some(Outcome::Scored { metrics, seconds }) if !metrics.is_empty() => {
            (metrics.clone(), *seconds, None)
        }
        Some(Outcome::Failed(error)) => (BTreeMap::new(), 0.0, Some(error.clone())),
        _ => (BTreeMap::new(), 0.0, Some("it was not measured".to_owned())),
    };
    Image {
        condition: condition.id(),
        name: pair.name.clone(),
        photo: pair.photo.clone(),
        method: method.to_owned(),
        metrics,
        seconds,
        error,
    }
}

/// The words for metrics that have another protocol in this condition.
fn protocols(
    condition: &Condition,
    setup: &Setup,
    metrics: &BTreeMap<String, Metric>,
) -> BTreeMap<String, String> {
    setup
        .metrics
        .get(condition.protocol.name())
        .into_iter()
        .flatten()
        .filter(|(name, metric)| {
            metrics
                .get(*name)
                .is_some_and(|usual| usual.protocol != metric.protocol)
        })
        .map(|(name, metric)| (name.clone(), metric.protocol.clone()))
        .collect()
}

/// The pictures that lie below the folder of the run.
fn pictures(conditions: &[Condition], measured: &[Measured], out: &Path) -> Vec<Picture> {
    let mut pictures = Vec::new();
    let mut add = |condition: &Condition, pair: &Pair, method: Option<&str>, kind, file: &Path| {
        if let Ok(below) = file.strip_prefix(out)
            && file.is_file()
        {
            pictures.push(Picture {
                condition: condition.id(),
                name: pair.name.clone(),
                method: method.map(str::to_owned),
                kind,
                file: below.to_owned(),
            });
        }
    };
    for condition in conditions {
        for pair in &condition.pairs {
            add(condition, pair, None, PictureKind::Sharp, &pair.sharp);
            for measured in measured {
                let method = measured.planned.method.name.as_str();
                let name = measure::full_name(condition, &pair.name);
                if !matches!(measured.pictures.get(&name), Some(Outcome::Scored { .. })) {
                    continue;
                }
                if method == super::results::INPUT {
                    add(
                        condition,
                        pair,
                        Some(method),
                        PictureKind::Restored,
                        &pair.blurry,
                    );
                    continue;
                }
                let place = out.join(RESTORED).join(method);
                for (ending, kind) in [
                    ("png", PictureKind::Restored),
                    ("uncertainty.png", PictureKind::Uncertainty),
                ] {
                    let file = place.join(format!("{name}.{ending}"));
                    add(condition, pair, Some(method), kind, &file);
                }
            }
        }
    }
    pictures
}
