//! One model of an experiment: trained, gone on with, or there already.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::failure::Failure;
use crate::hash;
use crate::report::say;
use crate::workspace;

/// Holds the SHA-256 of the settings of a run that has reached its end.
const FINISHED: &str = "finished";

/// A model that is to be trained.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) arm: String,
    pub(super) seed: u64,
    /// Of the run and of the model: arm and seed.
    pub(super) name: String,
    /// A configuration for `msdeblur train`.
    pub(super) settings: String,
    pub(super) folder: PathBuf,
}

impl Run {
    /// The checkpoint that it makes.
    pub(super) fn model(&self) -> PathBuf {
        self.folder.join("model.safetensors")
    }

    fn file(&self) -> PathBuf {
        self.folder.with_extension("toml")
    }

    /// Whether it has reached its end.
    ///
    /// # Errors
    /// A folder that holds a model with other settings.
    fn is_finished(&self) -> Result<bool> {
        let Ok(there) = fs::read_to_string(self.folder.join(FINISHED)) else {
            return Ok(false);
        };
        if there.trim() != hash::of_bytes(self.settings.as_bytes()) {
            return Err(Failure::error(
                format!("{} was trained with other settings", self.folder.display()),
                "delete it, or give another folder with --out",
            ));
        }
        Ok(self.model().is_file())
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
    let context = || format!("cannot write {}", file.display());
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent).with_context(context)?;
    }
    fs::write(&file, &run.settings).with_context(context)
}

/// Says what would be trained.
///
/// # Errors
/// Settings that the program refuses.
pub(super) fn dry(program: &Path, run: &Run, cache: Option<&Path>) -> Result<()> {
    write_settings(run)?;
    workspace::run(command(program, run, cache).arg("--dry-run"))
}

/// Trains it to its end, from where an earlier call stopped.
///
/// # Errors
/// A training that fails or is stopped.
pub(super) fn train(program: &Path, run: &Run, cache: Option<&Path>, what: &str) -> Result<()> {
    if run.is_finished()? {
        say(format!("{what} is there"));
        return Ok(());
    }
    write_settings(run)?;
    let mut command = command(program, run, cache);
    let has_begun = run.folder.join("state.safetensors").is_file();
    if has_begun {
        command.arg("--resume");
    }
    say(format!(
        "{what}: {}",
        if has_begun { "going on" } else { "training" }
    ));
    workspace::run(&mut command).map_err(|error| {
        Failure::error(
            format!("{what}: {error:#}"),
            "what was trained is kept: the same command goes on",
        )
    })?;
    if !run.model().is_file() {
        return Err(Failure::error(
            format!("{what}: there is no {}", run.model().display()),
            "the program ended without a model; run it by hand to see why",
        ));
    }
    let file = run.folder.join(FINISHED);
    fs::write(&file, hash::of_bytes(run.settings.as_bytes()))
        .with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program that writes what it was called with, and a model unless it is to fail.
    fn program(folder: &Path, code: i32) -> PathBuf {
        let path = folder.join("program");
        let text = format!(
            "#!/bin/sh\nout=$(sed -n 's/^out = \"\\(.*\\)\"/\\1/p' \"$2\")\nmkdir -p \"$out\"\necho \"$@\" >> \"$out/calls\"\n\
             touch \"$out/state.safetensors\"\n[ {code} = 0 ] && touch \"$out/model.safetensors\"\nexit {code}\n"
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_model_is_trained_once_and_gone_on_with_after_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a-s1");
        let mut run = Run {
            arm: "a".into(),
            seed: 1,
            name: "a-s1".into(),
            settings: format!("out = \"{}\"\n", out.display()),
            folder: out.clone(),
        };
        let calls = || fs::read_to_string(out.join("calls")).unwrap_or_default();
        let failing = program(folder.path(), 130);
        let error = train(&failing, &run, None, "a-s1 (1 of 1)").unwrap_err();
        assert!(error.to_string().contains("a-s1 (1 of 1)"), "{error}");
        let working = program(folder.path(), 0);
        train(&working, &run, Some(Path::new("/cache")), "a-s1").unwrap();
        assert_eq!(calls().lines().count(), 2);
        assert!(
            calls()
                .lines()
                .last()
                .unwrap()
                .ends_with("--datasets /cache --resume")
        );
        train(&working, &run, None, "a-s1").unwrap();
        assert_eq!(calls().lines().count(), 2, "it was there");
        // Other settings never pass for these.
        run.settings.push_str("steps = 3\n");
        let error = train(&working, &run, None, "a-s1").unwrap_err();
        assert!(error.to_string().contains("other settings"), "{error}");
    }
}
