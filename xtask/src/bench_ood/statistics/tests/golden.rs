//! Against SciPy; `tests/golden/bench-ood`.

use safetensors::SafeTensors;

use super::*;
use crate::bench_ood::statistics::{holm, wilcoxon};
use crate::workspace;

struct Golden(Vec<u8>);

impl Golden {
    fn read() -> Self {
        let file = "tests/golden/bench-ood/statistics.safetensors";
        Self(std::fs::read(workspace::root().join(file)).unwrap())
    }

    fn values(&self, name: &str) -> Vec<f64> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(name).unwrap();
        let bytes = tensor.data().as_chunks::<8>().0;
        bytes
            .iter()
            .map(|&bytes| f64::from_le_bytes(bytes))
            .collect()
    }
}

#[test]
fn wilcoxon_is_scipys() {
    let golden = Golden::read();
    for name in [
        "four",
        "twelve",
        "fifty",
        "fifty_one",
        "three_hundred",
        "ties",
        "ties_and_zeros",
        "many_ties",
    ] {
        let differences = golden.values(&format!("wilcoxon.{name}.differences"));
        let expected = golden.values(&format!("wilcoxon.{name}.p"))[0];
        let found = wilcoxon::two_sided(&differences).unwrap().p;
        assert!(
            (found / expected - 1.0).abs() < 1e-9,
            "{name}: {found}, SciPy {expected}"
        );
    }
}

#[test]
fn holm_is_that_of_statsmodels() {
    let golden = Golden::read();
    for name in ["spread", "small", "equal"] {
        let p: Vec<_> = golden
            .values(&format!("holm.{name}.p"))
            .into_iter()
            .map(Some)
            .collect();
        let expected = golden.values(&format!("holm.{name}.adjusted"));
        for (found, expected) in holm::adjust(&p).iter().zip(expected) {
            assert!((found.unwrap() - expected).abs() < 1e-15, "{name}");
        }
    }
}

/// Percentiles of 100 000 resamples vary by about 1 % of the standard error between seeds (√(0.025 · 0.975 / 100 000) / φ(1.96), and the
/// bias correction as much again); skewed tails by a little more.
const TOLERANCE: f64 = 0.05;

fn settings() -> Settings {
    Settings {
        resamples: 100_000,
        ..Settings::default()
    }
}

#[test]
fn intervals_are_scipys() {
    let golden = Golden::read();
    for name in ["normal", "skewed", "small"] {
        let of = |what: &str| golden.values(&format!("bootstrap.{name}.{what}"));
        let found = interval(&of("values"), settings()).unwrap();
        let deviation = of("deviation")[0];
        for (found, expected) in found.iter().zip(of("interval")) {
            let error = (found - expected).abs() / deviation;
            assert!(error < TOLERANCE, "{name}: {found}, SciPy {expected}");
        }
    }
}

#[test]
fn intervals_over_two_strata_are_scipys() {
    let golden = Golden::read();
    let of = |what: &str| golden.values(&format!("bootstrap_two.{what}"));
    let (first, second) = (of("first"), of("second"));
    let mut observations = one_condition(&first);
    observations.extend(one_condition(&second).iter().map(|other| Observation {
        photo: other.photo + first.len(),
        condition: 1,
        ..*other
    }));
    let mut strata = vec![0; first.len()];
    strata.extend(vec![1; second.len()]);
    let found = estimate(&observations, &strata, &[0.5, 0.5], settings()).unwrap();
    let deviation = of("deviation")[0];
    for (found, expected) in found.interval.unwrap().iter().zip(of("interval")) {
        assert!(
            (found - expected).abs() / deviation < TOLERANCE,
            "{found}, SciPy {expected}"
        );
    }
}
