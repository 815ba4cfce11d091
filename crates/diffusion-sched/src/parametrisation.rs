//! What a network predicts, and how that becomes an estimate of the clean image.

use serde::{Deserialize, Serialize};

use crate::NoiseLevel;

/// What a network `F` predicts from the VP state `z = alpha x + sigma_vp eps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictionType {
    /// The noise `eps` (Ho 2020, arXiv 2006.11239).
    Epsilon,
    /// The velocity `v = alpha eps - sigma_vp x` (Salimans & Ho 2022, arXiv 2202.00512).
    VPrediction,
    /// The clean image `x`.
    Sample,
}

/// Factors that turn a network `F` on VP input into a denoiser in VE coordinates (form of Karras 2022,
/// arXiv 2206.00364, eq. 7): `denoised = c_skip * x_sigma + c_out * F(c_in * x_sigma)`, where
/// `x_sigma = z / alpha = x + sigma eps`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precondition {
    /// Factor of the noisy image in the result.
    pub c_skip: f64,
    /// Factor of the network output in the result.
    pub c_out: f64,
    /// Factor of the noisy image at the network's input; always `alpha`, so the network sees the VP state.
    pub c_in: f64,
    /// `alpha = sqrt(alpha_bar)` of the level, the number that the network is conditioned on.
    pub alpha: f64,
}

/// `target = image * x + noise * eps`: what the network of a [`PredictionType`] is trained to return.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetCoefficients {
    /// Factor of the clean image `x`.
    pub image: f64,
    /// Factor of the noise `eps`.
    pub noise: f64,
}

/// `result = state * x_sigma + prediction * F`: a conversion between predictions at a known noisy image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StateCoefficients {
    /// Factor of the noisy image in VE coordinates, `x_sigma = x + sigma eps`.
    pub state: f64,
    /// Factor of the prediction that is converted.
    pub prediction: f64,
}

impl PredictionType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Epsilon, Self::VPrediction, Self::Sample];

    /// Factors of the denoiser at `level`:
    ///
    /// | prediction | c_skip | c_out | c_in |
    /// |---|---|---|---|
    /// | ε | 1 | -σ | α |
    /// | v | α² | -σ_vp | α |
    /// | x | 0 | 1 | α |
    pub fn precondition(self, level: NoiseLevel) -> Precondition {
        let alpha = level.alpha();
        let (c_skip, c_out) = match self {
            Self::Epsilon => (1.0, -level.sigma()),
            Self::VPrediction => (level.alpha_bar(), -level.sigma_vp()),
            Self::Sample => (0.0, 1.0),
        };
        Precondition {
            c_skip,
            c_out,
            c_in: alpha,
            alpha,
        }
    }

    /// The training target as a combination of the clean image and the noise: `eps`, `alpha eps - sigma_vp x` or `x`.
    pub fn target(self, level: NoiseLevel) -> TargetCoefficients {
        let (image, noise) = match self {
            Self::Epsilon => (0.0, 1.0),
            Self::VPrediction => (-level.sigma_vp(), level.alpha()),
            Self::Sample => (1.0, 0.0),
        };
        TargetCoefficients { image, noise }
    }

    /// Factors that convert a prediction of this type into one of type `to` at the same noisy image:
    /// `to = state * x_sigma + prediction * self`. Exact; dividing by a small `sigma` (ε from x or v) amplifies the
    /// rounding of float32 tensors. `None` where it is not defined: ε from anything else at `sigma = 0`.
    pub fn convert(self, to: Self, level: NoiseLevel) -> Option<StateCoefficients> {
        if self == to {
            return Some(StateCoefficients {
                state: 0.0,
                prediction: 1.0,
            });
        }
        let (alpha, sigma, sigma_vp) = (level.alpha(), level.sigma(), level.sigma_vp());
        let (state, prediction) = match (self, to) {
            (_, Self::Sample) => {
                let factors = self.precondition(level);
                (factors.c_skip, factors.c_out)
            }
            // v = alpha eps - sigma_vp (x_sigma - sigma eps) = eps / alpha - sigma_vp x_sigma
            (Self::Epsilon, _) => (-sigma_vp, 1.0 / alpha),
            // eps = alpha (v + sigma_vp x_sigma), regular also at sigma = 0
            (Self::VPrediction, _) => (alpha * sigma_vp, alpha),
            (Self::Sample, _) if sigma == 0.0 => return None,
            (Self::Sample, Self::Epsilon) => (1.0 / sigma, -1.0 / sigma),
            // v = alpha eps - sigma_vp x with eps = (x_sigma - x) / sigma
            (Self::Sample, Self::VPrediction) => {
                let slope = alpha / sigma;
                (slope, -slope - sigma_vp)
            }
        };
        Some(StateCoefficients { state, prediction })
    }
}
