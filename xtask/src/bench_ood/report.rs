//! `report.html`: one file that shows a run, without a network, on a phone as well.

mod charts;
mod escape;
mod gallery;
mod pictures;
mod provenance;
mod sentences;
mod table;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use super::results::{Method, MethodKind, PictureKind, Results};
use super::statistics::{Analysis, ComparisonKind, GAP_PHOTOS};
pub(super) use charts::Chart;
use escape::escape;
pub(super) use sentences::main_method;

const STYLE: &str = include_str!("report/style.css");
const SCRIPT: &str = include_str!("report/script.js");
/// As many methods as can be told apart in one plot.
const PLOTTED: usize = 4;
/// How many of the worst pictures are listed.
pub(super) const WORST: usize = 10;

/// The page. `folder` is the run's, in which the pictures lie; a picture that cannot be read is said in its place.
///
/// # Errors
/// When a plot cannot be drawn.
pub(super) fn html(results: &Results, analysis: &Analysis, folder: &Path) -> Result<String> {
    let method = main_method(results);
    let title = format!("Deblurring benchmark: {}", results.suite.name);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>{}</h1>\n<p>{}</p></header>\n",
        escape(&title),
        escape(&title),
        escape(&results.suite.description)
    );
    let mut sections: Vec<(&str, &str, String)> = Vec::new();
    sections.push(("summary", "Summary", summary(results, analysis)));
    let (plotted, rest) = plotted(results);
    let rest = not_drawn(&rest);
    sections.push((
        "gains",
        "Gain by condition",
        gains(results, analysis, &plotted, &rest)?,
    ));
    sections.push((
        "severity",
        "Gain by severity",
        severity(results, analysis, &plotted, &rest)?,
    ));
    sections.push(("gap", "Generalisation gap", gap(results, analysis)?));
    sections.push((
        "perception",
        "Perception against distortion",
        perception(results, analysis)?,
    ));
    let guidance = table::summary(results, analysis, ComparisonKind::Guidance);
    sections.push(("guidance", "Guidance against its control", guidance));
    if let Some(method) = method {
        let galleries = gallery::galleries(results, analysis, method, folder);
        sections.push((
            "pictures",
            "Pictures",
            explained_gallery(results, method, &galleries),
        ));
        sections.push((
            "worst",
            "Worst pictures by name",
            table::worst(results, analysis, method),
        ));
    }
    sections.push(("numbers", "All numbers", numbers(results, analysis)));
    sections.push((
        "protocols",
        "What the numbers mean",
        meaning(results, analysis),
    ));
    sections.push((
        "provenance",
        "Provenance",
        [
            provenance::run(results),
            provenance::methods(results),
            provenance::data(results),
        ]
        .concat(),
    ));
    sections.retain(|(_, _, content)| !content.is_empty());
    page.push_str("<nav aria-label=\"Sections\"><ul>");
    for (id, name, _) in &sections {
        page.push_str(&format!("<li><a href=\"#{id}\">{name}</a></li>"));
    }
    page.push_str("</ul></nav>\n<main>\n");
    for (id, name, content) in &sections {
        page.push_str(&format!(
            "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{name}</h2>\n{content}</section>\n"
        ));
    }
    page.push_str(&format!(
        "</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    ));
    Ok(page)
}

fn summary(results: &Results, analysis: &Analysis) -> String {
    let mut html = String::from("<div class=\"summary\"><ul>\n");
    for sentence in sentences::summary(results, analysis) {
        html.push_str(&format!("<li>{}</li>\n", escape(&sentence)));
    }
    for note in &results.notes {
        html.push_str(&format!("<li>Note: {}</li>\n", escape(note)));
    }
    html.push_str("</ul></div>\n");
    html.push_str(&table::summary(results, analysis, ComparisonKind::Gain));
    html
}

/// The methods of the plots by condition and those that have no room there: the main one, its control, what the user gave, classical
/// methods, then other modes of the main one.
fn plotted(results: &Results) -> (Vec<&str>, Vec<&str>) {
    let main = main_method(results).and_then(|main| results.method(main));
    let control = main.and_then(|main| main.matched_with.as_deref());
    let mut names: Vec<&str> = main
        .map(|main| main.name.as_str())
        .into_iter()
        .chain(control)
        .collect();
    // What differs most from the main method says most beside it: its other modes come last.
    let is_other_model = |method: &Method| {
        method.checkpoint.is_some() && main.is_some_and(|main| main.checkpoint != method.checkpoint)
    };
    let rank = |method: &Method| match method.kind {
        MethodKind::Folder => 0,
        MethodKind::Model if is_other_model(method) => 1,
        MethodKind::Classical => 2,
        MethodKind::Model => 3,
        MethodKind::Input => 4,
    };
    let mut others: Vec<_> = results
        .methods
        .iter()
        .filter(|method| method.kind != MethodKind::Input && !names.contains(&method.name.as_str()))
        .collect();
    others.sort_by_key(|method| rank(method));
    names.extend(others.iter().map(|method| method.name.as_str()));
    let rest = names.split_off(names.len().min(PLOTTED));
    (names, rest)
}

/// Names what a plot has no room for.
fn not_drawn(methods: &[&str]) -> String {
    if methods.is_empty() {
        return String::new();
    }
    format!(
        " Not drawn, for want of room: {}; the tables have them.",
        escape(&methods.join(", "))
    )
}

fn figure(chart: &Chart) -> String {
    let legend: String = chart
        .legend
        .iter()
        .map(|(name, colour)| {
            format!(
                "<li><i style=\"background:{colour}\"></i>{}</li>",
                escape(name)
            )
        })
        .collect();
    format!(
        "<figure class=\"chart\"><h3>{}</h3><ul class=\"legend\">{legend}</ul><div role=\"img\" aria-label=\"{}\">{}</div></figure>\n",
        escape(&chart.title),
        escape(&chart.description),
        chart.svg
    )
}

fn figures(explanation: &str, charts: &[Chart]) -> String {
    if charts.is_empty() {
        return String::new();
    }
    let figures: String = charts.iter().map(figure).collect();
    format!("<p>{explanation}</p>\n<div class=\"charts\">\n{figures}</div>\n")
}

fn gains(
    results: &Results,
    analysis: &Analysis,
    methods: &[&str],
    not_drawn: &str,
) -> Result<String> {
    let mut domains: Vec<&str> = Vec::new();
    for condition in &results.conditions {
        if !domains.contains(&condition.domain.as_str()) {
            domains.push(&condition.domain);
        }
    }
    let mut charts = Vec::new();
    for domain in domains {
        for metric in sentences::metrics(results).into_iter().take(2) {
            charts.extend(charts::gain_rows(
                results, analysis, domain, methods, metric,
            )?);
        }
    }
    Ok(figures(
        &format!(
            "Mean gain over the blurry input, with the interval. A line that crosses 0 decides nothing. A dot before a name: what the model \
             was trained for.{not_drawn}"
        ),
        &charts,
    ))
}

/// The main method and its control in the domains with a condition that is in domain, a chart for each metric of the summary; each with a
/// name for its file. For pages that show pictures from files.
///
/// # Errors
/// When a plot cannot be drawn.
pub(super) fn standalone_charts(
    results: &Results,
    analysis: &Analysis,
) -> Result<Vec<(String, Chart)>> {
    let main = main_method(results).and_then(|main| results.method(main));
    let methods: Vec<&str> = main
        .into_iter()
        .flat_map(|main| [Some(main.name.as_str()), main.matched_with.as_deref()])
        .flatten()
        .collect();
    let domains: BTreeSet<&str> = results
        .conditions
        .iter()
        .filter(|condition| condition.in_domain)
        .map(|condition| condition.domain.as_str())
        .collect();
    let mut charts = Vec::new();
    for domain in domains {
        for metric in sentences::metrics(results).into_iter().take(2) {
            let chart = charts::gain_rows(results, analysis, domain, &methods, metric)?;
            charts.extend(chart.map(|chart| (format!("{domain}-{metric}"), chart)));
        }
    }
    Ok(charts)
}

fn severity(
    results: &Results,
    analysis: &Analysis,
    methods: &[&str],
    not_drawn: &str,
) -> Result<String> {
    let metric = sentences::metrics(results).into_iter().next().unwrap_or("");
    let charts = charts::severities(results, analysis, methods, metric)?;
    Ok(figures(
        &format!("Families of blur of which there are several severities.{not_drawn}"),
        &charts,
    ))
}

fn gap(results: &Results, analysis: &Analysis) -> Result<String> {
    let mut charts = Vec::new();
    for metric in sentences::metrics(results).into_iter().take(2) {
        charts.extend(charts::gap(results, analysis, metric)?);
    }
    Ok(figures(
        &format!(
            "Gain in domain minus gain out of domain, where both have {GAP_PHOTOS} photos. A gap whose interval lies above 0: the method \
             gains less where it was not trained. No test stands behind a gap. Oracles that are defined for some blurs only are averaged \
             over those."
        ),
        &charts,
    ))
}

fn perception(results: &Results, analysis: &Analysis) -> Result<String> {
    let mut charts = Vec::new();
    for in_domain in [true, false] {
        charts.extend(charts::perception(results, analysis, in_domain)?);
    }
    Ok(figures(
        "Up is closer to the truth pixel by pixel, left is closer to the eye. A line joins numbers of steps of one sampler; the number at a \
         point is its steps.",
        &charts,
    ))
}

fn explained_gallery(results: &Results, method: &str, galleries: &str) -> String {
    if galleries.is_empty() {
        return String::new();
    }
    let has_maps = results
        .pictures
        .iter()
        .any(|picture| picture.kind == PictureKind::Uncertainty);
    // A map is stretched to its own largest value.
    let maps = if has_maps {
        " Maps of uncertainty: black where the samples agree, bright where they differ most within this picture; maps are not comparable \
         with each other."
    } else {
        ""
    };
    format!(
        "<p>Restored by {}. The slider moves with the finger, the mouse or the arrow keys; the list chooses what the input is compared with; \
         zoomed pictures are scrolled.{maps}</p>\n{galleries}",
        escape(method)
    )
}

fn numbers(results: &Results, analysis: &Analysis) -> String {
    let mut html = String::new();
    for (index, condition) in results.conditions.iter().enumerate() {
        let place = if condition.in_domain {
            " (in domain)"
        } else {
            ""
        };
        html.push_str(&format!(
            "<details><summary>{}{place}</summary>\n{}</details>\n",
            escape(&condition.id),
            table::condition(results, analysis, index)
        ));
    }
    html
}

fn meaning(results: &Results, analysis: &Analysis) -> String {
    format!(
        "{}<p>Gains are differences picture by picture, positive where the method is better in any metric. Intervals: {:.0} %, BCa \
         bootstrap, {} resamples. With few photos they are too narrow: of normal values they hold the mean in about 90 % of cases with \
         12 photos, 86 % with 6, 80 % with 4. Pictures of one photo are not independent, so whatever is pooled over conditions is \
         resampled by photo; each condition counts once. Tests: Wilcoxon's signed-rank test, two-sided, zero differences dropped, exact \
         up to 50 pairs; \
         Holm's correction over the conditions of a comparison that have enough photos to reach p &le; 0.05 at all (six). Better or worse is \
         said only if the interval leaves 0 out, the corrected p is at most 0.05, and the ranks point to the same side. A domain that has \
         photos of another one is in no mean over conditions, no gap and no correction. The PSNR of equal pictures is infinite: two such \
         values do not differ, and conditions with an infinite mean gain are left out of what is pooled, by name.</p>\n",
        provenance::protocols(results),
        100.0 * analysis.settings.coverage,
        analysis.settings.resamples
    )
}

#[cfg(test)]
mod tests;
