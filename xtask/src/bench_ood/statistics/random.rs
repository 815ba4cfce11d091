//! The generator behind resampling: SplitMix64 (Steele, Lea & Flood 2014). Ten lines of our own, because libraries do not promise
//! the same numbers in their next version, and the intervals of a published report must come out again.

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// A stream of random numbers.
pub(super) struct Random {
    state: u64,
}

impl Random {
    /// Stream `index` of `seed`: what it gives depends on nothing else, so any thread can compute it.
    pub(super) fn stream(seed: u64, index: u64) -> Self {
        let keyed = mix(seed.wrapping_add(GOLDEN));
        Self {
            state: mix(keyed ^ mix(index.wrapping_add(GOLDEN))),
        }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// Uniform in `0..count`, for counts far below 2^64: Lemire 2019 without the rejection, whose bias is below count / 2^64.
    pub(super) fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.next()) * count as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sequence() {
        // First outputs of the authors' generator for the seed 1234567.
        let mut random = Random { state: 1_234_567 };
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
        assert_eq!(random.next(), 9_817_491_932_198_370_423);
    }

    #[test]
    fn every_index_is_drawn_equally_often() {
        let mut counts = [0_u32; 7];
        for stream in 0..1_000 {
            let mut random = Random::stream(5, stream);
            for _ in 0..70 {
                counts[random.below(7)] += 1;
            }
        }
        // Chi-squared with 6 degrees of freedom: 22.5 is exceeded once in a thousand seeds.
        let expected = 10_000.0;
        let chi: f64 = counts
            .iter()
            .map(|&count| (f64::from(count) - expected).powi(2) / expected)
            .sum();
        assert!(chi < 22.5, "{chi}: {counts:?}");
    }
}
