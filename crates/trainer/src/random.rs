//! Keyed random numbers: each decision depends on the seed and on what it is for, never on what was drawn before.

/// SplitMix64 (Steele et al. 2014): a small generator whose state is one word.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// Generator for item `index` of `stream` under `seed`.
    pub(crate) fn new(seed: u64, stream: u64, index: u64) -> Self {
        let mut mixed = Self(seed);
        for word in [stream, index] {
            mixed = Self(mixed.next_u64() ^ word.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        }
        mixed
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in 0..n; 0 for n = 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((self.uniform() * n as f64) as usize).min(n.saturating_sub(1))
    }
}
