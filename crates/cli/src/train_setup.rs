//! From the options of `msdeblur train` to the configuration of a run.

use std::path::PathBuf;

use trainer::{Draft, Setting, TrainConfig, files};

use crate::args::TrainArgs;
use crate::hints::Problem;
use crate::train_mismatch::Origins;
use crate::words::count;

/// What will be trained, and what the user may have overlooked.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) config: TrainConfig,
    pub(crate) remarks: Vec<String>,
    pub(crate) origins: Origins,
}

impl Setup {
    /// The recipe, the file, or the configuration of the run that is resumed, with what was given besides.
    ///
    /// # Errors
    /// A file that cannot be used, settings that are wrong or contradict each other, or nothing to resume.
    pub(crate) fn new(args: &TrainArgs) -> Result<Self, Problem> {
        let mut remarks = Vec::new();
        let (mut draft, planned, file) = match (&args.config, resumed(args)?) {
            (Some(path), _) => {
                let draft = Draft::from_file(path, args.datasets.as_deref())?;
                let out = args
                    .out
                    .clone()
                    .or_else(|| draft.text("out").map(PathBuf::from));
                // A file that was named serves also where that of the run is damaged.
                let planned = out
                    .filter(|_| args.resume)
                    .and_then(|out| TrainConfig::from_file(&out.join(files::CONFIG)).ok());
                (draft, planned, Some(path.clone()))
            }
            (None, Some(saved)) => {
                let planned = TrainConfig::from_file(&saved)?;
                // Whoever repeats the first call with --resume has overlooked nothing.
                if let Some(preset) = &args.preset
                    && TrainConfig::preset(preset, Vec::new(), PathBuf::new())
                        .is_none_or(|recipe| recipe.model != planned.model)
                {
                    remarks.push(format!(
                        "--preset {preset} has no effect: the run goes on with {}",
                        saved.display()
                    ));
                }
                (Draft::from_file(&saved, None)?, Some(planned), Some(saved))
            }
            (None, None) => {
                let preset = args.preset.as_deref().unwrap_or("default");
                (Draft::from_preset(preset)?, None, None)
            }
        };
        give_options(&mut draft, args)?;
        for setting in &args.set {
            draft.set(setting);
        }
        if args.print_config || args.dry_run {
            fill_in(&mut draft, args);
        }
        let origins = Origins::of(&draft, file);
        let config = draft.finish()?;
        if let Some(planned) = planned.filter(|planned| planned.steps != config.steps) {
            remarks.push(format!(
                "the run now ends after {} instead of {}; the learning rate falls at the new end",
                count(config.steps, "step"),
                planned.steps
            ));
        }
        Ok(Self {
            config,
            remarks,
            origins,
        })
    }
}

/// The configuration of the run in the folder, where one is to be continued.
fn resumed(args: &TrainArgs) -> Result<Option<PathBuf>, Problem> {
    if args.resume && args.config.is_none() && args.out.is_none() {
        return Err(Problem::new("--resume does not know which run")
            .hint("name its folder with --out, or give its configuration as CONFIG"));
    }
    let Some(out) = args
        .out
        .as_ref()
        .filter(|_| args.resume && args.config.is_none())
    else {
        return Ok(None);
    };
    let saved = out.join(files::CONFIG);
    if saved.exists() {
        return Ok(Some(saved));
    }
    if out.join(files::STATE).exists() {
        return Err(Problem::new("missing, but the folder holds a saved run")
            .at(&saved)
            .hint("put the configuration of that run there, or name it as CONFIG"));
    }
    if args.photos.is_empty() && args.set.is_empty() {
        return Err(Problem::new("no run to continue in this folder")
            .at(out)
            .hint("check the spelling of --out, or start a run with --photos"));
    }
    Ok(None)
}

/// Options with a name of their own.
fn give_options(draft: &mut Draft, args: &TrainArgs) -> Result<(), Problem> {
    let text = |path: &PathBuf| {
        let text = path.to_str().map(|text| Setting::String(text.to_owned()));
        text.ok_or_else(|| {
            Problem::new("the name is not Unicode, which a configuration must be").at(path)
        })
    };
    if let Some(out) = &args.out {
        draft.option("--out", "out", text(out)?);
    }
    if !args.photos.is_empty() {
        let photos = args.photos.iter().map(text).collect::<Result<_, _>>()?;
        draft.option("--photos", "photos", Setting::Array(photos));
    }
    if let Some(init) = &args.init {
        draft.option("--init", "init", text(init)?);
    }
    for (option, key, value) in [
        ("--steps", "steps", args.steps),
        ("--batch", "batch", args.batch.map(u64::from)),
        ("--crop", "crop", args.crop.map(u64::from)),
        ("--seed", "seed", args.seed),
        (
            "--validate-photos",
            "validation_photos",
            args.validate_photos.map(u64::from),
        ),
    ] {
        if let Some(value) = value {
            let number = i64::try_from(value).map_err(|_| {
                Problem::new(format!(
                    "{option} is {value}, the largest that TOML can hold is {}",
                    i64::MAX
                ))
            })?;
            draft.option(&format!("{option}={value}"), key, Setting::Integer(number));
        }
    }
    Ok(())
}

/// Names for folders that are not known yet, where nothing is written.
fn fill_in(draft: &mut Draft, args: &TrainArgs) {
    if !draft.has("out") {
        draft.option("--out", "out", Setting::from("run"));
    }
    let data = ["photos", "photo_sets", "pairs"];
    if args.print_config && !data.iter().any(|key| draft.has(key)) {
        draft.option("--photos", "photos", Setting::Array(vec!["photos".into()]));
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
        let args = parse(&[&file, "--out", "other", "--batch", "2"]);
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
        let args = parse(&[&file.display().to_string(), "--out", "run"]);
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
        let typed = Setup::new(&parse(&["--out", &out, "--resume", &file]));
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
