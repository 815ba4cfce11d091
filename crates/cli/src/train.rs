//! `msdeblur train`: configuration, progress and messages around the training loop.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use trainer::{Event, Report, TrainConfig};

use crate::args::TrainArgs;
use crate::hints::Problem;
use crate::output::{Printer, path_text, write_stdout};
use crate::trace::Trace;
use crate::train_setup::Setup;
use crate::words::{count, shell_word};
use crate::{INTERRUPTED, cancel, threads, train_dry_run};

/// Settings that have no value unless one is given, as comments of TOML.
const UNSET: &str = r#"# Not set, but possible; those without [[ ]] belong above the first table:
# init = "other/model.safetensors"       # start from its weights
# freeze = ["guidance."]                 # parameters that stay as they are, by the beginning of their names
# micro_batch = 4                        # crops at a time, which divide the batch: less memory, the same step
# min_snr_gamma = 5.0                    # min-SNR weights (arXiv 2303.09556)
# lpips_weights = "lpips_alexnet.safetensors" # LPIPS in validation
# [[photo_sets]]                         # sharp photographs of a data set
# manifest = "datasets/free-photos-train.toml"
# split = "train"
# [[pairs]]                              # real pairs
# name = "mine"
# folder = "pairs"
# blurry = "blurry/*.png"
# sharp = "sharp/*.png"
# pairing = "same_stem"                  # or { blurry = "blurry", sharp = "sharp" }
"#;

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
    let Setup {
        config,
        remarks,
        origins,
    } = Setup::new(&args)?;
    if args.print_config {
        write_stdout(&format!("{}\n{UNSET}", config.to_toml()?));
        return Ok(0);
    }
    // Only now: a mistake in the configuration must not leave a file that stands in the way of the next call.
    let trace = args.trace.as_deref().map(Trace::create).transpose()?;
    let printer = Printer::traced("train", args.messages, trace.clone());
    for remark in remarks {
        report(&printer, Event::Note(remark), None);
    }
    threads::limit(args.threads, &printer)?;
    if args.dry_run {
        return train_dry_run::run(&config, args.messages.json, &printer);
    }
    cancel::install("step");
    let limit = args
        .time_limit
        .map(|minutes| Duration::from_secs_f64(minutes * 60.0));
    let expired = || limit.is_some_and(|limit| start.elapsed() >= limit);
    let device = ::deblur::DeviceChoice::Auto.resolve()?;
    let (mut first, mut told) = (0, false);
    let outcome = trainer::run(&config, device, args.resume, &mut |event| {
        let mut short = None;
        if let Event::Started { resumed_at, .. } = event {
            first = resumed_at;
            short = config.short_run().filter(|_| resumed_at == 0);
        }
        if matches!(event, Event::Validation { .. })
            && !std::mem::replace(&mut told, true)
            && config.lpips_weights.is_none()
        {
            printer.status("note: LPIPS is not measured: `cargo xtask datasets fetch metric-weights` in a clone gets its weights, --set lpips_weights=FILE names them");
        }
        let until_limit = limit.map(|limit| limit.saturating_sub(start.elapsed()));
        report(&printer, event, until_limit);
        if let Some(note) = short {
            report(&printer, Event::Note(note), None);
        }
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
    let outcome = outcome.map_err(|error| origins.explain(error))?;
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
            resume_command(&config)
        )
    } else if first == 0 {
        format!("trained {steps} in {seconds:.0} s")
    } else if finished.steps > first {
        let done = finished.steps - first;
        format!("trained {done} more in {seconds:.0} s, {steps} in all")
    } else {
        format!("nothing left to do: {steps} were done before; --steps N goes on")
    });
    printer.status(&format!(
        "curves: {}",
        shell_word(&config.out.join(trainer::files::CURVES))
    ));
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
fn resume_command(config: &TrainConfig) -> String {
    format!(
        "{} train --resume --out={}",
        shell_word(&this_program()),
        shell_word(&config.out)
    )
}

/// What a validation found, in a line: the gain by family and, over all pairs, what else was measured.
fn summary(report: &Report) -> String {
    let gains: Vec<String> = report
        .iter()
        .map(|(family, quality)| format!("{family} {:+.2} dB", quality.gain()))
        .collect();
    let mut text = format!("gain over the blurry input: {}", gains.join(", "));
    let Some(all) = report.get("all") else {
        return text;
    };
    for (name, input, output) in [
        ("SSIM", all.input_ssim, all.output_ssim),
        ("LPIPS", all.input_lpips, all.output_lpips),
    ] {
        if let (Some(input), Some(output)) = (input, output) {
            text.push_str(&format!("; {name} {output:.3} (input {input:.3})"));
        }
    }
    if let Some(psnr) = all.sample_psnr {
        text.push_str(&format!("; sample {:+.2} dB", psnr - all.input_psnr));
    }
    if !all.guidance.is_empty() {
        let gains = all.guidance.iter();
        let gains = gains.map(|scale| format!("{:+.2}", scale.output_psnr - scale.input_psnr));
        let gains: Vec<String> = gains.collect();
        text.push_str(&format!("; guidance {} dB", gains.join(", ")));
    }
    text
}

/// Tells of an event. A run that has to stop after `until_limit` takes no longer than that.
fn report(printer: &Printer, event: Event, until_limit: Option<Duration>) {
    match event {
        Event::Started {
            parameters,
            frozen,
            init,
            photos,
            pairs,
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
            let data = [(photos, "photo"), (pairs, "pair")];
            let data = data.into_iter().filter(|(number, _)| *number > 0);
            let data: Vec<String> = data
                .map(|(number, noun)| count(number as u64, noun))
                .collect();
            printer.status(&format!(
                "{parameters} parameters, {}, {}{resumed}",
                data.join(" and "),
                count(total, "step")
            ));
            if let Some(first) = skipped.first() {
                printer.status(&format!(
                    "note: {} skipped, first {first}; -v or --dry-run names all",
                    count(skipped.len() as u64, "file")
                ));
            }
            if let Some(init) = &init {
                printer.status(&format!("starting from {}", init.display()));
            }
            if frozen > 0 {
                printer.status(&format!("{frozen} of {parameters} parameters frozen"));
            }
            printer.data(
                "started",
                &json!({ "parameters": parameters, "frozen": frozen, "init": init.as_deref().map(path_text), "photos": photos, "pairs": pairs, "skipped": skipped, "resumed_at": resumed_at, "total": total }),
            );
            printer.progress.start(total, "steps");
            printer.progress.resume_at(resumed_at);
        }
        Event::Step {
            step,
            total,
            loss,
            smoothed_loss,
            images_per_second,
            seconds_left,
        } => {
            printer.progress.message(format!(
                "loss {smoothed_loss:.4}, {images_per_second:.1} crops/s"
            ));
            printer.progress.set(step);
            if let Ok(left) = Duration::try_from_secs_f64(seconds_left) {
                let limit = until_limit.unwrap_or(Duration::MAX);
                printer.progress.time_left(left.min(limit));
            }
            printer.data(
                "step",
                &json!({
                    "step": step, "total": total, "loss": loss, "smoothed_loss": smoothed_loss,
                    "images_per_second": images_per_second, "seconds_left": seconds_left,
                }),
            );
        }
        Event::Validation {
            step,
            report,
            seconds,
        } => {
            printer.status(&format!("step {step}: {}", summary(&report)));
            printer.data(
                "validation",
                &json!({ "step": step, "report": report, "seconds": seconds }),
            );
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
