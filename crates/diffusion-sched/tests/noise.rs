//! The noise: reference values, equality of all ways to draw it, and its statistics.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use diffusion_sched::noise::{NoiseKey, fill_normal, fill_normal_image, standard_normal};
use proptest::prelude::*;
use safetensors::SafeTensors;
use support::{f32s, golden, i64s, u64s};

#[test]
fn agrees_with_an_independent_implementation() {
    let data = golden("noise.safetensors");
    let file = SafeTensors::deserialize(&data).unwrap();
    let (seeds, places) = (u64s(&file, "seed"), i64s(&file, "place"));
    let expected = f32s(&file, "normal");
    assert!(expected.len() > 300);
    for ((&seed, place), &normal) in seeds.iter().zip(places.chunks_exact(5)).zip(&expected) {
        let key = NoiseKey {
            seed,
            sample: place[0] as u32,
            step: place[1] as u32,
        };
        let got = standard_normal(key, place[2] as u32, place[3], place[4]);
        assert_eq!(got, normal, "seed {seed}, place {place:?}");
    }
}

proptest! {
    // Failing cases are printed; tests write no files.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_equal_single_pixels(
        seed: u64,
        sample: u32,
        step: u32,
        channel in 0..600_u32,
        y in -5000..5000_i64,
        x0 in -5000..5000_i64,
        length in 0..300_usize,
    ) {
        let key = NoiseKey { seed, sample, step };
        let mut row = vec![f32::NAN; length];
        fill_normal(key, channel, y, x0, &mut row);
        for (index, &value) in row.iter().enumerate() {
            prop_assert_eq!(value, standard_normal(key, channel, y, x0 + index as i64));
        }
    }

    #[test]
    fn tiles_equal_the_whole(seed: u64, y0 in -20..20_i64, x0 in -20..20_i64) {
        let key = NoiseKey { seed, sample: 3, step: 7 };
        let (height, width) = (12, 17);
        let mut tile = vec![0.0; 3 * height * width];
        fill_normal_image(key, height, width, (y0, x0), &mut tile);
        for (index, &value) in tile.iter().enumerate() {
            let (channel, y, x) = (index / (height * width), index / width % height, index % width);
            let expected = standard_normal(key, channel as u32, y0 + y as i64, x0 + x as i64);
            prop_assert_eq!(value, expected);
        }
    }
}

#[test]
fn rows_may_cross_every_border_of_the_counter() {
    let key = NoiseKey {
        seed: 9,
        sample: 0,
        step: 0,
    };
    for x0 in [
        i64::MAX - 100,
        i64::MIN,
        (1 << 26) - 50,
        -(1 << 26) - 50,
        -50,
    ] {
        let mut row = [0.0; 101];
        fill_normal(key, 1, i64::MIN, x0, &mut row);
        for (index, &value) in row.iter().enumerate() {
            let x = x0.wrapping_add(index as i64);
            assert_eq!(value, standard_normal(key, 1, i64::MIN, x));
        }
    }
    fill_normal_image(key, 0, 5, (0, 0), &mut [0.0; 5]);
    fill_normal_image(key, 5, 0, (0, 0), &mut [0.0; 5]);
}

#[test]
fn thread_count_does_not_matter() {
    let key = NoiseKey {
        seed: 5,
        sample: 1,
        step: 2,
    };
    let draw = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let mut image = vec![0.0_f32; 3 * 61 * 47];
        pool.install(|| fill_normal_image(key, 61, 47, (-3, 11), &mut image));
        image
    };
    let one = draw(1);
    assert!(draw(2) == one && draw(5) == one);
}

const SIDE: usize = 1024;

fn field(seed: u64, sample: u32, step: u32) -> Vec<f32> {
    let mut field = vec![0.0; 2 * SIDE * SIDE];
    fill_normal_image(
        NoiseKey { seed, sample, step },
        SIDE,
        SIDE,
        (-7, -300),
        &mut field,
    );
    field
}

/// Moments up to the fourth within five standard errors of those of a standard normal.
#[test]
fn moments_are_those_of_a_standard_normal() {
    let field = field(1, 0, 0);
    let count = field.len() as f64;
    let moment = |power| {
        field
            .iter()
            .map(|&value| f64::from(value).powi(power))
            .sum::<f64>()
            / count
    };
    // Variance of z^k: E z^2k - (E z^k)².
    for (power, expected, variance) in
        [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)]
    {
        let error = (moment(power) - expected) / f64::sqrt(variance / count);
        assert!(
            error.abs() < 5.0,
            "moment {power} is off by {error} standard errors"
        );
    }
    let largest = field
        .iter()
        .fold(0.0_f32, |largest, value| largest.max(value.abs()));
    assert!((4.5..6.78).contains(&largest), "{largest}");
}

/// Shape of the distribution: counts between the quantiles of the normal (chi-square with 15 degrees of freedom).
#[test]
fn counts_between_quantiles_are_even() {
    // Upper 1/16 .. 7/16 quantiles of N(0, 1).
    const QUANTILES: [f64; 7] = [
        1.534_120_544_3,
        1.150_349_380_4,
        0.887_146_559_0,
        0.674_489_750_2,
        0.488_776_411_1,
        0.318_639_363_9,
        0.157_310_684_6,
    ];
    let field = field(2, 0, 0);
    let mut counts = [0_u32; 16];
    for &value in &field {
        let beyond = QUANTILES
            .iter()
            .filter(|&&q| f64::from(value.abs()) < q)
            .count();
        counts[if value < 0.0 { beyond } else { 15 - beyond }] += 1;
    }
    let expected = field.len() as f64 / 16.0;
    let chi_square: f64 = counts
        .iter()
        .map(|&count| (f64::from(count) - expected).powi(2) / expected)
        .sum();
    // 99.99 % quantile of chi-square with 15 degrees of freedom.
    assert!(chi_square < 44.3, "{chi_square} {counts:?}");
}

fn assert_uncorrelated(what: &str, pairs: impl Iterator<Item = (f32, f32)>) {
    let (mut products, mut squares, mut count) = (0.0, 0.0, 0.0);
    for (a, b) in pairs {
        let (a, b) = (f64::from(a), f64::from(b));
        products += a * b;
        // Dependence that a correlation of the values misses, as in a Box–Muller pair with a bad radius.
        squares += (a * a - 1.0) * (b * b - 1.0);
        count += 1.0;
    }
    let (value, square) = (
        products / f64::sqrt(count),
        squares / f64::sqrt(4.0 * count),
    );
    assert!(
        value.abs() < 5.0,
        "{what}: values correlate, {value} standard errors"
    );
    assert!(
        square.abs() < 5.0,
        "{what}: squares correlate, {square} standard errors"
    );
}

#[test]
fn neighbours_are_independent() {
    let field = field(3, 0, 0);
    for lag in 1..=5 {
        let rows = field.chunks_exact(SIDE);
        let pairs = rows.flat_map(|row| row.iter().copied().zip(row[lag..].iter().copied()));
        assert_uncorrelated(&format!("x + {lag}"), pairs);
    }
    for lag in [1, 2, 3] {
        let below = field[lag * SIDE..].iter().copied();
        assert_uncorrelated(&format!("y + {lag}"), field.iter().copied().zip(below));
    }
    let (first, second) = field.split_at(SIDE * SIDE);
    assert_uncorrelated("channel", first.iter().copied().zip(second.iter().copied()));
}

#[test]
fn fields_are_independent() {
    let base = field(4, 0, 0);
    let others = [
        ("seed + 1", field(5, 0, 0)),
        ("seed + 2^32", field(4 + (1 << 32), 0, 0)),
        ("sample", field(4, 1, 0)),
        ("step", field(4, 0, 1)),
        ("initial step", field(4, 0, u32::MAX)),
        ("sample and step", field(4, 1, 1)),
    ];
    for (what, other) in &others {
        assert_uncorrelated(what, base.iter().copied().zip(other.iter().copied()));
    }
    // Sample 1 step 0 and sample 0 step 1 must not be the same field either.
    assert_uncorrelated(
        "swapped",
        others[2].1.iter().copied().zip(others[3].1.iter().copied()),
    );
}
