//! `cargo xtask experiment`: trains models that differ in one thing, each with several seeds, and measures what the difference is worth.

mod file;
mod train;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::bench_ood::{self, arms};
use crate::datasets;
use crate::failure;
use crate::report::say;
use crate::suite;
use crate::workspace;
use file::ExperimentFile;

/// Train models that differ in one thing, with several seeds each, and measure the difference; continues where it stopped
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// An experiment of datasets/experiments, or a file
    #[arg(value_name = "NAME|FILE")]
    experiment: String,
    /// Seeds of training instead of those of the file
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    seeds: Option<Vec<u64>>,
    /// Say what would be trained and how long it would take; train nothing
    #[arg(long, conflicts_with = "publish")]
    dry_run: bool,
    /// Make the results those of the repository: docs/results/NAME.json, and docs/RESULTS.md from it
    #[arg(long)]
    publish: bool,
    /// Folder for models and results [default: runs/NAME]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Where data sets and weights are kept [default: datasets/cache]
    #[arg(long, value_name = "FOLDER", env = "MSDEBLUR_DATASETS")]
    cache: Option<PathBuf>,
    /// The program that trains and is measured [default: built from this repository]
    #[arg(long, value_name = "FILE", env = "MSDEBLUR_BINARY")]
    program: Option<PathBuf>,
}

/// Runs the task, with the exit codes of the benchmark.
pub(crate) fn main(arguments: &Arguments) -> ExitCode {
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            failure::print(&error);
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut experiment = file::load(&arguments.experiment)?;
    if let Some(seeds) = &arguments.seeds {
        experiment.seeds.clone_from(seeds);
        experiment.check()?;
    }
    let out = match &arguments.out {
        Some(out) => std::path::absolute(out)?,
        None => workspace::root().join("runs").join(&experiment.name),
    };
    if arguments.publish {
        bench_ood::check_publishable(arguments.program.as_deref())?;
    }
    suite::load(&experiment.suite)?;
    let cache = arguments
        .cache
        .as_deref()
        .map(std::path::absolute)
        .transpose()?;
    let cache = cache.as_deref();
    // Before the long build, so that a missing network is noticed at once.
    for name in experiment.photo_sets() {
        datasets::ensure(cache, &name)?;
    }
    let program = bench_ood::program(arguments.program.as_deref())?;
    if arguments.dry_run {
        let aside = tempfile::tempdir().context("cannot make a temporary folder")?;
        let runs = experiment.runs(aside.path())?;
        for run in runs.iter().take(experiment.arms.len()) {
            say(format!("{}:", run.name));
            train::dry(&program, run, cache)?;
        }
        say(format!(
            "{} models of {} arms would be trained, one after the other",
            runs.len(),
            experiment.arms.len()
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let runs = experiment.runs(&out)?;
    // All mistakes before the first of many hours.
    for run in &runs {
        train::prepare(&program, run, cache)?;
    }
    for (number, run) in (1..).zip(&runs) {
        let what = format!("{} ({number} of {})", run.name, runs.len());
        train::train(&program, run, cache, &what)?;
    }
    let bench = bench_ood::Arguments {
        suite: experiment.suite.clone(),
        out: Some(out.join("bench-ood")),
        resume: true,
        cache: cache.map(Path::to_owned),
        program: Some(program),
        publish: arguments.publish,
        experiment: Some(measured(&experiment, &runs)),
        ..bench_ood::Arguments::default()
    };
    Ok(bench_ood::main(&bench))
}

/// The models as the benchmark takes them.
fn measured(experiment: &ExperimentFile, runs: &[train::Run]) -> arms::Experiment {
    let arms = experiment.arms.iter().map(|arm| arms::Arm {
        name: arm.name.clone(),
        description: arm.description.clone(),
        models: runs
            .iter()
            .filter(|run| run.arm == arm.name)
            .map(|run| (run.seed, run.model()))
            .collect(),
    });
    arms::Experiment {
        name: experiment.name.clone(),
        description: experiment.description.clone(),
        control: experiment.control.clone(),
        arms: arms.collect(),
    }
}
