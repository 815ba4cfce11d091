//! Best, median and worst cases, before and after.

use std::collections::HashMap;
use std::path::Path;

use super::super::numbers::{Style, metric_name};
use super::super::results::{INPUT, MethodKind, Picture, PictureKind, Results};
use super::super::statistics::{Analysis, Comparison, ComparisonKind, PairedGain};
use super::escape::escape;
use super::pictures::Embedder;

/// Cases of each kind.
const CASES: usize = 3;
/// Characters of all pictures: the page stays below 25 MB.
const BUDGET: usize = 22_000_000;

/// The pictures of a run by what they show.
struct Kept<'a>(HashMap<(&'a str, &'a str, Option<&'a str>, bool), &'a Picture>);

impl<'a> Kept<'a> {
    fn of(results: &'a Results) -> Self {
        let key = |picture: &'a Picture| {
            (
                picture.condition.as_str(),
                picture.name.as_str(),
                picture.method.as_deref(),
                picture.kind == PictureKind::Uncertainty,
            )
        };
        Self(
            results
                .pictures
                .iter()
                .map(|picture| (key(picture), picture))
                .collect(),
        )
    }

    fn find(
        &self,
        condition: &str,
        name: &str,
        method: Option<&str>,
        uncertainty: bool,
    ) -> Option<&'a Path> {
        self.0
            .get(&(condition, name, method, uncertainty))
            .map(|picture| picture.file.as_path())
    }
}

/// A layer of a case: what it is called and its file.
type Layer<'a> = (String, &'a Path);

/// The galleries; empty when no pictures were kept. What cannot be shown is said in its place.
pub(super) fn galleries(
    results: &Results,
    analysis: &Analysis,
    method: &str,
    folder: &Path,
) -> String {
    let kept = Kept::of(results);
    let metric = if results.metrics.contains_key("psnr") {
        "psnr"
    } else {
        results.metrics.keys().next().map_or("", String::as_str)
    };
    let Some(gain) = analysis.comparison(ComparisonKind::Gain, method, metric) else {
        return String::new();
    };
    // Every case shows its layers. Infinite gains have no order, and would be all that there is to see.
    let shown: Vec<&PairedGain> = gain
        .ranked()
        .filter(|pair| {
            let condition = &results.conditions[pair.condition].id;
            let has = |method| {
                kept.find(condition, &pair.name, Some(method), false)
                    .is_some()
            };
            has(INPUT) && has(method)
        })
        .collect();
    if shown.is_empty() {
        return String::new();
    }
    let groups = groups(&shown);
    let layers: Vec<Vec<Vec<Layer<'_>>>> = groups
        .iter()
        .map(|(_, cases)| {
            cases
                .iter()
                .map(|pair| layers(results, &kept, method, pair))
                .collect()
        })
        .collect();
    let count = layers.iter().flatten().map(Vec::len).sum();
    let mut embedder = Embedder::new(folder, count, BUDGET);
    let mut html = String::new();
    for ((title, cases), layers) in groups.iter().zip(&layers) {
        html.push_str(&format!("<h3>{title}</h3>\n<div class=\"cases\">\n"));
        for (pair, layers) in cases.iter().zip(layers) {
            html.push_str(&case(results, gain, pair, layers, &mut embedder));
        }
        html.push_str("</div>\n");
    }
    html
}

/// Worst, median and best of what is sorted worst first; no picture twice.
fn groups<'a>(sorted: &[&'a PairedGain]) -> Vec<(&'static str, Vec<&'a PairedGain>)> {
    let count = sorted.len();
    let each = CASES.min(count.div_ceil(3));
    let best: Vec<_> = sorted.iter().rev().take(each).copied().collect();
    let worst: Vec<_> = sorted
        .iter()
        .take(each.min(count - best.len()))
        .copied()
        .collect();
    let between = &sorted[worst.len()..count - best.len()];
    let start = (between.len().saturating_sub(each)) / 2;
    let median: Vec<_> = between.iter().skip(start).take(each).copied().collect();
    vec![
        ("Best: the largest gains", best),
        ("Median: the gains in the middle", median),
        ("Worst: the smallest gains", worst),
    ]
}

/// The method first, then what it can be compared with.
fn layers<'a>(
    results: &Results,
    kept: &Kept<'a>,
    method: &str,
    pair: &PairedGain,
) -> Vec<Layer<'a>> {
    let condition = &results.conditions[pair.condition].id;
    let control = results
        .method(method)
        .and_then(|method| method.matched_with.as_deref());
    let mut found = Vec::new();
    let mut add = |label: String, file: Option<&'a Path>| {
        found.extend(file.map(|file| (label, file)));
    };
    let picture = |method| kept.find(condition, &pair.name, method, false);
    add(INPUT.to_owned(), picture(Some(INPUT)));
    add(method.to_owned(), picture(Some(method)));
    add("sharp (the truth)".to_owned(), picture(None));
    if let Some(control) = control {
        add(control.to_owned(), picture(Some(control)));
    }
    // What the user gave: another program's pictures, another model.
    let own = results
        .method(method)
        .and_then(|method| method.checkpoint.as_ref());
    for other in &results.methods {
        let is_known = other.name == method || Some(other.name.as_str()) == control;
        let is_given = match other.kind {
            MethodKind::Folder => true,
            MethodKind::Model => other.curve.is_none() && other.checkpoint.as_ref() != own,
            MethodKind::Input | MethodKind::Classical => false,
        };
        if is_given && !is_known {
            add(other.name.clone(), picture(Some(&other.name)));
        }
    }
    for other in &results.methods {
        let map = kept.find(condition, &pair.name, Some(&other.name), true);
        add(format!("uncertainty of {}", other.name), map);
    }
    found
}

fn case(
    results: &Results,
    gain: &Comparison,
    pair: &PairedGain,
    layers: &[Layer<'_>],
    embedder: &mut Embedder<'_>,
) -> String {
    let condition = &results.conditions[pair.condition];
    let style = results.metrics.get(&gain.metric).map(Style::of);
    let numbers = style.map_or(String::new(), |style| {
        format!(
            "{} {} → {} ({})",
            metric_name(&gain.metric),
            style.value(pair.reference),
            style.value(pair.value),
            style.gain(pair.gain)
        )
    });
    let title = format!("{} on {}", pair.name, condition.id);
    let mut images = Vec::new();
    let mut problems = Vec::new();
    for (label, file) in layers {
        match embedder.embed(file) {
            Ok(embedded) => images.push((label, embedded)),
            Err(error) => problems.push(format!("{label}: {error:#}")),
        }
    }
    let caption = format!(
        "<figcaption><strong>{}</strong><br>{}</figcaption>",
        escape(&title),
        escape(&numbers)
    );
    let problems: String = problems
        .iter()
        .map(|problem| format!("<p class=\"problem\">{}</p>", escape(problem)))
        .collect();
    // A slider needs two pictures of one size; without the first two there is nothing to compare.
    if images.len() < 2 {
        return format!("<figure class=\"case\">{problems}{caption}</figure>\n");
    }
    let (width, height) = (images[0].1.width, images[0].1.height);
    let mut stack = String::new();
    let mut options = String::new();
    for (index, (label, image)) in images.iter().enumerate() {
        let role = match index {
            0 => " class=\"before\"",
            1 => " class=\"after\"",
            _ => " class=\"after\" hidden",
        };
        stack.push_str(&format!(
            "<img{role} data-layer=\"{index}\" width=\"{width}\" height=\"{height}\" decoding=\"async\" alt=\"{}\" src=\"{}\">",
            escape(&format!("{title}: {label}")),
            image.address
        ));
        if index > 0 {
            options.push_str(&format!(
                "<option value=\"{index}\">{}</option>",
                escape(label)
            ));
        }
    }
    let label = escape(&format!("Divider between input and comparison, {title}"));
    format!(
        "<figure class=\"case\"><div class=\"view\" tabindex=\"0\" role=\"group\" aria-label=\"{0}\"><div class=\"stack\" \
         style=\"--width:{width};--height:{height}\">{stack}<div class=\"divider\" aria-hidden=\"true\"></div></div></div>\
         <label class=\"slider\"><span>input</span><input type=\"range\" min=\"0\" max=\"100\" step=\"1\" value=\"50\" aria-label=\"{label}\">\
         <span class=\"right\">{1}</span></label>\
         <p class=\"paper\">Left: input. Right: {1}.</p><div class=\"tools\"><label>compare with <select>{options}</select></label>\
         <button type=\"button\" class=\"zoom\" aria-label=\"Zoom, now 1 times\">zoom 1×</button></div>{problems}{caption}</figure>\n",
        escape(&title),
        escape(images[1].0)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_case_is_shown_twice() {
        for count in 1..=30 {
            let pairs: Vec<PairedGain> = (0..count)
                .map(|index| PairedGain::for_test(&format!("{index}"), index as f64))
                .collect();
            let sorted: Vec<&PairedGain> = pairs.iter().collect();
            let groups = groups(&sorted);
            let mut names: Vec<&str> = groups
                .iter()
                .flat_map(|(_, cases)| cases.iter().map(|pair| pair.name.as_str()))
                .collect();
            let total = names.len();
            assert!(
                total == count.min(9) || (count < 9 && total <= count),
                "{count}: {total}"
            );
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), total, "{count}");
            assert_eq!(groups[0].1[0].gain, (count - 1) as f64);
        }
    }
}
