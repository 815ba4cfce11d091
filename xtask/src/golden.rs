//! `cargo xtask golden`: are the reference values in the tests still what their generators make?
//!
//! A generator is a `gen.py` in `tests/golden/NAME` or in `tests/golden` of a crate; it writes `.safetensors` files
//! next to itself. The check runs a copy in a temporary folder, so that it never touches the files of the repository.

mod compare;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use clap::Args;
use walkdir::WalkDir;

use crate::failure::Failure;
use crate::python;
use crate::report::{self, say};
use crate::workspace;
use compare::Tensors;

/// Compare the reference values of the tests with what their Python generators make
#[derive(Args, Debug, Default)]
pub(crate) struct Arguments {
    /// Write them anew instead
    #[arg(long)]
    write: bool,
    /// Compare; what needs packages that are not installed is skipped with a message (the default)
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Make a skipped comparison an error
    #[arg(long, conflicts_with = "write")]
    strict: bool,
    /// The interpreter to run [default: python3 or python, whichever has the packages]
    #[arg(long, value_name = "PROGRAM", env = "MSDEBLUR_PYTHON")]
    python: Option<PathBuf>,
}

/// What came of a check that found no difference.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Generators whose files were made again and agree.
    pub(crate) agreed: usize,
    /// Generators that could not be run, each with the reason.
    pub(crate) skipped: Vec<String>,
}

/// Runs the task.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.write {
        return write(arguments);
    }
    let outcome = check(arguments)?;
    say(format!(
        "golden: the files of {} generators agree",
        outcome.agreed
    ));
    for why in &outcome.skipped {
        say(format!("golden: skipped {why}"));
    }
    if arguments.strict && !outcome.skipped.is_empty() {
        return Err(Failure::error(
            format!("golden: {} generators were skipped", outcome.skipped.len()),
            INSTALL,
        ));
    }
    Ok(())
}

const INSTALL: &str = "install the packages of the recorded versions into a virtual environment and name its interpreter \
                       in MSDEBLUR_PYTHON";

/// The check alone, for other tasks.
pub(crate) fn check_quietly() -> Result<Outcome> {
    check(&Arguments {
        python: std::env::var_os("MSDEBLUR_PYTHON").map(PathBuf::from),
        ..Arguments::default()
    })
}

fn check(arguments: &Arguments) -> Result<Outcome> {
    let root = workspace::root();
    let generators = generators(root)?;
    let mirror = mirror(root, &generators)?;
    let mut outcome = Outcome::default();
    let mut differences = Vec::new();
    for generator in &generators {
        let folder = root.join(generator);
        let recorded = recorded(&folder)?;
        if recorded.is_empty() {
            return Err(Failure::error(
                format!("{}: its files name no versions", generator.display()),
                "write an object `versions` of package names and versions into their metadata",
            ));
        }
        let (python, note) = match interpreter(arguments.python.as_deref(), &recorded) {
            Ok(found) => found,
            Err(why) => {
                outcome
                    .skipped
                    .push(format!("{}: {why}", generator.display()));
                continue;
            }
        };
        if let Some(note) = note {
            say(format!("golden: {}: {note}", generator.display()));
        }
        let start = std::time::Instant::now();
        let copy = mirror.path().join(generator);
        // What is compared below must have been written by this run.
        for file in safetensors(&copy)? {
            fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
        execute(&python, &copy)?;
        differences.extend(compare_folders(&folder, &copy)?);
        outcome.agreed += 1;
        say(format!(
            "golden: {} made again in {}",
            generator.display(),
            report::duration(start.elapsed())
        ));
    }
    if differences.is_empty() {
        return Ok(outcome);
    }
    Err(Failure::error(
        format!(
            "reference values differ from what their generators make:\n  {}",
            differences.join("\n  ")
        ),
        "if the generator was changed on purpose: cargo xtask golden --write",
    ))
}

fn write(arguments: &Arguments) -> Result<()> {
    let root = workspace::root();
    // Whatever versions there are: writing anew is how another version is taken up.
    let python = arguments
        .python
        .clone()
        .or_else(|| python::candidates().into_iter().next())
        .context("no Python")?;
    for generator in generators(root)? {
        let folder = root.join(&generator);
        execute(&python, &folder)?;
        say(format!("golden: {} written", generator.display()));
    }
    Ok(())
}

/// The folders that have a generator, relative to the root.
fn generators(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut parents = vec![PathBuf::from("tests/golden")];
    for crate_folder in subfolders(&root.join("crates"))? {
        parents.push(Path::new("crates").join(crate_folder).join("tests"));
    }
    let mut generators = BTreeSet::new();
    for parent in parents {
        for name in subfolders(&root.join(&parent)).unwrap_or_default() {
            let folder = parent.join(name);
            if root.join(&folder).join("gen.py").is_file() {
                generators.insert(folder);
            }
        }
    }
    Ok(generators)
}

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>> {
    let context = || format!("cannot list {}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        if entry.path().is_dir() {
            names.push(PathBuf::from(entry.file_name()));
        }
    }
    Ok(names)
}

/// A copy of what generators may read: their own folders, and the Python modules in `benches`.
fn mirror(root: &Path, generators: &BTreeSet<PathBuf>) -> Result<tempfile::TempDir> {
    let mirror = tempfile::tempdir().context("cannot create a temporary folder")?;
    let benches = PathBuf::from("benches");
    for folder in generators.iter().chain([&benches]) {
        let depth = if *folder == benches { 1 } else { usize::MAX };
        for entry in WalkDir::new(root.join(folder)).max_depth(depth) {
            let entry = entry.context("cannot copy the generators")?;
            let is_module = entry
                .path()
                .extension()
                .is_some_and(|suffix| suffix == "py");
            if !entry.file_type().is_file() || (*folder == benches && !is_module) {
                continue;
            }
            let relative = entry
                .path()
                .strip_prefix(root)
                .context("cannot copy the generators")?;
            let copy = mirror.path().join(relative);
            if let Some(parent) = copy.parent() {
                fs::create_dir_all(parent)
                    .with_context(|| format!("cannot create {}", parent.display()))?;
            }
            fs::copy(entry.path(), &copy)
                .with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(mirror)
}

fn execute(python: &Path, folder: &Path) -> Result<()> {
    let mut command = Command::new(python);
    // One thread, so that sums are taken in the same order everywhere.
    command
        .arg("gen.py")
        .current_dir(folder)
        .env("OMP_NUM_THREADS", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command.stdin(Stdio::null()).stdout(std::io::stderr());
    workspace::run(&mut command).with_context(|| format!("{}", folder.join("gen.py").display()))
}

fn safetensors(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in listing {
        let path = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .path();
        if path
            .extension()
            .is_some_and(|suffix| suffix == "safetensors")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// One line for each tensor or file that is not the same in both folders.
fn compare_folders(committed: &Path, made: &Path) -> Result<Vec<String>> {
    let names = |folder: &Path| -> Result<BTreeSet<_>> {
        Ok(safetensors(folder)?
            .iter()
            .filter_map(|path| path.file_name().map(|name| name.to_owned()))
            .collect())
    };
    let (before, after) = (names(committed)?, names(made)?);
    let mut differences: Vec<String> = before
        .symmetric_difference(&after)
        .map(|name| {
            let where_ = if before.contains(name) {
                "is no longer made"
            } else {
                "is not committed"
            };
            format!("{} {where_}", committed.join(name).display())
        })
        .collect();
    for name in before.intersection(&after) {
        let committed = committed.join(name);
        let found = Tensors::read(&committed)?.differences(&Tensors::read(&made.join(name))?);
        differences.extend(
            found
                .into_iter()
                .map(|text| format!("{}: {text}", committed.display())),
        );
    }
    Ok(differences)
}

/// The packages that the files of a generator name as their makers, with versions.
fn recorded(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut versions = BTreeMap::new();
    for file in safetensors(folder)? {
        versions.extend(Tensors::read(&file)?.versions);
    }
    Ok(versions)
}

/// An interpreter with the recorded packages and a remark on versions, or why there is none.
fn interpreter(
    given: Option<&Path>,
    recorded: &BTreeMap<String, String>,
) -> std::result::Result<(PathBuf, Option<String>), String> {
    let candidates = given.map_or_else(python::candidates, |python| vec![python.to_owned()]);
    let mut reasons = Vec::new();
    for python in candidates {
        match installed(&python, recorded.keys()) {
            None => reasons.push(format!("{} cannot be run", python.display())),
            Some(found) => match judge(recorded, &found) {
                Ok(note) => return Ok((python, note)),
                Err(why) => reasons.push(format!("{} {why}", python.display())),
            },
        }
    }
    Err(reasons.join(", "))
}

/// The versions of packages as an interpreter has them; absent packages are absent.
fn installed<'a>(
    python: &Path,
    packages: impl Iterator<Item = &'a String>,
) -> Option<BTreeMap<String, String>> {
    const SCRIPT: &str = "
import sys, importlib.metadata as metadata
for name in sys.argv[1:]:
    try:
        print(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        pass
";
    let output = Command::new(python)
        .args(["-c", SCRIPT])
        .args(packages)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| {
        text.lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(name, version)| (name.into(), version.into()))
            .collect()
    })
}

/// Whether the installed packages will do. NumPy and safetensors carry values from one place to the other, so another
/// version of them is only worth a remark; the others define the values and must be the recorded ones.
fn judge(
    recorded: &BTreeMap<String, String>,
    installed: &BTreeMap<String, String>,
) -> std::result::Result<Option<String>, String> {
    // `+cu130` and `+cpu` name builds of the same release.
    let release = |version: &str| version.split('+').next().unwrap_or_default().to_owned();
    let mut notes = Vec::new();
    let mut lacking = Vec::new();
    for (name, version) in recorded {
        match installed.get(name) {
            None => lacking.push(format!("no {name} {}", release(version))),
            Some(found) if release(found) == release(version) => {}
            Some(found) if matches!(name.as_str(), "numpy" | "safetensors" | "python") => {
                notes.push(format!("{name} {found} instead of {version}"));
            }
            Some(found) => lacking.push(format!("{name} {found} instead of {}", release(version))),
        }
    }
    if !lacking.is_empty() {
        return Err(format!("has {}", lacking.join(", ")));
    }
    Ok((!notes.is_empty()).then(|| notes.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter()
            .map(|(name, version)| ((*name).to_owned(), (*version).to_owned()))
            .collect()
    }

    #[test]
    fn packages_are_judged() {
        let recorded = versions(&[("torch", "2.11.0+cu130"), ("numpy", "2.4.6")]);
        assert_eq!(
            judge(
                &recorded,
                &versions(&[("torch", "2.11.0+cpu"), ("numpy", "2.4.6")])
            ),
            Ok(None)
        );
        let note = judge(
            &recorded,
            &versions(&[("torch", "2.11.0"), ("numpy", "2.3.0")]),
        )
        .unwrap()
        .unwrap();
        assert_eq!(note, "numpy 2.3.0 instead of 2.4.6");
        judge(
            &recorded,
            &versions(&[("torch", "2.10.0"), ("numpy", "2.4.6")]),
        )
        .unwrap_err();
        judge(&recorded, &versions(&[("torch", "2.11.0")])).unwrap_err();
    }

    #[test]
    fn a_changed_a_missing_and_an_extra_file_are_differences() {
        let committed = tempfile::tempdir().unwrap();
        let made = tempfile::tempdir().unwrap();
        compare::tests::write(&committed.path().join("a.safetensors"), &[1.0, 2.0]);
        compare::tests::write(&made.path().join("a.safetensors"), &[1.0, 2.0]);
        assert_eq!(
            compare_folders(committed.path(), made.path()).unwrap(),
            [""; 0]
        );
        compare::tests::write(&made.path().join("a.safetensors"), &[1.0, 2.1]);
        compare::tests::write(&made.path().join("b.safetensors"), &[1.0]);
        compare::tests::write(&committed.path().join("c.safetensors"), &[1.0]);
        let differences = compare_folders(committed.path(), made.path()).unwrap();
        assert_eq!(differences.len(), 3, "{differences:?}");
        assert!(
            differences
                .iter()
                .any(|line| line.contains("b.safetensors is not committed"))
        );
        assert!(
            differences
                .iter()
                .any(|line| line.contains("c.safetensors is no longer made"))
        );
        assert!(
            differences
                .iter()
                .any(|line| line.contains("a.safetensors: values"))
        );
    }
}
