//! The metrics that look through a network, on libtorch.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ::deblur::DeviceChoice;
use image_quality::{Lpips, PerceptualProtocol};
use ndarray::ArrayView3;

use super::metric::{Metric, Values};
use super::scores::{Features, named};
use crate::hints::Problem;

/// Subsets of KID and the images in each, as usually reported; all images where there are fewer.
const SUBSETS: usize = 100;
const SUBSET_SIZE: usize = 1000;
/// Chooses the subsets; fixed, so that the same pictures get the same number.
const SUBSET_SEED: u64 = 0;

/// Loaded networks.
pub(crate) struct Networks {
    lpips: Option<Lpips>,
    lpips_vgg: Option<Lpips>,
}

impl Networks {
    /// Loads what these metrics need.
    ///
    /// # Errors
    /// Weights or a device that cannot be used.
    pub(crate) fn load(
        metrics: &[Metric],
        weights: &BTreeMap<&'static str, PathBuf>,
        device: DeviceChoice,
    ) -> Result<Self, Problem> {
        let mut networks = Self {
            lpips: None,
            lpips_vgg: None,
        };
        for metric in metrics {
            let files: Vec<&PathBuf> = metric
                .files()
                .iter()
                .filter_map(|file| weights.get(file))
                .collect();
            match (metric, files.as_slice()) {
                (Metric::Lpips, [file]) => {
                    networks.lpips = Some(Lpips::load(file, device.resolve()?)?)
                }
                (Metric::LpipsVgg, [file]) => {
                    networks.lpips_vgg = Some(Lpips::load(file, device.resolve()?)?)
                }
                _ => {}
            }
        }
        Ok(networks)
    }

    /// How the number of a network is made; nothing for other metrics. KID's depends on the number of images.
    pub(crate) fn protocol(&self, metric: Metric, images: usize) -> Option<PerceptualProtocol> {
        match metric {
            Metric::Lpips => Some(self.lpips.as_ref()?.protocol().clone()),
            Metric::LpipsVgg => Some(self.lpips_vgg.as_ref()?.protocol().clone()),
            Metric::Fid => Some(PerceptualProtocol::fid()),
            Metric::Kid => Some(PerceptualProtocol::kid(SUBSETS, SUBSET_SIZE.min(images))),
            _ => None,
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
        for (metric, network) in [
            (Metric::Lpips, &self.lpips),
            (Metric::LpipsVgg, &self.lpips_vgg),
        ] {
            if let Some(network) = network {
                let distance = network
                    .distance(image, sharp)
                    .map_err(|error| named(metric, error))?;
                values.insert(metric, distance.into());
            }
        }
        Ok(values)
    }

    pub(crate) fn features(
        &self,
        _sharp: ArrayView3<'_, f32>,
        _restored: ArrayView3<'_, f32>,
        _blurry: Option<ArrayView3<'_, f32>>,
    ) -> Result<Option<Features>, Problem> {
        Ok(None)
    }
}
