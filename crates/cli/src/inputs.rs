//! From what was typed as INPUT to image files.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use image_io::is_supported;

use crate::hints::{Problem, chain};

const KINDS: &str = "PNG, JPEG, TIFF or WebP";

/// One input: a file to read, or what is wrong with what was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    /// As the user would write it.
    pub(crate) path: PathBuf,
    /// Why there is nothing to read.
    pub(crate) problem: Option<Problem>,
}

/// Expands files, folders and patterns, in the order in which they were typed. The same file is taken once. Whether a named file is an image
/// is found out when it is read; of folders and patterns only image files are taken.
pub(crate) fn expand(typed: &[PathBuf]) -> Vec<Input> {
    let mut inputs = Vec::new();
    let mut seen = HashSet::new();
    for path in typed {
        let pattern = path.to_str().filter(|text| text.contains(['*', '?', '[']));
        let found = match (std::fs::metadata(path), pattern) {
            (Ok(metadata), _) if metadata.is_dir() => folder(path),
            (Err(error), Some(pattern)) if error.kind() == ErrorKind::NotFound => matches(pattern),
            (Err(error), None) if error.kind() == ErrorKind::NotFound => {
                Err(Problem::new("not found").hint("check the spelling and the folder"))
            }
            // What cannot be read fails later, with its reason.
            _ => Ok(vec![path.clone()]),
        };
        match found {
            Ok(files) => {
                for file in files {
                    let identity = std::fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
                    if seen.insert(identity) {
                        inputs.push(Input {
                            path: file,
                            problem: None,
                        });
                    } else {
                        tracing::info!("{}: named more than once, restored once", file.display());
                    }
                }
            }
            Err(problem) => inputs.push(Input {
                path: path.clone(),
                problem: Some(problem.at(path)),
            }),
        }
    }
    inputs
}

/// The image files directly in a folder, in the order of their names. Hidden files are left out.
fn folder(path: &Path) -> Result<Vec<PathBuf>, Problem> {
    let unreadable = |error: std::io::Error| {
        Problem::new(format!("cannot read the folder: {error}")).hint("check that you may read it")
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        let hidden = file
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && is_supported(&file) && file.is_file() {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(
            Problem::new(format!("no {KINDS} file in this folder")).hint(format!(
                "subfolders are not searched; use a pattern such as '{}/**/*.jpg'",
                path.display()
            )),
        );
    }
    files.sort();
    Ok(files)
}

/// The image files that match a pattern, in the order of their names.
fn matches(pattern: &str) -> Result<Vec<PathBuf>, Problem> {
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let paths = glob::glob_with(pattern, options).map_err(|error| {
        Problem::new(format!("not a valid pattern: {}", chain(&error)))
            .hint("patterns use *, ?, [abc] and **")
    })?;
    let mut others = 0_usize;
    let mut files = Vec::new();
    for path in paths {
        let path = path.map_err(|error| {
            Problem::new(chain(&error)).hint("check that you may read the folder")
        })?;
        if !path.is_file() {
            continue;
        }
        if is_supported(&path) {
            files.push(path);
        } else {
            others += 1;
        }
    }
    if files.is_empty() {
        return Err(if others == 0 {
            Problem::new("no file matches this pattern").hint("check the spelling and the folder")
        } else {
            Problem::new(format!(
                "{others} file(s) match this pattern, but none is a {KINDS} file"
            ))
            .hint("convert them first")
        });
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(inputs: &[Input]) -> Vec<String> {
        inputs
            .iter()
            .map(|input| {
                let name = input
                    .path
                    .file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned();
                if input.problem.is_some() {
                    format!("!{name}")
                } else {
                    name
                }
            })
            .collect()
    }

    #[test]
    fn files_folders_and_patterns() {
        let root = tempfile::tempdir().expect("a folder");
        let at = |name: &str| root.path().join(name);
        std::fs::create_dir_all(at("sub/deep")).expect("folders");
        std::fs::create_dir_all(at("empty")).expect("folders");
        for name in [
            "b.png",
            "a.JPG",
            "notes.txt",
            ".hidden.png",
            "sub/c.webp",
            "sub/deep/d.tif",
        ] {
            std::fs::write(at(name), "").expect("a file");
        }
        assert_eq!(names(&expand(&[at("")])), ["a.JPG", "b.png"]);
        assert_eq!(
            names(&expand(&[at("notes.txt"), at("b.png"), at("b.png")])),
            ["notes.txt", "b.png"]
        );
        assert_eq!(names(&expand(&[at("*.png")])), ["b.png"]);
        assert_eq!(
            names(&expand(&[at("**/*.*")])),
            ["a.JPG", "b.png", "c.webp", "d.tif"]
        );
        assert_eq!(
            names(&expand(&[at("*.txt"), at("x*.png"), at("[.png")])),
            ["!*.txt", "!x*.png", "![.png"]
        );
        assert_eq!(
            names(&expand(&[at("gone.png"), at("empty"), at("sub")])),
            ["!gone.png", "!empty", "c.webp"]
        );
    }
}
