//! Where the numbers come from.

use super::super::numbers::metric_name;
use super::super::results::{Method, MethodKind, Results};
use super::escape::escape;
use super::table::table;

/// What each number means.
pub(super) fn protocols(results: &Results) -> String {
    let rows: Vec<Vec<String>> = results
        .metrics
        .iter()
        .map(|(name, metric)| {
            vec![
                escape(&metric_name(name)),
                escape(&metric.protocol),
                if metric.higher_is_better {
                    "higher".to_owned()
                } else {
                    "lower".to_owned()
                },
                escape(&metric.unit),
            ]
        })
        .collect();
    table(
        "Protocols",
        &["metric", "protocol", "better", "unit"],
        &rows,
    )
}

/// What was run.
pub(super) fn methods(results: &Results) -> String {
    let rows: Vec<Vec<String>> = results
        .methods
        .iter()
        .map(|method| {
            let checkpoint = method.checkpoint.as_ref().map_or("–".to_owned(), |file| {
                format!(
                    "{}<br>{} parameters<br><code>{}</code>",
                    escape(&file.name),
                    file.parameters,
                    escape(&file.sha256)
                )
            });
            vec![
                escape(&method.name),
                kind(method),
                escape(&method.description),
                options(method),
                checkpoint,
                escape(method.matched_with.as_deref().unwrap_or("–")),
            ]
        })
        .collect();
    table(
        "Methods",
        &[
            "name",
            "kind",
            "what it does",
            "options",
            "checkpoint",
            "matched with",
        ],
        &rows,
    )
}

fn kind(method: &Method) -> String {
    let name = match method.kind {
        MethodKind::Input => "input",
        MethodKind::Classical => "classical",
        MethodKind::Model => "model",
        MethodKind::Folder => "made elsewhere",
    };
    if method.oracle {
        format!("{name}, oracle (knows the true kernel)")
    } else {
        name.to_owned()
    }
}

fn options(method: &Method) -> String {
    let Some(options) = &method.options else {
        return "–".to_owned();
    };
    let mut parts = vec![format!("mode {}", escape(&options.mode))];
    parts.extend(options.sampler.as_ref().map(|sampler| escape(sampler)));
    parts.extend(options.steps.map(|steps| format!("steps {steps}")));
    parts.extend(options.samples.map(|samples| format!("samples {samples}")));
    parts.join(", ")
}

/// The data by their hashes.
pub(super) fn data(results: &Results) -> String {
    let rows: Vec<Vec<String>> = results
        .conditions
        .iter()
        .map(|condition| {
            vec![
                escape(&condition.id),
                if condition.in_domain { "in" } else { "out" }.to_owned(),
                if condition.real { "real" } else { "made" }.to_owned(),
                condition.pairs.to_string(),
                format!("<code>{}</code>", escape(&condition.data_sha256)),
            ]
        })
        .collect();
    table(
        "Data",
        &[
            "condition",
            "domain",
            "blur",
            "pairs",
            "SHA-256 of the pairs",
        ],
        &rows,
    )
}

/// The run.
pub(super) fn run(results: &Results) -> String {
    let about = &results.provenance;
    let dirty = if about.dirty { " (with changes)" } else { "" };
    let crop = results
        .suite
        .crop
        .map_or("whole photos".to_owned(), |[width, height]| {
            format!("{width} × {height}")
        });
    let mut rows = vec![
        ("commit", format!("{}{dirty}", about.commit)),
        ("command", about.command.clone()),
        ("started", about.started.clone()),
        (
            "duration",
            crate::report::duration(std::time::Duration::from_secs_f64(
                about.seconds.clamp(0.0, 1e9),
            )),
        ),
        ("suite", results.suite.name.clone()),
        ("suite's SHA-256", results.suite.sha256.clone()),
        ("seed", results.suite.seed.to_string()),
        ("crop", crop),
        ("system", about.machine.os.clone()),
        (
            "processor",
            format!("{}, {} logical", about.machine.cpu, about.machine.cores),
        ),
        (
            "memory",
            format!(
                "{:.1} GiB",
                about.machine.memory as f64 / f64::from(1 << 30)
            ),
        ),
    ];
    rows.extend(
        about
            .versions
            .iter()
            .map(|(name, version)| (name.as_str(), version.clone())),
    );
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(name, value)| vec![escape(name), escape(&value)])
        .collect();
    table("Run", &["what", "value"], &rows)
}
