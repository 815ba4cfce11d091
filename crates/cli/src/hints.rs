//! Problems as people read them: one line that says what and why, one line that says what to do.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use crate::words::shell_word;

/// A problem, worded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// `PATH: cause`, or the cause alone.
    pub(crate) message: String,
    /// What could be done about it.
    pub(crate) hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts the path in front, unless the message starts with it already.
    pub(crate) fn at(mut self, path: &Path) -> Self {
        if !self.is_about(path) {
            self.message = format!("{}: {}", path.display(), self.message);
        }
        self
    }

    /// Whether the message starts with this path, not with a longer one that begins alike.
    pub(crate) fn is_about(&self, path: &Path) -> bool {
        let path = path.display().to_string();
        self.message
            .strip_prefix(&path)
            .is_some_and(|rest| rest.starts_with(": "))
    }

    /// The lines for stderr, `program: PATH: cause` and `hint: …`.
    pub(crate) fn lines(&self, program: &str) -> String {
        let mut text = format!("{program}: {}\n", self.message);
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "hint: {hint}");
        }
        text
    }
}

/// An error and its causes in one line. Causes of libtorch carry a stack trace, of which the first line says it all.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let message = error.to_string();
        let line = message.lines().next().unwrap_or_default().trim();
        if !line.is_empty() && !text.ends_with(line) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(line);
        }
        next = error.source();
    }
    text
}

impl From<image_io::Error> for Problem {
    fn from(error: image_io::Error) -> Self {
        let hint = match &error {
            image_io::Error::Exists { .. } => {
                Some("choose another output, or replace it with --force".into())
            }
            other => other.hint(),
        };
        Self {
            message: chain(&error),
            hint,
        }
    }
}

impl From<::deblur::Error> for Problem {
    fn from(error: ::deblur::Error) -> Self {
        let hint = match &error {
            ::deblur::Error::OutOfMemory { .. } => Some(
                "use smaller tiles, for example --tile 256, or a device with more memory".into(),
            ),
            ::deblur::Error::Cuda { .. } => error
                .hint()
                .map(|hint| hint.replace("the device `cpu`", "--device cpu")),
            ::deblur::Error::CheckpointRead { .. } => error
                .hint()
                .map(|hint| hint.replace("leave the checkpoint out", "leave --checkpoint out")),
            ::deblur::Error::Checkpoint {
                source: ms_guidance::Error::Metadata { .. },
                ..
            } => Some(
                "only models written by msdeblur can be used: of a training run model.safetensors or best.safetensors, not its state"
                    .into(),
            ),
            ::deblur::Error::TooFewSamples { .. } => Some("use --samples 2 or more".into()),
            other => other.hint(),
        };
        Self {
            message: chain(&error),
            hint,
        }
    }
}

impl From<image_quality::Error> for Problem {
    fn from(error: image_quality::Error) -> Self {
        use image_quality::Error as E;
        let hint = match &error {
            E::Read { .. } | E::Format { .. } | E::Mismatch { .. } => {
                Some("in a clone, `cargo xtask datasets fetch metric-weights` gets the weights")
            }
            E::ImageTooSmall { .. } => Some("leave this metric out with --metrics"),
            _ => None,
        };
        Self {
            message: chain(&error),
            hint: hint.map(Into::into),
        }
    }
}

/// For files without the description of a model, which states of a run are.
const NO_STATE: &str = "take model.safetensors or best.safetensors of a run, not its state; a run itself is continued with --resume";

impl From<trainer::Error> for Problem {
    fn from(error: trainer::Error) -> Self {
        use trainer::Error as E;
        let hint = match &error {
            E::RunExists { .. } => Some("continue it with --resume, or choose another --out"),
            E::OutAmongData { .. } => {
                Some("take a folder beside it: the run's own pictures would be trained on")
            }
            E::InUse { .. } => Some("wait for its end, or choose another --out"),
            E::Io {
                action: "create the run folder" | "write in the run folder",
                ..
            } => Some(
                "name a folder with --out that you may make and write in; no part of its path may be a file",
            ),
            E::PastTheEnd { .. } => Some("leave --steps out, or ask for more"),
            E::Io {
                action: "read the folder",
                ..
            } => Some(
                "check the spelling; a folder in a config.toml counts from where msdeblur is called, --photos names another",
            ),
            E::NoPhotos { first: None, .. } => {
                Some("convert raw and HEIC files first, or give other folders")
            }
            E::NoPhotos { .. } => Some("give folders with larger photos, or a smaller --crop"),
            E::NoPairs { .. } => Some(
                "look at folder, blurry, sharp and pairing of this entry of `pairs`; globs count from its folder, `*` stays in one folder",
            ),
            E::DataLost { .. } => {
                Some("bring the folder back and go on from the last checkpoint with --resume")
            }
            E::DataChanged { .. } => Some(
                "a run needs the same data to its end: put the file back and go on with --resume, or start again in another --out",
            ),
            E::Diverged { last: None, .. } => {
                Some("start again with a lower --set learning_rate=…, or look at the photographs")
            }
            E::NotSaved { last: None, .. } => Some(
                "make room on the disk, then begin again with --resume, which finds nothing done",
            ),
            E::NotSaved { .. } => {
                Some("make room on the disk, then continue from the last good state with --resume")
            }
            E::State { .. } | E::NoSoundState { .. } => {
                Some("the run cannot be continued: start again in another --out")
            }
            E::Configuration { file: Some(_), .. } => {
                Some("`msdeblur train --preset default --print-config` prints one that is right")
            }
            E::NoMatch { .. } => {
                Some("globs count from the folder, `*` stays in one folder, `**` does not")
            }
            E::Freeze { .. } => Some(
                "an entry is the beginning of names, such as `guidance.` or `unet.down_blocks.0.`",
            ),
            E::Init { source, .. } => Some(match **source {
                ms_guidance::Error::Mismatch(_) => {
                    "the network must be that of the checkpoint: take the [model] of the config.toml it was trained with"
                }
                ms_guidance::Error::Metadata { .. } => NO_STATE,
                _ => "check the path; models are what training writes as model.safetensors",
            }),
            _ => None,
        };
        let message = match &error {
            // One problem a line.
            E::Configuration { .. } => error.to_string(),
            E::Init { path, source } => match &**source {
                ms_guidance::Error::Mismatch(mismatch) => misfits(path, mismatch),
                _ => chain(&error),
            },
            _ => chain(&error),
        };
        let hint = match &error {
            E::Diverged {
                last: Some(last), ..
            } => Some(calmer(last.path.parent().unwrap_or(Path::new(".")))),
            _ => hint.map(Into::into),
        };
        Self { message, hint }
    }
}

/// How to continue a run that diverged.
fn calmer(run: &Path) -> String {
    format!(
        "continue with `msdeblur train --out={} --resume --set learning_rate=…` and a lower one, or look at the photographs",
        shell_word(run)
    )
}

/// Tensors that are named, of all kinds together.
const NAMED: usize = 10;

/// The tensors that do not fit, each on its line; of many, some of every kind.
fn misfits(path: &Path, mismatch: &ms_guidance::Mismatch) -> String {
    let kinds = [
        ("missing", &mismatch.missing),
        ("unexpected", &mismatch.unexpected),
        ("wrong shape", &mismatch.misshaped),
        ("wrong type", &mismatch.mistyped),
        ("NaN or infinite", &mismatch.non_finite),
    ];
    let counts = kinds.iter().filter(|(_, names)| !names.is_empty());
    let counts: Vec<String> = counts
        .map(|(what, names)| format!("{} {what}", names.len()))
        .collect();
    let mut text = format!(
        "{}: is of another network: {}",
        path.display(),
        counts.join(", ")
    );
    let all: usize = kinds.iter().map(|(_, names)| names.len()).sum();
    let mut taken = [0; 5];
    // One of each kind in turn, so that many of one kind do not hide the others.
    let (mut left, mut index) = (all.min(NAMED), 0);
    while left > 0 {
        let kind = index % kinds.len();
        if taken[kind] < kinds[kind].1.len() {
            (taken[kind], left) = (taken[kind] + 1, left - 1);
        }
        index += 1;
    }
    for ((what, names), taken) in kinds.iter().zip(taken) {
        for name in &names[..taken] {
            let _ = write!(text, "\n  {what}: {name}");
        }
    }
    if all > NAMED {
        let _ = write!(text, "\n  and {} more", all - NAMED);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_in_one_line() {
        let cause = std::io::Error::other("disk on fire\nstack trace");
        let error = image_io::Error::Write {
            path: "a.png".into(),
            source: cause,
        };
        assert_eq!(chain(&error), "a.png: cannot write: disk on fire");
    }

    #[test]
    fn hints_of_training_are_what_can_be_typed() {
        let last = trainer::Saved {
            step: 4,
            path: "my run/state.safetensors".into(),
        };
        let diverged = |last| trainer::Error::Diverged {
            step: 9,
            problem: "a weight is not finite".into(),
            last,
        };
        let hint = Problem::from(diverged(Some(last))).hint.expect("a hint");
        let run = shell_word(Path::new("my run"));
        let command = format!("`msdeblur train --out={run} --resume --set learning_rate=…`");
        assert!(hint.contains(&command), "{hint}");
        let not_saved = trainer::Error::NotSaved {
            step: 1,
            last: None,
            source: Box::new(trainer::Error::LoaderStopped),
        };
        // Nothing was saved that could be continued.
        for error in [diverged(None), not_saved] {
            let hint = Problem::from(error).hint.expect("a hint");
            assert!(!hint.contains("continue"), "{hint}");
        }
    }

    #[test]
    fn a_path_is_named_once() {
        let problem = Problem::new("a.png: not found")
            .at(Path::new("a.png"))
            .hint("look again");
        assert_eq!(
            problem.lines("deblur"),
            "deblur: a.png: not found\nhint: look again\n"
        );
        assert_eq!(Problem::new("odd").at(Path::new("b")).message, "b: odd");
        // Paths that begin alike are not the same, nor is a message that happens to begin like the path.
        for (message, path) in [("a.png: not found", "a"), ("not found", "not")] {
            let problem = Problem::new(message).at(Path::new(path));
            assert_eq!(problem.message, format!("{path}: {message}"));
        }
    }
}
