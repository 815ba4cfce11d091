//! From the options of `msdeblur train` to the configuration of a run.

use std::path::Path;

use trainer::{TrainConfig, files};

use crate::args::TrainArgs;
use crate::hints::Problem;
use crate::words::count;

/// What will be trained, and what the user may have overlooked.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) config: TrainConfig,
    pub(crate) remarks: Vec<String>,
}

impl Setup {
    /// The recipe, the file, or the configuration of the run that is resumed, with what was given besides.
    ///
    /// # Errors
    /// A file that cannot be used, settings that contradict each other, or nothing to resume.
    pub(crate) fn new(args: &TrainArgs) -> Result<Self, Problem> {
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
        Ok(Self { config, remarks })
    }
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn configuration(args: &TrainArgs) -> Result<TrainConfig, Problem> {
        Setup::new(args).map(|setup| setup.config)
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

        let plain = Setup::new(&parse(&["--out", &out, "--resume"])).expect("valid");
        assert_eq!(plain.config, planned);
        assert_eq!(plain.remarks, Vec::<String>::new());

        let longer = parse(&["--out", &out, "--resume", "--steps", "400"]);
        let longer = Setup::new(&longer).expect("valid");
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
        let typed = Setup::new(&parse(&typed)).expect("valid");
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
        let typed = Setup::new(&parse(&["--out", &out, "--resume", "--config", &file]));
        let typed = typed.expect("valid");
        assert_eq!(typed.config, other);
        assert!(typed.remarks[0].contains("20 steps instead of 300"));
    }

    #[test]
    fn where_there_is_no_run_nothing_is_resumed() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().display().to_string();
        let problem = Setup::new(&parse(&["--out", &out, "--resume"])).expect_err("no run");
        assert!(
            problem.message.contains("no run to continue") && problem.hint.is_some(),
            "{problem:?}"
        );
        let new = parse(&[
            "--out", &out, "--resume", "--photos", "a", "--preset", "tiny",
        ]);
        assert_eq!(configuration(&new).expect("valid").steps, 20);
        std::fs::write(format!("{out}/state.safetensors"), "").expect("a file");
        let problem = Setup::new(&new).expect_err("no configuration");
        assert!(
            problem
                .message
                .ends_with("config.toml: missing, but the folder holds a saved run"),
            "{problem:?}"
        );
    }
}
