//! Properties of blur that differs from place to place, of polygons and of kernels given by their taps.

use blur_synth::{
    Blur, Chroma, CustomKernel, Degradation, Error, Family, Highlights, Jpeg, Motion, MovingObject,
    Response, Scenario,
};
use ndarray::{Array3, s};
use proptest::prelude::*;

/// Standard deviation of the bright blobs, in pixels: smooth enough to be read between pixels.
const BLOB: f64 = 2.0;

fn motion(most: f32) -> impl Strategy<Value = Motion> {
    prop_oneof![
        Just(Motion::Still),
        (0.01..most, -400.0_f32..400.0).prop_map(|(length, angle_degrees)| Motion::LinearMotion {
            length,
            angle_degrees
        }),
        (0.01..most, 0.0_f32..1.0, 1e-3_f32..1.0, any::<u64>()).prop_map(
            |(extent, anxiety, exposure, seed)| Motion::CameraShake {
                extent,
                anxiety,
                exposure,
                seed
            }
        ),
    ]
}

fn object() -> impl Strategy<Value = MovingObject> {
    (
        prop::array::uniform2(-0.5_f32..1.5),
        0.01_f32..0.8,
        0.0_f32..0.9,
        0.1_f32..12.0,
        any::<u64>(),
    )
        .prop_map(
            |(center, radius, irregularity, softness, seed)| MovingObject {
                center,
                radius,
                irregularity,
                softness,
                seed,
            },
        )
}

fn object_motion(most: f32) -> impl Strategy<Value = Blur> {
    (object(), motion(most), motion(most)).prop_map(|(object, foreground, background)| {
        Blur::ObjectMotion {
            object,
            foreground,
            background,
        }
    })
}

/// A turn or a zoom.
fn warp(most: f32) -> impl Strategy<Value = Blur> {
    (
        any::<bool>(),
        0.01..most,
        prop::array::uniform2(-0.5_f32..1.5),
    )
        .prop_map(|(turn, extent, center)| {
            if turn {
                Blur::Rotation { extent, center }
            } else {
                Blur::Zoom { extent, center }
            }
        })
}

fn polygon() -> impl Strategy<Value = Blur> {
    (0.01_f32..9.0, 3_u8..=16, -400.0_f32..400.0).prop_map(|(radius, blades, rotation_degrees)| {
        Blur::Defocus {
            radius,
            blades: Some(blades),
            rotation_degrees,
        }
    })
}

/// Random taps, most often with their centroid far off the middle.
fn custom() -> impl Strategy<Value = Blur> {
    (1_usize..12, 1_usize..12)
        .prop_flat_map(|(rows, columns)| {
            let tap = prop_oneof![2 => Just(0.0_f32), 1 => 0.001_f32..1.0];
            prop::collection::vec(prop::collection::vec(tap, columns), rows)
        })
        .prop_map(|mut taps| {
            taps[0][0] += 0.01;
            Blur::CustomKernel(CustomKernel {
                name: "random".to_owned(),
                taps,
            })
        })
}

fn uniform() -> impl Strategy<Value = Blur> {
    prop_oneof![polygon(), custom()]
}

fn varying(most: f32) -> impl Strategy<Value = Blur> {
    prop_oneof![object_motion(most), warp(most)]
}

/// A blur alone, of linear light.
fn linear(blur: Blur) -> Degradation {
    Degradation {
        response: Response::Gamma { gamma: 1.0 },
        ..Degradation::noiseless(blur)
    }
}

fn noisy(blur: Blur) -> Degradation {
    Degradation {
        shot_noise: 3e-4,
        read_noise: 1e-3,
        quantise_bits: Some(8),
        seed: 77,
        ..Degradation::noiseless(blur)
    }
}

fn picture(channels: usize, height: usize, width: usize) -> Array3<f32> {
    Array3::from_shape_fn((channels, height, width), |(c, y, x)| {
        0.5 + 0.3 * (0.37 * x as f32 + 0.9 * c as f32).sin() * (0.21 * y as f32).cos()
            + if (x / 5 + y / 7) % 2 == 0 {
                0.19
            } else {
                -0.19
            }
    })
}

/// A bright blob at `[x, y]` on black.
fn blob(height: usize, width: usize, place: [f64; 2]) -> Array3<f32> {
    Array3::from_shape_fn((1, height, width), |(_, y, x)| {
        let (x, y) = (x as f64 - place[0], y as f64 - place[1]);
        (0.9 * (-0.5 * (x * x + y * y) / (BLOB * BLOB)).exp()) as f32
    })
}

/// Sum of all light, and its centroid `[x, y]`.
fn moments(image: &Array3<f32>) -> (f64, [f64; 2]) {
    let mut sums = [0.0; 3];
    for ((_, y, x), &value) in image.indexed_iter() {
        let value = f64::from(value);
        sums[0] += value;
        sums[1] += value * x as f64;
        sums[2] += value * y as f64;
    }
    (sums[0], [sums[1] / sums[0], sums[2] / sums[0]])
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

fn worst(a: &Array3<f32>, b: &Array3<f32>) -> f32 {
    assert_eq!(a.dim(), b.dim());
    a.iter()
        .zip(b)
        .fold(0.0, |worst, (a, b)| worst.max((a - b).abs()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_constant_picture_stays(blur in prop_oneof![varying(24.0), uniform()], value in 0.0_f32..1.0) {
        let image = Array3::from_elem((1, 60, 70), value);
        let out = linear(blur).apply(image.view()).unwrap();
        // Sums of kernels in float32, and shares of pixels; seen in 6000 cases: below 5e-6.
        prop_assert!(worst(&out, &image) < 5e-6, "{}", worst(&out, &image));
    }

    #[test]
    fn uniform_blur_keeps_the_light_and_its_place(blur in uniform(), shift in prop::array::uniform2(-0.5_f64..0.5)) {
        let degradation = linear(blur);
        let side = 2 * degradation.margin().unwrap() + 41;
        let image = blob(side, side, shift.map(|shift| (side / 2) as f64 + shift));
        let (before, place) = moments(&image);
        let (after, moved) = moments(&degradation.apply(image.view()).unwrap());
        prop_assert!((after / before - 1.0).abs() < 1e-5, "light times {}", after / before);
        prop_assert!(distance(place, moved) < 0.05, "from {:?} to {:?}", place, moved);
    }

    /// What a pixel averages has its centroid on the pixel, everywhere: a ramp, whose values are places, stays.
    #[test]
    fn warps_do_not_shift(blur in warp(24.0)) {
        let degradation = linear(blur);
        let (height, width) = (90_usize, 110_usize);
        let margin = degradation.margin().unwrap();
        for axis in 0..2 {
            let ramp = Array3::from_shape_fn((1, height, width), |(_, y, x)| [x, y][axis] as f32 / 128.0);
            let out = degradation.apply_valid(ramp.view(), margin).unwrap();
            let inside = ramp.slice(s![.., margin..height - margin, margin..width - margin]).to_owned();
            prop_assert!(128.0 * worst(&out, &inside) < 2e-3, "{} px", 128.0 * worst(&out, &inside));
        }
    }

    /// The light of a blob is where the motion takes it. A turn or zoom by `a` that keeps a constant picture constant, and
    /// every pixel's centroid in place, has by its geometry (the integral over the exposure, in closed form) this
    /// effect on a blob at distance `d` from the centre: of a turn, `m^2` of light and distance with `m = sin(a/2) / (a/2)`;
    /// of a zoom, `1 / (1 - a^2/4)` of both. Below 0.05 px for ways under `sqrt(0.2 r)` of a zoom and `sqrt(0.6 r)` of a turn.
    #[test]
    fn warps_take_light_where_geometry_does(blur in warp(20.0), place in prop::array::uniform2(0.0_f64..1.0)) {
        let (height, width) = (110_usize, 130_usize);
        let (turn, extent, center) = match blur {
            Blur::Rotation { extent, center } => (true, f64::from(extent), center),
            Blur::Zoom { extent, center } => (false, f64::from(extent), center),
            _ => unreachable!("a warp"),
        };
        let center = [f64::from(center[0]) * (width - 1) as f64, f64::from(center[1]) * (height - 1) as f64];
        let corners = [[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]];
        let radius = corners.iter().map(|corner| distance(corner.map(|value| value as f64), center)).fold(0.0, f64::max);
        // The corners of the picture but for the reach of blob and blur.
        let reach = 6.0 * BLOB + 0.55 * extent;
        let place = [(place[0], width), (place[1], height)].map(|(share, size)| reach + share * (size as f64 - 1.0 - 2.0 * reach));
        let amount = extent / radius;
        let expected = if turn { (2.0 * (amount / 2.0).sin() / amount).powi(2) } else { 1.0 / (1.0 - amount * amount / 4.0) };
        let image = blob(height, width, place);
        let (before, _) = moments(&image);
        let (after, moved) = moments(&linear(blur).apply(image.view()).unwrap());
        let target = [0, 1].map(|axis| center[axis] + expected * (place[axis] - center[axis]));
        // Reading between pixels smooths by up to 1/8 px^2, but not at all in the row and the column of the centre. There
        // the amount has a bend of a/4 (the mean change of scale), which weighs the height of the blob's profile, 0.2.
        prop_assert!((after / before / expected - 1.0).abs() < 2.0 * 0.2 * amount / 4.0 + 1e-4, "light {} not {}", after / before, expected);
        prop_assert!(distance(moved, target) < 0.05, "from {:?} to {:?}, not {:?}", place, moved, target);
        if extent * extent < if turn { 0.5 } else { 0.15 } * radius {
            prop_assert!(distance(moved, place) < 0.05, "from {:?} to {:?}", place, moved);
        }
    }

    #[test]
    fn moving_layers_keep_the_light_and_its_place(
        foreground in motion(12.0), background in motion(12.0), seed in any::<u64>(), softness in 0.5_f32..6.0,
    ) {
        let side = 150_usize;
        let object = |center, radius| MovingObject { center, radius, irregularity: 0.2, softness, seed };
        for (object, place) in [
            // On the object: at least 54 pixels inside its outline.
            (object([0.5, 0.5], 0.45), [74.3, 75.6]),
            // In the scene: at least 60 pixels outside.
            (object([0.3, 0.3], 0.2), [115.2, 116.7]),
        ] {
            let image = blob(side, side, place);
            let blur = Blur::ObjectMotion { object, foreground, background };
            let (before, _) = moments(&image);
            let (after, moved) = moments(&linear(blur).apply(image.view()).unwrap());
            prop_assert!((after / before - 1.0).abs() < 1e-3, "light times {}", after / before);
            prop_assert!(distance(moved, place) < 0.05, "from {:?} to {:?}", place, moved);
        }
    }

    #[test]
    fn valid_is_the_inside_of_apply(blur in varying(16.0), spare in 0_usize..4) {
        let degradation = noisy(blur);
        let margin = degradation.margin().unwrap() + spare;
        let image = picture(2, 2 * margin + 9, 2 * margin + 17);
        // The picture may be small for the way that the corner goes.
        if let Ok(whole) = degradation.apply(image.view()) {
            let inside = degradation.apply_valid(image.view(), margin).unwrap();
            prop_assert_eq!(whole.slice(s![.., margin..margin + 9, margin..margin + 17]), inside);
        }
    }

    #[test]
    fn layers_at_rest_change_nothing(object in object()) {
        let image = picture(2, 31, 44);
        let blur = Blur::ObjectMotion { object, foreground: Motion::Still, background: Motion::Still };
        let out = linear(blur).apply(image.view()).unwrap();
        prop_assert!(worst(&out, &image) < 1e-6, "{}", worst(&out, &image));
    }

    #[test]
    fn tiny_blur_changes_nothing(
        object in object(), center in prop::array::uniform2(-0.5_f32..1.5), blades in 3_u8..=16, angle_degrees in 0.0_f32..360.0,
    ) {
        let extent = 1e-4;
        let way = Motion::LinearMotion { length: extent, angle_degrees };
        let shake = Motion::CameraShake { extent, anxiety: 0.1, exposure: 0.5, seed: object.seed };
        let image = picture(2, 31, 44);
        for blur in [
            Blur::ObjectMotion { object, foreground: way, background: shake },
            Blur::Rotation { extent, center },
            Blur::Zoom { extent, center },
            Blur::Defocus { radius: 0.1, blades: Some(blades), rotation_degrees: angle_degrees },
            Blur::CustomKernel(CustomKernel { name: "dot".to_owned(), taps: vec![vec![0.0; 9], vec![0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]] }),
        ] {
            let out = linear(blur.clone()).apply(image.view()).unwrap();
            // The steepest edges of the picture are 0.5 a pixel high; edges of the object may be as narrow as 0.1 pixel.
            prop_assert!(worst(&out, &image) < 1e-3, "{:?}: {}", blur, worst(&out, &image));
        }
    }

    /// Whatever the size of the picture: a result of the same size, or an error.
    #[test]
    fn no_size_panics(
        blur in prop_oneof![varying(30.0), uniform()], channels in 0_usize..4, height in 0_usize..40, width in 0_usize..40,
        margin in 0_usize..45,
    ) {
        for degradation in [noisy(blur.clone()), with_everything(noisy(blur))] {
            let image = picture(channels, height, width);
            let needed = degradation.margin().unwrap();
            match degradation.apply(image.view()) {
                Ok(out) => prop_assert!(out.dim() == image.dim() && height > needed && width > needed),
                Err(error) => prop_assert!(matches!(error, Error::ImageTooSmall { .. }), "{}", error),
            }
            match degradation.apply_valid(image.view(), margin) {
                Ok(out) => prop_assert!(margin >= needed && out.dim() == (channels, height - 2 * margin, width - 2 * margin)),
                Err(Error::MarginTooSmall { .. }) => prop_assert!(margin < needed),
                Err(error) => prop_assert!(matches!(error, Error::ImageTooSmall { .. }), "{}", error),
            }
        }
    }
}

/// With highlights and JPEG.
fn with_everything(degradation: Degradation) -> Degradation {
    Degradation {
        highlights: Some(Highlights {
            threshold: 0.6,
            gain: 9.0,
        }),
        jpeg: Some(Jpeg {
            quality: 80,
            chroma: Chroma::Half,
        }),
        ..degradation
    }
}

#[test]
fn same_bytes_for_any_number_of_threads() {
    // Large enough to be spread over threads.
    let image = picture(3, 420, 430);
    for scenario in Scenario::ALL {
        let plain = scenario.mix(3).unwrap().sample(5).unwrap();
        for degradation in [plain.clone(), with_everything(plain)] {
            let run = |threads| {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .unwrap();
                pool.install(|| degradation.apply(image.view()).unwrap())
            };
            let one = run(1);
            assert_ne!(one, image, "{scenario}");
            for threads in [2, 5] {
                assert_eq!(one, run(threads), "{scenario} on {threads} threads");
            }
        }
    }
}

#[test]
fn frames_are_averaged_in_linear_light() {
    let degradation = linear(Blur::FrameAverage { frames: 5 });
    let frames: Vec<_> = (-2..=2)
        .map(|index| {
            blob(
                60,
                70,
                [34.2 + 2.5 * f64::from(index), 30.0 - f64::from(index)],
            )
        })
        .collect();
    let views: Vec<_> = frames.iter().map(|frame| frame.view()).collect();
    let out = degradation.apply_frames(&views).unwrap();
    let ((light, place), (expected, middle)) = (moments(&out), moments(&frames[2]));
    assert!((light / expected - 1.0).abs() < 1e-3 && distance(place, middle) < 0.05);
    let constant = Array3::from_elem((1, 5, 5), 0.37_f32);
    let out = degradation.apply_frames(&[constant.view(); 5]).unwrap();
    assert!(worst(&out, &constant) < 1e-5);
    let mut bad = constant.clone();
    bad[[0, 3, 1]] = f32::NAN;
    let views = [
        constant.view(),
        constant.view(),
        bad.view(),
        constant.view(),
        constant.view(),
    ];
    assert_eq!(
        degradation.apply_frames(&views),
        Err(Error::NonFinitePixel {
            channel: 0,
            row: 3,
            column: 1
        })
    );
    let other = Array3::zeros((1, 5, 6));
    let views = [
        constant.view(),
        constant.view(),
        other.view(),
        constant.view(),
        constant.view(),
    ];
    assert!(matches!(
        degradation.apply_frames(&views),
        Err(Error::FrameShape { index: 2, .. })
    ));
    for count in [0, 1, 4, 6] {
        let views = vec![constant.view(); count];
        assert_eq!(
            degradation.apply_frames(&views),
            Err(Error::WrongNumberOfFrames {
                family: Family::FrameAverage,
                needed: 5,
                got: count
            })
        );
    }
    // Light of 0 and 1 in halves is 0.735 in sRGB.
    let srgb = Degradation::noiseless(Blur::FrameAverage { frames: 3 });
    let step = |value| Array3::from_elem((1, 2, 2), value);
    let frames = [step(0.0), step(0.735_357), step(1.0)];
    let views = frames.each_ref().map(|frame| frame.view());
    assert!((srgb.apply_frames(&views).unwrap()[[0, 0, 0]] - 0.735_357).abs() < 1e-5);
}
