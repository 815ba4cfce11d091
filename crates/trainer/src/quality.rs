//! What a validation found, by set of pairs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Means over the pairs of one set, protocol `rgb` of `image-quality`. What was not measured is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Number of pairs.
    pub pairs: usize,
    /// PSNR in dB, blurry against sharp.
    pub input_psnr: f64,
    /// PSNR in dB, restored (`mean` mode) against sharp.
    pub output_psnr: f64,
    /// SSIM, blurry against sharp; absent where crops are smaller than its window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_ssim: Option<f64>,
    /// SSIM, restored against sharp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_ssim: Option<f64>,
    /// LPIPS, blurry against sharp; lower is better. Needs `lpips_weights`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_lpips: Option<f64>,
    /// LPIPS, restored against sharp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_lpips: Option<f64>,
    /// A sample of `validation_sample_steps` steps in place of the mean: PSNR in dB against sharp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_psnr: Option<f64>,
    /// SSIM of that sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_ssim: Option<f64>,
    /// LPIPS of that sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_lpips: Option<f64>,
    /// The guidance networks' own predictions, finest scale first; empty without guidance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guidance: Vec<GuidanceQuality>,
}

/// Mean PSNR in dB of grey pictures at 1/2^s of the resolution, against the sharp x_s. Not rounded to 8 bits and not clamped, peak 1
/// for values in [0, 1], so that −10 log10 of a mean square as in L_guide, divided by 4, is its scale.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GuidanceQuality {
    /// s, from 1.
    pub scale: usize,
    /// Of the blurry y_s.
    pub input_psnr: f64,
    /// Of the prediction x̂_s.
    pub output_psnr: f64,
}

impl Quality {
    /// PSNR gain in dB.
    pub fn gain(&self) -> f64 {
        self.output_psnr - self.input_psnr
    }

    /// Everything that was measured, by name, `guidance_1_input_psnr` and so on among them; finite values alone.
    pub fn values(&self) -> BTreeMap<String, f64> {
        let optional = [
            ("input_psnr", Some(self.input_psnr)),
            ("output_psnr", Some(self.output_psnr)),
            ("input_ssim", self.input_ssim),
            ("output_ssim", self.output_ssim),
            ("input_lpips", self.input_lpips),
            ("output_lpips", self.output_lpips),
            ("sample_psnr", self.sample_psnr),
            ("sample_ssim", self.sample_ssim),
            ("sample_lpips", self.sample_lpips),
        ];
        let mut values: BTreeMap<String, f64> = optional
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        for guidance in &self.guidance {
            let name = |what: &str| format!("guidance_{}_{what}_psnr", guidance.scale);
            values.insert(name("input"), guidance.input_psnr);
            values.insert(name("output"), guidance.output_psnr);
        }
        values.retain(|_, value| value.is_finite());
        values
    }
}

/// Result of a validation, by blur family or entry of `pairs`, with `all` over every pair.
pub type Report = BTreeMap<String, Quality>;

/// What was measured on one picture against its sharp one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scores {
    pub(crate) psnr: f64,
    pub(crate) ssim: Option<f64>,
    pub(crate) lpips: Option<f64>,
}

/// What was measured on one pair.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) input: Scores,
    pub(crate) output: Scores,
    pub(crate) sample: Option<Scores>,
    /// PSNR of y_s and of x̂_s.
    pub(crate) guidance: Vec<[f64; 2]>,
}

/// The mean, if there is a value for each.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0);
    for value in values {
        sum += value?;
        count += 1;
    }
    (count > 0).then(|| sum / f64::from(count))
}

impl Quality {
    /// Means over `pairs`, of which there is at least one.
    pub(crate) fn of(pairs: &[&Measured]) -> Self {
        let over =
            |pick: &dyn Fn(&Measured) -> Option<f64>| mean(pairs.iter().map(|pair| pick(pair)));
        let scales = pairs.first().map_or(0, |pair| pair.guidance.len());
        let psnr = |scale: usize, which: usize| {
            over(&|pair| Some(pair.guidance.get(scale)?[which])).unwrap_or(f64::NAN)
        };
        Self {
            pairs: pairs.len(),
            input_psnr: over(&|pair| Some(pair.input.psnr)).unwrap_or(f64::NAN),
            output_psnr: over(&|pair| Some(pair.output.psnr)).unwrap_or(f64::NAN),
            input_ssim: over(&|pair| pair.input.ssim),
            output_ssim: over(&|pair| pair.output.ssim),
            input_lpips: over(&|pair| pair.input.lpips),
            output_lpips: over(&|pair| pair.output.lpips),
            sample_psnr: over(&|pair| Some(pair.sample?.psnr)),
            sample_ssim: over(&|pair| pair.sample?.ssim),
            sample_lpips: over(&|pair| pair.sample?.lpips),
            guidance: (0..scales)
                .map(|scale| GuidanceQuality {
                    scale: scale + 1,
                    input_psnr: psnr(scale, 0),
                    output_psnr: psnr(scale, 1),
                })
                .collect(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_the_first_version_is_readable() {
        let old = r#"{"pairs": 3, "input_psnr": 25.5, "output_psnr": 27.0}"#;
        let quality: Quality = serde_json::from_str(old).unwrap();
        assert_eq!(quality.gain(), 1.5);
        assert_eq!(quality.values().len(), 2);
        // And what was not measured is not written.
        let text = serde_json::to_value(&quality).unwrap();
        assert_eq!(
            text,
            serde_json::from_str::<serde_json::Value>(old).unwrap()
        );
    }

    #[test]
    fn means_are_over_pairs() {
        let scores = |psnr, lpips| Scores {
            psnr,
            ssim: Some(psnr / 100.0),
            lpips,
        };
        let pair = |psnr: f64, lpips| Measured {
            input: scores(psnr, lpips),
            output: scores(psnr + 1.0, None),
            sample: None,
            guidance: vec![[psnr, psnr + 3.0]],
        };
        let pairs = [
            pair(20.0, Some(0.5)),
            pair(30.0, Some(0.25)),
            pair(25.0, None),
        ];
        let quality = Quality::of(&[&pairs[0], &pairs[1]]);
        assert_eq!((quality.pairs, quality.input_psnr), (2, 25.0));
        assert_eq!(quality.gain(), 1.0);
        assert_eq!(quality.input_ssim, Some(0.25));
        assert_eq!(quality.input_lpips, Some(0.375));
        assert_eq!((quality.output_lpips, quality.sample_psnr), (None, None));
        let guidance = quality.guidance[0];
        assert_eq!(
            (guidance.scale, guidance.input_psnr, guidance.output_psnr),
            (1, 25.0, 28.0)
        );
        assert_eq!(quality.values()["guidance_1_output_psnr"], 28.0);
        // A mean over some of the pairs would be another quantity.
        let quality = Quality::of(&pairs.iter().collect::<Vec<_>>());
        assert_eq!(quality.input_lpips, None);
    }
}
