//! DISTS with the small VGG16.

use ndarray::{Array3, s};
use tch::Device;

use super::{NETWORKS, batch, check_nan, golden, noise, pairs};
use crate::error::{Error, Which};
use crate::learned::Dists;
use crate::learned::weights::WeightFile;

fn dists() -> Dists {
    let (_, widths, vgg16) = NETWORKS[1];
    let files = [vgg16, "dists_alpha_beta"].map(|name| WeightFile::read(&golden(name)).unwrap());
    Dists::from_files(&files, &widths, Device::Cpu).unwrap()
}

#[test]
fn agrees_with_the_authors_program() {
    let metric = dists();
    let pairs = pairs();
    assert_eq!(pairs.len(), 6);
    for pair in pairs {
        let got = metric.distance(pair.a.view(), pair.b.view()).unwrap();
        let expected = pair.values["dists"].as_f64().unwrap();
        // Ours in float32, the reference in float64.
        let error = (got - expected).abs() / expected;
        assert!(error < 1e-5, "{}: {got} {error:e}", pair.name);
    }
}

#[test]
fn equal_images_are_at_distance_zero_and_order_does_not_matter() {
    let metric = dists();
    let images = [
        noise(48, 40, 1),
        Array3::zeros((3, 48, 40)),
        Array3::from_elem((3, 48, 40), 0.5),
    ];
    for a in &images {
        assert_eq!(metric.distance(a.view(), a.view()).unwrap(), 0.0);
        for b in &images {
            let there = metric.distance(a.view(), b.view()).unwrap();
            let back = metric.distance(b.view(), a.view()).unwrap();
            assert!((there - back).abs() <= 1e-12, "{there} {back}");
            assert_eq!(there > 0.0, a != b);
        }
    }
}

#[test]
fn a_shift_by_one_pixel_counts_less_than_noise() {
    let metric = dists();
    let pair = pairs().into_iter().find(|pair| pair.name == "cat").unwrap();
    let sharp = pair.a.slice(s![.., .., 1..]);
    let near = metric
        .distance(sharp, pair.a.slice(s![.., .., ..-1]))
        .unwrap();
    let other = noise(sharp.dim().1, sharp.dim().2, 5);
    let far = metric.distance(sharp, other.view()).unwrap();
    assert!(0.0 < near && near < far, "{near} {far}");
}

#[test]
fn images_that_cannot_be_compared_are_errors() {
    let metric = dists();
    let image = noise(16, 16, 3);
    metric.distance(image.view(), image.view()).unwrap();
    let small = image.slice(s![.., 1.., ..]);
    assert_eq!(
        metric.distance(small, small).unwrap_err(),
        Error::ImageTooSmall {
            height: 15,
            width: 16,
            needed: 16
        }
    );
    assert!(matches!(
        metric.distance(image.view(), small),
        Err(Error::ShapeMismatch { .. })
    ));
    let mut broken = image.clone();
    broken[[2, 0, 1]] = f32::NAN;
    assert_eq!(
        metric.distance(image.view(), broken.view()).unwrap_err(),
        Error::NonFinite {
            image: Which::Second,
            channel: 2,
            row: 0,
            column: 1
        }
    );
}

#[test]
fn what_is_not_a_number_has_no_distance() {
    let metric = dists();
    check_nan(|a, b| metric.distances(a, b).unwrap());
}

#[test]
fn a_batch_gives_what_single_images_give_and_gives_it_again() {
    let metric = dists();
    let (a, b, c) = (noise(50, 44, 1), noise(50, 44, 2), noise(50, 44, 3));
    let (first, second) = (batch(&[&a, &b, &c]), batch(&[&b, &c, &a]));
    let run =
        || -> Vec<f64> { Vec::try_from(&metric.distances(&first, &second).unwrap()).unwrap() };
    let distances = run();
    assert_eq!(distances, run());
    for (got, (a, b)) in distances.iter().zip([(&a, &b), (&b, &c), (&c, &a)]) {
        let single = metric.distance(a.view(), b.view()).unwrap();
        // The convolutions may be cut into other blocks.
        assert!((got - single).abs() < 1e-6 * single, "{got} {single}");
    }
}
