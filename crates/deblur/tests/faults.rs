//! What goes wrong is reported, never panicked about.

mod support;

use std::ops::ControlFlow;

use deblur::{Error, Options, Precision, Restorer, TileChoice};
use ndarray::Array3;
use support::{checkpoint, exact, largest_difference, photo, restore, unattended};

#[test]
fn a_restoration_can_be_cancelled_at_any_point() {
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = checkpoint(folder.path(), |_| ());
    let options = exact(Options {
        tile: TileChoice::Size(64),
        ..Options::sample(3)
    });
    let restorer = Restorer::new(&checkpoint, options).expect("a restorer");
    let photo = photo(100, 70);
    for stop_at in [1, 2, 5, 7] {
        let mut calls = 0;
        let result = restorer.restore(photo.view(), &mut |_| {
            calls += 1;
            if calls == stop_at {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert!(matches!(result, Err(Error::Cancelled)), "{stop_at}");
        assert_eq!(calls, stop_at, "nothing is computed after the cancellation");
    }
}

/// Just below the largest float32, where bfloat16 rounds to infinity.
const OVERFLOWS_IN_BFLOAT16: f64 = 3.4e38;

#[test]
fn overflow_in_bfloat16_falls_back_to_float32() {
    let folder = tempfile::tempdir().expect("a folder");
    let ordinary = checkpoint(folder.path(), |_| ());
    let photo = photo(40, 48);
    let expected = restore(&ordinary, exact(Options::mean()), &photo);
    // One hidden unit overflows, and a weight of 0 hides it: 0 · 3.4e38 = 0, but 0 · ∞ is NaN.
    let fragile = checkpoint(folder.path(), |tensors| {
        let _ = tensors
            .get_mut("unet.time_embedding.linear_1.bias")
            .expect("a bias")
            .narrow(0, 0, 1)
            .fill_(OVERFLOWS_IN_BFLOAT16);
        let _ = tensors
            .get_mut("unet.time_embedding.linear_2.weight")
            .expect("a weight")
            .narrow(1, 0, 1)
            .fill_(0.0);
    });
    let options = Options {
        precision: Precision::Bfloat16,
        ..exact(Options::mean())
    };
    let restored = restore(&fragile, options, &photo);
    assert_eq!(restored.precision, "float32");
    assert_eq!(restored.notes.len(), 1, "{:?}", restored.notes);
    assert!(restored.image.iter().all(|value| value.is_finite()));
    // Only the hidden unit is missing.
    let difference = largest_difference(&restored.image, &expected.image);
    assert!(difference < 0.05, "{difference}");
}

#[test]
fn a_model_that_is_never_finite_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = checkpoint(folder.path(), |tensors| {
        let _ = tensors
            .get_mut("unet.conv_out.weight")
            .expect("a weight")
            .fill_(OVERFLOWS_IN_BFLOAT16);
    });
    for precision in [Precision::Float32, Precision::Bfloat16] {
        let options = Options {
            precision,
            ..exact(Options::mean())
        };
        let restorer = Restorer::new(&broken, options).expect("a restorer");
        let error = restorer
            .restore(photo(16, 16).view(), &mut unattended)
            .expect_err("not finite");
        assert!(matches!(error, Error::NotFinite { step: 0, .. }), "{error}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn bfloat16_is_close_to_float32() {
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = checkpoint(folder.path(), |_| ());
    let photo = photo(48, 40);
    let full = restore(&checkpoint, exact(Options::mean()), &photo);
    let half = restore(
        &checkpoint,
        Options {
            precision: Precision::Bfloat16,
            ..exact(Options::mean())
        },
        &photo,
    );
    assert_eq!((full.precision, half.precision), ("float32", "bfloat16"));
    let squares: f64 = full
        .image
        .iter()
        .zip(&half.image)
        .map(|(a, b)| f64::from((a - b) * (a - b)))
        .sum();
    let rms = (squares / full.image.len() as f64).sqrt();
    assert!(rms < 0.01, "{rms}");
    assert!(rms > 0.0, "bfloat16 must round");
}

#[test]
fn tiles_below_the_minimum_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = checkpoint(folder.path(), |_| ());
    for tile in [0, 1, 31] {
        let options = exact(Options {
            tile: TileChoice::Size(tile),
            ..Options::mean()
        });
        let error = Restorer::new(&checkpoint, options).expect_err("too small");
        assert!(
            matches!(error, Error::TileTooSmall { minimum: 32, .. }),
            "{error}"
        );
        assert!(error.hint().expect("a hint").contains("32"));
    }
}

#[test]
fn arrays_that_are_no_photos_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = checkpoint(folder.path(), |_| ());
    let restorer = Restorer::new(&checkpoint, exact(Options::mean())).expect("a restorer");
    for shape in [(1, 8, 8), (4, 8, 8), (3, 0, 8), (3, 8, 0)] {
        let result = restorer.restore(Array3::zeros(shape).view(), &mut unattended);
        assert!(matches!(result, Err(Error::Shape { .. })), "{shape:?}");
    }
    let mut photo = photo(8, 8);
    photo[[1, 2, 3]] = f32::INFINITY;
    let result = restorer.restore(photo.view(), &mut unattended);
    assert!(matches!(
        result,
        Err(Error::PhotoNotFinite {
            channel: 1,
            y: 2,
            x: 3
        })
    ));
}

#[test]
fn a_photo_that_memory_cannot_hold_is_refused_before_anything_is_computed() {
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = checkpoint(folder.path(), |_| ());
    let restorer = Restorer::new(&checkpoint, exact(Options::mean())).expect("a restorer");
    // One pixel, repeated without being stored: hundreds of terabytes for a restoration.
    let pixel = Array3::<f32>::zeros((3, 1, 1));
    let photo = pixel
        .broadcast((3, 2_000_000, 2_000_000))
        .expect("a repeated pixel");
    let error = restorer
        .restore(photo, &mut |_| panic!("nothing may be computed"))
        .expect_err("too large");
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
    let source = std::error::Error::source(&error).expect("a reason");
    assert_eq!(source.to_string().matches("GB").count(), 2, "{source}");
    assert!(error.hint().is_some());
}

#[test]
fn options_are_checked_before_the_model_is_loaded() {
    let missing = deblur::CheckpointSource::File("no/such/model.safetensors".into());
    let error = Restorer::new(&missing, exact(Options::sample(0))).expect_err("no steps");
    assert!(
        matches!(
            error,
            Error::OutOfRange {
                option: "steps",
                ..
            }
        ),
        "{error}"
    );
    let error = Restorer::new(&missing, exact(Options::mean())).expect_err("no file");
    assert!(matches!(error, Error::CheckpointRead { .. }), "{error}");
}
