//! `cargo xtask tidy`: rules of the repository that no other tool checks.

mod documents;
mod packages;
mod text;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use walkdir::WalkDir;

use crate::bench_ood::published;
use crate::failure::Failure;
use crate::report::say;
use crate::workspace;

/// Check the rules of the repository: sizes, layers, documents that name what exists
#[derive(Args, Debug, Default)]
pub(crate) struct Arguments {}

/// One broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// Relative to the root.
    path: PathBuf,
    /// Counted from 1; 0 for the whole file.
    line: usize,
    what: String,
}

impl Violation {
    fn new(path: impl Into<PathBuf>, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Runs the task.
pub(crate) fn run(_: &Arguments) -> Result<()> {
    let violations = check(workspace::root())?;
    if violations.is_empty() {
        say("tidy: nothing to complain about");
        return Ok(());
    }
    for violation in &violations {
        workspace::print_line(&violation.to_string());
    }
    Err(Failure::error(
        format!("tidy: {} rules are broken", violations.len()),
        "CONTRIBUTING.md says why each rule is there",
    ))
}

/// Every violation in the repository at `root`.
fn check(root: &Path) -> Result<Vec<Violation>> {
    let files = files(root)?;
    let mut violations = Vec::new();
    for path in &files {
        // Images, weights and reference values are not text.
        let Ok(content) = std::fs::read_to_string(root.join(path)) else {
            continue;
        };
        violations.extend(text::check(path, &content));
    }
    violations.extend(text::check_golden(&files));
    violations.extend(packages::check(root, &packages::read(root)?));
    violations.extend(documents::check(root, &files)?);
    violations.extend(
        published::outdated(root)?
            .into_iter()
            .map(|path| Violation::new(path, 0, "is not what docs/results says: cargo xtask docs")),
    );
    violations.sort();
    Ok(violations)
}

/// The files of the repository, relative to its root, without what is built or downloaded.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    const NOT_OURS: [&str; 7] = [
        "target",
        ".git",
        "cache",
        "out",
        "msdeblur-demo",
        "__pycache__",
        "node_modules",
    ];
    // Only in the root: reference values of the benchmark lie in a folder of this name.
    const RESULTS: [&str; 2] = ["bench-ood", "runs"];
    let mut files = Vec::new();
    let walk = WalkDir::new(root).into_iter().filter_entry(|entry| {
        let is_any_of = |names: &[&str]| names.iter().any(|name| entry.file_name() == *name);
        entry.depth() == 0
            || !entry.file_type().is_dir()
            || !(is_any_of(&NOT_OURS) || entry.depth() == 1 && is_any_of(&RESULTS))
    });
    for entry in walk {
        let entry = entry.context("cannot list the repository")?;
        if entry.file_type().is_file() {
            files.push(
                entry
                    .path()
                    .strip_prefix(root)
                    .context("cannot list the repository")?
                    .to_owned(),
            );
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_is_tidy() {
        let violations = check(workspace::root()).unwrap();
        let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "{}", lines.join("\n"));
    }

    #[test]
    fn what_is_built_is_not_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        for path in [
            "target/a.rs",
            "crates/x/target/a.rs",
            ".git/a",
            "datasets/cache/a",
            "bench-ood/quick/a",
            "runs/a/config.toml",
            "crates/x/src/lib.rs",
            "tests/golden/bench-ood/gen.py",
        ] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        assert_eq!(
            files(folder.path()).unwrap(),
            ["crates/x/src/lib.rs", "tests/golden/bench-ood/gen.py"].map(PathBuf::from)
        );
    }
}
