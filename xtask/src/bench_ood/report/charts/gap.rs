//! Gain in domain and out of domain, a row for each method.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{Chart, INK, PALETTE, PAPER, anchored, css, draw, plain, range, tick};
use crate::bench_ood::numbers::{Style, metric_name};
use crate::bench_ood::results::Results;
use crate::bench_ood::statistics::{Analysis, Comparison, ComparisonKind};

/// The gap chart of a metric; `None` without a method that has both gains.
///
/// # Errors
/// When drawing fails.
pub(crate) fn gap(results: &Results, analysis: &Analysis, metric: &str) -> Result<Option<Chart>> {
    let rows: Vec<&Comparison> = analysis
        .comparisons
        .iter()
        .filter(|other| other.kind == ComparisonKind::Gain && other.metric == metric)
        .filter(|other| other.gap.is_some_and(|gap| gap.value.is_finite()))
        .collect();
    let Some(about) = results.metrics.get(metric).filter(|_| !rows.is_empty()) else {
        return Ok(None);
    };
    let pools = |row: &Comparison| {
        let inside = row.in_domain.as_ref().map(|pool| pool.gain);
        let outside = row.out_of_domain.as_ref().map(|pool| pool.gain);
        inside.zip(outside)
    };
    let across = range(
        rows.iter()
            .filter_map(|row| pools(row))
            .flat_map(|(inside, outside)| [inside, outside])
            .flat_map(|gain| gain.interval.into_iter().flatten().chain([gain.value])),
        Some(0.0),
    );
    let (inside_colour, outside_colour) = (PALETTE[0], PALETTE[1]);
    let style = Style::of(about);
    let height = 40 * rows.len() as u32 + 44;
    let svg = draw(height, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin_right(12)
            .margin_left(8)
            .margin_top(4)
            .set_label_area_size(LabelAreaPosition::Bottom, 40)
            .build_cartesian_2d(across.clone(), rows.len() as f64..0.0)?;
        plain(
            chart
                .configure_mesh()
                .disable_y_mesh()
                .disable_y_axis()
                .x_labels(6)
                .x_label_formatter(&tick(across.end - across.start))
                .x_desc(format!("gain of {} {}", metric_name(metric), about.unit)),
        )
        .draw()?;
        chart.draw_series([PathElement::new(
            vec![(0.0, 0.0), (0.0, rows.len() as f64)],
            INK,
        )])?;
        for (place, row) in rows.iter().enumerate() {
            let (Some((inside, outside)), Some(gap)) = (pools(row), row.gap) else {
                continue;
            };
            let y = place as f64 + 0.68;
            let clamp = |value: f64| value.clamp(across.start, across.end);
            let (inside_at, outside_at) = ((clamp(inside.value), y), (clamp(outside.value), y));
            chart.draw_series([PathElement::new(
                vec![inside_at, outside_at],
                INK.stroke_width(1),
            )])?;
            for (gain, colour, shift) in [
                (inside, inside_colour, -0.07),
                (outside, outside_colour, 0.07),
            ] {
                if let Some([low, high]) = gain.interval {
                    chart.draw_series([PathElement::new(
                        vec![(clamp(low), y + shift), (clamp(high), y + shift)],
                        colour.stroke_width(1),
                    )])?;
                }
            }
            chart.draw_series([Circle::new(inside_at, 4, inside_colour.filled())])?;
            // Hollow, so that the two differ without colour.
            chart.draw_series([Circle::new(outside_at, 4, PAPER.filled())])?;
            chart.draw_series([Circle::new(outside_at, 4, outside_colour.stroke_width(2))])?;
            let label = format!("{}: gap {}", row.method, style.gain_with_interval(&gap));
            chart.draw_series([EmptyElement::at((across.start, place as f64 + 0.28))
                + Text::new(label, (2, 0), anchored(INK, HPos::Left, VPos::Center))])?;
        }
        Ok(())
    })?;
    Ok(Some(Chart {
        title: format!("Generalisation gap, {}", metric_name(metric)),
        description: format!(
            "Mean gain of {} in domain (filled) and out of domain (hollow) of {} methods with 95 % intervals; the same numbers are in the \
             summary table.",
            metric_name(metric),
            rows.len()
        ),
        svg,
        height,
        legend: vec![
            ("in domain (filled)".to_owned(), css(inside_colour)),
            ("out of domain (hollow)".to_owned(), css(outside_colour)),
        ],
    }))
}
