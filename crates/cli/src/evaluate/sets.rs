//! Metrics of whole sets of images.

use std::collections::BTreeMap;

use serde_json::Value;

use super::metric::Metric;
use super::networks::Networks;
use super::scores::Scores;
use crate::hints::Problem;

/// The sets against the sharp one.
#[derive(Default)]
pub(crate) struct SetScores {
    pub(crate) restored: BTreeMap<Metric, Value>,
    /// Where every pair has a blurry picture.
    pub(crate) blurry: Option<BTreeMap<Metric, Value>>,
}

/// Compares the sets of all scored pairs.
pub(crate) fn measure(
    _metrics: &[Metric],
    _networks: &Networks,
    _scored: &[&Scores],
    _problems: &mut Vec<Problem>,
) -> SetScores {
    SetScores::default()
}
