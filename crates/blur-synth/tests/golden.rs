//! Against reference values of NumPy, SciPy and scikit-image (`tests/golden/blur-synth/gen.py`).

use blur_synth::{Blur, Degradation, Response};
use ndarray::{ArrayD, Ix3};
use safetensors::{Dtype, SafeTensors};

const PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/golden/blur-synth/reference.safetensors"
);

fn tensor(file: &SafeTensors<'_>, name: &str) -> ArrayD<f64> {
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

fn blurs(bytes: &[u8]) -> Vec<Blur> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).expect("header");
    let text = &metadata.metadata().as_ref().expect("metadata")["blurs"];
    serde_json::from_str(text).expect("the blurs of the generator are those of the crate")
}

fn worst<'a>(got: impl IntoIterator<Item = &'a f32>, expected: &ArrayD<f64>) -> f64 {
    got.into_iter()
        .zip(expected)
        .fold(0.0, |worst, (&got, want)| {
            worst.max((f64::from(got) - want).abs())
        })
}

#[test]
fn response_agrees_with_scikit_image() {
    let bytes = std::fs::read(PATH).expect("reference file");
    let file = SafeTensors::deserialize(&bytes).expect("sound file");
    let values: Vec<f32> = tensor(&file, "response.values")
        .iter()
        .map(|&value| value as f32)
        .collect();
    let (mut decoded, mut encoded) = (values.clone(), values);
    Response::Srgb.decode(&mut decoded);
    Response::Srgb.encode(&mut encoded);
    assert!(worst(&decoded, &tensor(&file, "response.decoded")) < 1e-6);
    assert!(worst(&encoded, &tensor(&file, "response.encoded")) < 1e-6);
}

#[test]
fn kernels_agree_with_dense_sampling() {
    let bytes = std::fs::read(PATH).expect("reference file");
    let file = SafeTensors::deserialize(&bytes).expect("sound file");
    for (index, blur) in blurs(&bytes).into_iter().enumerate() {
        let expected = tensor(&file, &format!("kernel.{index}"));
        let kernel = blur.kernel().expect("valid parameters");
        assert_eq!(kernel.taps().shape(), expected.shape(), "{blur:?}");
        let tolerance = match blur {
            // 2000 steps accumulate the 1e-7 by which the normal quantiles differ.
            Blur::CameraShake { .. } => 1e-6,
            // Midpoint sums of the reference, 200 a pixel.
            Blur::Gaussian { .. } => 3e-6,
            // Rounding to float32 and midpoint sums, at least 40,000 a pixel.
            Blur::LinearMotion { .. } | Blur::Defocus { .. } => 3e-7,
        };
        let error = worst(kernel.taps(), &expected);
        assert!(error < tolerance, "{blur:?}: {error:e}");
    }
}

#[test]
fn whole_degradations_agree() {
    let bytes = std::fs::read(PATH).expect("reference file");
    let file = SafeTensors::deserialize(&bytes).expect("sound file");
    let image = tensor(&file, "degradation.image").mapv(|value| value as f32);
    let image = image.into_dimensionality::<Ix3>().expect("three axes");
    for (index, blur) in blurs(&bytes).into_iter().enumerate() {
        let name = format!("{blur:?}");
        let got = Degradation::noiseless(blur)
            .apply(image.view())
            .expect("valid");
        let error = worst(&got, &tensor(&file, &format!("degradation.{index}")));
        // Kernel differences as above, float32 sums and two response tables.
        assert!(error < 2e-6, "{name}: {error:e}");
    }
}
