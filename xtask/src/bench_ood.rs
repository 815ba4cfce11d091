//! `cargo xtask bench-ood`: how methods behave where they were not made for.
//!
//! The pictures are made by `synth`, restored and scored by `msdeblur evaluate`, one process for each method; what it says is put
//! together here. Everything that takes time is kept by content hash, so that a run that was killed goes on where it stopped.

mod arguments;
pub(crate) mod arms;
mod assemble;
mod classical;
mod deconvolve;
mod evaluate;
#[cfg(test)]
mod fixture;
mod folder;
mod measure;
mod merge;
mod methods;
mod models;
mod needs;
mod numbers;
mod outputs;
mod pairs;
mod phrases;
mod provenance;
pub(crate) mod published;
mod report;
mod results;
mod resume;
mod shard;
mod statistics;
mod stop;
mod tables;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};

pub(crate) use arguments::Arguments;
use evaluate::Settings;
use methods::Plan;
pub(crate) use needs::program;
use pairs::Pairs;
pub(crate) use published::check as check_publishable;
use results::{Results, SuiteInfo};
use resume::{RunRecord, Setup};

use crate::failure;
use crate::hash;
use crate::lock::Lock;
use crate::report::{duration, say};
use crate::suite::{self, Suite};
use crate::synth;
use crate::workspace;

/// Held while a run writes into its folder.
const LOCK_FILE: &str = ".lock";
/// Photos of the table of settings: enough to see where the best setting lies.
const TABLE_PHOTOS: u32 = 6;

/// Runs the task: 0 when everything was measured, 1 when some pictures failed, 2 when there is no result.
pub(crate) fn main(arguments: &Arguments) -> ExitCode {
    match run(arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            say(format!(
                "{} failed; results.json says why",
                synth::count(failed, "picture")
            ));
            ExitCode::from(1)
        }
        Err(error) => {
            failure::print(&error);
            ExitCode::from(2)
        }
    }
}

/// Returns how many pictures failed.
fn run(arguments: &Arguments) -> Result<usize> {
    stop::watch()?;
    if let Some(folder) = &arguments.classical_table {
        let suite = suite::load(&arguments.suite)?;
        let photos = synth::spread(synth::in_folder(folder)?, Some(TABLE_PHOTOS));
        workspace::print_line(classical::table(&suite, &photos)?.trim_end());
        return Ok(0);
    }
    if !arguments.merge.is_empty() {
        return merge(arguments);
    }
    let start = Instant::now();
    // An experiment has looked at it before it trained.
    if arguments.publish && arguments.experiment.is_none() {
        published::check(arguments.program.as_deref())?;
    }
    let suite = suite::load(&arguments.suite)?;
    let metrics = arguments.metrics()?;
    let filter = arguments.filter()?;
    let out = made(&arguments.out(&suite.name))?;
    let _lock = Lock::take(&out.join(LOCK_FILE), "measuring in the same folder")?;
    let mut record = RunRecord::new(
        described(&suite, &arguments.suite)?,
        &arguments.conditions,
        arguments.shard,
        arguments.seed,
        provenance::now(),
    );
    record.continue_from(&out, arguments.resume)?;

    // Before the long build, so that a missing network is noticed at once.
    let cache = arguments.cache.as_deref();
    needs::data_sets(&suite, cache)?;
    let pairs = || pairs::make(&suite, &filter, arguments.shard, cache, &out);
    if arguments.prepare {
        let pairs = pairs()?;
        say_where(&out, &pairs);
        return Ok(pairs.failures.len());
    }
    let needs::Weights {
        metrics,
        folder: weights,
        mut notes,
    } = needs::weights(metrics, arguments.metrics.is_some(), cache)?;
    let program = program(arguments.program.as_deref())?;
    let Plan {
        methods,
        notes: about_methods,
    } = methods::plan(arguments, &program)?;
    notes.extend(about_methods);
    let pairs = pairs()?;
    notes.extend(about_pairs(&pairs));
    record.set_pairs(&pairs);
    record.write(&out)?;
    merge::forget_results(&out)?;
    notes_of_left_out(&out, &methods);
    say_where(&out, &pairs);
    for note in &notes {
        say(format!("note: {note}"));
    }

    check_folders(&methods, &pairs, arguments.shard.is_some())?;
    let settings = Settings {
        program,
        metrics,
        weights,
        seed: arguments.seed,
    };
    let measured = measure_all(methods, &pairs, &settings, &out);
    // Also of a run that was stopped.
    record.seconds += start.elapsed().as_secs_f64();
    if let Ok(measured) = &measured {
        record.setup = Setup::of(measured);
    }
    record.write(&out)?;
    let measured = measured?;
    let provenance = provenance::of(&settings.program, record.started.clone(), record.seconds);
    let mut results = assemble::results(
        &record,
        &pairs.conditions,
        &measured,
        provenance,
        notes,
        &out,
    );
    if let Some(experiment) = &arguments.experiment {
        experiment.conclude(&mut results);
    }
    finish(&results, arguments, &out, start)?;
    Ok(failures(&results) + pairs.failures.len())
}

fn measure_all(
    methods: Vec<methods::Planned>,
    pairs: &Pairs,
    settings: &Settings,
    out: &Path,
) -> Result<Vec<measure::Measured>> {
    let total = methods.len();
    let mut measured = Vec::new();
    for (number, planned) in (1..).zip(methods) {
        let what = format!("{} ({number} of {total})", planned.method.name);
        measured.push(measure::measure(
            planned,
            &pairs.conditions,
            settings,
            out,
            &what,
        )?);
        stop::check()?;
    }
    Ok(measured)
}

/// Says what is missing in the folders of other programs, before hours are spent on the other methods.
fn check_folders(methods: &[methods::Planned], pairs: &Pairs, is_part: bool) -> Result<()> {
    for planned in methods {
        let methods::Work::Folder(folder) = &planned.work else {
            continue;
        };
        let name = &planned.method.name;
        folder::check(folder, &pairs.conditions, name, is_part)?;
        // A part knows the names of its own pictures only.
        if !is_part {
            for file in folder::strangers(folder, &pairs.conditions) {
                say(format!("{} belongs to no pair", file.display()));
            }
        }
    }
    Ok(())
}

fn merge(arguments: &Arguments) -> Result<usize> {
    let start = Instant::now();
    let suite = RunRecord::read(&arguments.merge[0])?.suite.name;
    let out = made(&arguments.out(&suite))?;
    let _lock = Lock::take(&out.join(LOCK_FILE), "measuring in the same folder")?;
    let (record, results) = merge::merge(&arguments.merge, &out, arguments.cache.as_deref())?;
    record.write(&out)?;
    finish(&results, arguments, &out, start)?;
    Ok(failures(&results) + record.failures.len())
}

/// Says which methods an earlier run in the folder measured that are not named now.
fn notes_of_left_out(out: &Path, methods: &[methods::Planned]) {
    for name in measure::left_out(out, methods) {
        say(format!(
            "note: {name} was measured here before and is left out of the results now; name it again to have it among them"
        ));
    }
}

/// Writes all that is read by people, and prints the summary.
fn finish(results: &Results, arguments: &Arguments, out: &Path, start: Instant) -> Result<()> {
    let summary = outputs::write(results, out)?;
    if arguments.publish {
        published::publish(results, workspace::root())?;
    }
    workspace::print_line(summary.trim_end());
    say(format!(
        "finished in {}: {}",
        duration(start.elapsed()),
        out.join(outputs::REPORT).display()
    ));
    Ok(())
}

/// Pictures of which there is an error instead of numbers.
fn failures(results: &Results) -> usize {
    let failed = |image: &&results::Image| image.error.is_some();
    results.images.iter().filter(failed).count()
}

/// A folder that exists now, as an absolute path.
fn made(folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    folder
        .canonicalize()
        .with_context(|| format!("cannot find {}", folder.display()))
}

fn described(suite: &Suite, given: &str) -> Result<SuiteInfo> {
    Ok(SuiteInfo {
        name: suite.name.clone(),
        description: suite.description.clone(),
        seed: suite.seed,
        crop: suite.crop,
        sha256: hash::sha256(&suite::file(given))?,
    })
}

fn about_pairs(pairs: &Pairs) -> Vec<String> {
    let mut notes = Vec::new();
    if !pairs.failures.is_empty() {
        notes.push(format!(
            "These pictures could not be made and are missing: {}.",
            pairs.failures.join("; ")
        ));
    }
    if !pairs.absent.is_empty() {
        notes.push(format!(
            "These sets with real blur are not on the machine and were left out: {}.",
            pairs.absent.join(", ")
        ));
    }
    notes
}

/// Where another program finds what to restore.
fn say_where(out: &Path, pairs: &Pairs) {
    let total: usize = pairs
        .conditions
        .iter()
        .map(|condition| condition.pairs.len())
        .sum();
    say(format!(
        "{} of {}: {}",
        synth::count(total, "blurry picture"),
        synth::count(pairs.conditions.len(), "condition"),
        out.join(pairs::FOLDER)
            .join("DOMAIN/CONDITION/blurry/NAME.png")
            .display()
    ));
    say(
        "restored by another program to DIR/DOMAIN/CONDITION/NAME.png they are compared with --resume --method NAME=DIR",
    );
}
