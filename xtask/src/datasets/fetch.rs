//! `cargo xtask datasets fetch`: from a manifest to a folder that is whole, or to nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use walkdir::WalkDir;

use super::cache::{Cache, Receipt, Used};
use super::catalogue::{Catalogue, Entry};
use super::check::{Check, Findings};
use super::given::{Given, candidates, understand};
use super::manifest::{SCHEMA_VERSION, Source};
use super::sources::huggingface::Hub;
use super::sources::local::GivenFile;
use super::sources::{self, Context, FetchedFile};
use super::transfer::Transfer;
use crate::failure::{self, Failure};
use crate::report::{self, say};

/// More problems than these are only counted.
const SHOWN: usize = 20;

/// Everything that fetching needs.
pub(crate) struct Fetcher {
    pub(crate) catalogue: Catalogue,
    pub(crate) cache: Cache,
    pub(crate) transfer: Transfer,
    pub(crate) hub: Hub,
}

/// What became of a set.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An earlier run has done it.
    WasThere(PathBuf),
    /// It was put here.
    Fetched(PathBuf),
    /// It stays where it is.
    Adopted(PathBuf),
}

impl Fetcher {
    /// Makes sure that the set is there.
    ///
    /// # Errors
    /// Whatever keeps it from being whole; then nothing is there that looks whole.
    pub(crate) fn fetch(&self, name: &str, from: Option<&Path>) -> Result<Outcome> {
        let entry = self.catalogue.get(name)?;
        let from = from.map(|path| understand(&entry, path)).transpose()?;
        let _lock = self.cache.lock(name)?;
        match self.cache.receipt(name)? {
            Some(receipt) => {
                if let Some(outcome) = self.again(&entry, receipt, from.as_ref())? {
                    return Ok(outcome);
                }
            }
            None => self.refuse_foreign(name)?,
        }
        match from {
            Some(Given::Folder(folder)) => self.adopt(&entry, &folder),
            Some(Given::Files(files)) => self.make(&entry, &files),
            None => self.make(&entry, &BTreeMap::new()),
        }
    }

    /// What is left to do for a set that has a receipt; `None` when it must be made again.
    fn again(
        &self,
        entry: &Entry,
        mut receipt: Receipt,
        from: Option<&Given>,
    ) -> Result<Option<Outcome>> {
        let name = &entry.manifest.name;
        let data = self.cache.data(&receipt);
        let adopted = receipt.adopted.is_some();
        if let (Some(Given::Folder(folder)), None) = (from, &receipt.adopted) {
            return Err(Failure::error(
                format!("{name} was fetched already, to {}", data.display()),
                format!(
                    "to use {} instead, delete that folder first",
                    folder.display()
                ),
            ));
        }
        if adopted && from.is_some() {
            return Ok(None);
        }
        let damage = receipt.damage(&data);
        if !damage.is_empty() {
            let first = damage
                .iter()
                .take(3)
                .copied()
                .collect::<Vec<_>>()
                .join(", ");
            let what = format!(
                "{} files of {name} are gone or changed: {first}",
                damage.len()
            );
            if adopted {
                return Err(Failure::error(
                    format!("{what} (in {})", data.display()),
                    format!(
                        "repair that folder, or name another: cargo xtask datasets fetch {name} --from FOLDER"
                    ),
                ));
            }
            say(format!("{what}; fetching it again"));
            return Ok(None);
        }
        if receipt.manifest_sha256 != entry.sha256 {
            say(format!("the manifest of {name} has changed; comparing"));
            let findings = Check {
                entry,
                folder: &data,
                known: Some(&receipt.files),
                is_ours: !adopted,
                decode: false,
            }
            .run()?;
            let hint = format!(
                "delete {} and fetch it again",
                self.cache.folder(name).display()
            );
            require_whole(
                &findings,
                &format!("{name} does not fit its new manifest"),
                &hint,
            )?;
            receipt.manifest_sha256.clone_from(&entry.sha256);
            receipt.write(&self.cache.folder(name))?;
        }
        Ok(Some(Outcome::WasThere(data)))
    }

    /// Never writes over what this command has not made.
    fn refuse_foreign(&self, name: &str) -> Result<()> {
        let folder = self.cache.folder(name);
        let is_free = match fs::read_dir(&folder) {
            Ok(mut entries) => entries.next().is_none(),
            Err(_) => fs::symlink_metadata(&folder).is_err(),
        };
        if is_free {
            return Ok(());
        }
        Err(Failure::error(
            format!(
                "{} is in the way: this command has not made it",
                folder.display()
            ),
            format!(
                "if it is the set, move it and use it there: cargo xtask datasets fetch {name} --from FOLDER; else delete it"
            ),
        ))
    }

    /// Checks a folder as `verify` does, and remembers where it is.
    fn adopt(&self, entry: &Entry, folder: &Path) -> Result<Outcome> {
        let name = &entry.manifest.name;
        let findings = Check {
            entry,
            folder,
            known: None,
            is_ours: false,
            decode: true,
        }
        .run()?;
        let hint = format!(
            "the folder must be laid out as the manifest says; see {}",
            entry.manifest.homepage
        );
        require_whole(
            &findings,
            &format!("{} is not {name}", folder.display()),
            &hint,
        )?;
        let receipt = Receipt {
            schema_version: SCHEMA_VERSION,
            name: name.clone(),
            manifest_sha256: entry.sha256.clone(),
            adopted: Some(folder.to_owned()),
            sources: Vec::new(),
            files: findings.files,
        };
        receipt.write(&self.cache.folder(name))?;
        Ok(Outcome::Adopted(folder.to_owned()))
    }

    /// Fetches all parts, checks the whole, and moves it into its place.
    fn make(&self, entry: &Entry, given: &BTreeMap<String, PathBuf>) -> Result<Outcome> {
        let name = &entry.manifest.name;
        if let Some(terms) = &entry.manifest.terms {
            say(format!("{name}: {terms}"));
        }
        let downloads = self.cache.downloads(name);
        fs::create_dir_all(&downloads)
            .with_context(|| format!("cannot create {}", downloads.display()))?;
        let staging = self.cache.staging(name)?;
        // The staging folder itself is only for this user; a data set is for everybody on the machine.
        let set = staging.path().join("set");
        let mut sources = Vec::new();
        let mut is_pinned = true;
        create(&set)?;
        for (index, part) in entry.manifest.parts().into_iter().enumerate() {
            let folder = staging.path().join(format!("part-{index}"));
            let given = given.get(part).map(PathBuf::as_path);
            let (source, files) = self.part(entry, part, given, &downloads, &folder)?;
            is_pinned &= pinned(source);
            merge(&folder, &set)?;
            sources.extend(files.into_iter().map(|file| Used {
                part: part.to_owned(),
                kind: source.kind().to_owned(),
                origin: file.origin,
                size: file.size,
                sha256: file.sha256,
            }));
        }
        let findings = Check {
            entry,
            folder: &set,
            known: None,
            is_ours: true,
            decode: false,
        }
        .run()?;
        if !findings.problems.is_empty() && !is_pinned {
            // Without a hash in the manifest the download itself may be wrong; kept, it would be used again.
            fs::remove_dir_all(&downloads)
                .with_context(|| format!("cannot remove {}", downloads.display()))?;
        }
        let hint = format!(
            "the manifest and what is offered do not fit together; compare with {}",
            entry.manifest.homepage
        );
        require_whole(&findings, &format!("what was fetched is not {name}"), &hint)?;
        let receipt = Receipt {
            schema_version: SCHEMA_VERSION,
            name: name.clone(),
            manifest_sha256: entry.sha256.clone(),
            adopted: None,
            sources,
            files: findings.files,
        };
        receipt.write(&set)?;
        let place = self.cache.folder(name);
        replace(&set, &place, &staging.path().join("old"))?;
        fs::remove_dir_all(&downloads)
            .with_context(|| format!("cannot remove {}", downloads.display()))?;
        Ok(Outcome::Fetched(place))
    }

    /// Fetches one part from the first of its sources that can be used.
    fn part<'a>(
        &self,
        entry: &'a Entry,
        part: &'a str,
        given: Option<&Path>,
        downloads: &Path,
        folder: &Path,
    ) -> Result<(&'a Source, Vec<FetchedFile>)> {
        let name = &entry.manifest.name;
        let mut causes: Vec<(&Source, anyhow::Error)> = Vec::new();
        for source in candidates(entry, part, given) {
            // What a source that failed has left must not get into the set.
            if folder.exists() {
                fs::remove_dir_all(folder)
                    .with_context(|| format!("cannot empty {}", folder.display()))?;
            }
            create(folder)?;
            let context = Context {
                manifest: &entry.manifest,
                list: &entry.list,
                part,
                downloads,
                folder,
                transfer: &self.transfer,
                hub: &self.hub,
                given,
            };
            let name = given.and_then(Path::file_name).unwrap_or_default();
            let instead = GivenFile::instead_of(source, &name.to_string_lossy());
            let fetched = match (given, instead) {
                (Some(path), Some(expected)) => expected.take(path, &context),
                _ => sources::fetch(source, &context),
            };
            match fetched {
                Ok(files) => return Ok((source, files)),
                Err(error) => causes.push((source, error)),
            }
        }
        if causes.len() == 1 {
            let (source, error) = causes.remove(0);
            // It has said just this, and what to do.
            if matches!(source, Source::Local(_)) && given.is_none() {
                return Err(error);
            }
            return Err(error.context(format!("cannot fetch part {part} of {name}")));
        }
        let hint = format!(
            "look at {}; a copy from elsewhere can be given: cargo xtask datasets fetch {name} --from PATH",
            entry.manifest.homepage
        );
        let lines: Vec<String> = causes
            .iter()
            .map(|(source, error)| {
                format!("{}: {}", source.kind(), failure::with_hints(error, &hint))
            })
            .collect();
        Err(Failure::error(
            format!(
                "part {part} of {name} could not be had from any of {} sources:\n{}",
                lines.len(),
                lines.join("\n")
            ),
            hint,
        ))
    }
}

/// Whether the manifest says exactly which bytes the source gives.
fn pinned(source: &Source) -> bool {
    match source {
        Source::Http(source) => source.sha256.is_some(),
        Source::Huggingface(source) => source.files.iter().all(|file| file.sha256.is_some()),
        Source::Pip(_) | Source::Deb(_) | Source::Local(_) => true,
    }
}

/// The error that names what is wrong.
fn require_whole(findings: &Findings, what: &str, hint: &str) -> Result<()> {
    let problems = &findings.problems;
    if problems.is_empty() {
        return Ok(());
    }
    let mut lines: Vec<String> = problems
        .iter()
        .take(SHOWN)
        .map(|problem| {
            let fault = problem.fault.name();
            format!("\n  {fault}: {}: {}", problem.path, problem.detail)
        })
        .collect();
    if problems.len() > SHOWN {
        lines.push(format!("\n  and {} more", problems.len() - SHOWN));
    }
    Err(Failure::error(
        format!("{what}:{}", lines.concat()),
        hint.to_owned(),
    ))
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir(folder).with_context(|| format!("cannot create {}", folder.display()))
}

/// Moves the files of a part into the set.
fn merge(part: &Path, set: &Path) -> Result<()> {
    for entry in WalkDir::new(part) {
        let entry = entry.with_context(|| format!("cannot list {}", part.display()))?;
        if entry.file_type().is_dir() {
            continue;
        }
        let path = entry
            .path()
            .strip_prefix(part)
            .with_context(|| format!("cannot list {}", part.display()))?;
        let place = set.join(path);
        if fs::symlink_metadata(&place).is_ok() {
            return Err(Failure::error(
                format!("two parts bring {}", path.display()),
                "the manifest must give them different places",
            ));
        }
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot create {}", parent.display()))?;
        }
        fs::rename(entry.path(), &place)
            .with_context(|| format!("cannot create {}", place.display()))?;
    }
    Ok(())
}

/// Moves `set` to `place`; what lies there, which is ours, is first moved aside and deleted with the staging folder.
fn replace(set: &Path, place: &Path, aside: &Path) -> Result<()> {
    let was_there = fs::symlink_metadata(place).is_ok();
    if was_there {
        fs::rename(place, aside)
            .with_context(|| format!("cannot move {} away", place.display()))?;
    }
    if let Err(error) = fs::rename(set, place) {
        if was_there {
            // Nothing more can be done if this fails too; the error below names the cause of both.
            let _ = fs::rename(aside, place);
        }
        return Err(error).with_context(|| format!("cannot create {}", place.display()));
    }
    Ok(())
}

/// Says what became of a set.
pub(crate) fn announce(name: &str, outcome: &Outcome, time: std::time::Duration) {
    let time = report::duration(time);
    say(match outcome {
        Outcome::WasThere(path) => format!("{name} is there: {}", path.display()),
        Outcome::Fetched(path) => format!("{name} is whole: {} ({time})", path.display()),
        Outcome::Adopted(path) => {
            format!("{name} is used where it is: {} ({time})", path.display())
        }
    });
}
