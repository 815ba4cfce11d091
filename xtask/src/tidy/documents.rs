//! Documents may only name files and options that exist.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::CommandFactory;

use super::Violation;
use crate::CommandLine;

/// First folders of paths in this repository; what starts otherwise is not taken for one.
const FOLDERS: [&str; 10] = [
    "crates/",
    "xtask/",
    "tests/",
    "benches/",
    "datasets/",
    "docs/",
    ".ci/",
    ".github/",
    ".cargo/",
    "examples/",
];

/// Checks links, paths in code and options in command lines of all Markdown files.
pub(super) fn check(root: &Path, files: &[PathBuf]) -> Result<Vec<Violation>> {
    let page = fs::read_to_string(root.join("docs/cli.md")).unwrap_or_default();
    let options = Options {
        msdeblur: flags(&page),
        xtask: flags_of(&CommandLine::command()),
    };
    let mut violations = Vec::new();
    for path in files
        .iter()
        .filter(|path| path.extension() == Some(OsStr::new("md")))
    {
        let content = fs::read_to_string(root.join(path))
            .with_context(|| format!("cannot read {}", path.display()))?;
        violations.extend(check_paths(root, path, &content));
        if path != Path::new("docs/cli.md") {
            violations.extend(check_options(path, &content, &options));
        }
    }
    Ok(violations)
}

/// The options that the two programs have.
struct Options {
    msdeblur: BTreeSet<String>,
    xtask: BTreeSet<String>,
}

fn check_paths(root: &Path, document: &Path, content: &str) -> Vec<Violation> {
    let folder = document.parent().unwrap_or(Path::new(""));
    let mut violations = Vec::new();
    let mut in_block = false;
    for (number, line) in (1..).zip(content.lines()) {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
            continue;
        }
        if in_block {
            // Code has brackets of its own, and its paths are the reader's.
            continue;
        }
        for target in links(line) {
            let target = target.split('#').next().unwrap_or_default();
            if !target.is_empty() && !root.join(folder).join(target).exists() {
                violations.push(Violation::new(
                    document,
                    number,
                    format!("links to {target}, which does not exist"),
                ));
            }
        }
        for span in code_spans(line) {
            let is_path = FOLDERS.iter().any(|start| span.starts_with(start))
                && span
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || "/._-".contains(letter));
            // A generic name in capitals, as in `crates/NAME`, stands for many.
            let is_generic = span.split(['/', '.']).any(|part| {
                part.len() > 1
                    && part.chars().all(|c| c.is_ascii_uppercase())
                    && !matches!(
                        part,
                        "README"
                            | "CHANGELOG"
                            | "CONTRIBUTING"
                            | "ARCHITECTURE"
                            | "METRICS"
                            | "MODEL_CARD"
                            | "RESULTS"
                    )
            });
            let is_ours = root.join(span).exists() || root.join(folder).join(span).exists();
            if is_path && !is_generic && !is_ours && !is_downloaded(span) {
                violations.push(Violation::new(
                    document,
                    number,
                    format!("names {span}, which does not exist"),
                ));
            }
        }
    }
    violations
}

/// Folders that come to be when the program runs.
fn is_downloaded(path: &str) -> bool {
    path.starts_with("datasets/cache")
}

/// Options after `msdeblur` and `cargo xtask` in blocks and spans of code.
fn check_options(document: &Path, content: &str, options: &Options) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut in_block = false;
    let mut in_command = false;
    for (number, line) in (1..).zip(content.lines()) {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
            in_command = false;
            continue;
        }
        let is_indented = line.starts_with("    ");
        let texts = if in_block || is_indented {
            vec![line]
        } else {
            code_spans(line)
        };
        for text in texts {
            let text = text.trim().trim_start_matches("$ ");
            let is_msdeblur =
                text.starts_with("msdeblur ") || text.contains("/msdeblur ") || in_command;
            let known = if is_msdeblur {
                &options.msdeblur
            } else if text.starts_with("cargo xtask ") {
                &options.xtask
            } else {
                continue;
            };
            // A page that was not written yet knows no option at all, and says nothing about others.
            if known.is_empty() {
                continue;
            }
            for flag in flags(text.split('#').next().unwrap_or_default()) {
                if !known.contains(&flag) {
                    violations.push(Violation::new(
                        document,
                        number,
                        format!("names the option {flag}, which does not exist"),
                    ));
                }
            }
            in_command = in_block && is_msdeblur && text.ends_with('\\');
        }
    }
    violations
}

/// The relative targets of `[text](target)` and `![text](target)`.
fn links(line: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find("](") {
        rest = &rest[at + 2..];
        let Some(end) = rest.find(')') else { break };
        let target = rest[..end].split_whitespace().next().unwrap_or_default();
        if !target.contains("://") && !target.starts_with('#') && !target.starts_with("mailto:") {
            targets.push(target);
        }
        rest = &rest[end..];
    }
    targets
}

/// What stands between backticks.
fn code_spans(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// All words that look like a long option.
fn flags(text: &str) -> BTreeSet<String> {
    text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'))
        .filter(|word| {
            word.starts_with("--") && word.len() > 2 && word.as_bytes()[2].is_ascii_lowercase()
        })
        .map(str::to_owned)
        .collect()
}

/// The long options of a command and of all below it.
fn flags_of(command: &clap::Command) -> BTreeSet<String> {
    let own = command
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .map(|name| format!("--{name}"));
    let below = command.get_subcommands().flat_map(flags_of);
    own.chain(below).chain(["--help".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            msdeblur: flags("`--steps <N>` `--force`"),
            xtask: flags_of(&CommandLine::command()),
        }
    }

    fn complaints(content: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("docs")).unwrap();
        fs::write(folder.path().join("docs/a.md"), "").unwrap();
        let document = Path::new("docs/b.md");
        let mut found = check_paths(folder.path(), document, content);
        found.extend(check_options(document, content, &options()));
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn dead_links_and_paths_are_found() {
        assert!(
            complaints("see [a](a.md#part), `docs/a.md` and [b](https://example.org/x)").is_empty()
        );
        assert_eq!(
            complaints("see\n[c](c.md)"),
            ["docs/b.md:2: links to c.md, which does not exist"]
        );
        assert_eq!(
            complaints("`docs/c.md`"),
            ["docs/b.md:1: names docs/c.md, which does not exist"]
        );
        assert!(
            complaints(
                "`crates/NAME/src` and `crates/*/src` and `datasets/cache/x` and `other/thing`"
            )
            .is_empty()
        );
        assert!(complaints("```rust\nlet x = f[0](1);\n```").is_empty());
    }

    #[test]
    fn options_that_do_not_exist_are_found() {
        assert!(
            complaints("```\nmsdeblur deblur a.jpg --steps 3\ncargo build --release\n```")
                .is_empty()
        );
        assert_eq!(
            complaints("```\nmsdeblur deblur a.jpg --stepz 3\n```"),
            ["docs/b.md:2: names the option --stepz, which does not exist"]
        );
        assert_eq!(
            complaints("```\nmsdeblur deblur a.jpg \\\n  --stepz 3\n```").len(),
            1
        );
        assert_eq!(complaints("`cargo xtask libtorch --forc`").len(), 1);
        assert!(complaints("`cargo xtask libtorch --reinstall`").is_empty());
        assert!(complaints("    $ msdeblur deblur a.jpg --force").is_empty());
    }
}
