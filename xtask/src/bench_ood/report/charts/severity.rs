//! How the gain changes with the severity of a family of blur.

use std::collections::BTreeMap;

use anyhow::Result;
use plotters::prelude::*;

use super::{Chart, INK, colour, draw, legend, order, plain, range, tick};
use crate::bench_ood::numbers::metric_name;
use crate::bench_ood::results::Results;
use crate::bench_ood::statistics::{Analysis, ComparisonKind, Estimate};

/// Units.
const HEIGHT: u32 = 220;

/// A plot for each domain and family that has two severities or more.
///
/// # Errors
/// When drawing fails.
pub(crate) fn severities(
    results: &Results,
    analysis: &Analysis,
    methods: &[&str],
    metric: &str,
) -> Result<Vec<Chart>> {
    let mut families: BTreeMap<(&str, &str), Vec<(u8, usize)>> = BTreeMap::new();
    for (index, condition) in results.conditions.iter().enumerate() {
        if let Some(severity) = condition.severity {
            families
                .entry((&condition.domain, &condition.family))
                .or_default()
                .push((severity, index));
        }
    }
    let mut charts = Vec::new();
    for ((domain, family), mut places) in families {
        places.sort_unstable();
        places.dedup_by_key(|place| place.0);
        if places.len() > 1 {
            charts.extend(one(
                results,
                analysis,
                (domain, family),
                &places,
                methods,
                metric,
            )?);
        }
    }
    Ok(charts)
}

fn one(
    results: &Results,
    analysis: &Analysis,
    (domain, family): (&str, &str),
    places: &[(u8, usize)],
    methods: &[&str],
    metric: &str,
) -> Result<Option<Chart>> {
    let lines: Vec<Vec<(f64, Estimate)>> = methods
        .iter()
        .map(|method| {
            let gain = analysis.comparison(ComparisonKind::Gain, method, metric);
            places
                .iter()
                .filter_map(|&(severity, condition)| {
                    let row = gain?
                        .conditions
                        .iter()
                        .find(|row| row.condition == condition)?;
                    let is_finite = row.gain.value.is_finite();
                    is_finite.then_some((f64::from(severity), row.gain))
                })
                .collect()
        })
        .collect();
    let values: Vec<f64> = lines
        .iter()
        .flatten()
        .flat_map(|(_, gain)| gain.interval.into_iter().flatten().chain([gain.value]))
        .collect();
    let Some(about) = results.metrics.get(metric).filter(|_| !values.is_empty()) else {
        return Ok(None);
    };
    let up = range(values, Some(0.0));
    let svg = draw(HEIGHT, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(6)
            .set_label_area_size(LabelAreaPosition::Bottom, 34)
            .set_label_area_size(LabelAreaPosition::Left, 46)
            .build_cartesian_2d(0.7..5.3, up.clone())?;
        plain(
            chart
                .configure_mesh()
                .disable_x_mesh()
                .x_labels(5)
                .y_labels(5)
                .x_label_formatter(&|value| format!("{value:.0}"))
                .y_label_formatter(&tick(up.end - up.start))
                .x_desc("severity")
                .y_desc(format!("gain {}", about.unit)),
        )
        .draw()?;
        chart.draw_series([PathElement::new(vec![(0.7, 0.0), (5.3, 0.0)], INK)])?;
        for (index, line) in lines.iter().enumerate() {
            let colour = colour(order(results, methods[index]));
            let clamp = |value: f64| value.clamp(up.start, up.end);
            // Intervals side by side, not on top of each other.
            let aside = 0.07 * (index as f64 - 0.5 * (lines.len() - 1) as f64);
            for (severity, gain) in line {
                if let Some([low, high]) = gain.interval {
                    chart.draw_series([PathElement::new(
                        vec![
                            (severity + aside, clamp(low)),
                            (severity + aside, clamp(high)),
                        ],
                        colour,
                    )])?;
                }
            }
            let points: Vec<(f64, f64)> = line
                .iter()
                .map(|(severity, gain)| (severity + aside, clamp(gain.value)))
                .collect();
            chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?;
            chart.draw_series(
                points
                    .into_iter()
                    .map(|point| Circle::new(point, 3, colour.filled())),
            )?;
        }
        Ok(())
    })?;
    Ok(Some(Chart {
        title: format!("{family} on {domain}"),
        description: format!(
            "Gain of {} over the blurry input by severity of {family} on {domain}, with 95 % intervals; the numbers are in the tables below.",
            metric_name(metric)
        ),
        svg,
        height: HEIGHT,
        legend: legend(results, methods),
    }))
}
