//! Exact receptive field of the network by interval arithmetic along one axis.

use crate::UNetConfig;

/// Closed interval of cells along one axis at some stride.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// First cell.
    pub first: i64,
    /// Last cell.
    pub last: i64,
}

impl Interval {
    /// Cells read by `convolutions` 3×3 convolutions of stride 1 that write this interval.
    pub fn before_convolutions(self, convolutions: usize) -> Self {
        let reach = convolutions as i64;
        Self {
            first: self.first - reach,
            last: self.last + reach,
        }
    }

    /// Cells of twice the stride that hold this interval (before `pixel_shuffle` by 2).
    pub fn before_upsampling(self) -> Self {
        Self {
            first: self.first.div_euclid(2),
            last: self.last.div_euclid(2),
        }
    }

    /// Cells of half the stride read by a 3×3 convolution of stride 2 and padding 1.
    pub fn before_downsampling(self) -> Self {
        Self {
            first: 2 * self.first - 1,
            last: 2 * self.last + 1,
        }
    }

    /// Pixels covered by cells of `stride` pixels.
    pub fn pixels(self, stride: i64) -> Self {
        Self {
            first: self.first * stride,
            last: self.last * stride + stride - 1,
        }
    }

    fn union(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

/// For the output pixel `position` of one axis: the cells of every level that it depends on, at the place
/// where that level's encoder starts (finest level first). Guidance features that enter in blocks do so one convolution later.
pub fn level_intervals(config: &UNetConfig, position: i64) -> Vec<Interval> {
    let levels = config.levels();
    let cell = position.div_euclid(config.stem.factor());
    let mut decoder = Vec::with_capacity(levels);
    // Output convolution, then the decoder from fine to coarse; each level has a skip connection to its encoder.
    let mut now = Interval {
        first: cell,
        last: cell,
    }
    .before_convolutions(1);
    for level in 0..levels {
        now = now.before_convolutions(2 * config.layers_per_block[level]);
        decoder.push(now);
        if level + 1 < levels {
            now = now.before_upsampling();
        }
    }
    now = now.before_convolutions(2 * config.mid_layers);
    let mut intervals = vec![now; levels];
    for level in (0..levels).rev() {
        let at_end = now.union(decoder[level]);
        now = at_end.before_convolutions(2 * config.layers_per_block[level]);
        intervals[level] = now;
        if level > 0 {
            now = now.before_downsampling();
        }
    }
    intervals
}

/// Largest distance in pixels along one axis between an output pixel and an input pixel that it depends on
/// through `reach`, which maps an output position to the pixels that it reads.
pub fn radius(period: i64, reach: impl Fn(i64) -> Interval) -> i64 {
    (0..period)
        .map(|position| {
            let pixels = reach(position);
            (position - pixels.first).max(pixels.last - position)
        })
        .max()
        .unwrap_or(0)
}

impl UNetConfig {
    /// Radius in pixels of the square of input pixels that an output pixel depends on. A tile that is read with a
    /// halo of at least this many pixels is computed exactly as in the whole image.
    pub fn receptive_field(&self) -> i64 {
        radius(self.size_multiple(), |position| {
            level_intervals(self, position)[0]
                .before_convolutions(1)
                .pixels(self.stem.factor())
        })
    }
}
