//! Between arrays of pixels in [0, 1] and tensors in [-1, 1].

use ndarray::{Array2, Array3, ArrayView3};
use tch::{Device, Kind, Tensor};

use crate::{Error, Result};

/// `[3, H, W]` in [0, 1] to `[1, 3, H, W]` in [-1, 1], float32.
pub(crate) fn to_tensor(pixels: ArrayView3<'_, f32>, device: Device) -> Result<Tensor> {
    let (channels, height, width) = pixels.dim();
    if channels != 3 || height == 0 || width == 0 {
        return Err(Error::Shape {
            shape: pixels.shape().to_vec(),
        });
    }
    let pixels = pixels.as_standard_layout();
    let values = pixels.as_slice().unwrap_or_default();
    let plane = height * width;
    // The sum of the magnitudes is finite if and only if all values are (photos are far from overflowing it).
    if !values
        .iter()
        .map(|value| f64::from(value.abs()))
        .sum::<f64>()
        .is_finite()
    {
        let at = values
            .iter()
            .position(|value| !value.is_finite())
            .unwrap_or(0);
        let (channel, y, x) = (at / plane, at % plane / width, at % width);
        return Err(Error::PhotoNotFinite { channel, y, x });
    }
    let mut tensor = Tensor::f_from_slice(values)?.f_view([1, 3, height as i64, width as i64])?;
    let _ = tensor.f_mul_scalar_(2.0)?;
    let _ = tensor.f_sub_scalar_(1.0)?;
    Ok(tensor.f_to_device(device)?)
}

/// The values of a tensor in row-major order, float32.
fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    let tensor = tensor
        .f_to_device(Device::Cpu)?
        .f_to_kind(Kind::Float)?
        .f_contiguous()?;
    let length = tensor.numel();
    let mut values = vec![0.0; length];
    tensor.f_copy_data(&mut values, length)?;
    Ok(values)
}

fn shape_error(tensor: &Tensor) -> Error {
    Error::Shape {
        shape: tensor
            .size()
            .iter()
            .map(|&length| length as usize)
            .collect(),
    }
}

/// `[1, 3, H, W]` in [0, 1] to `[3, H, W]`.
pub(crate) fn to_image(tensor: &Tensor) -> Result<Array3<f32>> {
    let size = tensor.size();
    let [1, channels, height, width] = size[..] else {
        return Err(shape_error(tensor));
    };
    Array3::from_shape_vec(
        (channels as usize, height as usize, width as usize),
        values(tensor)?,
    )
    .map_err(|_| shape_error(tensor))
}

/// `[1, 1, H, W]` to `[H, W]`.
pub(crate) fn to_plane(tensor: &Tensor) -> Result<Array2<f32>> {
    let size = tensor.size();
    let [1, 1, height, width] = size[..] else {
        return Err(shape_error(tensor));
    };
    Array2::from_shape_vec((height as usize, width as usize), values(tensor)?)
        .map_err(|_| shape_error(tensor))
}

/// From [-1, 1] to [0, 1], clamped, in place. `image` must not share memory with anything still needed.
pub(crate) fn to_unit_range(mut image: Tensor) -> Result<Tensor> {
    let _ = image.f_add_scalar_(1.0)?;
    let _ = image.f_mul_scalar_(0.5)?;
    Ok(image.f_clamp_(0.0, 1.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let pixels =
            Array3::from_shape_fn((3, 4, 5), |(c, y, x)| (c * 20 + y * 5 + x) as f32 / 59.0);
        // A view with unusual strides: rows reversed.
        let reversed = pixels.slice(ndarray::s![.., ..;-1, ..]);
        let tensor = to_tensor(reversed, Device::Cpu).expect("a photo");
        assert_eq!(tensor.size(), [1, 3, 4, 5]);
        assert!((tensor.min().double_value(&[]) + 1.0).abs() < 1e-6);
        let back = to_image(&to_unit_range(tensor).expect("range")).expect("an image");
        assert!(
            back.iter()
                .zip(&reversed)
                .all(|(a, b)| (a - b).abs() < 1e-6)
        );
    }

    #[test]
    fn wrong_arrays_are_refused() {
        for shape in [(1, 4, 5), (3, 0, 5), (3, 4, 0), (4, 2, 2)] {
            let pixels = Array3::zeros(shape);
            assert!(
                matches!(
                    to_tensor(pixels.view(), Device::Cpu),
                    Err(Error::Shape { .. })
                ),
                "{shape:?}"
            );
        }
        let mut pixels = Array3::zeros((3, 4, 5));
        pixels[[2, 3, 1]] = f32::NAN;
        let error = to_tensor(pixels.view(), Device::Cpu).expect_err("NaN");
        assert!(
            matches!(
                error,
                Error::PhotoNotFinite {
                    channel: 2,
                    y: 3,
                    x: 1
                }
            ),
            "{error}"
        );
    }
}
