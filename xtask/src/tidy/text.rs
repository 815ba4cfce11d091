//! Rules that look at one text, and at which files lie together.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::Violation;

/// A Rust file longer than this has more than one reason to change.
const LONGEST: usize = 600;

/// The rules for one file.
pub(super) fn check(path: &Path, content: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let is_rust = path.extension() == Some(OsStr::new("rs"));
    if is_rust && content.lines().count() > LONGEST {
        let what = format!(
            "{} lines, at most {LONGEST}; split it by what changes together",
            content.lines().count()
        );
        violations.push(Violation::new(path, 0, what));
    }
    // The lock file names the registry in every entry, and nobody writes it by hand.
    let is_lock = path.file_name() == Some(OsStr::new("Cargo.lock"));
    for (number, line) in (1..).zip(content.lines()) {
        if is_rust && is_ignored_test(line) {
            violations.push(Violation::new(
                path,
                number,
                "an ignored test; select slow tests by a variable or a feature",
            ));
        }
        if let Some(host) = registry_host(line).filter(|_| !is_lock) {
            violations.push(Violation::new(
                path,
                number,
                format!("names the package registry {host}; use its client's default"),
            ));
        }
        if let Some(folder) = machine_path(line) {
            violations.push(Violation::new(
                path,
                number,
                format!("the path {folder} exists on one machine only"),
            ));
        }
    }
    violations
}

/// Reference values without their generator and its explanation are of no use to a reader. They lie in
/// `tests/golden/NAME`, or in `tests/golden` of a crate.
pub(super) fn check_golden(files: &[PathBuf]) -> Vec<Violation> {
    let folders: BTreeSet<PathBuf> = files
        .iter()
        .filter_map(|path| golden_folder(path))
        .collect();
    let mut violations = Vec::new();
    for folder in folders {
        for needed in ["gen.py", "README.md"] {
            if !files.contains(&folder.join(needed)) {
                violations.push(Violation::new(
                    &folder,
                    0,
                    format!("reference values without {needed}"),
                ));
            }
        }
        let is_value = |path: &&PathBuf| path.extension() == Some(OsStr::new("safetensors"));
        if !files
            .iter()
            .filter(|path| path.starts_with(&folder))
            .any(|path| is_value(&path))
        {
            violations.push(Violation::new(
                folder,
                0,
                "no .safetensors file beside the generator",
            ));
        }
    }
    violations
}

/// The folder of reference values that a file belongs to.
fn golden_folder(path: &Path) -> Option<PathBuf> {
    let parts: Vec<&OsStr> = path.iter().collect();
    let at = parts
        .windows(2)
        .position(|pair| pair[0] == "tests" && pair[1] == "golden")?;
    let length = if at == 0 { 3 } else { at + 2 };
    // A file directly in `tests/golden` is not in a folder of values.
    (parts.len() > length).then(|| parts[..length].iter().collect())
}

fn is_ignored_test(line: &str) -> bool {
    let line = line.trim_start();
    // Built from parts, so that this file does not break its own rule.
    [["#[", "ignore]"], ["#[", "ignore ="], ["#[", "ignore="]]
        .iter()
        .any(|parts| line.starts_with(&parts.concat()))
}

/// The host of a package registry in `line`.
fn registry_host(line: &str) -> Option<String> {
    const HOSTS: [&[&str]; 8] = [
        &["crates", "io"],
        &["pypi", "org"],
        &["pythonhosted", "org"],
        &["npmjs", "org"],
        &["npmjs", "com"],
        &["anaconda", "org"],
        &["proxy", "golang", "org"],
        &["rubygems", "org"],
    ];
    HOSTS
        .iter()
        .map(|parts| parts.join("."))
        .find(|host| line.contains(host.as_str()))
}

/// An absolute path into the home of root or into a workplace. Addresses may contain the same words further in.
fn machine_path(line: &str) -> Option<String> {
    ["root", "work"]
        .iter()
        .map(|name| format!("/{name}/"))
        .find(|folder| {
            line.match_indices(folder.as_str()).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                before.is_none_or(|before| {
                    before.is_whitespace() || "\"'`(=:[<{,;|>".contains(before)
                })
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, content: &str) -> Vec<String> {
        check(Path::new(path), content)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn long_rust_files_are_found_and_long_others_are_not() {
        let long = "\n".repeat(LONGEST + 1);
        assert_eq!(complaints("a.rs", &long).len(), 1);
        assert!(complaints("a.rs", &"\n".repeat(LONGEST)).is_empty());
        assert!(complaints("a.md", &long).is_empty());
    }

    #[test]
    fn ignored_tests_are_found() {
        for line in [
            ["    #[", "ignore]"].concat(),
            ["#[", "ignore = \"slow\"]"].concat(),
        ] {
            assert_eq!(
                complaints("a.rs", &line),
                ["a.rs:1: an ignored test; select slow tests by a variable or a feature"]
            );
        }
        assert!(complaints("a.rs", "// never #[ignored]").is_empty());
    }

    #[test]
    fn registry_hosts_are_found_except_in_the_lock_file() {
        let line = ["see https://", "crates", ".io/x"].concat();
        assert!(complaints("README.md", &line)[0].contains("names the package registry"));
        assert!(complaints("Cargo.lock", &line).is_empty());
        assert!(complaints("README.md", "crates/image-io, anaconda").is_empty());
    }

    #[test]
    fn machine_paths_are_found_and_addresses_are_not() {
        for line in [
            ["open(\"", "/work", "/x\")"].concat(),
            ["cd ", "/root", "/x"].concat(),
            ["/root", "/x"].concat(),
        ] {
            assert_eq!(complaints("a.py", &line).len(), 1, "{line}");
        }
        assert!(
            complaints(
                "a.md",
                "https://example.org/work/x, target/work/x, {workspace}/work/"
            )
            .is_empty()
        );
    }

    #[test]
    fn golden_folders_need_generator_explanation_and_values() {
        let of = |files: &[&str]| {
            let files: Vec<PathBuf> = files
                .iter()
                .map(|name| Path::new("tests/golden/x").join(name))
                .collect();
            check_golden(&files)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert!(of(&["README.md", "gen.py", "values.safetensors"]).is_empty());
        assert_eq!(
            golden_folder(Path::new("tests/golden/x/a/b.png")),
            Some("tests/golden/x".into())
        );
        assert_eq!(
            golden_folder(Path::new("crates/y/tests/golden/a/b.png")),
            Some("crates/y/tests/golden".into())
        );
        assert_eq!(golden_folder(Path::new("crates/y/tests/golden.rs")), None);
        assert_eq!(
            of(&["README.md", "values.safetensors"]),
            ["tests/golden/x: reference values without gen.py"]
        );
        assert_eq!(
            of(&["gen.py", "values.safetensors"]),
            ["tests/golden/x: reference values without README.md"]
        );
        assert_eq!(
            of(&["gen.py", "README.md"]),
            ["tests/golden/x: no .safetensors file beside the generator"]
        );
    }
}
