//! Images of the caller as tensors.

use ndarray::ArrayView3;
use tch::{Device, Tensor};

use crate::error::{Error, Result};

/// An image as a tensor `[1, 3, H, W]` with values in `[0, 1]`, clamped and rounded to 8 bits as a saved file is.
pub(super) fn rounded(image: &ArrayView3<'_, f32>, device: Device) -> Result<Tensor> {
    let (channels, height, width) = image.dim();
    let values: Vec<f32> = image.iter().map(|&value| eight_bits(value)).collect();
    Ok(Tensor::f_from_slice(&values)?
        .f_view([1, channels as i64, height as i64, width as i64])?
        .f_to_device(device)?)
}

/// The nearest multiple of 1/255 in `[0, 1]`; in `f64`, so that halves are found as in the metrics without a network.
fn eight_bits(value: f32) -> f32 {
    let level = (f64::from(value) * 255.0).clamp(0.0, 255.0) + 0.5;
    // Never negative here, so that truncation rounds.
    f32::from(level as u8) / 255.0
}

/// Checks two batches `[N, 3, H, W]` of at least `needed` rows and columns.
pub(super) fn check_batches(first: &Tensor, second: &Tensor, needed: usize) -> Result<()> {
    let (a, b) = (first.size(), second.size());
    match a.as_slice() {
        &[_, 3, height, width] if a == b => {
            if (height as usize) < needed || (width as usize) < needed {
                return Err(Error::ImageTooSmall {
                    height: height as usize,
                    width: width as usize,
                    needed,
                });
            }
            Ok(())
        }
        _ => Err(Error::BatchShape {
            first: a,
            second: b,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_those_of_a_file_with_8_bits() {
        for level in 0..=255_u8 {
            let exact = f32::from(level) / 255.0;
            assert_eq!(eight_bits(exact), exact);
            assert_eq!(eight_bits(exact + 0.4 / 255.0), exact.max(0.0));
            assert_eq!(eight_bits(exact - 0.4 / 255.0), exact);
        }
        assert_eq!(eight_bits(-3.0), 0.0);
        assert_eq!(eight_bits(7.0), 1.0);
    }
}
