//! Transforms of planes, of any size.

use std::sync::Arc;

use anyhow::{Context, Result};
use ndarray::Array2;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

/// Forward and inverse transforms of one size.
pub(super) struct Fourier {
    rows: usize,
    columns: usize,
    forward: [Arc<dyn Fft<f64>>; 2],
    inverse: [Arc<dyn Fft<f64>>; 2],
}

impl Fourier {
    /// Plans transforms of planes of `rows` by `columns`.
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        let mut planner = FftPlanner::new();
        Self {
            rows,
            columns,
            forward: [rows, columns].map(|size| planner.plan_fft_forward(size)),
            inverse: [rows, columns].map(|size| planner.plan_fft_inverse(size)),
        }
    }

    /// The spectrum of a real plane, transposed: `[columns, rows]`.
    pub(super) fn forward(&self, plane: &Array2<f64>) -> Result<Array2<Complex<f64>>> {
        let spectrum = plane.mapv(|value| Complex::new(value, 0.0));
        let [along_columns, along_rows] = &self.forward;
        turn(spectrum, along_rows, along_columns)
    }

    /// The real part of the plane that has this (transposed) spectrum.
    pub(super) fn inverse(&self, spectrum: Array2<Complex<f64>>) -> Result<Array2<f64>> {
        let [along_columns, along_rows] = &self.inverse;
        let scale = 1.0 / (self.rows * self.columns) as f64;
        Ok(turn(spectrum, along_columns, along_rows)?.mapv(|value| value.re * scale))
    }

    /// The spectrum of a kernel with odd sides, its middle at the origin of a periodic plane.
    pub(super) fn transfer(&self, taps: &Array2<f64>) -> Result<Array2<Complex<f64>>> {
        let mut plane = Array2::zeros((self.rows, self.columns));
        let (middle_row, middle_column) = (taps.nrows() / 2, taps.ncols() / 2);
        for ((row, column), tap) in taps.indexed_iter() {
            // Modulo the size, so that a kernel that is larger than the plane wraps around as a periodic convolution does.
            let place = |index: usize, middle: usize, size: usize| {
                (index as isize - middle as isize).rem_euclid(size as isize) as usize
            };
            plane[[
                place(row, middle_row, self.rows),
                place(column, middle_column, self.columns),
            ]] += tap;
        }
        self.forward(&plane)
    }
}

/// Transforms along the rows of `plane`, transposes, and transforms along the rows of that.
fn turn(
    mut plane: Array2<Complex<f64>>,
    first: &Arc<dyn Fft<f64>>,
    second: &Arc<dyn Fft<f64>>,
) -> Result<Array2<Complex<f64>>> {
    const LAYOUT: &str = "a plane that is not in standard layout";
    first.process(plane.as_slice_mut().context(LAYOUT)?);
    let mut turned = plane.t().as_standard_layout().into_owned();
    second.process(turned.as_slice_mut().context(LAYOUT)?);
    Ok(turned)
}

/// The smallest size from `least` on that has no other prime factors than 2, 3 and 5, which are fast.
pub(super) fn fast_size(least: usize) -> usize {
    let is_fast = |size: &usize| {
        let mut rest = *size;
        for factor in [2, 3, 5] {
            while rest > 1 && rest.is_multiple_of(factor) {
                rest /= factor;
            }
        }
        rest <= 1
    };
    (least.max(1)..).find(is_fast).unwrap_or(least)
}
