//! One model of an experiment: trained, resumed, or there already.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use toml::Table;

use crate::atomic;
use crate::failure::Failure;
use crate::report::say;
use crate::workspace;

/// Settings that say where a run is, not what it is.
const PLACE: [&str; 2] = ["name", "out"];

/// A model that is to be trained.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) arm: String,
    pub(super) seed: u64,
    /// Of the run and of the model: arm and seed.
    pub(super) name: String,
    /// A configuration for `msdeblur train`.
    pub(super) settings: String,
    /// Absolute.
    pub(super) folder: PathBuf,
}

impl Run {
    /// The checkpoint that it makes.
    pub(super) fn model(&self) -> PathBuf {
        self.folder.join("model.safetensors")
    }

    /// The configuration, beside the folder.
    fn file(&self) -> PathBuf {
        self.beside("toml")
    }

    /// All settings that the run was begun with, as the program understood them: a preset may be another one tomorrow.
    fn begun(&self) -> PathBuf {
        self.beside("begun.toml")
    }

    /// There when the run has reached its end.
    fn finished(&self) -> PathBuf {
        self.beside("finished")
    }

    fn beside(&self, ending: &str) -> PathBuf {
        self.folder
            .with_file_name(format!("{}.{ending}", self.name))
    }
}

fn command(program: &Path, run: &Run, cache: Option<&Path>) -> Command {
    let mut command = Command::new(program);
    // Manifests count from the root of the repository.
    command.current_dir(workspace::root());
    command.arg("train").arg(run.file());
    if let Some(cache) = cache {
        command.arg("--datasets").arg(cache);
    }
    command
}

fn write_settings(run: &Run) -> Result<()> {
    let file = run.file();
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    atomic::write(&file, run.settings.as_bytes())
}

/// Says what would be trained, and how long it would take.
///
/// # Errors
/// Settings that the program refuses.
pub(super) fn dry(program: &Path, run: &Run, cache: Option<&Path>) -> Result<()> {
    write_settings(run)?;
    workspace::run(command(program, run, cache).arg("--dry-run"))
}

/// Asks the program what the settings of a run mean, and notes it when the run is new.
///
/// # Errors
/// Settings that the program refuses, or other ones than the run was begun with.
pub(super) fn prepare(program: &Path, run: &Run, cache: Option<&Path>) -> Result<()> {
    write_settings(run)?;
    let mut command = command(program, run, cache);
    command.arg("--print-config").stderr(Stdio::inherit());
    let printed = String::from_utf8(workspace::output(&mut command)?)
        .context("the configuration is not UTF-8")?;
    let without_place = |text: &str| -> Result<Table> {
        let mut table: Table = toml::from_str(text)?;
        table.retain(|key, _| !PLACE.contains(&key));
        Ok(table)
    };
    let begun = run.begun();
    if !run.folder.exists() {
        return atomic::write(&begun, printed.as_bytes());
    }
    let there = fs::read_to_string(&begun).ok();
    let is_same = there
        .as_deref()
        .map(|there| Ok::<_, anyhow::Error>(without_place(there)? == without_place(&printed)?))
        .transpose()?;
    if is_same == Some(true) {
        return Ok(());
    }
    Err(Failure::error(
        format!(
            "{} was begun with other settings than those of the experiment now",
            run.folder.display()
        ),
        format!(
            "delete it, or give another folder with --out; {} and `{} --print-config` have the settings",
            begun.display(),
            workspace::shown(&self::command(program, run, None))
        ),
    ))
}

/// Trains it to its end, from where an earlier call stopped.
///
/// # Errors
/// A training that fails or is stopped.
pub(super) fn train(program: &Path, run: &Run, cache: Option<&Path>, what: &str) -> Result<()> {
    if run.finished().is_file() && run.model().is_file() {
        say(format!("{what} is there"));
        return Ok(());
    }
    say(format!("training {what}"));
    // Also of a run that is new, or was killed before its first state.
    let mut command = command(program, run, cache);
    workspace::run(command.arg("--resume")).map_err(|error| {
        Failure::error(
            format!("{what}: {error:#}"),
            "what was trained is kept: the same command continues",
        )
    })?;
    if !run.model().is_file() {
        return Err(Failure::error(
            format!("{what}: there is no {}", run.model().display()),
            format!("delete {} to train it again", run.folder.display()),
        ));
    }
    atomic::write(&run.finished(), b"")
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program that prints its configuration, or writes what it was called with and, unless it is to fail, a model.
    fn program(folder: &Path, code: i32) -> PathBuf {
        let path = folder.join("program");
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in *--print-config*) cat \"$2\"; exit 0;; esac\n\
             out=$(sed -n 's/^out = \"\\(.*\\)\"/\\1/p' \"$2\")\nmkdir -p \"$out\"\necho \"$@\" >> \"$out/calls\"\n\
             [ {code} = 0 ] && touch \"$out/model.safetensors\"\nexit {code}\n"
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn run(folder: &Path, steps: u32) -> Run {
        let out = folder.join("a-s1");
        Run {
            arm: "a".into(),
            seed: 1,
            name: "a-s1".into(),
            settings: format!(
                "name = \"a-s1\"\nout = \"{}\"\nsteps = {steps}\n",
                out.display()
            ),
            folder: out,
        }
    }

    #[test]
    fn a_model_is_trained_once_and_resumed_after_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let run = run(folder.path(), 7);
        let calls = || fs::read_to_string(run.folder.join("calls")).unwrap_or_default();
        let failing = program(folder.path(), 130);
        prepare(&failing, &run, None).unwrap();
        // It fails before its first state: the next call must not be refused for a run that exists.
        let error = train(&failing, &run, None, "a-s1 (1 of 1)").unwrap_err();
        assert!(error.to_string().contains("a-s1 (1 of 1)"), "{error}");
        let working = program(folder.path(), 0);
        prepare(&working, &run, None).unwrap();
        train(&working, &run, Some(Path::new("/cache")), "a-s1").unwrap();
        assert_eq!(calls().lines().count(), 2);
        assert!(
            calls()
                .lines()
                .all(|line| line.ends_with("--resume") && line.starts_with("train "))
        );
        train(&working, &run, None, "a-s1").unwrap();
        assert_eq!(calls().lines().count(), 2, "it was there");
        // A model that was deleted is made again.
        fs::remove_file(run.model()).unwrap();
        train(&working, &run, None, "a-s1").unwrap();
        assert_eq!(calls().lines().count(), 3);
    }

    #[test]
    fn settings_that_changed_never_continue_a_run_but_another_place_does() {
        let folder = tempfile::tempdir().unwrap();
        let program = program(folder.path(), 0);
        let first = run(folder.path(), 7);
        prepare(&program, &first, None).unwrap();
        train(&program, &first, None, "a-s1").unwrap();
        let mut moved = first.clone();
        moved.settings = moved.settings.replace("out = \"/", "out = \"/elsewhere/");
        prepare(&program, &moved, None).unwrap();
        let error = prepare(&program, &run(folder.path(), 8), None).unwrap_err();
        assert!(error.to_string().contains("other settings"), "{error}");
    }
}
