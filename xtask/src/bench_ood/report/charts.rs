//! The plots, as SVG inside the page.
//!
//! They are drawn 360 units wide, so that their letters keep their size on a phone, and in colours that the style sheet replaces in the
//! dark: [`INK`], [`FAINT`] and [`PAPER`] are found there by their values.

mod gap;
mod perception;
mod rows;
mod severity;

use anyhow::{Result, anyhow};
use plotters::chart::MeshStyle;
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::escape::escape;
use crate::bench_ood::results::{INPUT, Results};
pub(super) use gap::gap;
pub(super) use perception::perception;
pub(super) use rows::gain_rows;
pub(super) use severity::severities;

/// Letters and axes.
const INK: RGBColor = RGBColor(0x20, 0x24, 0x28);
/// Lines that help the eye.
const FAINT: RGBColor = RGBColor(0xD0, 0xD4, 0xD8);
/// The page.
const PAPER: RGBColor = RGBColor(0xFE, 0xFE, 0xFE);
/// Readable on white and on black, also for most who see colours otherwise.
const PALETTE: [RGBColor; 8] = [
    RGBColor(0x2F, 0x7F, 0xC8),
    RGBColor(0xD9, 0x6B, 0x14),
    RGBColor(0x1F, 0x9E, 0x74),
    RGBColor(0xB3, 0x55, 0xB8),
    RGBColor(0x9A, 0x82, 0x10),
    RGBColor(0xCC, 0x4C, 0x5A),
    RGBColor(0x12, 0x9A, 0xB0),
    RGBColor(0x7C, 0x84, 0x8C),
];
const WIDTH: u32 = 360;
/// Height of letters as plotters counts it, which writes it divided by 1.24: about 11 units.
const LETTERS: f64 = 13.5;

/// A plot with its words.
pub(in crate::bench_ood) struct Chart {
    /// Heading of the figure.
    pub(super) title: String,
    /// What can be seen, for those who cannot see it.
    pub(in crate::bench_ood) description: String,
    /// The SVG element.
    pub(super) svg: String,
    /// Its height in units.
    height: u32,
    /// Methods with the colours they have in it.
    pub(in crate::bench_ood) legend: Vec<(String, String)>,
}

impl Chart {
    /// A file of its own, with title and legend inside and a background, readable in any viewer.
    pub(in crate::bench_ood) fn standalone(&self) -> String {
        let line = 18;
        let height = self.height + line * (2 + self.legend.len() as u32);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
             font-family=\"sans-serif\" font-size=\"12\" fill=\"{}\">\n<title>{}</title>\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"{}\"/>\n<text x=\"8\" y=\"{line}\" font-weight=\"bold\">{}</text>\n",
            2 * WIDTH,
            2 * height,
            css(INK),
            escape(&self.description),
            css(PAPER),
            escape(&self.title),
        );
        for (index, (name, colour)) in (2..).zip(&self.legend) {
            let y = line * index;
            svg.push_str(&format!(
                "<circle cx=\"14\" cy=\"{}\" r=\"4\" fill=\"{colour}\"/><text x=\"24\" y=\"{y}\">{}</text>\n",
                y - 4,
                escape(name)
            ));
        }
        let inner = self
            .svg
            .replacen("<svg ", &format!("<svg y=\"{}\" ", height - self.height), 1);
        svg.push_str(&format!("{}\n</svg>\n", inner.trim_end()));
        svg
    }
}

/// The colour of the `index`-th method.
fn colour(index: usize) -> RGBColor {
    PALETTE[index % PALETTE.len()]
}

fn css(colour: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2)
}

/// The place of a method among the colours, the same in all plots of a page; the input, which has no gain, comes last.
fn order(results: &Results, name: &str) -> usize {
    results
        .methods
        .iter()
        .filter(|method| method.name != INPUT)
        .position(|method| method.name == name)
        .unwrap_or(results.methods.len().saturating_sub(1))
}

fn legend(results: &Results, names: &[&str]) -> Vec<(String, String)> {
    names
        .iter()
        .map(|name| ((*name).to_owned(), css(colour(order(results, name)))))
        .collect()
}

/// Draws on an area of `height` units and returns the SVG element.
fn draw(
    height: u32,
    plot: impl FnOnce(
        &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    ) -> Result<(), Box<dyn std::error::Error>>,
) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        plot(&area).map_err(|error| anyhow!("cannot draw a plot: {error}"))?;
        area.present()
            .map_err(|error| anyhow!("cannot draw a plot: {error}"))?;
    }
    // The words stand beside it; a second reading of every axis label helps nobody.
    Ok(svg.replacen("<svg ", "<svg aria-hidden=\"true\" focusable=\"false\" ", 1))
}

fn letters(colour: RGBColor) -> TextStyle<'static> {
    ("sans-serif", LETTERS).into_font().color(&colour)
}

/// Letters and lines that all plots have: no fine grid, axes that stay behind what is drawn.
fn plain<'m, 'a, 'b, X: Ranged, Y: Ranged, B: DrawingBackend>(
    mesh: &'m mut MeshStyle<'a, 'b, X, Y, B>,
) -> &'m mut MeshStyle<'a, 'b, X, Y, B> {
    mesh.axis_desc_style(letters(INK))
        .label_style(letters(INK))
        .axis_style(FAINT)
        .bold_line_style(FAINT)
        .light_line_style(TRANSPARENT)
}

fn anchored(colour: RGBColor, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    letters(colour).pos(Pos::new(horizontal, vertical))
}

/// What lies beyond is drawn at the edge: differences of larger numbers overflow, and the ticks of such an axis never end.
const LARGEST: f64 = 1e13;

/// A finite range that holds `always` and all finite values up to [`LARGEST`], with a margin on both sides.
fn range(values: impl IntoIterator<Item = f64>, always: Option<f64>) -> std::ops::Range<f64> {
    let (low, high) = values
        .into_iter()
        .chain(always)
        .filter(|value| value.is_finite())
        .map(|value| value.clamp(-LARGEST, LARGEST))
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    if low > high {
        return -1.0..1.0;
    }
    let margin = if high > low { 0.06 * (high - low) } else { 0.5 };
    // Ticks must differ as numbers.
    let margin = margin.max(1e-6 * low.abs().max(high.abs()));
    low - margin..high + margin
}

/// Few decimals, by the size of the range.
fn tick(span: f64) -> impl Fn(&f64) -> String {
    let decimals = if span > 8.0 {
        0
    } else if span > 0.8 {
        1
    } else if span > 0.08 {
        2
    } else {
        3
    };
    move |value| {
        let text = format!("{value:.decimals$}");
        let is_zero = text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'));
        if is_zero {
            "0".to_owned()
        } else {
            text.replace('-', "−")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_is_finite() {
        let found = range([1.0, f64::INFINITY, 3.0, f64::NAN], Some(0.0));
        assert!(found.contains(&0.0) && found.contains(&3.0) && found.end < 4.0);
        assert_eq!(range([], None), -1.0..1.0);
        let found = range([2.0], None);
        assert!(found.start < 2.0 && 2.0 < found.end);
        for values in [[1.75e308, -1.75e308], [f64::MAX; 2], [1e12, 1e12]] {
            let found = range(values, Some(0.0));
            assert!((found.end - found.start).is_finite() && found.start < found.end);
            let found = range(values, None);
            let step = 0.1 * (found.end - found.start);
            assert!(found.end + step > found.end && found.start + step > found.start);
        }
    }

    #[test]
    fn ticks_have_the_decimals_they_need() {
        assert_eq!(tick(10.0)(&-3.0), "−3");
        assert_eq!(tick(1.0)(&0.25), "0.2");
        assert_eq!(tick(0.5)(&-0.0001), "0");
    }
}
