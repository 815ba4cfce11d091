//! `msdeblur train`: configuration, progress and messages around the training loop.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use trainer::{Event, Report, TrainConfig, files};

use crate::args::TrainArgs;
use crate::hints::Problem;
use crate::output::{Printer, path_text};
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
    let printer = Printer::new("train", args.messages);
    let Setup { config, remarks } = set_up(&args)?;
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

/// What will be trained, and what the user may have overlooked.
#[derive(Debug)]
struct Setup {
    config: TrainConfig,
    remarks: Vec<String>,
}

/// The recipe, the file, or the configuration of the run that is resumed, with what was given besides.
fn set_up(args: &TrainArgs) -> Result<Setup, Problem> {
    let mut remarks = Vec::new();
    let saved = args.out.join(files::CONFIG);
    let planned = match (args.resume && saved.exists(), &args.config) {
        (false, _) => None,
        (true, None) => Some(TrainConfig::from_file(&saved)?),
        // A file that was named serves also where that of the run is damaged.
        (true, Some(_)) => TrainConfig::from_file(&saved).ok(),
    };
    let mut config = match (&args.config, &planned) {
        (Some(path), _) => TrainConfig::from_file(path)?,
        (None, Some(planned)) => {
            // Whoever repeats the first call with --resume has overlooked nothing.
            if let Some(preset) = &args.preset
                && preset_config(args).model != planned.model
            {
                remarks.push(format!(
                    "--preset {preset} has no effect: the run goes on with {}",
                    saved.display()
                ));
            }
            planned.clone()
        }
        (None, None) => recipe(args, &saved)?,
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
    if let Some(planned) = planned.filter(|planned| planned.steps != config.steps) {
        remarks.push(format!(
            "the run now ends after {} instead of {}",
            count(config.steps, "step"),
            planned.steps
        ));
    }
    Ok(Setup { config, remarks })
}

/// The preset for a run that starts.
fn recipe(args: &TrainArgs, saved: &Path) -> Result<TrainConfig, Problem> {
    if args.resume && args.out.join(files::STATE).exists() {
        return Err(Problem::new("missing, but the folder holds a saved run")
            .at(saved)
            .hint("put the configuration of that run there, or name it with --config"));
    }
    if args.photos.is_empty() {
        return Err(Problem::new("no run to continue in this folder")
            .at(&args.out)
            .hint("check the spelling of --out, or start a run with --photos"));
    }
    Ok(preset_config(args))
}

fn preset_config(args: &TrainArgs) -> TrainConfig {
    let (photos, out) = (args.photos.clone(), args.out.clone());
    match args.preset.as_deref() {
        Some("tiny") => TrainConfig::tiny(photos, out),
        _ => TrainConfig::default_preset(photos, out),
    }
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn configuration(args: &TrainArgs) -> Result<TrainConfig, Problem> {
        set_up(args).map(|setup| setup.config)
    }

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

    #[test]
    fn a_resumed_run_keeps_its_configuration() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("run").display().to_string();
        let planned = TrainConfig {
            steps: 300,
            batch: 3,
            ..TrainConfig::tiny(vec!["photos".into()], out.clone().into())
        };
        std::fs::create_dir(&out).expect("a folder");
        let saved = format!("{out}/config.toml");
        std::fs::write(&saved, planned.to_toml().expect("TOML")).expect("a file");

        let plain = set_up(&parse(&["--out", &out, "--resume"])).expect("valid");
        assert_eq!(plain.config, planned);
        assert_eq!(plain.remarks, Vec::<String>::new());

        let longer = parse(&["--out", &out, "--resume", "--steps", "400"]);
        let longer = set_up(&longer).expect("valid");
        assert_eq!(
            longer.config,
            TrainConfig {
                steps: 400,
                ..planned.clone()
            }
        );
        assert!(
            longer.remarks[0].contains("400 steps instead of 300"),
            "{:?}",
            longer.remarks
        );

        // A recipe is where a run starts, not where it goes on.
        let typed = [
            "--out",
            &out,
            "--resume",
            "--preset",
            "default",
            "--photos",
            "elsewhere",
        ];
        let typed = set_up(&parse(&typed)).expect("valid");
        let moved = TrainConfig {
            photos: vec!["elsewhere".into()],
            ..planned.clone()
        };
        assert_eq!(typed.config, moved);
        assert!(typed.remarks[0].contains("--preset default has no effect"));

        // A file wins, but a changed length is said.
        let file = folder.path().join("other.toml").display().to_string();
        let other = TrainConfig {
            steps: 20,
            ..planned
        };
        std::fs::write(&file, other.to_toml().expect("TOML")).expect("a file");
        let typed = set_up(&parse(&["--out", &out, "--resume", "--config", &file]));
        let typed = typed.expect("valid");
        assert_eq!(typed.config, other);
        assert!(typed.remarks[0].contains("20 steps instead of 300"));
    }

    #[test]
    fn where_there_is_no_run_nothing_is_resumed() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().display().to_string();
        let problem = set_up(&parse(&["--out", &out, "--resume"])).expect_err("no run");
        assert!(
            problem.message.contains("no run to continue") && problem.hint.is_some(),
            "{problem:?}"
        );
        let new = parse(&[
            "--out", &out, "--resume", "--photos", "a", "--preset", "tiny",
        ]);
        assert_eq!(configuration(&new).expect("valid").steps, 20);
        std::fs::write(format!("{out}/state.safetensors"), "").expect("a file");
        let problem = set_up(&new).expect_err("no configuration");
        assert!(
            problem
                .message
                .ends_with("config.toml: missing, but the folder holds a saved run"),
            "{problem:?}"
        );
    }
}
