//! FID and KID from features, against SciPy and torch-fidelity (`tests/golden/image-quality-sets/gen.py`).

use image_quality::{Error, kid, squared_mmd};
use ndarray::{Array2, s};
use safetensors::SafeTensors;

struct Golden {
    bytes: Vec<u8>,
    values: serde_json::Value,
}

impl Golden {
    fn read() -> Self {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/golden/image-quality-sets/reference.safetensors"
        );
        let bytes = std::fs::read(path).expect("reference file");
        let (_, metadata) = SafeTensors::read_metadata(&bytes).expect("header");
        let text = &metadata.metadata().as_ref().expect("metadata")["values"];
        let values = serde_json::from_str(text).expect("JSON");
        Self { bytes, values }
    }

    fn value(&self, name: &str) -> f64 {
        self.values[name].as_f64().expect("number")
    }

    fn features(&self, name: &str) -> Array2<f32> {
        let file = SafeTensors::deserialize(&self.bytes).expect("sound file");
        let view = file.tensor(name).expect("features");
        let (chunks, _) = view.data().as_chunks();
        let values = chunks.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let &[images, features] = view.shape() else {
            panic!("two axes")
        };
        Array2::from_shape_vec((images, features), values).expect("shape and data agree")
    }
}

/// Sums of float64 in another order.
fn assert_near(got: f64, expected: f64) {
    let error = (got - expected).abs() / expected.abs();
    assert!(error < 1e-10, "{got} {expected} {error:e}");
}

#[test]
fn kernel_distance_agrees_with_torch_fidelity() {
    let golden = Golden::read();
    let (a, b) = (golden.features("a"), golden.features("b"));
    let whole = squared_mmd(a.slice(s![..33, ..]), b.view()).expect("valid");
    assert_near(whole, golden.value("squared_mmd_33"));
}

#[test]
fn sets_of_different_sizes_follow_the_definition() {
    let golden = Golden::read();
    let (a, b) = (golden.features("a"), golden.features("b"));
    let kernel = |x: usize, y: usize, of: [&Array2<f32>; 2]| {
        let product: f64 = of[0]
            .row(x)
            .iter()
            .zip(of[1].row(y))
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum();
        (product / 6.0 + 1.0).powi(3)
    };
    let within = |set: &Array2<f32>| {
        let count = set.nrows();
        let mut sum = 0.0;
        for x in 0..count {
            for y in (0..count).filter(|y| *y != x) {
                sum += kernel(x, y, [set, set]);
            }
        }
        sum / (count * (count - 1)) as f64
    };
    let mut between = 0.0;
    for x in 0..a.nrows() {
        for y in 0..b.nrows() {
            between += kernel(x, y, [&a, &b]);
        }
    }
    between /= (a.nrows() * b.nrows()) as f64;
    let expected = within(&a) + within(&b) - 2.0 * between;
    assert_near(squared_mmd(a.view(), b.view()).expect("valid"), expected);
}

#[test]
fn subsets_depend_on_the_seed_alone_and_scatter_around_the_whole() {
    let golden = Golden::read();
    let (a, b) = (golden.features("a"), golden.features("b"));
    let run = |seed, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads")
            .install(|| kid(a.view(), b.view(), 400, 20, seed).expect("valid"))
    };
    let first = run(3, 1);
    assert_eq!(first, run(3, 4));
    assert_ne!(first.mean, run(4, 1).mean);
    let protocol = first.protocol;
    assert_eq!(
        (protocol.subsets, protocol.size, protocol.seed),
        (400, 20, 3)
    );
    assert_eq!(
        (protocol.degree, protocol.gamma, protocol.offset),
        (3, 1.0 / 6.0, 1.0)
    );
    assert!(
        protocol
            .to_string()
            .starts_with("400 subsets of 20 images, seed 3, kernel ("),
        "{protocol}"
    );
    let text = serde_json::to_string(&protocol).expect("JSON");
    assert_eq!(
        serde_json::from_str::<image_quality::KidProtocol>(&text).expect("read"),
        protocol
    );
    // Each subset is an unbiased estimate of the value of the whole sets; six standard errors.
    let whole = squared_mmd(a.view(), b.view()).expect("valid");
    let error = (first.mean - whole).abs();
    assert!(
        error < 6.0 * first.standard_deviation / 20.0,
        "{first:?} {whole}"
    );
    // All of both sets, in any order, has no spread.
    let all = kid(b.view(), b.view(), 5, 33, 1).expect("valid");
    assert!(all.standard_deviation < 1e-9 * all.mean.abs());
}

#[test]
fn sets_that_cannot_be_compared_are_errors() {
    let golden = Golden::read();
    let (a, b) = (golden.features("a"), golden.features("b"));
    let one = a.slice(s![..1, ..]);
    let size = |what, got, needed| Error::SetSize { what, got, needed };
    assert_eq!(
        squared_mmd(one, b.view()).unwrap_err(),
        size("images in a set", 1, 2)
    );
    assert_eq!(
        squared_mmd(a.view(), b.slice(s![.., 1..])).unwrap_err(),
        size("features of the second set", 5, 6)
    );
    let none = a.slice(s![.., ..0]);
    assert_eq!(
        squared_mmd(none, none).unwrap_err(),
        size("features of an image", 0, 1)
    );
    for (subsets, of, expected) in [
        (0, 5, size("subsets", 0, 1)),
        (5, 1, size("images in a subset", 1, 2)),
        (5, 34, size("images in a set", 33, 34)),
    ] {
        assert_eq!(
            kid(a.view(), b.view(), subsets, of, 0).unwrap_err(),
            expected
        );
    }
    let mut broken = b.clone();
    broken[[3, 4]] = f32::INFINITY;
    assert_eq!(
        squared_mmd(a.view(), broken.view()).unwrap_err(),
        Error::NonFiniteFeature {
            image: 3,
            feature: 4
        }
    );
}

#[cfg(feature = "torch")]
mod frechet {
    use image_quality::{FeatureStatistics, frechet_distance};
    use ndarray::{Array1, arr2, array};

    use super::*;

    fn distance(a: &FeatureStatistics, b: &FeatureStatistics) -> f64 {
        frechet_distance(a, b).expect("valid")
    }

    fn gaussian(mean: Array1<f64>, covariance: Array2<f64>) -> FeatureStatistics {
        FeatureStatistics::new(mean, covariance).expect("valid")
    }

    #[test]
    fn agrees_with_scipy() {
        let golden = Golden::read();
        let of =
            |name| FeatureStatistics::from_features(golden.features(name).view()).expect("valid");
        assert_near(distance(&of("a"), &of("b")), golden.value("frechet"));
        // Without inverse: what rounding leaves of the missing directions must not count.
        let few = distance(&of("few_a"), &of("few_b"));
        assert_near(few, golden.value("frechet_few"));
    }

    #[test]
    fn gaussians_with_a_known_answer() {
        // Covariances with the same axes: |m|^2 + sum (sqrt(a) - sqrt(b))^2.
        let (sine, cosine) = 0.7_f64.sin_cos();
        let turn = arr2(&[[cosine, -sine], [sine, cosine]]);
        let along = |a, b| turn.dot(&Array2::from_diag(&array![a, b])).dot(&turn.t());
        let near = |got: f64, expected: f64| assert!((got - expected).abs() < 1e-12, "{got}");
        let a = gaussian(array![1.0, 2.0], along(4.0, 0.25));
        let b = gaussian(array![4.0, -2.0], along(1.0, 2.25));
        near(distance(&a, &b), 25.0 + 1.0 + 1.0);
        near(distance(&b, &a), 27.0);
        near(distance(&a, &a), 0.0);
        // One dimension; and a point against a Gaussian.
        let line = |mean, variance| gaussian(array![mean], arr2(&[[variance]]));
        near(distance(&line(0.0, 9.0), &line(2.0, 1.0)), 4.0 + 4.0);
        near(distance(&line(0.0, 0.0), &line(2.0, 1.0)), 4.0 + 1.0);
        // Two by two with other axes: Tr sqrt(M) = sqrt(Tr M + 2 sqrt(det M)), M = [[2, 1], [3, 3]].
        let c = gaussian(array![0.0, 0.0], Array2::from_diag(&array![1.0, 3.0]));
        let d = gaussian(array![0.0, 0.0], arr2(&[[2.0, 1.0], [1.0, 1.0]]));
        let root = (5.0_f64 + 2.0 * 3.0_f64.sqrt()).sqrt();
        near(distance(&c, &d), 4.0 + 3.0 - 2.0 * root);
    }

    #[test]
    fn statistics_are_those_of_the_definition() {
        let features = arr2(&[[1.0_f32, 2.0], [3.0, 6.0], [5.0, 1.0]]);
        let statistics = FeatureStatistics::from_features(features.view()).expect("valid");
        assert_eq!(statistics.mean(), array![3.0, 3.0]);
        assert_eq!(statistics.covariance(), arr2(&[[4.0, -1.0], [-1.0, 7.0]]));
    }

    #[test]
    fn what_is_no_covariance_is_an_error() {
        let new = |covariance| FeatureStatistics::new(array![0.0, 0.0], covariance);
        assert!(matches!(
            new(Array2::zeros((2, 3))),
            Err(Error::SetSize { got: 3, .. })
        ));
        for matrix in [
            arr2(&[[1.0, f64::NAN], [0.0, 1.0]]),
            arr2(&[[1.0, 0.5], [0.0, 1.0]]),
        ] {
            assert!(matches!(new(matrix), Err(Error::NotACovariance { .. })));
        }
        let good = new(Array2::eye(2)).expect("valid");
        for matrix in [arr2(&[[1.0, 2.0], [2.0, 1.0]]), Array2::eye(2) * 1e308] {
            let bad = new(matrix).expect("looks like one");
            assert!(matches!(
                frechet_distance(&bad, &good),
                Err(Error::NotACovariance { .. })
            ));
        }
        let other = gaussian(array![0.0], arr2(&[[1.0]]));
        assert!(frechet_distance(&good, &other).is_err());
        let one = arr2(&[[1.0_f32, 2.0]]);
        assert!(FeatureStatistics::from_features(one.view()).is_err());
    }
}
