//! Gain with its interval: a row for each condition of a domain, a mark for each method.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{Chart, INK, LETTERS, anchored, colour, draw, legend, order, plain, range, tick};
use crate::bench_ood::numbers::metric_name;
use crate::bench_ood::results::Results;
use crate::bench_ood::statistics::{Analysis, ComparisonKind, ConditionComparison};

/// Units for the names of the conditions.
const NAMES: i32 = 138;
/// Units between the marks of one row.
const STEP: u32 = 8;

/// The gain of some methods over the input in all conditions of `domain`; `None` where there is nothing to draw.
///
/// # Errors
/// When drawing fails.
pub(crate) fn gain_rows(
    results: &Results,
    analysis: &Analysis,
    domain: &str,
    methods: &[&str],
    metric: &str,
) -> Result<Option<Chart>> {
    let Some(about) = results.metrics.get(metric) else {
        return Ok(None);
    };
    let conditions: Vec<usize> = (0..results.conditions.len())
        .filter(|&index| results.conditions[index].domain == domain)
        .collect();
    let of = |method: &str, condition: usize| -> Option<&ConditionComparison> {
        let gain = analysis.comparison(ComparisonKind::Gain, method, metric)?;
        gain.conditions
            .iter()
            .find(|row| row.condition == condition)
    };
    let all: Vec<&ConditionComparison> = methods
        .iter()
        .flat_map(|method| {
            conditions
                .iter()
                .filter_map(|&condition| of(method, condition))
        })
        .collect();
    if all.is_empty() {
        return Ok(None);
    }
    let across = range(
        all.iter().flat_map(|row| {
            row.gain
                .interval
                .into_iter()
                .flatten()
                .chain([row.gain.value])
        }),
        Some(0.0),
    );
    let row_height = 14 + STEP * methods.len() as u32;
    let height = row_height * conditions.len() as u32 + 44;
    let svg = draw(height, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin_right(12)
            .margin_top(4)
            .set_label_area_size(LabelAreaPosition::Bottom, 40)
            .set_label_area_size(LabelAreaPosition::Left, NAMES)
            .build_cartesian_2d(across.clone(), conditions.len() as f64..0.0)?;
        let unit = if about.unit.is_empty() {
            String::new()
        } else {
            format!(" in {}", about.unit)
        };
        plain(
            chart
                .configure_mesh()
                .disable_y_mesh()
                .disable_y_axis()
                .x_labels(5)
                .x_label_formatter(&tick(across.end - across.start))
                .x_desc(format!(
                    "gain of {}{unit} (right: better)",
                    metric_name(metric)
                )),
        )
        .draw()?;
        chart.draw_series([PathElement::new(
            vec![(0.0, 0.0), (0.0, conditions.len() as f64)],
            INK,
        )])?;
        for (place, &condition) in conditions.iter().enumerate() {
            let about = &results.conditions[condition];
            let mark = if about.in_domain { "● " } else { "" };
            let label = format!("{mark}{}", shortened(&about.name));
            chart.draw_series([EmptyElement::at((across.start, place as f64 + 0.5))
                + Text::new(label, (-6, 0), anchored(INK, HPos::Right, VPos::Center))])?;
            for (index, method) in methods.iter().enumerate() {
                let Some(row) = of(method, condition) else {
                    continue;
                };
                // Marks of one row lie below each other around its middle.
                let offset = (index as f64 - 0.5 * (methods.len() - 1) as f64) * f64::from(STEP);
                let y = place as f64 + 0.5 + offset / f64::from(row_height);
                let colour = colour(order(results, method));
                let clamp = |value: f64| value.clamp(across.start, across.end);
                if let Some([low, high]) = row.gain.interval {
                    chart.draw_series([PathElement::new(
                        vec![(clamp(low), y), (clamp(high), y)],
                        colour.stroke_width(2),
                    )])?;
                }
                let at = (clamp(row.gain.value), y);
                if row.gain.value.is_finite() {
                    chart.draw_series([Circle::new(at, 3, colour.filled())])?;
                } else if !row.gain.value.is_nan() {
                    // Beyond every axis.
                    let (arrow, side) = if row.gain.value > 0.0 {
                        ("+∞", HPos::Right)
                    } else {
                        ("−∞", HPos::Left)
                    };
                    chart.draw_series([EmptyElement::at(at)
                        + Text::new(arrow, (0, 0), anchored(colour, side, VPos::Center))])?;
                }
            }
        }
        Ok(())
    })?;
    Ok(Some(Chart {
        title: format!("{} on {domain}", metric_name(metric)),
        description: format!(
            "Gain of {} over the blurry input with 95 % intervals in {} conditions of {domain}; the numbers are in the tables below. A dot \
             before the name marks the condition in domain.",
            metric_name(metric),
            conditions.len()
        ),
        svg,
        height,
        legend: legend(results, methods),
    }))
}

/// What fits in front of a row; the whole name is in the tables.
fn shortened(name: &str) -> String {
    // A letter of a common typeface is about half as wide as it is high.
    let room = (f64::from(NAMES - 6) / (0.53 * LETTERS / 1.24)) as usize;
    if name.chars().count() <= room {
        return name.to_owned();
    }
    let start: String = name.chars().take(room - 1).collect();
    format!("{start}…")
}
