//! Results of earlier runs, found again by what they were computed from.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ms_guidance::checkpoint::sha256;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::pairs::Pair;
use super::scores::Scores;
use crate::hints::Problem;

/// Version of the lines; it rises when results of earlier versions cannot be used any more.
const VERSION: u32 = 1;
/// What every line begins with.
const BEGINNING: &str = "{\"version\":1,\"key\":\"";

/// One line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    version: u32,
    /// SHA-256 of everything that the scores depend on.
    key: String,
    /// For people; not looked at.
    name: String,
    scores: Scores,
}

/// A file of results: read when it is opened, then written line by line.
pub(crate) struct Store {
    path: PathBuf,
    known: HashMap<String, Scores>,
    file: Mutex<File>,
}

/// SHA-256 of a file.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn file_hash(path: &Path) -> Result<String, Problem> {
    let bytes = std::fs::read(path)
        .map_err(|error| Problem::new(format!("cannot read: {error}")).at(path))?;
    Ok(sha256(&bytes))
}

/// What the scores of a pair depend on, in one number. `measurement` stands for metrics, protocol and weights, `restoration` for
/// model and options; the latter counts only for what is restored.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn key(
    measurement: &serde_json::Value,
    restoration: &serde_json::Value,
    pair: &Pair,
) -> Result<String, Problem> {
    let mut files = serde_json::Map::new();
    for (what, path) in pair.files() {
        files.insert(what.to_owned(), file_hash(path)?.into());
    }
    let restoration = if pair.restored.is_none() {
        restoration
    } else {
        &serde_json::Value::Null
    };
    let all = json!({ "files": files, "measurement": measurement, "restoration": restoration });
    // The keys of the object are in alphabetical order, so that equal content is equal text.
    Ok(sha256(all.to_string().as_bytes()))
}

impl Store {
    /// Opens or creates the file. A last line that a stopped run did not finish is cut off.
    ///
    /// # Errors
    /// A file that cannot be read and written, holds anything else, or is in use by another run.
    pub(crate) fn open(path: &Path) -> Result<Self, Problem> {
        let refused = |error: std::io::Error| {
            Problem::new(format!("cannot read and write this file: {error}"))
                .at(path)
                .hint("choose another with --reuse")
        };
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(refused)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Problem::new("another run is writing to this file")
                    .at(path)
                    .hint("wait for its end, or give each run a --reuse of its own"));
            }
            // Some network shares have no locks.
            Err(TryLockError::Error(error)) => tracing::debug!("no lock: {error}"),
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).map_err(refused)?;
        file.read_to_end(&mut bytes).map_err(refused)?;
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let (lines, torn) = bytes.split_at(whole);
        let known = parse(lines).map_err(|problem| problem.at(path))?;
        let begins = torn.iter().zip(BEGINNING.as_bytes()).all(|(a, b)| a == b);
        // A whole value without an end of line was not torn, so somebody else wrote it.
        let whole_value = serde_json::from_slice::<serde_json::Value>(torn).is_ok();
        if !begins || whole_value {
            return Err(no_results(known.len() + 1).at(path));
        }
        if !torn.is_empty() {
            file.set_len(whole as u64).map_err(refused)?;
        }
        Ok(Self {
            path: path.to_owned(),
            known,
            file: Mutex::new(file),
        })
    }

    /// The scores that were computed from the same.
    pub(crate) fn get(&self, key: &str) -> Option<&Scores> {
        self.known.get(key)
    }

    /// Adds a line; when this returns, the operating system has it.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn add(&self, key: String, name: &str, scores: &Scores) -> Result<(), Problem> {
        let line = Line {
            version: VERSION,
            key,
            name: name.to_owned(),
            scores: scores.clone(),
        };
        let failed = |error: std::io::Error| {
            Problem::new(format!("cannot write: {error}"))
                .at(&self.path)
                .hint("free some space on that disk")
        };
        let mut text = serde_json::to_string(&line).map_err(|error| failed(error.into()))?;
        text.push('\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let length = file.metadata().map_err(failed)?.len();
        file.write_all(text.as_bytes()).map_err(|error| {
            // Half a line in the middle of the file would make all of it unreadable.
            let _ = file.set_len(length);
            failed(error)
        })
    }
}

fn parse(bytes: &[u8]) -> Result<HashMap<String, Scores>, Problem> {
    let mut known = HashMap::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } =
            serde_json::from_slice(line).map_err(|_| no_results(index + 1))?;
        if version != VERSION {
            return Err(Problem::new(format!(
                "line {} has version {version}, this program writes {VERSION}",
                index + 1
            ))
            .hint("choose a new file with --reuse"));
        }
        let line: Line = serde_json::from_slice(line).map_err(|_| no_results(index + 1))?;
        known.insert(line.key, line.scores);
    }
    Ok(known)
}

fn no_results(line: usize) -> Problem {
    Problem::new(format!("line {line} is no result of `msdeblur evaluate`"))
        .hint("give a new file, or one that --reuse made")
}

#[cfg(test)]
mod tests {
    use image_quality::MetricValue;

    use super::super::metric::Metric;
    use super::*;

    fn scores(psnr: f64) -> Scores {
        Scores {
            metrics: [(Metric::Psnr, MetricValue(psnr))].into(),
            input_metrics: None,
            seconds: Some(0.5),
            features: None,
            saved: None,
        }
    }

    #[test]
    fn lines_are_found_again_and_a_torn_one_is_cut_off() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("results.jsonl");
        let store = Store::open(&path).expect("a new file");
        store
            .add("k1".into(), "a", &scores(f64::INFINITY))
            .expect("a line");
        store
            .add("k2".into(), "b", &scores(30.123_456_789))
            .expect("a line");
        let busy = Store::open(&path).err().expect("in use");
        assert!(busy.message.contains("another run"), "{busy:?}");
        drop(store);
        let whole = std::fs::read(&path).expect("the file");
        // Stopped anywhere in a third line, its first byte included.
        for torn in ["{", "{\"ver", "{\"version\":1,\"key\":\"k3\",\"na"] {
            std::fs::write(&path, [&whole[..], torn.as_bytes()].concat()).expect("a file");
            let store = Store::open(&path).expect("a torn file");
            assert_eq!(store.get("k1"), Some(&scores(f64::INFINITY)));
            assert_eq!(store.get("k2"), Some(&scores(30.123_456_789)));
            assert_eq!(store.get("k3"), None);
            drop(store);
            assert_eq!(std::fs::read(&path).expect("the file"), whole);
        }
    }

    #[test]
    fn other_files_are_refused_and_stay_as_they_are() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("other");
        for (content, words) in [
            ("name,psnr\na,30\n", "line 1 is no result"),
            ("\u{89}PNG", "line 1 is no result"),
            (
                "{\"version\":1,\"type\":\"image\",\"data\":{}}\n",
                "line 1 is no result",
            ),
            ("{\"version\":2,\"key\":\"\"}\n", "line 1 has version 2"),
        ] {
            std::fs::write(&path, content).expect("a file");
            let problem = Store::open(&path).err().expect("refused");
            assert!(problem.message.contains(words), "{problem:?}");
            assert_eq!(std::fs::read_to_string(&path).expect("the file"), content);
        }
    }
}
