//! What the numbers say, in sentences. They are made from verdicts and say nothing that a verdict does not.

use super::super::numbers::{Style, counted, metric_name};
use super::super::results::{MethodKind, Results};
use super::super::statistics::{Analysis, Comparison, ComparisonKind, Pooled, Verdict};
use super::super::tables::shown_method;

/// The method that the report is about: the guided model, else the first model, else what was given.
pub(super) fn main_method(results: &Results) -> Option<&str> {
    let methods = || results.methods.iter();
    methods()
        .find(|method| method.matched_with.is_some())
        .or_else(|| methods().find(|method| method.kind == MethodKind::Model))
        .or_else(|| methods().find(|method| method.kind == MethodKind::Folder))
        .or_else(|| methods().find(|method| method.kind == MethodKind::Classical))
        .map(|method| method.name.as_str())
}

/// The metrics in the order in which the summary names them: PSNR, LPIPS, then by name.
pub(super) fn metrics(results: &Results) -> Vec<&str> {
    let mut names: Vec<&str> = results.metrics.keys().map(String::as_str).collect();
    names.sort_by_key(|name| match *name {
        "psnr" => 0,
        "lpips" => 1,
        _ => 2,
    });
    names
}

/// The summary, a sentence or two each.
pub(super) fn summary(results: &Results, analysis: &Analysis) -> Vec<String> {
    let mut sentences = Vec::new();
    let Some(method) = main_method(results) else {
        return vec!["There is no method besides the blurry input.".to_owned()];
    };
    for metric in metrics(results).into_iter().take(2) {
        if let Some(gain) = analysis.comparison(ComparisonKind::Gain, method, metric) {
            sentences.push(overall(results, gain));
            sentences.extend(failures(results, gain));
        }
    }
    let guided: Vec<&Comparison> = metrics(results)
        .into_iter()
        .take(2)
        .flat_map(|metric| {
            analysis.comparisons.iter().filter(move |other| {
                other.kind == ComparisonKind::Guidance && other.metric == metric
            })
        })
        .collect();
    if guided.is_empty() {
        sentences.push(
            "Nothing is said about the effect of guidance: no guided model was run together with a matched unguided control."
                .to_owned(),
        );
    }
    sentences.extend(guided.iter().map(|gain| guidance(results, gain)));
    let failed = results
        .images
        .iter()
        .filter(|image| image.error.is_some())
        .count();
    if failed > 0 {
        sentences.push(format!(
            "{} could not be measured and {} missing from all numbers.",
            counted(failed, "picture"),
            if failed == 1 { "is" } else { "are" }
        ));
    }
    sentences
}

fn style<'a>(results: &'a Results, metric: &str) -> Option<Style<'a>> {
    results.metrics.get(metric).map(Style::of)
}

fn pooled(results: &Results, gain: &Comparison, pool: &Pooled, place: &str) -> String {
    let number = style(results, &gain.metric)
        .map_or(String::new(), |style| style.gain_with_interval(&pool.gain));
    let left_out = if pool.left_out.is_empty() {
        String::new()
    } else {
        format!(", without {}", names(results, &pool.left_out))
    };
    format!(
        "{place} {number} over {} and {}{left_out}: {}",
        counted(pool.conditions.len(), "condition"),
        counted(pool.photos, "photo"),
        pool.verdict
    )
}

fn names(results: &Results, conditions: &[usize]) -> String {
    let names: Vec<&str> = conditions
        .iter()
        .map(|&condition| results.conditions[condition].id.as_str())
        .collect();
    names.join(", ")
}

fn overall(results: &Results, gain: &Comparison) -> String {
    let mut parts = Vec::new();
    if let Some(pool) = &gain.in_domain {
        parts.push(pooled(results, gain, pool, "in domain"));
    }
    if let Some(pool) = &gain.out_of_domain {
        parts.push(pooled(results, gain, pool, "out of domain"));
    }
    let mut text = format!(
        "{}: mean gain of {} over the blurry input {}.",
        metric_name(&gain.metric),
        shown_method(results, &gain.method),
        parts.join("; ")
    );
    if let (Some(gap), Some(style)) = (&gain.gap, style(results, &gain.metric)) {
        let meaning = match gap.interval {
            Some([low, _]) if low > 0.0 => "it gains less out of domain",
            Some([_, high]) if high < 0.0 => "it gains more out of domain",
            _ => "a difference is not established",
        };
        text.push_str(&format!(
            " Generalisation gap {}: {meaning}.",
            style.gain_with_interval(gap)
        ));
    }
    text
}

/// In which conditions it is better, and in which it does harm.
fn failures(results: &Results, gain: &Comparison) -> Option<String> {
    let style = style(results, &gain.metric)?;
    let of = |verdict: Verdict| -> Vec<usize> {
        gain.conditions
            .iter()
            .filter(|row| row.verdict == verdict)
            .map(|row| row.condition)
            .collect()
    };
    let (better, worse) = (of(Verdict::Better), of(Verdict::Worse));
    let (undecided, few) = (of(Verdict::Undecided), of(Verdict::TooFew));
    let mut text = format!(
        "By condition, {} is better in {} of {}, worse in {}, undecided in {}.",
        metric_name(&gain.metric),
        better.len(),
        gain.conditions.len(),
        worse.len(),
        undecided.len() + few.len(),
    );
    if !few.is_empty() {
        text.push_str(&format!(
            " {} of the undecided have too few pictures for any verdict.",
            few.len()
        ));
    }
    let row = |condition: usize| {
        gain.conditions
            .iter()
            .find(|row| row.condition == condition)
    };
    let listed: Vec<String> = worse
        .iter()
        .filter_map(|&condition| {
            let row = row(condition)?;
            Some(format!(
                "{} ({})",
                results.conditions[condition].id,
                style.gain_with_interval(&row.gain)
            ))
        })
        .collect();
    if !listed.is_empty() {
        text.push_str(&format!(" It does harm in {}.", listed.join(", ")));
    }
    let best = better
        .iter()
        .filter_map(|&condition| row(condition))
        .max_by(|a, b| a.gain.value.total_cmp(&b.gain.value));
    if let Some(best) = best {
        text.push_str(&format!(
            " The largest gain is in {} ({}).",
            results.conditions[best.condition].id,
            style.gain_with_interval(&best.gain)
        ));
    }
    Some(text)
}

fn guidance(results: &Results, gain: &Comparison) -> String {
    let mut parts = Vec::new();
    for (pool, place) in [
        (&gain.in_domain, "in domain"),
        (&gain.out_of_domain, "out of domain"),
    ] {
        if let Some(pool) = pool {
            parts.push(pooled(results, gain, pool, place));
        }
    }
    format!(
        "Guidance ({} against {}, trained alike), {}: {}.",
        gain.method,
        gain.reference,
        metric_name(&gain.metric),
        parts.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench_ood::fixture;
    use crate::bench_ood::statistics::{Settings, analyse};

    fn said(results: &Results) -> String {
        summary(results, &analyse(results, Settings::default())).join("\n")
    }

    #[test]
    fn sentences_follow_the_verdicts() {
        let results = fixture::two_domains();
        let text = said(&results);
        assert!(
            text.contains("PSNR: mean gain of guided over the blurry input in domain +3.25 dB [")
        );
        assert!(
            text.contains("over 1 condition and 12 photos: better"),
            "{text}"
        );
        assert!(text.contains("it gains less out of domain"));
        assert!(text.contains(
            "PSNR is better in 2 of 4, worse in 0, undecided in 2. 2 of the undecided have too few"
        ));
        assert!(
            text.contains(
                "Guidance (guided against plain, trained alike), PSNR: in domain +0.25 dB"
            )
        );
        assert!(!text.contains("does harm"));
    }

    #[test]
    fn without_a_control_nothing_is_said_of_guidance() {
        let mut results = fixture::two_domains();
        results.methods[2].matched_with = None;
        let text = said(&results);
        assert!(text.contains("Nothing is said about the effect of guidance"));
        assert!(!text.contains("Guidance ("));
    }

    #[test]
    fn harm_is_named() {
        let mut results = fixture::two_domains();
        for image in &mut results.images {
            if image.condition == "photos/new" && image.method == "guided" {
                *image.metrics.get_mut("psnr").unwrap() -= 4.0;
            }
        }
        assert!(
            said(&results).contains("It does harm in photos/new (−2.75 dB"),
            "{}",
            said(&results)
        );
    }
}
