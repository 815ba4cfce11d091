//! `curves.svg`: how a run goes, at a glance.

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::history::{History, Series};

const PANEL: (u32, u32) = (640, 330);
const TITLE: u32 = 40;
const FONT: &str = "sans-serif";
/// More points than this are not told apart.
const MOST_POINTS: usize = 800;
const GREY: RGBColor = RGBColor(0x99, 0x99, 0x99);
/// Okabe and Ito's colours, which colour-blind people can tell apart, without yellow.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x7a, 0x52, 0x30),
];

type Failure = DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>;

/// A line of a panel.
struct Line {
    name: String,
    points: Series,
    colour: RGBColor,
    width: u32,
    dashed: bool,
}

impl Line {
    fn new(name: impl Into<String>, points: Series, colour: RGBColor, width: u32) -> Self {
        Self {
            name: name.into(),
            points,
            colour,
            width,
            dashed: false,
        }
    }
}

/// A set of axes.
struct Panel {
    title: &'static str,
    logarithmic: bool,
    /// Values that the axis shows in any case.
    includes: Option<f64>,
    lines: Vec<Line>,
}

impl Panel {
    fn new(title: &'static str, lines: Vec<Line>) -> Self {
        Self {
            title,
            logarithmic: false,
            includes: None,
            lines,
        }
    }

    /// Leaves out what cannot be drawn, and joins points that are too close together.
    fn prepared(mut self) -> Option<Self> {
        for line in &mut self.lines {
            let drawable = |value: f64| value.is_finite() && (value > 0.0 || !self.logarithmic);
            line.points.retain(|&(_, value)| drawable(value));
            line.points = thinned(&line.points);
        }
        self.lines.retain(|line| !line.points.is_empty());
        (!self.lines.is_empty()).then_some(self)
    }
}

/// At most [`MOST_POINTS`] means over stretches of equal length.
fn thinned(points: &[(f64, f64)]) -> Series {
    let stretch = points.len().div_ceil(MOST_POINTS).max(1);
    let mean = |part: &[(f64, f64)], pick: fn(&(f64, f64)) -> f64| {
        part.iter().map(pick).sum::<f64>() / part.len() as f64
    };
    points
        .chunks(stretch)
        .map(|part| (mean(part, |point| point.0), mean(part, |point| point.1)))
        .collect()
}

fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

/// One line per set of pairs, `all` in black.
fn per_set(history: &History, series: impl Fn(&str) -> Series) -> Vec<Line> {
    let mut next = 0;
    let mut lines: Vec<Line> = history
        .sets()
        .into_iter()
        .map(|set| {
            let (colour, width) = if set == "all" {
                (BLACK, 3)
            } else {
                next += 1;
                (colour(next - 1), 2)
            };
            Line::new(set, series(set), colour, width)
        })
        .collect();
    // What is drawn last lies on top.
    let all = usize::from(!lines.is_empty());
    lines.rotate_left(all);
    lines
}

fn dashed(name: &str, points: Series) -> Line {
    Line {
        dashed: true,
        ..Line::new(name, points, BLACK, 2)
    }
}

fn panels(history: &History) -> Vec<Panel> {
    let loss = Panel {
        logarithmic: true,
        ..Panel::new(
            "loss",
            vec![
                Line::new("each logged step", history.step("loss"), GREY, 1),
                Line::new("guidance", history.step("guidance_loss"), colour(1), 1),
                Line::new("smoothed", history.step("smoothed_loss"), colour(0), 3),
            ],
        )
    };
    let rate = Panel {
        includes: Some(0.0),
        ..Panel::new(
            "learning rate",
            vec![Line::new("", history.step("learning_rate"), colour(0), 2)],
        )
    };
    let gain =
        |value: &'static str, base: &'static str| move |set: &str| history.gain(value, base, set);
    let mut psnr = per_set(history, gain("output_psnr", "input_psnr"));
    psnr.push(dashed(
        "all, sample",
        gain("sample_psnr", "input_psnr")("all"),
    ));
    let psnr = Panel {
        includes: Some(0.0),
        ..Panel::new("validation: PSNR gain over the blurry input, dB", psnr)
    };
    let lpips = |value: &'static str| move |set: &str| history.validated(value, set);
    let perceptual = if lpips("output_lpips")("all").is_empty() {
        let mut lines = per_set(history, gain("output_ssim", "input_ssim"));
        lines.push(dashed(
            "all, sample",
            gain("sample_ssim", "input_ssim")("all"),
        ));
        Panel {
            includes: Some(0.0),
            ..Panel::new("validation: SSIM gain over the blurry input", lines)
        }
    } else {
        let mut lines = per_set(history, lpips("output_lpips"));
        lines.push(dashed("all, sample", lpips("sample_lpips")("all")));
        let blurry = lpips("input_lpips")("all");
        lines.push(Line::new("all, blurry input", blurry, GREY, 2));
        Panel::new("validation: LPIPS, lower is better", lines)
    };
    let scales = (1..=ms_guidance::pyramid::MAXIMUM_SCALE).map(|scale| {
        let name = |what: &str| format!("guidance_{scale}_{what}_psnr");
        let gain = history.gain(&name("output"), &name("input"), "all");
        Line::new(format!("1/{}", 1u32 << scale), gain, colour(scale - 1), 2)
    });
    let guidance = Panel {
        includes: Some(0.0),
        ..Panel::new(
            "guidance: PSNR gain over the blurry structure by scale, dB",
            scales.collect(),
        )
    };
    let speed = Panel {
        includes: Some(0.0),
        ..Panel::new(
            "crops per second, validation and checkpoints included",
            vec![Line::new(
                "",
                history.step("images_per_second"),
                colour(0),
                2,
            )],
        )
    };
    let all = [loss, psnr, perceptual, guidance, rate, speed];
    all.into_iter().filter_map(Panel::prepared).collect()
}

/// The curves of a run as SVG; `None` where there is nothing to draw yet.
///
/// # Errors
/// A sentence if the drawing fails.
pub(crate) fn draw(title: &str, history: &History) -> Result<Option<String>, String> {
    let panels = panels(history);
    if panels.is_empty() {
        return Ok(None);
    }
    let mut svg = String::new();
    draw_into(&mut svg, title, &panels).map_err(|error| error.to_string())?;
    Ok(Some(svg))
}

fn draw_into(svg: &mut String, title: &str, panels: &[Panel]) -> Result<(), Failure> {
    let columns = panels.len().min(2);
    let rows = panels.len().div_ceil(2);
    let size = (PANEL.0 * columns as u32, PANEL.1 * rows as u32 + TITLE);
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    area.fill(&WHITE)?;
    let style = (FONT, 20).into_font().color(&BLACK);
    let style = style.pos(Pos::new(HPos::Left, VPos::Center));
    area.draw_text(title, &style, (20, TITLE as i32 / 2 + 2))?;
    let (_, below) = area.split_vertically(TITLE);
    for (panel, area) in panels.iter().zip(below.split_evenly((rows, columns))) {
        draw_panel(panel, &area)?;
    }
    area.present()
}

/// The smallest and the largest value, with a margin; never empty.
fn range(values: impl Iterator<Item = f64>, margin: f64) -> (f64, f64) {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        (low, high) = (low.min(value), high.max(value));
    }
    if high <= low {
        let around = if low == 0.0 { 1.0 } else { low.abs() / 2.0 };
        return (low - around, high + around);
    }
    let margin = margin * (high - low);
    (low - margin, high + margin)
}

/// A number in three digits.
fn short(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-3..1e5).contains(&magnitude) {
        return format!("{value:.1e}").replace(".0e", "e");
    }
    let digits = match magnitude {
        0.0 => 0,
        _ => (2 - magnitude.log10().floor() as i32).clamp(0, 6) as usize,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn draw_panel(panel: &Panel, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), Failure> {
    let points = || panel.lines.iter().flat_map(|line| &line.points);
    // The axis of a logarithmic panel counts powers of ten.
    let up = |value: f64| {
        if panel.logarithmic {
            value.log10()
        } else {
            value
        }
    };
    let (_, last) = range(points().map(|point| point.0), 0.0);
    let values = points().map(|point| up(point.1));
    let (low, high) = range(values.chain(panel.includes), 0.06);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_right(24)
        .caption(panel.title, (FONT, 16))
        .x_label_area_size(34)
        .y_label_area_size(62)
        .build_cartesian_2d(0.0..last, low..high)?;
    let value = |value: &f64| {
        if panel.logarithmic {
            short(10f64.powf(*value))
        } else if value.abs() < 1e-9 * (high - low) {
            // The zero of an axis is a sum that rounding has left a little beside it.
            short(0.0)
        } else {
            short(*value)
        }
    };
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(0xe4, 0xe4, 0xe4))
        .axis_style(GREY)
        .x_desc("steps")
        .x_labels(6)
        .y_labels(7)
        .x_label_formatter(&|step| short(*step))
        .y_label_formatter(&value)
        .label_style((FONT, 13))
        .draw()?;
    if panel.includes == Some(0.0) && low < 0.0 {
        let zero = [(0.0, 0.0), (last, 0.0)];
        chart.draw_series(LineSeries::new(zero, GREY.stroke_width(1)))?;
    }
    for line in &panel.lines {
        let style = line.colour.stroke_width(line.width);
        let points = line.points.iter().map(|&(step, value)| (step, up(value)));
        draw_line(&mut chart, line, style, points.collect())?;
    }
    if panel.lines.iter().any(|line| !line.name.is_empty()) {
        chart
            .configure_series_labels()
            .position(legend_place(panel, up, (low, high), last))
            .background_style(WHITE.mix(0.8))
            .border_style(RGBColor(0xcc, 0xcc, 0xcc))
            .label_font((FONT, 13))
            .legend_area_size(26)
            .margin(6)
            .draw()?;
    }
    Ok(())
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn draw_line<'a, 'b: 'a>(
    chart: &mut Chart<'a, 'b>,
    line: &Line,
    style: ShapeStyle,
    points: Series,
) -> Result<(), Failure> {
    // A line needs two points; a single one is a dot.
    let dots = if points.len() == 1 { &points[..] } else { &[] };
    let dots = dots
        .iter()
        .map(|&point| Circle::new(point, 3, style.filled()));
    chart.draw_series(dots)?;
    let drawn = if line.dashed {
        chart.draw_series(DashedLineSeries::new(points, 6, 4, style))?
    } else {
        chart.draw_series(LineSeries::new(points, style))?
    };
    if !line.name.is_empty() {
        // Two strokes, with a gap between them when dashed.
        let second = if line.dashed { 12 } else { 8 };
        drawn.label(line.name.as_str()).legend(move |place| {
            EmptyElement::at(place)
                + PathElement::new([(0, 0), (8, 0)], style)
                + PathElement::new([(second, 0), (20, 0)], style)
        });
    }
    Ok(())
}

/// The corner in whose quarter fewest points lie.
fn legend_place(
    panel: &Panel,
    up: impl Fn(f64) -> f64,
    (low, high): (f64, f64),
    last: f64,
) -> SeriesLabelPosition {
    let corners = [
        (SeriesLabelPosition::UpperRight, true, true),
        (SeriesLabelPosition::LowerRight, true, false),
        (SeriesLabelPosition::UpperLeft, false, true),
        (SeriesLabelPosition::LowerLeft, false, false),
    ];
    let crowd = |right: bool, upper: bool| {
        let points = panel.lines.iter().flat_map(|line| &line.points);
        let inside = points.filter(|&&(step, value)| {
            let (x, y) = (step / last, (up(value) - low) / (high - low));
            (x > 0.6) == right && (y > 0.5) == upper && (right || x < 0.4)
        });
        inside.count()
    };
    let best = corners
        .into_iter()
        .min_by_key(|&(_, right, upper)| crowd(right, upper));
    best.map_or(SeriesLabelPosition::UpperRight, |(place, _, _)| place)
}
