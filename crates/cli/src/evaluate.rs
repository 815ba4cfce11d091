//! `msdeblur evaluate`: restored photos against sharp ones, in numbers.

mod csv_file;
mod manifest;
mod metric;
mod networks;
mod pairs;
mod plan;
mod report;
mod reuse;
mod saved;
mod scores;
mod sets;
mod work;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use ::deblur::{CheckpointSource, Options, Restorer};
use serde_json::{Value, json};

use self::csv_file::Row;
use self::networks::Networks;
use self::plan::Plan;
use self::report::{
    Checkpoint, Failure, Image, Protocol, Started, Summary, in_words, statistics, table,
};
use self::reuse::{Store, file_hash};
use self::scores::PlainMetrics;
use self::work::{Finished, Machine, Reuse, Shared};
use crate::args::EvaluateArgs;
use crate::hints::Problem;
use crate::info::ModelFacts;
use crate::output::{Printer, path_text, write_stdout};
use crate::restoration::Session;
use crate::words::count;
use crate::{INTERRUPTED, SOME_FAILED, cancel, threads};

pub(crate) use self::metric::Metric;

/// Runs the subcommand.
///
/// # Errors
/// Wrong usage or set-up, before any photo is touched.
pub(crate) fn run(args: &EvaluateArgs) -> Result<u8, Problem> {
    let start = Instant::now();
    let printer = Printer::new("evaluate", args.messages);
    let plan = Plan::new(args)?;
    for remark in &plan.remarks {
        printer.status(&format!("note: {remark}"));
    }
    cancel::install(if plan.restoration.is_some() {
        "tile"
    } else {
        "image"
    });
    threads::limit(args.restoration.threads, &printer)?;

    let (machine, units) = machine(&plan, args, &printer)?;
    let plain = PlainMetrics::load(&plan.metrics, &plan.protocol, &plan.weights)?;
    let mut weights = BTreeMap::new();
    for (name, path) in &plan.weights {
        weights.insert(*name, file_hash(path)?);
    }
    let options = restoration_options(&plan, &machine);
    let started = Started {
        pairs: plan.pairs.len(),
        metrics: &plan.metrics,
        protocols: protocols(&plan, &plain, &machine.networks),
        weights,
        checkpoint: checkpoint(&plan)?,
        options,
    };
    let shared = Shared {
        pairs: &plan.pairs,
        plain,
        saved: plan.saved.as_ref(),
        reuse: reuse(&plan, &started)?,
    };
    if let Some(saved) = &plan.saved {
        let restored = plan.pairs.iter().filter(|pair| pair.is_to_restore());
        saved.prepare(restored.map(|pair| pair.name.as_str()))?;
    }
    for protocol in started.protocols.values() {
        tracing::info!("{}", protocol.text);
    }
    printer.data("started", &started);

    let kind = if machine.session.is_some() {
        "parts"
    } else {
        "images"
    };
    printer.progress.start(units.iter().sum(), kind);
    let mut rows: Vec<Row> = Vec::new();
    let interrupted = work::run(&shared, &machine, &units, &printer, &mut |finished| {
        report(&plan, &printer, &finished);
        rows.push(Row {
            result: finished.result,
            reused: finished.reused,
        });
    });
    printer.progress.finish();
    finish(args, &plan, &printer, &rows, interrupted, start)
}

/// Loads the model and the networks; returns the units of progress of each pair as well.
fn machine<'a>(
    plan: &Plan,
    args: &EvaluateArgs,
    printer: &'a Printer,
) -> Result<(Machine<'a>, Vec<u64>), Problem> {
    let mut session = None;
    if let Some((checkpoint, options)) = &plan.restoration {
        let to_restore = plan.pairs.iter().filter(|pair| pair.is_to_restore());
        let sizes: Vec<_> = to_restore.filter_map(|pair| pair.size).collect();
        session = Some(Session::start(checkpoint, options, &sizes, printer)?);
    }
    let mut units = Vec::new();
    for pair in &plan.pairs {
        let mut parts = 1;
        if let (Some(session), Some(size), true) = (&session, pair.size, pair.is_to_restore()) {
            parts += session.units(&[size])?;
        }
        units.push(parts);
    }
    let networks = Networks::load(&plan.metrics, &plan.weights, args.restoration.device)?;
    Ok((Machine { session, networks }, units))
}

/// What the restored pictures depend on besides the checkpoint, as JSON.
fn restoration_options(plan: &Plan, machine: &Machine<'_>) -> Option<Value> {
    let (_, options) = plan.restoration.as_ref()?;
    let restorer: &Restorer = &machine.session.as_ref()?.restorer;
    let drawn = options.drawn_samples();
    let Options { mode, seed, .. } = options;
    Some(json!({
        "mode": mode.name(),
        "steps": (drawn > 0).then_some(options.steps),
        "sampler": (drawn > 0).then(|| options.sampler.name()),
        "samples": drawn,
        "seed": seed,
        "uncertainty": options.uncertainty,
        "device": restorer.device(),
        "precision": restorer.precision(),
    }))
}

fn checkpoint(plan: &Plan) -> Result<Option<Checkpoint>, Problem> {
    let source: Option<&CheckpointSource> = plan.restoration.as_ref().map(|(source, _)| source);
    let facts = source.map(ModelFacts::of).transpose()?;
    Ok(facts.map(|facts| Checkpoint {
        name: facts.name,
        sha256: facts.sha256,
        parameters: facts.parameters,
    }))
}

fn protocols(plan: &Plan, plain: &PlainMetrics, networks: &Networks) -> BTreeMap<Metric, Protocol> {
    // Pairs with a problem are known to fail.
    let sound = plan.pairs.iter().filter(|pair| pair.problem.is_none());
    let images = sound.count();
    let protocol = |&metric: &Metric| {
        let of_network = sets::protocol(metric, images).or_else(|| networks.protocol(metric));
        let text = match of_network {
            Some(protocol) => protocol.to_string(),
            None => plain.protocol_of(metric),
        };
        let protocol = Protocol {
            text,
            higher_is_better: metric.higher_is_better(),
            unit: metric.unit(),
        };
        (metric, protocol)
    };
    plan.metrics.iter().map(protocol).collect()
}

/// Opens the results of earlier runs. What decides whether they can be used is what is reported at the start.
fn reuse(plan: &Plan, started: &Started<'_>) -> Result<Option<Reuse>, Problem> {
    let Some(path) = &plan.reuse else {
        return Ok(None);
    };
    // Sets are compared anew each time, from the features of their images.
    let (of_sets, of_images): (Vec<_>, Vec<_>) = started
        .protocols
        .iter()
        .partition(|(metric, _)| metric.is_of_sets());
    let protocols: BTreeMap<&str, &str> = of_images
        .into_iter()
        .map(|(metric, protocol)| (metric.name(), protocol.text.as_str()))
        .collect();
    Ok(Some(Reuse {
        store: Store::open(path)?,
        measurement: json!({
            "program": program_hash()?,
            "protocols": protocols,
            "features": !of_sets.is_empty(),
            "weights": started.weights,
        }),
        restoration: json!({
            "checkpoint": started.checkpoint.as_ref().map(|checkpoint| &checkpoint.sha256),
            "options": started.options,
        }),
    }))
}

/// SHA-256 of this program: another build of the same version may compute other numbers.
fn program_hash() -> Result<String, Problem> {
    let file = std::env::current_exe().map_err(|error| {
        Problem::new(format!("--reuse needs to know this program: {error}"))
            .hint("leave --reuse out, or run the program by its path")
    })?;
    // On Linux this is the file that runs, also when a build has replaced it by now.
    let running = Path::new("/proc/self/exe");
    file_hash(if running.exists() { running } else { &file })
}

/// Prints what became of one pair.
fn report(plan: &Plan, printer: &Printer, finished: &Finished) {
    let pair = &plan.pairs[finished.index];
    for (path, note) in &finished.notes {
        printer.note(path, note);
    }
    let place = format!("{} of {}", finished.index + 1, plan.pairs.len());
    match &finished.result {
        Ok(scores) => {
            let what = if finished.reused {
                ", from an earlier run"
            } else {
                ""
            };
            printer.status(&format!(
                "{}: {} ({place}{what})",
                pair.name,
                in_words(scores)
            ));
            let saved = plan.saved.as_ref().filter(|_| pair.is_to_restore());
            let restored = pair
                .restored
                .clone()
                .or_else(|| Some(saved?.photo(&pair.name)));
            printer.data(
                "image",
                &Image {
                    name: &pair.name,
                    sharp: path_text(&pair.sharp),
                    blurry: pair.blurry.as_deref().map(path_text),
                    restored: restored.as_deref().map(path_text),
                    uncertainty: saved.and_then(|saved| Some(path_text(&saved.map(&pair.name)?))),
                    metrics: &scores.metrics,
                    input_metrics: scores.input_metrics.as_ref(),
                    seconds: scores.seconds,
                    reused: finished.reused,
                },
            );
        }
        Err(problem) => {
            let mut named = problem.clone();
            named.message = format!("{} ({place}): {}", pair.name, named.message);
            printer.problem(&named);
            printer.data(
                "failure",
                &Failure {
                    name: &pair.name,
                    error: &problem.message,
                    hint: problem.hint.as_deref(),
                },
            );
        }
    }
}

/// Summary, table and file; returns the exit code.
fn finish(
    args: &EvaluateArgs,
    plan: &Plan,
    printer: &Printer,
    rows: &[Row],
    interrupted: bool,
    start: Instant,
) -> Result<u8, Problem> {
    let scored: Vec<_> = rows
        .iter()
        .filter_map(|row| row.result.as_ref().ok())
        .collect();
    let failed = rows.len() - scored.len();
    let mut problems = Vec::new();
    let sets = if interrupted {
        sets::SetScores::default()
    } else {
        sets::measure(&plan.metrics, &scored, &mut problems)
    };
    let has_input = scored.iter().any(|scores| scores.input_metrics.is_some());
    let summary = Summary {
        count: scored.len(),
        failed,
        interrupted,
        metrics: statistics(&plan.metrics, scored.iter().map(|scores| &scores.metrics)),
        input_metrics: has_input.then(|| {
            let input = scored
                .iter()
                .filter_map(|scores| scores.input_metrics.as_ref());
            statistics(&plan.metrics, input)
        }),
        set_metrics: sets.restored,
        input_set_metrics: sets.blurry,
        seconds: start.elapsed().as_secs_f64(),
    };
    for problem in &problems {
        printer.problem(problem);
    }
    printer.data("summary", &summary);
    let total = plan.pairs.len() as u64;
    if interrupted {
        let of_all = format!(
            "interrupted; {} of {} scored",
            scored.len(),
            count(total, "image")
        );
        printer.problem(&Problem::new(of_all));
        return Ok(INTERRUPTED);
    }
    if let Some(path) = &plan.csv {
        let written = cancel::while_writing(|| {
            csv_file::write(
                path,
                args.force,
                &plan.metrics,
                &plan.pairs,
                rows,
                plan.saved.as_ref(),
            )
        });
        if let Err(problem) = written {
            printer.problem(&problem);
            problems.push(problem);
        }
    }
    if !args.messages.json && !scored.is_empty() {
        let title = format!("{}, {}", count(scored.len() as u64, "image"), plan.protocol);
        write_stdout(&format!("{title}\n{}", table(&summary)));
    }
    if failed > 0 {
        let failures = plan
            .pairs
            .iter()
            .zip(rows)
            .filter(|(_, row)| row.result.is_err());
        let names: Vec<&str> = failures.map(|(pair, _)| pair.name.as_str()).collect();
        printer.problem(&Problem::new(format!(
            "{} of {} scored, {failed} failed:\n  {}",
            scored.len(),
            count(total, "image"),
            names.join("\n  ")
        )));
    }
    Ok(if failed > 0 || !problems.is_empty() {
        SOME_FAILED
    } else {
        0
    })
}
