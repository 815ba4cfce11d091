//! Sharp photographs in memory and crops of them with enough detail.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use image_io::Limits;
use ndarray::Array3;
use rayon::prelude::*;

use crate::random::Random;
use crate::{Error, Result};

/// Standard deviation of the Laplacian of 8-bit luma above which a crop has enough detail to learn from.
const DETAIL_THRESHOLD: f64 = 8.0;
/// Crops tried before the one with most detail is taken.
const CROP_TRIES: usize = 6;
/// Memory for decoded photographs: 1.4 thousand megapixels.
const MAX_BYTES: u64 = 4 << 30;

/// One decoded photograph, 8 bits per sample (a quarter of the memory of floats).
#[derive(Debug, Clone)]
pub struct Photo {
    /// File that it came from.
    pub path: PathBuf,
    height: usize,
    width: usize,
    /// `[3, H, W]`.
    samples: Vec<u8>,
}

/// A set of photographs.
#[derive(Debug)]
pub struct PhotoSet {
    /// Photographs in the order of their file names.
    pub photos: Vec<Photo>,
    /// Files that were not usable, each with the reason.
    pub skipped: Vec<String>,
    /// SHA-256 over file names and samples, hexadecimal.
    pub sha256: String,
}

/// Lists the image files below `folder`, each file once: `seen` holds the real paths of files and folders, so that
/// links that lead in circles and folders that are given twice do no harm.
fn collect(folder: &Path, seen: &mut HashSet<PathBuf>, files: &mut Vec<PathBuf>) -> Result<()> {
    let fail = |source| Error::Io {
        path: folder.to_owned(),
        action: "read the folder",
        source,
    };
    if !seen.insert(folder.canonicalize().map_err(fail)?) {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.is_dir() {
            collect(&path, seen, files)?;
        } else if image_io::is_supported(&path)
            && path
                .canonicalize()
                .is_ok_and(|real_path| seen.insert(real_path))
        {
            files.push(path);
        }
    }
    Ok(())
}

/// Drops the files that would not fit into memory together, with the reason.
fn within_budget(files: Vec<PathBuf>, skipped: &mut Vec<String>) -> Vec<PathBuf> {
    let mut bytes = 0;
    files
        .into_iter()
        .filter(|path| {
            // A file without a readable size is left to the decoder, which says what is wrong with it.
            let size = image_io::image_size(path, &Limits::default()).unwrap_or((0, 0));
            let needed = 3 * u64::from(size.0) * u64::from(size.1);
            let fits = bytes + needed <= MAX_BYTES;
            if fits {
                bytes += needed;
            } else {
                skipped.push(format!(
                    "{}: more photographs than {} GiB of memory hold",
                    path.display(),
                    MAX_BYTES >> 30
                ));
            }
            fits
        })
        .collect()
}

fn decode(path: &Path, minimum: usize) -> std::result::Result<Photo, String> {
    let photo = image_io::read(path, &Limits::default()).map_err(|error| error.to_string())?;
    let (height, width) = (photo.height(), photo.width());
    if height.min(width) < minimum {
        return Err(format!(
            "{}: {width}×{height} is smaller than {minimum}×{minimum}",
            path.display()
        ));
    }
    let samples = photo
        .pixels
        .iter()
        .map(|&value| (value.clamp(0.0, 1.0) * 255.0).round() as u8)
        .collect();
    Ok(Photo {
        path: path.to_owned(),
        height,
        width,
        samples,
    })
}

impl PhotoSet {
    /// Reads all photographs below `folders`. Unreadable and too small files are skipped and listed.
    ///
    /// # Errors
    /// If a folder cannot be read or no photograph of at least `minimum`×`minimum` pixels is found.
    pub fn read(folders: &[PathBuf], minimum: usize) -> Result<Self> {
        let (mut files, mut seen) = (Vec::new(), HashSet::new());
        for folder in folders {
            collect(folder, &mut seen, &mut files)?;
        }
        files.sort_by(|a, b| a.file_name().cmp(&b.file_name()).then_with(|| a.cmp(b)));
        let mut photos: Vec<Photo> = Vec::new();
        let mut skipped = Vec::new();
        let files = within_budget(files, &mut skipped);
        for result in files
            .par_iter()
            .map(|path| decode(path, minimum))
            .collect::<Vec<_>>()
        {
            match result {
                Ok(photo) => photos.push(photo),
                Err(reason) => skipped.push(reason),
            }
        }
        if photos.is_empty() {
            let folders = folders
                .iter()
                .map(|f| f.display().to_string())
                .collect::<Vec<_>>()
                .join(", ");
            return Err(Error::NoPhotos {
                folders,
                minimum,
                skipped: skipped.len(),
            });
        }
        // The same picture twice could be trained on and validated with.
        let (mut bytes, mut pictures) = (Vec::new(), HashSet::new());
        photos.retain(|photo| {
            let hash = ms_guidance::checkpoint::sha256(&photo.samples);
            let new = pictures.insert(hash.clone());
            if new {
                bytes.extend(photo.name().as_bytes());
                bytes.extend(hash.as_bytes());
            } else {
                skipped.push(format!(
                    "{}: the same picture as another file",
                    photo.path.display()
                ));
            }
            new
        });
        let sha256 = ms_guidance::checkpoint::sha256(&bytes);
        Ok(Self {
            photos,
            skipped,
            sha256,
        })
    }

    /// Splits off `count` photographs for validation (at most half of them), chosen by a hash of their names, so that the
    /// choice does not depend on the folder's other content more than it must.
    pub fn split(self, count: usize) -> (Vec<Photo>, Vec<Photo>) {
        let count = count.min(self.photos.len() / 2);
        let mut order: Vec<usize> = (0..self.photos.len()).collect();
        order.sort_by_key(|&i| ms_guidance::checkpoint::sha256(self.photos[i].name().as_bytes()));
        let held_out: HashSet<usize> = order.into_iter().take(count).collect();
        let (mut training, mut validation) = (Vec::new(), Vec::new());
        for (index, photo) in self.photos.into_iter().enumerate() {
            if held_out.contains(&index) {
                validation.push(photo)
            } else {
                training.push(photo)
            }
        }
        (training, validation)
    }
}

impl Photo {
    fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    /// The shorter side in pixels.
    pub fn shorter_side(&self) -> usize {
        self.height.min(self.width)
    }

    /// Number of pixels.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    fn luma(&self, y: usize, x: usize) -> f64 {
        let plane = self.pixels();
        let i = y * self.width + x;
        let sample = |channel: usize| f64::from(self.samples[channel * plane + i]);
        0.299 * sample(0) + 0.587 * sample(1) + 0.114 * sample(2)
    }

    /// Standard deviation of the 4-neighbour Laplacian of 8-bit luma over a square, on every second pixel.
    fn detail(&self, top: usize, left: usize, side: usize) -> f64 {
        let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
        for y in (top + 1..top + side - 1).step_by(2) {
            for x in (left + 1..left + side - 1).step_by(2) {
                let laplacian = self.luma(y - 1, x)
                    + self.luma(y + 1, x)
                    + self.luma(y, x - 1)
                    + self.luma(y, x + 1)
                    - 4.0 * self.luma(y, x);
                sum += laplacian;
                squares += laplacian * laplacian;
                count += 1.0;
            }
        }
        let mean = sum / f64::max(count, 1.0);
        (squares / f64::max(count, 1.0) - mean * mean)
            .max(0.0)
            .sqrt()
    }

    /// Top left corner of a random square of `side` pixels with enough detail, or the best of a few.
    pub(crate) fn detailed_corner(&self, side: usize, random: &mut Random) -> (usize, usize) {
        let mut best = (-1.0, (0, 0));
        for _ in 0..CROP_TRIES {
            let corner = (
                random.below(self.height - side + 1),
                random.below(self.width - side + 1),
            );
            let detail = self.detail(corner.0, corner.1, side);
            if detail > best.0 {
                best = (detail, corner);
            }
            if detail > DETAIL_THRESHOLD {
                break;
            }
        }
        best.1
    }

    /// Square of `side` pixels at `top`, `left` as `[3, side, side]` in [0, 1], optionally mirrored and transposed.
    pub(crate) fn square(
        &self,
        top: usize,
        left: usize,
        side: usize,
        flips: [bool; 3],
    ) -> Array3<f32> {
        let plane = self.pixels();
        let [mirror_y, mirror_x, transpose] = flips;
        Array3::from_shape_fn((3, side, side), |(channel, y, x)| {
            let (y, x) = if transpose { (x, y) } else { (y, x) };
            let y = if mirror_y { side - 1 - y } else { y };
            let x = if mirror_x { side - 1 - x } else { x };
            f32::from(self.samples[channel * plane + (top + y) * self.width + left + x]) / 255.0
        })
    }
}
