//! Where preview sheets lie, and which of them are kept.

use std::path::{Path, PathBuf};

use image_io::{Format, Photo, PhotoInfo, WriteOptions};
use ndarray::Array3;

use crate::append::write_whole;
use crate::folder::files;

/// The sheets of a run folder: `previews/step-N.png`, and the newest as `preview.png`.
#[derive(Debug)]
pub(crate) struct PreviewFiles {
    folder: PathBuf,
    newest: PathBuf,
    keep: usize,
    every: u64,
}

/// What went wrong, in a sentence that names the file.
pub(crate) type Failure = String;

fn failed(path: &Path, action: &str, error: impl std::fmt::Display) -> Failure {
    format!("{}: cannot {action}: {error}", path.display())
}

fn name_of(step: u64) -> String {
    format!("step-{step:09}.png")
}

/// The step of a sheet; none for names that this program does not give.
fn step_of(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.strip_suffix(".png")?;
    step.parse().ok().filter(|&step| name_of(step) == name)
}

/// Makes sure that there is no such file.
fn remove(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failed(path, "remove", error))
        }
        _ => Ok(()),
    }
}

/// A PNG file of `[3, H, W]` in [0, 1].
pub(crate) fn png(image: Array3<f32>) -> Result<Vec<u8>, image_io::Error> {
    let photo = Photo {
        pixels: image,
        alpha: None,
        info: PhotoInfo::new(Format::Png),
    };
    let encoded = image_io::encode(&photo, Format::Png, &WriteOptions::default())?;
    Ok(encoded.bytes)
}

impl PreviewFiles {
    /// Those below the run folder `run`. The newest `keep` are kept, and besides those of the 1st, 2nd, 4th, 8th, … validation, counted
    /// in `every` steps: a long run leaves few, and its beginning can be seen.
    pub(crate) fn new(run: &Path, keep: usize, every: u64) -> Self {
        Self {
            folder: run.join(files::PREVIEWS),
            newest: run.join(files::PREVIEW),
            keep,
            every,
        }
    }

    fn path(&self, step: u64) -> PathBuf {
        self.folder.join(name_of(step))
    }

    /// Steps of the sheets that are there, in order.
    fn steps(&self) -> Result<Vec<u64>, Failure> {
        let fail = |error| failed(&self.folder, "read the folder", error);
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(fail(error)),
        };
        let mut steps = Vec::new();
        for entry in entries {
            let name = entry.map_err(fail)?.file_name();
            steps.extend(name.to_str().and_then(step_of));
        }
        steps.sort_unstable();
        Ok(steps)
    }

    /// Writes a sheet and takes away those that are not kept.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub(crate) fn write(&self, step: u64, png: &[u8]) -> Result<(), Failure> {
        if self.keep == 0 {
            return Ok(());
        }
        let folder = std::fs::create_dir_all(&self.folder);
        folder.map_err(|error| failed(&self.folder, "create the folder", error))?;
        for path in [self.path(step), self.newest.clone()] {
            write_whole(&path, png).map_err(|error| failed(&path, "write", error))?;
        }
        let steps = self.steps()?;
        let old = steps.len().saturating_sub(self.keep);
        for &step in &steps[..old] {
            let validation = step / self.every;
            if !(step.is_multiple_of(self.every) && validation.is_power_of_two()) {
                remove(&self.path(step))?;
            }
        }
        Ok(())
    }

    /// Takes away what belongs to steps after `step`, which are made again.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub(crate) fn cut(&self, step: u64) -> Result<(), Failure> {
        let steps = self.steps()?;
        let (kept, later) = steps.split_at(steps.partition_point(|&sheet| sheet <= step));
        for &step in later {
            remove(&self.path(step))?;
        }
        match (later, kept.last()) {
            ([], _) => Ok(()),
            (_, Some(&last)) => {
                let path = self.path(last);
                let png = std::fs::read(&path).map_err(|error| failed(&path, "read", error))?;
                let written = write_whole(&self.newest, &png);
                written.map_err(|error| failed(&self.newest, "write", error))
            }
            (_, None) => remove(&self.newest),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    #[test]
    fn the_newest_and_those_of_powers_of_two_stay() {
        let folder = tempfile::tempdir().unwrap();
        let previews = PreviewFiles::new(folder.path(), 2, 10);
        for validation in 1..=9u64 {
            // Also where somebody stopped between two validations.
            previews.write(10 * validation - 5, b"between").unwrap();
            previews
                .write(10 * validation, &[validation as u8])
                .unwrap();
        }
        assert_eq!(previews.steps().unwrap(), [10, 20, 40, 80, 85, 90]);
        assert_eq!(
            std::fs::read(folder.path().join("preview.png")).unwrap(),
            [9]
        );
        previews.cut(90).unwrap();
        previews.cut(84).unwrap();
        assert_eq!(previews.steps().unwrap(), [10, 20, 40, 80]);
        assert_eq!(
            std::fs::read(folder.path().join("preview.png")).unwrap(),
            [8]
        );
        previews.cut(9).unwrap();
        assert_eq!(previews.steps().unwrap(), Vec::<u64>::new());
        assert!(!folder.path().join("preview.png").exists());
    }

    #[test]
    fn pictures_of_others_stay_and_what_is_gone_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let previews = PreviewFiles::new(folder.path(), 1, 10);
        previews.write(35, b"first").unwrap();
        let foreign = folder.path().join("previews/step-5.png");
        std::fs::write(&foreign, "mine").unwrap();
        previews.write(45, b"second").unwrap();
        assert_eq!(previews.steps().unwrap(), [45]);
        std::fs::remove_file(folder.path().join("preview.png")).unwrap();
        previews.cut(0).unwrap();
        assert_eq!(previews.steps().unwrap(), Vec::<u64>::new());
        assert!(foreign.exists());
    }

    #[test]
    fn none_are_written_where_none_are_wanted() {
        let folder = tempfile::tempdir().unwrap();
        PreviewFiles::new(folder.path(), 0, 10)
            .write(10, b"")
            .unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_failure_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("previews"), "in the way").unwrap();
        let failure = PreviewFiles::new(folder.path(), 1, 10).write(10, b"");
        assert!(failure.unwrap_err().contains("previews: cannot "), "named");
    }
}
