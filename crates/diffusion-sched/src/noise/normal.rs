//! Box–Muller from 32-bit words, with elementary functions made of IEEE sums, products, quotients and square roots only:
//! those are exactly rounded everywhere, while `ln` and `sin` of the system libraries differ in the last bit.
//!
//! The polynomials are those of FreeBSD's msun (`e_log.c`, `k_sin.c`, `k_cos.c`, © 1993 Sun Microsystems, freely usable),
//! with errors below 1 unit in the last place of f64 before everything is rounded to f32. No branch depends on the
//! data, so the loops become SIMD code.

use std::f64::consts::{FRAC_PI_2, LN_2, SQRT_2};

use super::philox::philox4x32_10;

/// Philox blocks that one call of [`fill_blocks`] computes side by side.
pub(super) const LANES: usize = 16;

/// 2⁻³².
const UNIT: f64 = 1.0 / 4_294_967_296.0;

/// Fills `4 * LANES` normals of the blocks `block_column, block_column + 1, …`. Extra lengths stay untouched.
pub(super) fn fill_blocks(
    key: [u32; 2],
    row_counter: [u32; 4],
    column_mask: u32,
    block_column: i64,
    out: &mut [f32],
) {
    let mut words = [[0_u32; LANES]; 4];
    for lane in 0..LANES {
        let mut counter = row_counter;
        counter[0] |= block_column.wrapping_add(lane as i64) as u32 & column_mask;
        let block = philox4x32_10(counter, key);
        for (word, value) in words.iter_mut().zip(block) {
            word[lane] = value;
        }
    }
    let mut normals = [[0_f32; LANES]; 4];
    for pair in 0..2 {
        for lane in 0..LANES {
            let (first, second) = polar(words[2 * pair][lane], words[2 * pair + 1][lane]);
            normals[2 * pair][lane] = first;
            normals[2 * pair + 1][lane] = second;
        }
    }
    for (lane, block) in out.chunks_exact_mut(4).enumerate().take(LANES) {
        for (value, normal) in block.iter_mut().zip(&normals) {
            *value = normal[lane];
        }
    }
}

/// Four standard normals from four words: two Box–Muller pairs.
pub(super) fn box_muller(words: [u32; 4]) -> [f32; 4] {
    let (a, b) = polar(words[0], words[1]);
    let (c, d) = polar(words[2], words[3]);
    [a, b, c, d]
}

/// `(r cos φ, r sin φ)` with `r = sqrt(-2 ln u)`, `u = (radius + 1/2) / 2³²` in (0, 1), `φ = 2π angle / 2³²`.
#[inline(always)]
fn polar(radius: u32, angle: u32) -> (f32, f32) {
    let uniform = (f64::from(radius) + 0.5) * UNIT;
    let length = (-2.0 * ln(uniform)).sqrt();
    let (sine, cosine) = sin_cos_turn(angle);
    ((length * cosine) as f32, (length * sine) as f32)
}

/// Natural logarithm of a normal number in (0, 1).
#[inline(always)]
fn ln(value: f64) -> f64 {
    const COEFFICIENTS: [f64; 7] = [
        6.666_666_666_666_735e-1,
        3.999_999_999_940_942e-1,
        2.857_142_874_366_239e-1,
        2.222_219_843_214_978_4e-1,
        1.818_357_216_161_805e-1,
        1.531_383_769_920_937_3e-1,
        1.479_819_860_511_658_6e-1,
    ];
    // value = 2^exponent * mantissa with the mantissa in [sqrt(1/2), sqrt(2)).
    let bits = value.to_bits();
    let mantissa = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    let exponent = ((bits >> 52) as i32 - 1023) as f64;
    let large = mantissa >= SQRT_2;
    let mantissa = if large { 0.5 * mantissa } else { mantissa };
    let exponent = if large { exponent + 1.0 } else { exponent };
    let f = mantissa - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let mut series = COEFFICIENTS[6];
    for coefficient in COEFFICIENTS[..6].iter().rev() {
        series = series * z + coefficient;
    }
    let half_square = 0.5 * f * f;
    exponent * LN_2 - ((half_square - s * (half_square + z * series)) - f)
}

/// Sine and cosine of `2π angle / 2³²`. The reduction to an eighth of a turn is exact, in integers.
#[inline(always)]
fn sin_cos_turn(angle: u32) -> (f64, f64) {
    const SINE: [f64; 6] = [
        -1.666_666_666_666_663_2e-1,
        8.333_333_333_322_49e-3,
        -1.984_126_982_985_795e-4,
        2.755_731_370_707_006_8e-6,
        -2.505_076_025_340_686_3e-8,
        1.589_690_995_211_55e-10,
    ];
    const COSINE: [f64; 6] = [
        4.166_666_666_666_66e-2,
        -1.388_888_888_887_411e-3,
        2.480_158_728_947_673e-5,
        -2.755_731_435_139_066_3e-7,
        2.087_572_321_298_175e-9,
        -1.135_964_755_778_819_5e-11,
    ];
    let quadrant = angle.wrapping_add(1 << 29) >> 30;
    let offset = angle.wrapping_sub(quadrant << 30) as i32;
    let x = f64::from(offset) * (FRAC_PI_2 / f64::from(1_u32 << 30));
    let z = x * x;
    let (mut sine, mut cosine) = (SINE[5], COSINE[5]);
    for index in (0..5).rev() {
        sine = sine * z + SINE[index];
        cosine = cosine * z + COSINE[index];
    }
    let sine = x + x * z * sine;
    let cosine = 1.0 - (0.5 * z - z * z * cosine);
    let swapped = quadrant & 1 == 1;
    let (s, c) = if swapped {
        (cosine, sine)
    } else {
        (sine, cosine)
    };
    let s = if quadrant & 2 == 2 { -s } else { s };
    let c = if quadrant.wrapping_add(1) & 2 == 2 {
        -c
    } else {
        c
    };
    (s, c)
}

#[cfg(test)]
mod tests {
    use super::{ln, sin_cos_turn};
    use std::f64::consts::TAU;

    /// A Weyl sequence of 32-bit words, plus the edges of the reductions.
    fn words() -> impl Iterator<Item = u32> {
        let edges = [
            0,
            1,
            2,
            (1 << 29) - 1,
            1 << 29,
            (1 << 29) + 1,
            1 << 30,
            3 << 29,
            1 << 31,
        ];
        let more = [
            u32::MAX,
            u32::MAX - 1,
            5 << 29,
            7 << 29,
            3_037_000_499,
            3_037_000_500,
        ];
        let sequence = (0..200_000_u32).map(|index| index.wrapping_mul(0x9E37_79B9));
        edges.into_iter().chain(more).chain(sequence)
    }

    #[test]
    fn logarithm_agrees_with_the_standard_library() {
        for word in words() {
            let uniform = (f64::from(word) + 0.5) * super::UNIT;
            let (got, expected) = (ln(uniform), uniform.ln());
            assert!(
                (got - expected).abs() <= 4e-16 * expected.abs(),
                "ln({uniform}): {got} {expected}"
            );
        }
    }

    #[test]
    fn sine_and_cosine_agree_with_the_standard_library() {
        for word in words() {
            let (sine, cosine) = sin_cos_turn(word);
            let (s, c) = (f64::from(word) * super::UNIT * TAU).sin_cos();
            // The standard library's argument is itself rounded, up to 4.4e-16 of a turn.
            assert!(
                (sine - s).abs() < 1e-15 && (cosine - c).abs() < 1e-15,
                "{word}"
            );
        }
    }
}
