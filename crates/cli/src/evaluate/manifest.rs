//! Which photos belong together: a list of pairs as JSON Lines.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::pairs::{Pair, Pairs, measure};
use crate::hints::Problem;
use crate::plan::parent;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    sharp: PathBuf,
    blurry: Option<PathBuf>,
    restored: Option<PathBuf>,
}

/// Reads a list of pairs; they keep its order.
///
/// # Errors
/// A file that cannot be read, or all lines that say no pair, at once. A pair whose files are missing or have different sizes
/// carries its problem.
pub(crate) fn from_manifest(file: &Path) -> Result<Pairs, Problem> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Problem::new(format!("cannot read the list of pairs: {error}"))
            .at(file)
            .hint("check the spelling; it is a text file of JSON Lines")
    })?;
    let folder = parent(file);
    let mut list = Vec::new();
    let mut problems = Vec::new();
    let mut first_lines: HashMap<String, usize> = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let number = index + 1;
        match pair(line, &folder) {
            Ok(pair) => {
                if let Some(first) = first_lines.insert(pair.name.clone(), number) {
                    let name = &pair.name;
                    problems.push(format!(
                        "line {number}: the name {name:?} stands in line {first} already"
                    ));
                }
                list.push(pair);
            }
            Err(problem) => problems.push(format!("line {number}: {problem}")),
        }
    }
    if list.is_empty() && problems.is_empty() {
        problems.push("no pair in this file".to_owned());
    }
    if !problems.is_empty() {
        let text = if let [problem] = problems.as_slice() {
            problem.clone()
        } else {
            format!("{} problems:\n  {}", problems.len(), problems.join("\n  "))
        };
        return Err(Problem::new(text).at(file).hint(
            "each line is {\"name\": …, \"sharp\": …, \"blurry\": …, \"restored\": …}; blurry or restored may be left out",
        ));
    }
    measure(&mut list);
    for pair in &mut list {
        let missing = pair.files().find(|(_, path)| !path.exists());
        if let Some((what, path)) = missing {
            pair.problem = Some(
                Problem::new(format!("the {what} photo is missing"))
                    .at(path)
                    .hint("paths count from the folder of the list of pairs"),
            );
        }
    }
    let notes = Vec::new();
    Ok(Pairs { list, notes })
}

fn pair(line: &str, folder: &Path) -> Result<Pair, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    check_name(&line.name)?;
    if line.blurry.is_none() && line.restored.is_none() {
        return Err(format!("{:?} has neither blurry nor restored", line.name));
    }
    let at = |path: PathBuf| folder.join(path);
    Ok(Pair::new(
        line.name,
        at(line.sharp),
        line.blurry.map(at),
        line.restored.map(at),
    ))
}

/// A name becomes a path below the folder of --save, and must not lead out of it.
fn check_name(name: &str) -> Result<(), String> {
    let inside = Path::new(name)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    // A part that ends in a separator or is empty would be another path than it looks.
    let plain = name
        .split('/')
        .all(|part| !part.is_empty() && part != "." && !part.contains(['\\', '\0']));
    if inside && plain {
        Ok(())
    } else {
        Err(format!(
            "the name {name:?} is no plain path below a folder (`a/b`, without . and ..)"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Pairs, Problem> {
        let root = tempfile::tempdir().expect("a folder");
        let file = root.path().join("pairs.jsonl");
        std::fs::write(&file, text).expect("a file");
        from_manifest(&file)
    }

    #[test]
    fn paths_count_from_the_folder_of_the_list() {
        let pairs = read(concat!(
            "{\"name\": \"z/1\", \"sharp\": \"s/1.png\", \"blurry\": \"/abs/1.png\"}\n\n",
            "{\"name\": \"a\", \"sharp\": \"s.png\", \"restored\": \"r.png\", \"blurry\": null}"
        ))
        .expect("pairs");
        let [first, second] = &pairs.list[..] else {
            panic!("{pairs:?}")
        };
        assert_eq!((&*first.name, &*second.name), ("z/1", "a"));
        assert!(first.sharp.ends_with("s/1.png") && first.sharp.is_absolute());
        assert_eq!(first.blurry.as_deref(), Some(Path::new("/abs/1.png")));
        assert_eq!(second.blurry, None);
        let problem = first.problem.as_ref().expect("nothing is there");
        assert!(
            problem.message.ends_with("the sharp photo is missing"),
            "{problem:?}"
        );
    }

    #[test]
    fn all_bad_lines_are_named_at_once() {
        let problem = read(concat!(
            "{\"name\": \"a\", \"sharp\": \"s.png\", \"restored\": \"r.png\"}\n",
            "{\"name\": \"a\", \"sharp\": \"s.png\", \"restored\": \"r.png\"}\n",
            "{\"name\": \"b\", \"sharp\": \"s.png\"}\n",
            "{\"name\": \"c\", \"sharp\": \"s.png\", \"blury\": \"b.png\"}\n",
            "{\"name\": \"../d\", \"sharp\": \"s.png\", \"blurry\": \"b.png\"}\n",
            "not json\n",
        ))
        .expect_err("bad lines");
        for words in [
            "5 problems",
            "line 2: the name \"a\" stands in line 1 already",
            "line 3: \"b\" has neither",
            "line 4: unknown field `blury`",
            "line 5: the name \"../d\"",
            "line 6: ",
        ] {
            assert!(problem.message.contains(words), "{words}: {problem:?}");
        }
        assert!(read("\n").expect_err("empty").message.contains("no pair"));
    }

    #[test]
    fn names_stay_below_the_folder() {
        for name in ["a", "a/b", "a.b/c d", "..a"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in [
            "", "/a", "a/../b", "..", "./a", "a//b", "a/", "a/.", "a\\b", "a\0",
        ] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
