//! Values of metrics in JSON and other formats that have no infinity.
//!
//! The PSNR of equal images is positive infinity, and JSON has numbers for finite values alone. The convention of this
//! workspace: a finite value is a number; what is not finite is one of the strings `"inf"`, `"-inf"`, `"nan"`. Nothing
//! else is read: not `null`, not `"Infinity"`, not a number in quotes. Formats whose own numbers may be infinite or NaN, as
//! those of TOML and CSV, may give them as numbers: a reader of CSV cannot know a string from a number.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use image_quality::{MetricValue, serde_metric};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Score {
//!     #[serde(with = "serde_metric")]
//!     psnr: f64,
//!     #[serde(with = "serde_metric::optional", default, skip_serializing_if = "Option::is_none")]
//!     lpips: Option<f64>,
//!     more: BTreeMap<String, MetricValue>,
//! }
//!
//! let score = Score {
//!     psnr: f64::INFINITY,
//!     lpips: None,
//!     more: BTreeMap::from([("ssim".to_owned(), MetricValue(1.0))]),
//! };
//! let text = serde_json::to_string(&score).unwrap();
//! assert_eq!(text, r#"{"psnr":"inf","more":{"ssim":1.0}}"#);
//! assert_eq!(serde_json::from_str::<Score>(&text).unwrap().psnr, f64::INFINITY);
//! ```

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes a value: a number, or `"inf"`, `"-inf"`, `"nan"`.
///
/// # Errors
/// Those of the format.
pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match name(*value) {
        Some(name) => serializer.serialize_str(name),
        None => serializer.serialize_f64(*value),
    }
}

/// Reads what [`serialize`] writes.
///
/// # Errors
/// Anything but a number or one of the three strings.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    deserializer.deserialize_any(ValueVisitor)
}

/// The string for a value that is not finite. Text for people and for CSV uses the same.
fn name(value: f64) -> Option<&'static str> {
    match value {
        _ if value.is_finite() => None,
        _ if value.is_nan() => Some("nan"),
        _ if value > 0.0 => Some("inf"),
        _ => Some("-inf"),
    }
}

/// A value of a metric where the type itself has to carry the convention: in maps and lists.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct MetricValue(pub f64);

impl From<f64> for MetricValue {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl From<MetricValue> for f64 {
    fn from(value: MetricValue) -> Self {
        value.0
    }
}

/// As in JSON, without quotes; precision and width are respected.
impl fmt::Display for MetricValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match name(self.0) {
            // A precision would cut a string.
            Some(name) => match formatter.width() {
                Some(width) => write!(formatter, "{name:>width$}"),
                None => formatter.write_str(name),
            },
            None => self.0.fmt(formatter),
        }
    }
}

impl Serialize for MetricValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for MetricValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer).map(Self)
    }
}

/// The same for values that may be absent: `null` in JSON.
pub mod optional {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::MetricValue;

    /// Writes a value or nothing.
    ///
    /// # Errors
    /// Those of the format.
    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(MetricValue).serialize(serializer)
    }

    /// Reads a value or nothing.
    ///
    /// # Errors
    /// See [`super::deserialize`].
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<f64>, D::Error> {
        Ok(Option::<MetricValue>::deserialize(deserializer)?.map(f64::from))
    }
}

struct ValueVisitor;

impl Visitor<'_> for ValueVisitor {
    type Value = f64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number or one of \"inf\", \"-inf\", \"nan\"")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
        Ok(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        match text {
            "inf" => Ok(f64::INFINITY),
            "-inf" => Ok(f64::NEG_INFINITY),
            "nan" => Ok(f64::NAN),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}
