//! What a folder of a run is for, so that two runs are never mixed, and what a merge needs to know.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::measure::Measured;
use super::pairs::{self, Pairs};
use super::results::{Condition, Metric, SuiteInfo};
use super::shard::Shard;
use crate::failure::Failure;
use crate::suite::Protocol;
use crate::synth::record;

/// Version of [`RunRecord`], which is read by [`record::read`].
const SCHEMA_VERSION: u32 = record::SCHEMA_VERSION;
/// The file of a [`RunRecord`] in its folder.
pub(crate) const FILE: &str = "run.json";

/// What is measured in a folder.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunRecord {
    /// [`SCHEMA_VERSION`].
    pub(crate) schema_version: u32,
    pub(crate) suite: SuiteInfo,
    /// The patterns of `--conditions`.
    pub(crate) filter: Vec<String>,
    /// The part, of a run that was divided.
    pub(crate) shard: Option<Shard>,
    /// Seed of the samplers.
    pub(crate) seed: u64,
    /// When the first run in this folder began, as in RFC 3339.
    pub(crate) started: String,
    /// Seconds of all runs in this folder.
    pub(crate) seconds: f64,
    /// All conditions of the whole run, with the pairs of this part.
    pub(crate) conditions: Vec<ConditionRecord>,
    /// One line for each picture that could not be made.
    #[serde(default)]
    pub(crate) failures: Vec<String>,
    /// Empty until everything is measured.
    #[serde(default)]
    pub(crate) setup: Setup,
}

/// What the numbers of a part depend on besides its pictures, as the program said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    /// What metrics mean, by protocol; only those of its pictures.
    pub(crate) metrics: BTreeMap<String, BTreeMap<String, Metric>>,
    /// SHA-256 of the weights of metrics, by file.
    pub(crate) weights: BTreeMap<String, String>,
    /// How each model was computed, by method.
    pub(crate) computed: BTreeMap<String, Computed>,
}

/// How a model was computed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Computed {
    pub(crate) device: String,
    pub(crate) precision: String,
}

impl Setup {
    /// What was said while the methods were measured.
    pub(crate) fn of(measured: &[Measured]) -> Self {
        let mut setup = Self::default();
        for measured in measured {
            for (protocol, started) in &measured.started {
                setup
                    .metrics
                    .entry((*protocol).to_owned())
                    .or_insert_with(|| started.metrics.clone());
                setup.weights.extend(started.weights.clone());
                if let Some(computed) = &started.computed {
                    let method = measured.planned.method.name.clone();
                    setup.computed.insert(method, computed.clone());
                }
            }
        }
        setup
    }

    /// What the numbers mean under the protocol that most conditions have.
    pub(crate) fn usual_metrics(&self) -> BTreeMap<String, Metric> {
        let rgb = self.metrics.get(Protocol::Rgb.name());
        let any = || self.metrics.values().next();
        rgb.or_else(any).cloned().unwrap_or_default()
    }

    /// Takes over what another part used.
    pub(crate) fn extend(&mut self, other: Self) {
        self.metrics.extend(other.metrics);
        self.weights.extend(other.weights);
        self.computed.extend(other.computed);
    }
}

/// A condition and its pairs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConditionRecord {
    pub(crate) condition: Condition,
    pub(crate) pairs: Vec<PairRecord>,
}

/// A pair by its contents.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PairRecord {
    pub(crate) name: String,
    pub(crate) sha256: String,
}

impl RunRecord {
    /// Of a run that begins.
    pub(crate) fn new(
        suite: SuiteInfo,
        filter: &[String],
        shard: Option<Shard>,
        seed: u64,
        started: String,
    ) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            suite,
            filter: filter.to_vec(),
            shard,
            seed,
            started,
            seconds: 0.0,
            conditions: Vec::new(),
            failures: Vec::new(),
            setup: Setup::default(),
        }
    }

    /// Takes over what an earlier run in the same folder did.
    ///
    /// # Errors
    /// A folder that holds another run, or one that is not to be gone on with.
    pub(crate) fn continue_from(&mut self, out: &Path, resume: bool) -> Result<()> {
        let file = out.join(FILE);
        if !file.is_file() {
            return Ok(());
        }
        if !resume {
            return Err(Failure::error(
                format!("{} holds a run already", out.display()),
                "go on with it with --resume, give another folder with --out, or delete it",
            ));
        }
        let there: Self = record::read(&file)?;
        let mut differences = Vec::new();
        let mut compare = |what: &str, is_same: bool| {
            if !is_same {
                differences.push(what.to_owned());
            }
        };
        compare("suite", there.suite == self.suite);
        compare("conditions", there.filter == self.filter);
        compare("shard", there.shard == self.shard);
        compare("seed", there.seed == self.seed);
        if !differences.is_empty() {
            return Err(Failure::error(
                format!(
                    "{} holds a run with another {}",
                    out.display(),
                    differences.join(", another ")
                ),
                "repeat the options of that run, or give another folder with --out",
            ));
        }
        self.started = there.started;
        self.seconds = there.seconds;
        Ok(())
    }

    /// Notes the pairs of this part.
    pub(crate) fn set_pairs(&mut self, pairs: &Pairs) {
        self.failures.clone_from(&pairs.failures);
        self.conditions = pairs
            .conditions
            .iter()
            .map(|condition| {
                let pairs: Vec<PairRecord> = condition
                    .pairs
                    .iter()
                    .map(|pair| PairRecord {
                        name: pair.name.clone(),
                        sha256: pair.sha256.clone(),
                    })
                    .collect();
                let condition = Condition {
                    id: condition.id(),
                    domain: condition.domain.clone(),
                    name: condition.name.clone(),
                    family: condition.family.clone(),
                    severity: condition.severity,
                    in_domain: condition.in_domain,
                    pairs: pairs.len(),
                    data_sha256: data_sha256(&pairs),
                    real: condition.real,
                    // The words are filled in when the program has said them.
                    protocols: Default::default(),
                };
                ConditionRecord { condition, pairs }
            })
            .collect();
    }

    /// Writes it whole or not at all.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub(crate) fn write(&self, out: &Path) -> Result<()> {
        record::write(&out.join(FILE), self)
    }

    /// Reads that of a folder.
    ///
    /// # Errors
    /// A folder without a run.
    pub(crate) fn read(out: &Path) -> Result<Self> {
        let file = out.join(FILE);
        if !file.is_file() {
            return Err(Failure::error(
                format!(
                    "{} is not the folder of a run: it has no {FILE}",
                    out.display()
                ),
                "give folders that `bench-ood --shard I/N --out FOLDER` has written",
            ));
        }
        record::read(&file)
    }
}

/// See [`pairs::data_sha256`].
pub(crate) fn data_sha256(pairs: &[PairRecord]) -> String {
    pairs::data_sha256(
        pairs
            .iter()
            .map(|pair| (pair.name.as_str(), pair.sha256.as_str())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(change: impl Fn(&mut RunRecord)) -> RunRecord {
        let suite = SuiteInfo {
            name: "probe".to_owned(),
            description: String::new(),
            seed: 1,
            crop: None,
            sha256: "ab".to_owned(),
        };
        let mut record = RunRecord::new(suite, &[], None, 0, "2026-01-01T00:00:00Z".to_owned());
        change(&mut record);
        record
    }

    #[test]
    fn a_run_goes_on_only_when_asked_and_only_with_itself() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        record(|_| ()).continue_from(out, false).unwrap();
        let mut first = record(|_| ());
        first.seconds = 12.5;
        first.write(out).unwrap();
        let error = record(|_| ()).continue_from(out, false).unwrap_err();
        assert!(error.to_string().contains("already"), "{error}");
        let mut second = record(|record| record.started = "later".to_owned());
        second.continue_from(out, true).unwrap();
        assert_eq!((second.seconds, second.started), (12.5, first.started));
        type Change = fn(&mut RunRecord);
        let changes: [(&str, Change); 4] = [
            ("suite", |record| record.suite.sha256 = "cd".to_owned()),
            ("conditions", |record| record.filter = vec!["a".to_owned()]),
            ("shard", |record| record.shard = "1/2".parse().ok()),
            ("seed", |record| record.seed = 1),
        ];
        for (what, change) in changes {
            let error = record(change).continue_from(out, true).unwrap_err();
            assert!(
                error.to_string().contains(&format!("another {what}")),
                "{error}"
            );
        }
    }
}
