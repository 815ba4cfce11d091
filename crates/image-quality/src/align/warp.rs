//! Images seen through a homography, as OpenCV's `warpPerspective` does it with `WARP_INVERSE_MAP`: the value at `(x, y)`
//! is taken from `(m0 x + m1 y + m2, m3 x + m4 y + m5) / (m6 x + m7 y + m8)`, a place that is rounded to 1/32 pixel.

use rayon::prelude::*;

use super::Grid;

/// A 3 x 3 matrix, row by row.
pub(super) type Homography = [f64; 9];

/// Steps of a pixel to which places are rounded.
const STEPS: i64 = 32;

/// The place in the source, times `scale`, rounded.
fn place(m: &Homography, x: usize, y: usize, scale: f64) -> (i64, i64) {
    let (x, y) = (x as f64, y as f64);
    let w = m[6] * x + m[7] * y + m[8];
    let w = if w == 0.0 { 0.0 } else { scale / w };
    // Casts saturate, and NaN becomes 0: what is far away is outside.
    let round = |value: f64| (value * w).round_ties_even() as i32;
    let across = round(m[0] * x + m[1] * y + m[2]);
    let down = round(m[3] * x + m[4] * y + m[5]);
    (across.into(), down.into())
}

/// Pixels whose place, rounded to whole pixels, is inside of the image.
pub(super) fn inside(m: &Homography, height: usize, width: usize) -> Vec<bool> {
    (0..height * width)
        .into_par_iter()
        .map(|index| is_inside(m, index % width, index / width, height, width))
        .collect()
}

pub(super) fn is_inside(m: &Homography, x: usize, y: usize, height: usize, width: usize) -> bool {
    let (across, down) = place(m, x, y, 1.0);
    (0..width as i64).contains(&across) && (0..height as i64).contains(&down)
}

/// One pixel of each of several images of the same size, bilinear; outside of the images is 0.
pub(super) fn linear<const N: usize>(
    images: [&Grid; N],
    m: &Homography,
    x: usize,
    y: usize,
) -> [f32; N] {
    let (across, down) = place(m, x, y, STEPS as f64);
    let (left, top) = (across.div_euclid(STEPS), down.div_euclid(STEPS));
    let share = |place: i64| place.rem_euclid(STEPS) as f32 / STEPS as f32;
    let (a, b) = (share(across), share(down));
    let weights = [
        [(1.0 - b) * (1.0 - a), (1.0 - b) * a],
        [b * (1.0 - a), b * a],
    ];
    let mut sums = [0.0; N];
    for (dy, weights) in weights.into_iter().enumerate() {
        for (dx, weight) in weights.into_iter().enumerate() {
            let (x, y) = (left + dx as i64, top + dy as i64);
            if let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y))
                && x < images[0].width
                && y < images[0].height
            {
                for (sum, image) in sums.iter_mut().zip(images) {
                    *sum += weight * image.values[y * image.width + x];
                }
            }
        }
    }
    sums
}

/// The whole image, bicubic (a = -0.75), mirrored at the edges (`BORDER_REFLECT`).
pub(super) fn cubic(image: &[f32], height: usize, width: usize, m: &Homography) -> Vec<f32> {
    let mut moved = vec![0.0; height * width];
    moved
        .par_chunks_exact_mut(width)
        .enumerate()
        .for_each(|(y, row)| {
            for (x, value) in row.iter_mut().enumerate() {
                let (across, down) = place(m, x, y, STEPS as f64);
                let (columns, rows) = (taps(across, width), taps(down, height));
                for (row, vertical) in rows {
                    for (column, horizontal) in columns {
                        *value += vertical * horizontal * image[row * width + column];
                    }
                }
            }
        });
    moved
}

/// Indices and weights of the four pixels around a place on one axis.
fn taps(place: i64, length: usize) -> [(usize, f32); 4] {
    const A: f32 = -0.75;
    let x = place.rem_euclid(STEPS) as f32 / STEPS as f32;
    let first = ((A * (x + 1.0) - 5.0 * A) * (x + 1.0) + 8.0 * A) * (x + 1.0) - 4.0 * A;
    let second = ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let rest = 1.0 - x;
    let third = ((A + 2.0) * rest - (A + 3.0)) * rest * rest + 1.0;
    let weights = [first, second, third, 1.0 - first - second - third];
    let start = place.div_euclid(STEPS) - 1;
    std::array::from_fn(|tap| (mirrored(start + tap as i64, length), weights[tap]))
}

/// `... c b a | a b c ... x y z | z y x ...`
fn mirrored(index: i64, length: usize) -> usize {
    let length = length as i64;
    let index = index.rem_euclid(2 * length);
    index.min(2 * length - 1 - index) as usize
}
