//! Joins the parts of a run that was divided. The result is what the undivided run would have found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result};

use super::assemble;
use super::pairs::link;
use super::results::{Metric, Provenance, Results};
use super::resume::{self, RunRecord, data_sha256};
use super::shard;
use crate::datasets;
use crate::failure::Failure;
use crate::synth;

/// The file of [`Results`] in the folder of a run.
pub(crate) const RESULTS: &str = "results.json";
/// Folder of the parts in that of the whole.
const SHARDS: &str = "shards";

/// A part: its folder, what it was to do, what it found.
struct Part {
    folder: PathBuf,
    record: RunRecord,
    results: Results,
}

/// Joins the parts in `folders`, of which pictures are linked below `out`, the absolute folder of the whole; data sets lie in `cache`.
///
/// # Errors
/// A folder `out` that holds a run. Folders that are no parts, parts that are missing, there twice, or of different runs.
pub(crate) fn merge(
    folders: &[PathBuf],
    out: &Path,
    cache: Option<&Path>,
) -> Result<(RunRecord, Results)> {
    refuse_to_replace(folders, out)?;
    let mut parts: Vec<Part> = folders
        .iter()
        .map(|folder| {
            let record = RunRecord::read(folder)?;
            let file = folder.join(RESULTS);
            if !file.is_file() {
                return Err(Failure::error(
                    format!("the run in {} is not finished", folder.display()),
                    "go on with it with --resume, then merge",
                ));
            }
            Ok(Part {
                folder: folder.clone(),
                record,
                results: Results::read(&file)?,
            })
        })
        .collect::<Result<_>>()?;
    check(&parts)?;
    parts.sort_by_key(|part| part.record.shard.map(|shard| shard.index));
    for part in &mut parts {
        let Some(shard) = part.record.shard else {
            continue;
        };
        let place = Path::new(SHARDS).join(shard.index.to_string());
        link(&part.folder, &out.join(&place))?;
        leave_out_strangers(part, cache)?;
        for picture in &mut part.results.pictures {
            picture.file = place.join(&picture.file);
        }
    }
    join(parts)
}

/// Removes the results of an earlier run from a folder where one begins: they would be taken for those of this one.
///
/// # Errors
/// A file that cannot be removed.
pub(crate) fn forget_results(folder: &Path) -> Result<()> {
    let file = folder.join(RESULTS);
    match fs::remove_file(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Neither a part nor another run is overwritten by the whole.
fn refuse_to_replace(folders: &[PathBuf], out: &Path) -> Result<()> {
    let is_out = |folder: &&PathBuf| folder.canonicalize().is_ok_and(|folder| folder == out);
    let what = if folders.iter().any(|folder| is_out(&folder)) {
        "is one of the parts"
    } else if out.join(resume::FILE).exists() || out.join(RESULTS).exists() {
        "holds a run already"
    } else {
        return Ok(());
    };
    Err(Failure::error(
        format!("{} {what}", out.display()),
        "give a new folder with --out, or delete that one if it only holds what was merged before",
    ))
}

/// Takes pictures off the list that lie neither in the folder of the part nor in a data set: the report holds copies of what is listed,
/// and a link in a part that came from elsewhere may lead to any file of this machine.
fn leave_out_strangers(part: &mut Part, cache: Option<&Path>) -> Result<()> {
    let mut roots = vec![
        part.folder
            .canonicalize()
            .with_context(|| format!("cannot find {}", part.folder.display()))?,
    ];
    let datasets: BTreeSet<&str> = part
        .results
        .images
        .iter()
        .filter_map(|image| Some(image.photo.split_once('/')?.0))
        .collect();
    for name in datasets {
        // A set that is not here has no pictures here.
        let folder = datasets::folder(cache, name).and_then(|folder| Ok(folder.canonicalize()?));
        roots.extend(folder);
    }
    let folder = &part.folder;
    let total = part.results.pictures.len();
    part.results.pictures.retain(|picture| {
        let file = folder.join(&picture.file).canonicalize();
        file.is_ok_and(|file| roots.iter().any(|root| file.starts_with(root)))
    });
    let left_out = total - part.results.pictures.len();
    if left_out > 0 {
        part.results.notes.push(format!(
            "{} of {} are not shown: they are gone, or links lead to them that leave the folder.",
            synth::count(left_out, "picture"),
            folder.display()
        ));
    }
    Ok(())
}

/// Parts that do not belong together, all at once.
fn check(parts: &[Part]) -> Result<()> {
    let mut problems = Vec::new();
    let mut shards = Vec::new();
    for part in parts {
        let has_images = !part.results.images.is_empty();
        if has_images && part.record.setup.metrics.is_empty() {
            problems.push(format!(
                "{} does not say how it was measured; go on with it with --resume",
                part.folder.display()
            ));
        }
        match part.record.shard {
            Some(shard) => shards.push(shard),
            None => problems.push(format!(
                "{} is a whole run, not a part",
                part.folder.display()
            )),
        }
    }
    problems.extend(shard::problems(&shards));
    if let Some((first, others)) = parts.split_first() {
        for part in others {
            for what in differences(first, part) {
                problems.push(format!(
                    "{} has another {what} than {}",
                    part.folder.display(),
                    first.folder.display()
                ));
            }
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::error(
        format!("these parts cannot be joined:\n  {}", problems.join("\n  ")),
        "give the folders of all parts of one run, each once, made with the same options but --shard and --out",
    ))
}

/// In what two parts differ that must be the same.
fn differences(one: &Part, other: &Part) -> Vec<&'static str> {
    let conditions = |part: &Part| -> Vec<_> {
        let records = part.record.conditions.iter();
        records
            .map(|record| {
                let mut condition = record.condition.clone();
                condition.pairs = 0;
                condition.data_sha256.clear();
                condition
            })
            .collect()
    };
    let (setup, other_setup) = (&one.record.setup, &other.record.setup);
    let mut found = Vec::new();
    for (what, is_same) in [
        ("suite", one.record.suite == other.record.suite),
        ("--conditions", one.record.filter == other.record.filter),
        ("seed", one.record.seed == other.record.seed),
        ("list of conditions", conditions(one) == conditions(other)),
        (
            "list of methods",
            one.results.methods == other.results.methods,
        ),
        ("list of metrics", have_the_same_metrics(one, other)),
        (
            "version of the weights of metrics",
            agree(&setup.weights, &other_setup.weights, |one, other| {
                one == other
            }),
        ),
        (
            "precision",
            agree(&setup.computed, &other_setup.computed, |one, other| {
                one.precision == other.precision
            }),
        ),
    ] {
        if !is_same {
            found.push(what);
        }
    }
    found
}

/// Whether numbers of two parts mean the same. A part without pictures has none, and one may lack a protocol that the other has.
fn have_the_same_metrics(one: &Part, other: &Part) -> bool {
    let names = |part: &Part| -> Vec<String> { part.results.metrics.keys().cloned().collect() };
    let is_empty = |part: &Part| part.results.images.is_empty();
    if is_empty(one) || is_empty(other) {
        return true;
    }
    let (setup, other_setup) = (&one.record.setup, &other.record.setup);
    names(one) == names(other)
        && agree(&setup.metrics, &other_setup.metrics, |one, other| {
            one == other
        })
}

/// Whether what both have under the same name is alike.
fn agree<T>(
    one: &BTreeMap<String, T>,
    other: &BTreeMap<String, T>,
    is_alike: impl Fn(&T, &T) -> bool,
) -> bool {
    one.iter()
        .filter_map(|(name, value)| Some((value, other.get(name)?)))
        .all(|(value, other)| is_alike(value, other))
}

fn join(parts: Vec<Part>) -> Result<(RunRecord, Results)> {
    let mut notes: Vec<String> = Vec::new();
    let mut note = |text: String| {
        if !notes.contains(&text) {
            notes.push(text);
        }
    };
    let count = parts.len();
    let mut seconds = 0.0;
    // In all words: what is usual in a part need not be usual in the whole.
    let mut protocols: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for part in &parts {
        seconds += part.results.provenance.seconds;
        part.results.notes.iter().cloned().for_each(&mut note);
        for condition in &part.results.conditions {
            let mut words: BTreeMap<String, String> = usual_words(&part.results.metrics).collect();
            words.extend(condition.protocols.clone());
            protocols.insert(condition.id.clone(), words);
        }
    }
    for what in uneven(&parts) {
        note(format!("The parts were measured with different {what}."));
    }
    let started = parts
        .iter()
        .map(|part| part.record.started.clone())
        .min()
        .unwrap_or_default();
    let mut parts = parts.into_iter();
    let Part {
        mut record,
        mut results,
        ..
    } = parts.next().context("there is no part")?;
    for part in parts {
        for (whole, part) in record.conditions.iter_mut().zip(part.record.conditions) {
            whole.pairs.extend(part.pairs);
        }
        record.failures.extend(part.record.failures);
        record.setup.extend(part.record.setup);
        results.images.extend(part.results.images);
        results.pictures.extend(part.results.pictures);
        for entry in part.results.not_applicable {
            if !results.not_applicable.contains(&entry) {
                results.not_applicable.push(entry);
            }
        }
    }
    for whole in &mut record.conditions {
        whole.pairs.sort_by(|one, other| one.name.cmp(&other.name));
        whole.condition.pairs = whole.pairs.len();
        whole.condition.data_sha256 = data_sha256(&whole.pairs);
    }
    record.failures.sort();
    record.shard = None;
    results.metrics = record.setup.usual_metrics();
    let usual: BTreeMap<String, String> = usual_words(&results.metrics).collect();
    record.seconds = seconds;
    record.started = started.clone();
    results.conditions = record
        .conditions
        .iter()
        .filter(|whole| !whole.pairs.is_empty())
        .map(|whole| {
            let mut condition = whole.condition.clone();
            condition.protocols = protocols.remove(&condition.id).unwrap_or_default();
            condition
                .protocols
                .retain(|metric, words| usual.get(metric) != Some(words));
            condition
        })
        .collect();
    results.provenance = Provenance {
        started,
        seconds,
        ..results.provenance
    };
    results.notes = notes;
    results.notes.push(format!(
        "Measured in {count} parts, whose times are added up."
    ));
    assemble::sort(&mut results);
    results.check()?;
    Ok((record, results))
}

fn usual_words(metrics: &BTreeMap<String, Metric>) -> impl Iterator<Item = (String, String)> {
    metrics
        .iter()
        .map(|(name, metric)| (name.clone(), metric.protocol.clone()))
}

/// What may differ between parts, but should be said.
fn uneven(parts: &[Part]) -> Vec<&'static str> {
    let Some((first, others)) = parts.split_first() else {
        return Vec::new();
    };
    let one = &first.results.provenance;
    let differs = |is_other: &dyn Fn(&Provenance) -> bool| {
        others.iter().any(|part| is_other(&part.results.provenance))
    };
    let mut found = Vec::new();
    if differs(&|other| (&other.commit, other.dirty) != (&one.commit, one.dirty)) {
        found.push("commits");
    }
    if differs(&|other| other.versions != one.versions) {
        found.push("versions of programs");
    }
    if differs(&|other| other.machine != one.machine) {
        found.push("machines");
    }
    let computed = |part: &Part| part.record.setup.computed.clone();
    let is_same_device = |part: &Part| {
        agree(&computed(first), &computed(part), |one, other| {
            one.device == other.device
        })
    };
    if !others.iter().all(is_same_device) {
        found.push("devices");
    }
    found
}
