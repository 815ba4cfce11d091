//! Successive photos as frames of a film.

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

/// The frames of which photo number `middle` of a sorted list is the middle one: photos in a row in the same folder.
/// Groups of `count` follow each other without overlap; `None` when it is not the middle of one.
pub(crate) fn around(photos: &[SharpPhoto], middle: usize, count: usize) -> Option<&[SharpPhoto]> {
    let folder = |photo: &SharpPhoto| {
        photo
            .path
            .rfind('/')
            .map(|slash| photo.path[..slash].to_owned())
    };
    let own = folder(&photos[middle]);
    let before = photos[..middle]
        .iter()
        .rev()
        .take_while(|photo| folder(photo) == own)
        .count();
    let half = count / 2;
    let start = middle.checked_sub(half)?;
    let frames = photos.get(start..start + count)?;
    let is_middle = before >= half && (before - half).is_multiple_of(count);
    (is_middle && frames.iter().all(|photo| folder(photo) == own)).then_some(frames)
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

    #[test]
    fn groups_follow_each_other_within_a_folder() {
        let names = [
            "a/0.png", "a/1.png", "a/2.png", "a/3.png", "a/4.png", "a/5.png", "a/6.png", "b/0.png",
            "b/1.png", "b/2.png",
        ];
        let photos: Vec<SharpPhoto> = names
            .iter()
            .map(|name| SharpPhoto {
                file: name.into(),
                path: (*name).to_owned(),
            })
            .collect();
        let middles = |count| -> Vec<&str> {
            (0..photos.len())
                .filter(|&index| around(&photos, index, count).is_some())
                .map(|index| names[index])
                .collect()
        };
        assert_eq!(middles(3), ["a/1.png", "a/4.png", "b/1.png"]);
        assert_eq!(middles(7), ["a/3.png"]);
        assert_eq!(middles(9), Vec::<&str>::new());
        assert_eq!(around(&photos, 4, 3).unwrap()[2].path, "a/5.png");
    }
}
