//! What is measured of one image.

use std::collections::BTreeMap;
use std::path::PathBuf;

use image_quality::{MetricProtocol, psnr, ssim};
use ndarray::ArrayView3;
use serde::{Deserialize, Serialize};

use super::metric::{Metric, Values};
use super::saved::SavedHashes;
use crate::hints::Problem;

/// The result for one pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scores {
    /// The restored picture against the sharp one.
    pub(crate) metrics: Values,
    /// The blurry picture against the sharp one, where there is one.
    pub(crate) input_metrics: Option<Values>,
    /// Seconds that restoring took; nothing where it was not done here.
    pub(crate) seconds: Option<f64>,
    /// Needed for metrics of sets.
    pub(crate) features: Option<Features>,
    /// What was saved.
    pub(crate) saved: Option<SavedHashes>,
}

/// What the network of FID and KID sees in the pictures of a pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Features {
    pub(crate) sharp: Vec<f32>,
    pub(crate) restored: Vec<f32>,
    pub(crate) blurry: Option<Vec<f32>>,
}

/// Names for --protocol.
pub(crate) const PROTOCOLS: [&str; 1] = ["rgb"];

/// The protocol of a name.
pub(crate) fn protocol(_name: &str) -> Result<MetricProtocol, String> {
    Ok(MetricProtocol::rgb())
}

/// The metrics that need no libtorch; they run on any thread.
pub(crate) struct PlainMetrics {
    metrics: Vec<Metric>,
    protocol: MetricProtocol,
}

impl PlainMetrics {
    /// Reads what they need.
    ///
    /// # Errors
    /// Weights that cannot be used.
    pub(crate) fn load(
        metrics: &[Metric],
        protocol: &MetricProtocol,
        _weights: &BTreeMap<&'static str, PathBuf>,
    ) -> Result<Self, Problem> {
        Ok(Self {
            metrics: metrics.to_vec(),
            protocol: protocol.clone(),
        })
    }

    /// How the number is made.
    pub(crate) fn protocol_of(&self, _metric: Metric) -> String {
        self.protocol.to_string()
    }

    /// Compares two pictures `[3, H, W]` in `[0, 1]`.
    ///
    /// # Errors
    /// Pictures that cannot be compared; the metric is named.
    pub(crate) fn measure(
        &self,
        image: ArrayView3<'_, f32>,
        sharp: ArrayView3<'_, f32>,
    ) -> Result<Values, Problem> {
        let mut values = Values::new();
        for &metric in &self.metrics {
            let value = match metric {
                Metric::Psnr => psnr(image, sharp, &self.protocol),
                Metric::Ssim => ssim(image, sharp, &self.protocol),
                _ => continue,
            };
            values.insert(metric, value.map_err(|error| named(metric, error))?.into());
        }
        Ok(values)
    }
}

/// Names the metric that failed.
pub(crate) fn named(metric: Metric, error: image_quality::Error) -> Problem {
    let problem = Problem::from(error);
    Problem {
        message: format!("{}: {}", metric.title(), problem.message),
        ..problem
    }
}
