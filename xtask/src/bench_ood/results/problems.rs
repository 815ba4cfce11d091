//! What does not fit together in results.

use std::collections::HashSet;
use std::path::{Component, Path};

use super::{PictureKind, Results};

/// No metric gives a larger finite number; sums of such numbers would overflow.
const LARGEST_VALUE: f64 = 1e12;

/// One line for each problem.
pub(super) fn of(results: &Results) -> Vec<String> {
    let mut problems = Vec::new();
    let methods = unique(
        "method",
        results.methods.iter().map(|method| method.name.as_str()),
        &mut problems,
    );
    let conditions = unique(
        "condition",
        results
            .conditions
            .iter()
            .map(|condition| condition.id.as_str()),
        &mut problems,
    );
    for method in &results.methods {
        if let Some(control) = &method.matched_with
            && (!methods.contains(control.as_str()) || *control == method.name)
        {
            problems.push(format!(
                "method {}: matched_with = {control}, which is no other method",
                method.name
            ));
        }
    }
    for condition in &results.conditions {
        if let Some(severity) = condition.severity
            && !(1..=5).contains(&severity)
        {
            problems.push(format!(
                "condition {}: severity {severity} (1 to 5)",
                condition.id
            ));
        }
        for metric in condition.protocols.keys() {
            if !results.metrics.contains_key(metric) {
                problems.push(format!(
                    "condition {}: a protocol for {metric}, which is no metric",
                    condition.id
                ));
            }
        }
    }
    let mut place = |what: &str, condition: &str, method: Option<&str>| {
        if !conditions.contains(condition) {
            problems.push(format!("{what}: there is no condition {condition}"));
        }
        if let Some(method) = method
            && !methods.contains(method)
        {
            problems.push(format!("{what}: there is no method {method}"));
        }
    };
    for image in &results.images {
        let what = format!("image {}", image.name);
        place(&what, &image.condition, Some(&image.method));
    }
    for entry in &results.not_applicable {
        place("not_applicable", &entry.condition, Some(&entry.method));
    }
    for picture in &results.pictures {
        let what = format!("picture {}", picture.file.display());
        place(&what, &picture.condition, picture.method.as_deref());
    }
    metrics(results, &mut problems);
    images(results, &mut problems);
    pictures(results, &mut problems);
    problems
}

fn unique<'a>(
    what: &str,
    names: impl Iterator<Item = &'a str>,
    problems: &mut Vec<String>,
) -> HashSet<&'a str> {
    let mut seen = HashSet::new();
    for name in names {
        if name.is_empty() {
            problems.push(format!("a {what} without a name"));
        }
        if !seen.insert(name) {
            problems.push(format!("{what} {name} is there twice"));
        }
    }
    seen
}

/// Names are put into tables, headings and plots.
fn metrics(results: &Results, problems: &mut Vec<String>) {
    let is_plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
    };
    for name in results.metrics.keys() {
        if name.is_empty() || !name.bytes().all(is_plain) {
            problems.push(format!(
                "metric {name:?}: the name must have lower-case letters, digits, `-` and `_`"
            ));
        }
    }
}

fn images(results: &Results, problems: &mut Vec<String>) {
    let mut seen = HashSet::new();
    for image in &results.images {
        let of = format!("{} {} of {}", image.condition, image.name, image.method);
        if !seen.insert((&image.condition, &image.name, &image.method)) {
            problems.push(format!("image {of} is there twice"));
        }
        if image.error.is_some() != image.metrics.is_empty() {
            problems.push(format!("image {of} must have either metrics or an error"));
        }
        if !(image.seconds.is_finite() && image.seconds >= 0.0) {
            problems.push(format!("image {of}: seconds = {}", image.seconds));
        }
        for (metric, &value) in &image.metrics {
            if !results.metrics.contains_key(metric) {
                problems.push(format!(
                    "image {of}: {metric} is no metric of these results"
                ));
            }
            if value.is_finite() && value.abs() > LARGEST_VALUE {
                problems.push(format!(
                    "image {of}: {metric} = {value:e} (at most {LARGEST_VALUE:e}, or \"inf\")"
                ));
            }
        }
    }
}

fn pictures(results: &Results, problems: &mut Vec<String>) {
    for picture in &results.pictures {
        let file = picture.file.display();
        if !is_below(&picture.file) {
            problems.push(format!(
                "picture {file} is not a path below the run's folder"
            ));
        }
        if picture.method.is_none() != (picture.kind == PictureKind::Sharp) {
            problems.push(format!(
                "picture {file}: only the sharp picture has no method"
            ));
        }
    }
}

/// A report reads these files, and results may come from elsewhere: nothing outside the run's folder.
fn is_below(path: &Path) -> bool {
    path.components().next().is_some()
        && path
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}
