//! Kernel inception distance: Binkowski, Sutherland, Arbel & Gretton, "Demystifying MMD GANs", ICLR 2018,
//! arXiv 1801.01401.

use std::fmt;

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::serde_metric;

/// Of the polynomial kernel.
const DEGREE: i32 = 3;
const OFFSET: f64 = 1.0;

/// Mean and spread of the squared maximum mean discrepancy over subsets. Written as [`serde_metric`] says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kid {
    /// Mean over the subsets.
    #[serde(with = "serde_metric")]
    pub mean: f64,
    /// How much the subsets scatter: the root of the mean squared deviation from `mean`, a mean over the number of subsets, not
    /// one less. No standard error: subsets of the same sets are not independent.
    #[serde(with = "serde_metric")]
    pub standard_deviation: f64,
    /// How the number was made, to report beside it.
    pub protocol: KidProtocol,
}

/// Subsets and kernel of a [`Kid`]. It describes what was done and cannot be chosen beyond the arguments of [`kid()`];
/// what the features are is said by [`PerceptualProtocol::kid`](crate::PerceptualProtocol::kid).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KidProtocol {
    /// Number of pairs of subsets.
    pub subsets: usize,
    /// Images in each subset.
    pub size: usize,
    /// From which the subsets are drawn.
    pub seed: u64,
    /// Degree of the polynomial kernel `(gamma x . y + offset)^degree`.
    pub degree: i32,
    /// 1 divided by the number of features.
    pub gamma: f64,
    /// The constant of the kernel.
    pub offset: f64,
}

impl KidProtocol {
    fn new(subsets: usize, size: usize, seed: u64, features: usize) -> Self {
        Self {
            subsets,
            size,
            seed,
            degree: DEGREE,
            gamma: 1.0 / features as f64,
            offset: OFFSET,
        }
    }
}

impl fmt::Display for KidProtocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subsets,
            size,
            seed,
            degree,
            gamma,
            offset,
        } = self;
        write!(
            formatter,
            "{subsets} subsets of {size} images, seed {seed}, kernel ({gamma} x . y + {offset})^{degree}"
        )
    }
}

/// The squared maximum mean discrepancy of two sets of features with the kernel `k(x, y) = (x . y / D + 1)^3`:
/// `mean k(a, a') + mean k(b, b') - 2 mean k(a, b)`, an image never paired with itself. Unbiased: for samples of one
/// distribution its mean is 0, so that it can be negative. Lower is better.
///
/// # Shapes
/// `[N, D]` and `[M, D]`, at least two images each.
///
/// # Errors
/// [`Error::SetSize`] for fewer images or different numbers of features; [`Error::NonFiniteFeature`].
pub fn squared_mmd(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Result<f64> {
    check_sets(&a, &b, 2)?;
    Ok(unbiased(&a.mapv(f64::from), &b.mapv(f64::from)))
}

/// [`squared_mmd`] over `subsets` pairs of random subsets of `size` images, drawn without repetition: KID as usually
/// reported (100 subsets of 1000 images, or of all where there are fewer). The same seed gives the same subsets.
///
/// # Shapes
/// `[N, D]` and `[M, D]`; `size` from 2 to the smaller of `N` and `M`.
///
/// # Errors
/// [`Error::SetSize`] for no subsets, too small a size, fewer images or different numbers of features;
/// [`Error::NonFiniteFeature`].
pub fn kid(
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
    subsets: usize,
    size: usize,
    seed: u64,
) -> Result<Kid> {
    for (what, got, needed) in [("subsets", subsets, 1), ("images in a subset", size, 2)] {
        if got < needed {
            return Err(Error::SetSize { what, got, needed });
        }
    }
    check_sets(&a, &b, size)?;
    let protocol = KidProtocol::new(subsets, size, seed, a.ncols());
    let (a, b) = (a.mapv(f64::from), b.mapv(f64::from));
    let values: Vec<f64> = (0..subsets)
        .into_par_iter()
        .map(|subset| {
            let draw = |set: &Array2<f64>, which: u64| {
                // A stream for each subset of each set, so that threads do not matter.
                let mut random = SplitMix64(seed);
                random = SplitMix64(random.next() ^ (2 * subset as u64 + which));
                set.select(Axis(0), &random.choose(set.nrows(), size))
            };
            unbiased(&draw(&a, 0), &draw(&b, 1))
        })
        .collect();
    Ok(summary(&values, protocol))
}

/// Mean and spread of the values of subsets, of which there is at least one.
fn summary(values: &[f64], protocol: KidProtocol) -> Kid {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    Kid {
        mean,
        standard_deviation: (squares / count).sqrt(),
        protocol,
    }
}

fn unbiased(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    let within = |x: &Array2<f64>| {
        let kernel = kernel(x, x);
        let count = x.nrows() as f64;
        (kernel.sum() - kernel.diag().sum()) / (count * (count - 1.0))
    };
    let between = kernel(a, b).sum() / (a.nrows() as f64 * b.nrows() as f64);
    within(a) + within(b) - 2.0 * between
}

fn kernel(x: &Array2<f64>, y: &Array2<f64>) -> Array2<f64> {
    let features = x.ncols() as f64;
    x.dot(&y.t())
        .mapv_into(|v| (v / features + OFFSET).powi(DEGREE))
}

fn check_sets(a: &ArrayView2<'_, f32>, b: &ArrayView2<'_, f32>, least: usize) -> Result<()> {
    if a.ncols() != b.ncols() {
        return Err(Error::SetSize {
            what: "features of the second set",
            got: b.ncols(),
            needed: a.ncols(),
        });
    }
    check_features(a, least)?;
    check_features(b, least)
}

/// Checks that there are features, finite, of at least `least` images.
pub(crate) fn check_features(features: &ArrayView2<'_, f32>, least: usize) -> Result<()> {
    for (what, got, needed) in [
        ("images in a set", features.nrows(), least),
        ("features of an image", features.ncols(), 1),
    ] {
        if got < needed {
            return Err(Error::SetSize { what, got, needed });
        }
    }
    match features.indexed_iter().find(|(_, v)| !v.is_finite()) {
        Some(((image, feature), _)) => Err(Error::NonFiniteFeature { image, feature }),
        None => Ok(()),
    }
}

/// Steele, Lea & Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `count` different numbers below `total`: the first places of a shuffle.
    fn choose(&mut self, total: usize, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..total).collect();
        for place in 0..count {
            let left = (total - place) as u128;
            // The bias of a product by 2^64 is far below anything that a sample could show.
            let offset = (u128::from(self.next()) * left) >> 64;
            order.swap(place, place + offset as usize);
        }
        order.truncate(count);
        order
    }
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;

    #[test]
    fn mean_and_deviation_by_hand() {
        let protocol = KidProtocol::new(4, 2, 0, 1);
        // Squared deviations 4, 1, 0 and 9.
        let kid = summary(&[1.0, 2.0, 3.0, 6.0], protocol);
        assert_eq!((kid.mean, kid.standard_deviation), (3.0, 3.5_f64.sqrt()));
        assert_eq!(kid.protocol, protocol);
        let one = summary(&[-0.5], protocol);
        assert_eq!((one.mean, one.standard_deviation), (-0.5, 0.0));
    }

    #[test]
    fn mean_and_deviation_are_those_of_torch_fidelity() {
        // The subsets that torch-fidelity drew, and what it made of them (`tests/golden/image-quality-sets/gen.py`).
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/golden/image-quality-sets/reference.safetensors"
        );
        let bytes = std::fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let text = &metadata.metadata().as_ref().unwrap()["values"];
        let expected: serde_json::Value = serde_json::from_str(text).unwrap();
        let features = |name: &str| {
            let view = file.tensor(name).unwrap();
            let (chunks, _) = view.data().as_chunks();
            let values = chunks.iter().map(|b| f32::from_le_bytes(*b)).collect();
            let shape: [usize; 2] = view.shape().try_into().unwrap();
            Array2::from_shape_vec(shape, values).unwrap()
        };
        let view = file.tensor("subsets").unwrap();
        let size = view.shape()[2];
        let (chunks, _) = view.data().as_chunks();
        let indices: Vec<usize> = chunks
            .iter()
            .map(|b| i64::from_le_bytes(*b) as usize)
            .collect();
        let (a, b) = (features("a"), features("b"));
        let values: Vec<f64> = indices
            .chunks(2 * size)
            .map(|pair| {
                let (of_a, of_b) = pair.split_at(size);
                let (a, b) = (a.select(Axis(0), of_a), b.select(Axis(0), of_b));
                squared_mmd(a.view(), b.view()).unwrap()
            })
            .collect();
        assert_eq!(values.len(), 7);
        let kid = summary(&values, KidProtocol::new(7, size, 0, a.ncols()));
        for (got, name) in [
            (kid.mean, "kid_mean"),
            (kid.standard_deviation, "kid_standard_deviation"),
        ] {
            let expected = expected[name].as_f64().unwrap();
            // Sums of float64 in another order.
            assert!(
                (got / expected - 1.0).abs() < 1e-10,
                "{name}: {got} {expected}"
            );
        }
    }

    #[test]
    fn splitmix64_gives_its_known_numbers() {
        // The first outputs for seed 1234567, as published with the reference implementation.
        let mut random = SplitMix64(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn choices_are_different_and_every_one_is_made() {
        let mut random = SplitMix64(5);
        let mut counts = [0_usize; 10];
        for _ in 0..3000 {
            let mut chosen = random.choose(10, 4);
            assert_eq!(chosen.len(), 4);
            chosen.iter().for_each(|&index| counts[index] += 1);
            chosen.sort_unstable();
            chosen.dedup();
            assert_eq!(chosen.len(), 4);
        }
        // 1200 each on average; five standard deviations of the binomial are 134.
        for count in counts {
            assert!((1066..=1334).contains(&count), "{counts:?}");
        }
        let mut all = random.choose(7, 7);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6]);
    }
}
