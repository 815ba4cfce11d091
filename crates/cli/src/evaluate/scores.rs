//! What is measured of one image.

use std::collections::BTreeMap;
use std::path::PathBuf;

use image_quality::{MetricProtocol, Niqe, psnr, scores, ssim};
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

/// The metrics that need no libtorch; they run on any thread.
pub(crate) struct PlainMetrics {
    protocol: MetricProtocol,
    psnr: bool,
    ssim: bool,
    niqe: Option<Niqe>,
}

impl PlainMetrics {
    /// Reads what they need.
    ///
    /// # Errors
    /// Weights that cannot be used.
    pub(crate) fn load(
        metrics: &[Metric],
        protocol: &MetricProtocol,
        weights: &BTreeMap<&'static str, PathBuf>,
    ) -> Result<Self, Problem> {
        let mut niqe = None;
        if metrics.contains(&Metric::Niqe) {
            for file in Metric::Niqe.files() {
                niqe = weights.get(file).map(|path| Niqe::load(path)).transpose()?;
            }
        }
        Ok(Self {
            protocol: protocol.clone(),
            psnr: metrics.contains(&Metric::Psnr),
            ssim: metrics.contains(&Metric::Ssim),
            niqe,
        })
    }

    /// How the number is made.
    pub(crate) fn protocol_of(&self, metric: Metric) -> String {
        match &self.niqe {
            Some(niqe) if metric == Metric::Niqe => niqe.protocol().to_string(),
            _ => self.protocol.to_string(),
        }
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
        let protocol = &self.protocol;
        match (self.psnr, self.ssim) {
            (true, true) => {
                // Together, because a protocol may have to align the pictures first.
                let both = scores(image, sharp, protocol);
                let both = both.map_err(|error| about("PSNR and SSIM", error))?;
                values.insert(Metric::Psnr, both.psnr.into());
                values.insert(Metric::Ssim, both.ssim.into());
            }
            (true, false) => {
                let value = psnr(image, sharp, protocol);
                let value = value.map_err(|error| named(Metric::Psnr, error))?;
                values.insert(Metric::Psnr, value.into());
            }
            (false, true) => {
                let value = ssim(image, sharp, protocol);
                let value = value.map_err(|error| named(Metric::Ssim, error))?;
                values.insert(Metric::Ssim, value.into());
            }
            (false, false) => {}
        }
        if let Some(niqe) = &self.niqe {
            let value = niqe.score(image);
            let value = value.map_err(|error| named(Metric::Niqe, error))?;
            values.insert(Metric::Niqe, value.into());
        }
        Ok(values)
    }
}

/// Names the metric that failed.
pub(crate) fn named(metric: Metric, error: image_quality::Error) -> Problem {
    about(metric.title(), error)
}

fn about(what: &str, error: image_quality::Error) -> Problem {
    let problem = Problem::from(error);
    Problem {
        message: format!("{what}: {}", problem.message),
        ..problem
    }
}
