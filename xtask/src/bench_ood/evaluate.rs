//! Runs `msdeblur evaluate`, which restores and scores, and reads what it says.

mod events;
mod watch;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::Serialize;

use super::results::Options;
use super::stop::{self, RUNNING};
use crate::failure::Failure;
use crate::suite::Protocol;
use crate::workspace;
use events::Event;
pub(crate) use events::Started;
pub(crate) use watch::Watch;

/// What is the same for all methods of a run.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `msdeblur`.
    pub(crate) program: PathBuf,
    pub(crate) metrics: Vec<String>,
    /// Folder of the weights of metrics; the program's own choice when absent.
    pub(crate) weights: Option<PathBuf>,
    pub(crate) seed: u64,
}

/// A picture to score, as a line of the file that the program reads.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Line {
    /// `DOMAIN/CONDITION/NAME`.
    pub(crate) name: String,
    pub(crate) sharp: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) blurry: Option<PathBuf>,
    /// Scored as it is; without it the program restores the blurry picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) restored: Option<PathBuf>,
}

/// A model to restore with.
#[derive(Clone, Debug)]
pub(crate) struct Restorer<'a> {
    /// The model in the program when absent.
    pub(crate) checkpoint: Option<&'a Path>,
    pub(crate) options: &'a Options,
    /// Where restored pictures are kept, as `NAME.png`.
    pub(crate) save: &'a Path,
}

/// What became of a picture.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Scored {
        metrics: BTreeMap<String, f64>,
        /// Of the restoration alone.
        seconds: f64,
    },
    Failed(String),
}

/// What the program said about all pictures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scores {
    /// By the names of the lines.
    pub(crate) pictures: BTreeMap<String, Outcome>,
    pub(crate) started: Started,
}

/// Scores pictures, after restoring them with a model if there is one.
///
/// `folder` keeps the list of pictures, what was said about them, and the results by content hash, so that a run that was killed
/// is gone on with.
///
/// # Errors
/// A program that does not run to its end; a picture that fails is none.
pub(crate) fn evaluate(
    settings: &Settings,
    protocol: Protocol,
    restorer: Option<&Restorer<'_>>,
    lines: &[Line],
    folder: &Path,
    watch: &mut Watch,
) -> Result<Scores> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let protocol = protocol.name();
    let list = folder.join(format!("pairs-{protocol}.jsonl"));
    write_lines(&list, lines)?;
    let mut command = Command::new(&settings.program);
    command
        .args(["evaluate", "--json", "--quiet", "--force", "--pairs"])
        .arg(&list)
        .args(["--metrics", &settings.metrics.join(",")])
        .args(["--protocol", protocol])
        .arg("--reuse")
        .arg(folder.join("reuse.jsonl"))
        .env_remove("MSDEBLUR_CHECKPOINT");
    if let Some(weights) = &settings.weights {
        command.arg("--weights").arg(weights);
    }
    if let Some(restorer) = restorer {
        add_model(&mut command, restorer, settings.seed);
    }
    let scores = listen(&mut command, watch)?;
    // What was not spoken of has failed too.
    let mut scores = scores;
    for line in lines {
        scores.pictures.entry(line.name.clone()).or_insert_with(|| {
            Outcome::Failed("msdeblur evaluate says nothing about it".to_owned())
        });
    }
    Ok(scores)
}

fn add_model(command: &mut Command, restorer: &Restorer<'_>, seed: u64) {
    if let Some(file) = restorer.checkpoint {
        command.arg("--checkpoint").arg(file);
    }
    let Options {
        mode,
        sampler,
        steps,
        samples,
    } = restorer.options;
    command.args(["--mode", mode, "--seed", &seed.to_string()]);
    if let Some(sampler) = sampler {
        command.args(["--sampler", sampler]);
    }
    if let Some(steps) = steps {
        command.args(["--steps", &steps.to_string()]);
    }
    if let Some(samples) = samples {
        command.args(["--samples", &samples.to_string(), "--uncertainty"]);
    }
    command.arg("--save").arg(restorer.save);
}

fn write_lines(path: &Path, lines: &[Line]) -> Result<()> {
    let cannot_write = || format!("cannot write {}", path.display());
    let mut text = String::new();
    for line in lines {
        text.push_str(&serde_json::to_string(line).with_context(cannot_write)?);
        text.push('\n');
    }
    fs::write(path, text).with_context(cannot_write)
}

/// Runs the command and collects what it says.
fn listen(command: &mut Command, watch: &mut Watch) -> Result<Scores> {
    let text = workspace::shown(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = RUNNING
        .start(command)
        .with_context(|| format!("cannot start `{text}`"))?;
    let stdout = child.stdout.take().context("no output to read")?;
    let mut scores = Scores::default();
    let mut is_whole = false;
    let mut problem = None;
    for line in BufReader::new(stdout).lines() {
        let event = line
            .map_err(anyhow::Error::from)
            .and_then(|line| events::parse(&line));
        match event {
            Ok(Event::Started(started)) => scores.started = started,
            Ok(Event::Picture { name, outcome }) => {
                watch.note(&name, &outcome);
                scores.pictures.insert(name, outcome);
            }
            Ok(Event::Summary { is_whole: whole }) => is_whole = whole,
            Ok(Event::Other) => {}
            Err(error) => {
                problem = Some(error);
            }
        }
        // With Ctrl-C the program ends by itself; a signal of a scheduler reaches only this one. What is finished is in the file of
        // results, which may be cut off anywhere.
        if stop::asked() || problem.is_some() {
            child.kill();
            break;
        }
    }
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for `{text}`"))?;
    stop::check()?;
    if let Some(error) = problem {
        return Err(error.context(format!("`{text}` says something unknown")));
    }
    // 1 says that some pictures failed.
    if is_whole && matches!(status.code(), Some(0 | 1)) {
        return Ok(scores);
    }
    Err(Failure::error(
        format!("`{text}` failed ({status})"),
        "its message is above; what is done is kept, the same command with --resume goes on",
    ))
}
