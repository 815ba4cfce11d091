//! Which photos belong together: two or three folders, matched by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image_io::Limits;
use rayon::prelude::*;

use crate::hints::Problem;
use crate::inputs::tree;
use crate::words::count;

/// A sharp photo and what is compared with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Path below the folders without extension, with `/` between folders.
    pub(crate) name: String,
    pub(crate) sharp: PathBuf,
    /// What is restored, or only measured where `restored` is given.
    pub(crate) blurry: Option<PathBuf>,
    /// What another program made.
    pub(crate) restored: Option<PathBuf>,
    /// Height and width of the sharp photo in pixels, as far as its header can be read.
    pub(crate) size: Option<(usize, usize)>,
    /// Why nothing can be compared, where that is known before any work.
    pub(crate) problem: Option<Problem>,
}

impl Pair {
    pub(crate) fn new(
        name: String,
        sharp: PathBuf,
        blurry: Option<PathBuf>,
        restored: Option<PathBuf>,
    ) -> Self {
        Self {
            name,
            sharp,
            blurry,
            restored,
            size: None,
            problem: None,
        }
    }

    /// Whether the model has to restore it.
    pub(crate) fn is_to_restore(&self) -> bool {
        self.restored.is_none() && self.problem.is_none()
    }

    /// Its files, with what they are.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let others = [("blurry", &self.blurry), ("restored", &self.restored)];
        std::iter::once(("sharp", self.sharp.as_path())).chain(
            others
                .into_iter()
                .filter_map(|(what, path)| Some((what, path.as_deref()?))),
        )
    }
}

/// All pairs of a call.
#[derive(Debug)]
pub(crate) struct Pairs {
    pub(crate) list: Vec<Pair>,
    /// What lies in the folders and is not taken.
    pub(crate) notes: Vec<String>,
}

/// Matches the files of the folders by name, in the order of the names.
///
/// # Errors
/// Everything that does not match, all at once: files without partner, several with one name, different sizes.
pub(crate) fn from_folders(
    sharp: &Path,
    blurry: Option<&Path>,
    restored: Option<&Path>,
) -> Result<Pairs, Problem> {
    let folders = [Some(sharp), blurry, restored];
    let mut names: BTreeMap<String, [Vec<PathBuf>; 3]> = BTreeMap::new();
    let mut notes = Vec::new();
    for (index, folder) in folders.iter().enumerate() {
        let Some(folder) = folder else { continue };
        let (files, passed_over) = tree(folder)?;
        notes.extend(passed_over);
        for file in files {
            let name = name_below(folder, &file);
            names.entry(name).or_default()[index].push(file);
        }
    }
    let mut list = Vec::new();
    let mut mismatches = Vec::new();
    for (name, files) in names {
        let mut parts = Vec::new();
        for (folder, files) in folders.iter().zip(&files) {
            let Some(folder) = folder else { continue };
            match files.as_slice() {
                [] => parts.push(format!("missing in {}", folder.display())),
                [_] => {}
                several => {
                    let several: Vec<String> = several
                        .iter()
                        .map(|file| file.display().to_string())
                        .collect();
                    parts.push(format!("more than one file: {}", several.join(", ")));
                }
            }
        }
        if !parts.is_empty() {
            mismatches.push(format!("{name}: {}", parts.join("; ")));
        }
        let [mut sharp, mut blurry, mut restored] = files;
        if let Some(sharp) = sharp.pop() {
            list.push(Pair::new(name, sharp, blurry.pop(), restored.pop()));
        }
    }
    measure(&mut list);
    // Headers that cannot be read are no mismatch: such a photo fails alone, with its reason.
    for pair in &mut list {
        if let Some(problem) = pair.problem.take() {
            mismatches.push(problem.message);
        }
    }
    if mismatches.is_empty() {
        return Ok(Pairs { list, notes });
    }
    mismatches.sort();
    Err(Problem::new(format!(
        "the folders do not match in {}:\n  {}",
        count(mismatches.len() as u64, "name"),
        mismatches.join("\n  ")
    ))
    .hint("files are matched by their path below the folder, without extension; --pairs FILE takes a list of any pairs"))
}

/// The path below the folder without extension.
fn name_below(folder: &Path, file: &Path) -> String {
    let below = file.strip_prefix(folder).unwrap_or(file).with_extension("");
    let parts: Vec<_> = below
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    parts.join("/")
}

/// Looks at the headers: sets the sizes, and the problem where those of one pair differ.
pub(crate) fn measure(pairs: &mut [Pair]) {
    let limits = Limits::default();
    pairs.par_iter_mut().for_each(|pair| {
        let sizes: Vec<_> = pair
            .files()
            .map(|(what, path)| (what, image_io::image_size(path, &limits).ok()))
            .collect();
        let known: Vec<_> = sizes
            .iter()
            .filter_map(|(what, size)| Some((what, (*size)?)))
            .collect();
        let size = sizes.first().and_then(|(_, size)| *size);
        let Some((_, first)) = known.first() else {
            return;
        };
        if known.iter().any(|(_, size)| size != first) {
            let words: Vec<String> = known
                .iter()
                .map(|(what, (width, height))| format!("{what} {width}x{height}"))
                .collect();
            pair.problem = Some(
                Problem::new(format!(
                    "{}: different sizes: {}",
                    pair.name,
                    words.join(", ")
                ))
                .hint("only pictures of the same size can be compared; crop or convert them first"),
            );
        }
        pair.size = size.map(|(width, height)| (height as usize, width as usize));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            std::fs::write(path, "").expect("a file");
        }
        root
    }

    #[test]
    fn names_are_paths_without_extension() {
        let root = folder(&[
            "s/b/1.png",
            "s/b/2.x.jpg",
            "s/a.png",
            "b/b/1.JPG",
            "b/b/2.x.webp",
            "b/a.tif",
        ]);
        let at = |name: &str| root.path().join(name);
        let pairs = from_folders(&at("s"), Some(&at("b")), None).expect("pairs");
        let names: Vec<&str> = pairs.list.iter().map(|pair| &*pair.name).collect();
        assert_eq!(names, ["a", "b/1", "b/2.x"]);
        assert_eq!(pairs.list[1].sharp, at("s/b/1.png"));
        assert_eq!(pairs.list[1].blurry, Some(at("b/b/1.JPG")));
        assert!(pairs.list.iter().all(|pair| pair.restored.is_none()));
    }

    #[test]
    fn all_mismatches_are_named_at_once() {
        let root = folder(&[
            "s/a.png",
            "s/only.png",
            "s/two.png",
            "s/two.jpg",
            "r/a.png",
            "r/two.png",
            "r/x/new.png",
        ]);
        let at = |name: &str| root.path().join(name);
        let problem = from_folders(&at("s"), None, Some(&at("r"))).expect_err("mismatches");
        let lines: Vec<&str> = problem.message.lines().collect();
        assert_eq!(lines.len(), 4, "{problem:?}");
        for (line, words) in [
            (0, "3 names"),
            (1, "only: missing in "),
            (2, "two: more than one file: "),
            (3, "x/new: missing in "),
        ] {
            assert!(lines[line].contains(words), "{words}: {problem:?}");
        }
        assert!(
            lines[1].ends_with("/r") && lines[3].ends_with("/s"),
            "{problem:?}"
        );
        assert!(lines[2].contains("two.png") && lines[2].contains("two.jpg"));
    }
}
