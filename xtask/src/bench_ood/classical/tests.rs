//! Against scikit-image, SciPy and properties that follow from the definitions.

use std::collections::HashMap;

use blur_synth::{Blur, CustomKernel, Jpeg, Response};
use ndarray::{Zip, array};
use safetensors::SafeTensors;

use super::*;

/// What `tests/golden/classical/gen.py` wrote.
struct Golden {
    bytes: Vec<u8>,
    metadata: HashMap<String, String>,
}

impl Golden {
    fn read() -> Self {
        let file = crate::workspace::root().join("tests/golden/classical/reference.safetensors");
        let bytes = std::fs::read(file).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = header.metadata().clone().unwrap();
        Self { bytes, metadata }
    }

    fn plane(&self, name: &str) -> Array2<f64> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        let values = tensor
            .data()
            .chunks_exact(8)
            .map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap()));
        Array2::from_shape_vec((tensor.shape()[0], tensor.shape()[1]), values.collect()).unwrap()
    }

    fn image(&self, name: &str) -> Array3<f32> {
        self.plane(name)
            .mapv(|value| value as f32)
            .insert_axis(Axis(0))
    }

    fn number(&self, name: &str) -> f64 {
        self.metadata[name].parse().unwrap()
    }

    fn kernel(&self) -> Kernel {
        let taps = self.plane("taps").mapv(|tap| tap as f32);
        let kernel = CustomKernel::new("golden", &taps).kernel().unwrap();
        assert_eq!(kernel.radius(), 3);
        // Its centroid is in the middle already, so that nothing was moved.
        let difference = kernel.taps() - &taps;
        assert!(difference.iter().all(|value| value.abs() < 1e-6));
        kernel
    }
}

/// The largest difference, relative to the largest value.
fn difference(one: &Array2<f64>, other: &Array2<f64>) -> f64 {
    let largest = other
        .iter()
        .fold(0.0_f64, |most, value| most.max(value.abs()));
    let mut worst = 0.0_f64;
    Zip::from(one)
        .and(other)
        .for_each(|one, other| worst = worst.max((one - other).abs()));
    worst / largest
}

fn plane(image: &Array3<f32>) -> Array2<f64> {
    image.index_axis(Axis(0), 0).mapv(f64::from)
}

#[test]
fn richardson_lucy_is_that_of_scikit_image() {
    let golden = Golden::read();
    let observed = golden.image("lucy.observed");
    let kernel = golden.kernel();
    let (_, height, width) = observed.dim();
    let radius = kernel.radius();
    let start = Array3::from_elem((1, height + 2 * radius, width + 2 * radius), 0.5);
    let iterations = golden.number("iterations") as u32;
    let restored =
        richardson_lucy::richardson_lucy(observed.view(), None, &kernel, iterations, start)
            .unwrap();
    let inside = s![.., radius..radius + height, radius..radius + width];
    let found = difference(
        &plane(&restored.slice(inside).to_owned()),
        &golden.plane("lucy.restored"),
    );
    // Float32 against float64, over 12 iterations that multiply.
    assert!(found < 1e-5, "{found}");
}

#[test]
fn pixels_beyond_the_border_are_unknowns_and_clipped_ones_may_be_brighter() {
    let golden = Golden::read();
    let observed = golden.image("window.observed");
    let is_clipped = golden.plane("window.is_clipped").mapv(|value| value > 0.5);
    let restored = richardson_lucy::richardson_lucy(
        observed.view(),
        Some(is_clipped.insert_axis(Axis(0)).view()),
        &golden.kernel(),
        golden.number("iterations") as u32,
        golden.image("window.start"),
    )
    .unwrap();
    let found = difference(&plane(&restored), &golden.plane("window.restored"));
    assert!(found < 1e-5, "{found}");
    // The lamp has six times the light of white; 12 iterations go a part of the way.
    assert!(restored.iter().any(|value| *value > 1.5));
}

#[test]
fn wiener_is_that_of_scikit_image() {
    let golden = Golden::read();
    for name in ["wiener_even", "wiener_odd"] {
        let restored = wiener::periodic(
            &golden.plane(&format!("{name}.observed")),
            &golden.plane("taps"),
            golden.number("balance"),
        )
        .unwrap();
        let found = difference(&restored, &golden.plane(&format!("{name}.restored")));
        // Both in float64.
        assert!(found < 1e-11, "{name}: {found}");
    }
}

/// A scene with edges and texture, in linear light.
fn scene(height: usize, width: usize) -> Array3<f32> {
    Array3::from_shape_fn((3, height, width), |(channel, row, column)| {
        let stripes = if (row / 7 + column / 5) % 2 == 0 {
            0.55
        } else {
            0.1
        };
        let wave = ((row * 3 + column * (channel + 1)) as f32 * 0.11).sin() * 0.08;
        stripes + wave + 0.1
    })
}

#[test]
fn a_known_blur_is_undone_up_to_the_border() {
    let sharp = scene(96, 90);
    let degradation = Degradation {
        response: Response::Gamma { gamma: 1.0 },
        ..Degradation::noiseless(Blur::LinearMotion {
            length: 9.0,
            angle_degrees: 30.0,
        })
    };
    let margin = degradation.margin().unwrap();
    let blurry = degradation.apply_valid(sharp.view(), margin).unwrap();
    let (_, height, width) = blurry.dim();
    let target = sharp.slice(s![.., margin..margin + height, margin..margin + width]);
    let error = |image: ArrayView3<'_, f32>, region: usize| {
        let (rows, columns) = (region..height - region, region..width - region);
        let region = s![.., rows, columns];
        let difference = &image.slice(region) - &target.slice(region);
        difference.iter().map(|value| value * value).sum::<f32>() / difference.len() as f32
    };
    for method in Classical::ALL {
        let restored = method
            .restore(blurry.view(), &degradation)
            .unwrap()
            .unwrap();
        assert_eq!(restored.dim(), blurry.dim());
        // 4 dB and more inside (Richardson-Lucy is stopped early); at the border, where part of the light is missing, still a gain.
        let inside = error(restored.view(), 10) / error(blurry.view(), 10);
        assert!(inside < 0.4, "{method:?}: {inside}");
        let whole = error(restored.view(), 0) / error(blurry.view(), 0);
        assert!(whole < 0.6, "{method:?}: {whole}");
    }
}

#[test]
fn the_likelihood_never_falls() {
    // Expectation maximisation: each step explains the picture at least as well (Shepp & Vardi 1982).
    let sharp = scene(40, 44);
    let kernel = Blur::disc(2.5).kernel().unwrap();
    let observed = kernel.convolve_valid(sharp.view()).unwrap();
    let mut estimate = Array3::from_elem(sharp.dim(), 0.4);
    let mut last = f64::NEG_INFINITY;
    for _ in 0..15 {
        let predicted = kernel.convolve_valid(estimate.view()).unwrap();
        let likelihood: f64 = observed
            .iter()
            .zip(&predicted)
            .map(|(&observed, &predicted)| {
                f64::from(observed) * f64::from(predicted).ln() - f64::from(predicted)
            })
            .sum();
        assert!(likelihood >= last - 1e-3, "{likelihood} after {last}");
        last = likelihood;
        estimate =
            richardson_lucy::richardson_lucy(observed.view(), None, &kernel, 1, estimate).unwrap();
    }
}

#[test]
fn without_blur_nothing_is_lost() {
    let sharp = scene(40, 33);
    let degradation = Degradation::noiseless(Blur::none());
    for method in Classical::ALL {
        let restored = method.restore(sharp.view(), &degradation).unwrap().unwrap();
        let worst = (&restored - &sharp)
            .iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()));
        assert!(worst < 0.5 / 255.0, "{method:?}: {worst}");
    }
}

#[test]
fn what_has_no_kernel_is_not_restored() {
    let degradation = Degradation::noiseless(Blur::Zoom {
        extent: 8.0,
        center: [0.5, 0.5],
    });
    for method in Classical::ALL {
        assert!(
            method
                .restore(scene(20, 20).view(), &degradation)
                .unwrap()
                .is_none()
        );
        let empty = Array3::zeros((3, 0, 5));
        let error = method.restore(empty.view(), &Degradation::noiseless(Blur::none()));
        assert!(error.is_err());
    }
}

#[test]
fn pictures_smaller_than_the_kernel_are_restored() {
    let degradation = Degradation::noiseless(Blur::disc(6.0));
    for method in Classical::ALL {
        for (height, width) in [(1, 1), (1, 9), (5, 3)] {
            let restored = method.restore(scene(height, width).view(), &degradation);
            let restored = restored.unwrap().unwrap();
            assert_eq!(restored.dim(), (3, height, width));
            assert!(restored.iter().all(|value| (0.0..=1.0).contains(value)));
        }
    }
}

#[test]
fn mirrors_fold_as_often_as_needed() {
    let folded: Vec<usize> = (0..9).map(|index| mirror(index, 3, 3)).collect();
    assert_eq!(folded, [1, 2, 1, 0, 1, 2, 1, 0, 1]);
    assert_eq!(mirror(7, 3, 1), 0);
}

#[test]
fn the_taper_lets_ends_meet() {
    // Without it the ends of a ramp are a step on a periodic plane, whose ringing reaches far.
    let ramp = Array2::from_shape_fn((40, 40), |(_, column)| 0.2 + 0.015 * column as f64);
    let taps = Blur::disc(3.0).kernel().unwrap().taps().mapv(f64::from);
    let inside = s![12..28, 12..28];
    let error = |restored: Array2<f64>| {
        let difference = &restored.slice(inside) - &ramp.slice(inside);
        difference
            .iter()
            .fold(0.0_f64, |most, value| most.max(value.abs()))
    };
    let with = error(wiener::with_borders(&ramp, &taps, 1e-4).unwrap());
    let without = error(wiener::periodic(&ramp, &taps, 1e-4).unwrap());
    assert!(with < 0.2 * without, "{with} against {without}");
}

#[test]
fn the_variance_is_that_of_the_noise() {
    // Photon and read noise and 8 bits on an even grey, counted in linear light.
    let grey = Array3::from_elem((3, 200, 200), 0.45_f32);
    let noisy = Degradation {
        shot_noise: 4e-4,
        read_noise: 3e-3,
        quantise_bits: Some(8),
        ..Degradation::noiseless(Blur::none())
    };
    let linear = Degradation {
        response: Response::Gamma { gamma: 1.0 },
        quantise_bits: Some(6),
        ..noisy.clone()
    };
    for degradation in [noisy, linear] {
        let blurry = degradation.apply(grey.view()).unwrap();
        let mut light = decoded(blurry.view(), &degradation).unwrap();
        let mean = light.mean().unwrap();
        light -= mean;
        let counted = light
            .iter()
            .map(|value| f64::from(value * value))
            .sum::<f64>()
            / light.len() as f64;
        let predicted = noise::variance(blurry.view(), &degradation);
        let ratio = predicted / counted;
        // The standard error of a variance of 120 000 samples is 0.4 %; the curve is not straight within the noise.
        assert!((0.95..1.05).contains(&ratio), "{degradation:?}: {ratio}");
    }
}

#[test]
fn compression_counts_as_noise() {
    let picture = scene(32, 32);
    let mut degradation = Degradation::noiseless(Blur::none());
    let without = noise::variance(picture.view(), &degradation);
    let mut last = without;
    for quality in [95, 75, 50, 20] {
        let jpeg: Jpeg =
            serde_json::from_value(serde_json::json!({"quality": quality, "chroma": "4:4:4"}))
                .unwrap();
        degradation.jpeg = Some(jpeg);
        let variance = noise::variance(picture.view(), &degradation);
        assert!(variance > last, "{quality}: {variance} after {last}");
        last = variance;
    }
}

#[test]
fn transforms_go_there_and_back() {
    let sizes = [(1, 1), (2, 3), (7, 5), (12, 30)];
    for (rows, columns) in sizes {
        let plane = Array2::from_shape_fn((rows, columns), |(row, column)| {
            (row * 7 + column * 3 % 5) as f64
        });
        let fourier = fourier::Fourier::new(rows, columns);
        let back = fourier.inverse(fourier.forward(&plane).unwrap()).unwrap();
        assert!((&back - &plane).iter().all(|value| value.abs() < 1e-10));
        // One tap in the middle leaves everything where it is.
        let transfer = fourier.transfer(&array![[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]);
        assert!(
            transfer
                .unwrap()
                .iter()
                .all(|value| (value.re - 1.0).abs() < 1e-12 && value.im.abs() < 1e-12)
        );
    }
    let sizes: Vec<usize> = [0, 1, 7, 11, 97, 121].map(fourier::fast_size).into();
    assert_eq!(sizes, [1, 1, 8, 12, 100, 125]);
}
