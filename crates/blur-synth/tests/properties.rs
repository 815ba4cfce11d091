//! Properties that hold for every blur, and what is refused.

use blur_synth::{
    Blur, BlurMix, Chroma, Degradation, Error, Family, HighlightMix, Highlights, Jpeg, JpegMix,
    Kernel, Response, WeightedFamily,
};
use ndarray::{Array3, s};
use proptest::prelude::*;

fn any_blur() -> impl Strategy<Value = Blur> {
    prop_oneof![
        (0.01_f32..40.0, 0.0_f32..1.0, 1e-4_f32..1.0, any::<u64>()).prop_map(
            |(extent, anxiety, exposure, seed)| {
                Blur::CameraShake {
                    extent,
                    anxiety,
                    exposure,
                    seed,
                }
            }
        ),
        (0.01_f32..60.0, -400.0_f32..400.0).prop_map(|(length, angle_degrees)| {
            Blur::LinearMotion {
                length,
                angle_degrees,
            }
        }),
        (0.01_f32..20.0).prop_map(Blur::disc),
        (
            0.05_f32..8.0,
            prop::option::of(0.02_f32..1.0),
            -400.0_f32..400.0
        )
            .prop_map(|(sigma, ratio, angle_degrees)| {
                Blur::Gaussian {
                    sigma,
                    sigma_minor: ratio.map(|ratio| sigma * ratio),
                    angle_degrees,
                }
            }),
    ]
}

/// Centroid of the taps `[x, y]` relative to the middle.
fn centroid(kernel: &Kernel) -> [f64; 2] {
    let radius = kernel.radius() as f64;
    kernel
        .taps()
        .indexed_iter()
        .fold([0.0; 2], |[x, y], ((row, column), &tap)| {
            [
                x + f64::from(tap) * (column as f64 - radius),
                y + f64::from(tap) * (row as f64 - radius),
            ]
        })
}

/// A smooth test picture with detail, in `[0, 1]`.
fn picture(channels: usize, height: usize, width: usize) -> Array3<f32> {
    Array3::from_shape_fn((channels, height, width), |(c, y, x)| {
        let wave = (0.37 * x as f32 + 0.9 * c as f32).sin() * (0.21 * y as f32).cos();
        0.5 + 0.3 * wave
            + if (x / 5 + y / 7) % 2 == 0 {
                0.19
            } else {
                -0.19
            }
    })
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn kernels_are_centred_densities(blur in any_blur()) {
        let kernel = blur.kernel().unwrap();
        let taps = kernel.taps();
        prop_assert_eq!(taps.nrows(), taps.ncols());
        prop_assert_eq!(taps.nrows() % 2, 1);
        prop_assert!(taps.iter().all(|&tap| tap >= 0.0));
        let sum: f64 = taps.iter().map(|&tap| f64::from(tap)).sum();
        prop_assert!((sum - 1.0).abs() < 1e-6, "sum {}", sum);
        let [x, y] = centroid(&kernel);
        prop_assert!(x.hypot(y) < 1e-4, "centroid {} {}", x, y);
    }

    #[test]
    fn valid_is_the_inside_of_apply(blur in any_blur(), spare in 0_usize..4) {
        let degradation = noisy(blur);
        let margin = degradation.margin().unwrap() + spare;
        let image = picture(2, 2 * margin + 9, 2 * margin + 37);
        let whole = degradation.apply(image.view()).unwrap();
        let inside = degradation.apply_valid(image.view(), margin).unwrap();
        prop_assert_eq!(inside.dim(), (2, 9, 37));
        prop_assert_eq!(whole.slice(s![.., margin..margin + 9, margin..margin + 37]), inside);
    }

    #[test]
    fn records_survive_json(seed in any::<u64>()) {
        let degradation = BlurMix::standard().sample(seed).unwrap();
        degradation.validate().unwrap();
        let text = serde_json::to_string(&degradation).unwrap();
        prop_assert_eq!(serde_json::from_str::<Degradation>(&text).unwrap(), degradation);
    }

    #[test]
    fn tiny_blur_changes_nothing(family in 0_usize..4) {
        let blur = match Family::ALL[family] {
            Family::CameraShake => Blur::CameraShake { extent: 1e-4, anxiety: 0.05, exposure: 0.5, seed: 3 },
            Family::LinearMotion => Blur::LinearMotion { length: 1e-4, angle_degrees: 33.0 },
            Family::Defocus => Blur::disc(0.4),
            _ => Blur::Gaussian { sigma: 0.05, sigma_minor: None, angle_degrees: 0.0 },
        };
        let image = picture(3, 20, 24);
        let out = Degradation::noiseless(blur).apply(image.view()).unwrap();
        for (a, b) in out.iter().zip(&image) {
            prop_assert!((a - b).abs() < 1e-4, "{} vs {}", a, b);
        }
    }

    #[test]
    fn linear_light_is_kept(blur in any_blur()) {
        // A bright spot, far enough from the border: its light is spread, none lost.
        let degradation = Degradation { response: Response::Gamma { gamma: 1.0 }, ..Degradation::noiseless(blur) };
        let margin = degradation.margin().unwrap();
        let side = 4 * margin + 5;
        let mut image = Array3::zeros((1, side, side));
        image[[0, side / 2, side / 2]] = 1.0;
        let out = degradation.apply(image.view()).unwrap();
        let sum: f64 = out.iter().map(|&value| f64::from(value)).sum();
        prop_assert!((sum - 1.0).abs() < 1e-5, "sum {}", sum);
        // The picture of a point is the kernel itself, not its mirror image.
        let kernel = degradation.blur.kernel().unwrap();
        let middle = side / 2;
        let spot = out.slice(s![0, middle - margin..=middle + margin, middle - margin..=middle + margin]);
        for (a, b) in spot.iter().zip(kernel.taps()) {
            prop_assert!((a - b).abs() < 1e-6);
        }
    }
}

#[test]
fn same_bytes_for_any_number_of_threads() {
    // Large enough to be spread over threads.
    let image = picture(3, 440, 450);
    let mix = BlurMix::standard();
    for family in mix.families.iter().map(|entry| entry.family) {
        let degradation = mix.sample_family(family, 5).unwrap();
        assert_eq!(degradation.blur.family(), family);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| degradation.apply(image.view()).unwrap())
        };
        let one = run(1);
        assert_eq!(one, run(3));
        // The crop path, on this thread, agrees with the spread path.
        let margin = degradation.margin().unwrap();
        let crop = image.slice(s![.., ..2 * margin + 20, ..2 * margin + 20]);
        let crop = degradation.apply_valid(crop, margin).unwrap();
        assert_eq!(
            one.slice(s![.., margin..margin + 20, margin..margin + 20]),
            crop
        );
    }
}

#[test]
fn memory_layout_does_not_matter() {
    let image = picture(3, 50, 60);
    let degradation = noisy(Blur::disc(3.0));
    let turned = image
        .view()
        .reversed_axes()
        .as_standard_layout()
        .into_owned();
    assert_eq!(
        degradation.apply(image.view()).unwrap(),
        degradation.apply(turned.view().reversed_axes()).unwrap()
    );
}

#[test]
fn noise_has_the_variance_of_the_record() {
    let light = 0.4_f32;
    let image = Array3::from_elem((3, 200, 200), light);
    let degradation = Degradation {
        response: Response::Gamma { gamma: 1.0 },
        shot_noise: 2e-4,
        read_noise: 3e-3,
        seed: 9,
        ..Degradation::noiseless(Blur::disc(0.3))
    };
    let out = degradation.apply(image.view()).unwrap();
    let count = out.len() as f64;
    let mean = out.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let variance = out
        .iter()
        .map(|&value| (f64::from(value) - mean).powi(2))
        .sum::<f64>()
        / count;
    let expected = 2e-4 * f64::from(light) + 3e-3 * 3e-3;
    assert!((mean - f64::from(light)).abs() < 2e-4, "{mean}");
    // Standard error of a variance over 120,000 samples: 0.4 %.
    assert!(
        (variance / expected - 1.0).abs() < 0.02,
        "{variance} vs {expected}"
    );
    // Neighbours and channels are independent.
    for shift in [s![.., .., 1..], s![.., 1.., ..], s![1.., .., ..]] {
        let moved = out.slice(shift);
        let (c, h, w) = moved.dim();
        let product = moved
            .iter()
            .zip(out.slice(s![..c, ..h, ..w]))
            .map(|(&a, &b)| (f64::from(a) - mean) * (f64::from(b) - mean));
        let correlation = product.sum::<f64>() / moved.len() as f64 / variance;
        assert!(correlation.abs() < 0.02, "{correlation}");
    }
    let other = Degradation {
        seed: 10,
        ..degradation.clone()
    }
    .apply(image.view())
    .unwrap();
    assert_ne!(out, other);
}

#[test]
fn blur_happens_in_linear_light() {
    // Half black, half white under a wide blur: the middle holds half the light, which sRGB writes as 0.735.
    let image = Array3::from_shape_fn((1, 40, 41), |(_, _, x)| {
        if x < 20 {
            0.0
        } else if x == 20 {
            0.735_357
        } else {
            1.0
        }
    });
    let out = Degradation::noiseless(Blur::disc(6.0))
        .apply(image.view())
        .unwrap();
    assert!((out[[0, 20, 20]] - 0.735_357).abs() < 1e-4);
}

#[test]
fn quantised_values_lie_on_the_grid() {
    let image = picture(3, 40, 40);
    for bits in [1_u8, 8, 16] {
        let degradation = Degradation {
            quantise_bits: Some(bits),
            ..noisy(Blur::disc(2.0))
        };
        let exact = Degradation {
            quantise_bits: None,
            ..degradation.clone()
        }
        .apply(image.view())
        .unwrap();
        let out = degradation.apply(image.view()).unwrap();
        let levels = ((1_u32 << bits) - 1) as f32;
        for (&value, &exact) in out.iter().zip(&exact) {
            assert!((value * levels - (value * levels).round()).abs() < 5e-3);
            assert!((value - exact).abs() <= 0.5001 / levels + 1e-7);
        }
    }
}

#[test]
fn mix_draws_what_it_says() {
    let mix = BlurMix::standard();
    let margin = mix.max_margin().unwrap();
    let mut counts = [0; 4];
    for seed in 0..2000 {
        let degradation = mix.sample(seed).unwrap();
        assert!((2e-4..=3e-3).contains(&degradation.read_noise));
        assert!((1e-5..=5e-4).contains(&degradation.shot_noise));
        let family = degradation.blur.family();
        counts[Family::ALL
            .iter()
            .position(|&other| other == family)
            .unwrap()] += 1;
        if seed < 300 {
            assert!(degradation.margin().unwrap() <= margin);
        }
        assert_eq!(degradation, mix.sample(seed).unwrap());
    }
    // Expected 500 each with a standard deviation of 19.
    assert!(
        counts.iter().all(|count| (400..600).contains(count)),
        "{counts:?}"
    );
    let lopsided = BlurMix {
        families: vec![
            WeightedFamily {
                family: Family::Defocus,
                weight: 3.0,
                min: 2.0,
                max: 2.0,
            },
            WeightedFamily {
                family: Family::Gaussian,
                weight: 0.0,
                min: 1.0,
                max: 2.0,
            },
        ],
        gaussian_axis_ratio: [0.2, 0.4],
        shot_noise: [0.0, 0.0],
        ..mix
    };
    for seed in 0..50 {
        let degradation = lopsided.sample(seed).unwrap();
        assert_eq!(degradation.blur, Blur::disc(2.0));
        assert_eq!(degradation.shot_noise, 0.0);
    }
    match lopsided.sample_family(Family::Gaussian, 1).unwrap().blur {
        Blur::Gaussian {
            sigma,
            sigma_minor: Some(minor),
            ..
        } => assert!((0.2..=0.4001).contains(&(minor / sigma))),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        lopsided.sample_family(Family::CameraShake, 1),
        Err(Error::FamilyNotInMix {
            family: Family::CameraShake
        })
    );
}

#[test]
fn widest_shakes_stay_within_the_margin() {
    for seed in 0..400 {
        let blur = Blur::CameraShake {
            extent: 24.0,
            anxiety: 0.1 * (seed % 11) as f32,
            exposure: 0.5,
            seed,
        };
        let kernel = blur.kernel().unwrap();
        assert!(kernel.radius() <= 24, "{}", kernel.radius());
        // The longer side of the support is the extent, up to the pixels that the ends share.
        let taps = kernel.taps();
        let used = |rows: bool| {
            let side = taps.nrows();
            let filled: Vec<usize> = (0..side)
                .filter(|&i| {
                    if rows {
                        taps.row(i).sum() > 0.0
                    } else {
                        taps.column(i).sum() > 0.0
                    }
                })
                .collect();
            filled[filled.len() - 1] - filled[0]
        };
        assert!(
            (24..=26).contains(&used(true).max(used(false))),
            "seed {seed}"
        );
    }
}

#[test]
fn every_problem_is_reported_at_once() {
    let degradation = Degradation {
        schema_version: 9,
        blur: Blur::Gaussian {
            sigma: f32::NAN,
            sigma_minor: Some(-1.0),
            angle_degrees: f32::INFINITY,
        },
        response: Response::Gamma { gamma: 0.0 },
        shot_noise: -1.0,
        read_noise: f32::NAN,
        quantise_bits: Some(17),
        highlights: Some(Highlights {
            threshold: 1.0,
            gain: 0.0,
        }),
        jpeg: Some(Jpeg {
            quality: 0,
            chroma: Chroma::Full,
        }),
        seed: 0,
    };
    let Err(Error::InvalidParameters { problems }) = degradation.validate() else {
        panic!("must be refused")
    };
    let fields: Vec<_> = problems.iter().map(|problem| problem.field).collect();
    assert_eq!(
        fields,
        [
            "schema_version",
            "sigma",
            "sigma_minor",
            "angle_degrees",
            "gamma",
            "shot_noise",
            "read_noise",
            "quantise_bits",
            "highlights.threshold",
            "highlights.gain",
            "jpeg.quality"
        ]
    );
    let image = picture(3, 64, 64);
    assert!(degradation.apply(image.view()).is_err());
    assert!(degradation.apply_valid(image.view(), 10).is_err());
    assert!(degradation.margin().is_err());

    let mix = BlurMix {
        schema_version: 0,
        families: vec![
            WeightedFamily {
                family: Family::Defocus,
                weight: -1.0,
                min: 0.0,
                max: f32::NAN,
            },
            WeightedFamily {
                family: Family::Defocus,
                weight: 0.5,
                min: 3.0,
                max: 2.0,
            },
        ],
        camera_shake_anxiety: [0.5, 2.0],
        camera_shake_exposure: [0.0, 1.0],
        gaussian_axis_ratio: [0.0, 1.0],
        shot_noise: [1e-3, 1e-5],
        read_noise: [-1.0, 1.0],
        response: Response::Gamma { gamma: f32::NAN },
        quantise_bits: Some(0),
        polygon_share: 1.5,
        highlights: Some(HighlightMix {
            share: -0.1,
            threshold: 1.0,
            gain: [2.0, 1.0],
        }),
        jpeg: Some(JpegMix {
            share: f32::NAN,
            quality: [90, 60],
            chroma: Chroma::Half,
        }),
    };
    let Err(Error::InvalidParameters { problems }) = mix.validate() else {
        panic!("must be refused")
    };
    assert_eq!(problems.len(), 20, "{problems:?}");
    assert!(mix.sample(1).is_err() && mix.max_margin().is_err());
    let empty = BlurMix {
        families: Vec::new(),
        ..BlurMix::standard()
    };
    assert!(empty.sample(1).is_err());
}

#[test]
fn bad_sizes_are_refused() {
    for value in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e9] {
        for blur in [
            Blur::CameraShake {
                extent: value,
                anxiety: 0.1,
                exposure: 0.5,
                seed: 1,
            },
            Blur::LinearMotion {
                length: value,
                angle_degrees: 10.0,
            },
            Blur::disc(value),
            Blur::Gaussian {
                sigma: value,
                sigma_minor: None,
                angle_degrees: 0.0,
            },
        ] {
            match blur.kernel() {
                Err(Error::KernelTooLarge { limit: 128, .. }) => assert_eq!(value, 1e9),
                Err(Error::InvalidParameters { .. }) => assert_ne!(value, 1e9),
                other => panic!("{blur:?}: {other:?}"),
            }
        }
    }
    // At the limit itself it works.
    assert_eq!(Blur::disc(128.0).kernel().unwrap().radius(), 128);
    assert!(Blur::disc(129.0).kernel().is_err());
}

#[test]
fn bad_images_are_refused() {
    let degradation = noisy(Blur::disc(5.0));
    let margin = degradation.margin().unwrap();
    assert_eq!(margin, 5);
    assert!(
        degradation
            .apply(picture(3, margin + 1, margin + 1).view())
            .is_ok()
    );
    let small = picture(3, 40, margin);
    assert_eq!(
        degradation.apply(small.view()),
        Err(Error::ImageTooSmall {
            height: 40,
            width: 5,
            margin: 5,
            needed: 6
        })
    );
    assert!(degradation.apply(Array3::zeros((3, 0, 10)).view()).is_err());
    assert_eq!(
        degradation.apply_valid(picture(3, 40, 40).view(), 4),
        Err(Error::MarginTooSmall { got: 4, needed: 5 })
    );
    for margin in [20, usize::MAX] {
        assert!(matches!(
            degradation.apply_valid(picture(3, 40, 40).view(), margin),
            Err(Error::ImageTooSmall { .. })
        ));
    }
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut image = picture(3, 40, 40);
        image[[1, 9, 12]] = bad;
        let expected = Error::NonFinitePixel {
            channel: 1,
            row: 9,
            column: 12,
        };
        assert_eq!(degradation.apply(image.view()), Err(expected.clone()));
        assert_eq!(degradation.apply_valid(image.view(), 7), Err(expected));
    }
    // Outside the range is clamped.
    let mut image = picture(3, 40, 40);
    image[[0, 0, 0]] = 7.0;
    image[[0, 1, 0]] = -7.0;
    let mut clamped = image.clone();
    clamped[[0, 0, 0]] = 1.0;
    clamped[[0, 1, 0]] = 0.0;
    assert_eq!(
        degradation.apply(image.view()).unwrap(),
        degradation.apply(clamped.view()).unwrap()
    );
}

#[test]
fn unknown_fields_are_refused() {
    for text in [
        r#"{"family":"defocus","radius":2.0,"colour":1}"#,
        r#"{"family":"disc","radius":2.0}"#,
        r#"{"family":"linear_motion","length":2.0}"#,
    ] {
        assert!(serde_json::from_str::<Blur>(text).is_err(), "{text}");
    }
    let blur: Blur = serde_json::from_str(r#"{"family":"gaussian","sigma":2.0}"#).unwrap();
    assert_eq!(
        blur,
        Blur::Gaussian {
            sigma: 2.0,
            sigma_minor: None,
            angle_degrees: 0.0
        }
    );
    let mix = serde_json::to_string(&BlurMix::standard()).unwrap();
    assert_eq!(
        serde_json::from_str::<BlurMix>(&mix).unwrap(),
        BlurMix::standard()
    );
    assert!(serde_json::from_str::<BlurMix>(&mix.replacen('{', r#"{"extra":1,"#, 1)).is_err());
    for family in Family::ALL {
        assert_eq!(
            serde_json::to_string(&family).unwrap(),
            format!("\"{}\"", family.name())
        );
    }
}
