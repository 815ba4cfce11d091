//! What a run needs and fetches or builds by itself.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::arguments::DEFAULT_METRICS;
use crate::datasets;
use crate::failure::Failure;
use crate::libtorch;
use crate::report::say;
use crate::suite::Suite;
use crate::workspace;

/// The data set of the weights of metrics.
const WEIGHTS: &str = "metric-weights";
/// Names their folder for `msdeblur evaluate`; then nothing is fetched.
const WEIGHTS_VARIABLE: &str = "MSDEBLUR_METRIC_WEIGHTS";
/// Metrics that need no weights.
const FREE: [&str; 2] = ["psnr", "ssim"];

/// Fetches the data sets of the domains that are not here. Sets with real blur are large: they are used if they are here.
///
/// # Errors
/// A set that cannot be fetched.
pub(crate) fn data_sets(suite: &Suite, cache: Option<&Path>) -> Result<()> {
    let mut names: Vec<&str> = suite
        .domains
        .iter()
        .map(|domain| domain.dataset.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .try_for_each(|name| datasets::ensure(cache, name))
}

/// The metrics that can be measured, and where their weights are.
#[derive(Debug)]
pub(crate) struct Weights {
    pub(crate) metrics: Vec<String>,
    /// None when the program knows by itself.
    pub(crate) folder: Option<PathBuf>,
    /// What a reader of the results must know.
    pub(crate) notes: Vec<String>,
}

/// Fetches the weights of metrics if one needs them. Where they cannot be had, a metric that was not asked for is left out.
///
/// # Errors
/// Weights of a metric that was asked for by name.
pub(crate) fn weights(
    metrics: Vec<String>,
    were_named: bool,
    cache: Option<&Path>,
) -> Result<Weights> {
    let is_free = |metric: &String| FREE.contains(&metric.as_str());
    let is_given = std::env::var_os(WEIGHTS_VARIABLE).is_some_and(|value| !value.is_empty());
    if metrics.iter().all(is_free) || is_given {
        return Ok(Weights {
            metrics,
            folder: None,
            notes: Vec::new(),
        });
    }
    let found = datasets::ensure(cache, WEIGHTS).and_then(|()| datasets::folder(cache, WEIGHTS));
    match found {
        Ok(folder) => Ok(Weights {
            metrics,
            folder: Some(folder),
            notes: Vec::new(),
        }),
        Err(error) if were_named => Err(error.context("a metric has no weights")),
        Err(error) => {
            crate::failure::print(&error);
            let left_out: Vec<&str> = DEFAULT_METRICS
                .into_iter()
                .filter(|name| !FREE.contains(name))
                .collect();
            Ok(Weights {
                metrics: metrics.into_iter().filter(is_free).collect(),
                folder: None,
                notes: vec![format!(
                    "The weights of {} could not be fetched, so it was not measured.",
                    left_out.join(", ")
                )],
            })
        }
    }
}

/// The program to measure: the given one, or that of this repository, built now.
///
/// # Errors
/// No such file, or a build that fails.
pub(crate) fn program(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(file) = given.filter(|file| !file.as_os_str().is_empty()) {
        return file.canonicalize().map_err(|error| {
            Failure::error(
                format!("--program {}: {error}", file.display()),
                "give the file of msdeblur, or leave the option out to build it",
            )
        });
    }
    libtorch::ensure()?;
    say(
        "building msdeblur; the first time this takes some minutes, most of them for the C++ part of torch-sys",
    );
    workspace::run(workspace::cargo().args(["build", "--release", "--package", "cli"]))?;
    Ok(workspace::msdeblur())
}
