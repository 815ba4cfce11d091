//! `cargo xtask synth`: blurry and sharp pairs from sharp photos, by a recipe; each can be made again to the byte.

mod crop;
mod frames;
mod make;
mod of_suite;
mod photos;
mod recipe_file;
pub(crate) mod record;
mod severities;
mod sheet;
mod source;
#[cfg(test)]
mod tests;
mod verify;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use blur_synth::Condition;
use clap::{ArgGroup, Args};

use crate::failure::Failure;
use crate::report::{duration, say};
use crate::suite;
use crate::workspace;
pub(crate) use make::{Job, Made};
pub(crate) use photos::{SharpPhoto, check_names, in_folder};
pub(crate) use recipe_file::read_kernels;
pub(crate) use source::{Pair, Source, write_photo};

/// Make blurry and sharp pairs from sharp photos
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("what").required(true).args([
    "recipe", "suite", "verify", "sheet", "severities",
])))]
pub(crate) struct Arguments {
    /// Make the pairs of a recipe (TOML or JSON); needs --sharp and --out
    #[arg(long, value_name = "FILE", requires_all = ["sharp", "out"])]
    recipe: Option<PathBuf>,
    /// Make the pairs of a suite of datasets/suites, or of a file, from fetched data sets; needs --out
    #[arg(long, value_name = "NAME|FILE", requires = "out", conflicts_with_all = ["sharp", "crop", "photos"])]
    suite: Option<String>,
    /// Make every pair of a folder again and compare; --sharp says where the sharp photos are now
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["out", "crop", "photos"])]
    verify: Option<PathBuf>,
    /// Draw all scenarios in all severities on one sheet (PNG), of the first photo in --sharp
    #[arg(long, value_name = "FILE", requires = "sharp", conflicts_with_all = ["out", "crop", "photos"])]
    sheet: Option<PathBuf>,
    /// Print the table of the PSNR of blurry pictures for all scenarios and severities; needs --sharp
    #[arg(long, requires = "sharp", conflicts_with_all = ["out", "crop"])]
    severities: bool,
    /// Folder with sharp photos
    #[arg(long, value_name = "FOLDER")]
    sharp: Option<PathBuf>,
    /// Folder for the pairs: CONDITION/{blurry,sharp,parameters}
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Use only the most detailed part of each photo, of this size in pixels, such as 256x256
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = parse_crop)]
    crop: Option<[usize; 2]>,
    /// Use only this many photos (or groups of frames), spread evenly over the folder
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    photos: Option<u32>,
    /// Where data sets are kept, for --suite [default: datasets/cache]
    #[arg(long, value_name = "FOLDER", env = "MSDEBLUR_DATASETS")]
    cache: Option<PathBuf>,
}

fn parse_crop(text: &str) -> Result<[usize; 2], String> {
    let side = |text: &str| {
        text.parse()
            .ok()
            .filter(|side| (8..=100_000).contains(side))
    };
    text.split_once('x')
        .and_then(|(width, height)| Some([side(width)?, side(height)?]))
        .ok_or_else(|| "give width x height in pixels, at least 8, such as 256x256".to_owned())
}

/// Runs the task.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if let Some(folder) = &arguments.verify {
        return verify_folder(folder, arguments);
    }
    if let (Some(name), Some(out)) = (&arguments.suite, &arguments.out) {
        return make_suite(name, arguments.cache.as_deref(), out);
    }
    let photos = arguments
        .sharp
        .as_deref()
        .map(photos::in_folder)
        .transpose()?;
    let photos = photos.unwrap_or_default();
    if let (Some(file), Some(photo)) = (&arguments.sheet, photos.first()) {
        return sheet::run(file, photo);
    }
    if arguments.severities {
        let table = severities::table(&spread(photos, arguments.photos))?;
        workspace::print_line(table.trim_end());
        return Ok(());
    }
    let (Some(recipe), Some(folder), Some(out)) =
        (&arguments.recipe, &arguments.sharp, &arguments.out)
    else {
        // Not reached: clap asks for them.
        return Err(Failure::error(
            "--recipe, --sharp and --out belong together",
            "give all three",
        ));
    };
    refuse_inside(out, folder)?;
    let recipe = recipe_file::read(recipe)?;
    let start = Instant::now();
    let made = Job {
        recipe: &recipe,
        folder,
        photos: &photos,
        limit: arguments.photos,
        crop: arguments.crop,
        out,
        is_stopped: || false,
    }
    .run()?;
    report(&made, &out.display().to_string(), start)
}

/// Evenly spread members of a list, the first always among them.
pub(crate) fn spread<T>(mut items: Vec<T>, count: Option<u32>) -> Vec<T> {
    let (total, count) = (
        items.len(),
        count.map_or(usize::MAX, |count| count as usize),
    );
    if count >= total {
        return items;
    }
    let share = |index: usize| index * count / total;
    let mut index = 0;
    items.retain(|_| {
        let is_first_of_its_share = index == 0 || share(index) != share(index - 1);
        index += 1;
        is_first_of_its_share
    });
    items
}

/// Whether a condition averages frames of films.
pub(crate) fn is_film(condition: &Condition) -> bool {
    frames::count(condition).is_some()
}

/// The names of the pairs of a condition that a folder of pairs should hold, sorted.
///
/// # Errors
/// A folder without a sound record.
pub(crate) fn stems(set: &Path, condition: &str) -> Result<Vec<String>> {
    let set: record::SetRecord = record::read(&set.join(record::SET_FILE))?;
    let found = set.pairs.into_iter().find(|(name, _)| name == condition);
    Ok(found.map(|(_, stems)| stems).unwrap_or_default())
}

fn verify_folder(folder: &Path, arguments: &Arguments) -> Result<()> {
    let sets = match of_suite::folders(folder)? {
        Some(_) if arguments.sharp.is_some() => {
            return Err(Failure::error(
                "--sharp is one folder, a suite has several",
                format!("verify the folders in {} one by one", folder.display()),
            ));
        }
        Some(sets) => sets,
        None => vec![folder.to_owned()],
    };
    let mut findings = verify::Findings::default();
    for set in sets {
        let found = verify::verify(&set, arguments.sharp.as_deref())?;
        findings.sound += found.sound;
        findings.problems.extend(found.problems);
    }
    for problem in &findings.problems {
        workspace::print_line(problem);
    }
    workspace::print_line(&format!(
        "{} sound, {} with problems",
        count(findings.sound, "pair"),
        findings.problems.len()
    ));
    if findings.problems.is_empty() {
        return Ok(());
    }
    Err(Failure::error(
        format!("{} is not what its records say", folder.display()),
        "if the sharp photos are elsewhere now, say where with --sharp FOLDER; else run the same `synth` command again, which makes what is damaged anew, and delete what belongs to no pair",
    ))
}

/// Pairs among the sharp photos would be taken for sharp photos by the next call.
fn refuse_inside(out: &Path, photos: &Path) -> Result<()> {
    // Of a folder that does not exist yet, the part that does counts.
    let existing = out.ancestors().find_map(|part| {
        let part = if part.as_os_str().is_empty() {
            Path::new(".")
        } else {
            part
        };
        part.canonicalize().ok()
    });
    let photos = photos.canonicalize().ok();
    if let (Some(out), Some(photos)) = (existing, photos)
        && out.starts_with(&photos)
    {
        return Err(Failure::error(
            format!(
                "--out lies in the folder of sharp photos, {}",
                photos.display()
            ),
            "give a folder beside it; otherwise the next call would take pairs for sharp photos",
        ));
    }
    Ok(())
}

fn make_suite(name: &str, cache: Option<&Path>, out: &Path) -> Result<()> {
    let start = Instant::now();
    let suite = suite::load(name)?;
    let made = of_suite::run(&suite, cache, out)?;
    report(&made, &out.display().to_string(), start)
}

fn report(made: &Made, out: &str, start: Instant) -> Result<()> {
    say(format!(
        "{} made, {} were there, in {}: {out}",
        count(made.made, "pair"),
        made.kept,
        duration(start.elapsed())
    ));
    if made.failed.is_empty() {
        return Ok(());
    }
    // Not the result of the command, so not on standard output.
    for failure in &made.failed {
        say(failure);
    }
    Err(Failure::error(
        format!(
            "not everything could be made: {}",
            count(made.failed.len(), "failure")
        ),
        "the others are whole; mend or remove what is named above and run this again",
    ))
}

/// `1 pair`, `2 pairs`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
