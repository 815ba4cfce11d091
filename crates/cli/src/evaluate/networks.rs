//! The metrics that look through a network, on libtorch.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ::deblur::DeviceChoice;
use image_quality::{Dists, Inception, Lpips, PerceptualProtocol};
use ndarray::ArrayView3;

use super::metric::{Metric, Values};
use super::scores::{Features, named};
use crate::hints::Problem;

/// Loaded networks.
pub(crate) struct Networks {
    lpips: Option<Lpips>,
    lpips_vgg: Option<Lpips>,
    dists: Option<Dists>,
    inception: Option<Inception>,
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
            dists: None,
            inception: None,
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
                (Metric::Dists, [trunk, weights]) => {
                    networks.dists = Some(Dists::load(trunk, weights, device.resolve()?)?);
                }
                (Metric::Fid | Metric::Kid, [file]) if networks.inception.is_none() => {
                    networks.inception = Some(Inception::load(file, device.resolve()?)?);
                }
                _ => {}
            }
        }
        Ok(networks)
    }

    /// How the number of a network is made; nothing for other metrics.
    pub(crate) fn protocol(&self, metric: Metric) -> Option<PerceptualProtocol> {
        match metric {
            Metric::Lpips => Some(self.lpips.as_ref()?.protocol().clone()),
            Metric::LpipsVgg => Some(self.lpips_vgg.as_ref()?.protocol().clone()),
            Metric::Dists => Some(self.dists.as_ref()?.protocol().clone()),
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
        if let Some(network) = &self.dists {
            let distance = network
                .distance(image, sharp)
                .map_err(|error| named(Metric::Dists, error))?;
            values.insert(Metric::Dists, distance.into());
        }
        Ok(values)
    }

    /// What FID and KID need of a pair, if they are asked for.
    ///
    /// # Errors
    /// Failures of libtorch.
    pub(crate) fn features(
        &self,
        sharp: ArrayView3<'_, f32>,
        restored: ArrayView3<'_, f32>,
        blurry: Option<ArrayView3<'_, f32>>,
    ) -> Result<Option<Features>, Problem> {
        let Some(network) = &self.inception else {
            return Ok(None);
        };
        let of = |image| -> Result<Vec<f32>, Problem> {
            Ok(network.features(&[image])?.into_iter().collect())
        };
        Ok(Some(Features {
            sharp: of(sharp)?,
            restored: of(restored)?,
            blurry: blurry.map(of).transpose()?,
        }))
    }
}
