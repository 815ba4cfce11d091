//! Results as a CSV file and as Markdown.

use anyhow::{Context, Result};

use super::numbers::{Style, metric_name, probability};
use super::phrases::{conditions_of, not_measured, shown_comparison, shown_method, unranked};
use super::report;
use super::results::Results;
use super::statistics::{Analysis, Comparison, ComparisonKind, ConditionComparison, Pooled};

/// A row for each picture and method.
///
/// # Errors
/// None that data can cause; those of the writer are handed on.
pub(super) fn csv(results: &Results) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let metrics: Vec<&String> = results.metrics.keys().collect();
    let fixed = [
        "condition",
        "domain",
        "in_domain",
        "name",
        "photo",
        "method",
    ];
    let mut header: Vec<&str> = fixed.to_vec();
    header.extend(metrics.iter().map(|name| name.as_str()));
    header.extend(["seconds", "error"]);
    writer.write_record(&header)?;
    for image in &results.images {
        let condition = results.condition(&image.condition);
        let mut row = vec![
            image.condition.clone(),
            condition.map_or(String::new(), |condition| condition.domain.clone()),
            condition
                .is_some_and(|condition| condition.in_domain)
                .to_string(),
            image.name.clone(),
            image.photo.clone(),
            image.method.clone(),
        ];
        row.extend(metrics.iter().map(|name| {
            // Rust writes infinities as `inf`, as JSON does by convention; all digits.
            image
                .metrics
                .get(*name)
                .map_or(String::new(), |value| value.to_string().to_lowercase())
        }));
        row.push(image.seconds.to_string());
        row.push(image.error.clone().unwrap_or_default());
        writer.write_record(&row)?;
    }
    String::from_utf8(writer.into_inner()?).context("the table is not UTF-8")
}

/// The summary: a row for each method and metric.
pub(super) fn summary(results: &Results, analysis: &Analysis) -> String {
    let mut text = String::from(
        "| method | metric | gain in domain | verdict in domain | gain out of domain | verdict out of domain | gap |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for (name, metric) in &results.metrics {
        let style = Style::of(metric);
        let pool = |pool: &Option<Pooled>| {
            pool.as_ref()
                .map_or(["–".to_owned(), "–".to_owned()], |pool| {
                    let gain = style.gain_with_interval(&pool.gain);
                    let over = conditions_of(results, pool);
                    [format!("{gain} over {over}"), pool.verdict.to_string()]
                })
        };
        for comparison in &analysis.comparisons {
            if comparison.metric != *name {
                continue;
            }
            let [inside, inside_verdict] = pool(&comparison.in_domain);
            let [outside, outside_verdict] = pool(&comparison.out_of_domain);
            let gap = comparison
                .gap
                .map_or("–".to_owned(), |gap| style.gain_with_interval(&gap));
            text.push_str(&row(&[
                &shown_comparison(results, comparison),
                &metric_name(name),
                &inside,
                &inside_verdict,
                &outside,
                &outside_verdict,
                &gap,
            ]));
        }
    }
    text
}

/// All tables with what they mean, for `results.md`.
pub(super) fn markdown(results: &Results, analysis: &Analysis) -> String {
    let mut text = format!(
        "# Benchmark `{}`\n\n{}\n\n",
        cell(&results.suite.name),
        cell(&results.suite.description)
    );
    text.push_str(&format!(
        "Gains are positive where the method is better, in every metric: better than the blurry input, and in rows `A − B` better than B. \
         Means over conditions with {:.0} % bootstrap intervals ({} resamples of photos, BCa), which few photos make too narrow; verdicts \
         need the interval and Wilcoxon's test, Holm-corrected. Rows whose means are over other conditions cannot be compared with each \
         other.\n\n## Summary\n\n",
        100.0 * analysis.settings.coverage,
        analysis.settings.resamples
    ));
    text.push_str(&summary(results, analysis));
    for repeat in &analysis.repeats {
        text.push_str(&format!(
            "\nNote: the domain {} shares photos with {} and is in no mean over conditions.\n",
            cell(&repeat.domain),
            cell(&repeat.of)
        ));
    }
    for note in results.notes.iter().cloned().chain(not_measured(results)) {
        text.push_str(&format!("\nNote: {}\n", cell(&note)));
    }
    for (name, metric) in &results.metrics {
        let style = Style::of(metric);
        let shown = cell(&metric_name(name));
        for comparison in &analysis.comparisons {
            if comparison.metric == *name && comparison.kind == ComparisonKind::Guidance {
                let label = cell(&shown_comparison(results, comparison));
                text.push_str(&format!("\n## {shown} by guidance: {label}\n\n"));
                text.push_str(&comparison_table(results, comparison, style));
            }
        }
        text.push_str(&worst(results, analysis, name, style));
        text.push_str(&format!(
            "\n## {shown} by condition\n\n{}\n",
            cell(&metric.protocol)
        ));
        for (index, condition) in results.conditions.iter().enumerate() {
            let place = if condition.in_domain {
                " (in domain)"
            } else {
                ""
            };
            text.push_str(&format!("\n### {}{place}\n\n", cell(&condition.id)));
            if let Some(protocol) = condition.protocols.get(name) {
                text.push_str(&format!("{}\n\n", cell(protocol)));
            }
            text.push_str(&condition_table(results, analysis, index, name, style));
        }
    }
    text
}

/// A comparison in each of its conditions.
fn comparison_table(results: &Results, comparison: &Comparison, style: Style<'_>) -> String {
    let mut text = String::from("| condition | gain | p (Holm) | verdict |\n|---|---|---|---|\n");
    for compared in &comparison.conditions {
        let [gain, p, verdict] = compared_cells(compared, style);
        let condition = &results.conditions[compared.condition].id;
        text.push_str(&row(&[condition, &gain, &p, &verdict]));
    }
    text
}

fn compared_cells(compared: &ConditionComparison, style: Style<'_>) -> [String; 3] {
    [
        style.gain_with_interval(&compared.gain),
        probability(compared.adjusted_p),
        compared.verdict.to_string(),
    ]
}

/// The pictures on which the method that the report is about gains least.
fn worst(results: &Results, analysis: &Analysis, metric: &str, style: Style<'_>) -> String {
    let Some(gain) = report::main_method(results)
        .and_then(|method| analysis.comparison(ComparisonKind::Gain, method, metric))
    else {
        return String::new();
    };
    let mut text = format!(
        "\n## Smallest gains of {} with {}\n\n| picture | condition | input | restored | gain |\n|---|---|---|---|---|\n",
        cell(&metric_name(metric)),
        cell(&shown_method(results, &gain.method))
    );
    for pair in gain.ranked().take(report::WORST) {
        text.push_str(&row(&[
            &pair.name,
            &results.conditions[pair.condition].id,
            &style.value(pair.reference),
            &style.value(pair.value),
            &style.gain(pair.gain),
        ]));
    }
    if let Some(sentence) = unranked(results, gain) {
        text.push_str(&format!("\n{}\n", cell(&sentence)));
    }
    text
}

fn condition_table(
    results: &Results,
    analysis: &Analysis,
    condition: usize,
    metric: &str,
    style: Style<'_>,
) -> String {
    let mut text = String::from(
        "| method | mean | gain over the input | p (Holm) | verdict |\n|---|---|---|---|---|\n",
    );
    for method in &results.methods {
        let Some(level) = analysis.level(&method.name, condition, metric) else {
            let id = &results.conditions[condition].id;
            let why = results
                .not_applicable
                .iter()
                .find(|entry| entry.condition == *id && entry.method == method.name);
            if let Some(why) = why {
                let label = shown_method(results, &method.name);
                text.push_str(&row(&[&label, "–", "–", "–", &why.reason]));
            }
            continue;
        };
        let mut mean = level
            .mean
            .map_or("–".to_owned(), |mean| style.value_with_interval(&mean));
        if level.missing > 0 {
            mean.push_str(&format!(" ({} failed)", level.missing));
        }
        if level.infinite > 0 {
            mean.push_str(&format!(" ({} equal to the truth)", level.infinite));
        }
        let compared = analysis
            .comparison(ComparisonKind::Gain, &method.name, metric)
            .and_then(|gain| {
                gain.conditions
                    .iter()
                    .find(|row| row.condition == condition)
            });
        let [gain, p, verdict] = compared.map_or(Default::default(), |compared| {
            compared_cells(compared, style)
        });
        text.push_str(&row(&[
            &shown_method(results, &method.name),
            &mean,
            &gain,
            &p,
            &verdict,
        ]));
    }
    text
}

fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// Text that cannot end a cell or begin markup.
pub(super) fn cell(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
        .replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('<', "&lt;")
        .replace('`', "'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench_ood::fixture;
    use crate::bench_ood::statistics::{Settings, analyse};

    #[test]
    fn every_picture_is_a_row_and_hostile_names_stay_in_their_cell() {
        let mut results = fixture::two_domains();
        results.images[0].name = "a,\"b\"\n|<script>".into();
        results.images[1]
            .metrics
            .insert("psnr".into(), f64::INFINITY);
        let text = csv(&results).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        assert_eq!(&header[6], "lpips");
        assert_eq!(&header[7], "psnr");
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), results.images.len());
        assert_eq!(&rows[0][3], "a,\"b\"\n|<script>");
        assert_eq!(&rows[1][7], "inf");
        for (row, image) in rows.iter().zip(&results.images) {
            assert_eq!(
                row[7].parse::<f64>().unwrap().to_bits(),
                image.metrics["psnr"].to_bits()
            );
        }
    }

    #[test]
    fn markdown_has_every_condition_method_and_protocol() {
        let mut results = fixture::two_domains();
        results.methods[1].name = "pl|ain<b>".into();
        for image in &mut results.images {
            if image.method == "plain" {
                image.method = "pl|ain<b>".into();
            }
        }
        results
            .metrics
            .insert("<b>".into(), results.metrics["lpips"].clone());
        results.methods[2].matched_with = Some("pl|ain<b>".into());
        let text = markdown(&results, &analyse(&results, Settings::default()));
        for condition in &results.conditions {
            assert!(text.contains(&format!("### {}", condition.id)));
        }
        assert!(text.contains("pl\\|ain&lt;b>") && text.contains("## &lt;B> by condition"));
        assert!(!text.contains("<b>") && !text.contains("<B>"));
        assert!(text.contains("mean over images of PSNR on 8-bit RGB"));
        // Each row of a table has as many cells as its header.
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        let mut header = 0;
        for line in text.lines() {
            if !line.starts_with('|') {
                header = 0;
            } else if header == 0 {
                header = cells(line);
            } else {
                assert_eq!(cells(line), header, "{line}");
            }
        }
    }

    #[test]
    fn markdown_says_what_guidance_brings_and_which_pictures_are_worst() {
        let mut results = fixture::two_domains();
        for image in &mut results.images {
            if image.method == "input" && image.condition == "photos/new" {
                image.metrics.insert("psnr".into(), f64::INFINITY);
            }
        }
        let text = markdown(&results, &analyse(&results, Settings::default()));
        assert!(text.contains("## PSNR by guidance: guided − plain"));
        assert!(text.contains("| photos/new | +0.25 dB [+0.25, +0.25] | &lt; 0.001 | better |"));
        assert!(text.contains("| photos/known | +0.25 dB"));
        assert!(text.contains(
            "## Smallest gains of PSNR with guided\n\n| picture | condition | input | restored | gain |\n|---|---|---|---|---|\n\
             | text-0 | text/new | 25.00 | 23.70 | −1.30 |\n"
        ));
        assert!(
            text.contains(
                "12 pictures. By PSNR of guided, worst first: photos-0 on photos/new (25.70 dB)"
            ),
            "{text}"
        );
        // A mean says over what it is.
        let row = text
            .lines()
            .find(|line| line.starts_with("| guided | PSNR |"));
        assert!(
            row.unwrap().contains(" over 1 condition | better |")
                && row
                    .unwrap()
                    .contains(" over 1 condition, without photos/new |"),
            "{row:?}"
        );
    }
}
