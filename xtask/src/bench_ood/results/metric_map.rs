//! Values of metrics by name, in the convention of `image-quality` for what is not finite.

use std::collections::BTreeMap;

use image_quality::{MetricValue, serde_metric};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(
    metrics: &BTreeMap<String, f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        metrics
            .iter()
            .map(|(name, &value)| (name, MetricValue(value))),
    )
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, f64>, D::Error> {
    let values: BTreeMap<String, serde_json::Value> = BTreeMap::deserialize(deserializer)?;
    values
        .into_iter()
        .map(|(name, value)| {
            let number = serde_metric::deserialize(&value)
                .map_err(|error| D::Error::custom(format!("{name} = {value}: {error}")))?;
            Ok((name, number))
        })
        .collect()
}
