//! Schedules against the papers' formulas in 50-digit arithmetic, and picked timesteps against diffusers.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod support;

use diffusion_sched::{
    BetaSchedule, CosineLogSnr, DiscreteSchedule, NoiseLevel, Sigmas, TimestepSpacing,
};
use safetensors::SafeTensors;
use support::{f64s, golden, i64s, relative_difference};

const TOLERANCE: f64 = 1e-12;

#[test]
fn betas_alpha_bars_and_sigmas() {
    let data = golden("schedules.safetensors");
    let file = SafeTensors::deserialize(&data).unwrap();
    let cases = [
        ("linear_1000", BetaSchedule::ho_linear(1000).unwrap(), 1000),
        ("linear_250", BetaSchedule::ho_linear(250).unwrap(), 250),
        (
            "scaled_linear_1000",
            BetaSchedule::ScaledLinear {
                beta_start: 0.00085,
                beta_end: 0.012,
            },
            1000,
        ),
        ("sr3_2000", BetaSchedule::Sr3, 2000),
        ("sr3_500", BetaSchedule::Sr3, 500),
        ("cosine_1000", BetaSchedule::Cosine, 1000),
        ("cosine_50", BetaSchedule::Cosine, 50),
    ];
    for (name, kind, timesteps) in cases {
        let schedule = DiscreteSchedule::new(&kind, timesteps).unwrap();
        let parts = [
            ("betas", schedule.betas()),
            ("alpha_bars", schedule.alpha_bars()),
            ("sigmas", schedule.sigmas()),
        ];
        for (part, got) in parts {
            let difference = relative_difference(got, &f64s(&file, &format!("{name}.{part}")));
            println!("{name}.{part}: {difference:.1e}");
            assert!(
                difference <= TOLERANCE,
                "{name}.{part} differs by {difference:e}"
            );
        }
    }
}

#[test]
fn timesteps_are_those_of_diffusers() {
    let data = golden("schedules.safetensors");
    let file = SafeTensors::deserialize(&data).unwrap();
    let mut compared = 0;
    for (spacing, name) in [
        (TimestepSpacing::Leading, "leading"),
        (TimestepSpacing::Linspace, "linspace"),
        (TimestepSpacing::Trailing, "trailing"),
    ] {
        for total in [7, 1000, 2000] {
            let schedule = DiscreteSchedule::new(&BetaSchedule::Cosine, total).unwrap();
            for steps in [1, 2, 3, 4, 7, 10, 32, 50, 150, 333, 999, 1000] {
                if steps > total {
                    assert!(schedule.timesteps(steps, spacing).is_err());
                    continue;
                }
                let got = schedule.timesteps(steps, spacing).unwrap();
                let got: Vec<i64> = got.into_iter().map(|t| t as i64).collect();
                assert_eq!(
                    got,
                    i64s(&file, &format!("timesteps.{name}.{total}.{steps}"))
                );
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 3 * (5 + 12 + 12));
}

#[test]
fn karras_grids() {
    let data = golden("schedules.safetensors");
    let file = SafeTensors::deserialize(&data).unwrap();
    for steps in [2, 10, 25] {
        let arguments = f64s(&file, &format!("karras.{steps}.arguments"));
        let got = Sigmas::karras(steps, arguments[0], arguments[1], arguments[2]).unwrap();
        let expected = f64s(&file, &format!("karras.{steps}"));
        let difference = relative_difference(got.as_slice(), &expected);
        assert!(difference <= TOLERANCE, "{steps}: {difference:e}");
    }
    assert_eq!(
        Sigmas::karras(1, 0.01, 80.0, 7.0).unwrap().as_slice(),
        [80.0, 0.0]
    );
}

#[test]
fn continuous_cosine() {
    let data = golden("schedules.safetensors");
    let file = SafeTensors::deserialize(&data).unwrap();
    let times = f64s(&file, "log_snr_cosine.times");
    for (low, high) in [(-15.0, 15.0), (-20.0, 20.0), (-6.0, 12.0)] {
        let schedule = CosineLogSnr::new(low, high).unwrap();
        let expected = f64s(&file, &format!("log_snr_cosine.{low}.{high}"));
        for (&t, &log_snr) in times.iter().zip(&expected) {
            let level = schedule.level(t).unwrap();
            // The absolute error of a logarithm is the relative error of what it is taken of.
            assert!(
                (level.log_snr() - log_snr).abs() <= TOLERANCE * log_snr.abs().max(1.0),
                "{t}"
            );
            assert!((schedule.time(level).unwrap() - t).abs() <= 1e-12, "{t}");
        }
    }
}

#[test]
fn continuous_level_inside_a_step() {
    let data = golden("schedules.safetensors");
    let file = SafeTensors::deserialize(&data).unwrap();
    let schedule = DiscreteSchedule::new(&BetaSchedule::Sr3, 2000).unwrap();
    let steps = i64s(&file, "continuous.steps");
    let uniforms = f64s(&file, "continuous.uniforms");
    let expected = f64s(&file, "continuous.sigmas");
    for ((&step, &u), &sigma) in steps.iter().zip(&uniforms).zip(&expected) {
        let level = schedule.continuous_level(step as usize, u).unwrap();
        // Near a clean image sigma² = 1 - alpha² leaves 1e-16 / sigma² of relative precision, however it is computed
        // from alpha.
        let tolerance = TOLERANCE + 2e-16 / (sigma * sigma);
        let difference = relative_difference(&[level.sigma()], &[sigma]);
        assert!(
            difference <= tolerance,
            "step {step}, u {u}: {difference:e}"
        );
    }
    assert_eq!(
        schedule.continuous_level(0, 1.0).unwrap(),
        NoiseLevel::from_sigma(0.0).unwrap()
    );
    assert!(schedule.continuous_level(2000, 0.5).is_err());
    assert!(schedule.continuous_level(5, 1.5).is_err());
    assert!(schedule.continuous_level(5, f64::NAN).is_err());
}
