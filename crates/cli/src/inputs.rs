//! From what was typed as INPUT to image files.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use image_io::is_supported;

use crate::hints::{Problem, chain};
use crate::words::count;

const KINDS: &str = "PNG, JPEG, TIFF or WebP";

/// Extensions of image files that are neither read nor written here.
pub(crate) const OTHER_IMAGES: [&str; 37] = [
    "3fr", "arw", "avif", "bmp", "cr2", "cr3", "crw", "dng", "erf", "exr", "gif", "heic", "heif",
    "hif", "iiq", "j2k", "jp2", "jxl", "kdc", "mrw", "nef", "nrw", "orf", "pbm", "pef", "pgm",
    "ppm", "psd", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw", "tga", "x3f",
];

/// Names that are listed in a message before the rest is only counted.
const NAMES_LISTED: usize = 5;

/// One input: a file to read, or what is wrong with what was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    /// As the user would write it.
    pub(crate) path: PathBuf,
    /// Why there is nothing to read.
    pub(crate) problem: Option<Problem>,
}

/// All inputs of a call.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    /// In the order in which they were typed, each file once.
    pub(crate) list: Vec<Input>,
    /// What lies in the folders and matches the patterns, and is not taken.
    pub(crate) notes: Vec<String>,
}

/// Expands files, folders and patterns. Whether a named file is an image is found out when it is read; of folders and patterns only image
/// files are taken, without the pictures that this program writes beside its results.
pub(crate) fn expand(typed: &[PathBuf]) -> Inputs {
    let mut inputs = Inputs::default();
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
            _ => Ok(Found {
                files: vec![path.clone()],
                ..Found::default()
            }),
        };
        let found = match found {
            Ok(found) => found,
            Err(problem) => {
                inputs.fail(path, problem);
                continue;
            }
        };
        for (part, hint) in found.passed_over() {
            let note = format!("{}: passed over {part}; {hint}", path.display());
            if !inputs.notes.contains(&note) {
                inputs.notes.push(note);
            }
        }
        for file in found.files {
            let identity = std::fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
            if seen.insert(identity) {
                inputs.list.push(Input {
                    path: file,
                    problem: None,
                });
            } else {
                tracing::info!("{}: named more than once, restored once", file.display());
            }
        }
        for (path, problem) in found.failures {
            inputs.fail(&path, problem);
        }
    }
    inputs
}

impl Inputs {
    fn fail(&mut self, path: &Path, problem: Problem) {
        let input = Input {
            path: path.to_owned(),
            problem: Some(problem.at(path)),
        };
        // Two patterns may meet the same unreadable folder.
        if !self.list.contains(&input) {
            self.list.push(input);
        }
    }
}

/// What lies in a folder or matches a pattern.
#[derive(Debug, Default)]
struct Found {
    /// The photos.
    files: Vec<PathBuf>,
    /// What could not be looked at: the rest is none the worse for it.
    failures: Vec<(PathBuf, Problem)>,
    /// Pictures that this program wrote beside its results.
    by_products: Vec<PathBuf>,
    /// Images in formats that are not read here.
    unsupported: Vec<PathBuf>,
    /// Files that are no images.
    others: u64,
}

impl Found {
    /// Sorts everything by what it is, and then by name.
    fn of(entries: impl IntoIterator<Item = Result<PathBuf, (PathBuf, Problem)>>) -> Self {
        let mut found = Self::default();
        for entry in entries {
            let path = match entry {
                Ok(path) => path,
                Err((path, problem)) => {
                    found.failures.push((path, problem));
                    continue;
                }
            };
            let supported = is_supported(&path);
            match std::fs::metadata(&path) {
                // Neither folders, nor pipes and devices, which nobody who names their folder means.
                Ok(metadata) if !metadata.is_file() => {}
                Ok(_) if is_by_product(&path) => found.by_products.push(path),
                // What cannot be looked at fails later, with its reason.
                _ if supported => found.files.push(path),
                _ if is_other_image(&path) => found.unsupported.push(path),
                _ => found.others += 1,
            }
        }
        found.files.sort();
        found.by_products.sort();
        found.unsupported.sort();
        found
    }

    /// What is left out although it is an image, with the way to have it restored all the same.
    fn passed_over(&self) -> Vec<(String, String)> {
        let mut parts = Vec::new();
        let mut add = |files: &[PathBuf], noun: &str, what: &str, hint: String| {
            if !files.is_empty() {
                let number = count(files.len() as u64, noun);
                parts.push((format!("{number} {what} ({})", names(files)), hint));
            }
        };
        add(
            &self.by_products,
            "picture",
            "made by msdeblur",
            "to have one restored, name it".into(),
        );
        add(
            &self.unsupported,
            "image",
            "in a format that is not read here",
            format!("convert to {KINDS} first"),
        );
        parts
    }

    /// Whether there is nothing to restore and nothing that failed.
    fn is_empty(&self) -> bool {
        self.files.is_empty() && self.failures.is_empty()
    }

    /// Why `what` ("no PNG … file in this folder") is so although there are images, if there are any.
    fn explanation(&self, what: &str) -> Option<Problem> {
        let (parts, hints): (Vec<_>, Vec<_>) = self.passed_over().into_iter().unzip();
        (!parts.is_empty()).then(|| {
            Problem::new(format!("{what} besides {}", parts.join(" and "))).hint(hints.join("; "))
        })
    }
}

/// File names for a message.
fn names(files: &[PathBuf]) -> String {
    let listed: Vec<_> = files
        .iter()
        .take(NAMES_LISTED)
        .map(|file| file.file_name().unwrap_or_default().to_string_lossy())
        .collect();
    let more = match files.len().saturating_sub(NAMES_LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", listed.join(", "))
}

/// Whether the name is one that results get with --compare, --uncertainty or --show-guidance.
fn is_by_product(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let Some((photo, kind)) = name
        .strip_suffix(".png")
        .and_then(|name| name.rsplit_once('.'))
    else {
        return false;
    };
    let is_scale = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    !photo.is_empty()
        && (["compare", "uncertainty"].contains(&kind)
            || kind.strip_prefix("guidance-").is_some_and(is_scale))
}

fn is_other_image(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        let extension = extension.to_string_lossy().to_ascii_lowercase();
        OTHER_IMAGES.contains(&extension.as_str())
    })
}

/// What lies directly in a folder. Hidden files are left out.
fn folder(path: &Path) -> Result<Found, Problem> {
    let unreadable = |error: std::io::Error| {
        Problem::new(format!("cannot read the folder: {error}")).hint("check that you may read it")
    };
    let entries = std::fs::read_dir(path).map_err(unreadable)?.map(|entry| {
        let entry = entry.map_err(|error| (path.to_owned(), unreadable(error)))?;
        Ok(entry.path())
    });
    let found =
        Found::of(entries.filter(|entry| !entry.as_ref().is_ok_and(|file| is_hidden(file))));
    if found.is_empty() {
        let what = format!("no {KINDS} file in this folder");
        return Err(found.explanation(&what).unwrap_or_else(|| {
            Problem::new(what).hint(format!(
                "subfolders are not searched; use a pattern such as '{}/**/*.jpg'",
                path.display()
            ))
        }));
    }
    Ok(found)
}

fn is_hidden(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with('.')
}

/// The image files in a folder and its subfolders, sorted, and notes about what is not taken. Hidden files and folders are left out.
///
/// # Errors
/// A folder that cannot be read or that holds no image file.
pub(crate) fn tree(path: &Path) -> Result<(Vec<PathBuf>, Vec<String>), Problem> {
    let shown = |entry: &walkdir::DirEntry| entry.depth() == 0 || !is_hidden(entry.path());
    let entries = walkdir::WalkDir::new(path)
        .follow_links(true)
        .into_iter()
        .filter_entry(shown)
        .map(|entry| {
            entry.map(walkdir::DirEntry::into_path).map_err(|error| {
                let place = error.path().unwrap_or(path).to_owned();
                let cause = error
                    .io_error()
                    .map_or_else(|| error.to_string(), |cause| chain(cause));
                let problem = Problem::new(format!("cannot read the folder: {cause}"))
                    .hint("check the spelling, and that you may read it");
                (place, problem)
            })
        });
    let found = Found::of(entries);
    if let Some((place, problem)) = found.failures.first() {
        return Err(problem.clone().at(place));
    }
    if found.is_empty() {
        let what = format!("no {KINDS} file in this folder");
        let problem = found
            .explanation(&what)
            .unwrap_or_else(|| Problem::new(what).hint("check the spelling"));
        return Err(problem.at(path));
    }
    let notes = found
        .passed_over()
        .into_iter()
        .map(|(part, _)| format!("{}: passed over {part}", path.display()));
    let notes = notes.collect();
    Ok((found.files, notes))
}

/// What matches a pattern.
fn matches(pattern: &str) -> Result<Found, Problem> {
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let paths = glob::glob_with(pattern, options).map_err(|error| {
        Problem::new(format!("not a valid pattern: {}", chain(&error)))
            .hint("patterns use *, ?, [abc] and **")
    })?;
    let found = Found::of(paths.map(|path| {
        path.map_err(|error| {
            let problem = Problem::new(format!("cannot read the folder: {}", error.error()))
                .hint("check that you may read it");
            (error.path().to_owned(), problem)
        })
    }));
    if found.is_empty() {
        let what = format!("no {KINDS} file matches this pattern");
        return Err(found.explanation(&what).unwrap_or_else(|| {
            if found.others == 0 {
                Problem::new("no file matches this pattern")
                    .hint("check the spelling and the folder")
            } else {
                let matching = count(found.others, "matching file");
                Problem::new(format!("of {matching} none is a {KINDS} file"))
                    .hint("convert them first")
            }
        }));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(inputs: &Inputs) -> Vec<String> {
        inputs
            .list
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

    #[test]
    fn one_entry_that_fails_does_not_hide_the_others() {
        let root = tempfile::tempdir().expect("a folder");
        let (good, bad) = (root.path().join("a.png"), root.path().join("locked"));
        std::fs::write(&good, "").expect("a file");
        let found = Found::of([
            Err((bad.clone(), Problem::new("cannot read the folder: no"))),
            Ok(good.clone()),
        ]);
        assert_eq!(found.files, [good]);
        assert_eq!(found.failures.len(), 1);
        assert!(!found.is_empty());
        let alone = Found::of([Err((bad, Problem::new("cannot read the folder: no")))]);
        assert!(!alone.is_empty(), "the reason is the failure itself");
    }

    #[cfg(unix)]
    #[test]
    fn what_cannot_be_looked_at_is_taken_and_fails_with_its_reason() {
        let root = tempfile::tempdir().expect("a folder");
        let link = root.path().join("gone.png");
        std::os::unix::fs::symlink("/nowhere/gone.png", &link).expect("a link");
        assert_eq!(names(&expand(&[root.path().to_owned()])), ["gone.png"]);
    }

    #[test]
    fn own_pictures_are_known_by_their_names() {
        for name in [
            "a.compare.png",
            "x.y.uncertainty.png",
            "a.guidance-1.png",
            "a.guidance-12.png",
        ] {
            assert!(is_by_product(Path::new(name)), "{name}");
        }
        for name in [
            "a.png",
            "compare.png",
            ".compare.png",
            "a.compare.jpg",
            "a-compare.png",
            "a.guidance-.png",
            "a.guidance-x.png",
            "a.guidance.png",
        ] {
            assert!(!is_by_product(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn what_is_passed_over_is_said_and_what_is_named_is_taken() {
        let root = tempfile::tempdir().expect("a folder");
        let at = |name: &str| root.path().join(name);
        for name in [
            "a.png",
            "a.compare.png",
            "b.HEIC",
            "c.cr2",
            "d.nef",
            "e.gif",
            "f.bmp",
            "g.dng",
            "notes.txt",
        ] {
            std::fs::write(at(name), "").expect("a file");
        }
        for typed in ["", "*"] {
            let inputs = expand(&[at(typed)]);
            assert_eq!(names(&inputs), ["a.png"]);
            let [own, others] = &inputs.notes[..] else {
                panic!("{:?}", inputs.notes)
            };
            assert!(own.contains("1 picture made by msdeblur (a.compare.png); "));
            assert!(
                others.contains("6 images in a format that is not read here")
                    && others.contains("(b.HEIC, c.cr2, d.nef, e.gif, f.bmp and 1 more); convert"),
                "{others}"
            );
        }
        let named = expand(&[at("a.compare.png"), at("b.HEIC")]);
        assert_eq!(names(&named), ["a.compare.png", "b.HEIC"]);
        assert_eq!(named.notes, Vec::<String>::new());
        for (typed, words) in [
            (
                "*.cr2",
                "besides 1 image in a format that is not read here (c.cr2)",
            ),
            ("*.compare.png", "besides 1 picture made by msdeblur"),
        ] {
            let inputs = expand(&[at(typed)]);
            let problem = inputs.list[0].problem.as_ref().expect("nothing to do");
            assert!(problem.message.contains(words), "{problem:?}");
            assert!(problem.hint.is_some() && inputs.notes.is_empty());
        }
    }
}
