//! The run folder: what lies in it, when it may be used, and how it is cut.

use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use crate::append::write_whole;
use crate::lock::Lock;
use crate::states::is_state;
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
    /// Held from the beginning where a run is continued; else from when there is a folder.
    lock: Option<Lock>,
}

/// What a run would find at the place of its folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutFolder {
    /// It can be written, and no run is in it.
    Free,
    /// It holds a run, which can be continued.
    HoldsRun,
    /// Another process is training there.
    InUse,
    /// It cannot be written, for this reason.
    Unusable(String),
}

impl OutFolder {
    /// Looks, and leaves nothing behind.
    pub(crate) fn of(folder: &Path) -> Self {
        if Lock::is_held(folder) {
            return Self::InUse;
        }
        match try_out(folder) {
            Err(error) => Self::Unusable(crate::error::chain(&error)),
            Ok(()) if is_taken(folder) => Self::HoldsRun,
            Ok(()) => Self::Free,
        }
    }
}

fn fail(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        path,
        action,
        source,
    }
}

/// Whether the folder holds files of a run.
fn is_taken(folder: &Path) -> bool {
    [files::CONFIG, files::LOG, files::STATE, files::MODEL]
        .iter()
        .any(|name| folder.join(name).exists())
}

/// Whether the folder is that of a run that was saved: its pictures are sheets of that run, and no photographs.
pub(crate) fn is_run(folder: &Path) -> bool {
    let holds_state = || {
        let names = std::fs::read_dir(folder).ok()?.flatten();
        let mut names = names.map(|entry| entry.file_name());
        Some(names.any(|name| name.to_str().is_some_and(is_state)))
    };
    folder.join(files::CONFIG).is_file() && holds_state().unwrap_or(false)
}

/// The path without links and `..`, of which the end need not exist.
fn real_path(path: &Path) -> std::io::Result<PathBuf> {
    let mut real = PathBuf::new();
    for part in std::path::absolute(path)?.components() {
        match part {
            Component::ParentDir => {
                real.pop();
            }
            part => {
                real.push(part);
                real = real.canonicalize().unwrap_or(real);
            }
        }
    }
    Ok(real)
}

/// Refuses a run folder among the data: sheets of the run would be found as photographs.
///
/// # Errors
/// [`Error::OutAmongData`] if it is one of the folders that are searched, or below one.
pub(crate) fn apart(config: &TrainConfig) -> Result<()> {
    let out = real_path(&config.out).map_err(fail(&config.out, "find the run folder"))?;
    let sets = config.photo_sets.iter().map(|set| &set.folder);
    let pairs = config.pairs.iter().map(|pairs| &pairs.folder);
    let searched = config.photos.iter().chain(sets).chain(pairs);
    for folder in searched {
        // That one is missing is said when it is searched.
        if folder
            .canonicalize()
            .is_ok_and(|data| out.starts_with(data))
        {
            return Err(Error::OutAmongData {
                out: config.out.clone(),
                data: folder.clone(),
            });
        }
    }
    Ok(())
}

/// Makes the folder and a file in it, and takes away what was not there before.
fn try_out(folder: &Path) -> Result<()> {
    let missing: Vec<PathBuf> = folder
        .ancestors()
        .filter(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .map(Path::to_owned)
        .collect();
    let created = std::fs::create_dir_all(folder).map_err(fail(folder, "create the run folder"));
    let written = created.and_then(|()| {
        let file = tempfile::tempfile_in(folder);
        file.map_err(fail(folder, "write in the run folder"))
    });
    for folder in missing {
        // Refused if something came to lie in it meanwhile; then it is not ours alone.
        let _ = std::fs::remove_dir(folder);
    }
    written.map(drop)
}

impl RunFolder {
    /// Checks that the folder can be had. Unless a run is resumed, it must hold none of our files yet. A folder that is missing is made by
    /// [`RunFolder::start`], so that a run which cannot start leaves none behind.
    ///
    /// # Errors
    /// If it lies among the data, cannot be written, is in use, or holds a run that is not resumed.
    pub(crate) fn prepare(config: &TrainConfig, resume: bool) -> Result<Self> {
        apart(config)?;
        let folder = config.out.clone();
        if Lock::is_held(&folder) {
            return Err(Error::InUse { path: folder });
        }
        try_out(&folder)?;
        let taken = is_taken(&folder);
        if taken && !resume {
            return Err(Error::RunExists { path: folder });
        }
        let lock = taken.then(|| Lock::take(&folder)).transpose()?;
        Ok(Self { folder, lock })
    }

    /// Makes the folder of a new run and locks it. Another run may have been faster since [`RunFolder::prepare`].
    fn occupy(&mut self) -> Result<()> {
        let folder = &self.folder;
        std::fs::create_dir_all(folder).map_err(fail(folder, "create the run folder"))?;
        if self.lock.is_none() {
            let lock = Lock::take(folder)?;
            if is_taken(folder) {
                return Err(Error::RunExists {
                    path: folder.clone(),
                });
            }
            self.lock = Some(lock);
        }
        Ok(())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Creates and locks the folder, writes the configuration and cuts the log, which keeps the lines of the first `step` steps; they are returned.
    pub(crate) fn start(&mut self, config: &TrainConfig, step: u64) -> Result<String> {
        let text = config.to_toml()?;
        self.occupy()?;
        let path = self.path(files::CONFIG);
        write_whole(&path, text.as_bytes()).map_err(fail(&path, "write the configuration"))?;
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
        write_whole(&path, kept.as_bytes()).map_err(fail(&path, "write the log"))?;
        Ok(kept)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    #[test]
    fn a_run_folder_among_the_data_is_refused_however_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (root, photos) = (folder.path(), folder.path().join("photos"));
        std::fs::create_dir(&photos).unwrap();
        let lies_among = |out: &Path| {
            let config = TrainConfig::tiny(vec![photos.clone()], out.into());
            matches!(apart(&config), Err(Error::OutAmongData { .. }))
        };
        for out in [
            "photos",
            "photos/run",
            "photos/deep/run",
            "photos/../photos/run",
            "new/../photos/run",
        ] {
            assert!(lies_among(&root.join(out)), "{out}");
        }
        for out in ["run", "photos-run", "photos/../run", "photos/new/../../run"] {
            assert!(!lies_among(&root.join(out)), "{out}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&photos, root.join("link")).unwrap();
            assert!(lies_among(&root.join("link/run")));
        }
    }

    #[test]
    fn a_look_at_the_run_folder_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("deep/run");
        assert_eq!(OutFolder::of(&out), OutFolder::Free);
        assert!(!folder.path().join("deep").exists());
        std::fs::create_dir_all(&out).unwrap();
        assert_eq!(OutFolder::of(&out), OutFolder::Free);
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
        std::fs::write(out.join(files::CONFIG), "").unwrap();
        assert_eq!(OutFolder::of(&out), OutFolder::HoldsRun);
        let lock = Lock::take(&out).unwrap();
        assert_eq!(OutFolder::of(&out), OutFolder::InUse);
        drop(lock);
        let below_a_file = out.join(files::CONFIG).join("run");
        let OutFolder::Unusable(reason) = OutFolder::of(&below_a_file) else {
            panic!("a folder below a file");
        };
        assert!(
            reason.contains("config.toml/run: cannot create"),
            "{reason}"
        );
    }
}
