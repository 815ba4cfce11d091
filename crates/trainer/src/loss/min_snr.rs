//! Loss weights by noise level.

use diffusion_sched::{NoiseLevel, PredictionType};

/// The min-SNR-γ weight (Hang 2023, arXiv 2303.09556, §3.4) for the squared error of a prediction, SNR = α² / σ² = 1 / σ̃²:
///
/// | prediction | weight |
/// |---|---|
/// | x | min(SNR, γ) |
/// | ε | min(SNR, γ) / SNR |
/// | v | min(SNR, γ) / (SNR + 1) |
///
/// All three weigh the error of the implied x by min(SNR, γ). Written in σ̃, so that a clean image has a weight as well.
pub(crate) fn weight(prediction: PredictionType, level: NoiseLevel, gamma: f64) -> f64 {
    let square = level.sigma() * level.sigma();
    match prediction {
        PredictionType::Sample => gamma.min(1.0 / square),
        PredictionType::Epsilon => (gamma * square).min(1.0),
        PredictionType::VPrediction => (gamma * square).min(1.0) / (1.0 + square),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use std::path::Path;

    use safetensors::SafeTensors;

    use super::*;

    /// tests/golden/trainer: the signal-to-noise ratio of diffusers and the weights of its training script.
    #[test]
    fn weights_equal_those_of_diffusers() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/golden/trainer/min_snr.safetensors");
        let bytes = std::fs::read(path).unwrap();
        let golden = SafeTensors::deserialize(&bytes).unwrap();
        let values = |name: &str| -> Vec<f64> {
            let data = golden.tensor(name).unwrap().data().to_vec();
            let number = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().unwrap());
            data.chunks_exact(8).map(number).collect()
        };
        let gamma = values("gamma")[0];
        let alpha_bars = values("alphas_cumprod");
        assert!(alpha_bars.len() > 10);
        for (name, prediction) in [
            ("epsilon", PredictionType::Epsilon),
            ("v_prediction", PredictionType::VPrediction),
            ("sample", PredictionType::Sample),
        ] {
            for (&alpha_bar, expected) in alpha_bars.iter().zip(values(name)) {
                let level = NoiseLevel::from_alpha_bar(alpha_bar).unwrap();
                let got = weight(prediction, level, gamma);
                // diffusers computes the ratio in float32.
                assert!(
                    (got - expected).abs() <= 2e-5 * expected,
                    "{name} {alpha_bar}: {got} {expected}"
                );
            }
        }
    }

    #[test]
    fn ends_of_the_range_are_finite() {
        let clean = NoiseLevel::from_sigma(0.0).unwrap();
        let weights = PredictionType::ALL.map(|prediction| weight(prediction, clean, 5.0));
        // ε, v, x
        assert_eq!(weights, [0.0, 0.0, 5.0]);
        let noisy = NoiseLevel::from_sigma(1e4).unwrap();
        for prediction in PredictionType::ALL {
            assert!(weight(prediction, noisy, 5.0).is_finite());
        }
    }
}
