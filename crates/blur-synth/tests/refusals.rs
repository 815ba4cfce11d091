//! What every family of blur refuses: pictures that are too small or not finite, ways that are too long.

use blur_synth::{Blur, CustomKernel, Degradation, Error, Family, Motion, MovingObject, Scenario};
use ndarray::Array3;

fn picture(channels: usize, height: usize, width: usize) -> Array3<f32> {
    Array3::from_shape_fn((channels, height, width), |(c, y, x)| {
        ((3 * c + x / 2 + y / 3) % 4) as f32 / 3.0
    })
}

/// One blur of every family.
fn each_family() -> Vec<Blur> {
    let draw = |scenario: Scenario| {
        let mix = scenario.mix(2).expect("a severity");
        mix.sample(3).expect("a sound mix").blur
    };
    let mut blurs: Vec<Blur> = Scenario::ALL.map(draw).into();
    blurs.push(Blur::FrameAverage { frames: 3 });
    blurs.push(Blur::CustomKernel(CustomKernel {
        name: "three".to_owned(),
        taps: vec![vec![0.0, 1.0, 2.0]],
    }));
    for family in Family::ALL {
        assert!(
            blurs.iter().any(|blur| blur.family() == family),
            "{family} is missing"
        );
    }
    blurs
}

#[test]
fn bad_pictures_are_refused_by_every_family() {
    for blur in each_family() {
        let degradation = Degradation::noiseless(blur.clone());
        let name = format!("{blur:?}");
        let apply = |image: &Array3<f32>| degradation.apply(image.view());
        if blur.family() == Family::FrameAverage {
            assert!(
                matches!(
                    apply(&picture(3, 40, 40)),
                    Err(Error::WrongNumberOfFrames {
                        needed: 3,
                        got: 1,
                        ..
                    })
                ),
                "{name}"
            );
            continue;
        }
        assert!(
            matches!(
                degradation.apply_frames(&[picture(3, 40, 40).view(); 3]),
                Err(Error::WrongNumberOfFrames {
                    needed: 1,
                    got: 3,
                    ..
                })
            ),
            "{name}"
        );
        let margin = degradation.margin().unwrap();
        assert!(margin > 0, "{name}");
        for (height, width) in [(1, 1), (margin, 60), (60, margin), (0, 60), (60, 0)] {
            let error = apply(&picture(3, height, width)).unwrap_err();
            assert!(
                matches!(error, Error::ImageTooSmall { .. }),
                "{name}: {error}"
            );
        }
        // No channel, no samples.
        assert_eq!(apply(&picture(0, 60, 60)).unwrap().dim(), (0, 60, 60));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut image = picture(3, 60, 64);
            image[[1, 29, 32]] = bad;
            let expected = Error::NonFinitePixel {
                channel: 1,
                row: 29,
                column: 32,
            };
            assert_eq!(apply(&image), Err(expected.clone()), "{name}");
            assert_eq!(
                degradation.apply_valid(image.view(), margin),
                Err(expected),
                "{name}"
            );
        }
    }
}

#[test]
fn ways_beyond_the_picture_are_refused() {
    let far = [1e9, f32::MAX];
    let motions = |length| {
        [
            Motion::LinearMotion {
                length,
                angle_degrees: 0.0,
            },
            Motion::CameraShake {
                extent: length,
                anxiety: 0.1,
                exposure: 0.5,
                seed: 1,
            },
        ]
    };
    let object = MovingObject {
        center: [0.5; 2],
        radius: 0.3,
        irregularity: 0.5,
        softness: 2.0,
        seed: 1,
    };
    for extent in far {
        let mut blurs = vec![
            Blur::Rotation {
                extent,
                center: [0.5; 2],
            },
            Blur::Zoom {
                extent,
                center: [0.5; 2],
            },
        ];
        for way in motions(extent) {
            for (foreground, background) in [(way, Motion::Still), (Motion::Still, way)] {
                blurs.push(Blur::ObjectMotion {
                    object,
                    foreground,
                    background,
                });
            }
        }
        for blur in blurs {
            let error = Degradation::noiseless(blur.clone())
                .apply(picture(1, 64, 64).view())
                .unwrap_err();
            assert!(
                matches!(error, Error::KernelTooLarge { limit: 128, .. }),
                "{blur:?}: {error}"
            );
        }
    }
    // A way within the limit, but longer than the picture is large; the margin would fit.
    for blur in [
        Blur::Rotation {
            extent: 50.0,
            center: [0.5; 2],
        },
        Blur::Zoom {
            extent: 50.0,
            center: [0.5; 2],
        },
    ] {
        let error = Degradation::noiseless(blur)
            .apply(picture(1, 60, 60).view())
            .unwrap_err();
        assert!(matches!(error, Error::ImageTooSmall { .. }), "{error}");
    }
    // Objects of any size, anywhere.
    let still = Motion::LinearMotion {
        length: 3.0,
        angle_degrees: 20.0,
    };
    for value in [1e-30, 1e30, f32::MAX] {
        for object in [
            MovingObject {
                radius: value,
                ..object
            },
            MovingObject {
                softness: value,
                ..object
            },
            MovingObject {
                center: [1000.0, -1000.0],
                radius: value,
                ..object
            },
        ] {
            let blur = Blur::ObjectMotion {
                object,
                foreground: still,
                background: Motion::Still,
            };
            let out = Degradation::noiseless(blur)
                .apply(picture(2, 30, 30).view())
                .unwrap();
            assert!(
                out.iter().all(|value| (0.0..=1.0).contains(value)),
                "{object:?}"
            );
        }
    }
}
