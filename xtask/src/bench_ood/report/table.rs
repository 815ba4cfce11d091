//! Tables of the page.

use super::super::numbers::{Style, counted, metric_name, probability};
use super::super::phrases::{conditions_of, shown_comparison, shown_method, unranked};
use super::super::results::Results;
use super::super::statistics::{Analysis, ComparisonKind, Pooled, Verdict};
use super::WORST;
use super::escape::escape;

/// A table that can be scrolled sideways on a phone. Cells are HTML already.
pub(super) fn table(caption: &str, header: &[&str], rows: &[Vec<String>]) -> String {
    let mut html = format!(
        "<div class=\"table\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table><caption>{0}</caption><thead><tr>",
        escape(caption)
    );
    for name in header {
        html.push_str(&format!("<th scope=\"col\">{}</th>", escape(name)));
    }
    html.push_str("</tr></thead><tbody>\n");
    for row in rows {
        html.push_str("<tr>");
        for (index, cell) in row.iter().enumerate() {
            html.push_str(&if index == 0 {
                format!("<th scope=\"row\">{cell}</th>")
            } else {
                format!("<td>{cell}</td>")
            });
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    html
}

fn verdict(verdict: Verdict) -> String {
    let class = match verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::Undecided | Verdict::TooFew | Verdict::Repeated => "undecided",
    };
    format!("<span class=\"verdict {class}\">{verdict}</span>")
}

fn missing(count: usize) -> String {
    if count == 0 {
        String::new()
    } else {
        format!(", {count} missing")
    }
}

/// Gains in domain and out of domain, of one kind of comparison.
pub(super) fn summary(results: &Results, analysis: &Analysis, kind: ComparisonKind) -> String {
    let mut html = String::new();
    for metric in super::sentences::metrics(results) {
        let style = Style::of(&results.metrics[metric]);
        let pool = |pool: &Option<Pooled>| {
            pool.as_ref().map_or("–".to_owned(), |pool| {
                format!(
                    "{}<br><small>{}</small><br>{}",
                    escape(&style.gain_with_interval(&pool.gain)),
                    escape(&conditions_of(results, pool)),
                    verdict(pool.verdict)
                )
            })
        };
        let rows: Vec<Vec<String>> = analysis
            .comparisons
            .iter()
            .filter(|other| other.kind == kind && other.metric == metric)
            .map(|other| {
                vec![
                    escape(&shown_comparison(results, other)),
                    pool(&other.in_domain),
                    pool(&other.out_of_domain),
                    other.gap.map_or("–".to_owned(), |gap| {
                        escape(&style.gain_with_interval(&gap))
                    }),
                ]
            })
            .collect();
        if rows.is_empty() {
            continue;
        }
        let caption = match kind {
            ComparisonKind::Gain => format!("Mean gain of {} over the input", metric_name(metric)),
            ComparisonKind::Guidance => format!("Mean gain of {} by guidance", metric_name(metric)),
        };
        html.push_str(&table(
            &caption,
            &["method", "in domain", "out of domain", "gap"],
            &rows,
        ));
    }
    html
}

/// All numbers of a condition.
pub(super) fn condition(results: &Results, analysis: &Analysis, index: usize) -> String {
    let about = &results.conditions[index];
    let mut html = String::new();
    for metric in super::sentences::metrics(results) {
        let style = Style::of(&results.metrics[metric]);
        let rows: Vec<Vec<String>> = results
            .methods
            .iter()
            .filter_map(|method| {
                let level = analysis.level(&method.name, index, metric)?;
                let mut mean = level.mean.map_or("–".to_owned(), |mean| {
                    format!(
                        "{} <small>({})</small>",
                        escape(&style.value_with_interval(&mean)),
                        counted(mean.count, "picture")
                    )
                });
                if level.missing > 0 {
                    mean.push_str(&format!(" <small>{} failed</small>", level.missing));
                }
                if level.infinite > 0 {
                    mean.push_str(&format!(
                        " <small>{} equal to the truth</small>",
                        level.infinite
                    ));
                }
                let gains = [ComparisonKind::Gain, ComparisonKind::Guidance].map(|kind| {
                    let comparison = analysis.comparison(kind, &method.name, metric)?;
                    comparison
                        .conditions
                        .iter()
                        .find(|row| row.condition == index)
                });
                let mut row = vec![escape(&shown_method(results, &method.name)), mean];
                row.extend(gains.map(|gain| {
                    gain.map_or("–".to_owned(), |gain| {
                        format!(
                            "{}<br><small>{} better, {} equal, {} worse{}; p {}, Holm {}</small><br>{}",
                            escape(&style.gain_with_interval(&gain.gain)),
                            gain.counts[0],
                            gain.counts[1],
                            gain.counts[2],
                            missing(gain.missing),
                            escape(&probability(gain.test.map(|test| test.p))),
                            escape(&probability(gain.adjusted_p)),
                            verdict(gain.verdict)
                        )
                    })
                }));
                Some(row)
            })
            .collect();
        if rows.is_empty() {
            continue;
        }
        html.push_str(&table(
            &format!("{} on {}", metric_name(metric), about.id),
            &["method", "mean", "gain over the input", "gain by guidance"],
            &rows,
        ));
        if let Some(protocol) = about.protocols.get(metric) {
            html.push_str(&format!("<p><small>{}</small></p>\n", escape(protocol)));
        }
    }
    for entry in results
        .not_applicable
        .iter()
        .filter(|entry| entry.condition == about.id)
    {
        html.push_str(&format!(
            "<p><small>{} is not applicable: {}.</small></p>\n",
            escape(&entry.method),
            escape(&entry.reason)
        ));
    }
    html
}

/// The pictures on which a method gains least, by name, for each of the first two metrics.
pub(super) fn worst(results: &Results, analysis: &Analysis, method: &str) -> String {
    let mut html = String::new();
    for metric in super::sentences::metrics(results).into_iter().take(2) {
        let style = Style::of(&results.metrics[metric]);
        let Some(gain) = analysis.comparison(ComparisonKind::Gain, method, metric) else {
            continue;
        };
        let rows: Vec<Vec<String>> = gain
            .ranked()
            .take(WORST)
            .map(|pair| {
                vec![
                    escape(&pair.name),
                    escape(&results.conditions[pair.condition].id),
                    style.value(pair.reference),
                    style.value(pair.value),
                    style.gain(pair.gain),
                ]
            })
            .collect();
        html.push_str(&table(
            &format!("Smallest gains of {} with {method}", metric_name(metric)),
            &["picture", "condition", "input", "restored", "gain"],
            &rows,
        ));
        if let Some(sentence) = unranked(results, gain) {
            html.push_str(&format!("<p><small>{}</small></p>\n", escape(&sentence)));
        }
    }
    html
}
