//! Perception against distortion (Blau & Michaeli 2018): LPIPS against PSNR, a point for each method, a line through the numbers of steps.

use std::collections::BTreeMap;

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{Chart, INK, PALETTE, anchored, colour, draw, legend, order, plain, range, tick};
use crate::bench_ood::numbers::counted;
use crate::bench_ood::results::Results;
use crate::bench_ood::statistics::Analysis;

struct Point<'a> {
    method: &'a str,
    psnr: f64,
    lpips: f64,
    /// Curve and step.
    curve: Option<(&'a str, u32)>,
}

/// Units.
const HEIGHT: u32 = 300;

/// The plot over the conditions in or out of domain; `None` without both metrics. Conditions that a method lacks, or whose mean is
/// infinite for one, are left out for all methods, so that all points speak of the same pictures.
///
/// # Errors
/// When drawing fails.
pub(crate) fn perception(
    results: &Results,
    analysis: &Analysis,
    in_domain: bool,
) -> Result<Option<Chart>> {
    let (points, conditions, incomplete) = points(results, analysis, in_domain);
    if points.len() < 2 {
        return Ok(None);
    }
    let across = range(points.iter().map(|point| point.lpips), None);
    let up = range(points.iter().map(|point| point.psnr), None);
    let names: Vec<&str> = points.iter().map(|point| point.method).collect();
    let svg = draw(HEIGHT, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .set_label_area_size(LabelAreaPosition::Bottom, 36)
            .set_label_area_size(LabelAreaPosition::Left, 48)
            .build_cartesian_2d(across.clone(), up.clone())?;
        plain(
            chart
                .configure_mesh()
                .x_labels(5)
                .y_labels(6)
                .x_label_formatter(&tick(across.end - across.start))
                .y_label_formatter(&tick(up.end - up.start))
                .x_desc("LPIPS (left: looks closer)")
                .y_desc("PSNR in dB"),
        )
        .draw()?;
        let place = |lpips: f64, psnr: f64| {
            let right = lpips.clamp(across.start, across.end);
            (right, psnr.clamp(up.start, up.end))
        };
        let mut curves: BTreeMap<&str, Vec<(u32, f64, f64)>> = BTreeMap::new();
        for point in &points {
            if let Some((curve, steps)) = point.curve {
                curves
                    .entry(curve)
                    .or_default()
                    .push((steps, point.lpips, point.psnr));
            }
        }
        for mut curve in curves.into_values() {
            curve.sort_by_key(|point| point.0);
            let line = curve.iter().map(|&(_, lpips, psnr)| place(lpips, psnr));
            chart.draw_series(LineSeries::new(line, INK.stroke_width(1)))?;
        }
        for point in &points {
            let at = place(point.lpips, point.psnr);
            let index = order(results, point.method);
            let colour = colour(index);
            match shape(index) {
                0 => chart.draw_series([Circle::new(at, 4, colour.filled())])?,
                1 => chart.draw_series([TriangleMarker::new(at, 5, colour.filled())])?,
                2 => {
                    let square = Rectangle::new([(-4, -4), (4, 4)], colour.filled());
                    chart.draw_series([EmptyElement::at(at) + square])?
                }
                _ => chart.draw_series([Cross::new(at, 4, colour.stroke_width(2))])?,
            };
            if let Some((_, steps)) = point.curve {
                chart.draw_series([EmptyElement::at(at)
                    + Text::new(
                        steps.to_string(),
                        (0, -6),
                        anchored(INK, HPos::Center, VPos::Bottom),
                    )])?;
            }
        }
        Ok(())
    })?;
    let place = if in_domain {
        "In domain"
    } else {
        "Out of domain"
    };
    let without = if incomplete.is_empty() {
        String::new()
    } else {
        format!(", without {} (pictures failed)", incomplete.join(", "))
    };
    let numbers: Vec<String> = points
        .iter()
        .map(|point| format!("{} {:.2} dB, {:.4}", point.method, point.psnr, point.lpips))
        .collect();
    Ok(Some(Chart {
        title: format!(
            "{place}, mean over {}{without}",
            counted(conditions, "condition")
        ),
        description: format!(
            "PSNR and LPIPS as means over {}: {}. Numbers at points are steps.",
            counted(conditions, "condition"),
            numbers.join("; ")
        ),
        svg,
        height: HEIGHT,
        legend: marked_legend(results, &names),
    }))
}

/// Shapes of the marks, as the legend writes them; when the colours are used up, the next shape begins, so that no two of 32 methods
/// look alike.
const SHAPES: [&str; 4] = ["●", "▲", "■", "✕"];

fn shape(index: usize) -> usize {
    (index / PALETTE.len()) % SHAPES.len()
}

/// With the shape before a name where colours alone would not do.
fn marked_legend(results: &Results, names: &[&str]) -> Vec<(String, String)> {
    let mut legend = legend(results, names);
    if results.methods.len() > PALETTE.len() {
        for (name, _) in &mut legend {
            let mark = SHAPES[shape(order(results, name))];
            name.insert_str(0, &format!("{mark} "));
        }
    }
    legend
}

fn points<'a>(
    results: &'a Results,
    analysis: &Analysis,
    in_domain: bool,
) -> (Vec<Point<'a>>, usize, Vec<&'a str>) {
    let mean = |method: &str, condition: usize, metric: &str| {
        let mean = analysis.level(method, condition, metric)?.mean?.value;
        mean.is_finite().then_some(mean)
    };
    let has = |method: &str, condition: usize| {
        mean(method, condition, "psnr").is_some() && mean(method, condition, "lpips").is_some()
    };
    // An oracle that is defined for some blurs only would take the other conditions from all.
    let limited = |name: &str| {
        results
            .not_applicable
            .iter()
            .any(|other| other.method == name)
    };
    let is_here = |index: &usize| results.conditions[*index].in_domain == in_domain;
    // Its means are over other pictures than those of the others.
    let is_incomplete = |name: &str| {
        (0..results.conditions.len()).filter(is_here).any(|index| {
            let level = analysis.level(name, index, "psnr");
            level.is_some_and(|level| level.missing > 0)
        })
    };
    let (incomplete, methods): (Vec<_>, Vec<_>) = results
        .methods
        .iter()
        .filter(|method| !limited(&method.name))
        .partition(|method| is_incomplete(&method.name));
    let incomplete = incomplete
        .iter()
        .map(|method| method.name.as_str())
        .collect();
    let conditions: Vec<usize> = (0..results.conditions.len())
        .filter(is_here)
        .filter(|&index| methods.iter().all(|method| has(&method.name, index)))
        .collect();
    if conditions.is_empty() {
        return (Vec::new(), 0, incomplete);
    }
    let over = |method: &str, metric: &str| {
        let values = conditions
            .iter()
            .filter_map(|&condition| mean(method, condition, metric));
        values.sum::<f64>() / conditions.len() as f64
    };
    let points = methods
        .iter()
        .map(|method| Point {
            method: &method.name,
            psnr: over(&method.name, "psnr"),
            lpips: over(&method.name, "lpips"),
            curve: method
                .curve
                .as_deref()
                .zip(method.options.as_ref().and_then(|options| options.steps)),
        })
        .collect();
    (points, conditions.len(), incomplete)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench_ood::fixture;
    use crate::bench_ood::results::Method;

    #[test]
    fn marks_of_one_colour_differ_in_shape() {
        let names: Vec<String> = (0..32).map(|index| format!("m{index}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut results = fixture::two_domains();
        let method = results.methods[1].clone();
        let mut set = |names: &[&str]| {
            results.methods = names
                .iter()
                .map(|name| Method {
                    name: (*name).to_owned(),
                    ..method.clone()
                })
                .collect();
            marked_legend(&results, names)
        };
        let mut seen = std::collections::HashSet::new();
        for (name, colour) in set(&names) {
            let shape = name.split(' ').next().unwrap().to_owned();
            assert!(seen.insert((shape, colour)), "{name}");
        }
        assert_eq!(set(&names[..8])[0].0, "m0");
    }
}
