//! Mirror padding to a size multiple, for any size down to one pixel.

use tch::{Kind, Tensor};

use crate::{Error, Result};

/// The largest multiple that [`pad_to_multiple`] takes; the networks need at most 256.
pub const MAXIMUM_MULTIPLE: i64 = 65_536;

/// Index that mirror padding (without repeating the edge) reads at position `i` of an axis with `n` samples.
///
/// Unlike `reflection_pad2d` this is defined for padding larger than the axis: the image is mirrored repeatedly.
pub fn mirror(i: i64, n: i64) -> i64 {
    if n <= 1 {
        return 0;
    }
    let period = 2 * (n - 1);
    let i = i.rem_euclid(period);
    if i < n { i } else { period - i }
}

/// Smallest multiple of `multiple` that is at least `n`.
pub fn round_up(n: i64, multiple: i64) -> i64 {
    -(-n).div_euclid(multiple) * multiple
}

/// Extends `x` `[N, C, H, W]` at the bottom and right by mirroring so that H and W are multiples of `multiple`.
///
/// # Errors
/// [`Error::Shape`] if `x` does not have four axes or `multiple` lies outside 1 to [`MAXIMUM_MULTIPLE`];
/// [`Error::Torch`] if libtorch is out of memory.
pub fn pad_to_multiple(x: &Tensor, multiple: i64) -> Result<Tensor> {
    if x.dim() != 4 || !(1..=MAXIMUM_MULTIPLE).contains(&multiple) {
        return Err(Error::Shape {
            what: "image to pad",
            expected: format!(
                "[N, C, H, W] and a multiple of 1 to {MAXIMUM_MULTIPLE} (here {multiple})"
            ),
            got: x.size(),
        });
    }
    let mut out = x.shallow_clone();
    for axis in [2, 3] {
        let n = x.size()[axis as usize];
        let target = round_up(n, multiple);
        if target != n {
            let index: Vec<i64> = (0..target).map(|i| mirror(i, n)).collect();
            let index = Tensor::f_from_slice(&index)?
                .f_to_kind(Kind::Int64)?
                .f_to_device(x.device())?;
            out = out.f_index_select(axis, &index)?;
        }
    }
    Ok(out)
}

/// Top left `height` × `width` part of `x` `[N, C, H, W]`.
///
/// # Errors
/// If `x` is smaller than that.
pub fn crop_to(x: &Tensor, height: i64, width: i64) -> Result<Tensor> {
    Ok(x.f_narrow(2, 0, height)?.f_narrow(3, 0, width)?)
}
