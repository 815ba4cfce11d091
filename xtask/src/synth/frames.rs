//! Successive photos as frames of a film.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use blur_synth::{Blur, Condition};
use image_io::{Limits, Photo};
use serde::{Deserialize, Serialize};

use super::photos::SharpPhoto;
use crate::hash;

/// One frame of a mean.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FrameRecord {
    /// Path below the folder of photos.
    pub(crate) photo: String,
    /// SHA-256 of the file.
    pub(crate) sha256: String,
}

impl FrameRecord {
    pub(crate) fn new(photo: &SharpPhoto) -> Result<Self> {
        Ok(Self {
            photo: photo.path.clone(),
            sha256: hash::sha256(&photo.file)?,
        })
    }
}

/// The number of frames that a condition averages; `None` when it degrades single photos.
pub(crate) fn count(condition: &Condition) -> Option<usize> {
    match condition.blur {
        Some(Blur::FrameAverage { frames }) => Some(frames as usize),
        _ => None,
    }
}

/// Groups of `count` photos that follow each other without a gap and without overlap, as numbers in a list of photos.
///
/// Photos are frames of one film when they lie in one folder and their names are equal but for the last number in them,
/// which grows by one.
pub(crate) fn groups(photos: &[SharpPhoto], count: usize) -> Vec<Vec<usize>> {
    let mut films: BTreeMap<(&str, &str), Vec<(u64, usize)>> = BTreeMap::new();
    for (index, photo) in photos.iter().enumerate() {
        if let Some((before, number, after)) = numbered(&photo.path) {
            films
                .entry((before, after))
                .or_default()
                .push((number, index));
        }
    }
    let mut groups = Vec::new();
    for frames in films.values_mut() {
        frames.sort_unstable();
        for run in frames.chunk_by(|one, next| one.0.checked_add(1) == Some(next.0)) {
            let whole = run.chunks_exact(count.max(1));
            groups.extend(whole.map(|group| group.iter().map(|frame| frame.1).collect()));
        }
    }
    groups
}

/// The last number in the name of a file, and what stands before and behind it in the path. Leading zeros are part of
/// the number, so that `9` and `10` follow each other as `009` and `010` do.
fn numbered(path: &str) -> Option<(&str, u64, &str)> {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    let is_digit = |character: char| character.is_ascii_digit();
    let end = name + path[name..].rfind(is_digit)? + 1;
    let start = path[name..end]
        .rfind(|character| !is_digit(character))
        .map_or(name, |at| {
            name + at + path[name + at..].chars().next().map_or(1, char::len_utf8)
        });
    Some((&path[..start], path[start..end].parse().ok()?, &path[end..]))
}

/// Reads frames.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn read(folder: &Path, frames: &[FrameRecord]) -> Result<Vec<Photo>> {
    frames
        .iter()
        .map(|frame| {
            Ok(image_io::read(
                &folder.join(&frame.photo),
                &Limits::default(),
            )?)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grouped<'a>(names: &[&'a str], count: usize) -> Vec<Vec<&'a str>> {
        let photos: Vec<SharpPhoto> = names
            .iter()
            .map(|name| SharpPhoto {
                file: name.into(),
                path: (*name).to_owned(),
            })
            .collect();
        let name = |index: usize| names[index];
        groups(&photos, count)
            .into_iter()
            .map(|group| group.into_iter().map(name).collect())
            .collect()
    }

    #[test]
    fn groups_follow_each_other_within_a_folder() {
        let names = [
            "a/0.png", "a/1.png", "a/2.png", "a/3.png", "a/4.png", "b/0.png", "b/1.png", "b/2.png",
        ];
        assert_eq!(
            grouped(&names, 3),
            [
                ["a/0.png", "a/1.png", "a/2.png"],
                ["b/0.png", "b/1.png", "b/2.png"]
            ]
        );
        assert_eq!(
            grouped(&names, 5),
            [["a/0.png", "a/1.png", "a/2.png", "a/3.png", "a/4.png"]]
        );
        assert!(grouped(&names, 7).is_empty());
    }

    #[test]
    fn numbers_count_and_not_the_alphabet() {
        let names = ["1.png", "10.png", "11.png", "2.png", "8.png", "9.png"];
        assert_eq!(grouped(&names, 3), [["8.png", "9.png", "10.png"]]);
        // A gap, another name and another format end a film.
        assert!(grouped(&["1.png", "2.png", "4.png"], 3).is_empty());
        assert!(grouped(&["a1.png", "b2.png", "a3.png"], 3).is_empty());
        assert!(grouped(&["1.png", "2.jpg", "3.png"], 3).is_empty());
        assert!(grouped(&["x.png", "y.png", "z.png"], 3).is_empty());
        assert_eq!(
            grouped(&["é7 (1).png", "é8 (1).png", "é7 (2).png", "é7 (3).png"], 3).len(),
            1
        );
        assert!(grouped(&["99999999999999999999999.png"], 1).is_empty());
    }
}
