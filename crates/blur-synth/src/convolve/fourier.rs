//! Discrete Fourier transforms of [`LANES`] signals side by side, with the same bits on every machine.
//!
//! The forward transform leaves its result in digit-reversed order and the inverse expects it so: a product of two
//! spectra does not care, and no sorting pass is needed. Twiddle factors come from `libm`, and the butterflies are
//! plain additions and multiplications, which the compiler never contracts; so vector instructions of any width give
//! the same bits.

use std::array::from_fn;

/// Signals transformed side by side: one AVX2 register of `f32`.
pub(super) const LANES: usize = 8;

/// One complex sample of each signal.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(align(64))]
pub(super) struct Sample {
    /// Real parts.
    pub(super) re: [f32; LANES],
    /// Imaginary parts.
    pub(super) im: [f32; LANES],
}

impl Sample {
    pub(super) const ZERO: Self = Self {
        re: [0.0; LANES],
        im: [0.0; LANES],
    };

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self {
            re: from_fn(|lane| self.re[lane] + other.re[lane]),
            im: from_fn(|lane| self.im[lane] + other.im[lane]),
        }
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self {
            re: from_fn(|lane| self.re[lane] - other.re[lane]),
            im: from_fn(|lane| self.im[lane] - other.im[lane]),
        }
    }

    /// `self + i * other`.
    #[inline(always)]
    fn plus_turned(self, other: Self) -> Self {
        Self {
            re: from_fn(|lane| self.re[lane] - other.im[lane]),
            im: from_fn(|lane| self.im[lane] + other.re[lane]),
        }
    }

    /// `self - i * other`.
    #[inline(always)]
    fn minus_turned(self, other: Self) -> Self {
        Self {
            re: from_fn(|lane| self.re[lane] + other.im[lane]),
            im: from_fn(|lane| self.im[lane] - other.re[lane]),
        }
    }

    /// `self + factor * other`.
    #[inline(always)]
    fn plus_scaled(self, other: Self, factor: f32) -> Self {
        Self {
            re: from_fn(|lane| self.re[lane] + factor * other.re[lane]),
            im: from_fn(|lane| self.im[lane] + factor * other.im[lane]),
        }
    }

    #[inline(always)]
    fn scaled(self, factor: f32) -> Self {
        Self {
            re: self.re.map(|value| factor * value),
            im: self.im.map(|value| factor * value),
        }
    }

    /// The product with one complex number, the same for every lane.
    #[inline(always)]
    fn times(self, [re, im]: [f32; 2]) -> Self {
        Self {
            re: from_fn(|lane| self.re[lane] * re - self.im[lane] * im),
            im: from_fn(|lane| self.re[lane] * im + self.im[lane] * re),
        }
    }

    /// The product lane by lane.
    #[inline(always)]
    pub(super) fn times_lanes(self, other: &Self) -> Self {
        Self {
            re: from_fn(|lane| self.re[lane] * other.re[lane] - self.im[lane] * other.im[lane]),
            im: from_fn(|lane| self.re[lane] * other.im[lane] + self.im[lane] * other.re[lane]),
        }
    }
}

/// One pass over the data: `radix` samples `span` apart become `radix` samples of the next, shorter transforms.
#[derive(Debug)]
struct Stage {
    radix: usize,
    span: usize,
    /// `exp(-2 pi i * j * k / (radix * span))` for `j` in `0..span` and, within, `k` in `1..radix`; empty for a span of 1.
    forward: Vec<[f32; 2]>,
    /// The conjugates.
    inverse: Vec<[f32; 2]>,
}

/// Transforms of one length, a product of 2, 3 and 4.
#[derive(Debug)]
pub(super) struct Transform {
    length: usize,
    stages: Vec<Stage>,
}

impl Transform {
    /// `length` must have no prime factor above 3; others of its factors would be left out.
    pub(super) fn new(length: usize) -> Self {
        let mut stages = Vec::new();
        let mut rest = length;
        while rest > 1 {
            let radix = match rest {
                _ if rest.is_multiple_of(3) => 3,
                _ if rest.is_multiple_of(4) => 4,
                _ => 2,
            };
            let span = rest / radix;
            let forward: Vec<[f32; 2]> = (0..if span > 1 { span } else { 0 })
                .flat_map(|place| (1..radix).map(move |order| unit_root(place * order, rest)))
                .collect();
            let inverse = forward.iter().map(|&[re, im]| [re, -im]).collect();
            stages.push(Stage {
                radix,
                span,
                forward,
                inverse,
            });
            rest = span;
        }
        Self { length, stages }
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Natural order in, digit-reversed order out; not scaled.
    #[inline(always)]
    pub(super) fn forward(&self, data: &mut [Sample]) {
        for stage in &self.stages {
            match stage.radix {
                2 => stage.forward_2(data),
                3 => stage.forward_3(data),
                _ => stage.forward_4(data),
            }
        }
    }

    /// Digit-reversed order in, natural order out; not scaled, so that both together multiply by the length.
    #[inline(always)]
    pub(super) fn inverse(&self, data: &mut [Sample]) {
        for stage in self.stages.iter().rev() {
            match stage.radix {
                2 => stage.inverse_2(data),
                3 => stage.inverse_3(data),
                _ => stage.inverse_4(data),
            }
        }
    }
}

/// `exp(-2 pi i * numerator / denominator)`.
fn unit_root(numerator: usize, denominator: usize) -> [f32; 2] {
    let turn = (numerator % denominator) as f64 / denominator as f64;
    let (sine, cosine) = libm::sincos(-std::f64::consts::TAU * turn);
    [cosine as f32, sine as f32]
}

/// `sin(pi / 3)`.
const SINE_60: f32 = 0.866_025_4;

impl Stage {
    #[inline(always)]
    fn forward_2(&self, data: &mut [Sample]) {
        for block in data.chunks_exact_mut(2 * self.span) {
            let (first, second) = block.split_at_mut(self.span);
            for (place, (a, b)) in first.iter_mut().zip(second).enumerate() {
                let (sum, difference) = (a.plus(*b), a.minus(*b));
                *a = sum;
                *b = match self.forward.get(place) {
                    Some(&twiddle) => difference.times(twiddle),
                    None => difference,
                };
            }
        }
    }

    #[inline(always)]
    fn inverse_2(&self, data: &mut [Sample]) {
        for block in data.chunks_exact_mut(2 * self.span) {
            let (first, second) = block.split_at_mut(self.span);
            for (place, (a, b)) in first.iter_mut().zip(second).enumerate() {
                let turned = match self.inverse.get(place) {
                    Some(&twiddle) => b.times(twiddle),
                    None => *b,
                };
                let (sum, difference) = (a.plus(turned), a.minus(turned));
                *a = sum;
                *b = difference;
            }
        }
    }

    #[inline(always)]
    fn forward_3(&self, data: &mut [Sample]) {
        let twiddles = self.forward.as_chunks::<2>().0;
        for block in data.chunks_exact_mut(3 * self.span) {
            let (first, rest) = block.split_at_mut(self.span);
            let (second, third) = rest.split_at_mut(self.span);
            for (place, ((a, b), c)) in first.iter_mut().zip(second).zip(third).enumerate() {
                let (sum, difference) = (b.plus(*c), b.minus(*c).scaled(SINE_60));
                let middle = a.plus_scaled(sum, -0.5);
                let (y, z) = (
                    middle.minus_turned(difference),
                    middle.plus_turned(difference),
                );
                *a = a.plus(sum);
                (*b, *c) = match twiddles.get(place) {
                    Some(&[one, two]) => (y.times(one), z.times(two)),
                    None => (y, z),
                };
            }
        }
    }

    #[inline(always)]
    fn inverse_3(&self, data: &mut [Sample]) {
        let twiddles = self.inverse.as_chunks::<2>().0;
        for block in data.chunks_exact_mut(3 * self.span) {
            let (first, rest) = block.split_at_mut(self.span);
            let (second, third) = rest.split_at_mut(self.span);
            for (place, ((a, b), c)) in first.iter_mut().zip(second).zip(third).enumerate() {
                let (y, z) = match twiddles.get(place) {
                    Some(&[one, two]) => (b.times(one), c.times(two)),
                    None => (*b, *c),
                };
                let (sum, difference) = (y.plus(z), y.minus(z).scaled(SINE_60));
                let middle = a.plus_scaled(sum, -0.5);
                *a = a.plus(sum);
                *b = middle.plus_turned(difference);
                *c = middle.minus_turned(difference);
            }
        }
    }

    #[inline(always)]
    fn forward_4(&self, data: &mut [Sample]) {
        let twiddles = self.forward.as_chunks::<3>().0;
        for block in data.chunks_exact_mut(4 * self.span) {
            let (front, back) = block.split_at_mut(2 * self.span);
            let (first, second) = front.split_at_mut(self.span);
            let (third, fourth) = back.split_at_mut(self.span);
            let places = first.iter_mut().zip(second).zip(third).zip(fourth);
            for (place, (((a, b), c), d)) in places.enumerate() {
                let (even_sum, even_difference) = (a.plus(*c), a.minus(*c));
                let (odd_sum, odd_difference) = (b.plus(*d), b.minus(*d));
                let (x, y, z) = (
                    even_difference.minus_turned(odd_difference),
                    even_sum.minus(odd_sum),
                    even_difference.plus_turned(odd_difference),
                );
                *a = even_sum.plus(odd_sum);
                (*b, *c, *d) = match twiddles.get(place) {
                    Some(&[one, two, three]) => (x.times(one), y.times(two), z.times(three)),
                    None => (x, y, z),
                };
            }
        }
    }

    #[inline(always)]
    fn inverse_4(&self, data: &mut [Sample]) {
        let twiddles = self.inverse.as_chunks::<3>().0;
        for block in data.chunks_exact_mut(4 * self.span) {
            let (front, back) = block.split_at_mut(2 * self.span);
            let (first, second) = front.split_at_mut(self.span);
            let (third, fourth) = back.split_at_mut(self.span);
            let places = first.iter_mut().zip(second).zip(third).zip(fourth);
            for (place, (((a, b), c), d)) in places.enumerate() {
                let (x, y, z) = match twiddles.get(place) {
                    Some(&[one, two, three]) => (b.times(one), c.times(two), d.times(three)),
                    None => (*b, *c, *d),
                };
                let (even_sum, even_difference) = (a.plus(y), a.minus(y));
                let (odd_sum, odd_difference) = (x.plus(z), x.minus(z));
                *a = even_sum.plus(odd_sum);
                *b = even_difference.plus_turned(odd_difference);
                *c = even_sum.minus(odd_sum);
                *d = even_difference.minus_turned(odd_difference);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Place of each frequency in the digit-reversed order.
    fn order(length: usize) -> Vec<usize> {
        let transform = Transform::new(length);
        let mut order = vec![0];
        for stage in transform.stages.iter().rev() {
            // Within a stage the k-th part holds the frequencies that are k modulo the radix.
            order = (0..stage.radix)
                .flat_map(|part| order.iter().map(move |&inner| inner * stage.radix + part))
                .collect();
        }
        order
    }

    #[test]
    fn agrees_with_the_sum_that_defines_it() {
        for length in [1, 2, 3, 4, 6, 8, 12, 16, 24, 48, 64, 96, 128, 288] {
            let transform = Transform::new(length);
            let signal: Vec<Sample> = (0..length)
                .map(|n| Sample {
                    re: from_fn(|lane| ((n * 7 + lane * 3) % 11) as f32 / 11.0),
                    im: from_fn(|lane| ((n * 5 + lane) % 13) as f32 / 13.0 - 0.5),
                })
                .collect();
            let mut data = signal.clone();
            transform.forward(&mut data);
            for (got, frequency) in data.iter().zip(order(length)) {
                for lane in [0, LANES - 1] {
                    let (mut re, mut im) = (0.0, 0.0);
                    for (n, sample) in signal.iter().enumerate() {
                        let angle = -std::f64::consts::TAU * (n * frequency % length) as f64
                            / length as f64;
                        let (a, b) = (f64::from(sample.re[lane]), f64::from(sample.im[lane]));
                        re += a * angle.cos() - b * angle.sin();
                        im += a * angle.sin() + b * angle.cos();
                    }
                    // Few roundings of 6e-8 for each of the log2(length) levels, relative to the sum of the samples.
                    let tolerance = 2e-7 * length as f64;
                    assert!(
                        (f64::from(got.re[lane]) - re).hypot(f64::from(got.im[lane]) - im)
                            < tolerance,
                        "length {length}, frequency {frequency}"
                    );
                }
            }
            transform.inverse(&mut data);
            for (got, want) in data.iter().zip(&signal) {
                for lane in 0..LANES {
                    assert!((got.re[lane] / length as f32 - want.re[lane]).abs() < 1e-6);
                    assert!((got.im[lane] / length as f32 - want.im[lane]).abs() < 1e-6);
                }
            }
        }
    }
}
