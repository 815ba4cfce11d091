//! What is written about a pair, and about a set of pairs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use blur_synth::{Degradation, Recipe};
use image_io::Photo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::crop::Crop;
use super::frames::FrameRecord;
use crate::atomic;
use crate::hash;

/// Version of [`Record`] and [`SetRecord`].
pub(crate) const SCHEMA_VERSION: u32 = 1;
/// The file of a [`SetRecord`] in its folder.
pub(crate) const SET_FILE: &str = "synth.json";

/// Everything that is needed to make one pair again.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// [`SCHEMA_VERSION`].
    pub(crate) schema_version: u32,
    /// Name of the condition.
    pub(crate) condition: String,
    /// Number of the picture made of this photo under this condition, from 0.
    pub(crate) index: u32,
    /// Path of the sharp photo below the folder of photos.
    pub(crate) photo: String,
    /// SHA-256 of its file.
    pub(crate) photo_sha256: String,
    /// All frames that were averaged, the photo among them; none when it was degraded alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) frames: Vec<FrameRecord>,
    /// The part of it that was used.
    pub(crate) crop: Crop,
    /// The exact degradation.
    pub(crate) degradation: Degradation,
    /// SHA-256 of the stored samples of the blurry picture (see [`pixel_hash`]).
    pub(crate) blurry_sha256: String,
    /// SHA-256 of the stored samples of the sharp picture.
    pub(crate) sharp_sha256: String,
    /// PSNR of the blurry picture against the sharp one, in dB; absent when they are equal.
    pub(crate) psnr_db: Option<f64>,
}

/// What a folder of pairs holds.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetRecord {
    /// [`SCHEMA_VERSION`].
    pub(crate) schema_version: u32,
    /// Version of the crate `blur-synth` that made it.
    pub(crate) blur_synth: String,
    /// The recipe, with the kernels that it read from files.
    pub(crate) recipe: Recipe,
    /// Where the sharp photos were.
    pub(crate) photos: PathBuf,
    /// Width and height of the crops; whole photos when absent.
    pub(crate) crop: Option<[usize; 2]>,
    /// Stems of the pairs of each condition, sorted.
    pub(crate) pairs: Vec<(String, Vec<String>)>,
}

/// Where the files of one pair are.
pub(crate) struct PairFiles {
    pub(crate) blurry: PathBuf,
    pub(crate) sharp: PathBuf,
    pub(crate) record: PathBuf,
}

/// Folders of a condition.
pub(crate) const FOLDERS: [&str; 3] = ["blurry", "sharp", "parameters"];

impl PairFiles {
    /// The files of the pair `stem` of a condition.
    pub(crate) fn new(set: &Path, condition: &str, stem: &str) -> Self {
        let [blurry, sharp, record] = FOLDERS.map(|folder| set.join(condition).join(folder));
        Self {
            blurry: blurry.join(format!("{stem}.png")),
            sharp: sharp.join(format!("{stem}.png")),
            record: record.join(format!("{stem}.json")),
        }
    }
}

/// SHA-256 over height, width and the samples as they are stored: channel by channel, row by row, 16 bits little-endian.
/// It does not depend on how a PNG encoder packs them.
pub(crate) fn pixel_hash(photo: &Photo) -> String {
    let scale = f32::from(photo.info.bit_depth.max_value());
    let mut hasher = Sha256::new();
    for size in [photo.height(), photo.width()] {
        hasher.update((size as u64).to_le_bytes());
    }
    let bytes: Vec<u8> = photo
        .pixels
        .iter()
        .flat_map(|value| ((value.clamp(0.0, 1.0) * scale + 0.5) as u16).to_le_bytes())
        .collect();
    hasher.update(bytes);
    hash::hexadecimal(&hasher.finalize())
}

/// The part of every record that says what the rest means.
#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

/// Reads a record.
///
/// # Errors
/// A file that is not there, or not a record of this version.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let not_sound = || format!("{} is not a sound record", path.display());
    let Version { schema_version } = serde_json::from_str(&text).with_context(not_sound)?;
    anyhow::ensure!(
        schema_version == SCHEMA_VERSION,
        "{} has schema_version = {schema_version}, this program reads {SCHEMA_VERSION}",
        path.display()
    );
    serde_json::from_str(&text).with_context(not_sound)
}

/// Writes a record whole or not at all.
///
/// # Errors
/// A folder that cannot be written.
pub(crate) fn write(path: &Path, record: &impl Serialize) -> Result<()> {
    let cannot_write = || format!("cannot write {}", path.display());
    let mut text = serde_json::to_vec_pretty(record).with_context(cannot_write)?;
    text.push(b'\n');
    atomic::write(path, &text)
}
