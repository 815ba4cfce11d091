//! What can go wrong in training.

use std::path::{Path, PathBuf};

use crate::config::{ConfigProblem, Place};
use crate::data::DataCount;
use crate::data::counted;

/// Error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration contradicts itself; every problem is listed.
    #[error("invalid training configuration: {}", problems.join("; "))]
    InvalidConfig {
        /// One sentence per problem.
        problems: Vec<String>,
    },
    /// A configuration cannot be put together from a file, options and settings; every problem is listed, each on a line of its own
    /// if there are several.
    #[error("{}", every(file.as_deref(), problems))]
    Configuration {
        /// The file, if there is one.
        file: Option<PathBuf>,
        /// What is wrong, and where.
        problems: Vec<ConfigProblem>,
    },
    /// A folder with photographs cannot be read, or a run folder cannot be written.
    #[error("{}: cannot {action}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// No usable photograph was found.
    #[error("{}", no_photos(folders, *minimum, *skipped, first.as_deref()))]
    NoPhotos {
        /// The folders that were searched.
        folders: String,
        /// Smallest usable side in pixels.
        minimum: usize,
        /// Pictures that could not be read or are too small.
        skipped: usize,
        /// Why the first of them cannot be used.
        first: Option<String>,
    },
    /// A folder of pairs holds no usable pair.
    #[error("{}: no usable pair of a blurry and a sharp picture; {}", folder.display(), match first {
        Some(reason) => format!("{skipped} were skipped, first {reason}"),
        None => "no file matches `blurry`".to_owned(),
    })]
    NoPairs {
        /// The folder.
        folder: PathBuf,
        /// Blurry pictures that cannot be used.
        skipped: usize,
        /// Why the first of them cannot.
        first: Option<String>,
    },
    /// A set of photographs has no file that its glob takes.
    #[error("{}: no picture matches `{sharp}`", folder.display())]
    NoMatch {
        /// The folder.
        folder: PathBuf,
        /// The glob.
        sharp: String,
    },
    /// Entries of `freeze` that no parameter begins with, or that leave nothing to train.
    #[error("{}", frozen_wrongly(unknown, groups))]
    Freeze {
        /// The entries; empty if all parameters are frozen.
        unknown: Vec<String>,
        /// What names of parameters begin with.
        groups: Vec<String>,
    },
    /// The checkpoint that a run was to start from cannot be used.
    #[error("{}: cannot start from this checkpoint", path.display())]
    Init {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<ms_guidance::Error>,
    },
    /// A picture that could be read when the run started cannot be read now.
    #[error("{}: was there when the run started and cannot be used any more", path.display())]
    DataLost {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Box<image_io::Error>,
    },
    /// A picture has another size than when the run started.
    #[error("{}: changed while the run was going on", path.display())]
    DataChanged {
        /// The file.
        path: PathBuf,
    },
    /// The run folder holds another run.
    #[error("{}: holds a training run already", path.display())]
    RunExists {
        /// The run folder.
        path: PathBuf,
    },
    /// The run folder is one that is searched for data, or lies below one.
    #[error(
        "{}: the run folder lies in {}, which is searched for pictures to train on",
        out.display(),
        data.display()
    )]
    OutAmongData {
        /// The run folder.
        out: PathBuf,
        /// The folder with photographs or pairs.
        data: PathBuf,
    },
    /// Another process trains in the run folder.
    #[error("{}: another msdeblur is training here", path.display())]
    InUse {
        /// The run folder.
        path: PathBuf,
    },
    /// The saved state belongs to another configuration.
    #[error("{}: the saved run differs in {difference}{}", path.display(), changed(data))]
    ResumeMismatch {
        /// The state file.
        path: PathBuf,
        /// The names of the settings that differ.
        difference: String,
        /// How the photographs and pairs differ, where they do.
        data: Option<DataChange>,
    },
    /// More steps are done than were asked for.
    #[error("{}: {done} steps are done already, more than the {steps} asked for", path.display())]
    PastTheEnd {
        /// The state file.
        path: PathBuf,
        /// Finished steps.
        done: u64,
        /// Steps of the configuration.
        steps: u64,
    },
    /// No saved state is sound.
    #[error("{}: no saved state is usable: {}", path.display(), problems.join("; "))]
    NoSoundState {
        /// The run folder.
        path: PathBuf,
        /// One sentence per file.
        problems: Vec<String>,
    },
    /// The saved state is damaged.
    #[error("{}: the saved state is not usable ({reason})", path.display())]
    State {
        /// The state file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Training diverged: too many steps in a row gave a loss or gradient that is not finite, or the weights are not.
    #[error("training diverged at step {step}: {problem}; {}", last_good(last))]
    Diverged {
        /// The last such step.
        step: u64,
        /// What was not finite.
        problem: String,
        /// The last good state.
        last: Option<Saved>,
    },
    /// A run ended and its state could not be written.
    #[error("step {step} could not be saved; {}", last_good(last))]
    NotSaved {
        /// Finished steps.
        step: u64,
        /// The last good state.
        last: Option<Saved>,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// The background loader stopped.
    #[error("the data loader stopped unexpectedly")]
    LoaderStopped,
    /// Blur synthesis.
    #[error(transparent)]
    Blur(#[from] blur_synth::Error),
    /// Image quality.
    #[error(transparent)]
    Quality(#[from] image_quality::Error),
    /// The model or its checkpoint.
    #[error(transparent)]
    Model(#[from] ms_guidance::Error),
    /// Noise levels.
    #[error(transparent)]
    Diffusion(#[from] diffusion_sched::Error),
    /// libtorch reported an error.
    #[error("libtorch")]
    Torch(#[from] tch::TchError),
}

/// A state on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Finished steps.
    pub step: u64,
    /// The file.
    pub path: PathBuf,
}

/// Data that are not those of the saved run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataChange {
    /// How much was trained on, if the state says so.
    pub before: Option<DataCount>,
    /// How much would be trained on now.
    pub now: DataCount,
}

/// What is known of a change of data: a state holds their hash and their number, not their names.
fn changed(data: &Option<DataChange>) -> String {
    match data {
        None => String::new(),
        Some(DataChange { before: None, now }) => format!(" (now {now} to train on)"),
        Some(DataChange {
            before: Some(before),
            now,
        }) if before == now => {
            format!(" (still {now} to train on, but a name or a picture changed)")
        }
        Some(DataChange {
            before: Some(before),
            now,
        }) => format!(" ({before} to train on before, {now} now)"),
    }
}

/// Says where the last good state is.
pub(crate) fn last_good(last: &Option<Saved>) -> String {
    match last {
        Some(Saved { step, path }) => {
            format!("the last good state is {} of step {step}", path.display())
        }
        None => "no state was saved before".into(),
    }
}

/// Problems with the file's name where it has to do with them.
fn every(file: Option<&Path>, problems: &[ConfigProblem]) -> String {
    let name = file.map(|file| file.display().to_string());
    match (problems, name) {
        ([one], Some(name)) if !matches!(one.place, Place::Setting(_)) => format!("{name}: {one}"),
        ([one], _) => one.to_string(),
        (many, name) => {
            let name = name.unwrap_or_else(|| "the configuration".into());
            let lines: Vec<String> = many
                .iter()
                .map(|problem| format!("\n  {problem}"))
                .collect();
            format!("{name}: {} problems{}", many.len(), lines.concat())
        }
    }
}

fn no_photos(folders: &str, minimum: usize, skipped: usize, first: Option<&str>) -> String {
    match first {
        Some(first) => {
            let files = counted(skipped, "file");
            let were = if skipped == 1 { "was" } else { "were" };
            format!(
                "no photograph of at least {minimum}×{minimum} pixels in {folders}; {files} {were} skipped, first {first}"
            )
        }
        None => format!("no photograph in {folders}: no PNG, JPEG, TIFF or WebP file"),
    }
}

fn frozen_wrongly(unknown: &[String], groups: &[String]) -> String {
    if unknown.is_empty() {
        return "freeze leaves no parameter to train".into();
    }
    format!(
        "freeze: no parameter begins with {}; there are {}",
        quoted(unknown),
        quoted(groups)
    )
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// An error with its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
