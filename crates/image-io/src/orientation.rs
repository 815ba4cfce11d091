//! EXIF orientation: how the stored rows and columns lie in the upright photo.

use image::metadata::Orientation;
use ndarray::{Array2, Array3, ArrayBase, Axis, Data, Dimension, OwnedRepr};

use crate::photo::Photo;

/// Turns pixels and alpha upright.
pub(crate) fn apply(photo: &mut Photo, orientation: Orientation) {
    if orientation == Orientation::NoTransforms {
        return;
    }
    let pixels = std::mem::replace(&mut photo.pixels, Array3::zeros((0, 0, 0)));
    photo.pixels = upright(pixels, orientation);
    if let Some(alpha) = photo.alpha.take() {
        let alpha: Array2<f32> = upright(alpha, orientation);
        photo.alpha = Some(alpha);
    }
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

/// The last two axes are rows and columns. Quarter turns are a transposition, then mirrors (EXIF 2.32, tag 0x0112).
fn upright<D: Dimension>(
    mut planes: ArrayBase<OwnedRepr<f32>, D>,
    orientation: Orientation,
) -> ArrayBase<OwnedRepr<f32>, D> {
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
    in_row_order(&planes)
}

fn in_row_order<S: Data<Elem = f32>, D: Dimension>(
    planes: &ArrayBase<S, D>,
) -> ArrayBase<OwnedRepr<f32>, D> {
    planes.as_standard_layout().into_owned()
}
