//! Pairs of data sets with real blur, which is not made but found.

use std::path::Path;

use anyhow::Result;
use rayon::prelude::*;

use super::{Condition, Pair, Pairs, REAL, both, link};
use crate::bench_ood::shard::Shard;
use crate::bench_ood::stop;
use crate::datasets;
use crate::hash;
use crate::suite::{RealPairs, Suite};
use crate::synth::SharpPhoto;

/// Adds the pairs of a set to `pairs`; a set that is not here and files that cannot be read are named there.
///
/// # Errors
/// A set that is damaged, or a folder that cannot be written.
pub(super) fn of_set(
    suite: &Suite,
    real: &RealPairs,
    shard: Option<Shard>,
    cache: Option<&Path>,
    folder: &Path,
    pairs: &mut Pairs,
) -> Result<()> {
    let Some(found) = suite.real_pairs(cache, real)? else {
        pairs.absent.push(real.name.clone());
        return Ok(());
    };
    // Below the folder of the run, where the report looks for pictures.
    let place = folder.join(REAL).join(&real.name);
    link(&found.folder, &place)?;
    let glob = datasets::sharp_glob(&real.dataset, &real.split)?;
    let mine: Vec<(String, String)> = found
        .pairs
        .into_iter()
        .enumerate()
        .filter(|(number, _)| shard.is_none_or(|shard| shard.has(*number)))
        .map(|(_, pair)| pair)
        .collect();
    let looked_at: Vec<Result<Pair>> = mine
        .par_iter()
        .map(|(blurry, sharp)| {
            stop::check()?;
            let scene = scene(glob.as_deref(), sharp);
            let photo = format!("{}/{scene}", real.dataset);
            real_pair(&place, blurry, sharp, photo)
        })
        .collect();
    stop::check()?;
    let mut condition = Condition {
        domain: REAL.to_owned(),
        name: real.name.clone(),
        family: REAL.to_owned(),
        severity: None,
        in_domain: false,
        real: true,
        protocol: real.protocol,
        one_kernel: false,
        pairs: Vec::new(),
    };
    for pair in looked_at {
        match pair {
            Ok(pair) => condition.pairs.push(pair),
            Err(error) => pairs
                .failures
                .push(format!("{}: {error:#}", condition.id())),
        }
    }
    let names = |one: &Pair, other: &Pair| one.name.cmp(&other.name);
    condition.pairs.sort_by(names);
    pairs.conditions.push(condition);
    Ok(())
}

/// A pair of a set with real blur in the folder `place`.
///
/// # Errors
/// A file that cannot be read.
fn real_pair(place: &Path, blurry: &str, sharp: &str, photo: String) -> Result<Pair> {
    let (file, path) = (place.join(blurry), blurry.to_owned());
    let sharp = place.join(sharp);
    Ok(Pair {
        photo,
        sha256: both(&hash::sha256(&file)?, &hash::sha256(&sharp)?),
        blurry: file.clone(),
        name: SharpPhoto { file, path }.stem(0, 1),
        sharp,
        degradation: None,
    })
}

/// The clip or scene that a photo is from, where the glob of its set tells several photos of one apart: all that comes before what
/// varies last. Of `test/GOPR0384/sharp/0001.png` and `test/*/sharp/*.png` it is `test/GOPR0384`; else the photo itself.
fn scene<'a>(glob: Option<&str>, path: &'a str) -> &'a str {
    let parts: Vec<&str> = glob.unwrap_or_default().split('/').rev().collect();
    let mut varies = (0..parts.len()).filter(|&part| parts[part].contains('*'));
    let (Some(_), Some(folder)) = (varies.next(), varies.next()) else {
        return path;
    };
    if parts[folder] == "**" {
        return path;
    }
    let above = path.rmatch_indices('/').nth(folder - 1);
    above.map_or(path, |(end, _)| &path[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn frames_of_a_film_are_one_scene() {
        let gopro = datasets::sharp_glob("gopro", "test/blur").unwrap();
        let of = |glob: &Option<String>, path: &str| scene(glob.as_deref(), path).to_owned();
        for frame in ["000001", "000047"] {
            let path = format!("GOPRO_Large/test/GOPR0384_11_00/sharp/{frame}.png");
            assert_eq!(of(&gopro, &path), "GOPRO_Large/test/GOPR0384_11_00");
        }
        let reds = datasets::sharp_glob("reds", "val").unwrap();
        assert_eq!(of(&reds, "val_sharp/007/00000012.png"), "val_sharp/007");
        let rsblur = datasets::sharp_glob("rsblur", "all/real").unwrap();
        assert_eq!(of(&rsblur, "park/0003/gt/gt_sharp.png"), "park");
        for set in ["hide", "realblur-j"] {
            let glob = datasets::sharp_glob(set, "test").unwrap();
            assert_eq!(of(&glob, "GT/7.png"), "GT/7.png");
        }
        assert_eq!(
            of(&Some("**/sharp/*.png".to_owned()), "a/sharp/1.png"),
            "a/sharp/1.png"
        );
        assert_eq!(of(&None, "a/b.png"), "a/b.png");
    }

    #[test]
    fn a_real_pair_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("blurry.png"), "b").unwrap();
        let pair = |sharp| real_pair(folder.path(), "blurry.png", sharp, "set/scene".to_owned());
        let error = pair("sharp.png").unwrap_err();
        assert!(format!("{error:#}").contains("sharp.png"), "{error:#}");
        fs::write(folder.path().join("sharp.png"), "s").unwrap();
        assert_eq!(pair("sharp.png").unwrap().name, "blurry");
    }
}
