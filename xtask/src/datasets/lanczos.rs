//! Lanczos resampling of 8-bit pictures in integers, so that every machine gets the same pixels.
//!
//! It follows Pillow's `Image.resize(size, Image.LANCZOS)` to the last bit: weights with 22 bits behind the point, first
//! the rows, then the columns, rounded to 8 bits in between. The photos of the free sets were first made with Pillow, and
//! its results are reference values for tests.

use rayon::prelude::*;

/// Half the width of the window, in pixels of the smaller picture.
const LOBES: f64 = 3.0;
/// Bits behind the point in a weight: 32, less 8 for the sample and 2 for sums above 1.
const PRECISION: u32 = 22;

/// Red, green, blue, row by row, 8 bits each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Pixels.
    pub(crate) width: usize,
    /// Pixels.
    pub(crate) height: usize,
    /// `3 × width × height` samples.
    pub(crate) samples: Vec<u8>,
}

/// What one sample of the result is made of.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

impl Picture {
    /// The picture with `width × height` pixels, both at least 1.
    pub(crate) fn resized(&self, width: usize, height: usize) -> Self {
        let mut picture = self.clone();
        if width != self.width {
            picture = picture.with_width(width);
        }
        if height != self.height {
            picture = picture.with_height(height);
        }
        picture
    }

    fn with_width(&self, width: usize) -> Self {
        let windows = windows(self.width, width);
        let mut samples = vec![0; 3 * width * self.height];
        samples
            .par_chunks_exact_mut(3 * width)
            .zip(self.samples.par_chunks_exact(3 * self.width))
            .for_each(|(target, source)| {
                for (pixel, window) in target.chunks_exact_mut(3).zip(&windows) {
                    let source = &source[3 * window.first..];
                    for (channel, sample) in pixel.iter_mut().enumerate() {
                        let samples = source[channel..].iter().step_by(3);
                        *sample = weighted(window, samples);
                    }
                }
            });
        Self {
            width,
            samples,
            ..*self
        }
    }

    fn with_height(&self, height: usize) -> Self {
        let row = 3 * self.width;
        let mut samples = vec![0; row * height];
        samples
            .par_chunks_exact_mut(row)
            .zip(windows(self.height, height))
            .for_each(|(target, window)| {
                let source = &self.samples[row * window.first..];
                for (at, sample) in target.iter_mut().enumerate() {
                    *sample = weighted(&window, source[at..].iter().step_by(row));
                }
            });
        Self {
            height,
            samples,
            ..*self
        }
    }
}

/// The rounded sum of samples times weights.
fn weighted<'a>(window: &Window, samples: impl Iterator<Item = &'a u8>) -> u8 {
    let half = 1_i64 << (PRECISION - 1);
    let sum = window
        .weights
        .iter()
        .zip(samples)
        .map(|(weight, sample)| i64::from(*weight) * i64::from(*sample))
        .sum::<i64>();
    ((sum + half) >> PRECISION).clamp(0, 255) as u8
}

/// The windows of all samples along one side of `from` pixels that becomes `to` pixels long.
fn windows(from: usize, to: usize) -> Vec<Window> {
    let scale = from as f64 / to as f64;
    // Enlarging keeps the kernel as wide as it is in pixels of the source.
    let stretch = scale.max(1.0);
    let support = LOBES * stretch;
    (0..to)
        .map(|at| {
            let center = (at as f64 + 0.5) * scale;
            // Conversion to an integer saturates at 0, which is the border.
            let first = (center - support + 0.5) as usize;
            let last = ((center + support + 0.5) as usize).min(from);
            let weights: Vec<f64> = (first..last)
                .map(|x| lanczos((x as f64 - center + 0.5) * (1.0 / stretch)))
                .collect();
            let sum = weights.iter().sum::<f64>();
            let weights = weights
                .into_iter()
                .map(|weight| (weight / sum * f64::from(1 << PRECISION)).round() as i32)
                .collect();
            Window { first, weights }
        })
        .collect()
}

/// `sinc(x) sinc(x / 3)` inside the window.
fn lanczos(x: f64) -> f64 {
    if (-LOBES..LOBES).contains(&x) {
        sinc(x) * sinc(x / LOBES)
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    // The sine of the system's library may differ in the last bit from one system to the next.
    libm::sin(x) / x
}
