//! Folders with pairs of blurry and sharp pictures: which belong together, and which are set aside for validation.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use image_io::Limits;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::photos::{Links, collect, too_small};
use crate::{Error, Result};

/// A folder with real pairs, in the words of the manifests of data sets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairFolder {
    /// What validation calls it.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// Glob of the blurry pictures below the folder; `*` does not cross `/`, `**` does.
    pub blurry: String,
    /// Glob of the sharp pictures.
    pub sharp: String,
    /// How the sharp picture of a blurry one is found.
    pub pairing: Pairing,
    /// How often crops are taken of it, relative to the other entries and to `photos_weight`.
    #[serde(default = "one")]
    pub weight: f64,
    /// Share of the pairs that is set aside for validation, in whole scenes; at least one scene is.
    #[serde(default = "tenth")]
    pub validation_share: f64,
    /// What stays on one side of the division into training and validation.
    #[serde(default)]
    pub scene: Scene,
}

fn one() -> f64 {
    1.0
}

fn tenth() -> f64 {
    0.1
}

/// How the sharp picture that belongs to a blurry one is found. Several blurry pictures may share a sharp one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "snake_case",
    untagged,
    expecting = "pairing is neither \"same_stem\" nor { blurry = \"…\", sharp = \"…\" }"
)]
pub enum Pairing {
    /// By a rule without parameters.
    Rule(PairingRule),
    /// In the path of the blurry picture, `blurry`, which is there once, is replaced by `sharp`.
    Replace(Replace),
}

/// Rules without parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairingRule {
    /// The file names without extension are equal, wherever the files lie.
    SameStem,
}

/// A replacement in a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replace {
    /// In paths of sharp pictures.
    pub sharp: String,
    /// In paths of blurry pictures.
    pub blurry: String,
}

/// What belongs together when pairs are set aside for validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scene {
    /// Pictures below the same folder: the first folder in which paths differ, such as the sequence in GoPro. Where all lie in one
    /// folder, the name of the file.
    #[default]
    Folder,
    /// Pictures with the same file name without extension, such as one photograph under several conditions.
    Name,
}

/// Two files that show the same, relative to nothing: ready to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PairFiles {
    pub(crate) blurry: PathBuf,
    pub(crate) sharp: PathBuf,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// The paths in the folder, and the lengths of the files: what tells this pair from another.
    identity: String,
    scene: String,
}

/// What a folder holds.
#[derive(Debug)]
pub(crate) struct FoundPairs {
    pub(crate) training: Vec<PairFiles>,
    pub(crate) validation: Vec<PairFiles>,
    /// Scenes that are set aside.
    pub(crate) scenes: usize,
    /// Blurry pictures that cannot be used, each with the reason.
    pub(crate) skipped: Vec<String>,
    /// Sharp pictures that no blurry one names.
    pub(crate) alone: Vec<String>,
    /// SHA-256 over paths, lengths and sizes.
    pub(crate) sha256: String,
}

impl PairFolder {
    /// What is wrong with it, in words.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |ok: bool, problem: String| {
            if !ok {
                problems.push(format!("pairs `{}`: {problem}", self.name));
            }
        };
        check(
            !self.name.is_empty() && self.name != "all",
            "name must be there, and not `all`".into(),
        );
        for (key, glob) in [("blurry", &self.blurry), ("sharp", &self.sharp)] {
            if let Err(error) = glob::Pattern::new(glob) {
                check(false, format!("{key} is no glob: {error}"));
            }
        }
        if let Pairing::Replace(replace) = &self.pairing {
            check(
                !replace.blurry.is_empty() && replace.blurry != replace.sharp,
                "pairing must replace something by something else".into(),
            );
        }
        check(
            self.weight.is_finite() && self.weight > 0.0,
            format!("weight is {}, it must be above 0", self.weight),
        );
        check(
            self.validation_share > 0.0 && self.validation_share <= 0.5,
            format!(
                "validation_share is {}, it must be above 0 and at most 0.5",
                self.validation_share
            ),
        );
        problems
    }

    /// The entry without what is a fact about a machine.
    pub(crate) fn portable(&self) -> Self {
        Self {
            folder: PathBuf::new(),
            ..self.clone()
        }
    }

    /// Lists and pairs the files; looks at headers alone. Both pictures must have the same size, with no side below `minimum`.
    pub(crate) fn find(&self, minimum: usize) -> Result<FoundPairs> {
        let (mut files, mut names, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        // Several pairs may share a sharp picture through links.
        collect(&self.folder, Links::Kept, &mut HashSet::new(), &mut files)?;
        for file in files {
            match file.strip_prefix(&self.folder).ok().and_then(slashed) {
                Some(name) => names.push(name),
                None => skipped.push(format!("{}: its name is not Unicode", file.display())),
            }
        }
        names.sort();
        let (blurry, sharp) = (
            matching(&names, &self.blurry),
            matching(&names, &self.sharp),
        );
        let partners = self.partners(&blurry, &sharp);
        let named: HashSet<&str> = partners
            .iter()
            .filter_map(|(_, sharp)| sharp.as_ref().ok().copied())
            .collect();
        let alone = sharp.iter().filter(|name| !named.contains(*name));
        let alone = alone.map(|name| (*name).to_owned()).collect();
        let paired: Vec<std::result::Result<PairFiles, String>> = partners
            .into_par_iter()
            .map(|(blurry, sharp)| {
                let sharp = sharp
                    .map_err(|why| format!("{}: {why}", self.folder.join(blurry).display()))?;
                self.examine(blurry, sharp, minimum)
            })
            .collect();
        let mut pairs = Vec::new();
        for result in paired {
            match result {
                Ok(pair) => pairs.push(pair),
                Err(reason) => skipped.push(reason),
            }
        }
        if pairs.is_empty() {
            return Err(Error::NoPairs {
                folder: self.folder.clone(),
                skipped: skipped.len(),
                first: skipped.first().cloned(),
            });
        }
        let identity: String = pairs.iter().map(|pair| pair.identity.as_str()).collect();
        self.name_scenes(&mut pairs);
        let held_out = held_out_scenes(&pairs, self.validation_share);
        let scenes = held_out.len();
        let (validation, training) = pairs
            .into_iter()
            .partition(|pair| held_out.contains(&pair.scene));
        Ok(FoundPairs {
            training,
            validation,
            scenes,
            skipped,
            alone,
            sha256: ms_guidance::checkpoint::sha256(identity.as_bytes()),
        })
    }

    /// The sharp picture of each blurry one, or why there is none.
    fn partners<'a>(
        &self,
        blurry: &[&'a str],
        sharp: &[&'a str],
    ) -> Vec<(&'a str, std::result::Result<&'a str, String>)> {
        let known: BTreeSet<&'a str> = sharp.iter().copied().collect();
        let mut stems: HashMap<&'a str, Vec<&'a str>> = HashMap::new();
        for path in sharp {
            stems.entry(stem(path)).or_default().push(path);
        }
        let partner = |path: &str| match &self.pairing {
            Pairing::Replace(replace) => {
                if path.matches(replace.blurry.as_str()).count() != 1 {
                    return Err(format!("its path has not exactly one `{}`", replace.blurry));
                }
                let wanted = path.replacen(&replace.blurry, &replace.sharp, 1);
                match known.get(wanted.as_str()) {
                    Some(partner) => Ok(*partner),
                    None => Err(format!("its sharp picture {wanted} is not there")),
                }
            }
            Pairing::Rule(PairingRule::SameStem) => {
                match stems.get(stem(path)).map(Vec::as_slice) {
                    Some([one]) => Ok(*one),
                    Some(several) => Err(format!("has {} sharp pictures", several.len())),
                    None => Err(format!("no sharp picture is called `{}`", stem(path))),
                }
            }
        };
        let blurry = blurry.iter();
        blurry.map(|&path| (path, partner(path))).collect()
    }

    fn examine(
        &self,
        blurry: &str,
        sharp: &str,
        minimum: usize,
    ) -> std::result::Result<PairFiles, String> {
        let paths = [self.folder.join(blurry), self.folder.join(sharp)];
        let mut sizes = [(0, 0); 2];
        let mut lengths = [0; 2];
        for ((path, size), length) in paths.iter().zip(&mut sizes).zip(&mut lengths) {
            let (width, height) = image_io::image_size(path, &Limits::default())
                .map_err(|error| error.to_string())?;
            *size = (width as usize, height as usize);
            let metadata =
                std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
            *length = metadata.len();
        }
        let [(width, height), (sharp_width, sharp_height)] = sizes;
        let [path, sharp_path] = paths;
        if (width, height) != (sharp_width, sharp_height) {
            return Err(format!(
                "{}: {width}×{height}, but its sharp picture is {sharp_width}×{sharp_height}",
                path.display()
            ));
        }
        if width.min(height) < minimum {
            return Err(too_small(&path, width, height, minimum));
        }
        Ok(PairFiles {
            blurry: path,
            sharp: sharp_path,
            height,
            width,
            identity: format!(
                "{blurry}\n{sharp}\n{width} {height} {} {}\n",
                lengths[0], lengths[1]
            ),
            scene: sharp.to_owned(),
        })
    }

    /// Replaces the path of the sharp picture, which `scene` holds until now, by what names the scene.
    fn name_scenes(&self, pairs: &mut [PairFiles]) {
        // Of the sharp picture, because entries with other blurry pictures of the same scenes shall set the same ones aside.
        let depth = match self.scene {
            Scene::Folder => first_difference(pairs),
            Scene::Name => None,
        };
        for pair in pairs {
            let scene = match depth {
                Some(depth) => pair.scene.split('/').nth(depth).unwrap_or_default(),
                None => stem(&pair.scene),
            };
            pair.scene = scene.to_owned();
        }
    }
}

/// The number of the first folder in which the paths differ, if they do.
fn first_difference(pairs: &[PairFiles]) -> Option<usize> {
    let folders = |pair: &PairFiles| {
        let mut parts: Vec<String> = pair.scene.split('/').map(str::to_owned).collect();
        parts.pop();
        parts
    };
    let first = folders(pairs.first()?);
    let longest = pairs.iter().map(|pair| folders(pair).len()).max()?;
    (0..longest).find(|&i| {
        pairs
            .iter()
            .any(|pair| folders(pair).get(i) != first.get(i))
    })
}

/// The scenes that are set aside: in the order of hashes of their names, until they hold the share; at least one, never all.
fn held_out_scenes(pairs: &[PairFiles], share: f64) -> HashSet<String> {
    let mut counts = BTreeMap::<&str, usize>::new();
    for pair in pairs {
        *counts.entry(&pair.scene).or_default() += 1;
    }
    let mut order: Vec<(&str, usize)> = counts.into_iter().collect();
    order.sort_by_cached_key(|(scene, _)| ms_guidance::checkpoint::sha256(scene.as_bytes()));
    let (most, wanted) = (order.len() - 1, share * pairs.len() as f64);
    let (mut chosen, mut held) = (HashSet::new(), 0);
    for (scene, count) in order.into_iter().take(most) {
        if held as f64 >= wanted {
            break;
        }
        held += count;
        chosen.insert(scene.to_owned());
    }
    chosen
}

pub(crate) fn matching<'a>(names: &'a [String], glob: &str) -> Vec<&'a str> {
    let options = glob::MatchOptions {
        require_literal_separator: true,
        ..glob::MatchOptions::new()
    };
    // A glob that is none was refused with the configuration.
    let Ok(pattern) = glob::Pattern::new(glob) else {
        return Vec::new();
    };
    let names = names.iter().map(String::as_str);
    names
        .filter(|name| pattern.matches_with(name, options))
        .collect()
}

/// A relative path with `/` on every system.
pub(crate) fn slashed(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path.iter().map(|part| part.to_str()).collect();
    Some(parts?.join("/"))
}

/// The file name without its last extension.
fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}
