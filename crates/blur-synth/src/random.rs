//! Seeded randomness with the same bits on every platform.

/// SplitMix64 (Steele, Lea & Flood 2014): a counter run through a mixing function.
#[derive(Debug, Clone)]
pub(crate) struct SplitMix64 {
    state: u64,
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of SplitMix64: a bijection that spreads every input bit over all output bits.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

impl SplitMix64 {
    /// The stream of `seed` for one `purpose`; streams of different purposes are unrelated.
    pub(crate) fn keyed(seed: u64, purpose: &str) -> Self {
        let mut state = mix(seed.wrapping_add(GOLDEN));
        for byte in purpose.bytes() {
            state = mix(state.wrapping_add(GOLDEN) ^ u64::from(byte));
        }
        Self { state }
    }

    /// A stream of its own for `index`, leaving `self` as it is.
    pub(crate) fn fork(&self, index: u64) -> Self {
        Self {
            state: mix(self.state ^ mix(index.wrapping_add(GOLDEN))),
        }
    }

    /// The stream moved to its `count`-th draw.
    pub(crate) fn skip(mut self, count: u64) -> Self {
        self.state = self.state.wrapping_add(GOLDEN.wrapping_mul(count));
        self
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A whole number that JSON, TOML and JavaScript all hold exactly: 53 bits.
    pub(crate) fn seed(&mut self) -> u64 {
        self.next_u64() >> 11
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Standard normal.
    pub(crate) fn normal(&mut self) -> f64 {
        // Half a step off the grid, so that neither 0 nor 1 comes up.
        let probability = ((self.next_u64() >> 12) as f64 + 0.5) * (1.0 / (1_u64 << 52) as f64);
        normal_quantile(probability)
    }
}

/// Inverse of the normal distribution function for `0 < probability < 1`, relative error about 1e-7:
/// Wichura 1988, algorithm AS 241, routine PPND7. Only multiplications, divisions, square root and logarithm.
fn normal_quantile(probability: f64) -> f64 {
    let q = probability - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q
            * (((59.109_374_720 * r + 159.291_132_02) * r + 50.434_271_938) * r + 3.387_132_717_9)
            / (((67.187_563_600 * r + 78.757_757_664) * r + 17.895_169_469) * r + 1.0);
    }
    let tail = if q < 0.0 {
        probability
    } else {
        1.0 - probability
    };
    let r = (-libm::log(tail)).sqrt();
    let magnitude = if r <= 5.0 {
        let r = r - 1.6;
        (((0.170_238_211_03 * r + 1.306_728_481_6) * r + 2.756_815_390_0) * r + 1.423_437_277_7)
            / ((0.120_211_329_75 * r + 0.737_001_642_50) * r + 1.0)
    } else {
        let r = r - 5.0;
        (((0.017_337_203_997 * r + 0.428_682_943_37) * r + 3.081_226_386_0) * r + 6.657_905_115_0)
            / ((0.012_258_202_635 * r + 0.241_978_942_25) * r + 1.0)
    };
    if q < 0.0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_matches_the_published_sequence() {
        // First outputs of the authors' generator for the seed 1234567.
        let mut random = SplitMix64 { state: 1_234_567 };
        let expected = [
            6_457_827_717_110_365_317_u64,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        for value in expected {
            assert_eq!(random.next_u64(), value);
        }
        let mut moved = SplitMix64 { state: 1_234_567 }.skip(2);
        assert_eq!(moved.next_u64(), expected[2]);
    }

    #[test]
    fn quantiles_match_tables() {
        // Tables of the standard normal distribution.
        for (probability, quantile) in [
            (0.5, 0.0),
            (0.75, 0.674_489_750_196_081_7),
            (0.975, 1.959_963_984_540_054),
            (0.001, -3.090_232_306_167_813_5),
            (1e-9, -5.997_807_015_007_686_5),
            (1e-15, -7.941_345_326_170_997),
        ] {
            let got = normal_quantile(probability);
            assert!(
                (got - quantile).abs() <= 1e-6 * quantile.abs().max(1.0),
                "{probability}: {got} vs {quantile}"
            );
        }
    }

    #[test]
    fn normal_has_its_moments() {
        let mut random = SplitMix64::keyed(7, "test");
        let draws: Vec<f64> = (0..200_000).map(|_| random.normal()).collect();
        let moment = |power: i32| {
            draws.iter().map(|draw| draw.powi(power)).sum::<f64>() / draws.len() as f64
        };
        assert!(moment(1).abs() < 0.01);
        assert!((moment(2) - 1.0).abs() < 0.015);
        assert!(moment(3).abs() < 0.05);
        assert!((moment(4) - 3.0).abs() < 0.12);
    }
}
