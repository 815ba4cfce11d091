//! Evangelidis & Psarakis, "Parametric Image Alignment Using Enhanced Correlation Coefficient Maximization", IEEE TPAMI
//! 30(10), 2008, for homographies, as OpenCV's `findTransformECC` does it: forward additive steps, images smoothed with a
//! 5 x 5 binomial filter, 100 steps whatever the gain.

use rayon::prelude::*;

use super::Grid;
use super::warp::{Homography, is_inside, linear};
use crate::error::{Error, Result};
use crate::linear::solve;

/// The authors of RealBlur stop at no smaller gain.
const STEPS: usize = 100;
/// Free numbers of a homography, and their places in the matrix: by columns, the last is 1.
const PARAMETERS: usize = 8;
const PLACES: [usize; PARAMETERS] = [0, 3, 6, 1, 4, 7, 2, 5];
/// Rows whose sums are added up by one task; fixed, so that the result does not depend on threads.
const BAND: usize = 16;

/// The homography through which `image` looks most like `template`.
///
/// # Errors
/// [`Error::Alignment`] where the search fails.
pub(super) fn homography(template: &Grid, image: &Grid) -> Result<Homography> {
    let template = template.smoothed();
    let image = image.smoothed();
    let (across, down) = (image.gradient_across(), image.gradient_down());
    let mut map: Homography = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    for _ in 0..STEPS {
        step(&template, [&image, &across, &down], &mut map)?;
    }
    Ok(map)
}

/// One pixel of the image and its gradients at its place, and whether that is inside.
#[derive(Clone, Copy, Default)]
struct Seen {
    value: f32,
    across: f32,
    down: f32,
    is_inside: bool,
}

/// Sums over pixels, in float64.
#[derive(Clone)]
struct Sums {
    hessian: [[f64; PARAMETERS]; PARAMETERS],
    /// Of the image and of the template along the parameters.
    projections: [[f64; PARAMETERS]; 2],
    correlation: f64,
}

fn step(template: &Grid, images: [&Grid; 3], map: &mut Homography) -> Result<()> {
    let failed = |reason| Error::Alignment { reason };
    let (height, width) = (template.height, template.width);
    let mut seen = vec![Seen::default(); height * width];
    seen.par_chunks_exact_mut(width)
        .enumerate()
        .for_each(|(y, row)| {
            for (x, seen) in row.iter_mut().enumerate() {
                let [value, across, down] = linear(images, map, x, y);
                *seen = Seen {
                    value,
                    across,
                    down,
                    is_inside: is_inside(map, x, y, height, width),
                };
            }
        });
    let inside = || {
        let pairs = seen.iter().zip(&template.values);
        pairs.filter(|(seen, _)| seen.is_inside)
    };
    let (count, image_sum, template_sum) =
        inside().fold((0.0, 0.0, 0.0), |(count, image, sharp), (seen, value)| {
            (
                count + 1.0,
                image + f64::from(seen.value),
                sharp + f64::from(*value),
            )
        });
    let means = [image_sum / count, template_sum / count];
    let (image_power, template_power) =
        inside().fold((0.0, 0.0), |(image, sharp), (seen, value)| {
            let image_part = f64::from(seen.value) - means[0];
            let sharp_part = f64::from(*value) - means[1];
            (
                image + image_part * image_part,
                sharp + sharp_part * sharp_part,
            )
        });
    // Not greater includes NaN, where nothing is inside.
    if !(image_power > 0.0 && template_power > 0.0) {
        return Err(failed("an image has no structure where they overlap"));
    }
    let rows = BAND * width;
    let bands: Vec<Sums> = seen
        .par_chunks(rows)
        .zip(template.values.par_chunks(rows))
        .enumerate()
        .map(|(band, (seen, template))| {
            let mut sums = Sums::new();
            for (row, (seen, template)) in
                seen.chunks(width).zip(template.chunks(width)).enumerate()
            {
                sums.add(seen, template, band * BAND + row, means, map);
            }
            sums
        })
        .collect();
    let mut sums = Sums::new();
    for band in &bands {
        sums.merge(band);
    }
    let [of_image, of_template] = sums.projections;
    let [image_step, template_step] = solve(sums.hessian, sums.projections)
        .ok_or_else(|| failed("an image has too little structure"))?;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let denominator = sums.correlation - dot(&of_template, &image_step);
    if denominator <= 0.0 {
        return Err(failed("they are not alike"));
    }
    let lambda = (image_power - dot(&of_image, &image_step)) / denominator;
    for (parameter, place) in PLACES.into_iter().enumerate() {
        map[place] += lambda * template_step[parameter] - image_step[parameter];
    }
    if map.iter().all(|value| value.is_finite()) {
        Ok(())
    } else {
        Err(failed("they are not alike"))
    }
}

impl Sums {
    fn new() -> Self {
        Self {
            hessian: [[0.0; PARAMETERS]; PARAMETERS],
            projections: [[0.0; PARAMETERS]; 2],
            correlation: 0.0,
        }
    }

    /// Adds row `y`. As in OpenCV the derivatives count wherever they are not 0, and outside of the mask the image is not
    /// centred while the template is 0.
    fn add(&mut self, seen: &[Seen], template: &[f32], y: usize, means: [f64; 2], m: &Homography) {
        let y = y as f64;
        for (x, (seen, template)) in seen.iter().zip(template).enumerate() {
            let x = x as f64;
            let (value, template) = if seen.is_inside {
                (
                    f64::from(seen.value) - means[0],
                    f64::from(*template) - means[1],
                )
            } else {
                (f64::from(seen.value), 0.0)
            };
            self.correlation += value * template;
            let denominator = m[6] * x + m[7] * y + 1.0;
            let across = f64::from(seen.across) / denominator;
            let down = f64::from(seen.down) / denominator;
            let tilt = -((m[0] * x + m[1] * y + m[2]) * across
                + (m[3] * x + m[4] * y + m[5]) * down)
                / denominator;
            let jacobian = [
                across * x,
                down * x,
                tilt * x,
                across * y,
                down * y,
                tilt * y,
                across,
                down,
            ];
            for (first, row) in self.hessian.iter_mut().enumerate() {
                // The other half is the same.
                for (sum, derivative) in row[first..].iter_mut().zip(&jacobian[first..]) {
                    *sum += jacobian[first] * derivative;
                }
            }
            let [of_image, of_template] = &mut self.projections;
            for (index, derivative) in jacobian.into_iter().enumerate() {
                of_image[index] += derivative * value;
                of_template[index] += derivative * template;
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.correlation += other.correlation;
        for (sums, others) in self.projections.iter_mut().zip(&other.projections) {
            for (sum, other) in sums.iter_mut().zip(others) {
                *sum += other;
            }
        }
        for first in 0..PARAMETERS {
            for second in first..PARAMETERS {
                self.hessian[first][second] += other.hessian[first][second];
                self.hessian[second][first] = self.hessian[first][second];
            }
        }
    }
}

impl Grid {
    /// Binomial filter over five pixels on both axes, mirrored around the outermost pixels.
    fn smoothed(&self) -> Self {
        const TAPS: [(isize, f32); 5] =
            [(-2, 0.0625), (-1, 0.25), (0, 0.375), (1, 0.25), (2, 0.0625)];
        self.filtered(&TAPS, true).filtered(&TAPS, false)
    }

    fn gradient_across(&self) -> Self {
        self.filtered(&[(-1, -0.5), (1, 0.5)], true)
    }

    fn gradient_down(&self) -> Self {
        self.filtered(&[(-1, -0.5), (1, 0.5)], false)
    }

    fn filtered(&self, taps: &[(isize, f32)], is_across: bool) -> Self {
        let mut values = vec![0.0; self.values.len()];
        values
            .par_chunks_exact_mut(self.width)
            .enumerate()
            .for_each(|(y, row)| {
                for (x, value) in row.iter_mut().enumerate() {
                    for (offset, weight) in taps {
                        let (x, y) = if is_across {
                            (around(x, *offset, self.width), y)
                        } else {
                            (x, around(y, *offset, self.height))
                        };
                        *value += weight * self.values[y * self.width + x];
                    }
                }
            });
        Self {
            height: self.height,
            width: self.width,
            values,
        }
    }
}

/// `... c b | a b c ... x y z | y x ...`; the offset is smaller than the length.
fn around(index: usize, offset: isize, length: usize) -> usize {
    let place = (index as isize + offset).unsigned_abs();
    place.min(2 * (length - 1) - place.min(2 * (length - 1)))
}
