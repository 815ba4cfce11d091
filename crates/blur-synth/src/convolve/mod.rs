//! Convolution with every sum in one fixed order, so that the bytes depend neither on threads nor on the machine.
//!
//! Few taps are summed directly; separable kernels take two passes; many taps go through Fourier transforms of
//! tiles. Which it is follows from the shapes and the number of taps alone.

mod direct;
mod fourier;
mod tiles;

use ndarray::{Array2, Array3, ArrayView3};

use crate::error::Result;
use direct::{Tap, pass};
use tiles::Grid;

/// Images with at least this many samples are spread over the threads of the current rayon pool; crops are not,
/// because whoever makes many crops runs them side by side already.
pub(crate) const PARALLEL_SAMPLES: usize = 1 << 19;

/// Valid convolution of `[C, H, W]` (standard layout) with odd square `taps`; the image must hold the kernel.
pub(crate) fn valid(
    image: ArrayView3<'_, f32>,
    taps: &Array2<f32>,
    factor: Option<&[f32]>,
) -> Result<Array3<f32>> {
    let border = taps.nrows() - 1;
    let (channels, height, width) = image.dim();
    let (rows, columns) = (height - border, width - border);
    let spread = channels * rows * columns >= PARALLEL_SAMPLES;
    match factor {
        Some(factor) => {
            let across: Vec<Tap> = factor
                .iter()
                .enumerate()
                .map(|(index, &tap)| (border - index, tap))
                .collect();
            let across = pass(image, &across, (channels, height, columns), spread)?;
            let down: Vec<Tap> = factor
                .iter()
                .enumerate()
                .map(|(index, &tap)| ((border - index) * columns, tap))
                .collect();
            pass(across.view(), &down, (channels, rows, columns), spread)
        }
        None => {
            let list: Vec<Tap> = taps
                .indexed_iter()
                .filter(|(_, tap)| **tap != 0.0)
                .map(|((row, column), &tap)| ((border - row) * width + border - column, tap))
                .collect();
            let outputs = channels * rows * columns;
            let method = std::env::var("METHOD").unwrap_or_default();
            match Grid::cheapest(channels, [rows, columns], border + 1) {
                Some((grid, work)) if (method != "direct") => {
                    if method=="verbose" { eprintln!("{grid:?} {work} taps {} outputs {outputs}", list.len()); }
                    tiles::valid(image, taps, &list, &grid, spread)
                }
                _ => pass(image, &list, (channels, rows, columns), spread),
            }
        }
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
