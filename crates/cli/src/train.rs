//! `msdeblur train`: configuration, progress and messages around the training loop.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use trainer::{Event, Report, TrainConfig};

use crate::args::TrainArgs;
use crate::hints::Problem;
use crate::output::{Printer, path_text};
use crate::{INTERRUPTED, cancel};

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
    let printer = Printer::new("train", args.messages);
    let config = configuration(&args)?;
    if let Some(threads) = args.threads {
        ::deblur::set_threads(threads as usize)?;
    }
    cancel::install("step");
    let limit = args
        .time_limit
        .map(|minutes| Duration::from_secs_f64(minutes * 60.0));
    let expired = || limit.is_some_and(|limit| start.elapsed() >= limit);
    let device = ::deblur::DeviceChoice::Auto.resolve()?;
    let outcome = trainer::run(&config, device, args.resume, &mut |event| {
        report(&printer, event);
        if cancel::requested() || expired() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    printer.progress.finish();
    let outcome = outcome?;
    let finished = Finished {
        stopped_early: outcome.interrupted,
        interrupted: outcome.interrupted && cancel::requested(),
        model: path_text(&outcome.model),
        steps: outcome.step,
        validation: outcome.report,
        seconds: start.elapsed().as_secs_f64(),
    };
    printer.data("finished", &finished);
    let model = &finished.model;
    if finished.stopped_early {
        printer.status(&format!(
            "stopped after {} of {} steps; continue with --resume",
            finished.steps, config.steps
        ));
    } else {
        printer.status(&format!(
            "trained {} steps in {:.0} s",
            finished.steps, finished.seconds
        ));
    }
    printer.status(&format!(
        "model: {model} (use it with: msdeblur deblur --checkpoint {model} …)"
    ));
    Ok(if finished.interrupted { INTERRUPTED } else { 0 })
}

/// The recipe or the file, with what was given besides.
fn configuration(args: &TrainArgs) -> Result<TrainConfig, Problem> {
    let mut config = match &args.config {
        Some(path) => TrainConfig::from_file(path)?,
        None if args.preset == "tiny" => TrainConfig::tiny(args.photos.clone(), args.out.clone()),
        None => TrainConfig::default_preset(args.photos.clone(), args.out.clone()),
    };
    config.out.clone_from(&args.out);
    if !args.photos.is_empty() {
        config.photos.clone_from(&args.photos);
    }
    let set = |field: &mut usize, value: Option<u32>| {
        if let Some(value) = value {
            *field = value as usize;
        }
    };
    set(&mut config.batch, args.batch);
    set(&mut config.crop, args.crop);
    set(&mut config.validation_photos, args.validate_photos);
    config.steps = args.steps.unwrap_or(config.steps);
    config.seed = args.seed.unwrap_or(config.seed);
    config.validate()?;
    Ok(config)
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
                format!(" ({} files skipped)", skipped.len())
            };
            printer.status(&format!(
                "{parameters} parameters, {photos} photos{left_out}, {total} steps{resumed}"
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn parse(arguments: &[&str]) -> Box<TrainArgs> {
        match Args::try_parse_from(["msdeblur", "train"].iter().chain(arguments))
            .expect("valid arguments")
            .command
        {
            Command::Train(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_win_over_the_recipe_and_the_file() {
        let args = parse(&[
            "--photos", "a", "b", "--out", "run", "--preset", "tiny", "--steps", "7", "--seed", "3",
        ]);
        let config = configuration(&args).expect("valid");
        let tiny = TrainConfig::tiny(vec!["a".into(), "b".into()], "run".into());
        assert_eq!(
            config,
            TrainConfig {
                steps: 7,
                seed: 3,
                ..tiny
            }
        );

        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.toml");
        std::fs::write(&file, config.to_toml().expect("TOML")).expect("a file");
        let file = file.display().to_string();
        let args = parse(&["--config", &file, "--out", "other", "--batch", "2"]);
        assert_eq!(
            configuration(&args).expect("valid"),
            TrainConfig {
                out: "other".into(),
                batch: 2,
                ..config
            }
        );
    }

    #[test]
    fn a_wrong_file_names_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "stepps = 3").expect("a file");
        let args = parse(&["--config", &file.display().to_string(), "--out", "run"]);
        let problem = configuration(&args).expect_err("unknown key");
        assert!(
            problem.message.contains("config.toml") && problem.hint.is_some(),
            "{problem:?}"
        );
        let args = parse(&["--photos", "a", "--out", "run", "--crop", "17"]);
        assert!(
            configuration(&args)
                .expect_err("no multiple")
                .message
                .contains("crop is 17")
        );
    }
}
