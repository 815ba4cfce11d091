//! What the numbers say, in sentences. They are made from verdicts and say nothing that a verdict does not.

use super::super::numbers::{Style, counted, metric_name};
use super::super::phrases::{conditions_of, not_measured, shown_method};
use super::super::results::{GUIDED, MethodKind, Results};
use super::super::statistics::{
    Analysis, Comparison, ComparisonKind, ConditionComparison, GAP_PHOTOS, Pooled, Verdict,
};

/// The method that the report is about: the guided model, else the first model, else what was given.
pub(in crate::bench_ood) fn main_method(results: &Results) -> Option<&str> {
    let methods = || results.methods.iter();
    methods()
        .find(|method| method.matched_with.is_some())
        // A control that is not matched comes before it in the list.
        .or_else(|| methods().find(|method| method.name == GUIDED))
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
    sentences.extend(not_measured(results));
    sentences.extend(analysis.repeats.iter().map(|repeat| {
        format!(
            "The domain {} shares photos with {}: its rows are shown, and no mean over conditions, gap or correction counts them.",
            repeat.domain, repeat.of
        )
    }));
    sentences
}

fn style<'a>(results: &'a Results, metric: &str) -> Option<Style<'a>> {
    results.metrics.get(metric).map(Style::of)
}

fn pooled(results: &Results, gain: &Comparison, pool: &Pooled, place: &str) -> String {
    let number = style(results, &gain.metric)
        .map_or(String::new(), |style| style.gain_with_interval(&pool.gain));
    format!(
        "{place} {number} over {} and {}: {}",
        conditions_of(results, pool),
        counted(pool.photos, "photo"),
        pool.verdict
    )
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
    text.extend(gap(results, gain));
    text
}

/// The gap, or why there is none; nothing where only one side was measured.
fn gap(results: &Results, gain: &Comparison) -> Option<String> {
    let (inside, outside) = (gain.in_domain.as_ref()?, gain.out_of_domain.as_ref()?);
    let Some(gap) = &gain.gap else {
        return Some(format!(
            " No generalisation gap is given: it needs {GAP_PHOTOS} photos on each side, there are {} in domain and {} out of domain.",
            inside.photos, outside.photos
        ));
    };
    let meaning = match gap.interval {
        Some([low, _]) if low > 0.0 => "it gains less out of domain",
        Some([_, high]) if high < 0.0 => "it gains more out of domain",
        _ => "a difference is not established",
    };
    Some(format!(
        " Generalisation gap {}: {meaning}.",
        style(results, &gain.metric)?.gain_with_interval(gap)
    ))
}

/// In which conditions it is better, in which it does harm, and where it loses without proof.
fn failures(results: &Results, gain: &Comparison) -> Option<String> {
    let style = style(results, &gain.metric)?;
    let of = |verdict: Verdict| -> Vec<&ConditionComparison> {
        gain.conditions
            .iter()
            .filter(|row| row.verdict == verdict)
            .collect()
    };
    let (better, worse) = (of(Verdict::Better), of(Verdict::Worse));
    let (few, repeated) = (of(Verdict::TooFew), of(Verdict::Repeated));
    let judged = gain.conditions.len() - repeated.len();
    let mut text = format!(
        "By condition, {} is better in {} of {judged}, worse in {}, undecided in {}.",
        metric_name(&gain.metric),
        better.len(),
        worse.len(),
        judged - better.len() - worse.len(),
    );
    if !few.is_empty() {
        text.push_str(&format!(
            " {} of the undecided have too few photos for any verdict.",
            few.len()
        ));
    }
    let name = |row: &ConditionComparison| results.conditions[row.condition].id.as_str();
    let listed: Vec<String> = worse
        .iter()
        .map(|row| format!("{} ({})", name(row), style.gain_with_interval(&row.gain)))
        .collect();
    if !listed.is_empty() {
        text.push_str(&format!(" It does harm in {}.", listed.join(", ")));
    }
    text.extend(unproven_losses(results, gain, style));
    let best = better
        .iter()
        .max_by(|a, b| a.gain.value.total_cmp(&b.gain.value));
    if let Some(best) = best {
        text.push_str(&format!(
            " The largest gain is in {} ({}).",
            name(best),
            style.gain_with_interval(&best.gain)
        ));
    }
    Some(text)
}

/// A loss is named also where few photos prove nothing; the largest first.
fn unproven_losses(results: &Results, gain: &Comparison, style: Style<'_>) -> Option<String> {
    let mut losses: Vec<&ConditionComparison> = gain
        .conditions
        .iter()
        .filter(|row| row.gain.value < 0.0 && row.verdict != Verdict::Worse)
        .collect();
    losses.sort_by(|a, b| a.gain.value.total_cmp(&b.gain.value));
    let listed: Vec<String> = losses
        .iter()
        .map(|row| {
            format!(
                "{} ({}, {} of {})",
                results.conditions[row.condition].id,
                style.gain_with_unit(row.gain.value),
                row.counts[2],
                counted(row.gain.count, "picture")
            )
        })
        .collect();
    (!listed.is_empty()).then(|| {
        format!(
            " It loses on average, not established: {}.",
            listed.join(", ")
        )
    })
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
            "PSNR is better in 2 of 3, worse in 0, undecided in 1. 1 of the undecided have too few"
        ));
        assert!(
            text.contains(
                "It loses on average, not established: text/new (−1.10 dB, 5 of 5 pictures)."
            ),
            "{text}"
        );
        assert!(text.contains("The domain night shares photos with photos"));
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
        // The order of the benchmark: the control, then the guided model.
        assert_eq!(results.methods[1].name, "plain");
        assert_eq!(main_method(&results), Some("guided"));
        let text = said(&results);
        assert!(text.contains("mean gain of guided over the blurry input"));
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

    #[test]
    fn failures_are_counted_for_their_method() {
        let mut results = fixture::two_domains();
        let image = results
            .images
            .iter_mut()
            .find(|image| image.method == "plain")
            .unwrap();
        image.metrics.clear();
        image.error = Some("out of memory".into());
        let text = said(&results);
        assert!(
            text.contains("1 of 35 pictures could not be measured with plain: its means"),
            "{text}"
        );
        assert!(!text.contains("measured with guided"));
    }

    #[test]
    fn a_gap_from_few_photos_is_not_given() {
        let mut results = fixture::two_domains();
        results
            .images
            .retain(|image| image.condition != "photos/known" || image.name == "photos-1");
        let text = said(&results);
        assert!(
            text.contains("it needs 10 photos on each side, there are 1 in domain and 17 out of"),
            "{text}"
        );
        assert!(!text.contains("Generalisation gap"));
    }
}
