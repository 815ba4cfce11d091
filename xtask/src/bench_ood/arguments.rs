//! What can be asked of the benchmark.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Result;
use clap::{ArgGroup, Args, FromArgMatches};
use globset::{Glob, GlobMatcher};

use super::arms::Experiment;
use super::pairs::REAL;
use super::shard::Shard;
use crate::failure::Failure;
use crate::suite::RealPairs;
use crate::workspace;

/// Metrics of each picture that `msdeblur evaluate` knows.
const METRICS: [&str; 6] = ["psnr", "ssim", "lpips", "lpips-vgg", "dists", "niqe"];
/// Metrics of sets of pictures.
const SET_METRICS: [&str; 2] = ["fid", "kid"];
/// What is measured unless something else is asked for.
pub(crate) const DEFAULT_METRICS: [&str; 3] = ["psnr", "ssim", "lpips"];
/// More would only be a mistake in typing.
const MOST_STEPS: i64 = 1000;
/// Options that say how pictures are restored and scored, for which nothing is left where none are.
const OF_METHODS: [&str; 7] = [
    "methods",
    "guided",
    "unguided",
    "steps",
    "samples",
    "average_steps",
    "metrics",
];

/// Compare methods where a model was trained and where it was not; without options a quick run, from a clean machine
#[derive(Args, Clone, Debug)]
#[command(group(ArgGroup::new("instead").args(["merge", "prepare", "classical_table"])))]
pub(crate) struct Arguments {
    /// What to measure on: a suite of datasets/suites, or a file
    #[arg(long, value_name = "NAME|FILE", default_value = "quick")]
    pub(crate) suite: String,
    /// Only conditions that match, such as 'photos/*' or 'defocus-*'; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) conditions: Vec<String>,
    /// Another method: a checkpoint, or a folder of pictures restored by any program, as DOMAIN/CONDITION/NAME.png; may be
    /// given several times
    #[arg(long = "method", value_name = "NAME=CHECKPOINT|DIR")]
    pub(crate) methods: Vec<GivenMethod>,
    /// The guided model [default: the one in the program]
    #[arg(long, value_name = "FILE")]
    pub(crate) guided: Option<PathBuf>,
    /// Its control without guidance [default: crates/deblur/model/unguided.safetensors if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) unguided: Option<PathBuf>,
    /// Draw one sample with each of these numbers of steps, with the guided model and those of --method
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "4",
        value_parser = clap::value_parser!(u32).range(1..=MOST_STEPS))]
    pub(crate) steps: Vec<u32>,
    /// Samples that `guided-average` averages, 2 or more
    #[arg(long, value_name = "N", default_value = "2",
        value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub(crate) samples: u32,
    /// Steps of each of them
    #[arg(long, value_name = "N", default_value = "4",
        value_parser = clap::value_parser!(u32).range(1..=MOST_STEPS))]
    pub(crate) average_steps: u32,
    /// Seed of the samplers; the blurry pictures have that of the suite
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Metrics: psnr, ssim, lpips, lpips-vgg, dists, niqe [default: psnr,ssim,lpips]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) metrics: Option<Vec<String>>,
    /// Only part I of N, divided by photos; --merge joins the parts
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// Join the folders of all parts into --out; nothing is computed again but the statistics
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with_all = OF_METHODS, conflicts_with_all = [
        "suite", "conditions", "seed", "shard", "resume",
    ])]
    pub(crate) merge: Vec<PathBuf>,
    /// Go on with the run in --out; what it has is not computed again. The results are of the methods that are named now
    #[arg(long)]
    pub(crate) resume: bool,
    /// Make the blurry pictures, say where they are, and stop, so that another program can restore them
    #[arg(long, conflicts_with_all = OF_METHODS)]
    pub(crate) prepare: bool,
    /// Make the results those of the repository: docs/results/SUITE.json, and docs/RESULTS.md from it
    #[arg(long, conflicts_with_all = ["shard", "conditions", "prepare", "classical_table"])]
    pub(crate) publish: bool,
    /// Folder of the run [default: bench-ood/SUITE]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Where data sets and weights are kept [default: datasets/cache]
    #[arg(long, value_name = "FOLDER", env = "MSDEBLUR_DATASETS")]
    pub(crate) cache: Option<PathBuf>,
    /// The program to measure [default: built from this repository]
    #[arg(long, value_name = "FILE", env = "MSDEBLUR_BINARY")]
    pub(crate) program: Option<PathBuf>,
    /// Print the table by which the settings of the classical methods are chosen, with the conditions of --suite on photos that
    /// are not for tests
    #[arg(long, value_name = "FOLDER", conflicts_with_all = OF_METHODS, conflicts_with_all = [
        "conditions", "seed", "shard", "resume", "out",
    ])]
    pub(crate) classical_table: Option<PathBuf>,
    /// Measure these models alone: set by the task `experiment`.
    #[arg(skip)]
    pub(crate) experiment: Option<Experiment>,
}

/// `NAME=CHECKPOINT` or `NAME=DIR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GivenMethod {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

impl FromStr for GivenMethod {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, path) = text
            .split_once('=')
            .ok_or("give a name and a path, such as mine=restored/ or larger=model.safetensors")?;
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 40 || !name.bytes().all(is_plain) {
            return Err(format!(
                "the name `{name}` must have 1 to 40 lower-case letters, digits or `-`"
            ));
        }
        if path.is_empty() {
            return Err(format!("{name} has no path"));
        }
        Ok(Self {
            name: name.to_owned(),
            path: path.into(),
        })
    }
}

impl Default for Arguments {
    /// As without options.
    fn default() -> Self {
        let command = Self::augment_args(clap::Command::new("bench-ood"));
        let matches = command.get_matches_from(["bench-ood"]);
        // No option is required, and those that a variable gives are paths, so this cannot fail.
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

impl Arguments {
    /// The folder of the run.
    pub(crate) fn out(&self, suite: &str) -> PathBuf {
        self.out
            .clone()
            .unwrap_or_else(|| workspace::root().join("bench-ood").join(suite))
    }

    /// Metrics, each once, in the order in which they were named.
    ///
    /// # Errors
    /// A name that is none, or a metric of sets.
    pub(crate) fn metrics(&self) -> Result<Vec<String>> {
        let Some(named) = &self.metrics else {
            return Ok(DEFAULT_METRICS.map(str::to_owned).into());
        };
        let mut metrics: Vec<String> = Vec::new();
        for name in named {
            if SET_METRICS.contains(&name.as_str()) {
                return Err(Failure::error(
                    format!(
                        "{name} compares sets of thousands of pictures, a condition has too few"
                    ),
                    format!(
                        "measure it over a large set: msdeblur evaluate --restored DIR --sharp DIR --metrics {name}"
                    ),
                ));
            }
            if !METRICS.contains(&name.as_str()) {
                return Err(Failure::error(
                    format!("there is no metric `{name}`"),
                    format!("there are {}", METRICS.join(", ")),
                ));
            }
            if !metrics.contains(name) {
                metrics.push(name.clone());
            }
        }
        Ok(metrics)
    }

    /// Which conditions are wanted.
    ///
    /// # Errors
    /// Something that is no glob.
    pub(crate) fn filter(&self) -> Result<Filter> {
        Filter::new(&self.conditions)
    }
}

/// Conditions by `DOMAIN/NAME` or by `NAME` alone.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    globs: Vec<GlobMatcher>,
}

impl Filter {
    pub(crate) fn new(patterns: &[String]) -> Result<Self> {
        let matcher = |pattern: &String| {
            let glob = Glob::new(pattern).map_err(|error| {
                Failure::error(
                    format!("--conditions {pattern}: {}", error.kind()),
                    "* stands for any letters, ? for one, {a,b} for one of several",
                )
            })?;
            Ok(glob.compile_matcher())
        };
        let globs = patterns.iter().map(matcher).collect::<Result<_>>()?;
        Ok(Self { globs })
    }

    /// Whether the condition `name` of `domain` is wanted.
    pub(crate) fn wants(&self, domain: &str, name: &str) -> bool {
        let id = format!("{domain}/{name}");
        self.globs.is_empty() || self.globs.iter().any(|glob| is_match(glob, &id))
    }

    /// Every pattern was meant for something: `there` are the ids of all conditions, `absent` the names of those of `real` whose sets
    /// are not on the machine.
    ///
    /// # Errors
    /// A pattern that matches nothing, or only what is absent.
    pub(crate) fn check(
        &self,
        there: &[String],
        real: &[RealPairs],
        absent: &[String],
    ) -> Result<()> {
        for glob in &self.globs {
            let mut matched = there.iter().filter(|id| is_match(glob, id)).peekable();
            let pattern = glob.glob();
            if matched.peek().is_none() {
                return Err(Failure::error(
                    format!("--conditions {pattern}: no condition matches it"),
                    format!("there are {}", there.join(", ")),
                ));
            }
            let dataset_of = |id: &String| {
                let name = id.strip_prefix(REAL)?.strip_prefix('/')?;
                let set = real.iter().find(|real| real.name == name)?;
                absent.contains(&set.name).then_some(set.dataset.as_str())
            };
            let missing: Option<BTreeSet<&str>> = matched.map(dataset_of).collect();
            if let Some(datasets) = missing {
                let datasets: Vec<&str> = datasets.into_iter().collect();
                return Err(Failure::error(
                    format!("--conditions {pattern}: its photos are not on this machine"),
                    format!("cargo xtask datasets fetch {}", datasets.join(" ")),
                ));
            }
        }
        Ok(())
    }
}

fn is_match(glob: &GlobMatcher, id: &str) -> bool {
    let name = id.split_once('/').map_or(id, |(_, name)| name);
    glob.is_match(id) || glob.is_match(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(line: &[&str]) -> Result<Arguments, clap::Error> {
        let line = std::iter::once("bench-ood").chain(line.iter().copied());
        Line::try_parse_from(line).map(|line| line.arguments)
    }

    fn message(line: &[&str]) -> String {
        parse(line).unwrap_err().to_string()
    }

    #[test]
    fn without_options_it_is_the_quick_suite() {
        let default = format!("{:?}", Arguments::default());
        assert_eq!(default, format!("{:?}", parse(&[]).unwrap()));
        let arguments = parse(&[]).unwrap();
        assert_eq!(arguments.suite, "quick");
        assert_eq!(arguments.metrics().unwrap(), DEFAULT_METRICS);
        assert!(arguments.out("quick").ends_with("bench-ood/quick"));
        assert!(arguments.filter().unwrap().wants("photos", "anything"));
    }

    #[test]
    fn lists_are_separated_by_commas() {
        let arguments = parse(&["--steps", "1,4,16", "--metrics", "niqe,psnr,niqe"]).unwrap();
        assert_eq!(arguments.steps, [1, 4, 16]);
        assert_eq!(arguments.metrics().unwrap(), ["niqe", "psnr"]);
    }

    #[test]
    fn methods_have_a_name_and_a_path() {
        let arguments = parse(&["--method", "a=x/y=z", "--method", "b-2=m.safetensors"]).unwrap();
        assert_eq!(arguments.methods[0].name, "a");
        assert_eq!(arguments.methods[0].path, PathBuf::from("x/y=z"));
        assert_eq!(arguments.methods[1].name, "b-2");
        for wrong in ["x", "=x", "a=", "A=x", "../a=x", "a b=x"] {
            assert!(parse(&["--method", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(message(&["--steps", "0"]).contains("--steps"));
        assert!(message(&["--samples", "0"]).contains("--samples"));
        assert!(message(&["--shard", "3/2"]).contains("1/8"));
        assert!(message(&["--merge", "a", "b", "--shard", "1/2"]).contains("--shard"));
        assert!(message(&["--merge", "a", "--prepare"]).contains("--prepare"));
        for (option, value) in [
            ("--suite", "full"),
            ("--steps", "2"),
            ("--samples", "2"),
            ("--average-steps", "2"),
            ("--seed", "1"),
        ] {
            let text = message(&["--merge", "a", "b", option, value]);
            assert!(text.contains(option), "{text}");
        }
        for (option, value) in [("--method", "a=b"), ("--steps", "2"), ("--metrics", "psnr")] {
            let text = message(&["--prepare", option, value]);
            assert!(text.contains(option), "{text}");
        }
        // Parts of a run are prepared with the options that make the pictures.
        parse(&[
            "--prepare",
            "--resume",
            "--suite",
            "full",
            "--shard",
            "1/2",
            "--seed",
            "1",
        ])
        .unwrap();
        assert!(message(&["--classical-table", "a", "--resume"]).contains("--resume"));
        let metrics = |list| parse(&["--metrics", list]).unwrap().metrics();
        assert!(
            metrics("psnr,psmr")
                .unwrap_err()
                .to_string()
                .contains("psmr")
        );
        assert!(
            metrics("fid")
                .unwrap_err()
                .to_string()
                .contains("thousands")
        );
    }

    #[test]
    fn conditions_are_chosen_by_globs() {
        let filter = |patterns: &[&str]| {
            let patterns: Vec<String> =
                patterns.iter().map(|&pattern| pattern.to_owned()).collect();
            Filter::new(&patterns)
        };
        let both = filter(&["photos/*", "defocus-[12]"]).unwrap();
        assert!(both.wants("photos", "zoom-3"));
        assert!(both.wants("text", "defocus-2"));
        assert!(!both.wants("text", "defocus-3"));
        assert!(!both.wants("text", "zoom-3"));
        let error = filter(&["a[b"]).unwrap_err().to_string();
        assert!(error.contains("a[b"), "{error}");
    }

    #[test]
    fn every_pattern_has_to_match_something() {
        let real = crate::suite::load("full").unwrap().real;
        let there = ["photos/zoom-3", "real/hide", "real/reds"].map(str::to_owned);
        let check = |patterns: &[&str], absent: &[&str]| {
            let texts = |texts: &[&str]| -> Vec<String> {
                texts.iter().map(|&text| text.to_owned()).collect()
            };
            let filter = Filter::new(&texts(patterns)).unwrap();
            let checked = filter.check(&there, &real, &texts(absent));
            checked
                .err()
                .map(|error| crate::failure::with_hints(&error, ""))
        };
        assert_eq!(check(&[], &["reds"]), None);
        assert_eq!(check(&["zoom-*", "real/*"], &["reds"]), None);
        let text = check(&["zoom-*", "defocus-3"], &[]).unwrap();
        assert!(
            text.contains("defocus-3") && text.contains("real/hide"),
            "{text}"
        );
        let text = check(&["zoom-3", "real/*"], &["reds", "hide"]).unwrap();
        assert!(text.contains("datasets fetch hide reds"), "{text}");
    }
}
