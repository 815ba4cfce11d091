//! Values of metrics in JSON, which has no infinity: the strings `"inf"`, `"-inf"` and `"nan"` stand for what is not finite.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Value {
    Finite(f64),
    Other(String),
}

pub(super) fn serialize<S: Serializer>(
    metrics: &BTreeMap<String, f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(metrics.iter().map(|(name, &value)| {
        let value = if value.is_finite() {
            Value::Finite(value)
        } else if value.is_nan() {
            Value::Other("nan".into())
        } else if value > 0.0 {
            Value::Other("inf".into())
        } else {
            Value::Other("-inf".into())
        };
        (name, value)
    }))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, f64>, D::Error> {
    let values: BTreeMap<String, Value> = BTreeMap::deserialize(deserializer)?;
    values
        .into_iter()
        .map(|(name, value)| match value {
            Value::Finite(value) => Ok((name, value)),
            Value::Other(text) => match text.as_str() {
                "inf" => Ok((name, f64::INFINITY)),
                "-inf" => Ok((name, f64::NEG_INFINITY)),
                "nan" => Ok((name, f64::NAN)),
                _ => Err(D::Error::custom(format!(
                    "{name} = {text:?} is no number, and none of \"inf\", \"-inf\", \"nan\""
                ))),
            },
        })
        .collect()
}
