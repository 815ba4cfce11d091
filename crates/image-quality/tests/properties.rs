//! Values derived by hand, properties, and what is refused.

use image_quality::{Direction, Error, MetricProtocol, Rounding, SsimKernel, Which, psnr, ssim};
use ndarray::{Array3, ArrayView3};
use proptest::prelude::*;

fn level(level: f32, side: usize) -> Array3<f32> {
    Array3::from_elem((3, side, side), level / 255.0)
}

fn decibels(a: &Array3<f32>, b: &Array3<f32>) -> f64 {
    psnr(a.view(), b.view(), &MetricProtocol::rgb()).expect("valid images")
}

fn similarity(a: &Array3<f32>, b: &Array3<f32>) -> f64 {
    ssim(a.view(), b.view(), &MetricProtocol::rgb()).expect("valid images")
}

#[test]
fn decibels_by_hand() {
    let close =
        |got: f64, expected: f64| assert!((got - expected).abs() < 1e-9, "{got} vs {expected}");
    // Squared error 1 everywhere: 20 log10 255.
    close(
        decibels(&level(100.0, 16), &level(101.0, 16)),
        48.130_803_608_679_1,
    );
    // Ten levels: 20 dB less.
    close(
        decibels(&level(100.0, 16), &level(110.0, 16)),
        28.130_803_608_679_1,
    );
    // Black against white.
    close(decibels(&level(0.0, 16), &level(255.0, 16)), 0.0);
    // One of 100 pixels black instead of white in all channels: a hundredth of the peak power.
    let white = level(255.0, 10);
    let mut spot = white.clone();
    spot.slice_mut(ndarray::s![.., 4, 7]).fill(0.0);
    close(decibels(&white, &spot), 20.0);
    // In one channel alone: a third of that.
    let mut red = white.clone();
    red[[0, 4, 7]] = 0.0;
    close(decibels(&white, &red), 24.771_212_547_196_626);
    // The border hides it.
    let protocol = MetricProtocol {
        border: 1,
        ..MetricProtocol::rgb()
    };
    let mut edge = white.clone();
    edge.slice_mut(ndarray::s![.., 0, ..]).fill(0.0);
    assert_eq!(
        psnr(white.view(), edge.view(), &protocol).expect("valid images"),
        f64::INFINITY
    );
    assert!(decibels(&white, &edge).is_finite());
    // Luma of white and black lies 219 levels apart.
    let luma = psnr(
        level(0.0, 8).view(),
        level(255.0, 8).view(),
        &MetricProtocol::basicsr_y(),
    )
    .expect("valid images");
    close(luma, 20.0 * (255.0_f64 / 219.0).log10());
}

#[test]
fn values_are_rounded_and_clamped() {
    let a = level(100.0, 12);
    assert_eq!(decibels(&a, &level(100.4, 12)), f64::INFINITY);
    assert!((decibels(&a, &level(100.6, 12)) - 48.130_803_608_679_1).abs() < 1e-9);
    assert_eq!(
        decibels(&level(255.0, 12), &level(400.0, 12)),
        f64::INFINITY
    );
    assert_eq!(decibels(&level(0.0, 12), &level(-50.0, 12)), f64::INFINITY);
    let exact = MetricProtocol {
        rounding: Rounding::None,
        ..MetricProtocol::rgb()
    };
    let got = psnr(a.view(), level(100.5, 12).view(), &exact).unwrap();
    // Half a level: 6.02 dB more than one level; inputs are float32.
    assert!(
        (got - 48.130_803_608_679_1 - 6.020_599_913).abs() < 1e-3,
        "{got}"
    );
}

#[test]
fn similarity_by_hand() {
    // Flat images have no structure: only the first factor is left.
    let c1 = (0.01_f64 * 255.0).powi(2);
    let expected = (2.0 * 60.0 * 200.0 + c1) / (60.0 * 60.0 + 200.0 * 200.0 + c1);
    assert!((similarity(&level(60.0, 20), &level(200.0, 20)) - expected).abs() < 1e-12);
    // An image turned into its negative around mid grey: covariance is minus the variance.
    let stripes = Array3::from_shape_fn(
        (3, 40, 40),
        |(_, y, x)| if (x + y) % 2 == 0 { 87.0 } else { 167.0 } / 255.0,
    );
    let negative = stripes.mapv(|value| 254.0 / 255.0 - value);
    assert!(similarity(&stripes, &negative) < -0.9);
}

fn picture(seed: u32, height: usize, width: usize) -> Array3<f32> {
    Array3::from_shape_fn((3, height, width), |(c, y, x)| {
        let mut bits = seed ^ (c as u32 * 7919 + y as u32 * 104_729 + x as u32 * 1_299_709);
        bits = (bits ^ (bits >> 15)).wrapping_mul(0x2C1B_3C6D);
        bits = (bits ^ (bits >> 12)).wrapping_mul(0x297A_2D39);
        (bits ^ (bits >> 15)) as f32 / u32::MAX as f32
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn symmetric_bounded_and_perfect_on_itself(
        seeds in any::<(u32, u32)>(), height in 11_usize..90, width in 11_usize..60,
    ) {
        let (a, b) = (picture(seeds.0, height, width), picture(seeds.1, height, width));
        prop_assert_eq!(decibels(&a, &a), f64::INFINITY);
        prop_assert!((similarity(&a, &a) - 1.0).abs() < 1e-12);
        prop_assert_eq!(decibels(&a, &b), decibels(&b, &a));
        prop_assert!((similarity(&a, &b) - similarity(&b, &a)).abs() < 1e-12);
        prop_assert!((-1.0..=1.0).contains(&similarity(&a, &b)));
        // Mirrored, the images are as similar as before.
        let mirrored = |image: &Array3<f32>| image.slice(ndarray::s![.., ..;-1, ..;-1]).to_owned();
        prop_assert!((similarity(&mirrored(&a), &mirrored(&b)) - similarity(&a, &b)).abs() < 1e-12);
    }

    #[test]
    fn nearer_is_better(seed in any::<u32>()) {
        let a = picture(seed, 30, 40);
        let noise = picture(seed ^ 0xABCD, 30, 40);
        let mixed = |share: f32| &a * (1.0 - share) + &noise * share;
        prop_assert!(decibels(&a, &mixed(0.1)) > decibels(&a, &mixed(0.3)));
        prop_assert!(similarity(&a, &mixed(0.1)) > similarity(&a, &mixed(0.3)));
    }
}

#[test]
fn same_value_for_any_number_of_threads() {
    let (a, b) = (picture(1, 210, 130), picture(2, 210, 130));
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| (decibels(&a, &b).to_bits(), similarity(&a, &b).to_bits()))
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn bad_input_is_refused() {
    let protocol = MetricProtocol::rgb();
    type Metric =
        fn(ArrayView3<'_, f32>, ArrayView3<'_, f32>, &MetricProtocol) -> image_quality::Result<f64>;
    let metrics: [Metric; 2] = [psnr, ssim];
    let good = picture(1, 30, 31);
    for metric in metrics {
        let other = picture(1, 31, 30);
        assert_eq!(
            metric(good.view(), other.view(), &protocol),
            Err(Error::ShapeMismatch {
                first: [3, 30, 31],
                second: [3, 31, 30]
            })
        );
        let grey = Array3::<f32>::zeros((1, 30, 30));
        assert_eq!(
            metric(grey.view(), grey.view(), &protocol),
            Err(Error::NotRgb { channels: 1 })
        );
        let none = Array3::<f32>::zeros((3, 0, 30));
        assert!(matches!(
            metric(none.view(), none.view(), &protocol),
            Err(Error::ImageTooSmall { .. })
        ));
        for border in [15, usize::MAX] {
            let wide = MetricProtocol {
                border,
                ..protocol.clone()
            };
            assert!(matches!(
                metric(good.view(), good.view(), &wide),
                Err(Error::ImageTooSmall { .. })
            ));
        }
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut broken = good.clone();
            broken[[2, 5, 6]] = bad;
            let expected = |image| {
                Err(Error::NonFinite {
                    image,
                    channel: 2,
                    row: 5,
                    column: 6,
                })
            };
            assert_eq!(
                metric(broken.view(), good.view(), &protocol),
                expected(Which::First)
            );
            assert_eq!(
                metric(good.view(), broken.view(), &protocol),
                expected(Which::Second)
            );
        }
        let invalid = MetricProtocol {
            data_range: f64::NAN,
            kernel: SsimKernel {
                window: 10,
                sigma: 0.0,
                k1: -1.0,
                k2: f64::INFINITY,
            },
            direction: Direction::LowerIsBetter,
            ..protocol.clone()
        };
        let Err(Error::InvalidProtocol { problems }) = metric(good.view(), good.view(), &invalid)
        else {
            panic!("must be refused")
        };
        assert_eq!(problems.len(), 6);
        assert_eq!(
            problems[5].to_string(),
            "direction = lower is better (must be higher is better, as PSNR and SSIM are)"
        );
        for data_range in [1.0, 100.0, 254.0, 255.5] {
            let coarse = MetricProtocol {
                data_range,
                ..protocol.clone()
            };
            let error = metric(good.view(), good.view(), &coarse).expect_err("too coarse");
            assert!(
                error.to_string().contains("data_range = "),
                "{data_range}: {error}"
            );
            let fine = MetricProtocol {
                rounding: Rounding::None,
                ..coarse
            };
            metric(good.view(), good.view(), &fine).expect("not rounded");
        }
        let wide = MetricProtocol {
            data_range: 65_535.0,
            ..protocol.clone()
        };
        metric(good.view(), good.view(), &wide).expect("16 bits");
    }
    let small = picture(1, 40, 10);
    assert_eq!(
        ssim(small.view(), small.view(), &protocol),
        Err(Error::ImageTooSmall {
            height: 40,
            width: 10,
            needed: 11
        })
    );
    assert_eq!(
        psnr(small.view(), small.view(), &protocol),
        Ok(f64::INFINITY)
    );
}

#[test]
fn protocol_is_written_and_read() {
    for protocol in [MetricProtocol::rgb(), MetricProtocol::basicsr_y()] {
        protocol.validate().unwrap();
        let text = serde_json::to_string(&protocol).unwrap();
        assert_eq!(
            serde_json::from_str::<MetricProtocol>(&text).unwrap(),
            protocol
        );
        assert!(
            serde_json::from_str::<MetricProtocol>(&text.replacen('{', "{\"extra\":1,", 1))
                .is_err()
        );
    }
    assert_eq!(
        MetricProtocol::rgb().to_string(),
        "rgb: RGB, range 0 to 255, rounded, border 0 px, SSIM window 11 x 11 Gaussian sigma 1.5 k1 0.01 k2 0.03, \
         mean of images, higher is better"
    );
}
