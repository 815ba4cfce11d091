//! One row per pair, for spreadsheets.

use std::path::Path;

use image_quality::MetricValue;

use super::metric::{Metric, Values};
use super::pairs::Pair;
use super::saved::Saved;
use super::scores::Scores;
use crate::hints::{Problem, chain};
use crate::output::path_text;

/// A pair and its result.
pub(crate) struct Row {
    pub(crate) result: Result<Scores, Problem>,
    pub(crate) reused: bool,
}

/// Writes the file whole or not at all. Numbers are not rounded; what is not finite is `inf`, `-inf` or `nan`.
///
/// # Errors
/// What the file system says.
pub(crate) fn write(
    path: &Path,
    overwrite: bool,
    metrics: &[Metric],
    pairs: &[Pair],
    rows: &[Row],
    saved: Option<&Saved>,
) -> Result<(), Problem> {
    let failed = |error: csv::Error| {
        Problem::new(format!("cannot make the table: {}", chain(&error))).at(path)
    };
    let metrics: Vec<Metric> = metrics
        .iter()
        .copied()
        .filter(|metric| !metric.is_of_sets())
        .collect();
    let names = |prefix: &'static str| {
        metrics
            .iter()
            .map(move |metric| format!("{prefix}{metric}"))
    };
    let head: Vec<String> = ["name", "sharp", "blurry", "restored"]
        .map(String::from)
        .into_iter()
        .chain(names(""))
        .chain(names("input_"))
        .chain(["seconds", "reused", "error"].map(String::from))
        .collect();
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(&head).map_err(failed)?;
    for (pair, row) in pairs.iter().zip(rows) {
        let scores = row.result.as_ref().ok();
        let restored = pair
            .restored
            .clone()
            .or_else(|| scores.and(saved).map(|saved| saved.photo(&pair.name)));
        let numbers = |values: Option<&Values>| -> Vec<String> {
            let number = |metric| {
                values
                    .and_then(|values| values.get(metric))
                    .map_or_else(String::new, MetricValue::to_string)
            };
            metrics.iter().map(number).collect()
        };
        let mut record = vec![
            pair.name.clone(),
            path_text(&pair.sharp),
            pair.blurry.as_deref().map(path_text).unwrap_or_default(),
            restored.as_deref().map(path_text).unwrap_or_default(),
        ];
        record.extend(numbers(scores.map(|scores| &scores.metrics)));
        record.extend(numbers(
            scores.and_then(|scores| scores.input_metrics.as_ref()),
        ));
        record.extend([
            scores
                .and_then(|scores| scores.seconds)
                .map(|seconds| seconds.to_string())
                .unwrap_or_default(),
            row.reused.to_string(),
            row.result
                .as_ref()
                .err()
                .map(|problem| problem.message.clone())
                .unwrap_or_default(),
        ]);
        table.write_record(&record).map_err(failed)?;
    }
    let bytes = table
        .into_inner()
        .map_err(|error| Problem::new(format!("cannot make the table: {error}")).at(path))?;
    Ok(image_io::write_bytes(path, &bytes, overwrite)?)
}
