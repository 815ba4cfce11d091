//! Reading the reference values of `tests/golden/blur-synth/gen.py`.

use ndarray::{Array3, ArrayD, Ix3};
use safetensors::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;

const PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/golden/blur-synth/reference.safetensors"
);

/// The reference file.
pub(crate) struct Reference(Vec<u8>);

impl Reference {
    pub(crate) fn open() -> Self {
        Self(std::fs::read(PATH).expect("reference file"))
    }

    pub(crate) fn tensor(&self, name: &str) -> ArrayD<f64> {
        let file = SafeTensors::deserialize(&self.0).expect("sound file");
        let view = file.tensor(name).expect(name);
        let values: Vec<f64> = match view.dtype() {
            Dtype::F32 => view
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b).into())
                .collect(),
            Dtype::F64 => view
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|b| f64::from_le_bytes(*b))
                .collect(),
            other => panic!("unexpected type {other:?}"),
        };
        ArrayD::from_shape_vec(view.shape(), values).expect("shape and data agree")
    }

    /// A file that the generator stored byte by byte.
    #[allow(dead_code, reason = "only the test of kernel files reads files")]
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        let file = SafeTensors::deserialize(&self.0).expect("sound file");
        file.tensor(name).expect(name).data().to_vec()
    }

    pub(crate) fn image(&self, name: &str) -> Array3<f32> {
        self.tensor(name)
            .mapv(|value| value as f32)
            .into_dimensionality::<Ix3>()
            .expect("three axes")
    }

    /// A record of the generator, which writes them as this crate reads them.
    pub(crate) fn record<T: DeserializeOwned>(&self, name: &str) -> T {
        let (_, metadata) = SafeTensors::read_metadata(&self.0).expect("header");
        let text = &metadata.metadata().as_ref().expect("metadata")[name];
        serde_json::from_str(text).expect(name)
    }
}

/// Largest absolute difference.
pub(crate) fn worst<'a>(got: impl IntoIterator<Item = &'a f32>, expected: &ArrayD<f64>) -> f64 {
    got.into_iter()
        .zip(expected)
        .fold(0.0, |worst, (&got, want)| {
            worst.max((f64::from(got) - want).abs())
        })
}
