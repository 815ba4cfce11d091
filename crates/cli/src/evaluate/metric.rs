//! The metrics by name.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use image_quality::MetricValue;
use serde::{Deserialize, Serialize};

/// What can be measured, in the order in which it is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Metric {
    Psnr,
    Ssim,
    Lpips,
    LpipsVgg,
    Dists,
    Niqe,
    Fid,
    Kid,
}

/// Values of one image.
pub(crate) type Values = BTreeMap<Metric, MetricValue>;

impl Metric {
    pub(crate) const ALL: [Self; 8] = [
        Self::Psnr,
        Self::Ssim,
        Self::Lpips,
        Self::LpipsVgg,
        Self::Dists,
        Self::Niqe,
        Self::Fid,
        Self::Kid,
    ];

    /// As on the command line and in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Psnr => "psnr",
            Self::Ssim => "ssim",
            Self::Lpips => "lpips",
            Self::LpipsVgg => "lpips-vgg",
            Self::Dists => "dists",
            Self::Niqe => "niqe",
            Self::Fid => "fid",
            Self::Kid => "kid",
        }
    }

    /// As in a table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Psnr => "PSNR",
            Self::Ssim => "SSIM",
            Self::Lpips => "LPIPS",
            Self::LpipsVgg => "LPIPS-VGG",
            Self::Dists => "DISTS",
            Self::Niqe => "NIQE",
            Self::Fid => "FID",
            Self::Kid => "KID",
        }
    }

    /// Empty where the number has none.
    pub(crate) fn unit(self) -> &'static str {
        if self == Self::Psnr { "dB" } else { "" }
    }

    /// Decimals that mean something.
    pub(crate) fn decimals(self) -> usize {
        match self {
            Self::Psnr | Self::Niqe | Self::Fid => 3,
            Self::Ssim | Self::Lpips | Self::LpipsVgg | Self::Dists => 4,
            Self::Kid => 5,
        }
    }

    /// Whether more is better; of distances, less is.
    pub(crate) fn higher_is_better(self) -> bool {
        matches!(self, Self::Psnr | Self::Ssim)
    }

    /// Whether it compares sets of images, not pairs.
    pub(crate) fn is_of_sets(self) -> bool {
        matches!(self, Self::Fid | Self::Kid)
    }

    /// Files of weights that it needs, below the folder of weights.
    pub(crate) fn files(self) -> &'static [&'static str] {
        match self {
            Self::Psnr | Self::Ssim => &[],
            Self::Lpips => &["lpips_alexnet.safetensors"],
            Self::LpipsVgg => &["lpips_vgg16.safetensors"],
            Self::Dists => &["lpips_vgg16.safetensors", "dists_alpha_beta.safetensors"],
            Self::Niqe => &["niqe.safetensors"],
            Self::Fid | Self::Kid => &["inception/default_1.pt"],
        }
    }
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|metric| metric.name() == text)
            .ok_or_else(|| format!("there is no metric {text:?}"))
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json_and_values_keep_their_order() {
        for metric in Metric::ALL {
            let text = serde_json::to_string(&metric).expect("text");
            assert_eq!(text, format!("{:?}", metric.name()));
            assert_eq!(metric.name().parse(), Ok(metric));
        }
        let values: Values = [
            (Metric::LpipsVgg, MetricValue(0.5)),
            (Metric::Psnr, MetricValue(f64::INFINITY)),
        ]
        .into();
        let text = serde_json::to_string(&values).expect("text");
        assert_eq!(text, r#"{"psnr":"inf","lpips-vgg":0.5}"#);
        assert_eq!(
            serde_json::from_str::<Values>(&text).expect("values"),
            values
        );
    }
}
