//! Pictures that another program restored: `DOMAIN/CONDITION/NAME.png` below one folder.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use image_io::Limits;
use walkdir::WalkDir;

use super::pairs::Condition;
use crate::failure::Failure;
use crate::report::say;

/// The file of a picture.
pub(crate) fn file(folder: &Path, condition: &Condition, name: &str) -> PathBuf {
    folder
        .join(&condition.domain)
        .join(&condition.name)
        .join(format!("{name}.png"))
}

/// Why a picture cannot be scored; names are matched, never positions.
pub(crate) fn problem(file: &Path, sharp: &Path) -> Option<String> {
    if !file.is_file() {
        return Some(format!("there is no {}", file.display()));
    }
    let size = |path: &Path| image_io::image_size(path, &Limits::default());
    match (size(file), size(sharp)) {
        (Ok(found), Ok(wanted)) if found != wanted => Some(format!(
            "{} has {} x {} pixels, the sharp picture {} x {}",
            file.display(),
            found.0,
            found.1,
            wanted.0,
            wanted.1
        )),
        (Err(error), _) | (_, Err(error)) => Some(error.to_string()),
        _ => None,
    }
}

/// Says how many pictures of the method `name` are missing.
///
/// # Errors
/// A folder without any picture of a whole run: its layout is wrong.
pub(crate) fn check(
    folder: &Path,
    conditions: &[Condition],
    name: &str,
    is_part: bool,
) -> Result<()> {
    let files: Vec<PathBuf> = conditions
        .iter()
        .flat_map(|condition| {
            let pairs = condition.pairs.iter();
            pairs.map(|pair| file(folder, condition, &pair.name))
        })
        .collect();
    let missing: Vec<&PathBuf> = files.iter().filter(|file| !file.is_file()).collect();
    let Some(first) = missing.first() else {
        return Ok(());
    };
    let first = first.display();
    // A part may have few pictures, and those may be the missing ones.
    if missing.len() == files.len() && !is_part {
        return Err(Failure::error(
            format!(
                "--method {name}: none of the {} pictures of this run is there, such as {first}",
                files.len()
            ),
            "the folder must have DOMAIN/CONDITION/NAME.png; --prepare makes the blurry pictures and says where they are",
        ));
    }
    say(format!(
        "note: {} of {} pictures of {name} are missing and will fail, the first is {first}",
        missing.len(),
        files.len()
    ));
    Ok(())
}

/// Pictures in the folders of the conditions that belong to no pair: perhaps their names are wrong.
pub(crate) fn strangers(folder: &Path, conditions: &[Condition]) -> Vec<PathBuf> {
    conditions
        .iter()
        .flat_map(|condition| {
            let names = condition.pairs.iter();
            let wanted: HashSet<PathBuf> = names
                .map(|pair| file(folder, condition, &pair.name))
                .collect();
            WalkDir::new(folder.join(&condition.domain).join(&condition.name))
                .follow_links(true)
                .sort_by_file_name()
                .into_iter()
                .flatten()
                .filter(|entry| entry.file_type().is_file() && image_io::is_supported(entry.path()))
                .map(walkdir::DirEntry::into_path)
                .filter(move |path| !wanted.contains(path))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench_ood::pairs::Pair;
    use crate::suite::Protocol;
    use crate::synth::write_photo;
    use image_io::{Format, Photo, PhotoInfo};
    use ndarray::Array3;

    fn write(file: &Path, height: usize, width: usize) {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let photo = Photo {
            pixels: Array3::zeros((3, height, width)),
            alpha: None,
            info: PhotoInfo::new(Format::Png),
        };
        write_photo(file, &photo).unwrap();
    }

    #[test]
    fn pictures_are_matched_by_name_and_size() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let sharp = root.join("sharp.png");
        write(&sharp, 8, 10);
        let pair = |name: &str| Pair {
            name: name.to_owned(),
            photo: String::new(),
            blurry: sharp.clone(),
            sharp: sharp.clone(),
            sha256: String::new(),
            degradation: None,
        };
        let condition = Condition {
            domain: "photos".to_owned(),
            name: "zoom-3".to_owned(),
            family: "zoom".to_owned(),
            severity: Some(3),
            in_domain: false,
            real: false,
            protocol: Protocol::Rgb,
            one_kernel: false,
            pairs: ["good", "small", "missing", "broken"].map(pair).into(),
        };
        let place = |name: &str| file(root, &condition, name);
        assert_eq!(place("good"), root.join("photos/zoom-3/good.png"));
        write(&place("good"), 8, 10);
        write(&place("small"), 8, 9);
        write(&place("stranger"), 8, 10);
        std::fs::write(place("broken"), "no picture").unwrap();
        let problem = |name: &str| problem(&place(name), &sharp);
        assert_eq!(problem("good"), None);
        let small = problem("small").unwrap();
        assert!(
            small.contains("9 x 8") && small.contains("10 x 8"),
            "{small}"
        );
        assert!(problem("missing").unwrap().contains("there is no"));
        assert!(problem("broken").is_some());
        assert_eq!(
            strangers(root, std::slice::from_ref(&condition)),
            [place("stranger")]
        );
        // One of four is missing; then all are, which a part of a run may meet.
        let conditions = std::slice::from_ref(&condition);
        check(root, conditions, "mine", false).unwrap();
        let empty = tempfile::tempdir().unwrap();
        let error = check(empty.path(), conditions, "mine", false).unwrap_err();
        assert!(error.to_string().contains("none of the 4"), "{error}");
        check(empty.path(), conditions, "mine", true).unwrap();
    }
}
