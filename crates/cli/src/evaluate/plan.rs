//! From what was typed to what will be measured, checked before any work starts.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use ::deblur::{CheckpointSource, Mode, Options};
use image_quality::MetricProtocol;

use super::manifest::from_manifest;
use super::metric::Metric;
use super::pairs::{Pair, Pairs, from_folders};
use super::saved::Saved;
use crate::args::EvaluateArgs;
use crate::conflicts::place;
use crate::hints::Problem;
use crate::plan::parent;
use crate::words::count;

/// Where `cargo xtask datasets fetch metric-weights` puts the weights of a clone.
const WEIGHTS_OF_A_CLONE: &str = "datasets/cache/metric-weights";
const HOW_TO_GET_WEIGHTS: &str = "in a clone, `cargo xtask datasets fetch metric-weights` gets them; elsewhere, give their folder with --weights";

/// Everything that `msdeblur evaluate` will do.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) pairs: Vec<Pair>,
    /// In the order of [`Metric::ALL`].
    pub(crate) metrics: Vec<Metric>,
    pub(crate) protocol: MetricProtocol,
    /// Files of weights that are needed, by their names below the folder of weights.
    pub(crate) weights: BTreeMap<&'static str, PathBuf>,
    /// Model and options, where anything is to be restored.
    pub(crate) restoration: Option<(CheckpointSource, Options)>,
    pub(crate) saved: Option<Saved>,
    pub(crate) csv: Option<PathBuf>,
    pub(crate) reuse: Option<PathBuf>,
    /// What the user may have overlooked.
    pub(crate) remarks: Vec<String>,
}

impl Plan {
    /// Checks the arguments against each other and the file system. Nothing is written and libtorch is not touched.
    ///
    /// # Errors
    /// What makes the whole call wrong, all mismatches of folders among it.
    pub(crate) fn new(args: &EvaluateArgs) -> Result<Self, Problem> {
        let options = args.restoration.options(args.uncertainty, false)?;
        let mut remarks = Vec::new();
        let (metrics, weights) = metrics(args, &mut remarks)?;
        let Pairs { list: pairs, notes } = match (&args.pairs, &args.sharp) {
            (Some(file), _) => from_manifest(file)?,
            (None, Some(sharp)) => {
                from_folders(sharp, args.blurry.as_deref(), args.restored.as_deref())?
            }
            (None, None) => return Err(Problem::new("--sharp or --pairs is needed")),
        };
        remarks.extend(notes);
        let restores = pairs.iter().any(|pair| pair.restored.is_none());
        if restores {
            remarks.extend(args.restoration.without_effect(args.uncertainty));
        } else {
            remarks.extend(without_effect(args));
        }
        let saved = args
            .save
            .as_ref()
            .filter(|_| restores)
            .map(|folder| Saved::new(folder.clone(), args.uncertainty, args.force));
        let plan = Self {
            metrics,
            protocol: args.protocol.clone(),
            weights,
            restoration: restores.then(|| (args.restoration.checkpoint_source(), options)),
            saved,
            csv: args.csv.clone(),
            reuse: args.reuse.clone(),
            pairs,
            remarks,
        };
        plan.check_outputs(args)?;
        plan.check_folders()?;
        Ok(plan)
    }

    /// A table is written last: that it has no place must not be found out after hours.
    fn check_folders(&self) -> Result<(), Problem> {
        for (file, option) in [(&self.csv, "--csv"), (&self.reuse, "--reuse")] {
            let Some(file) = file else { continue };
            let folder = parent(file);
            if !folder.is_dir() {
                return Err(
                    Problem::new(format!("there is no such folder for {option}"))
                        .at(&folder)
                        .hint("make it, or choose another file"),
                );
            }
            if file.is_dir() {
                return Err(Problem::new(format!("is a folder, {option} writes a file"))
                    .at(file)
                    .hint("give the name of a file in it"));
            }
        }
        Ok(())
    }

    /// Nothing is written twice, over an input, or without --force over a file that exists.
    fn check_outputs(&self, args: &EvaluateArgs) -> Result<(), Problem> {
        let mut owners: HashMap<PathBuf, String> = HashMap::new();
        let photos = self
            .pairs
            .iter()
            .flat_map(Pair::files)
            .map(|(_, path)| path);
        let others = [&args.pairs, &args.restoration.checkpoint];
        let others = others.into_iter().flatten().chain(self.weights.values());
        for path in photos.chain(others.map(PathBuf::as_path)) {
            owners.insert(place(path), format!("the input {}", path.display()));
        }
        let pictures = self.saved.iter().flat_map(|saved| {
            let restored = self.pairs.iter().filter(|pair| pair.is_to_restore());
            restored.flat_map(|pair| saved.paths(&pair.name))
        });
        let pictures: Vec<PathBuf> = pictures.collect();
        let tables = [&self.csv, &self.reuse].into_iter().flatten();
        for path in pictures.iter().chain(tables) {
            let owner = owners.insert(place(path), format!("another result, {}", path.display()));
            if let Some(owner) = owner {
                return Err(Problem::new(format!("would replace {owner}"))
                    .at(path)
                    .hint("choose another name or folder; inputs are never replaced"));
            }
        }
        if args.force {
            return Ok(());
        }
        // With --reuse, pictures of an earlier run are expected; only other content is refused, when it is known.
        let pictures = pictures.iter().filter(|_| self.reuse.is_none());
        let existing: Vec<&PathBuf> = pictures
            .chain(&self.csv)
            .filter(|path| path.symlink_metadata().is_ok())
            .collect();
        match existing.as_slice() {
            [] => Ok(()),
            [path] => Err(Problem::new("exists already").at(path)),
            [path, rest @ ..] => {
                let more = count(rest.len() as u64, "other file");
                Err(Problem::new(format!("exists already, and {more} of this call")).at(path))
            }
        }
        .map_err(|problem| problem.hint("choose another name, or replace it with --force"))
    }
}

/// The metrics and the files that they need.
fn metrics(
    args: &EvaluateArgs,
    remarks: &mut Vec<String>,
) -> Result<(Vec<Metric>, BTreeMap<&'static str, PathBuf>), Problem> {
    let clone = Path::new(WEIGHTS_OF_A_CLONE);
    let folder = args.weights.as_deref().or(clone.is_dir().then_some(clone));
    let find = |file: &str| {
        folder
            .map(|folder| folder.join(file))
            .filter(|path| path.is_file())
    };
    let mut metrics = args.metrics.clone();
    if metrics.is_empty() {
        metrics = vec![Metric::Psnr, Metric::Ssim];
        // Who names a folder wants what is in it: one that is not there is told below.
        let is_lost = args.weights.as_deref().is_some_and(|given| !given.is_dir());
        let files = Metric::Lpips.files();
        if is_lost || files.iter().all(|file| find(file).is_some()) {
            metrics.push(Metric::Lpips);
        } else {
            remarks.push(format!(
                "LPIPS is left out without its weights; {HOW_TO_GET_WEIGHTS}"
            ));
        }
    }
    metrics.sort();
    metrics.dedup();
    let (mut found, mut missing) = (BTreeMap::new(), Vec::new());
    for metric in &metrics {
        for file in metric.files() {
            match find(file) {
                Some(path) => drop(found.insert(*file, path)),
                None => missing.push(format!("{} needs {file}", metric.title())),
            }
        }
    }
    if missing.is_empty() {
        return Ok((metrics, found));
    }
    let problem = Problem::new(format!("weights are missing: {}", missing.join(", ")));
    Err(match folder {
        Some(folder) => problem.at(folder),
        None => problem,
    }
    .hint(HOW_TO_GET_WEIGHTS))
}

/// Options that were given and change nothing where all pictures are restored already.
fn without_effect(args: &EvaluateArgs) -> Vec<String> {
    let restoration = &args.restoration;
    // A variable is for all calls; only what was typed for this one was meant for it.
    let is_typed = |file: &PathBuf| {
        std::env::var_os("MSDEBLUR_CHECKPOINT").is_none_or(|value| value != *file.as_os_str())
    };
    [
        (restoration.mode != Mode::default(), "--mode"),
        (restoration.steps.is_some(), "--steps"),
        (restoration.sampler.is_some(), "--sampler"),
        (restoration.samples.is_some(), "--samples"),
        (restoration.seed != 0, "--seed"),
        (
            restoration.checkpoint.as_ref().is_some_and(is_typed),
            "--checkpoint",
        ),
        (args.save.is_some(), "--save"),
        (args.uncertainty, "--uncertainty"),
    ]
    .into_iter()
    .filter(|(given, _)| *given)
    .map(|(_, name)| format!("{name} has no effect: all photos are restored already"))
    .collect()
}
