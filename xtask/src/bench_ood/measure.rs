//! One method on all pictures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::deconvolve;
use super::evaluate::{self, Line, Outcome, Restorer, Settings, Started, Watch};
use super::folder;
use super::methods::{Planned, Work};
use super::pairs::{self, Condition};
use crate::failure::Failure;
use crate::report::say;
use crate::suite::Protocol;

/// Folder of restored pictures in that of the run.
pub(crate) const RESTORED: &str = "restored";
/// Folder of what is kept between runs.
const WORK: &str = "work";

/// What a method reached.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) planned: Planned,
    /// By `DOMAIN/CONDITION/NAME`; nothing for conditions that it cannot be asked for.
    pub(crate) pictures: BTreeMap<String, Outcome>,
    /// What the program said before the pictures of each protocol.
    pub(crate) started: BTreeMap<&'static str, Started>,
}

/// Whether the method can be asked for a condition; if not, why.
pub(crate) fn not_applicable(planned: &Planned, condition: &Condition) -> Option<&'static str> {
    match planned.work {
        Work::Classical(_) if condition.real => Some("the blur is real, nobody knows its kernel"),
        Work::Classical(_) if !condition.one_kernel => Some("the blur is not one kernel"),
        _ => None,
    }
}

/// `DOMAIN/CONDITION/NAME`.
pub(crate) fn full_name(condition: &Condition, name: &str) -> String {
    format!("{}/{name}", condition.id())
}

/// Restores all pictures of the conditions by a method and scores them; `out` is the folder of the run, absolute, `what` how to
/// call this step.
///
/// # Errors
/// Whatever keeps the method from its end; a picture that fails does not.
pub(crate) fn measure(
    planned: Planned,
    conditions: &[Condition],
    settings: &Settings,
    out: &Path,
    what: &str,
) -> Result<Measured> {
    let name = planned.method.name.clone();
    let work = out.join(WORK).join(&name);
    let place = out.join(RESTORED).join(&name);
    let mut pictures = BTreeMap::new();
    let mut seconds = BTreeMap::new();
    let applicable: Vec<&Condition> = conditions
        .iter()
        .filter(|condition| not_applicable(&planned, condition).is_none())
        .collect();
    prepare(&place, &planned)?;
    // Where a picture lies that is not restored by the program itself.
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    match &planned.work {
        Work::Input | Work::Model(_) => {}
        Work::Classical(method) => {
            let tasks: Vec<deconvolve::Task<'_>> = each(&applicable)
                .map(|(condition, pair)| deconvolve::Task {
                    name: full_name(condition, &pair.name),
                    pair,
                })
                .collect();
            say(format!("{what}: restoring {} pictures", tasks.len()));
            for (name, restored) in
                deconvolve::run(*method, &tasks, &place, &work.join("restored.jsonl"))?
            {
                match restored {
                    Ok((file, time)) => {
                        seconds.insert(name.clone(), time);
                        files.insert(name, file);
                    }
                    Err(error) => {
                        pictures.insert(name, Outcome::Failed(error));
                    }
                }
            }
        }
        Work::Folder(folder) => {
            // Below the folder of the run, where the report looks for pictures.
            pairs::link(folder, &place)?;
            for (condition, pair) in each(&applicable) {
                let name = full_name(condition, &pair.name);
                let file = folder::file(&place, condition, &pair.name);
                // In words, the place that the user knows.
                let given = folder::file(folder, condition, &pair.name);
                match folder::problem(&given, &pair.sharp) {
                    None => {
                        files.insert(name, file);
                    }
                    Some(error) => {
                        pictures.insert(name, Outcome::Failed(error));
                    }
                }
            }
        }
    }
    for (name, outcome) in &pictures {
        if let Outcome::Failed(error) = outcome {
            say(format!("{what}: {name} failed: {error}"));
        }
    }
    let mut lines: BTreeMap<&'static str, (Protocol, Vec<Line>)> = BTreeMap::new();
    for (condition, pair) in each(&applicable) {
        let name = full_name(condition, &pair.name);
        if pictures.contains_key(&name) {
            continue;
        }
        let (blurry, restored) = match &planned.work {
            Work::Model(_) => (Some(pair.blurry.clone()), None),
            Work::Input => (None, Some(pair.blurry.clone())),
            _ => (None, files.get(&name).cloned()),
        };
        let line = Line {
            name,
            sharp: pair.sharp.clone(),
            blurry,
            restored,
        };
        let protocol = condition.protocol;
        let (_, lines) = lines
            .entry(protocol.name())
            .or_insert_with(|| (protocol, Vec::new()));
        lines.push(line);
    }
    let restorer = match (&planned.work, &planned.method.options) {
        (Work::Model(checkpoint), Some(options)) => Some(Restorer {
            checkpoint: checkpoint.as_deref(),
            options,
            save: &place,
        }),
        _ => None,
    };
    let mut started = BTreeMap::new();
    for (key, (protocol, mut lines)) in lines {
        lines.sort_by(|one, other| one.name.cmp(&other.name));
        let mut watch = Watch::new(what.to_owned(), &lines);
        let scores = evaluate::evaluate(
            settings,
            protocol,
            restorer.as_ref(),
            &lines,
            &work,
            &mut watch,
        )?;
        started.insert(key, scores.started);
        pictures.extend(scores.pictures);
    }
    for (name, time) in seconds {
        if let Some(Outcome::Scored { seconds, .. }) = pictures.get_mut(&name) {
            *seconds = time;
        }
    }
    Ok(Measured {
        planned,
        pictures,
        started,
    })
}

/// Methods that an earlier run in the folder `out` measured and that are not among `methods`, sorted.
pub(crate) fn left_out(out: &Path, methods: &[Planned]) -> Vec<String> {
    let folders = out.join(WORK).read_dir().into_iter().flatten().flatten();
    let mut names: Vec<String> = folders
        .filter_map(|folder| folder.file_name().into_string().ok())
        .filter(|name| methods.iter().all(|planned| planned.method.name != *name))
        .collect();
    names.sort();
    names
}

/// Makes sure that pictures of one method never mix with those of another of the same name, least of all with a user's.
///
/// # Errors
/// A folder of restored pictures where a link has to be.
fn prepare(place: &Path, planned: &Planned) -> Result<()> {
    let Work::Folder(folder) = &planned.work else {
        // The link of an earlier run leads to pictures that are not ours to replace.
        return pairs::unlink(place);
    };
    let is_itself = || matches!((place.canonicalize(), folder.canonicalize()), (Ok(one), Ok(other)) if one == other);
    if place.exists() && !place.is_symlink() && !is_itself() {
        let name = &planned.method.name;
        return Err(Failure::error(
            format!(
                "--method {name}={}: an earlier method called {name} keeps its pictures in {}",
                folder.display(),
                place.display()
            ),
            "give the method another name, or delete that folder",
        ));
    }
    Ok(())
}

fn each<'a>(
    conditions: &'a [&'a Condition],
) -> impl Iterator<Item = (&'a Condition, &'a pairs::Pair)> {
    conditions
        .iter()
        .flat_map(|condition| condition.pairs.iter().map(move |pair| (*condition, pair)))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::bench_ood::classical::Classical;
    use crate::bench_ood::methods;
    use std::fs;

    fn planned(work: Work) -> Planned {
        Planned {
            work,
            ..methods::classical(Classical::Wiener)
        }
    }

    #[test]
    fn pictures_of_a_user_are_never_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = folder.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        fs::write(theirs.join("a.png"), "theirs").unwrap();
        let place = folder.path().join("restored/mine");
        for work in [Work::Model(None), Work::Classical(Classical::Wiener)] {
            pairs::link(&theirs, &place).unwrap();
            prepare(&place, &planned(work)).unwrap();
            assert!(!place.exists() && !place.is_symlink());
        }
        assert_eq!(fs::read(theirs.join("a.png")).unwrap(), b"theirs");
    }

    #[test]
    fn methods_that_are_not_named_again_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let methods = [planned(Work::Model(None))];
        assert_eq!(left_out(folder.path(), &methods), Vec::<String>::new());
        for name in ["wiener", "mine"] {
            fs::create_dir_all(folder.path().join(WORK).join(name)).unwrap();
        }
        assert_eq!(left_out(folder.path(), &methods), ["mine"]);
    }

    #[test]
    fn a_folder_does_not_take_the_place_of_restored_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = folder.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        let place = folder.path().join("restored/mine");
        let mine = planned(Work::Folder(theirs.clone()));
        prepare(&place, &mine).unwrap();
        pairs::link(&theirs, &place).unwrap();
        prepare(&place, &mine).unwrap();
        pairs::unlink(&place).unwrap();
        fs::create_dir(&place).unwrap();
        let error = prepare(&place, &mine).unwrap_err().to_string();
        assert!(error.contains("restored/mine"), "{error}");
        prepare(&place, &planned(Work::Folder(place.clone()))).unwrap();
    }
}
