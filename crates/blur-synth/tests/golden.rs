//! Against reference values of NumPy, SciPy and scikit-image (`tests/golden/blur-synth/gen.py`).

mod support;

use blur_synth::{Blur, Degradation, Response};
use support::{Reference, worst};

#[test]
fn response_agrees_with_scikit_image() {
    let file = Reference::open();
    let values: Vec<f32> = file
        .tensor("response.values")
        .iter()
        .map(|&value| value as f32)
        .collect();
    let (mut decoded, mut encoded) = (values.clone(), values);
    Response::Srgb.decode(&mut decoded);
    Response::Srgb.encode(&mut encoded);
    assert!(worst(&decoded, &file.tensor("response.decoded")) < 1e-6);
    assert!(worst(&encoded, &file.tensor("response.encoded")) < 1e-6);
}

#[test]
fn kernels_agree_with_dense_sampling() {
    let file = Reference::open();
    for (index, blur) in file.record::<Vec<Blur>>("blurs").into_iter().enumerate() {
        let expected = file.tensor(&format!("kernel.{index}"));
        let kernel = blur.kernel().expect("valid parameters");
        assert_eq!(kernel.taps().shape(), expected.shape(), "{blur:?}");
        let tolerance = match blur {
            // 2000 steps accumulate the 1e-7 by which the normal quantiles differ.
            Blur::CameraShake { .. } => 1e-6,
            // Midpoint sums of the reference, 200 a pixel.
            Blur::Gaussian { .. } => 3e-6,
            // Rounding to float32 and midpoint sums, at least 20,000 a pixel.
            _ => 3e-7,
        };
        let error = worst(kernel.taps(), &expected);
        assert!(error < tolerance, "{blur:?}: {error:e}");
    }
}

#[test]
fn whole_degradations_agree() {
    let file = Reference::open();
    let image = file.image("degradation.image");
    for (index, blur) in file.record::<Vec<Blur>>("blurs").into_iter().enumerate() {
        let name = format!("{blur:?}");
        let got = Degradation::noiseless(blur)
            .apply(image.view())
            .expect("valid");
        let error = worst(&got, &file.tensor(&format!("degradation.{index}")));
        // Kernel differences as above, float32 sums and two response tables.
        assert!(error < 2e-6, "{name}: {error:e}");
    }
}
