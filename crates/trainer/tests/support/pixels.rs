//! Pictures on disk.

use std::path::Path;

use image_io::{Format, Photo, PhotoInfo, WriteOptions};
use ndarray::Array3;

/// Writes the pixels as PNG. Folders are made.
pub(crate) fn write_pixels(path: &Path, pixels: Array3<f32>) {
    let photo = Photo {
        pixels,
        alpha: None,
        info: PhotoInfo::new(Format::Png),
    };
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image_io::write(path, &photo, &WriteOptions::default()).unwrap();
}
