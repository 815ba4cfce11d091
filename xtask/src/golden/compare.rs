//! Reads safetensors files and says where two of them differ.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Largest difference that is no difference, relative to the largest value of the tensor. Another processor adds in
/// another order and other SIMD lengths; an error in a formula is larger by orders of magnitude.
fn tolerance(dtype: &str) -> f64 {
    match dtype {
        "F64" => 1e-10,
        "F32" => 1e-5,
        "F16" | "BF16" => 1e-2,
        _ => 0.0,
    }
}

/// The content of one file.
pub(crate) struct Tensors {
    tensors: BTreeMap<String, Tensor>,
    /// Packages that made it, where its metadata has an object `versions`.
    pub(crate) versions: BTreeMap<String, String>,
}

struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    values: Vec<f64>,
}

impl Tensors {
    /// Reads a file: 8 bytes length, a JSON header of that length, the values.
    ///
    /// # Errors
    /// When it cannot be read or is not such a file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&bytes).with_context(|| format!("{} is not a safetensors file", path.display()))
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let (length, rest) = bytes
            .split_first_chunk::<8>()
            .context("shorter than 8 bytes")?;
        let length = usize::try_from(u64::from_le_bytes(*length)).context("header too long")?;
        let header = rest.get(..length).context("the header is cut off")?;
        let data = &rest[length..];
        let header: BTreeMap<String, Value> =
            serde_json::from_slice(header).context("the header is not JSON")?;
        let mut tensors = BTreeMap::new();
        let mut versions = BTreeMap::new();
        for (name, value) in header {
            if name == "__metadata__" {
                collect_versions(&value, false, &mut versions);
                continue;
            }
            let dtype = value["dtype"].as_str().context("no dtype")?.to_owned();
            let shape = value["shape"]
                .as_array()
                .context("no shape")?
                .iter()
                .filter_map(Value::as_u64)
                .collect();
            let offset = |index: usize| {
                value["data_offsets"][index]
                    .as_u64()
                    .and_then(|at| usize::try_from(at).ok())
            };
            let range = offset(0).context("no offset")?..offset(1).context("no offset")?;
            let values = decode(&dtype, data.get(range).context("values are cut off")?)?;
            tensors.insert(
                name,
                Tensor {
                    dtype,
                    shape,
                    values,
                },
            );
        }
        Ok(Self { tensors, versions })
    }

    /// One line for each tensor that `other` does not have in the same way.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for name in other
            .tensors
            .keys()
            .filter(|name| !self.tensors.contains_key(*name))
        {
            lines.push(format!("`{name}` is new"));
        }
        for (name, expected) in &self.tensors {
            let Some(found) = other.tensors.get(name) else {
                lines.push(format!("`{name}` is no longer made"));
                continue;
            };
            if (&expected.dtype, &expected.shape) != (&found.dtype, &found.shape) {
                lines.push(format!(
                    "`{name}` is {} {:?}, was {} {:?}",
                    found.dtype, found.shape, expected.dtype, expected.shape
                ));
                continue;
            }
            let largest = expected
                .values
                .iter()
                .fold(0.0_f64, |largest, value| largest.max(value.abs()));
            // Written so that a NaN on one side only counts as a difference.
            let same = |a: f64, b: f64| {
                (a - b).abs() <= tolerance(&expected.dtype) * largest
                    || a == b
                    || (a.is_nan() && b.is_nan())
            };
            let wrong = expected
                .values
                .iter()
                .zip(&found.values)
                .filter(|(a, b)| !same(**a, **b))
                .count();
            if wrong > 0 {
                let worst = expected
                    .values
                    .iter()
                    .zip(&found.values)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f64::max);
                lines.push(format!(
                    "values of `{name}` differ at {wrong} of {} places, at most by {worst:e} (largest value {largest:e})",
                    expected.values.len()
                ));
            }
        }
        lines
    }
}

/// Metadata is a flat map of strings, some of which hold JSON; versions are an object of that name in any of them.
fn collect_versions(value: &Value, is_versions: bool, versions: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                match inner {
                    Value::String(text) if is_versions => {
                        // Some files record the names of modules.
                        let package = match key.as_str() {
                            "skimage" => "scikit-image",
                            "PIL" => "pillow",
                            other => other,
                        };
                        versions.insert(package.to_owned(), text.clone());
                    }
                    Value::String(text) => {
                        if let Ok(parsed) = serde_json::from_str::<Value>(text) {
                            collect_versions(&parsed, key == "versions", versions);
                        }
                    }
                    other => collect_versions(other, key == "versions", versions),
                }
            }
        }
        Value::Array(list) => list
            .iter()
            .for_each(|inner| collect_versions(inner, false, versions)),
        _ => {}
    }
}

fn decode(dtype: &str, bytes: &[u8]) -> Result<Vec<f64>> {
    fn each<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes
            .as_chunks::<N>()
            .0
            .iter()
            .map(|chunk| convert(*chunk))
            .collect()
    }
    Ok(match dtype {
        "F64" => each(bytes, f64::from_le_bytes),
        "F32" => each(bytes, |chunk| f32::from_le_bytes(chunk).into()),
        "BF16" => each(bytes, |chunk: [u8; 2]| {
            f32::from_le_bytes([0, 0, chunk[0], chunk[1]]).into()
        }),
        "F16" => each(bytes, |chunk| f16_to_f64(u16::from_le_bytes(chunk))),
        "I64" => each(bytes, |chunk| i64::from_le_bytes(chunk) as f64),
        "U64" => each(bytes, |chunk| u64::from_le_bytes(chunk) as f64),
        "I32" => each(bytes, |chunk| i32::from_le_bytes(chunk).into()),
        "U32" => each(bytes, |chunk| u32::from_le_bytes(chunk).into()),
        "I16" => each(bytes, |chunk| i16::from_le_bytes(chunk).into()),
        "U16" => each(bytes, |chunk| u16::from_le_bytes(chunk).into()),
        "I8" => each(bytes, |chunk| i8::from_le_bytes(chunk).into()),
        "U8" | "BOOL" => bytes.iter().map(|byte| f64::from(*byte)).collect(),
        other => bail!("values of type {other} are not known"),
    })
}

/// IEEE 754 binary16.
fn f16_to_f64(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 0x1F);
    let fraction = f64::from(bits & 0x3FF) / 1024.0;
    sign * match exponent {
        0 => fraction * 2.0_f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction) * 2.0_f64.powi(exponent - 15),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn encode(header: &str, values: &[f32]) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        bytes
    }

    fn file(values: &[f32]) -> Vec<u8> {
        let header = format!(
            r#"{{"__metadata__":{{"reference":"{{\"versions\":{{\"torch\":\"2.11.0\",\"skimage\":\"0.26.0\"}},\"seed\":1}}"}},"x":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{}]}}}}"#,
            values.len(),
            values.len() * 4
        );
        encode(&header, values)
    }

    pub(crate) fn write(path: &Path, values: &[f32]) {
        fs::write(path, file(values)).unwrap();
    }

    #[test]
    fn versions_are_found_in_nested_json() {
        let tensors = Tensors::parse(&file(&[1.0])).unwrap();
        let found: Vec<_> = tensors
            .versions
            .iter()
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        assert_eq!(found, ["scikit-image 0.26.0", "torch 2.11.0"]);
    }

    #[test]
    fn rounding_is_no_difference_and_an_error_is() {
        let of = |values: &[f32]| Tensors::parse(&file(values)).unwrap();
        let expected = of(&[100.0, 1.0]);
        assert_eq!(expected.differences(&of(&[100.0, 1.0005])), [""; 0]);
        assert_eq!(expected.differences(&of(&[100.0, 1.01])).len(), 1);
        assert_eq!(expected.differences(&of(&[100.0, f32::NAN])).len(), 1);
        assert_eq!(expected.differences(&of(&[100.0])).len(), 1);
    }

    #[test]
    fn integers_must_be_equal() {
        let header = r#"{"x":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}"#;
        let of =
            |value: i32| Tensors::parse(&encode(header, &[f32::from_bits(value as u32)])).unwrap();
        assert_eq!(of(1_000_000).differences(&of(1_000_000)), [""; 0]);
        assert_eq!(of(1_000_000).differences(&of(1_000_001)).len(), 1);
    }

    #[test]
    fn damaged_files_are_errors() {
        let good = file(&[1.0, 2.0]);
        for length in [0, 7, 20, good.len() - 1] {
            assert!(Tensors::parse(&good[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn half_floats_are_those_of_the_standard() {
        for (bits, value) in [
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x7BFF, 65504.0),
            (0x0001, 2.0_f64.powi(-24)),
            (0x3555, 0.333251953125),
        ] {
            assert_eq!(f16_to_f64(bits), value);
        }
    }
}
