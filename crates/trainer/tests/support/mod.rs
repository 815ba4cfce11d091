//! What several tests need.

use std::path::Path;

use image_io::{Format, Photo, PhotoInfo, WriteOptions};
use ndarray::Array3;

/// A square photograph with edges at many scales; `kind` shifts them. Folders are made.
pub(crate) fn write_photo(path: &Path, side: usize, kind: usize) {
    let pixels = Array3::from_shape_fn((3, side, side), |(channel, y, x)| {
        let checker = |size: usize| ((y + kind * 3) / size + x / size + channel) % 2;
        0.1 + 0.2 * (checker(3) + checker(11) + checker(37)) as f32 + 0.1 * (kind % 3) as f32
    });
    let photo = Photo {
        pixels,
        alpha: None,
        info: PhotoInfo::new(Format::Png),
    };
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image_io::write(path, &photo, &WriteOptions::default()).unwrap();
}
