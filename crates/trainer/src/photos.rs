//! Sets of sharp photographs.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::cache::ImageCache;
use crate::folder::is_run;
use crate::photo_folder::PhotoFolder;
use crate::picture::Picture;
use crate::{Error, Result};

/// Megabytes of decoded photographs that [`PhotoSet::read`] keeps in memory.
pub(crate) const CACHE_MEGABYTES: u64 = 2048;

/// One usable photograph. Its pixels lie in a cache, or are decoded when they are needed.
#[derive(Debug, Clone)]
pub struct Photo {
    /// File that it came from.
    pub path: PathBuf,
    height: usize,
    width: usize,
    cache: Arc<ImageCache>,
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

/// What happens to a second name of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// It is a file of its own.
    Kept,
    /// It is passed over.
    Once,
}

/// Lists the image files below `folder`: `seen` holds the real paths of folders, and of files with [`Links::Once`], so that
/// links that lead in circles and folders that are given twice do no harm. Folders of training runs below it are passed over.
pub(crate) fn collect(
    folder: &Path,
    links: Links,
    seen: &mut HashSet<PathBuf>,
    files: &mut Vec<PathBuf>,
) -> Result<()> {
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
            if is_run(&path) {
                tracing::info!("{}: a training run, not searched", path.display());
                continue;
            }
            collect(&path, links, seen, files)?;
        } else if image_io::is_supported(&path)
            && path
                .canonicalize()
                .is_ok_and(|real_path| links == Links::Kept || seen.insert(real_path))
        {
            files.push(path);
        }
    }
    Ok(())
}

/// Decodes a photograph into `cache` and says what it holds: the photograph and the SHA-256 of its samples.
fn examine(
    path: &Path,
    minimum: usize,
    cache: &Arc<ImageCache>,
) -> std::result::Result<(Photo, String), String> {
    let picture = cache.get(path).map_err(|error| error.to_string())?;
    let (height, width) = (picture.height, picture.width);
    if height.min(width) < minimum {
        return Err(too_small(path, width, height, minimum));
    }
    let photo = Photo {
        path: path.to_owned(),
        height,
        width,
        cache: Arc::clone(cache),
    };
    Ok((photo, ms_guidance::checkpoint::sha256(picture.samples())))
}

/// Why a picture cannot be used.
pub(crate) fn too_small(path: &Path, width: usize, height: usize, minimum: usize) -> String {
    format!(
        "{}: {width}×{height} is smaller than {minimum}×{minimum}",
        path.display()
    )
}

impl PhotoSet {
    /// Reads all photographs below `folders`. Unreadable and too small files are skipped and listed.
    ///
    /// # Errors
    /// If a folder cannot be read or no photograph of at least `minimum`×`minimum` pixels is found.
    pub fn read(folders: &[PathBuf], minimum: usize) -> Result<Self> {
        Self::read_into(folders, minimum, &ImageCache::new(CACHE_MEGABYTES))
    }

    /// [`PhotoSet::read`] with the pixels in a given cache. Every photograph is decoded once, to know that it can be; those that the
    /// cache has no room for are decoded again when they are needed.
    ///
    /// # Errors
    /// As [`PhotoSet::read`].
    pub fn read_into(folders: &[PathBuf], minimum: usize, cache: &Arc<ImageCache>) -> Result<Self> {
        Self::gather(folders, &[], minimum, cache)
    }

    /// [`PhotoSet::read_into`] with the files of `sets` as well.
    ///
    /// # Errors
    /// As [`PhotoSet::read`]; if one of `sets` has no file that its glob takes.
    pub fn gather(
        folders: &[PathBuf],
        sets: &[PhotoFolder],
        minimum: usize,
        cache: &Arc<ImageCache>,
    ) -> Result<Self> {
        let (mut files, mut seen) = (Vec::new(), HashSet::new());
        for folder in folders {
            collect(folder, Links::Once, &mut seen, &mut files)?;
        }
        for set in sets {
            set.collect(&mut seen, &mut files)?;
        }
        files.sort_by(|a, b| a.file_name().cmp(&b.file_name()).then_with(|| a.cmp(b)));
        let mut found: Vec<(Photo, String)> = Vec::new();
        let mut skipped = Vec::new();
        for result in files
            .par_iter()
            .map(|path| examine(path, minimum, cache))
            .collect::<Vec<_>>()
        {
            match result {
                Ok(photo) => found.push(photo),
                Err(reason) => skipped.push(reason),
            }
        }
        if found.is_empty() {
            let sets = sets.iter().map(|set| &set.folder);
            let folders = folders
                .iter()
                .chain(sets)
                .map(|f| f.display().to_string())
                .collect::<Vec<_>>()
                .join(", ");
            return Err(Error::NoPhotos {
                folders,
                minimum,
                skipped: skipped.len(),
                first: skipped.first().cloned(),
            });
        }
        // The same picture twice could be trained on and validated with.
        let (mut bytes, mut pictures) = (Vec::new(), HashSet::new());
        found.retain(|(photo, hash)| {
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
            photos: found.into_iter().map(|(photo, _)| photo).collect(),
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

    /// The pixels. They were decoded once before; that they cannot be any more is an error, because leaving the photograph out now
    /// would make this run another than the one that was started.
    pub(crate) fn picture(&self) -> Result<Arc<Picture>> {
        let picture = self
            .cache
            .get(&self.path)
            .map_err(|source| Error::DataLost {
                path: self.path.clone(),
                source: Box::new(source),
            })?;
        if (picture.height, picture.width) != (self.height, self.width) {
            return Err(Error::DataChanged {
                path: self.path.clone(),
            });
        }
        Ok(picture)
    }
}
