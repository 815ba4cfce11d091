//! An experiment as it is written.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use toml::{Table, Value};

use super::train::Run;
use crate::failure::Failure;
use crate::suite;
use crate::workspace;

/// The only version there is.
const SCHEMA_VERSION: u32 = 1;
/// Where experiments with a name are.
const FOLDER: &str = "datasets/experiments";
/// Settings that the task itself makes.
const OURS: [&str; 3] = ["name", "out", "seed"];

/// Arms, seeds and what is measured.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExperimentFile {
    schema_version: u32,
    /// Equal to the name of the file.
    pub(super) name: String,
    /// What it asks, in a sentence.
    pub(super) description: String,
    /// The suite that it is measured on.
    pub(super) suite: String,
    /// Of training; every arm is trained with each.
    pub(super) seeds: Vec<u64>,
    /// The arm that the others are compared with.
    pub(super) control: String,
    /// The configuration of all arms, as `msdeblur train` takes it.
    training: Table,
    pub(super) arms: Vec<Arm>,
}

/// One way to train.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arm {
    pub(super) name: String,
    /// What is different, in a sentence.
    pub(super) description: String,
    /// What differs from `training`.
    #[serde(default)]
    settings: Table,
}

/// Reads an experiment by its name, or a file, and checks it.
///
/// # Errors
/// Everything that is wrong with it, at once; a name that is not there, with those that are.
pub(super) fn load(name: &str) -> Result<ExperimentFile> {
    let folder = workspace::root().join(FOLDER);
    let path = suite::file_in(FOLDER, name);
    if !path.is_file() {
        return Err(Failure::error(
            format!("there is no experiment {name}"),
            format!(
                "there are {}; or give a file",
                suite::names(&folder).join(", ")
            ),
        ));
    }
    read(&path)
}

fn read(path: &Path) -> Result<ExperimentFile> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let experiment: ExperimentFile =
        toml::from_str(&text).with_context(|| format!("{} is no experiment", path.display()))?;
    experiment
        .check()
        .with_context(|| format!("{} is not right", path.display()))?;
    if path.file_stem().and_then(|stem| stem.to_str()) != Some(&experiment.name) {
        return Err(Failure::error(
            format!(
                "{} holds an experiment called {}",
                path.display(),
                experiment.name
            ),
            "call both the same: models and results are kept by this name",
        ));
    }
    Ok(experiment)
}

impl ExperimentFile {
    /// Looks at what the training program does not look at.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub(super) fn check(&self) -> Result<()> {
        let mut problems = Vec::new();
        let mut check = |ok: bool, problem: String| {
            if !ok {
                problems.push(problem);
            }
        };
        check(
            self.schema_version == SCHEMA_VERSION,
            format!(
                "schema_version = {} (must be {SCHEMA_VERSION})",
                self.schema_version
            ),
        );
        let is_plain = |name: &str| {
            !name.is_empty()
                && name.len() <= 30
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        let mut names = HashSet::new();
        for name in self.arms.iter().map(|arm| &arm.name).chain([&self.name]) {
            check(
                is_plain(name),
                format!("the name `{name}` must have 1 to 30 lower-case letters, digits or `-`"),
            );
        }
        check(
            !suite::names(&workspace::root().join("datasets/suites")).contains(&self.name),
            format!(
                "{} is the name of a suite, whose results it would replace",
                self.name
            ),
        );
        for arm in &self.arms {
            check(
                names.insert(&arm.name),
                format!("there are two arms called {}", arm.name),
            );
            check(
                arm.name != "input",
                "an arm is called input, which is the blurry picture".to_owned(),
            );
            // Its models would have the names of other arms' models.
            let is_seed =
                |end: &str| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit());
            check(
                !arm.name
                    .rsplit_once("-s")
                    .is_some_and(|(_, end)| is_seed(end)),
                format!(
                    "the arm {} ends like a seed; give it another name",
                    arm.name
                ),
            );
        }
        check(
            self.arms.len() > 1 && names.contains(&self.control),
            format!(
                "control = \"{}\" must be one of two arms or more",
                self.control
            ),
        );
        let seeds: HashSet<&u64> = self.seeds.iter().collect();
        check(
            !seeds.is_empty() && seeds.len() == self.seeds.len(),
            "seeds must be one number or more, each once".to_owned(),
        );
        for seed in &self.seeds {
            check(
                i64::try_from(*seed).is_ok(),
                format!("the seed {seed} is too large, at most {}", i64::MAX),
            );
        }
        for (place, settings) in std::iter::once(("training", &self.training)).chain(
            self.arms
                .iter()
                .map(|arm| (arm.name.as_str(), &arm.settings)),
        ) {
            for key in OURS.iter().filter(|key| settings.contains_key(**key)) {
                check(
                    false,
                    format!("{place} has `{key}`, which comes from arms and seeds"),
                );
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Failure::error(
            format!(
                "the experiment cannot be made:\n  {}",
                problems.join("\n  ")
            ),
            "docs/benchmark.md says how one is written",
        ))
    }

    /// Names of the data sets of the repository that are trained on. Others are the user's, and are there or not.
    pub(super) fn photo_sets(&self) -> BTreeSet<String> {
        let arms = self.arms.iter().map(|arm| &arm.settings);
        std::iter::once(&self.training)
            .chain(arms)
            .filter_map(|settings| settings.get("photo_sets")?.as_array())
            .flatten()
            .filter_map(|set| {
                let name = set.get("manifest")?.as_str()?.strip_prefix("datasets/")?;
                Some(name.strip_suffix(".toml")?.to_owned())
            })
            .collect()
    }

    /// All models that are to be trained: every arm with the first seed, then with the second, and so on.
    ///
    /// # Errors
    /// Settings that cannot be written.
    pub(super) fn runs(&self, out: &Path) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        for &seed in &self.seeds {
            for arm in &self.arms {
                let name = format!("{}-s{seed}", arm.name);
                let folder = out.join(&name);
                let mut settings = self.training.clone();
                merge(&mut settings, &arm.settings);
                settings.insert("name".into(), name.clone().into());
                let place = folder
                    .to_str()
                    .with_context(|| format!("{} is not Unicode", folder.display()))?;
                settings.insert("out".into(), place.into());
                let whole = i64::try_from(seed).context("a seed is too large")?;
                settings.insert("seed".into(), whole.into());
                runs.push(Run {
                    arm: arm.name.clone(),
                    seed,
                    name,
                    settings: toml::to_string(&settings)?,
                    folder,
                });
            }
        }
        Ok(runs)
    }
}

/// Puts `changes` over `settings`; tables inside tables are merged, everything else is replaced.
fn merge(settings: &mut Table, changes: &Table) {
    for (key, change) in changes {
        match (settings.get_mut(key), change) {
            (Some(Value::Table(there)), Value::Table(change)) => merge(there, change),
            _ => {
                settings.insert(key.clone(), change.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        "schema_version = 1\nname = \"probe\"\ndescription = \"d\"\nsuite = \"quick\"\nseeds = [1, 2]\ncontrol = \"b\"\n\
         [training]\npreset = \"tiny\"\nsteps = 5\n[training.model.unet]\nmid_layers = 1\nlayers_per_block = [1, 1, 1]\n\
         [[training.photo_sets]]\nmanifest = \"datasets/free-photos-train.toml\"\nsplit = \"train\"\n\
         [[arms]]\nname = \"a\"\ndescription = \"d\"\n[arms.settings]\nsteps = 7\nmodel.unet.mid_layers = 2\n\
         [[arms]]\nname = \"b\"\ndescription = \"d\"\n"
            .to_owned()
    }

    fn parse(text: &str) -> Result<ExperimentFile> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("probe.toml");
        std::fs::write(&path, text)?;
        read(&path)
    }

    #[test]
    fn an_arm_differs_in_what_it_says_and_in_nothing_else() {
        let experiment = parse(&text()).unwrap();
        assert_eq!(
            experiment.photo_sets(),
            BTreeSet::from(["free-photos-train".to_owned()])
        );
        let runs = experiment.runs(Path::new("runs")).unwrap();
        let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
        assert_eq!(names, ["a-s1", "b-s1", "a-s2", "b-s2"]);
        let settings: Vec<Table> = runs
            .iter()
            .map(|run| toml::from_str(&run.settings).unwrap())
            .collect();
        let mut expected = settings[1].clone();
        expected["name"] = "a-s1".into();
        expected["out"] = Path::new("runs").join("a-s1").display().to_string().into();
        expected["steps"] = 7.into();
        expected["model"]["unet"]["mid_layers"] = 2.into();
        assert_eq!(settings[0], expected);
        assert_eq!(settings[3]["seed"], 2.into());
        assert_eq!(
            settings[0]["model"]["unet"]["layers_per_block"]
                .as_array()
                .unwrap()
                .len(),
            3
        );
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let bad = text()
            .replace("[1, 2]", "[1, 1]")
            .replace("control = \"b\"", "control = \"c\"")
            .replace("name = \"b\"", "name = \"a\"")
            .replace("steps = 5", "steps = 5\nseed = 3")
            .replace("name = \"probe\"", "name = \"../probe\"");
        let error = format!("{:#}", parse(&bad).unwrap_err());
        for part in [
            "`../probe`",
            "two arms called a",
            "control = \"c\"",
            "seeds",
            "training has `seed`",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        for (from, to, part) in [
            ("name = \"probe\"", "name = \"quick\"", "name of a suite"),
            ("name = \"probe\"", "name = \"other\"", "called other"),
            ("name = \"a\"", "name = \"a-s2\"", "ends like a seed"),
        ] {
            let error = format!("{:#}", parse(&text().replace(from, to)).unwrap_err());
            assert!(error.contains(part), "{part}: {error}");
        }
        let unknown = parse(&text().replace("suite =", "sweet =")).unwrap_err();
        assert!(format!("{unknown:#}").contains("sweet"), "{unknown:#}");
    }

    #[test]
    fn experiments_of_the_repository_are_right() {
        let folder = workspace::root().join(FOLDER);
        let names = suite::names(&folder);
        assert!(!names.is_empty());
        for name in names {
            let experiment = load(&name).unwrap();
            assert_eq!(experiment.name, name);
            suite::load(&experiment.suite).unwrap();
            for set in experiment.photo_sets() {
                let manifest = workspace::root()
                    .join("datasets")
                    .join(format!("{set}.toml"));
                assert!(manifest.is_file(), "{set}");
            }
        }
    }
}
