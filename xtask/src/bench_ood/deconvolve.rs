//! Restores the pictures of a run by a classical method, many at once, and keeps what is done.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result};
use image_io::{Limits, Photo};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::classical::Classical;
use super::pairs::Pair;
use super::stop;
use crate::hash;
use crate::progress::{Progress, Unit};
use crate::synth::write_photo;

/// A picture to restore.
pub(crate) struct Task<'a> {
    /// `DOMAIN/CONDITION/NAME`.
    pub(crate) name: String,
    pub(crate) pair: &'a Pair,
}

/// A restored picture, or why there is none.
pub(crate) type Restored = Result<(PathBuf, f64), String>;

/// A line of the file that says what is done.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Done {
    name: String,
    /// SHA-256 of everything that the picture depends on.
    key: String,
    /// Of the file that was written.
    sha256: String,
    seconds: f64,
}

/// Restores every picture into `folder/NAME.png`; those that the file `done` knows are kept if they are still the same.
///
/// # Errors
/// A folder that cannot be written; a picture that cannot be restored is none.
pub(crate) fn run(
    method: Classical,
    tasks: &[Task<'_>],
    folder: &Path,
    done: &Path,
) -> Result<BTreeMap<String, Restored>> {
    let known = read(done);
    let program = hash::of_this_program()?;
    let cannot_write = || format!("cannot write {}", done.display());
    if let Some(parent) = done.parent() {
        fs::create_dir_all(parent).with_context(cannot_write)?;
    }
    let log = OpenOptions::new().create(true).append(true).open(done);
    let mut log = log.with_context(cannot_write)?;
    // A line that was cut off when a run was killed must not swallow the next.
    if ends_within_a_line(done) {
        log.write_all(b"\n").with_context(cannot_write)?;
    }
    let log = Mutex::new(log);
    let progress = Progress::new(tasks.len() as u64, method.name(), Unit::Pictures);
    let restored = tasks
        .par_iter()
        .map(|task| {
            stop::check()?;
            let file = folder.join(format!("{}.png", task.name));
            let key = key(method, task.pair, &program)?;
            let kept = known.get(&task.name).filter(|done| {
                done.key == key && hash::sha256(&file).is_ok_and(|found| found == done.sha256)
            });
            let outcome = match kept {
                Some(done) => Ok(done.seconds),
                None => restore(method, task.pair, &file).and_then(|seconds| {
                    let done = Done {
                        name: task.name.clone(),
                        key,
                        sha256: hash::sha256(&file)?,
                        seconds,
                    };
                    let mut line = serde_json::to_string(&done)?;
                    line.push('\n');
                    if let Ok(mut log) = log.lock() {
                        log.write_all(line.as_bytes()).with_context(cannot_write)?;
                    }
                    Ok(seconds)
                }),
            };
            progress.inc(1);
            let outcome = outcome
                .map(|seconds| (file, seconds))
                .map_err(|error| format!("{error:#}"));
            Ok((task.name.clone(), outcome))
        })
        .collect::<Result<_>>()?;
    drop(progress);
    Ok(restored)
}

/// Restores one picture and returns the time that this took, without reading and writing.
fn restore(method: Classical, pair: &Pair, file: &Path) -> Result<f64> {
    let degradation = pair.degradation.as_ref().context("its blur is not known")?;
    let blurry = image_io::read(&pair.blurry, &Limits::default())?;
    let start = Instant::now();
    let pixels = method
        .restore(blurry.pixels.view(), degradation)?
        .context("its blur is not one kernel")?;
    let seconds = start.elapsed().as_secs_f64();
    let restored: Photo = blurry.with_pixels(pixels);
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
    }
    write_photo(file, &restored)?;
    Ok(seconds)
}

/// Everything that a picture depends on, `program` being the hash of the one that restores it.
fn key(method: Classical, pair: &Pair, program: &str) -> Result<String> {
    let mut hasher = Sha256::new();
    hasher.update(method.description());
    hasher.update(program);
    hasher.update(&pair.sha256);
    hasher.update(serde_json::to_vec(&pair.degradation)?);
    Ok(hash::hexadecimal(&hasher.finalize()))
}

/// What is done, by name; the last line of a name counts, and lines that are cut off are passed over.
fn read(done: &Path) -> HashMap<String, Done> {
    let text = fs::read(done).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .filter_map(|line| serde_json::from_str::<Done>(line).ok())
        .map(|done| (done.name.clone(), done))
        .collect()
}

fn ends_within_a_line(path: &Path) -> bool {
    fs::read(path).is_ok_and(|text| text.last().is_some_and(|byte| *byte != b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use blur_synth::{Blur, Degradation};
    use image_io::{Format, PhotoInfo};
    use ndarray::Array3;

    fn pair(folder: &Path, degradation: Option<Degradation>) -> Pair {
        let pixels = Array3::from_shape_fn((3, 24, 20), |(channel, row, column)| {
            ((channel + row * column) % 7) as f32 / 7.0
        });
        let photo = Photo {
            pixels,
            alpha: None,
            info: PhotoInfo::new(Format::Png),
        };
        let blurry = folder.join("blurry.png");
        write_photo(&blurry, &photo).unwrap();
        Pair {
            name: "one".to_owned(),
            photo: "set/one.png".to_owned(),
            sharp: blurry.clone(),
            blurry,
            sha256: "ab".to_owned(),
            degradation,
        }
    }

    #[test]
    fn what_is_done_is_kept_and_what_is_damaged_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let degradation = Degradation::noiseless(Blur::disc(1.5));
        let pair = pair(folder.path(), Some(degradation));
        let task = || Task {
            name: "photos/disc/one".to_owned(),
            pair: &pair,
        };
        let done = folder.path().join("work/done.jsonl");
        let run = || {
            let restored = run(Classical::Wiener, &[task()], folder.path(), &done).unwrap();
            let file = restored["photos/disc/one"].clone().unwrap().0;
            let lines = fs::read_to_string(&done).unwrap().lines().count();
            (hash::sha256(&file).unwrap(), file, lines)
        };
        let (first, file, lines) = run();
        assert_eq!(lines, 1);
        let modified = || fs::metadata(&file).unwrap().modified().unwrap();
        let time = modified();
        assert_eq!((run().2, modified()), (1, time), "made again");
        // A run that was killed leaves half a line; a picture may be damaged.
        let mut text = fs::read_to_string(&done).unwrap();
        text.push_str("{\"name\":\"pho");
        fs::write(&done, text).unwrap();
        fs::write(&file, "cut off").unwrap();
        let (second, _, lines) = run();
        assert_eq!((second, lines), (first, 3));
        assert_eq!(run().2, 3, "the new line is read");
    }

    #[test]
    fn pictures_of_another_build_are_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let pair = pair(folder.path(), Some(Degradation::noiseless(Blur::none())));
        let key = |program| key(Classical::Wiener, &pair, program).unwrap();
        assert_eq!(key("ab"), key("ab"));
        assert_ne!(key("ab"), key("cd"));
        let program = hash::of_this_program().unwrap();
        assert_eq!(program, hash::of_this_program().unwrap());
        assert_eq!(program.len(), 64);
    }

    #[test]
    fn a_picture_that_fails_does_not_stop_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let good = pair(folder.path(), Some(Degradation::noiseless(Blur::none())));
        let mut bad = good.clone();
        bad.blurry = folder.path().join("absent.png");
        let mut unknown = good.clone();
        unknown.degradation = None;
        let task = |name: &str, pair| Task {
            name: name.to_owned(),
            pair,
        };
        let tasks = [
            task("bad", &bad),
            task("good", &good),
            task("unknown", &unknown),
        ];
        let done = folder.path().join("done.jsonl");
        let restored = run(Classical::RichardsonLucy, &tasks, folder.path(), &done).unwrap();
        assert!(restored["good"].is_ok());
        assert!(restored["bad"].as_ref().unwrap_err().contains("absent.png"));
        assert!(
            restored["unknown"]
                .as_ref()
                .unwrap_err()
                .contains("not known")
        );
    }
}
