//! Phrases that the page and the tables share, as plain text.

use super::numbers::{Style, counted, metric_name};
use super::report;
use super::results::Results;
use super::statistics::{Comparison, ComparisonKind, Pooled};

/// Conditions that a mean leaves out and pictures that failed are named up to this number; more are counted.
const NAMED: usize = 4;

/// What the list of smallest gains cannot rank; `None` where every gain is finite.
pub(super) fn unranked(results: &Results, gain: &Comparison) -> Option<String> {
    let metric = results.metrics.get(&gain.metric)?;
    let style = Style::of(metric);
    let pairs = gain.unranked(metric.higher_is_better);
    if pairs.is_empty() {
        return None;
    }
    let listed: Vec<String> = pairs
        .iter()
        .take(report::WORST)
        .map(|pair| {
            let condition = &results.conditions[pair.condition].id;
            let value = style.value_with_unit(pair.value);
            format!("{} on {condition} ({value})", pair.name)
        })
        .collect();
    let more = pairs.len() - listed.len();
    let more = if more > 0 {
        format!(", and {more} more")
    } else {
        String::new()
    };
    Some(format!(
        "Not ranked, because the input or the restored picture equals the truth and the gain is infinite: {}. By {} of {}, worst first: \
         {}{more}.",
        counted(pairs.len(), "picture"),
        metric_name(&gain.metric),
        gain.method,
        listed.join(", ")
    ))
}

/// Failures of each method, the first by name; the other methods keep their numbers for the same pictures.
pub(super) fn not_measured(results: &Results) -> impl Iterator<Item = String> {
    results.methods.iter().filter_map(|method| {
        let own = || {
            results
                .images
                .iter()
                .filter(|image| image.method == method.name)
        };
        let failed: Vec<String> = own()
            .filter_map(|image| {
                let error = image.error.as_ref()?;
                Some(format!("{} on {}: {error}", image.name, image.condition))
            })
            .collect();
        let named = failed.len().min(NAMED);
        let more = if failed.len() > named {
            format!("; and {} more", failed.len() - named)
        } else {
            String::new()
        };
        (!failed.is_empty()).then(|| {
            format!(
                "{} of {} could not be measured with {}: its means and its comparisons are over the others. Not measured: {}{more}.",
                failed.len(),
                counted(own().count(), "picture"),
                shown_method(results, &method.name),
                failed[..named].join("; ")
            )
        })
    })
}

/// `3 conditions, without photos/sharp`: means over other conditions are other questions.
pub(super) fn conditions_of(results: &Results, pool: &Pooled) -> String {
    let count = counted(pool.conditions.len(), "condition");
    if pool.left_out.is_empty() {
        return count;
    }
    let named: Vec<&str> = pool
        .left_out
        .iter()
        .take(NAMED)
        .map(|&condition| results.conditions[condition].id.as_str())
        .collect();
    let more = pool.left_out.len() - named.len();
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{count}, without {}{more}", named.join(", "))
}

/// `guided`, `guided − unguided`.
pub(super) fn shown_comparison(results: &Results, comparison: &Comparison) -> String {
    match comparison.kind {
        ComparisonKind::Gain => shown_method(results, &comparison.method),
        ComparisonKind::Guidance => {
            format!("{} − {}", comparison.method, comparison.reference)
        }
    }
}

/// The name, with a mark on oracles.
pub(super) fn shown_method(results: &Results, name: &str) -> String {
    let is_oracle = results.method(name).is_some_and(|method| method.oracle);
    format!("{name}{}", if is_oracle { " (oracle)" } else { "" })
}
