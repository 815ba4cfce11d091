//! `msdeblur train`: configuration, progress and messages around the training loop.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use trainer::{Event, Report};

use crate::args::TrainArgs;
use crate::hints::Problem;
use crate::output::{Printer, path_text};
use crate::trace::Trace;
use crate::train_setup::Setup;
use crate::words::{count, shell_word};
use crate::{INTERRUPTED, cancel, threads};

/// JSON `finished`.
#[derive(Serialize)]
struct Finished {
    model: String,
    steps: u64,
    /// Whether steps are left; `--resume` continues.
    stopped_early: bool,
    /// Ctrl-C, rather than the time limit.
    interrupted: bool,
    validation: Report,
    seconds: f64,
}

/// Runs the subcommand.
///
/// # Errors
/// Wrong usage or set-up, or a training run that cannot go on.
pub(crate) fn run(args: Box<TrainArgs>) -> Result<u8, Problem> {
    let start = Instant::now();
    let trace = args.trace.as_deref().map(Trace::create).transpose()?;
    let printer = Printer::traced("train", args.messages, trace.clone());
    let Setup { config, remarks } = Setup::new(&args)?;
    for remark in remarks {
        report(&printer, Event::Note(remark));
    }
    threads::limit(args.threads, &printer)?;
    cancel::install("step");
    let limit = args
        .time_limit
        .map(|minutes| Duration::from_secs_f64(minutes * 60.0));
    let expired = || limit.is_some_and(|limit| start.elapsed() >= limit);
    let device = ::deblur::DeviceChoice::Auto.resolve()?;
    let mut first = 0;
    let outcome = trainer::run(&config, device, args.resume, &mut |event| {
        if let Event::Started { resumed_at, .. } = event {
            first = resumed_at;
        }
        report(&printer, event);
        if cancel::requested() || expired() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    printer.progress.finish();
    if let Some(trace) = &trace {
        end(trace, &printer);
    }
    let outcome = outcome?;
    let finished = Finished {
        stopped_early: outcome.interrupted && outcome.step < config.steps,
        interrupted: outcome.interrupted && cancel::requested(),
        model: path_text(&outcome.model),
        steps: outcome.step,
        validation: outcome.report,
        seconds: start.elapsed().as_secs_f64(),
    };
    printer.data("finished", &finished);
    let (steps, seconds) = (count(finished.steps, "step"), finished.seconds);
    printer.status(&if finished.stopped_early {
        format!(
            "stopped after {} of {}; continue with: {}",
            finished.steps,
            count(config.steps, "step"),
            resume_command(&args)
        )
    } else if first == 0 {
        format!("trained {steps} in {seconds:.0} s")
    } else if finished.steps > first {
        let done = finished.steps - first;
        format!("trained {done} more in {seconds:.0} s, {steps} in all")
    } else {
        format!("nothing left to do: {steps} were done before; --steps N goes on")
    });
    let model = shell_word(&outcome.model);
    printer.status(&format!(
        "model: {model} (use it with: {} deblur --checkpoint {model} …)",
        shell_word(&this_program())
    ));
    Ok(if finished.interrupted { INTERRUPTED } else { 0 })
}

/// Ends the trace and says where the time went. A run is no worse for a trace that could not be written.
fn end(trace: &Trace, printer: &Printer) {
    if let Err(problem) = trace.finish() {
        printer.problem(&problem);
    }
    printer.status(&trace.table());
    printer.data("trace", &json!({ "parts": trace.rows() }));
}

/// This program, as it was called.
fn this_program() -> PathBuf {
    std::env::args_os()
        .next()
        .map_or_else(|| "msdeblur".into(), PathBuf::from)
}

/// What to type to continue the run. Everything else stands in its folder.
fn resume_command(args: &TrainArgs) -> String {
    format!(
        "{} train --resume --out={}",
        shell_word(&this_program()),
        shell_word(&args.out)
    )
}

fn report(printer: &Printer, event: Event) {
    match event {
        Event::Started {
            parameters,
            photos,
            skipped,
            resumed_at,
            total,
        } => {
            for reason in &skipped {
                tracing::info!("skipped: {reason}");
            }
            let resumed = if resumed_at > 0 {
                format!(", resumed after step {resumed_at}")
            } else {
                String::new()
            };
            let left_out = if skipped.is_empty() {
                String::new()
            } else {
                format!(" ({} skipped)", count(skipped.len() as u64, "file"))
            };
            printer.status(&format!(
                "{parameters} parameters, {}{left_out}, {}{resumed}",
                count(photos as u64, "photo"),
                count(total, "step")
            ));
            printer.data(
                "started",
                &json!({ "parameters": parameters, "photos": photos, "skipped": skipped, "resumed_at": resumed_at, "total": total }),
            );
            printer.progress.start(total, "steps");
            printer.progress.resume_at(resumed_at);
        }
        Event::Step {
            step,
            total,
            loss,
            images_per_second,
        } => {
            printer
                .progress
                .message(format!("loss {loss:.4}, {images_per_second:.1} crops/s"));
            printer.progress.set(step);
            printer.data(
                "step",
                &json!({ "step": step, "total": total, "loss": loss, "images_per_second": images_per_second }),
            );
        }
        Event::Validation { step, report } => {
            let gains: Vec<String> = report
                .iter()
                .map(|(family, quality)| format!("{family} {:+.2} dB", quality.gain()))
                .collect();
            printer.status(&format!(
                "step {step}: gain over the blurry input: {}",
                gains.join(", ")
            ));
            printer.data("validation", &json!({ "step": step, "report": report }));
        }
        Event::Checkpoint { path } => {
            tracing::info!("saved {}", path.display());
            printer.data("checkpoint", &json!({ "path": path_text(&path) }));
        }
        Event::Note(note) => {
            printer.status(&format!("note: {note}"));
            printer.data("note", &json!({ "text": note }));
        }
        // The trainer may learn to say more; what is not known here is in its log.
        _ => {}
    }
}
