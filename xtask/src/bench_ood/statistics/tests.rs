mod coverage;
mod golden;
mod runs;

use super::bootstrap::{Observation, Settings, estimate};
use super::verdict::Verdict;
use super::wilcoxon;

fn one_condition(values: &[f64]) -> Vec<Observation> {
    values
        .iter()
        .enumerate()
        .map(|(photo, &value)| Observation {
            photo,
            condition: 0,
            value,
        })
        .collect()
}

fn interval(values: &[f64], settings: Settings) -> Option<[f64; 2]> {
    let strata = vec![0; values.len()];
    estimate(&one_condition(values), &strata, &[1.0], settings)?.interval
}

#[test]
fn values_with_known_intervals() {
    let settings = Settings::default();
    // All equal: nothing varies.
    assert_eq!(interval(&[2.5; 7], settings), Some([2.5, 2.5]));
    // One photo says nothing about others.
    assert_eq!(interval(&[2.5], settings), None);
    assert!(estimate(&[], &[], &[1.0], settings).is_none());
    // Two values: the mean is one of three, with probabilities 1/4, 1/2, 1/4.
    assert_eq!(interval(&[1.0, 3.0], settings), Some([1.0, 3.0]));
}

#[test]
fn an_interval_moves_and_scales_with_its_values() {
    let settings = Settings::default();
    let values = [0.3, 1.9, -0.4, 0.8, 4.0, 0.1, 0.7, 1.1];
    let [low, high] = interval(&values, settings).unwrap();
    let moved: Vec<f64> = values.iter().map(|value| 2.0 * value + 10.0).collect();
    let [moved_low, moved_high] = interval(&moved, settings).unwrap();
    assert!((moved_low - (2.0 * low + 10.0)).abs() < 1e-12);
    assert!((moved_high - (2.0 * high + 10.0)).abs() < 1e-12);
}

#[test]
fn infinite_values_stay_infinite() {
    let settings = Settings::default();
    let inf = f64::INFINITY;
    assert_eq!(interval(&[-inf; 5], settings), Some([-inf, -inf]));
    let of = |values: &[f64]| estimate(&one_condition(values), &[0; 8], &[1.0], settings);
    let some = of(&[inf, 1.0, 2.0, 3.0, 1.5, 2.5, 1.0, 2.0]).unwrap();
    let [low, high] = some.interval.unwrap();
    assert!(
        some.value == inf && low.is_finite() && high == inf,
        "{low} {high}"
    );
    // Both infinities have no mean.
    let both = of(&[inf, -inf, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]).unwrap();
    assert!(both.value.is_nan() && both.interval.is_none());
}

#[test]
fn a_condition_that_a_draw_leaves_empty_is_drawn_again() {
    // Condition 1 rests on one photo of ten.
    let mut observations = one_condition(&[1.0, 2.0, 1.5, 0.5, 1.0, 2.0, 1.5, 0.5, 1.2, 0.8]);
    observations.push(Observation {
        photo: 3,
        condition: 1,
        value: 5.0,
    });
    let found = estimate(&observations, &[0; 10], &[0.5, 0.5], Settings::default()).unwrap();
    assert!((found.value - 0.5 * (1.2 + 5.0)).abs() < 1e-12);
    assert_eq!(found.count, 11);
    let [low, high] = found.interval.unwrap();
    assert!(2.5 < low && low < found.value && found.value < high && high < 3.7);
}

#[test]
fn pictures_of_one_photo_are_not_independent() {
    // The same photos in four conditions with the same gains: four times the pictures, no more information.
    let values = [0.3, 1.9, -0.4, 0.8, 4.0, 0.1, 0.7, 1.1, 0.5, -0.2];
    let alone = interval(&values, Settings::default()).unwrap();
    let observations: Vec<Observation> = (0..4)
        .flat_map(|condition| {
            one_condition(&values)
                .into_iter()
                .map(move |other| Observation { condition, ..other })
        })
        .collect();
    let pooled = estimate(&observations, &[0; 10], &[0.25; 4], Settings::default()).unwrap();
    let pooled = pooled.interval.unwrap();
    for (pooled, alone) in pooled.iter().zip(alone) {
        assert!((pooled - alone).abs() < 1e-12);
    }
}

#[test]
fn mean_and_ranks_that_point_apart_are_no_verdict() {
    // Eight large gains and 42 small losses: nearly every resample has a gain, and the ranks are those of the losses.
    let values: Vec<f64> = (0..50)
        .map(|photo| match photo {
            0..8 => 300.0 + f64::from(photo),
            _ => -0.01 * f64::from(photo),
        })
        .collect();
    for sign in [1.0, -1.0] {
        let values: Vec<f64> = values.iter().map(|value| sign * value).collect();
        let gain = estimate(
            &one_condition(&values),
            &[0; 50],
            &[1.0],
            Settings::default(),
        )
        .unwrap();
        let [low, high] = gain.interval.unwrap();
        assert!(low * high > 0.0, "{low} {high}");
        let test = wilcoxon::two_sided(&values).unwrap();
        assert!(test.p < 0.05, "{}", test.p);
        let verdict = Verdict::of(&gain, Some((test.p, test.direction)), 1e-9);
        assert_eq!(verdict, Verdict::Undecided);
    }
}
