//! Counter-based Gaussian noise in absolute image coordinates.
//!
//! Every normal is a pure function of `(seed, sample, step, channel, y, x)`. So the same seed gives the same noise
//! whatever the tile, the batch, the number of threads or the device, and any part of an image can be drawn alone.
//!
//! The generator is Philox4x32-10 (Salmon 2011, "Parallel random numbers: as easy as 1, 2, 3"), followed by Box–Muller in
//! f64. Logarithm, sine and cosine are computed here from sums and products alone, so that results are equal to the last
//! bit on every platform.

mod normal;
mod philox;

use rayon::prelude::*;

pub use philox::philox4x32_10;

/// What a field of noise belongs to: all that is the same for every pixel of one drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoiseKey {
    /// The user's seed.
    pub seed: u64,
    /// Index of the sample drawn for one image.
    pub sample: u32,
    /// Sampling step; `u32::MAX` is the initial noise (`INITIAL_STEP`, with the `torch` feature).
    pub step: u32,
}

/// Normals that one Philox block yields: two Box–Muller pairs.
const BLOCK: usize = 4;
/// Bits of the block column that fit beside 8 bits of the channel in one counter word.
const COLUMN_BITS: u32 = 24;
const COLUMN_MASK: u32 = (1 << COLUMN_BITS) - 1;

impl NoiseKey {
    /// Philox key of a channel: the seed, with the channel's bits above the lowest 8 mixed in. For a fixed seed the pair
    /// of key and counter is different for every (sample, step, channel, y mod 2³², x mod 2²⁶).
    fn philox_key(self, channel: u32) -> [u32; 2] {
        [self.seed as u32 ^ (channel >> 8), (self.seed >> 32) as u32]
    }

    /// Counter words that are constant along a row.
    fn row_counter(self, channel: u32, y: i64) -> [u32; 4] {
        // Truncation is the folding: two's complement wraps negative coordinates of a halo to the far end.
        [
            (channel & 0xff) << COLUMN_BITS,
            y as u32,
            self.step,
            self.sample,
        ]
    }
}

/// One standard normal at pixel `(y, x)` of `channel`.
///
/// Coordinates may be negative (a halo around an image). `x` counts modulo 2²⁶ and `y` modulo 2³²; within that every
/// coordinate has its own number. Magnitudes reach at most 6.77, the tail of 32 random bits.
pub fn standard_normal(key: NoiseKey, channel: u32, y: i64, x: i64) -> f32 {
    let block = block_normals(key, channel, y, x >> 2);
    block[(x & 3) as usize]
}

/// Fills `row` with the normals at `(y, x0), (y, x0 + 1), …` of `channel`, equal to the last bit to [`standard_normal`].
pub fn fill_normal(key: NoiseKey, channel: u32, y: i64, x0: i64, row: &mut [f32]) {
    let mut block_column = x0 >> 2;
    let skipped = (x0 & 3) as usize;
    let mut rest = row;
    if skipped != 0 {
        let count = (BLOCK - skipped).min(rest.len());
        let (head, tail) = rest.split_at_mut(count);
        let block = block_normals(key, channel, y, block_column);
        head.copy_from_slice(&block[skipped..skipped + count]);
        rest = tail;
        block_column = block_column.wrapping_add(1);
    }
    let philox_key = key.philox_key(channel);
    let row_counter = key.row_counter(channel, y);
    let mut groups = rest.chunks_exact_mut(BLOCK * normal::LANES);
    for group in &mut groups {
        normal::fill_blocks(philox_key, row_counter, COLUMN_MASK, block_column, group);
        block_column = block_column.wrapping_add(normal::LANES as i64);
    }
    for part in groups.into_remainder().chunks_mut(BLOCK) {
        let block = block_normals(key, channel, y, block_column);
        part.copy_from_slice(&block[..part.len()]);
        block_column = block_column.wrapping_add(1);
    }
}

/// Fills one sample `[channels, height, width]`, row-major in `image`, whose upper left pixel has the absolute coordinates
/// `(origin_y, origin_x)`. Rows are computed in parallel; the result does not depend on how many threads there are.
/// `height` follows from the length; a last, incomplete row is filled as far as it reaches. `width` 0 fills nothing.
pub fn fill_normal_image(
    key: NoiseKey,
    height: usize,
    width: usize,
    origin: (i64, i64),
    image: &mut [f32],
) {
    if width == 0 || height == 0 {
        return;
    }
    let (origin_y, origin_x) = origin;
    image
        .par_chunks_mut(width)
        .enumerate()
        .for_each(|(index, row)| {
            let y = origin_y.wrapping_add((index % height) as i64);
            fill_normal(key, (index / height) as u32, y, origin_x, row);
        });
}

fn block_normals(key: NoiseKey, channel: u32, y: i64, block_column: i64) -> [f32; BLOCK] {
    let mut counter = key.row_counter(channel, y);
    counter[0] |= block_column as u32 & COLUMN_MASK;
    normal::box_muller(philox4x32_10(counter, key.philox_key(channel)))
}
