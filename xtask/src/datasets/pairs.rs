//! Which sharp photo belongs to which blurry one.

use std::collections::{BTreeMap, BTreeSet};

use super::file_list::FileList;
use super::manifest::{Pairing, PairingRule, Split};

/// The result of pairing one split.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pairs {
    /// Blurry and sharp.
    pub(crate) pairs: Vec<(String, String)>,
    /// Photos without a partner, and why.
    pub(crate) alone: Vec<(String, String)>,
}

/// Finds the sharp photo of each blurry one.
pub(crate) fn pair(
    split: &Split,
    pairing: &Pairing,
    blurry: &[&str],
    sharp: &[&str],
    list: &FileList,
) -> Pairs {
    let mut found = Pairs::default();
    let known: BTreeSet<&str> = sharp.iter().copied().collect();
    let stems = by_stem(sharp);
    let label = split.label();
    let listed: BTreeMap<&str, &str> = list
        .of_split(&label)
        .filter_map(|row| Some((row.path.as_str(), row.sharp.as_deref()?)))
        .collect();
    let mut used = BTreeSet::new();
    for &path in blurry {
        let partner = match pairing {
            Pairing::Replace(replace) => {
                if path.matches(replace.blurry.as_str()).count() == 1 {
                    Ok(path.replacen(&replace.blurry, &replace.sharp, 1))
                } else {
                    Err(format!("its path has not exactly one `{}`", replace.blurry))
                }
            }
            Pairing::Rule(PairingRule::SameStem) => {
                match stems.get(stem(path)).map(Vec::as_slice) {
                    Some([one]) => Ok((*one).to_owned()),
                    Some(several) => Err(format!("has {} sharp photos", several.len())),
                    None => Err(format!("no sharp photo is called `{}`", stem(path))),
                }
            }
            Pairing::Rule(PairingRule::Listed) => listed
                .get(path)
                .map(|sharp| (*sharp).to_owned())
                .ok_or_else(|| "the list names no sharp photo for it".to_owned()),
        };
        match partner {
            Ok(partner) if known.contains(partner.as_str()) => {
                used.insert(partner.clone());
                found.pairs.push((path.to_owned(), partner));
            }
            Ok(partner) => {
                let why = format!("its sharp photo {partner} is not there");
                found.alone.push((path.to_owned(), why));
            }
            Err(why) => found.alone.push((path.to_owned(), why)),
        }
    }
    for &path in sharp {
        if !used.contains(path) {
            let why = "no blurry photo belongs to it".to_owned();
            found.alone.push((path.to_owned(), why));
        }
    }
    found
}

fn by_stem<'a>(paths: &[&'a str]) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut stems = BTreeMap::<_, Vec<_>>::new();
    for path in paths {
        stems.entry(stem(path)).or_default().push(*path);
    }
    stems
}

/// The file name without its last extension.
fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::file_list::Row;
    use crate::datasets::manifest::{Replace, Role};

    fn split() -> Split {
        Split {
            name: "test".to_owned(),
            role: Role::Test,
            variant: None,
            sharp: None,
            blurry: None,
            data: None,
            pairing: None,
            count: 1,
            size: None,
            files: None,
        }
    }

    fn paired(pairing: &Pairing, blurry: &[&str], sharp: &[&str], list: &FileList) -> Pairs {
        pair(&split(), pairing, blurry, sharp, list)
    }

    #[test]
    fn a_folder_is_replaced_as_in_gopro() {
        let pairing = Pairing::Replace(Replace {
            sharp: "/sharp/".to_owned(),
            blurry: "/blur_gamma/".to_owned(),
        });
        let found = paired(
            &pairing,
            &["a/blur_gamma/1.png", "a/blur_gamma/2.png", "a/other/3.png"],
            &["a/sharp/1.png", "a/sharp/4.png"],
            &FileList::default(),
        );
        assert_eq!(
            found.pairs,
            [("a/blur_gamma/1.png".to_owned(), "a/sharp/1.png".to_owned())]
        );
        let alone: Vec<&str> = found.alone.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            alone,
            ["a/blur_gamma/2.png", "a/other/3.png", "a/sharp/4.png"]
        );
    }

    #[test]
    fn equal_names_pair_as_in_hide() {
        let pairing = Pairing::Rule(PairingRule::SameStem);
        let found = paired(
            &pairing,
            &["near/1.png", "far/2.png", "far/3.png", "far/4.png"],
            &["gt/1.jpg", "gt/2.png", "x/3.png", "y/3.png"],
            &FileList::default(),
        );
        assert_eq!(found.pairs.len(), 2);
        assert_eq!(found.pairs[0].1, "gt/1.jpg");
        let why: Vec<&str> = found.alone.iter().map(|(_, why)| why.as_str()).collect();
        assert_eq!(why[0], "has 2 sharp photos");
        assert_eq!(why[1], "no sharp photo is called `4`");
        assert_eq!(found.alone.len(), 4);
    }

    #[test]
    fn a_list_pairs_several_with_one_as_in_koehler() {
        let pairing = Pairing::Rule(PairingRule::Listed);
        let row = |path: &str| Row {
            split: "test".to_owned(),
            path: path.to_owned(),
            sharp: Some("sharp/1.png".to_owned()),
            ..Row::default()
        };
        let list = FileList {
            rows: vec![row("b/1_1.png"), row("b/1_2.png")],
        };
        let found = paired(
            &pairing,
            &["b/1_1.png", "b/1_2.png"],
            &["sharp/1.png"],
            &list,
        );
        assert_eq!(found.pairs.len(), 2);
        assert_eq!(found.alone, []);
    }
}
