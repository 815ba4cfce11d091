//! Both ways against SciPy and against sums in double precision.

use super::*;
use ndarray::{ArrayD, Axis, s};

// Shared with the tests of the public interface, which use all of it.
#[allow(dead_code)]
#[path = "../../tests/support/mod.rs"]
mod support;

use support::Reference;

use crate::random::SplitMix64;

fn worst(got: &Array3<f32>, expected: &ArrayD<f64>) -> f64 {
    assert_eq!(got.shape(), expected.shape());
    got.iter().zip(expected).fold(0.0, |worst, (&got, want)| {
        worst.max((f64::from(got) - want).abs())
    })
}

#[test]
fn agrees_with_scipy() {
    let file = Reference::open();
    let read = |name: &str| file.tensor(name).mapv(|value| value as f32);
    let image = read("convolution.image")
        .into_dimensionality()
        .expect("three axes");
    let taps = read("convolution.taps")
        .into_dimensionality()
        .expect("two axes");
    let direct = valid(image.view(), &taps, None).expect("the image is large enough");
    // float32 sums of some fifty products, each at most 0.05.
    assert!(worst(&direct, &file.tensor("convolution.result")) < 1e-6);
    let factor = read("convolution.factor").into_raw_vec_and_offset().0;
    let taps = Array2::from_shape_fn((7, 7), |(row, column)| factor[row] * factor[column]);
    let expected = file.tensor("convolution.separable_result");
    for factor in [None, Some(factor.as_slice())] {
        let got = valid(image.view(), &taps, factor).expect("the image is large enough");
        assert!(worst(&got, &expected) < 1e-6);
    }
}

/// Numbers in `[0, 1)` without a pattern that a transform would single out.
fn noise(shape: (usize, usize, usize), seed: u64) -> Array3<f32> {
    let mut random = SplitMix64::keyed(seed, "convolution test");
    Array3::from_shape_simple_fn(shape, || random.uniform() as f32)
}

fn dense_taps(side: usize, seed: u64) -> Array2<f32> {
    let taps = noise((1, side, side), seed);
    let sum: f32 = taps.sum();
    taps.index_axis_move(Axis(0), 0) / sum
}

/// The sum that defines the convolution, in double precision.
fn exact(image: &Array3<f32>, taps: &Array2<f32>) -> ArrayD<f64> {
    let side = taps.nrows();
    let (channels, height, width) = image.dim();
    let (rows, columns) = (height + 1 - side, width + 1 - side);
    Array3::from_shape_fn((channels, rows, columns), |(channel, y, x)| {
        let terms = taps.indexed_iter().map(|((row, column), &tap)| {
            let value = image[[channel, y + side - 1 - row, x + side - 1 - column]];
            f64::from(tap) * f64::from(value)
        });
        terms.sum::<f64>()
    })
    .into_dyn()
}

fn tiled(image: &Array3<f32>, taps: &Array2<f32>, lengths: [usize; 2]) -> Array3<f32> {
    let (_, height, width) = image.dim();
    let border = taps.nrows() - 1;
    let grid = Grid::new(lengths, [height - border, width - border], taps.nrows());
    let list = tap_list(taps, width);
    tiles::valid(image.view(), taps, &list, &grid, false).expect("the image is large enough")
}

#[test]
fn tiles_agree_with_the_sum_in_double_precision() {
    for (shape, side, lengths) in [
        // One tile that is larger than the image, down to a single pixel in and out.
        ((1, 1, 1), 1, [32, 32]),
        ((2, 9, 5), 5, [32, 48]),
        ((3, 40, 33), 31, [64, 64]),
        // Several tiles, the last ones cut, an odd number of them, channels that are not paired with each other.
        ((3, 71, 130), 7, [32, 64]),
        ((1, 131, 64), 9, [48, 32]),
        ((2, 100, 301), 13, [72, 96]),
        ((3, 150, 70), 3, [128, 32]),
        ((1, 205, 163), 31, [144, 192]),
        // Kernels nearly as large as a tile.
        ((1, 66, 80), 31, [32, 32]),
        ((1, 140, 150), 63, [64, 72]),
        ((1, 330, 300), 41, [256, 288]),
        ((1, 260, 270), 257, [384, 288]),
        ((1, 300, 520), 21, [512, 1024]),
    ] {
        let image = noise(shape, 3);
        let taps = dense_taps(side, 4);
        let error = worst(&tiled(&image, &taps, lengths), &exact(&image, &taps));
        assert!(error < 1e-6, "{shape:?}, {side}, {lengths:?}: {error:e}");
    }
}

#[test]
fn an_impulse_shows_the_kernel() {
    let taps = dense_taps(31, 5);
    for place in [(30, 30), (61, 47), (93, 99)] {
        let mut image = Array3::zeros((1, 130, 140));
        image[[0, place.0, place.1]] = 1.0;
        let got = tiled(&image, &taps, [64, 96]);
        for ((_, row, column), &value) in got.indexed_iter() {
            let tap = (row + 30)
                .checked_sub(place.0)
                .zip((column + 30).checked_sub(place.1));
            let want = tap
                .and_then(|place| taps.get(place))
                .copied()
                .unwrap_or(0.0);
            assert!((value - want).abs() < 1e-8, "{value} vs {want}");
        }
    }
}

#[test]
fn light_is_never_negative_and_highlights_stay_exact() {
    // A bright lamp in the dark; the error is relative to the lamp as far as its tile reaches, and not beyond.
    let mut image = noise((3, 400, 200), 6) * 1e-3;
    image.slice_mut(s![.., ..200, ..]).fill(0.0);
    image.slice_mut(s![.., 40..50, 60..70]).fill(50.0);
    let taps = dense_taps(21, 7);
    let (got, want) = (tiled(&image, &taps, [96, 96]), exact(&image, &taps));
    assert!(got.iter().all(|&value| value >= 0.0));
    assert!(worst(&got, &want) < 50.0 * 1e-6);
    let (_, far) = got.view().split_at(Axis(1), 240);
    let far_want = want.slice(s![.., 240.., ..]).to_owned().into_dyn();
    assert!(worst(&far.to_owned(), &far_want) < 1e-3 * 1e-6);
    // Negative samples are no light, and keep their sign.
    let negative = tiled(&image.mapv(|value| -value), &taps, [96, 96]);
    assert!(worst(&negative, &want.mapv(|value| -value)) < 50.0 * 1e-6);
}

#[test]
fn what_is_not_finite_reaches_as_far_as_the_kernel() {
    let taps = dense_taps(9, 8);
    for bad in [f32::NAN, f32::INFINITY, 3e38] {
        let mut image = noise((3, 90, 100), 9);
        image[[1, 45, 50]] = bad;
        let got = tiled(&image, &taps, [64, 64]);
        let clean = tiled(&noise((3, 90, 100), 9), &taps, [64, 64]);
        for (((channel, row, column), &value), &want) in got.indexed_iter().zip(&clean) {
            let reached = channel == 1 && (37..=45).contains(&row) && (42..=50).contains(&column);
            assert_eq!(
                (value - want).abs() < 1e-6,
                !reached,
                "{bad}: {channel}, {row}, {column}"
            );
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let image = noise((3, 300, 310), 10);
    let taps = dense_taps(25, 11);
    let list = tap_list(&taps, 310);
    let grid = Grid::new([64, 96], [276, 286], 25);
    let run = |threads, spread| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads")
            .install(|| tiles::valid(image.view(), &taps, &list, &grid, spread))
            .expect("the image is large enough")
    };
    let alone = run(1, false);
    for threads in [1, 2, 5] {
        assert_eq!(alone, run(threads, true), "{threads} threads");
    }
}

#[test]
fn the_way_is_chosen_by_work() {
    let side = 31;
    let outputs = [1000, 1000];
    let (grid, work) = Grid::cheapest(3, outputs, side).expect("some transform is long enough");
    assert!(work < DIRECT_WORK * 3e6 * (side * side) as f64);
    assert!(work > DIRECT_WORK * 3e6 * 30.0);
    // Every output lies in a tile, and every tile holds its outputs and the border.
    assert_eq!(Grid::new(grid.lengths, outputs, side), grid);
    // Kernels longer than every transform are summed directly.
    assert_eq!(Grid::cheapest(1, [10, 10], 1025), None);
    // What `valid` returns is one of the two, to the bit.
    for (shape, tiled_wins) in [((3, 200, 220), true), ((1, 200, 220), false)] {
        let image = noise(shape, 12);
        let taps = dense_taps(side, 13);
        let got = valid(image.view(), &taps, None).expect("the image is large enough");
        let rows = (shape.1 + 1 - side, shape.2 + 1 - side);
        let direct = pass(
            image.view(),
            &tap_list(&taps, shape.2),
            (shape.0, rows.0, rows.1),
            false,
        )
        .expect("the image is large enough");
        assert_eq!(got != direct, tiled_wins, "{shape:?}");
        assert!(worst(&got, &direct.mapv(f64::from).into_dyn()) < 2e-6);
    }
}
