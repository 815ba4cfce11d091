//! Results that the repository keeps: `docs/results/SUITE.json`, and the page `docs/RESULTS.md` with its charts, which are made from them.
//!
//! What is written by hand stands above a mark on the page; below it nothing is, so that no number can be wrong in one place only.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::provenance::{self, UNKNOWN};
use super::results::{MethodKind, Results};
use super::statistics::{Settings, analyse};
use super::tables::cell;
use super::{report, tables};
use crate::atomic;
use crate::failure::Failure;
use crate::report::say;

/// The page, from the root of the repository.
pub(crate) const PAGE: &str = "docs/RESULTS.md";
/// The measurements and the charts, from the root of the repository.
pub(super) const FOLDER: &str = "docs/results";
/// The folder as links on the page name it.
const LINKED: &str = "results";
/// The line above what is made.
const MARK: &str =
    "<!-- Made from docs/results by `cargo xtask docs`; what is written below is lost. -->";

/// A file of the page: its place in the repository and its contents.
struct Made {
    path: PathBuf,
    text: String,
}

impl Made {
    fn is_old(&self, root: &Path) -> bool {
        fs::read_to_string(root.join(&self.path)).map_or(true, |found| found != self.text)
    }
}

/// Whether results of now could be published: that is looked at before hours of work.
///
/// # Errors
/// A program that is not built from a commit of this repository.
pub(crate) fn check(program: Option<&Path>) -> Result<()> {
    if program.is_some_and(|file| !file.as_os_str().is_empty()) {
        return Err(Failure::error(
            "--publish is for the program of this repository, not for one that is given",
            "leave --program out, and MSDEBLUR_BINARY unset",
        ));
    }
    let (commit, dirty) = provenance::commit(&[FOLDER, PAGE]);
    check_commit(commit.as_deref(), dirty)
}

fn check_commit(commit: Option<&str>, dirty: bool) -> Result<()> {
    if commit.is_some() && !dirty {
        return Ok(());
    }
    Err(Failure::error(
        "results of a program that is no commit cannot be made again by anybody, so they are not published",
        "commit all changes in a clone with git, then measure with --publish in a new folder",
    ))
}

/// Makes these results those of their suite, and the page anew. What is said of places on this machine is left out.
///
/// # Errors
/// Results of a program that is no commit; files that cannot be written.
pub(super) fn publish(results: &Results, root: &Path) -> Result<()> {
    let commit = Some(results.provenance.commit.as_str()).filter(|commit| *commit != UNKNOWN);
    check_commit(commit, results.provenance.dirty)?;
    check_name(&results.suite.name)?;
    let mut results = results.clone();
    results.pictures.clear();
    for method in &mut results.methods {
        if method.kind == MethodKind::Folder {
            method.description = "restored by another program".to_owned();
        }
    }
    let command = &results.provenance.command;
    let is_place = |word: &&str| !word.contains('/') && !word.contains('\\');
    results.provenance.command = command
        .split(' ')
        .filter(is_place)
        .collect::<Vec<_>>()
        .join(" ");
    results.check()?;
    let folder = root.join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let name = format!("{}.json", results.suite.name);
    let text = serde_json::to_string(&results)? + "\n";
    atomic::write(&folder.join(&name), text.as_bytes())?;
    say(format!("{FOLDER}/{name} written"));
    for file in write(root)? {
        say(format!("{} written", file.display()));
    }
    Ok(())
}

/// It becomes the name of a file.
fn check_name(name: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !name.is_empty() && name.bytes().all(is_plain) {
        return Ok(());
    }
    Err(Failure::error(
        format!("the name `{name}` is no file name"),
        "name it with letters, digits, `-` and `_`",
    ))
}

/// Writes the page and its charts from what the repository keeps, and returns the files that were not so before.
///
/// # Errors
/// Results that cannot be read, files that cannot be written.
pub(crate) fn write(root: &Path) -> Result<Vec<PathBuf>> {
    let outdated = made(root)?.into_iter().filter(|made| made.is_old(root));
    outdated
        .map(|made| {
            atomic::write(&root.join(&made.path), made.text.as_bytes())?;
            Ok(made.path)
        })
        .collect()
}

/// The files that are not what they would be if they were made now.
///
/// # Errors
/// Results that cannot be read.
pub(crate) fn outdated(root: &Path) -> Result<Vec<PathBuf>> {
    let outdated = made(root)?.into_iter().filter(|made| made.is_old(root));
    Ok(outdated.map(|made| made.path).collect())
}

fn made(root: &Path) -> Result<Vec<Made>> {
    let kept = kept(root)?;
    let page = fs::read_to_string(root.join(PAGE)).unwrap_or_default();
    if kept.is_empty() && page.is_empty() {
        return Ok(Vec::new());
    }
    if !page.is_empty() && !page.contains(MARK) {
        return Err(Failure::error(
            format!("{PAGE} has lost the line above what is made: {MARK}"),
            "put it below what is written by hand",
        ));
    }
    let by_hand = page.split(MARK).next().unwrap_or_default().trim_end();
    let mut text = format!("{by_hand}\n\n{MARK}\n");
    let mut files = Vec::new();
    for file in kept {
        let results = Results::read(&file)?;
        check_name(&results.suite.name)?;
        if file.file_stem() != Some(OsStr::new(&results.suite.name)) {
            return Err(Failure::error(
                format!(
                    "{} holds results of `{}`",
                    file.display(),
                    results.suite.name
                ),
                "give the file the name of its suite or experiment",
            ));
        }
        let analysis = analyse(&results, Settings::default());
        text.push_str(&format!("\n{}\n", run(&results)));
        for (name, chart) in report::standalone_charts(&results, &analysis)? {
            check_name(&name)?;
            let name = format!("{}-{name}.svg", results.suite.name);
            text.push_str(&format!(
                "\n![{}]({LINKED}/{name})\n",
                chart.description.replace(['[', ']'], "")
            ));
            files.push(Made {
                path: Path::new(FOLDER).join(name),
                text: chart.standalone(),
            });
        }
        // The page has a heading of its own.
        for line in tables::markdown(&results, &analysis).lines().skip(1) {
            if line.starts_with('#') {
                text.push('#');
            }
            text.push_str(line);
            text.push('\n');
        }
    }
    files.push(Made {
        path: PAGE.into(),
        text,
    });
    Ok(files)
}

/// The results that are kept, in the order of their names.
fn kept(root: &Path) -> Result<Vec<PathBuf>> {
    let folder = root.join(FOLDER);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// How the results came about.
fn run(results: &Results) -> String {
    let provenance = &results.provenance;
    let models: Vec<String> = results
        .methods
        .iter()
        .filter_map(|method| {
            let checkpoint = method.checkpoint.as_ref()?;
            let sha256 = checkpoint.sha256.get(..12).unwrap_or_default();
            Some(format!(
                "`{}` is {} (SHA-256 {sha256}…, {} parameters)",
                method.name,
                cell(&checkpoint.name),
                checkpoint.parameters
            ))
        })
        .collect();
    format!(
        "## `{}`\n\n`{}`, commit `{}`, {}, {} cores of {}, {}. {}.",
        results.suite.name,
        cell(&provenance.command),
        provenance.commit.get(..12).unwrap_or(&provenance.commit),
        provenance.started.get(..10).unwrap_or_default(),
        provenance.machine.cores,
        cell(&provenance.machine.cpu),
        crate::report::duration(std::time::Duration::from_secs_f64(
            provenance.seconds.max(0.0)
        )),
        models.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench_ood::fixture;
    use crate::bench_ood::results::{Picture, PictureKind};

    #[test]
    fn what_is_written_by_hand_stays_and_the_rest_follows_the_measurements() {
        let root = tempfile::tempdir().unwrap();
        assert!(outdated(root.path()).unwrap().is_empty());
        let mut results = fixture::two_domains();
        results.provenance.dirty = false;
        results.provenance.commit = "ab".into();
        results.provenance.command = "cargo xtask bench-ood --out /elsewhere".into();
        results.methods[2].matched_with = Some("plain".into());
        results.pictures.push(Picture {
            condition: results.conditions[0].id.clone(),
            name: results.images[0].name.clone(),
            method: None,
            kind: PictureKind::Sharp,
            file: "pairs/sharp.png".into(),
        });
        publish(&results, root.path()).unwrap();
        assert!(outdated(root.path()).unwrap().is_empty());

        let page = root.path().join(PAGE);
        let text = fs::read_to_string(&page).unwrap();
        fs::write(&page, format!("# Results\n\nIn words.\n\n{text}")).unwrap();
        write(root.path()).unwrap();
        let text = fs::read_to_string(&page).unwrap();
        assert!(
            text.starts_with("# Results\n\nIn words.\n\n<!-- Made"),
            "{text}"
        );
        assert!(text.contains(&format!("## `{}`", results.suite.name)));
        assert!(text.contains("### Summary") && text.contains("| guided − plain | PSNR |"));
        assert!(text.lines().filter(|line| line.starts_with("# ")).count() == 1);

        // No picture of the run's folder, no place on this machine.
        let file = root
            .path()
            .join(FOLDER)
            .join(format!("{}.json", results.suite.name));
        let kept = fs::read_to_string(&file).unwrap();
        let read = Results::read(&file).unwrap();
        assert!(read.pictures.is_empty() && read.images == results.images);
        assert!(!kept.contains("pairs/sharp.png") && !kept.contains("/elsewhere"));
        assert!(kept.contains("cargo xtask bench-ood"));

        // Without the mark nobody knows what is made.
        fs::write(&page, "# Results\n").unwrap();
        assert!(outdated(root.path()).is_err());
        fs::write(&page, &text).unwrap();

        // A number changed by hand is found, in the page and in a chart.
        fs::write(&page, text.replacen("+0.25", "+0.75", 1)).unwrap();
        assert_eq!(outdated(root.path()).unwrap(), [PathBuf::from(PAGE)]);
        let chart = fs::read_dir(root.path().join(FOLDER))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|ending| ending == "svg"))
            .unwrap();
        fs::write(&chart, "<svg/>").unwrap();
        assert_eq!(outdated(root.path()).unwrap().len(), 2);
        write(root.path()).unwrap();
        assert!(outdated(root.path()).unwrap().is_empty());
    }

    #[test]
    fn results_that_nobody_can_make_again_are_refused_and_no_name_leads_elsewhere() {
        let root = tempfile::tempdir().unwrap();
        let mut results = fixture::two_domains();
        results.provenance.dirty = true;
        let error = publish(&results, root.path()).unwrap_err();
        assert!(error.to_string().contains("no commit"), "{error}");
        results.provenance.dirty = false;
        results.provenance.commit = UNKNOWN.into();
        publish(&results, root.path()).unwrap_err();
        results.provenance.commit = "ab".into();
        for name in ["../quick", "a/b", "", "a\\b"] {
            results.suite.name = name.into();
            publish(&results, root.path()).unwrap_err();
        }
        assert!(fs::read_dir(root.path()).unwrap().next().is_none());
    }

    #[test]
    fn charts_can_be_read_on_their_own() {
        let run = tempfile::tempdir().unwrap();
        let results = fixture::whole_run(run.path());
        let analysis = analyse(&results, Settings::default());
        let charts = report::standalone_charts(&results, &analysis).unwrap();
        assert_eq!(charts.len(), 2);
        for (name, chart) in charts {
            let svg = chart.standalone();
            assert!(name.starts_with("photos-"), "{name}");
            assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
            assert_eq!(svg.matches("<svg ").count(), svg.matches("</svg>").count());
            for (method, colour) in &chart.legend {
                assert!(svg.contains(&format!(">{method}</text>")) && svg.contains(colour));
            }
        }
    }
}
