//! What to do where `msdeblur train --resume` finds a run that is not the one that was asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use trainer::{Draft, Error, Place, files};

use crate::hints::Problem;
use crate::words::shell_word;

/// Where the settings of a run were given.
#[derive(Debug)]
pub(crate) struct Origins {
    file: Option<PathBuf>,
    places: BTreeMap<String, Place>,
}

impl Origins {
    /// Of a configuration that comes from this file, if there is one.
    pub(crate) fn of(draft: &Draft, file: Option<PathBuf>) -> Self {
        Self {
            file,
            places: draft.origins(),
        }
    }

    /// The problem, with a hint that names the place of what has to change.
    pub(crate) fn explain(&self, error: Error) -> Problem {
        let hint = match &error {
            Error::ResumeMismatch {
                path,
                difference,
                data,
            } => Some(self.hint(path, difference, data.is_some())),
            _ => None,
        };
        let problem = Problem::from(error);
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }

    fn hint(&self, state: &Path, difference: &str, data: bool) -> String {
        let settings = difference.split(", ").filter(|name| *name != "photographs");
        let mut steps: Vec<String> = settings.clone().map(|name| self.undo(name)).collect();
        if data {
            steps.push("bring the photographs back as they were".into());
        }
        let mut hint = steps.join(", and ");
        // The weights of a network fit no other.
        if settings.clone().all(|name| name != "model") {
            let model = state.with_file_name(files::MODEL);
            hint.push_str(&format!(
                "; if the change is on purpose, start a new run from this one's model: --init {} with another --out, without --resume",
                shell_word(&model)
            ));
        }
        hint
    }

    /// How one setting gets its old value.
    fn undo(&self, name: &str) -> String {
        match (self.places.get(name), &self.file) {
            (Some(Place::Setting(option)), _) => format!("leave {option} out"),
            (Some(Place::Line(line)), Some(file)) => {
                format!("put back `{name}` in line {line} of {}", file.display())
            }
            (_, Some(file)) => format!("put back `{name}` in {}", file.display()),
            _ => format!("set `{name}` as at the first start"),
        }
    }
}
