//! How an image is cut into tiles, and what that costs.

/// Lengths of transforms; multiples of [`LANES`](super::fourier::LANES), products of 2 and 3.
const LENGTHS: [usize; 13] = [32, 48, 64, 72, 96, 128, 144, 192, 256, 288, 384, 512, 1024];

/// Tiles of an image: fixed by its shape and that of the kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Grid {
    /// Length of the transform along rows and along columns.
    pub(super) lengths: [usize; 2],
    /// Output samples of one tile along each axis; the last tile may have fewer.
    pub(super) steps: [usize; 2],
    /// Tiles along each axis.
    pub(super) counts: [usize; 2],
}

impl Grid {
    /// The grid with the least work for `outputs` rows and columns in each channel, and that work in
    /// nanoseconds on one core with AVX2; none when the kernel is longer than every transform.
    pub(super) fn cheapest(
        channels: usize,
        outputs: [usize; 2],
        side: usize,
    ) -> Option<(Self, f64)> {
        let mut best: Option<(Self, f64)> = None;
        let long_enough = LENGTHS.into_iter().filter(|&length| length >= side);
        for down in long_enough.clone() {
            for across in long_enough.clone() {
                let grid = Self::new([down, across], outputs, side);
                let work = grid.work(channels);
                if best.is_none_or(|(_, least)| work < least) {
                    best = Some((grid, work));
                }
            }
        }
        best
    }

    /// The grid for transforms of these `lengths`, at least `side` each: as few tiles as possible, of even size.
    pub(super) fn new(lengths: [usize; 2], outputs: [usize; 2], side: usize) -> Self {
        let counts = [0, 1].map(|axis| outputs[axis].div_ceil(lengths[axis] - side + 1));
        let steps = [0, 1].map(|axis| outputs[axis].div_ceil(counts[axis]));
        // The steps, rounded up, may need fewer tiles.
        let counts = [0, 1].map(|axis| outputs[axis].div_ceil(steps[axis]));
        Self {
            lengths,
            steps,
            counts,
        }
    }

    /// Nanoseconds, measured; large tiles fall out of the caches.
    fn work(&self, channels: usize) -> f64 {
        let pairs = (channels * self.counts[0] * self.counts[1]).div_ceil(2);
        let samples = (self.lengths[0] * self.lengths[1]) as f64;
        // About half a pair more for the spectrum of the kernel.
        (pairs as f64 + 0.5) * samples * (4.9 + (samples / 32_768.0).min(10.0))
    }
}
