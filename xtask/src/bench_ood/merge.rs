//! Joins the parts of a run that was divided. The result is what the undivided run would have found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::assemble;
use super::pairs::link;
use super::results::{Provenance, Results};
use super::resume::{RunRecord, data_sha256};
use super::shard;
use crate::failure::Failure;

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

/// Joins the parts in `folders`, of which pictures are linked below `out`, the absolute folder of the whole.
///
/// # Errors
/// Folders that are no parts, parts that are missing, there twice, or of different runs.
pub(crate) fn merge(folders: &[PathBuf], out: &Path) -> Result<(RunRecord, Results)> {
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
        for picture in &mut part.results.pictures {
            picture.file = place.join(&picture.file);
        }
    }
    join(parts)
}

/// Parts that do not belong together, all at once.
fn check(parts: &[Part]) -> Result<()> {
    let mut problems = Vec::new();
    let mut shards = Vec::new();
    for part in parts {
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
        (
            "list of metrics",
            one.results.metrics == other.results.metrics,
        ),
    ] {
        if !is_same {
            found.push(what);
        }
    }
    found
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
    let mut protocols: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for part in &parts {
        seconds += part.results.provenance.seconds;
        part.results.notes.iter().cloned().for_each(&mut note);
        for condition in &part.results.conditions {
            protocols.insert(condition.id.clone(), condition.protocols.clone());
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
    record.shard = None;
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
    found
}
