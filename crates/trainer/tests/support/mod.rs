//! What several tests need.

mod pixels;

use std::path::Path;

use ndarray::Array3;

/// A square photograph with edges at many scales; `kind` shifts them. Folders are made.
pub(crate) fn write_photo(path: &Path, side: usize, kind: usize) {
    let pixels = Array3::from_shape_fn((3, side, side), |(channel, y, x)| {
        let checker = |size: usize| ((y + kind * 3) / size + x / size + channel) % 2;
        0.1 + 0.2 * (checker(3) + checker(11) + checker(37)) as f32 + 0.1 * (kind % 3) as f32
    });
    pixels::write_pixels(path, pixels);
}
