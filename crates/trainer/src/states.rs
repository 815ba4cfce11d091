//! The saved states of a run folder: the newest one, some before it, and which of them can be trusted.

use std::path::{Path, PathBuf};

use crate::data::DataCount;
use crate::error::Saved;
use crate::folder::files;
use crate::optimizer::AdamW;
use crate::state::{self, Progress};
use crate::{Error, Result, TrainConfig};

/// Name in the run folder of the model with the best validation PSNR: averaged weights, float16.
pub const BEST_MODEL: &str = "best.safetensors";

/// Writes bytes to a file, wholly or not at all.
type Write = fn(&Path, &[u8]) -> ms_guidance::Result<()>;

/// The states in a run folder: `state.safetensors` is the newest, `state-STEP.safetensors` are those before it.
pub(crate) struct SavedStates {
    folder: PathBuf,
    keep: usize,
    write: Write,
    /// What `state.safetensors` holds, once it is known to be sound.
    newest: Option<u64>,
    last: Option<Saved>,
}

/// A state that was taken, and the files that could not be.
pub(crate) struct Loaded {
    /// What it says; its tensors are in the optimiser.
    pub(crate) progress: Progress,
    /// The file.
    pub(crate) path: PathBuf,
    /// Newer files that are damaged, with reasons.
    pub(crate) damaged: Vec<(PathBuf, String)>,
}

fn older_name(step: u64) -> String {
    format!("state-{step:09}.safetensors")
}

fn older_step(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("state-")?.strip_suffix(".safetensors")?;
    digits.parse().ok()
}

/// Whether a file of this name is a saved state.
pub(crate) fn is_state(name: &str) -> bool {
    name == files::STATE || older_step(name).is_some()
}

impl SavedStates {
    /// The states in `folder`, of which `keep` are kept.
    pub(crate) fn new(folder: PathBuf, keep: usize) -> Self {
        Self {
            folder,
            keep,
            write: ms_guidance::checkpoint::write_atomically,
            newest: None,
            last: None,
        }
    }

    /// The newest state that is known to be good.
    pub(crate) fn last(&self) -> &Option<Saved> {
        &self.last
    }

    /// Steps of the older states, newest first.
    fn older(&self) -> Result<Vec<u64>> {
        let fail = |source| Error::Io {
            path: self.folder.clone(),
            action: "read the run folder",
            source,
        };
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(fail(error)),
        };
        let mut steps = Vec::new();
        for entry in entries {
            let name = entry.map_err(fail)?.file_name();
            steps.extend(name.to_str().and_then(older_step));
        }
        steps.sort_unstable_by_key(|&step| std::cmp::Reverse(step));
        Ok(steps)
    }

    /// Whether there is any.
    pub(crate) fn any(&self) -> Result<bool> {
        Ok(self.folder.join(files::STATE).exists() || !self.older()?.is_empty())
    }

    /// Puts the newest sound state into `optimizer`; `None` if nothing was ever saved. A file that is damaged is passed over, one of
    /// another run is an error: the user wants to know, and the states before it are of that run too.
    pub(crate) fn load(
        &mut self,
        optimizer: &mut AdamW,
        config: &TrainConfig,
        data_sha256: &str,
        count: DataCount,
    ) -> Result<Option<Loaded>> {
        let newest = self.folder.join(files::STATE);
        let mut candidates: Vec<PathBuf> = newest
            .exists()
            .then_some(newest.clone())
            .into_iter()
            .collect();
        let older = self.older()?;
        candidates.extend(
            older
                .into_iter()
                .map(|step| self.folder.join(older_name(step))),
        );
        let mut damaged = Vec::new();
        for path in candidates {
            let taken = state::read(&path).and_then(|(bytes, progress)| {
                state::compare(&path, &progress, config, data_sha256, count)?;
                state::restore(&path, &bytes, &progress, optimizer)?;
                Ok(progress)
            });
            match taken {
                Ok(progress) => {
                    let step = progress.step;
                    self.newest = (path == newest).then_some(step);
                    self.last = Some(Saved {
                        step,
                        path: path.clone(),
                    });
                    return Ok(Some(Loaded {
                        progress,
                        path,
                        damaged,
                    }));
                }
                Err(Error::State { reason, .. }) => damaged.push((path, reason)),
                Err(error) => return Err(error),
            }
        }
        if damaged.is_empty() {
            return Ok(None);
        }
        Err(Error::NoSoundState {
            path: self.folder.clone(),
            problems: damaged
                .into_iter()
                .map(|(path, reason)| format!("{} ({reason})", path.display()))
                .collect(),
        })
    }

    /// Renames damaged files to `….damaged`, so that they are neither taken again nor lost.
    pub(crate) fn set_aside(&self, damaged: &[(PathBuf, String)]) -> Result<()> {
        for (path, _) in damaged {
            let mut aside = path.clone().into_os_string();
            aside.push(".damaged");
            std::fs::rename(path, aside).map_err(|source| Error::Io {
                path: path.clone(),
                action: "set the damaged state aside",
                source,
            })?;
        }
        Ok(())
    }

    /// Writes a state; the one before stays until more than `keep` are there.
    ///
    /// # Errors
    /// [`Error::Diverged`] if the weights are not finite; if the file cannot be written. The states before are as they were.
    pub(crate) fn save(&mut self, optimizer: &mut AdamW, progress: &Progress) -> Result<()> {
        let path = self.folder.join(files::STATE);
        if !optimizer.is_finite()? {
            return Err(Error::Diverged {
                step: progress.step,
                problem: "a weight is not finite".into(),
                last: self.last.clone(),
            });
        }
        let bytes = state::encode(&path, optimizer, progress)?;
        let before = self
            .newest
            .filter(|&step| step != progress.step)
            .map(|step| (step, self.folder.join(older_name(step))));
        if let Some((step, older)) = &before
            && !older.exists()
            && self.keep > 1
        {
            // A second name, so that there is no moment without a newest state; where a disk has no links, a moment.
            let linked = std::fs::hard_link(&path, older);
            let renamed = linked.or_else(|_| std::fs::rename(&path, older));
            renamed.map_err(|source| Error::Io {
                path: older.clone(),
                action: "keep the state before",
                source,
            })?;
            self.last = Some(Saved {
                step: *step,
                path: older.clone(),
            });
        }
        (self.write)(&path, &bytes)?;
        self.newest = Some(progress.step);
        self.last = Some(Saved {
            step: progress.step,
            path,
        });
        for step in self.older()?.into_iter().skip(self.keep - 1) {
            let path = self.folder.join(older_name(step));
            std::fs::remove_file(&path).map_err(|source| Error::Io {
                path,
                action: "remove an old state",
                source,
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use std::io;

    use ms_guidance::GuidedUNet;
    use tch::{Device, nn};

    use super::*;
    use crate::stability::Stability;

    fn full(path: &Path, _: &[u8]) -> ms_guidance::Result<()> {
        Err(ms_guidance::Error::Io {
            path: path.to_owned(),
            action: "write",
            source: io::ErrorKind::StorageFull.into(),
        })
    }

    #[test]
    fn a_full_disk_takes_no_state_away() {
        let folder = tempfile::tempdir().unwrap();
        let config = TrainConfig::tiny(vec!["photos".into()], folder.path().into());
        let store = nn::VarStore::new(Device::Cpu);
        let _model = GuidedUNet::new(&store.root(), &config.model).unwrap();
        let mut optimizer = AdamW::new(store.variables().into_iter().collect(), 0.0).unwrap();
        let count = DataCount {
            photos: 2,
            pairs: 0,
        };
        let mut progress = Progress {
            step: 4,
            updates: 0,
            data_sha256: "data".into(),
            data_count: Some(count),
            config: config.clone(),
            stability: Stability::default(),
            best_psnr: Some(20.0),
            smoothed_loss: Default::default(),
            parent: None,
        };
        let mut states = SavedStates::new(folder.path().into(), 2);
        states.save(&mut optimizer, &progress).unwrap();
        let usual = std::mem::replace(&mut states.write, full);
        for step in [5, 6] {
            progress.step = step;
            let error = states.save(&mut optimizer, &progress).unwrap_err();
            let Error::Model(ms_guidance::Error::Io { path, .. }) = error else {
                panic!("{error:?}");
            };
            assert!(path.ends_with(files::STATE));
            let last = states.last().clone().unwrap();
            assert_eq!((last.step, last.path.exists()), (4, true));
            let mut again = SavedStates::new(folder.path().into(), 2);
            let loaded = again
                .load(&mut optimizer, &config, "data", count)
                .unwrap()
                .unwrap();
            assert_eq!((loaded.progress.step, loaded.damaged.len()), (4, 0));
            assert_eq!(loaded.progress.best_psnr, Some(20.0));
        }
        // There is room again.
        states.write = usual;
        states.save(&mut optimizer, &progress).unwrap();
        assert_eq!(states.last().clone().unwrap().step, 6);
        assert_eq!(states.older().unwrap(), [4]);
    }
}
