//! Direct convolution over the taps that are not zero; two passes for separable kernels.
//!
//! Each output sample adds its products in one fixed order, so the bytes do not depend on threads.

use ndarray::{Array2, Array3, ArrayView3};
use rayon::prelude::*;

use crate::error::{Result, samples, samples_mut};

/// Output samples accumulated in registers at a time.
const BLOCK: usize = 32;
/// Images with at least this many samples are spread over the threads of the current rayon pool; crops are not,
/// because whoever makes many crops runs them side by side already.
pub(crate) const PARALLEL_SAMPLES: usize = 1 << 19;

/// One tap: how many samples before the first output sample its input lies, and its weight.
type Tap = (usize, f32);

/// Valid convolution of `[C, H, W]` (standard layout) with odd square `taps`; the image must hold the kernel.
pub(crate) fn valid(
    image: ArrayView3<'_, f32>,
    taps: &Array2<f32>,
    factor: Option<&[f32]>,
) -> Result<Array3<f32>> {
    let border = taps.nrows() - 1;
    let (channels, height, width) = image.dim();
    let (rows, columns) = (height - border, width - border);
    match factor {
        Some(factor) => {
            let across: Vec<Tap> = factor
                .iter()
                .enumerate()
                .map(|(index, &tap)| (border - index, tap))
                .collect();
            let across = pass(image, &across, (channels, height, columns))?;
            let down: Vec<Tap> = factor
                .iter()
                .enumerate()
                .map(|(index, &tap)| ((border - index) * columns, tap))
                .collect();
            pass(across.view(), &down, (channels, rows, columns))
        }
        None => {
            let list: Vec<Tap> = taps
                .indexed_iter()
                .filter(|(_, tap)| **tap != 0.0)
                .map(|((row, column), &tap)| ((border - row) * width + border - column, tap))
                .collect();
            pass(image, &list, (channels, rows, columns))
        }
    }
}

fn pass(
    image: ArrayView3<'_, f32>,
    taps: &[Tap],
    shape: (usize, usize, usize),
) -> Result<Array3<f32>> {
    let (_, height, width) = image.dim();
    let (_, rows, columns) = shape;
    let mut out = Array3::zeros(shape);
    let source = samples(image.as_slice())?;
    let target = samples_mut(out.as_slice_mut())?;
    let row = |(index, target): (usize, &mut [f32])| {
        let (channel, row) = (index / rows, index % rows);
        convolve_row(&source[(channel * height + row) * width..], taps, target);
    };
    if target.len() >= PARALLEL_SAMPLES {
        target.par_chunks_mut(columns).enumerate().for_each(row);
    } else {
        target.chunks_mut(columns).enumerate().for_each(row);
    }
    Ok(out)
}

/// `target[x] = sum over taps of weight * source[x + offset]`.
fn convolve_row(source: &[f32], taps: &[Tap], target: &mut [f32]) {
    let columns = target.len();
    let mut start = 0;
    while start + BLOCK <= columns {
        let mut sums = [0.0_f32; BLOCK];
        for &(offset, weight) in taps {
            let input = &source[start + offset..start + offset + BLOCK];
            for (sum, &value) in sums.iter_mut().zip(input) {
                *sum += weight * value;
            }
        }
        target[start..start + BLOCK].copy_from_slice(&sums);
        start += BLOCK;
    }
    for (index, sum) in target.iter_mut().enumerate().skip(start) {
        *sum = taps.iter().fold(0.0, |sum, &(offset, weight)| {
            sum + weight * source[index + offset]
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::ArrayD;
    use safetensors::{Dtype, SafeTensors};

    fn tensor(file: &SafeTensors<'_>, name: &str) -> ArrayD<f64> {
        let view = file
            .tensor(name)
            .expect("the reference file has the tensor");
        let values: Vec<f64> = match view.dtype() {
            Dtype::F32 => view
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b).into())
                .collect(),
            Dtype::F64 => view
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|b| f64::from_le_bytes(*b))
                .collect(),
            other => panic!("unexpected type {other:?}"),
        };
        ArrayD::from_shape_vec(view.shape(), values).expect("shape and data agree")
    }

    fn worst(got: &Array3<f32>, expected: &ArrayD<f64>) -> f64 {
        assert_eq!(got.shape(), expected.shape());
        got.iter().zip(expected).fold(0.0, |worst, (&got, want)| {
            worst.max((f64::from(got) - want).abs())
        })
    }

    #[test]
    fn agrees_with_scipy() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/golden/blur-synth/reference.safetensors"
        );
        let bytes = std::fs::read(path).expect("the reference file is there");
        let file = SafeTensors::deserialize(&bytes).expect("the reference file is sound");
        let read = |name: &str| tensor(&file, name).mapv(|value| value as f32);
        let image = read("convolution.image")
            .into_dimensionality()
            .expect("three axes");
        let taps = read("convolution.taps")
            .into_dimensionality()
            .expect("two axes");
        let direct = valid(image.view(), &taps, None).expect("the image is large enough");
        // float32 sums of some fifty products, each at most 0.05.
        assert!(worst(&direct, &tensor(&file, "convolution.result")) < 1e-6);
        let factor = read("convolution.factor").into_raw_vec_and_offset().0;
        let taps = Array2::from_shape_fn((7, 7), |(row, column)| factor[row] * factor[column]);
        let expected = tensor(&file, "convolution.separable_result");
        for factor in [None, Some(factor.as_slice())] {
            let got = valid(image.view(), &taps, factor).expect("the image is large enough");
            assert!(worst(&got, &expected) < 1e-6);
        }
    }
}
