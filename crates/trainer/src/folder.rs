//! The run folder: what lies in it, when it may be used, and how it is cut.

use std::path::{Path, PathBuf};

use ms_guidance::checkpoint::write_atomically;

use crate::{Error, Result, TrainConfig};

/// File names inside a run folder.
pub mod files {
    /// The resolved configuration.
    pub const CONFIG: &str = "config.toml";
    /// One JSON object per line: losses, speed, validation.
    pub const LOG: &str = "metrics.jsonl";
    /// Everything needed to resume.
    pub const STATE: &str = "state.safetensors";
    /// The model with averaged weights, float16.
    pub const MODEL: &str = "model.safetensors";
    /// The run at a glance, drawn at every validation.
    pub const CURVES: &str = "curves.svg";
    /// Fixed pairs as the network restores them: the newest sheet.
    pub const PREVIEW: &str = "preview.png";
    /// Folder of the sheets of some validations.
    pub const PREVIEWS: &str = "previews";
    /// Folder of TensorBoard's event files.
    pub const TENSORBOARD: &str = "tensorboard";
}

/// A run folder that may be written.
pub(crate) struct RunFolder {
    folder: PathBuf,
}

fn fail(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        path,
        action,
        source,
    }
}

impl RunFolder {
    /// Checks that the folder can be had. Unless a run is resumed, it must hold none of our files yet. A folder that is missing is made by
    /// [`RunFolder::start`], so that a run which cannot start leaves none behind.
    pub(crate) fn prepare(config: &TrainConfig, resume: bool) -> Result<Self> {
        let folder = config.out.clone();
        let missing: Vec<PathBuf> = folder
            .ancestors()
            .filter(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .map(Path::to_owned)
            .collect();
        let created = std::fs::create_dir_all(&folder);
        for folder in missing {
            // Refused if something came to lie in it meanwhile; then it is not ours alone.
            let _ = std::fs::remove_dir(folder);
        }
        created.map_err(fail(&folder, "create the run folder"))?;
        let taken = [files::CONFIG, files::LOG, files::STATE, files::MODEL]
            .iter()
            .any(|name| folder.join(name).exists());
        if taken && !resume {
            return Err(Error::RunExists { path: folder });
        }
        Ok(Self { folder })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Creates the folder, writes the configuration and cuts the log, which keeps the lines of the first `step` steps; they are returned.
    pub(crate) fn start(&self, config: &TrainConfig, step: u64) -> Result<String> {
        let text = config.to_toml()?;
        let folder = &self.folder;
        std::fs::create_dir_all(folder).map_err(fail(folder, "create the run folder"))?;
        write_atomically(&self.path(files::CONFIG), text.as_bytes())?;
        let path = self.path(files::LOG);
        let old = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(fail(&path, "read the log")(error)),
        };
        // What was logged after the last saved state happens again.
        let kept: String = old
            .lines()
            .filter(|line| {
                serde_json::from_str::<serde_json::Value>(line)
                    .ok()
                    .and_then(|value| value.get("step")?.as_u64())
                    .is_some_and(|logged| logged <= step)
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        write_atomically(&path, kept.as_bytes())?;
        Ok(kept)
    }
}
