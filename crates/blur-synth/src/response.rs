//! Camera response: between the encoded values of an image file and linear light.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// How linear light in `[0, 1]` is encoded in the image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "curve", rename_all = "snake_case", deny_unknown_fields)]
pub enum Response {
    /// The curve of IEC 61966-2-1.
    #[serde(deserialize_with = "crate::unit::no_fields")]
    Srgb,
    /// `encoded = linear^(1 / gamma)`; 1 leaves values alone.
    Gamma {
        /// Exponent, greater than 0.
        gamma: f32,
    },
}

impl Response {
    /// Encoded values to linear light, in place; values outside `[0, 1]` are clamped first, NaN stays NaN.
    ///
    /// The sRGB curve is read from a table with linear interpolation, within 2e-7 of the exact curve.
    pub fn decode(self, values: &mut [f32]) {
        match self {
            Self::Srgb => {
                let table = SrgbTables::get();
                values
                    .iter_mut()
                    .for_each(|value| *value = table.decode(*value));
            }
            Self::Gamma { gamma } => power(values, f64::from(gamma)),
        }
    }

    /// Linear light to encoded values, in place; values outside `[0, 1]` are clamped first, NaN stays NaN.
    ///
    /// The sRGB curve is read from a table with linear interpolation, within 3e-7 of the exact curve.
    pub fn encode(self, values: &mut [f32]) {
        match self {
            Self::Srgb => {
                let table = SrgbTables::get();
                values
                    .iter_mut()
                    .for_each(|value| *value = table.encode(*value));
            }
            Self::Gamma { gamma } => power(values, 1.0 / f64::from(gamma)),
        }
    }
}

fn power(values: &mut [f32], exponent: f64) {
    for value in values {
        let clamped = value.clamp(0.0, 1.0);
        *value = if exponent == 1.0 {
            clamped
        } else {
            libm::pow(clamped.into(), exponent) as f32
        };
    }
}

const DECODE_INTERVALS: usize = 4096;
/// Intervals within each doubling of the linear value, as mantissa bits.
const ENCODE_BITS: u32 = 9;
/// The table starts at this power of two, below the end of the straight part of the curve (0.0031308).
const ENCODE_LOWEST_EXPONENT: u32 = 127 - 9;
const ENCODE_DOUBLINGS: u32 = 9;
/// Where the straight part of the curve ends, on the encoded and on the linear side.
const DECODE_KNEE: f32 = 0.040_45;
const ENCODE_KNEE: f32 = 0.003_130_8;

/// Samples of the two power-law parts. Both curves are smooth there, so linear interpolation between samples with
/// spacing `h` is off by at most `h^2 / 8` times the second derivative: 2.3e-8 for decoding (second derivative at
/// most 3.02, `h` = 1 / 4096). The encoding curve bends in proportion to `value^-1.58`, so its samples are spaced in
/// proportion to the value (`h` = value / 512), which bounds the error by 1.3e-7.
struct SrgbTables {
    decode: Vec<f32>,
    encode: Vec<f32>,
}

impl SrgbTables {
    fn get() -> &'static Self {
        static TABLES: OnceLock<SrgbTables> = OnceLock::new();
        TABLES.get_or_init(|| Self {
            decode: (0..=DECODE_INTERVALS + 1)
                .map(|index| {
                    libm::pow(
                        (index as f64 / DECODE_INTERVALS as f64 + 0.055) / 1.055,
                        2.4,
                    ) as f32
                })
                .collect(),
            encode: (0..=(ENCODE_DOUBLINGS << ENCODE_BITS) + 1)
                .map(|index| {
                    let bits = (ENCODE_LOWEST_EXPONENT << 23) + (index << (23 - ENCODE_BITS));
                    (1.055 * libm::pow(f32::from_bits(bits).into(), 1.0 / 2.4) - 0.055) as f32
                })
                .collect(),
        })
    }

    fn decode(&self, value: f32) -> f32 {
        let value = value.clamp(0.0, 1.0);
        if value.is_nan() || value <= DECODE_KNEE {
            return value / 12.92;
        }
        let position = value * DECODE_INTERVALS as f32;
        let index = position as usize;
        let (low, high) = (self.decode[index], self.decode[index + 1]);
        low + (position - index as f32) * (high - low)
    }

    fn encode(&self, value: f32) -> f32 {
        let value = value.clamp(0.0, 1.0);
        // The bits of NaN lie outside the table.
        if value.is_nan() || value <= ENCODE_KNEE {
            return value * 12.92;
        }
        // Within one doubling a float is linear in its mantissa bits: the top ones choose the interval, the rest is
        // the position inside.
        let offset = value.to_bits() - (ENCODE_LOWEST_EXPONENT << 23);
        let index = (offset >> (23 - ENCODE_BITS)) as usize;
        let remainder = offset & ((1 << (23 - ENCODE_BITS)) - 1);
        let fraction = remainder as f32 * (1.0 / (1_u32 << (23 - ENCODE_BITS)) as f32);
        let (low, high) = (self.encode[index], self.encode[index + 1]);
        low + fraction * (high - low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_follow_the_exact_curve_within_1e_6() {
        let mut worst = [0.0_f64; 2];
        for index in 0..=3_000_000 {
            let value = index as f32 / 3_000_000.0;
            let exact = f64::from(value);
            let decoded = if exact <= 0.04045 {
                exact / 12.92
            } else {
                ((exact + 0.055) / 1.055).powf(2.4)
            };
            let encoded = if exact <= 0.003_130_8 {
                exact * 12.92
            } else {
                1.055 * exact.powf(1.0 / 2.4) - 0.055
            };
            let table = SrgbTables::get();
            worst[0] = worst[0].max((f64::from(table.decode(value)) - decoded).abs());
            worst[1] = worst[1].max((f64::from(table.encode(value)) - encoded).abs());
        }
        assert!(worst[0] < 2e-7 && worst[1] < 3e-7, "{worst:?}");
    }

    #[test]
    fn gamma_goes_there_and_back() {
        let original: Vec<f32> = (0..=100).map(|index| index as f32 / 100.0).collect();
        let mut values = original.clone();
        let response = Response::Gamma { gamma: 2.2 };
        response.decode(&mut values);
        assert!((values[50] - 0.217_637_64).abs() < 1e-6);
        response.encode(&mut values);
        assert!(
            values
                .iter()
                .zip(&original)
                .all(|(a, b)| (a - b).abs() < 1e-6)
        );
    }

    #[test]
    fn out_of_range_is_clamped() {
        let mut values = [-1.0, 2.0];
        Response::Srgb.decode(&mut values);
        assert_eq!(values, [0.0, 1.0]);
        let mut values = [-1.0, 2.0];
        Response::Srgb.encode(&mut values);
        assert_eq!(values[0], 0.0);
        assert!((values[1] - 1.0).abs() < 1e-7);
    }

    #[test]
    fn nan_stays_nan() {
        for response in [
            Response::Srgb,
            Response::Gamma { gamma: 2.2 },
            Response::Gamma { gamma: 1.0 },
        ] {
            for nan in [f32::NAN, -f32::NAN, f32::from_bits(0x7F80_0001)] {
                let mut values = [nan, 0.5];
                response.decode(&mut values);
                assert!(values[0].is_nan() && values[1].is_finite(), "{response:?}");
                let mut values = [nan, 0.5];
                response.encode(&mut values);
                assert!(values[0].is_nan() && values[1].is_finite(), "{response:?}");
            }
        }
    }
}
