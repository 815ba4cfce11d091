//! How often the interval holds and the verdict is wrong, on data whose truth is known.

use super::*;
use crate::bench_ood::statistics::random::Random;
use crate::bench_ood::statistics::verdict::Verdict;
use crate::bench_ood::statistics::{normal, wilcoxon};

const EXPERIMENTS: u64 = 1_000;

fn settings() -> Settings {
    Settings {
        resamples: 1_000,
        ..Settings::default()
    }
}

fn uniform(random: &mut Random) -> f64 {
    ((random.next() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
}

/// Share of experiments whose interval holds the mean, with `count` values drawn by `draw` each.
fn coverage(count: usize, mean: f64, draw: fn(&mut Random) -> f64) -> f64 {
    let held = (0..EXPERIMENTS)
        .filter(|&experiment| {
            let mut random = Random::stream(77, experiment);
            let values: Vec<f64> = (0..count).map(|_| draw(&mut random)).collect();
            let [low, high] = interval(&values, settings()).unwrap();
            low <= mean && mean <= high
        })
        .count();
    held as f64 / EXPERIMENTS as f64
}

// 1000 experiments estimate a coverage of 95 % with a standard error of 0.7 %.

#[test]
fn forty_normal_values() {
    let found = coverage(40, 0.0, |random| normal::quantile(uniform(random)));
    assert!((0.92..=0.97).contains(&found), "{found}");
}

#[test]
fn forty_skewed_values() {
    let found = coverage(40, 1.0, |random| -uniform(random).ln());
    assert!((0.90..=0.97).contains(&found), "{found}");
}

#[test]
fn intervals_of_few_normal_values_are_too_narrow_as_the_documentation_says() {
    for (count, expected) in [(12, 0.88..=0.94), (6, 0.82..=0.90), (4, 0.76..=0.84)] {
        let found = coverage(count, 0.0, |random| normal::quantile(uniform(random)));
        assert!(expected.contains(&found), "{count}: {found}");
    }
}

#[test]
fn without_a_difference_few_verdicts_find_one() {
    let wrong = (0..EXPERIMENTS)
        .filter(|&experiment| {
            let mut random = Random::stream(99, experiment);
            let values: Vec<f64> = (0..12)
                .map(|_| normal::quantile(uniform(&mut random)))
                .collect();
            let gain = estimate(&one_condition(&values), &[0; 12], &[1.0], settings()).unwrap();
            let test = wilcoxon::two_sided(&values).map(|test| (test.p, test.direction));
            let verdict = Verdict::of(&gain, test, wilcoxon::least(12));
            matches!(verdict, Verdict::Better | Verdict::Worse)
        })
        .count();
    // 5 % and three standard errors of it.
    let share = wrong as f64 / EXPERIMENTS as f64;
    assert!((0.01..=0.07).contains(&share), "{share}");
}
