//! One noise level and its names in the coordinates of the field.

use crate::error::{Result, check};

/// One noise level of a variance preserving (VP) diffusion, `z = alpha x + sigma_vp eps` with
/// `alpha² + sigma_vp² = 1`.
///
/// | accessor | formula | also called |
/// |---|---|---|
/// | [`sigma`](Self::sigma) | `sigma_vp / alpha` | σ of k-diffusion and EDM (variance exploding coordinates) |
/// | [`alpha`](Self::alpha) | `1 / sqrt(1 + sigma²)` | `sqrt_alphas_cumprod`, noise level of WaveGrad/SR3 |
/// | [`sigma_vp`](Self::sigma_vp) | `sigma / sqrt(1 + sigma²)` | `sqrt_one_minus_alphas_cumprod` |
/// | [`alpha_bar`](Self::alpha_bar) | `1 / (1 + sigma²)` | `alphas_cumprod` |
/// | [`log_snr`](Self::log_snr) | `-2 ln sigma` | λ of Kingma 2021 (arXiv 2107.00630), twice that of DPM-Solver |
///
/// `sigma` is what is stored: it keeps full relative precision at both ends, where `alpha_bar` is close to 1 or to 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseLevel(f64);

impl NoiseLevel {
    /// Level with `sigma = sigma_vp / alpha`, in `[0, ∞)`; 0 is a clean image.
    ///
    /// # Errors
    /// `sigma` is negative, NaN or infinite.
    pub fn from_sigma(sigma: f64) -> Result<Self> {
        check(sigma.is_finite() && sigma >= 0.0, "sigma", sigma, "[0, ∞)")?;
        Ok(Self(sigma))
    }

    /// Level with `alpha_bar = alpha²`, in `(0, 1]`.
    ///
    /// # Errors
    /// `alpha_bar` is outside `(0, 1]` or so small that `sigma` overflows.
    pub fn from_alpha_bar(alpha_bar: f64) -> Result<Self> {
        check(
            alpha_bar > 0.0 && alpha_bar <= 1.0,
            "alpha_bar",
            alpha_bar,
            "(0, 1]",
        )?;
        Self::from_sigma(((1.0 - alpha_bar) / alpha_bar).sqrt())
    }

    /// Level with `alpha = sqrt(alpha_bar)`, in `(0, 1]`: the number that WaveGrad (arXiv 2009.00713) conditions on.
    ///
    /// # Errors
    /// `alpha` is outside `(0, 1]` or so small that `sigma` overflows.
    pub fn from_alpha(alpha: f64) -> Result<Self> {
        check(alpha > 0.0 && alpha <= 1.0, "alpha", alpha, "(0, 1]")?;
        // (1 - alpha)(1 + alpha) instead of 1 - alpha²: no cancellation near a clean image.
        Self::from_sigma(((1.0 - alpha) * (1.0 + alpha)).sqrt() / alpha)
    }

    /// Level with `log_snr = ln(alpha² / sigma_vp²)`, natural logarithm.
    ///
    /// # Errors
    /// `log_snr` is not finite, or below about -1400, where `sigma` overflows.
    pub fn from_log_snr(log_snr: f64) -> Result<Self> {
        check(log_snr.is_finite(), "log_snr", log_snr, "finite")?;
        Self::from_sigma((-0.5 * log_snr).exp())
    }

    /// `sigma = sigma_vp / alpha`: standard deviation of the noise in variance exploding (VE) coordinates.
    pub fn sigma(self) -> f64 {
        self.0
    }

    /// `alpha = sqrt(alpha_bar)`, in `(0, 1]`: the factor of the image in the VP state.
    pub fn alpha(self) -> f64 {
        1.0 / self.0.hypot(1.0)
    }

    /// `sigma_vp = sqrt(1 - alpha_bar)`, in `[0, 1)`: the factor of the noise in the VP state.
    pub fn sigma_vp(self) -> f64 {
        self.0 / self.0.hypot(1.0)
    }

    /// `alpha_bar = alpha²`, in `(0, 1]`.
    pub fn alpha_bar(self) -> f64 {
        let alpha = self.alpha();
        alpha * alpha
    }

    /// `log_snr = ln(alpha² / sigma_vp²) = -2 ln sigma`; `+∞` for a clean image.
    pub fn log_snr(self) -> f64 {
        -2.0 * self.0.ln()
    }
}
