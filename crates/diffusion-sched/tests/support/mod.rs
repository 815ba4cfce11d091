//! Reading of the reference values in `tests/golden/diffusion-sched`.

#![allow(dead_code, reason = "every test binary uses its own part")]

use std::path::PathBuf;

use safetensors::{Dtype, SafeTensors};

/// The bytes of a golden file.
pub(crate) fn golden(name: &str) -> Vec<u8> {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/diffusion-sched");
    let path = folder.join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn values<const N: usize, T>(
    file: &SafeTensors<'_>,
    name: &str,
    dtype: Dtype,
    decode: fn([u8; N]) -> T,
) -> Vec<T> {
    let view = file
        .tensor(name)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(view.dtype(), dtype, "{name}");
    view.data()
        .as_chunks::<N>()
        .0
        .iter()
        .map(|&bytes| decode(bytes))
        .collect()
}

pub(crate) fn f64s(file: &SafeTensors<'_>, name: &str) -> Vec<f64> {
    values(file, name, Dtype::F64, f64::from_le_bytes)
}

pub(crate) fn f32s(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    values(file, name, Dtype::F32, f32::from_le_bytes)
}

pub(crate) fn i64s(file: &SafeTensors<'_>, name: &str) -> Vec<i64> {
    values(file, name, Dtype::I64, i64::from_le_bytes)
}

pub(crate) fn u64s(file: &SafeTensors<'_>, name: &str) -> Vec<u64> {
    values(file, name, Dtype::U64, u64::from_le_bytes)
}

/// Largest relative difference of two equally long lists of positive numbers.
pub(crate) fn relative_difference(got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let relative = |(a, b): (&f64, &f64)| if a == b { 0.0 } else { ((a - b) / b).abs() };
    got.iter().zip(expected).map(relative).fold(0.0, f64::max)
}
