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
                    let mut sums = [HALF; 3];
                    let pixels = source[3 * window.first..].chunks_exact(3);
                    for (weight, source) in window.weights.iter().zip(pixels) {
                        sums[0] += weight * i32::from(source[0]);
                        sums[1] += weight * i32::from(source[1]);
                        sums[2] += weight * i32::from(source[2]);
                    }
                    pixel.copy_from_slice(&sums.map(rounded));
                }
            });
        Self {
            width,
            height: self.height,
            samples,
        }
    }

    fn with_height(&self, height: usize) -> Self {
        let row = 3 * self.width;
        let mut samples = vec![0; row * height];
        samples
            .par_chunks_exact_mut(row)
            .zip(windows(self.height, height))
            .for_each(|(target, window)| {
                let mut sums = vec![HALF; row];
                let rows = self.samples[row * window.first..].chunks_exact(row);
                for (weight, source) in window.weights.iter().zip(rows) {
                    for (sum, sample) in sums.iter_mut().zip(source) {
                        *sum += weight * i32::from(*sample);
                    }
                }
                for (sample, sum) in target.iter_mut().zip(sums) {
                    *sample = rounded(sum);
                }
            });
        Self {
            width: self.width,
            height,
            samples,
        }
    }
}

/// A half, behind the point.
const HALF: i32 = 1 << (PRECISION - 1);

/// The sample that a sum of weights times samples stands for. Weights of a window add up to 1 and their absolute values to
/// less than 2, so that sums stay inside 32 bits.
fn rounded(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A picture that every program can make: sharp edges, gradients and noise in integers.
    fn made(width: usize, height: usize) -> Picture {
        let mut state = 12_345_u32;
        let mut samples = Vec::new();
        for y in 0..height {
            for x in 0..width {
                for channel in 0..3 {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let noise = (state >> 24) as usize;
                    let square = if (x / 5 + y / 7) % 2 == 0 { 255 } else { 0 };
                    let ramp = (x * (channel + 1) + y * 3) % 256;
                    samples.push([noise, square, ramp][(x / 16 + channel) % 3] as u8);
                }
            }
        }
        Picture {
            width,
            height,
            samples,
        }
    }

    #[test]
    fn it_equals_pillow() {
        use sha2::{Digest, Sha256};
        // SHA-256 of `Image.fromarray(made).resize(size, Image.LANCZOS).tobytes()` with Pillow 13.0.0, where `made` is the
        // array that the function above makes.
        for (from, to, expected) in GOLDEN {
            let result = made(from.0, from.1).resized(to.0, to.1);
            assert_eq!((result.width, result.height), to);
            let found = crate::hash::hexadecimal(&Sha256::digest(&result.samples));
            assert_eq!(found, expected, "{from:?} to {to:?}");
        }
    }

    /// Width and height.
    type Size = (usize, usize);

    const GOLDEN: [(Size, Size, &str); 6] = [
        (
            (96, 64),
            (48, 32),
            "d01a6d56f536bf0a29fdd2b70c58e873aa71347d93a3f6184d423de488bdae7c",
        ),
        (
            (97, 61),
            (40, 25),
            "1685df13ae3ce100b5b5c637a6e9cca112b98e885ffe6bf7c5bcf5f0f756d7d0",
        ),
        (
            (64, 96),
            (64, 31),
            "19a119dcc722c8fd8582bff229a93e024007d5e6ddce9f1b95e7bcbeeff48117",
        ),
        (
            (33, 20),
            (12, 20),
            "ce7ef69cec27019c7464fb0b6c216b94d033cfc000b3bab9cee1562415e87516",
        ),
        (
            (30, 20),
            (71, 47),
            "dde85aa90db8185f9c7539bf100a80b60036ce5d8c6189e27e3ecdf8e3f9c045",
        ),
        (
            (150, 100),
            (7, 5),
            "4296e403cd8a0b0fdeb6ff751d4e8336855a075bc75dfbc4d7768af22dec796e",
        ),
    ];

    proptest! {
        #[test]
        fn one_colour_stays_and_no_size_makes_it_panic(
            width in 1_usize..40, height in 1_usize..40, to_width in 1_usize..80, to_height in 1_usize..80, level: u8,
        ) {
            let picture = Picture { width, height, samples: vec![level; 3 * width * height] };
            let result = picture.resized(to_width, to_height);
            prop_assert_eq!(result.samples, vec![level; 3 * to_width * to_height]);
        }
    }
}
