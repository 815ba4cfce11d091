//! Warps, moving layers, frame averages, highlights, noise and JPEG against reference values of SciPy and Pillow
//! (`tests/golden/blur-synth/scenes.py`).

mod support;

use blur_synth::{Blur, Degradation, Highlights, Jpeg};
use ndarray::{Array2, ArrayView3};
use support::{Reference, worst};

/// Blur of each record, against the reference with the same instants and with many more.
fn check(records: &str, prefix: &str, dense_tolerance: f64) {
    let file = Reference::open();
    let picture = file.image("scene.picture");
    for (index, blur) in file.record::<Vec<Blur>>(records).into_iter().enumerate() {
        let name = format!("{blur:?}");
        let got = Degradation::noiseless(blur)
            .apply(picture.view())
            .expect("valid");
        // float32 sums of up to a hundred instants and two response tables.
        let error = worst(&got, &file.tensor(&format!("{prefix}.{index}")));
        assert!(error < 5e-6, "{name}: {error:e}");
        let error = worst(&got, &file.tensor(&format!("{prefix}.{index}.dense")));
        assert!(
            error < dense_tolerance,
            "{name} against the integral: {error:e}"
        );
    }
}

#[test]
fn warps_agree() {
    check("warps", "warp", 1.5e-3);
}

#[test]
fn moving_layers_agree() {
    check("layers", "layers", 2e-3);
}

#[test]
fn frame_average_agrees() {
    let file = Reference::open();
    let frames = file.tensor("frames").mapv(|value| value as f32);
    let frames: Vec<ArrayView3<'_, f32>> = frames
        .outer_iter()
        .map(|frame| frame.into_dimensionality().expect("three axes"))
        .collect();
    let degradation = Degradation::noiseless(Blur::FrameAverage { frames: 5 });
    let got = degradation.apply_frames(&frames).expect("five frames");
    assert!(worst(&got, &file.tensor("frames.mean")) < 1e-6);
}

#[test]
fn highlights_agree() {
    let file = Reference::open();
    // A box of 5 x 5.
    let taps = Array2::from_elem((5, 5), 1.0);
    let blur = Blur::CustomKernel(blur_synth::CustomKernel::new("box", &taps));
    let degradation = Degradation {
        highlights: Some(Highlights {
            threshold: 0.5,
            gain: 8.0,
        }),
        ..Degradation::noiseless(blur)
    };
    let got = degradation
        .apply(file.image("scene.picture").view())
        .expect("valid");
    // Light goes up to 9, where float32 is coarser.
    assert!(worst(&got, &file.tensor("highlights")) < 3e-6);
}

#[test]
fn noise_agrees() {
    let file = Reference::open();
    let degradation = Degradation {
        shot_noise: 3e-3,
        read_noise: 2e-2,
        quantise_bits: Some(8),
        seed: 12345,
        ..Degradation::noiseless(Blur::none())
    };
    let got = degradation
        .apply(file.image("scene.picture").view())
        .expect("valid");
    let expected = file.tensor("noise");
    let differing = got
        .iter()
        .zip(&expected)
        .filter(|(got, want)| (f64::from(**got) - **want).abs() > 1e-4)
        .count();
    // Normal quantiles differ by 1e-7: now and then a value falls on the other side of a rounding edge, by one level.
    assert!(differing <= 2, "{differing} samples differ");
    assert!(worst(&got, &expected) < 1.01 / 255.0);
}

#[test]
fn jpeg_agrees_with_libjpeg() {
    let file = Reference::open();
    let compress = |jpeg: Jpeg, picture: ArrayView3<'_, f32>| {
        let degradation = Degradation {
            jpeg: Some(jpeg),
            ..Degradation::noiseless(Blur::none())
        };
        degradation.apply(picture).expect("valid")
    };
    let picture = file.image("jpeg.picture");
    let settings: Vec<Jpeg> = file.record("jpegs");
    let mut cases: Vec<_> = settings
        .iter()
        .enumerate()
        .map(|(index, &jpeg)| (format!("jpeg.{index}"), compress(jpeg, picture.view())))
        .collect();
    let grey = picture.slice(ndarray::s![..1, .., ..]);
    cases.push(("jpeg.grey".to_owned(), compress(settings[1], grey)));
    for (name, got) in cases {
        let expected = file.tensor(&name);
        let mean = got
            .iter()
            .zip(&expected)
            .map(|(got, want)| ((f64::from(*got) - want) * 255.0).abs())
            .sum::<f64>()
            / expected.len() as f64;
        // libjpeg-turbo works in whole numbers: coefficients near a rounding edge fall on the other side, and colours
        // are rounded once more. That moves single samples, not the amount of the loss.
        assert!(mean < 1.0, "{name}: mean difference of {mean} levels");
        let original = if name == "jpeg.grey" {
            grey
        } else {
            picture.view()
        };
        let loss = |result: &mut dyn Iterator<Item = f64>| {
            result
                .zip(&original)
                .map(|(value, &original)| (value - f64::from(original)).powi(2))
                .sum::<f64>()
        };
        let ratio =
            loss(&mut got.iter().map(|&value| value.into())) / loss(&mut expected.iter().copied());
        assert!((ratio - 1.0).abs() < 0.02, "{name}: loss times {ratio}");
    }
}
