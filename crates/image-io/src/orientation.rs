//! EXIF orientation: how the stored rows and columns lie in the upright photo.

use image::metadata::Orientation;
use ndarray::{Array, Axis, Dimension};

/// Turns planes upright; the last two axes are rows and columns.
///
/// Quarter turns are a transposition, then mirrors (EXIF 2.32, tag 0x0112).
pub(crate) fn apply<D: Dimension>(planes: &mut Array<f32, D>, orientation: Orientation) {
    if orientation == Orientation::NoTransforms {
        return;
    }
    let (rows, columns) = (planes.ndim() - 2, planes.ndim() - 1);
    if swaps_sides(orientation) {
        planes.swap_axes(rows, columns);
    }
    let (mirror_rows, mirror_columns) = match orientation {
        Orientation::NoTransforms | Orientation::Rotate90FlipH => (false, false),
        Orientation::FlipHorizontal | Orientation::Rotate90 => (false, true),
        Orientation::FlipVertical | Orientation::Rotate270 => (true, false),
        Orientation::Rotate180 | Orientation::Rotate270FlipH => (true, true),
    };
    if mirror_rows {
        planes.invert_axis(Axis(rows));
    }
    if mirror_columns {
        planes.invert_axis(Axis(columns));
    }
    *planes = planes.as_standard_layout().into_owned();
}

/// Whether width and height change places.
pub(crate) fn swaps_sides(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}
