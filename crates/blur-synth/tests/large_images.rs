//! Images so large, and kernels of so many taps, that convolution goes through Fourier transforms.

use blur_synth::{Blur, Degradation, Response};
use ndarray::{Array3, s};

const DISC: Blur = Blur::disc(12.3);

fn linear(blur: Blur) -> Degradation {
    Degradation {
        response: Response::Gamma { gamma: 1.0 },
        ..Degradation::noiseless(blur)
    }
}

/// A photo-like test picture: waves, steps and a black corner.
fn picture(height: usize, width: usize) -> Array3<f32> {
    Array3::from_shape_fn((3, height, width), |(c, y, x)| {
        let wave = (0.37 * x as f32 + 0.9 * c as f32).sin() * (0.21 * y as f32).cos();
        let step = if (x / 5 + y / 7) % 2 == 0 { 0.2 } else { 0.0 };
        if x + y < 150 {
            0.0
        } else {
            0.5 + 0.3 * wave + step
        }
    })
}

#[test]
fn valid_is_the_inside_of_apply_within_rounding() {
    let degradation = linear(DISC);
    let margin = degradation.margin().unwrap();
    let image = picture(331, 290);
    let whole = degradation.apply(image.view()).unwrap();
    let inside = degradation.apply_valid(image.view(), margin).unwrap();
    let part = whole.slice(s![.., margin..331 - margin, margin..290 - margin]);
    for (a, b) in part.iter().zip(&inside) {
        assert!((a - b).abs() < 2e-6, "{a} vs {b}");
    }
    // A crop is summed directly.
    let crop = image.slice(s![.., 60..160, 90..200]);
    let crop = degradation.apply_valid(crop, margin).unwrap();
    let part = whole.slice(s![.., 60 + margin..160 - margin, 90 + margin..200 - margin]);
    for (a, b) in part.iter().zip(&crop) {
        assert!((a - b).abs() < 2e-6, "{a} vs {b}");
    }
    assert_ne!(part, crop, "the large image took the direct way too");
}

#[test]
fn an_even_picture_stays_even() {
    for blur in [
        DISC,
        Blur::Gaussian {
            sigma: 4.0,
            sigma_minor: Some(3.0),
            angle_degrees: 25.0,
        },
    ] {
        let out = linear(blur)
            .apply(Array3::from_elem((3, 300, 310), 0.75).view())
            .unwrap();
        // The taps, rounded to float32, sum to 1 within 1e-6.
        assert!(out.iter().all(|value| (value - 0.75).abs() < 2e-6));
    }
}

#[test]
fn photon_noise_is_finite_where_no_light_is() {
    // Its deviation is the root of the light: the least negative light would not be a number.
    let mut image = Array3::zeros((3, 300, 310));
    image.slice_mut(s![.., 100..130, 90..140]).fill(1.0);
    let degradation = Degradation {
        shot_noise: 1e-3,
        ..linear(DISC)
    };
    let out = degradation.apply(image.view()).unwrap();
    assert!(out.iter().all(|value| (0.0..=1.0).contains(value)));
}

#[test]
fn threads_do_not_change_a_byte() {
    let image = picture(420, 430);
    let degradation = linear(DISC);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap()
            .install(|| degradation.apply(image.view()).unwrap())
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(5));
}
