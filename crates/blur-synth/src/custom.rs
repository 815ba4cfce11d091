//! A kernel given by its taps.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::error::{Problem, Result, all_or_nothing};
use crate::kernel::{Kernel, MAX_KERNEL_RADIUS};
use crate::splat::Canvas;

/// A shift below this, in pixels, is left alone: moving by so little would only smear the kernel.
const NEGLIGIBLE_SHIFT: f64 = 1e-3;

/// Taps of a kernel, such as a measured one, with a name to tell it by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomKernel {
    /// Where the kernel is from, for people.
    pub name: String,
    /// Rows of taps, top to bottom; at least 0, at most 257 rows and columns. They need not sum to 1.
    pub taps: Vec<Vec<f32>>,
}

impl CustomKernel {
    /// The kernel: taps divided by their sum and moved so that their centroid lies in the middle. A shift by a part of
    /// a pixel shares each tap among its four neighbours, which keeps the centroid exact.
    ///
    /// # Errors
    /// Taps that are no kernel.
    pub fn kernel(&self) -> Result<Kernel> {
        all_or_nothing(self.problems())?;
        let taps = || {
            self.taps.iter().enumerate().flat_map(|(row, taps)| {
                taps.iter()
                    .enumerate()
                    .map(move |(column, &tap)| ([column as f64, row as f64], f64::from(tap)))
            })
        };
        let sum: f64 = taps().map(|(_, tap)| tap).sum();
        let centroid = [0, 1].map(|axis| {
            let mean = taps().map(|(place, tap)| place[axis] * tap).sum::<f64>() / sum;
            if (mean - mean.round()).abs() < NEGLIGIBLE_SHIFT {
                mean.round()
            } else {
                mean
            }
        });
        let reach = taps().fold(0.0_f64, |reach, (place, tap)| {
            if tap > 0.0 {
                (0..2).fold(reach, |reach, axis| {
                    reach.max((place[axis] - centroid[axis]).abs())
                })
            } else {
                reach
            }
        });
        let mut canvas = Canvas::new(crate::kernel::checked_radius(reach)?);
        for (place, tap) in taps().filter(|(_, tap)| *tap > 0.0) {
            canvas.splat_point([place[0] - centroid[0], place[1] - centroid[1]], tap);
        }
        Kernel::from_weights(canvas.into_weights())
    }

    /// The taps of an array.
    #[must_use]
    pub fn new(name: impl Into<String>, taps: &Array2<f32>) -> Self {
        Self {
            name: name.into(),
            taps: taps.outer_iter().map(|row| row.to_vec()).collect(),
        }
    }

    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let limit = 2 * MAX_KERNEL_RADIUS + 1;
        let columns = self.taps.first().map_or(0, Vec::len);
        for (field, count) in [
            ("rows of taps", self.taps.len()),
            ("columns of taps", columns),
        ] {
            if !(1..=limit).contains(&count) {
                problems.push(Problem::new(field, count as f64, "from 1 to 257"));
            }
        }
        if let Some(row) = self.taps.iter().find(|row| row.len() != columns) {
            problems.push(Problem::new(
                "columns of taps",
                row.len() as f64,
                "the same in every row",
            ));
        }
        let wrong = self
            .taps
            .iter()
            .flatten()
            .find(|tap| !(tap.is_finite() && **tap >= 0.0));
        if let Some(&tap) = wrong {
            problems.push(Problem::new("taps", tap, "finite and at least 0"));
        }
        let sum: f64 = self.taps.iter().flatten().map(|&tap| f64::from(tap)).sum();
        if sum <= 0.0 {
            problems.push(Problem::new("sum of taps", sum, "greater than 0"));
        }
        problems
    }
}
