//! The metrics that look through a network, on libtorch.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ::deblur::DeviceChoice;
use ndarray::ArrayView3;

use super::metric::{Metric, Values};
use super::scores::Features;
use crate::hints::Problem;

/// Loaded networks.
pub(crate) struct Networks {}

impl Networks {
    pub(crate) fn load(
        _metrics: &[Metric],
        _weights: &BTreeMap<&'static str, PathBuf>,
        _device: DeviceChoice,
    ) -> Result<Self, Problem> {
        Ok(Self {})
    }

    /// How the number of a network is made.
    pub(crate) fn protocol(&self, _metric: Metric) -> Option<String> {
        None
    }

    pub(crate) fn measure(
        &self,
        _image: ArrayView3<'_, f32>,
        _sharp: ArrayView3<'_, f32>,
    ) -> Result<Values, Problem> {
        Ok(Values::new())
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
