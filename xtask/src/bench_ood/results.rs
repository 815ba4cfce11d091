//! What a run of the benchmark found: the versioned contents of `results.json`.
//!
//! The file holds measurements only. Means, intervals and verdicts are computed from it, so that they can be computed again.

mod metric_map;
mod problems;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// The only version there is.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// The method that does nothing: the blurry picture as it is.
pub(crate) const INPUT: &str = "input";

/// The guided model with its default options: what a report is about.
pub(crate) const GUIDED: &str = "guided";

/// All that was measured in a run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Results {
    /// [`SCHEMA_VERSION`].
    pub(crate) schema_version: u32,
    /// What was measured on.
    pub(crate) suite: SuiteInfo,
    /// How these numbers came about.
    pub(crate) provenance: Provenance,
    /// By the name that `msdeblur evaluate` has for it: `psnr`, `lpips`.
    pub(crate) metrics: BTreeMap<String, Metric>,
    /// In the order in which they are shown.
    pub(crate) methods: Vec<Method>,
    /// In the order in which they are shown.
    pub(crate) conditions: Vec<Condition>,
    /// One for each picture of each condition and each method; those that failed too.
    pub(crate) images: Vec<Image>,
    /// What a method cannot do: the oracle of a blur that is not one kernel.
    #[serde(default)]
    pub(crate) not_applicable: Vec<NotApplicable>,
    /// Pictures that were kept.
    #[serde(default)]
    pub(crate) pictures: Vec<Picture>,
    /// Sentences that a reader of the numbers must know: no control was there, a shard is missing.
    #[serde(default)]
    pub(crate) notes: Vec<String>,
}

/// The suite.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SuiteInfo {
    /// The name.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) description: String,
    /// Seed of all that is random in the pictures.
    pub(crate) seed: u64,
    /// Width and height of the crops in pixels; whole photos when absent.
    pub(crate) crop: Option<[usize; 2]>,
    /// SHA-256 of the suite's file.
    pub(crate) sha256: String,
}

/// How the numbers came about.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Provenance {
    /// The commit of the repository; `unknown` outside one.
    pub(crate) commit: String,
    /// Files differed from the commit.
    pub(crate) dirty: bool,
    /// The command line.
    pub(crate) command: String,
    /// When the run began, as in RFC 3339, in UTC.
    pub(crate) started: String,
    /// Duration of the run in seconds; of all runs when it was resumed or merged.
    pub(crate) seconds: f64,
    /// Where it ran.
    pub(crate) machine: Machine,
    /// Versions of programs and libraries by name.
    pub(crate) versions: BTreeMap<String, String>,
}

/// A computer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Machine {
    /// Operating system and its version.
    pub(crate) os: String,
    /// Name of the processor.
    pub(crate) cpu: String,
    /// Logical processors that the run could use.
    pub(crate) cores: usize,
    /// Main memory in bytes.
    pub(crate) memory: u64,
}

/// What a number means.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metric {
    /// The protocol in words, as `msdeblur evaluate` prints it.
    pub(crate) protocol: String,
    /// A larger value is better.
    pub(crate) higher_is_better: bool,
    /// `dB`; empty for a number without a unit.
    pub(crate) unit: String,
}

/// What kind of method.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MethodKind {
    /// The blurry picture as it is.
    Input,
    /// Deconvolution.
    Classical,
    /// A checkpoint of this project.
    Model,
    /// Pictures that another program made.
    Folder,
}

/// One way to restore, with all its settings.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Method {
    /// Unique: `guided-mean`, `guided-sample-8`.
    pub(crate) name: String,
    /// What kind.
    pub(crate) kind: MethodKind,
    /// Knows what no method can know: the true kernel.
    pub(crate) oracle: bool,
    /// One sentence.
    pub(crate) description: String,
    /// Of a model.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// Of a model.
    pub(crate) options: Option<Options>,
    /// On a guided model the name of its unguided control, which has the same options and was trained in the same way.
    /// Only with it anything is said about the effect of guidance.
    pub(crate) matched_with: Option<String>,
    /// Methods of the same curve differ in the number of steps only; a line joins them in the order of their steps.
    #[serde(default)]
    pub(crate) curve: Option<String>,
}

/// A model's file.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checkpoint {
    /// Name of the file, or `built in`.
    pub(crate) name: String,
    /// Of the file.
    pub(crate) sha256: String,
    /// Number of trained parameters.
    pub(crate) parameters: u64,
}

/// How a model samples.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// `mean`, `sample` or `average`.
    pub(crate) mode: String,
    /// The sampler; none in mode `mean`.
    pub(crate) sampler: Option<String>,
    /// Denoiser steps of one sample; none in mode `mean`.
    pub(crate) steps: Option<u32>,
    /// How many samples are averaged; none in other modes.
    pub(crate) samples: Option<u32>,
}

/// Pictures of one kind, degraded in one way.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    /// `DOMAIN/NAME`, unique: `photos/camera-shake-3`.
    pub(crate) id: String,
    /// Kind of pictures: `photos`.
    pub(crate) domain: String,
    /// Name of the degradation: `camera-shake-3`.
    pub(crate) name: String,
    /// Family of blur, without the severity: `camera-shake`.
    pub(crate) family: String,
    /// From 1 to 5, where the suite has it.
    pub(crate) severity: Option<u8>,
    /// What the model was trained for.
    pub(crate) in_domain: bool,
    /// Number of pairs.
    pub(crate) pairs: usize,
    /// SHA-256 over the names and contents of its pairs.
    pub(crate) data_sha256: String,
    /// Blur of a real camera, not made.
    pub(crate) real: bool,
    /// Metrics whose protocol differs here from that in [`Results::metrics`], with the words for it.
    #[serde(default)]
    pub(crate) protocols: BTreeMap<String, String>,
}

/// A picture of a condition as a method restored it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Image {
    /// [`Condition::id`].
    pub(crate) condition: String,
    /// Unique in the condition; the same for all methods, which are compared picture by picture.
    pub(crate) name: String,
    /// The sharp photo behind it, the same in every condition and domain that uses it: `free-photos-test/beach.jpg`; the clip of a
    /// frame, the scene of several photos. Pictures of one photo are not independent; what is pooled over conditions is resampled
    /// by photo.
    pub(crate) photo: String,
    /// [`Method::name`].
    pub(crate) method: String,
    /// Values by the names in [`Results::metrics`]; those that are not finite are written as `"inf"`, `"-inf"`, `"nan"`.
    #[serde(with = "metric_map")]
    pub(crate) metrics: BTreeMap<String, f64>,
    /// Time of the restoration alone; 0 for the input and for pictures made elsewhere.
    pub(crate) seconds: f64,
    /// Why there are no metrics.
    pub(crate) error: Option<String>,
}

/// A condition that a method cannot be asked for.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotApplicable {
    /// [`Condition::id`].
    pub(crate) condition: String,
    /// [`Method::name`].
    pub(crate) method: String,
    /// Why: `the blur is not one kernel`.
    pub(crate) reason: String,
}

/// What a kept picture shows.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PictureKind {
    /// The truth; without a method.
    Sharp,
    /// What the method made; of the method `input` the blurry picture.
    Restored,
    /// Where samples of the method differ.
    Uncertainty,
}

/// A picture that was kept for the report.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Picture {
    /// [`Condition::id`].
    pub(crate) condition: String,
    /// [`Image::name`].
    pub(crate) name: String,
    /// [`Method::name`]; none for the sharp picture.
    pub(crate) method: Option<String>,
    /// What it shows.
    pub(crate) kind: PictureKind,
    /// Below the run's folder, with `/`: `restored/guided/photos/defocus-3/beach.png`.
    pub(crate) file: PathBuf,
}

impl Results {
    /// Reads `results.json` and checks it.
    ///
    /// # Errors
    /// No such file, another version, fields that are unknown or missing, names that do not fit together.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &[u8]) -> Result<Self> {
        // The version is asked first: a later one may have any other field.
        let value: serde_json::Value =
            serde_json::from_slice(text).context("is not the JSON of a benchmark's results")?;
        let version = value.get("schema_version");
        if version != Some(&SCHEMA_VERSION.into()) {
            let found = version.map_or("none".to_owned(), ToString::to_string);
            return Err(Failure::error(
                format!(
                    "the results have schema_version {found}; this program reads {SCHEMA_VERSION}"
                ),
                "use the version of this repository that wrote them, or run the benchmark again",
            ));
        }
        let results: Self =
            serde_json::from_value(value).context("are not the results of a benchmark")?;
        results.check()?;
        Ok(results)
    }

    /// Finds what does not fit together.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub(crate) fn check(&self) -> Result<()> {
        let problems = problems::of(self);
        if problems.is_empty() {
            return Ok(());
        }
        let total = problems.len();
        let shown: Vec<&str> = problems.iter().take(20).map(String::as_str).collect();
        Err(Failure::error(
            format!(
                "the results do not fit together ({total} problems):\n  {}",
                shown.join("\n  ")
            ),
            "the file was changed by hand or merged from runs that differ; run the benchmark again",
        ))
    }

    /// The contents of `results.json`, checked.
    ///
    /// # Errors
    /// Names that do not fit together.
    pub(crate) fn to_json(&self) -> Result<String> {
        self.check()?;
        let mut text = serde_json::to_string_pretty(self).context("cannot write the results")?;
        text.push('\n');
        Ok(text)
    }

    /// A method by its name.
    pub(crate) fn method(&self, name: &str) -> Option<&Method> {
        self.methods.iter().find(|method| method.name == name)
    }

    /// A condition by its id.
    pub(crate) fn condition(&self, id: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.id == id)
    }
}

#[cfg(test)]
mod tests;
