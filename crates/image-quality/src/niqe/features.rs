//! Statistics of one block: asymmetric generalised Gaussians fitted to the local contrast and to products of neighbours.

use std::sync::LazyLock;

use libm::tgamma;

/// Features of a block at one size: 2 of the contrast, 4 of each of the four directions.
pub(super) const FEATURES: usize = 18;

/// Shapes that are tried: 0.2 to 10 in steps of 0.001, as NumPy's `arange` makes them.
const SHAPES: usize = 9801;

/// A shape, and the ratio `gamma(2/s)^2 / (gamma(1/s) gamma(3/s))` of moments that belongs to it.
static RATIOS: LazyLock<Vec<(f64, f64)>> = LazyLock::new(|| {
    let step = (0.2 + 0.001) - 0.2;
    (0..SHAPES)
        .map(|index| {
            let shape = 0.2 + index as f64 * step;
            let reciprocal = 1.0 / shape;
            let ratio =
                tgamma(reciprocal * 2.0).powi(2) / (tgamma(reciprocal) * tgamma(reciprocal * 3.0));
            (shape, ratio)
        })
        .collect()
});

/// The features of a block at one size. NaN where a block has no values on one side of 0.
pub(super) struct Features(pub(super) [f64; FEATURES]);

/// Shape, and widths to the left and to the right.
struct Fit {
    shape: f64,
    left: f64,
    right: f64,
}

impl Features {
    /// `block` has `side` x `side` values, row by row.
    pub(super) fn of(block: &[f32], side: usize) -> Self {
        let mut features = [0.0; FEATURES];
        let fit = Fit::to(block);
        features[0] = fit.shape;
        features[1] = (fit.left + fit.right) / 2.0;
        // Left, upper, upper left and upper right neighbour; beyond an edge comes the opposite one.
        let directions = [(0, 1), (1, 0), (1, 1), (1, side - 1)];
        let mut products = vec![0.0; block.len()];
        for (direction, (down, across)) in directions.into_iter().enumerate() {
            for (index, product) in products.iter_mut().enumerate() {
                let (row, column) = (index / side, index % side);
                let neighbour = (row + side - down) % side * side + (column + side - across) % side;
                *product = block[index] * block[neighbour];
            }
            let fit = Fit::to(&products);
            let mean = (fit.right - fit.left) * (tgamma(2.0 / fit.shape) / tgamma(1.0 / fit.shape));
            let place = 2 + 4 * direction;
            features[place..place + 4].copy_from_slice(&[fit.shape, mean, fit.left, fit.right]);
        }
        Self(features)
    }
}

impl Fit {
    /// By moments; the shape is the one of the table whose ratio is nearest, the first of several, and the first of all
    /// where there is no ratio.
    fn to(values: &[f32]) -> Self {
        let mean = |values: &[f32]| sum(values) / values.len() as f32;
        let square_root = |values: Vec<f32>| mean(&values).sqrt();
        let side = |is_in: fn(f32) -> bool| {
            let squares = values.iter().filter(|value| is_in(**value));
            square_root(squares.map(|value| value * value).collect())
        };
        let (left, right) = (side(|value| value < 0.0), side(|value| value > 0.0));
        let magnitudes: Vec<f32> = values.iter().map(|value| value.abs()).collect();
        let squares: Vec<f32> = values.iter().map(|value| value * value).collect();
        let asymmetry = left / right;
        let ratio = power(mean(&magnitudes), 2) / mean(&squares);
        let ratio = (ratio * (power(asymmetry, 3) + 1.0) * (asymmetry + 1.0))
            / power(power(asymmetry, 2) + 1.0, 2);
        let ratio = f64::from(ratio);
        let distance = |of_shape: f64| (of_shape - ratio) * (of_shape - ratio);
        let mut shape = 0.2;
        let mut least = f64::INFINITY;
        for (candidate, of_shape) in RATIOS.iter() {
            if distance(*of_shape) < least {
                least = distance(*of_shape);
                shape = *candidate;
            }
        }
        let scale = (tgamma(1.0 / shape) / tgamma(3.0 / shape)).sqrt();
        Self {
            shape,
            left: f64::from(left) * scale,
            right: f64::from(right) * scale,
        }
    }
}

/// Rounded once, as powers of NumPy's float32 are.
fn power(value: f32, exponent: i32) -> f32 {
    f64::from(value).powi(exponent) as f32
}

/// The sum in NumPy's order: pairs of halves, eight running sums in parts of up to 128.
fn sum(values: &[f32]) -> f32 {
    if values.len() > 128 {
        let half = values.len() / 2;
        let (first, second) = values.split_at(half - half % 8);
        return sum(first) + sum(second);
    }
    let (eights, rest) = values.as_chunks::<8>();
    let mut total = match eights.split_first() {
        None => 0.0,
        Some((first, others)) => {
            let mut sums = *first;
            for eight in others {
                for (sum, value) in sums.iter_mut().zip(eight) {
                    *sum += value;
                }
            }
            ((sums[0] + sums[1]) + (sums[2] + sums[3]))
                + ((sums[4] + sums[5]) + (sums[6] + sums[7]))
        }
    };
    for value in rest {
        total += value;
    }
    total
}
