//! Quantiles of the normal distribution.

/// Rational approximation of a quantile in `r`: numerator and denominator, lowest power first.
struct Rational([f64; 8], [f64; 8]);

impl Rational {
    fn at(&self, r: f64) -> f64 {
        let polynomial =
            |terms: &[f64; 8]| terms.iter().rev().fold(0.0, |sum, term| sum * r + term);
        polynomial(&self.0) / polynomial(&self.1)
    }
}

/// Within 0.425 of the median.
const MIDDLE: Rational = Rational(
    [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_854,
    ],
);
/// Down to e^-25.
const NEAR: Rational = Rational(
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
);
/// Beyond.
const FAR: Rational = Rational(
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_9,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
);

/// The `x` below which a fraction `u` in (0, 1) of the standard normal distribution lies, to about 1e-16 of its value: algorithm AS 241,
/// PPND16 (Wichura 1988, Applied Statistics 37, 477–484).
pub(super) fn normal(u: f64) -> f64 {
    let q = u - 0.5;
    if q.abs() <= 0.425 {
        return q * MIDDLE.at(0.180625 - q * q);
    }
    let tail = if q < 0.0 { u } else { 1.0 - u };
    let r = (-tail.ln()).sqrt();
    let x = if r <= 5.0 {
        NEAR.at(r - 1.6)
    } else {
        FAR.at(r - 5.0)
    };
    x.copysign(q)
}

#[cfg(test)]
mod tests {
    use super::normal;

    /// Φ by the complementary error function of libm, which was written independently.
    fn cumulative(x: f64) -> f64 {
        0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
    }

    #[test]
    fn quantiles_are_the_inverse_of_the_distribution_function() {
        for exponent in 1..=15 {
            for mantissa in [1.0, 2.3, 4.9] {
                let u = mantissa * 0.1f64.powi(exponent);
                let back = cumulative(normal(u));
                assert!((back - u).abs() <= 1e-13 * u, "{u}: {back}");
                if u > 1e-3 {
                    let mirrored = normal(1.0 - u);
                    assert!((mirrored + normal(u)).abs() < 1e-12, "{u}");
                }
            }
        }
        assert_eq!(normal(0.5), 0.0);
        // Φ⁻¹(0.975), tables of the normal distribution.
        assert!((normal(0.975) - 1.959_963_984_540_054).abs() < 1e-14);
    }
}
