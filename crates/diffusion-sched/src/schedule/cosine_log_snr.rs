//! The continuous cosine schedule.

use serde::{Deserialize, Serialize};

use crate::NoiseLevel;
use crate::error::{Result, check};

/// Cosine schedule in continuous time `t` in `[0, 1]`, cut to a range of log-SNR (Kingma 2021, arXiv 2107.00630;
/// Hoogeboom 2023, arXiv 2301.11093, eq. 4 and appendix A):
///
/// `log_snr(t) = -2 ln tan(a + t (b - a))`, `a = atan(exp(-log_snr_max / 2))`, `b = atan(exp(-log_snr_min / 2))`,
///
/// so `sigma(t)` is simply the tangent. `t = 0` is `log_snr_max` (cleanest), `t = 1` is `log_snr_min` (noisiest).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CosineLogSnr {
    /// Log-SNR at `t = 1`, the noisiest level; at least -80.
    pub log_snr_min: f64,
    /// Log-SNR at `t = 0`, the cleanest level; at most 80.
    pub log_snr_max: f64,
}

impl CosineLogSnr {
    /// A checked range.
    ///
    /// # Errors
    /// Not `-80 <= log_snr_min < log_snr_max <= 80`. Beyond ±80 the angle is not resolved in f64.
    pub fn new(log_snr_min: f64, log_snr_max: f64) -> Result<Self> {
        let schedule = Self {
            log_snr_min,
            log_snr_max,
        };
        schedule.validate()?;
        Ok(schedule)
    }

    /// Checks the range, which a deserialised value has not passed yet.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn validate(&self) -> Result<()> {
        let (low, high) = (self.log_snr_min, self.log_snr_max);
        check(
            (-80.0..=80.0).contains(&low),
            "log_snr_min",
            low,
            "[-80, 80]",
        )?;
        check(
            high <= 80.0 && high > low,
            "log_snr_max",
            high,
            "(log_snr_min, 80]",
        )
    }

    /// The noise level at `t` in `[0, 1]`; `sigma` rises strictly with `t`.
    ///
    /// # Errors
    /// `t` outside `[0, 1]`, or a range that [`validate`](Self::validate) refuses.
    pub fn level(&self, t: f64) -> Result<NoiseLevel> {
        self.validate()?;
        check((0.0..=1.0).contains(&t), "t", t, "[0, 1]")?;
        if t == 0.0 {
            return NoiseLevel::from_log_snr(self.log_snr_max);
        }
        if t == 1.0 {
            return NoiseLevel::from_log_snr(self.log_snr_min);
        }
        let (clean, noisy) = self.tangent_angles();
        if t < 0.5 {
            return NoiseLevel::from_sigma((clean + t * (noisy.to_span(clean))).tan());
        }
        // Near pure noise the angle is close to π/2; its complement is the number with precision.
        let complement = noisy.complement + (1.0 - t) * noisy.to_span(clean);
        NoiseLevel::from_sigma(1.0 / complement.tan())
    }

    /// The time of a noise level: the inverse of [`level`](Self::level), clamped to `[0, 1]` outside the range.
    ///
    /// # Errors
    /// A range that [`validate`](Self::validate) refuses.
    pub fn time(&self, level: NoiseLevel) -> Result<f64> {
        self.validate()?;
        let (clean, noisy) = self.tangent_angles();
        let span = noisy.to_span(clean);
        let sigma = level.sigma();
        let time = if sigma <= 1.0 {
            (sigma.atan() - clean) / span
        } else {
            1.0 - ((1.0 / sigma).atan() - noisy.complement) / span
        };
        Ok(time.clamp(0.0, 1.0))
    }

    /// The angle whose tangent is the smallest sigma, and the complement of that of the largest.
    fn tangent_angles(&self) -> (f64, NoisyAngle) {
        let clean = (-0.5 * self.log_snr_max).exp().atan();
        let complement = (0.5 * self.log_snr_min).exp().atan();
        (clean, NoisyAngle { complement })
    }
}

/// The angle of the noisiest level, kept as its distance from π/2.
#[derive(Clone, Copy)]
struct NoisyAngle {
    complement: f64,
}

impl NoisyAngle {
    fn to_span(self, clean: f64) -> f64 {
        std::f64::consts::FRAC_PI_2 - self.complement - clean
    }
}
