//! Compares a folder with what the manifest says that it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use globset::GlobMatcher;
use image_io::Limits;
use rayon::prelude::*;
use serde::Serialize;

use super::cache::FileRecord;
use super::catalogue::Entry;
use super::listing::{compiled, files, matches_of};
use super::manifest::Split;
use super::pairs::pair;
use super::validate::glob;
use crate::hash;
use crate::progress::{Progress, Unit};

/// What is compared, and how thoroughly.
pub(crate) struct Check<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) folder: &'a Path,
    /// The files of the receipt, when there is one.
    pub(crate) known: Option<&'a [FileRecord]>,
    /// Whether the folder is ours: then nothing else may lie in it.
    pub(crate) is_ours: bool,
    /// Decode every photo to its last pixel; otherwise only the headers are read.
    pub(crate) decode: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) problems: Vec<Problem>,
    /// Every file that belongs to the set.
    pub(crate) files: Vec<FileRecord>,
    /// Pairs that are complete.
    pub(crate) pairs: usize,
}

/// Something that is not as the manifest says.
#[derive(Clone, Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    pub(crate) fault: Fault,
    /// Relative to the set; the label of a split where a number is wrong.
    pub(crate) path: String,
    /// In words.
    pub(crate) detail: String,
}

/// The kinds of problems.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// A split has more or fewer pairs or files.
    Count,
    /// A file is not there.
    Missing,
    /// A file is there that does not belong to the set.
    Extra,
    /// A photo has no partner.
    Unpaired,
    /// A photo has another width or height.
    WrongSize,
    /// A file cannot be read to its end, or has other contents.
    Corrupt,
}

impl Fault {
    /// As it is shown.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Unpaired => "unpaired",
            Self::WrongSize => "wrong size",
            Self::Corrupt => "corrupt",
        }
    }
}

/// What one file must be.
#[derive(Clone, Debug, Default)]
struct Wanted {
    is_photo: bool,
    size: Option<[u32; 2]>,
    sha256: Option<String>,
}

/// What one file is.
struct Found {
    record: Option<FileRecord>,
    size: Option<[u32; 2]>,
    problems: Vec<Problem>,
}

/// The state of one check.
struct Checking<'a> {
    check: &'a Check<'a>,
    present: BTreeSet<String>,
    wanted: BTreeMap<String, Wanted>,
    pairs: Vec<(String, String)>,
    /// Sharp photos for which a split has no blurry one, and why.
    single: Vec<(String, String)>,
    problems: BTreeSet<Problem>,
}

impl Check<'_> {
    /// Looks at every file, many at once.
    ///
    /// # Errors
    /// When the folder cannot be listed. What is wrong with the set is no error here.
    pub(crate) fn run(&self) -> Result<Findings> {
        let mut checking = Checking {
            check: self,
            present: files(self.folder)?,
            wanted: BTreeMap::new(),
            pairs: Vec::new(),
            single: Vec::new(),
            problems: BTreeSet::new(),
        };
        for split in &self.entry.manifest.splits {
            checking.split(split)?;
        }
        checking.singles();
        checking.documents()?;
        checking.compare_with_receipt();
        checking.strangers();
        Ok(checking.contents())
    }
}

impl Checking<'_> {
    fn say(&mut self, fault: Fault, path: &str, detail: impl Into<String>) {
        self.problems.insert(Problem {
            fault,
            path: path.to_owned(),
            detail: detail.into(),
        });
    }

    fn split(&mut self, split: &Split) -> Result<()> {
        let label = split.label();
        let list = &self.check.entry.list;
        let sharp = self.matching(split, split.sharp.as_deref())?;
        let blurry = self.matching(split, split.blurry.as_deref())?;
        let data = self.matching(split, split.data.as_deref())?;
        for path in &data {
            self.wanted.entry(path.clone()).or_default();
        }
        for path in sharp.iter().chain(&blurry) {
            let wanted = self.wanted.entry(path.clone()).or_default();
            wanted.is_photo = true;
            wanted.size = wanted.size.or(split.size);
        }
        if split.files.is_some() {
            for row in list.of_split(&label) {
                if !self.present.contains(&row.path) {
                    self.say(
                        Fault::Missing,
                        &row.path,
                        format!("the list of {label} has it"),
                    );
                    continue;
                }
                let wanted = self.wanted.entry(row.path.clone()).or_default();
                wanted.size = row
                    .width
                    .zip(row.height)
                    .map(|(w, h)| [w, h])
                    .or(wanted.size);
                wanted.sha256 = row.sha256.clone().or(wanted.sha256.take());
            }
        } else {
            let (found, what) = match (&split.blurry, &split.sharp) {
                (Some(_), Some(_)) => (blurry.len(), "pairs"),
                (Some(_), None) => (blurry.len(), "photos"),
                (None, Some(_)) => (sharp.len(), "photos"),
                (None, None) => (data.len(), "files"),
            };
            if found as u64 != split.count {
                let detail = format!("has {found} {what}, expected {}", split.count);
                self.say(Fault::Count, &label, detail);
            }
        }
        if let Some(pairing) = &split.pairing {
            let of = |paths: &'_ [String]| -> Vec<String> { paths.to_vec() };
            let (blurry, sharp) = (of(&blurry), of(&sharp));
            let blurry: Vec<&str> = blurry.iter().map(String::as_str).collect();
            let sharp: Vec<&str> = sharp.iter().map(String::as_str).collect();
            let found = pair(split, pairing, &blurry, &sharp, list);
            let sharp: BTreeSet<&str> = sharp.into_iter().collect();
            for (path, why) in found.alone {
                if sharp.contains(path.as_str()) {
                    // Another split may have its blurry photo: HIDE keeps all sharp ones in one folder.
                    self.single.push((path, why));
                } else {
                    self.say(Fault::Unpaired, &path, why);
                }
            }
            self.pairs.extend(found.pairs);
        }
        Ok(())
    }

    /// The files of a split that are there and fit a glob. With a list, the others that fit are left to
    /// [`Checking::strangers`]: they may belong to another split.
    fn matching(&self, split: &Split, pattern: Option<&str>) -> Result<Vec<String>> {
        matches_of(&self.present, self.check.entry, split, pattern)
    }

    /// Names the sharp photos that belong to no blurry one of any split.
    fn singles(&mut self) {
        let used: BTreeSet<&str> = self.pairs.iter().map(|(_, sharp)| sharp.as_str()).collect();
        let single = std::mem::take(&mut self.single);
        let unused: Vec<_> = single
            .into_iter()
            .filter(|(path, _)| !used.contains(path.as_str()))
            .collect();
        for (path, why) in unused {
            self.say(Fault::Unpaired, &path, why);
        }
    }

    fn documents(&mut self) -> Result<()> {
        for pattern in &self.check.entry.manifest.documents {
            let pattern = compiled(pattern)?;
            for path in &self.present {
                if pattern.is_match(path) {
                    self.wanted.entry(path.clone()).or_default();
                }
            }
        }
        Ok(())
    }

    fn compare_with_receipt(&mut self) {
        let Some(known) = self.check.known else {
            return;
        };
        for file in known {
            if self.present.contains(&file.path) {
                let wanted = self.wanted.entry(file.path.clone()).or_default();
                // The list is the older witness.
                wanted.sha256.get_or_insert_with(|| file.sha256.clone());
            } else if !self.is_said(Fault::Missing, &file.path) {
                self.say(
                    Fault::Missing,
                    &file.path,
                    "it was there when the set was fetched",
                );
            }
        }
        let known: BTreeSet<&str> = known.iter().map(|file| file.path.as_str()).collect();
        let new: Vec<String> = self
            .wanted
            .keys()
            .filter(|path| !known.contains(path.as_str()))
            .cloned()
            .collect();
        for path in new {
            self.say(
                Fault::Extra,
                &path,
                "it was not there when the set was fetched",
            );
        }
    }

    /// Files that belong to nothing: in our folder all of them, elsewhere those that fit the glob of a split.
    fn strangers(&mut self) {
        let globs: Vec<GlobMatcher> = self
            .check
            .entry
            .manifest
            .splits
            .iter()
            .flat_map(|split| [&split.sharp, &split.blurry, &split.data])
            .flatten()
            .filter_map(|pattern| glob(pattern).ok())
            .collect();
        let strangers: Vec<(String, bool)> = self
            .present
            .iter()
            .filter(|path| !self.wanted.contains_key(path.as_str()))
            .map(|path| (path.clone(), globs.iter().any(|glob| glob.is_match(path))))
            .collect();
        for (path, fits) in strangers {
            if fits {
                self.say(Fault::Extra, &path, "it is not in the list");
            } else if self.check.is_ours {
                self.say(Fault::Extra, &path, "it belongs to no split");
            }
        }
    }

    fn is_said(&self, fault: Fault, path: &str) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.fault == fault && problem.path == path)
    }

    /// Reads all files that belong to the set.
    fn contents(mut self) -> Findings {
        let what = format!("checking {}", self.check.entry.manifest.name);
        let progress = Progress::new(self.wanted.len() as u64, &what, Unit::Files);
        let wanted = std::mem::take(&mut self.wanted);
        let found: BTreeMap<&str, Found> = wanted
            .par_iter()
            .map(|(path, wanted)| {
                let found = look(self.check, path, wanted);
                progress.inc(1);
                (path.as_str(), found)
            })
            .collect();
        drop(progress);
        let mut files = Vec::new();
        for found in found.values() {
            self.problems.extend(found.problems.iter().cloned());
            files.extend(found.record.clone());
        }
        let size = |path: &str| found.get(path).and_then(|found| found.size);
        let mut complete = 0;
        for (blurry, sharp) in std::mem::take(&mut self.pairs) {
            complete += 1;
            if let (Some(is), Some(should)) = (size(&blurry), size(&sharp))
                && is != should
            {
                let detail = format!("is {}, its sharp photo {sharp} is {}", by(is), by(should));
                self.say(Fault::WrongSize, &blurry, detail);
            }
        }
        Findings {
            problems: self.problems.into_iter().collect(),
            files,
            pairs: complete,
        }
    }
}

/// Reads one file.
fn look(check: &Check, path: &str, wanted: &Wanted) -> Found {
    let full = check.folder.join(path);
    let mut found = Found {
        record: None,
        size: None,
        problems: Vec::new(),
    };
    let mut say = |fault, detail: String| {
        found.problems.push(Problem {
            fault,
            path: path.to_owned(),
            detail,
        });
    };
    let length = std::fs::metadata(&full).map(|data| data.len());
    match (hash::sha256(&full), length) {
        (Ok(sha256), Ok(size)) => {
            if let Some(expected) = wanted.sha256.as_ref().filter(|hash| **hash != sha256) {
                say(
                    Fault::Corrupt,
                    format!("has SHA-256 {sha256}, expected {expected}"),
                );
            }
            if size == 0 {
                say(Fault::Corrupt, "is empty".to_owned());
            }
            found.record = Some(FileRecord {
                path: path.to_owned(),
                size,
                sha256,
            });
        }
        (Err(error), _) => say(Fault::Corrupt, format!("{error:#}")),
        (_, Err(error)) => say(Fault::Corrupt, format!("cannot be read: {error}")),
    }
    if wanted.is_photo && found.record.as_ref().is_some_and(|record| record.size > 0) {
        let limits = Limits::default();
        let size = if check.decode {
            image_io::read(&full, &limits).map(|photo| {
                [photo.width(), photo.height()].map(|side| u32::try_from(side).unwrap_or(u32::MAX))
            })
        } else {
            image_io::image_size(&full, &limits).map(|(width, height)| [width, height])
        };
        match size {
            Ok(size) => {
                if let Some(expected) = wanted.size.filter(|expected| *expected != size) {
                    let detail = format!("is {}, expected {}", by(size), by(expected));
                    found.problems.push(Problem {
                        fault: Fault::WrongSize,
                        path: path.to_owned(),
                        detail,
                    });
                }
                found.size = Some(size);
            }
            Err(error) => found.problems.push(Problem {
                fault: Fault::Corrupt,
                path: path.to_owned(),
                detail: error.to_string(),
            }),
        }
    }
    found
}

fn by([width, height]: [u32; 2]) -> String {
    format!("{width}×{height}")
}
