//! Laws that hold for every schedule, grid and parametrisation.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use diffusion_sched::{
    BetaSchedule, CosineLogSnr, DiscreteSchedule, Error, NoiseLevel, PredictionType, Sigmas,
    TimestepSpacing, betas,
};
use proptest::prelude::*;

fn beta_schedule() -> impl Strategy<Value = (BetaSchedule, usize)> {
    let ends = || (1e-6..0.05, 1.0..20.0).prop_map(|(start, factor)| (start, start * factor));
    let kind = prop_oneof![
        ends().prop_map(|(beta_start, beta_end)| BetaSchedule::Linear {
            beta_start,
            beta_end: f64::min(beta_end, 0.9)
        }),
        ends().prop_map(|(beta_start, beta_end)| BetaSchedule::ScaledLinear {
            beta_start,
            beta_end: f64::min(beta_end, 0.9)
        }),
        Just(BetaSchedule::Sr3),
        Just(BetaSchedule::Cosine),
    ];
    (kind, 25..300_usize)
}

fn spacing() -> impl Strategy<Value = TimestepSpacing> {
    proptest::sample::select(&TimestepSpacing::ALL[..])
}

fn assert_walks_down_to_zero(sigmas: &Sigmas, steps: usize) {
    let values = sigmas.as_slice();
    assert_eq!((values.len(), sigmas.steps()), (steps + 1, steps));
    assert!(
        values.windows(2).all(|pair| pair[1] < pair[0]),
        "{values:?}"
    );
    assert_eq!(values.last(), Some(&0.0));
    assert_eq!(sigmas.max(), values[0]);
}

proptest! {
    // Failing cases are printed; tests write no files.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn alpha_bar_falls_and_sigma_rises((kind, timesteps) in beta_schedule()) {
        let schedule = DiscreteSchedule::new(&kind, timesteps).unwrap();
        prop_assert_eq!(schedule.timestep_count(), timesteps);
        prop_assert!(schedule.betas().iter().all(|beta| (0.0..1.0).contains(beta) && *beta > 0.0));
        prop_assert!(schedule.alpha_bars().windows(2).all(|pair| pair[1] < pair[0]));
        prop_assert!(schedule.sigmas().windows(2).all(|pair| pair[1] > pair[0]));
        for (t, &alpha_bar) in schedule.alpha_bars().iter().enumerate() {
            let level = schedule.level(t).unwrap();
            prop_assert!((level.alpha_bar() / alpha_bar - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn discrete_grids_walk_down(
        (kind, timesteps) in beta_schedule(),
        spacing in spacing(),
        steps in 1..300_usize,
    ) {
        let schedule = DiscreteSchedule::new(&kind, timesteps).unwrap();
        let result = Sigmas::from_discrete(&schedule, steps, spacing);
        if steps > timesteps {
            let as_expected = matches!(result, Err(Error::Count { name: "steps", .. }));
        prop_assert!(as_expected);
            return Ok(());
        }
        let sigmas = result.unwrap();
        assert_walks_down_to_zero(&sigmas, steps);
        if steps == 1 || spacing != TimestepSpacing::Leading {
            prop_assert_eq!(sigmas.max(), *schedule.sigmas().last().unwrap());
        }
    }

    #[test]
    fn karras_grids_walk_down(
        steps in 1..200_usize,
        sigma_min in 1e-4..0.5,
        factor in 2.0..1e5,
        rho in 0.5..20.0,
    ) {
        let sigmas = Sigmas::karras(steps, sigma_min, sigma_min * factor, rho).unwrap();
        assert_walks_down_to_zero(&sigmas, steps);
        prop_assert_eq!(sigmas.max(), sigma_min * factor);
        if steps > 1 {
            prop_assert_eq!(sigmas.as_slice()[steps - 1], sigma_min);
        }
    }

    #[test]
    fn log_snr_cosine_grids_walk_down(low in -30.0..0.0, span in 1.0..40.0, steps in 1..200_usize) {
        let schedule = CosineLogSnr::new(low, low + span).unwrap();
        assert_walks_down_to_zero(&Sigmas::from_log_snr_cosine(&schedule, steps).unwrap(), steps);
    }

    #[test]
    fn log_snr_cosine_is_inverted_by_time(low in -20.0..0.0, span in 1.0..30.0, t in 0.0..=1.0) {
        let schedule = CosineLogSnr::new(low, low + span).unwrap();
        let level = schedule.level(t).unwrap();
        prop_assert!((schedule.time(level).unwrap() - t).abs() < 1e-9);
        // Both halves of the formula are one function.
        prop_assert!(level.log_snr() >= low - 1e-9 && level.log_snr() <= low + span + 1e-9);
    }

    #[test]
    fn continuous_levels_stay_inside_their_step(t in 0..1000_usize, u in 0.0..=1.0) {
        let schedule = DiscreteSchedule::new(&BetaSchedule::Cosine, 1000).unwrap();
        let sigma = schedule.continuous_level(t, u).unwrap().sigma();
        let cleaner = if t == 0 { 0.0 } else { schedule.sigmas()[t - 1] };
        let noisier = schedule.sigmas()[t];
        prop_assert!(sigma <= noisier * (1.0 + 1e-9) && sigma >= cleaner * (1.0 - 1e-9));
    }

    #[test]
    fn noise_level_round_trips(log_snr in -30.0..30.0) {
        let level = NoiseLevel::from_log_snr(log_snr).unwrap();
        prop_assert!((level.log_snr() - log_snr).abs() < 1e-12 * f64::abs(log_snr).max(1.0));
        prop_assert_eq!(NoiseLevel::from_sigma(level.sigma()).unwrap(), level);
        let unit = level.alpha().powi(2) + level.sigma_vp().powi(2);
        prop_assert!((unit - 1.0).abs() < 1e-15);
        prop_assert!((level.sigma_vp() / level.alpha() / level.sigma() - 1.0).abs() < 1e-14);
        // alpha_bar and alpha near 1 hold less of sigma; what they hold comes back.
        let tolerance = 1e-14 + 1e-15 / level.sigma().powi(2);
        for same in [NoiseLevel::from_alpha_bar(level.alpha_bar()), NoiseLevel::from_alpha(level.alpha())] {
            prop_assert!((same.unwrap().sigma() / level.sigma() - 1.0).abs() < tolerance);
        }
    }

    /// For every prediction type: the denoiser of the exact prediction is the image, and ε, v and x convert into each other.
    #[test]
    fn parametrisations_agree(
        x in -3.0..3.0_f64,
        eps in -4.0..4.0_f64,
        log_snr in -12.0..12.0_f64,
    ) {
        let level = NoiseLevel::from_log_snr(log_snr).unwrap();
        let (alpha, sigma, sigma_vp) = (level.alpha(), level.sigma(), level.sigma_vp());
        let noisy = x + sigma * eps;
        let by_definition = |kind| match kind {
            PredictionType::Epsilon => eps,
            PredictionType::VPrediction => alpha * eps - sigma_vp * x,
            PredictionType::Sample => x,
        };
        for from in PredictionType::ALL {
            let target = from.target(level);
            let prediction = target.image * x + target.noise * eps;
            prop_assert_eq!(prediction, by_definition(from));
            let factors = from.precondition(level);
            prop_assert_eq!((factors.c_in, factors.alpha), (alpha, alpha));
            let denoised = factors.c_skip * noisy + factors.c_out * prediction;
            prop_assert!((denoised - x).abs() < 1e-13 * (1.0 + sigma) * 10.0, "{from:?}");
            for to in PredictionType::ALL {
                let conversion = from.convert(to, level).unwrap();
                let converted = conversion.state * noisy + conversion.prediction * prediction;
                let tolerance = 1e-12 * (1.0 + sigma + 1.0 / sigma);
                prop_assert!((converted - by_definition(to)).abs() < tolerance, "{from:?} {to:?}");
                let back = to.convert(from, level).unwrap();
                let returned = back.state * noisy + back.prediction * converted;
                prop_assert!((returned - prediction).abs() < tolerance, "{from:?} {to:?}");
            }
        }
    }

    #[test]
    fn own_grids_are_checked(mut values in proptest::collection::vec(0.01..100.0, 2..10)) {
        values.sort_by(|a, b| f64::total_cmp(b, a));
        values.dedup();
        prop_assume!(values.len() >= 2);
        let without_zero = Sigmas::new(values.clone());
        let as_expected = matches!(without_zero, Err(Error::NotEndingInZero { .. }));
        prop_assert!(as_expected);
        values.push(0.0);
        prop_assert!(Sigmas::new(values.clone()).is_ok());
        values.swap(0, 1);
        let as_expected = matches!(Sigmas::new(values), Err(Error::NotFalling { index: 1, .. }));
        prop_assert!(as_expected);
    }
}

#[test]
fn nothing_a_user_can_give_panics() {
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        assert!(NoiseLevel::from_sigma(bad).is_err());
        assert!(NoiseLevel::from_alpha_bar(bad).is_err());
        assert!(NoiseLevel::from_alpha(bad).is_err());
        assert!(Sigmas::new(vec![bad, 0.0]).is_err());
        assert!(Sigmas::new(vec![1.0, bad, 0.0]).is_err());
        assert!(Sigmas::karras(5, bad, 80.0, 7.0).is_err());
        assert!(Sigmas::karras(5, 0.1, bad, 7.0).is_err());
        assert!(Sigmas::karras(5, 0.1, 80.0, bad).is_err());
        assert!(DiscreteSchedule::from_betas(vec![bad]).is_err());
        assert!(
            betas(
                &BetaSchedule::Linear {
                    beta_start: bad,
                    beta_end: 0.1
                },
                10
            )
            .is_err()
        );
        assert!(
            betas(
                &BetaSchedule::ScaledLinear {
                    beta_start: 0.1,
                    beta_end: bad
                },
                10
            )
            .is_err()
        );
    }
    assert!(NoiseLevel::from_log_snr(f64::NAN).is_err());
    assert!(NoiseLevel::from_log_snr(-1e6).is_err());
    assert!(NoiseLevel::from_alpha_bar(0.0).is_err());
    assert!(NoiseLevel::from_alpha_bar(1.0).is_ok());
    assert!(CosineLogSnr::new(5.0, 5.0).is_err());
    assert!(CosineLogSnr::new(f64::NAN, 5.0).is_err());
    assert!(CosineLogSnr::new(-100.0, 5.0).is_err());
    assert!(
        CosineLogSnr {
            log_snr_min: 3.0,
            log_snr_max: 2.0
        }
        .level(0.5)
        .is_err()
    );
    assert!(CosineLogSnr::new(-5.0, 5.0).unwrap().level(1.1).is_err());
    assert!(Sigmas::new(vec![]).is_err());
    assert!(Sigmas::new(vec![0.0]).is_err());
    assert!(Sigmas::new(vec![0.0, 0.0]).is_err());
    assert!(Sigmas::karras(0, 0.1, 80.0, 7.0).is_err());
    assert!(Sigmas::karras(usize::MAX, 0.1, 80.0, 7.0).is_err());
    assert!(betas(&BetaSchedule::Cosine, 0).is_err());
    assert!(betas(&BetaSchedule::Cosine, usize::MAX).is_err());
    assert!(betas(&BetaSchedule::Sr3, 10).is_err());
    assert!(BetaSchedule::ho_linear(20).is_err());
    assert!(BetaSchedule::ho_linear(21).is_ok());
    assert!(DiscreteSchedule::from_betas(vec![]).is_err());
    assert!(DiscreteSchedule::from_betas(vec![0.999999; 200]).is_err());
    let schedule = DiscreteSchedule::new(&BetaSchedule::Cosine, 10).unwrap();
    assert!(schedule.timesteps(0, TimestepSpacing::Leading).is_err());
    assert!(schedule.sigmas_at(&[3, 10]).is_err());
    assert!(schedule.level(10).is_err());
}

#[test]
fn epsilon_of_a_clean_image_is_undefined() {
    let clean = NoiseLevel::from_sigma(0.0).unwrap();
    assert_eq!(
        PredictionType::Sample.convert(PredictionType::Epsilon, clean),
        None
    );
    assert!(
        PredictionType::VPrediction
            .convert(PredictionType::Epsilon, clean)
            .is_some()
    );
}

#[test]
fn configuration_reads_and_writes() {
    for (schedule, text) in [
        (BetaSchedule::Cosine, r#"{"kind":"cosine"}"#),
        (BetaSchedule::Sr3, r#"{"kind":"sr3"}"#),
        (
            BetaSchedule::Linear {
                beta_start: 0.0001,
                beta_end: 0.02,
            },
            r#"{"kind":"linear","beta_start":0.0001,"beta_end":0.02}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&schedule).unwrap(), text);
        assert_eq!(
            serde_json::from_str::<BetaSchedule>(text).unwrap(),
            schedule
        );
    }
    let unknown = r#"{"kind":"linear","beta_start":0.0001,"beta_end":0.02,"steps":5}"#;
    assert!(serde_json::from_str::<BetaSchedule>(unknown).is_err());
    assert_eq!(
        serde_json::to_string(&PredictionType::VPrediction).unwrap(),
        r#""v_prediction""#
    );
    assert_eq!(
        serde_json::to_string(&TimestepSpacing::Trailing).unwrap(),
        r#""trailing""#
    );
    let cosine: CosineLogSnr =
        serde_json::from_str(r#"{"log_snr_min":-15,"log_snr_max":15}"#).unwrap();
    assert_eq!(cosine, CosineLogSnr::new(-15.0, 15.0).unwrap());
}
