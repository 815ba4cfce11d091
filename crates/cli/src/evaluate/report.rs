//! What is reported: JSON Lines, rows of a table, statistics.

use std::collections::BTreeMap;

use image_quality::MetricValue;
use serde::Serialize;
use serde_json::Value;

use super::metric::{Metric, Values};
use super::scores::Scores;

/// JSON `started`: the first line.
#[derive(Serialize)]
pub(crate) struct Started<'a> {
    pub(crate) pairs: usize,
    pub(crate) metrics: &'a [Metric],
    /// How each number is made.
    pub(crate) protocols: BTreeMap<Metric, Protocol>,
    /// SHA-256 of each file of weights.
    pub(crate) weights: BTreeMap<&'static str, String>,
    /// Null where nothing is restored; so are the options.
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) options: Option<Value>,
}

/// How a number is made.
#[derive(Serialize)]
pub(crate) struct Protocol {
    pub(crate) text: String,
    pub(crate) higher_is_better: bool,
    /// Empty where there is none.
    pub(crate) unit: &'static str,
}

/// The model that restores.
#[derive(Serialize)]
pub(crate) struct Checkpoint {
    pub(crate) name: String,
    pub(crate) sha256: String,
    pub(crate) parameters: i64,
}

/// JSON `image`: one per pair that was scored.
#[derive(Serialize)]
pub(crate) struct Image<'a> {
    pub(crate) name: &'a str,
    pub(crate) sharp: String,
    pub(crate) blurry: Option<String>,
    /// What was scored, where it is a file.
    pub(crate) restored: Option<String>,
    pub(crate) uncertainty: Option<String>,
    pub(crate) metrics: &'a Values,
    /// The blurry picture against the sharp one.
    pub(crate) input_metrics: Option<&'a Values>,
    /// Restoring alone; null where it was not done here.
    pub(crate) seconds: Option<f64>,
    /// Whether the numbers are from an earlier run.
    pub(crate) reused: bool,
}

/// JSON `failure`: one per pair that was not.
#[derive(Serialize)]
pub(crate) struct Failure<'a> {
    pub(crate) name: &'a str,
    pub(crate) error: &'a str,
    pub(crate) hint: Option<&'a str>,
}

/// JSON `summary`: the last line.
#[derive(Serialize)]
pub(crate) struct Summary {
    /// Images scored.
    pub(crate) count: usize,
    pub(crate) failed: usize,
    pub(crate) interrupted: bool,
    pub(crate) metrics: BTreeMap<Metric, Statistic>,
    pub(crate) input_metrics: Option<BTreeMap<Metric, Statistic>>,
    pub(crate) set_metrics: BTreeMap<Metric, Value>,
    pub(crate) input_set_metrics: Option<BTreeMap<Metric, Value>>,
    /// The whole run.
    pub(crate) seconds: f64,
}

/// One metric over images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Statistic {
    /// Infinite if one value is; not a number if one is none, or if there is no value.
    pub(crate) mean: MetricValue,
    /// With `count - 1` in the denominator; not a number for a single image or an infinite mean.
    pub(crate) std: MetricValue,
    pub(crate) count: usize,
    /// How many values are infinite, as the PSNR of equal images is.
    pub(crate) infinite: usize,
}

impl Statistic {
    /// Of these values, added up in their order.
    pub(crate) fn of(values: &[f64]) -> Self {
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let std = if count > 1 {
            (squares / (count - 1) as f64).sqrt()
        } else {
            f64::NAN
        };
        Self {
            mean: mean.into(),
            std: std.into(),
            count,
            infinite: values.iter().filter(|value| value.is_infinite()).count(),
        }
    }
}

/// The statistics of every metric of single images.
pub(crate) fn statistics<'a>(
    metrics: &[Metric],
    values: impl Iterator<Item = &'a Values> + Clone,
) -> BTreeMap<Metric, Statistic> {
    let of_images = metrics.iter().filter(|metric| !metric.is_of_sets());
    of_images
        .map(|metric| {
            let values: Vec<f64> = values
                .clone()
                .filter_map(|values| Some(values.get(metric)?.0))
                .collect();
            (*metric, Statistic::of(&values))
        })
        .collect()
}

/// `PSNR 31.20 dB (+1.02), SSIM 0.9101 (+0.0200)`; in brackets what was gained over the blurry picture.
pub(crate) fn in_words(scores: &Scores) -> String {
    let parts = scores.metrics.iter().map(|(metric, value)| {
        let decimals = metric.decimals();
        let mut text = format!("{} {:.decimals$}", metric.title(), value);
        if !metric.unit().is_empty() {
            text = format!("{text} {}", metric.unit());
        }
        let input = scores
            .input_metrics
            .as_ref()
            .and_then(|input| input.get(metric));
        if let Some(change) = input.and_then(|input| change(input.0, value.0)) {
            text.push_str(&format!(" ({change:+.decimals$})"));
        }
        text
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// The difference, where both are numbers.
fn change(input: f64, restored: f64) -> Option<f64> {
    Some(restored - input).filter(|change| change.is_finite())
}

/// The table of the summary, as text.
pub(crate) fn table(summary: &Summary) -> String {
    let mut rows =
        vec![["metric", "input", "restored", "change", "std", "better"].map(String::from)];
    let mut remarks = Vec::new();
    for (metric, statistic) in &summary.metrics {
        let decimals = metric.decimals();
        let number = |value: f64| format!("{:.decimals$}", MetricValue(value));
        let input = summary
            .input_metrics
            .as_ref()
            .and_then(|input| input.get(metric));
        rows.push([
            title(*metric),
            input.map_or_else(String::new, |input| number(input.mean.0)),
            number(statistic.mean.0),
            signed(input.map(|input| input.mean.0), statistic.mean.0, decimals),
            number(statistic.std.0),
            direction(*metric),
        ]);
        for (what, statistic) in [("restored", Some(statistic)), ("input", input)] {
            if let Some(Statistic {
                infinite: infinite @ 1..,
                count,
                ..
            }) = statistic
            {
                remarks.push(format!(
                    "{}, {what}: infinite for {infinite} of {count} images, which equal the sharp ones",
                    metric.title()
                ));
            }
        }
    }
    for (metric, value) in &summary.set_metrics {
        let decimals = metric.decimals();
        let mean = |value: &Value| value.as_f64().or_else(|| value["mean"].as_f64());
        let number = |value: Option<f64>| {
            value.map_or_else(String::new, |value| format!("{value:.decimals$}"))
        };
        let input = summary
            .input_set_metrics
            .as_ref()
            .and_then(|input| mean(input.get(metric)?));
        rows.push([
            title(*metric),
            number(input),
            number(mean(value)),
            mean(value).map_or_else(String::new, |value| signed(input, value, decimals)),
            number(value["std"].as_f64()),
            direction(*metric),
        ]);
    }
    let widths: [usize; 6] = std::array::from_fn(|column| {
        rows.iter()
            .map(|row| row[column].len())
            .max()
            .unwrap_or_default()
    });
    let mut text = String::new();
    for row in &rows {
        let cells = row
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                if matches!(column, 0 | 5) {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    for remark in remarks {
        text.push_str(&format!("{remark}\n"));
    }
    text
}

fn title(metric: Metric) -> String {
    match metric.unit() {
        "" => metric.title().to_owned(),
        unit => format!("{} ({unit})", metric.title()),
    }
}

fn direction(metric: Metric) -> String {
    let word = if metric.higher_is_better() {
        "higher"
    } else {
        "lower"
    };
    word.to_owned()
}

fn signed(input: Option<f64>, restored: f64, decimals: usize) -> String {
    input
        .and_then(|input| change(input, restored))
        .map_or_else(String::new, |change| format!("{change:+.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_have_known_values() {
        let statistic = Statistic::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!(statistic.mean.0, 5.0);
        // Sum of squares 32 over 7.
        assert!((statistic.std.0 - (32.0_f64 / 7.0).sqrt()).abs() < 1e-15);
        assert_eq!((statistic.count, statistic.infinite), (8, 0));
        let infinite = Statistic::of(&[30.0, f64::INFINITY, f64::INFINITY]);
        assert_eq!(infinite.mean.0, f64::INFINITY);
        assert!(infinite.std.0.is_nan());
        assert_eq!((infinite.count, infinite.infinite), (3, 2));
        let one = Statistic::of(&[30.0]);
        assert!(one.mean.0 == 30.0 && one.std.0.is_nan());
        assert!(Statistic::of(&[]).mean.0.is_nan());
    }

    #[test]
    fn the_table_names_units_directions_and_infinite_values() {
        let statistic = |values: &[f64]| Statistic::of(values);
        let summary = Summary {
            count: 2,
            failed: 0,
            interrupted: false,
            metrics: [
                (Metric::Psnr, statistic(&[30.0, f64::INFINITY])),
                (Metric::Lpips, statistic(&[0.1, 0.2])),
            ]
            .into(),
            input_metrics: Some(
                [
                    (Metric::Psnr, statistic(&[20.0, 21.0])),
                    (Metric::Lpips, statistic(&[0.3, 0.3])),
                ]
                .into(),
            ),
            set_metrics: [(Metric::Kid, serde_json::json!({"mean": 0.25, "std": 0.5}))].into(),
            input_set_metrics: None,
            seconds: 1.0,
        };
        let text = table(&summary);
        let lines: Vec<&str> = text.lines().collect();
        let words = |line: usize| lines[line].split_whitespace().collect::<Vec<_>>();
        assert_eq!(words(1), ["PSNR", "(dB)", "20.500", "inf", "nan", "higher"]);
        assert_eq!(
            words(2),
            ["LPIPS", "0.3000", "0.1500", "-0.1500", "0.0707", "lower"]
        );
        assert_eq!(words(3), ["KID", "0.25000", "0.50000", "lower"]);
        assert!(
            lines[4].starts_with("PSNR, restored: infinite for 1 of 2 images"),
            "{text}"
        );
    }
}
