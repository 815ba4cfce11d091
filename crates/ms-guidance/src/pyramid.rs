//! The pyramid: what the guidance networks see and what they are trained to predict.

use tch::Tensor;

use crate::{Error, GuidanceInput, Result};

/// The coarsest scale that [`downsample`] takes: 1/65536 of the resolution.
pub const MAXIMUM_SCALE: usize = 16;

/// BT.601 luma weights of red, green and blue.
pub const LUMA: [f64; 3] = [0.299, 0.587, 0.114];

/// BT.601 luma of `image` `[N, 3, H, W]`, in the same range: `[N, 1, H, W]`.
///
/// # Errors
/// If `image` has fewer than three channels.
pub fn gray(image: &Tensor) -> Result<Tensor> {
    let mut luma = image.f_narrow(1, 0, 1)?.f_mul_scalar(LUMA[0])?;
    for (channel, weight) in LUMA.iter().enumerate().skip(1) {
        luma = luma.f_add(
            &image
                .f_narrow(1, channel as i64, 1)?
                .f_mul_scalar(*weight)?,
        )?;
    }
    Ok(luma)
}

/// `down_{2^scale}`: the mean over squares of 2^scale pixels (area downsampling, which is its own antialiasing filter).
/// `[N, C, H, W]` to `[N, C, H / 2^scale, W / 2^scale]`; H and W are multiples of 2^scale.
///
/// # Errors
/// [`Error::Scale`] above [`MAXIMUM_SCALE`]; [`Error::Torch`] if the image is smaller than one square.
pub fn downsample(image: &Tensor, scale: usize) -> Result<Tensor> {
    if scale > MAXIMUM_SCALE {
        return Err(Error::Scale {
            scale,
            maximum: MAXIMUM_SCALE,
        });
    }
    let factor = 1i64 << scale;
    Ok(image.f_avg_pool2d(factor, factor, 0, false, true, None::<i64>)?)
}

/// `down_{2^s}` of `image` `[N, 3, H, W]` for s = 1..=scales, of its luma or of all its channels, in the same range:
/// `[N, 1 or 3, H / 2^s, W / 2^s]`; H and W are multiples of 2^scales.
///
/// # Errors
/// As [`gray`] and [`downsample`].
pub fn pyramid(image: &Tensor, scales: usize, input: GuidanceInput) -> Result<Vec<Tensor>> {
    match input {
        GuidanceInput::Gray => gray_pyramid(image, scales),
        GuidanceInput::Color => (1..=scales).map(|scale| downsample(image, scale)).collect(),
    }
}

/// `down_{2^s}(gray(image))` for s = 1..=scales.
///
/// # Errors
/// As [`gray`] and [`downsample`].
pub fn gray_pyramid(image: &Tensor, scales: usize) -> Result<Vec<Tensor>> {
    let gray = gray(image)?;
    (1..=scales).map(|scale| downsample(&gray, scale)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_without_meaning_are_refused() {
        let image = Tensor::zeros([1, 1, 8, 8], (tch::Kind::Float, tch::Device::Cpu));
        for scale in [MAXIMUM_SCALE + 1, 63, 64, usize::MAX] {
            let result = downsample(&image, scale);
            assert!(matches!(result, Err(Error::Scale { .. })), "{result:?}");
        }
        // Of a meaning, but coarser than the image.
        assert!(matches!(downsample(&image, 16), Err(Error::Torch(_))));
    }
}
