//! The noise levels of training against closed forms of their distributions.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use diffusion_sched::{BetaSchedule, NoiseLevel};
use trainer::{ExtraLevel, LevelDistribution, NoiseLevelConfig, NoiseLevels, TrainConfig};

const STEPS: u64 = 600;

fn config(noise_levels: NoiseLevelConfig, pure_noise_fraction: f64) -> TrainConfig {
    TrainConfig {
        batch: 8,
        pure_noise_fraction,
        noise_levels,
        ..TrainConfig::tiny(vec!["photos".into()], "run".into())
    }
}

fn draw(config: &TrainConfig) -> Vec<NoiseLevel> {
    let levels = NoiseLevels::new(config).unwrap();
    (0..STEPS)
        .flat_map(|step| levels.draw(step).unwrap())
        .collect()
}

/// Kolmogorov–Smirnov: the largest distance between the distribution of `values` and `cumulative`.
fn distance(mut values: Vec<f64>, cumulative: impl Fn(f64) -> f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let count = values.len() as f64;
    let gap = |(index, &value): (usize, &f64)| {
        let expected = cumulative(value);
        (expected - index as f64 / count).max((index + 1) as f64 / count - expected)
    };
    values.iter().enumerate().map(gap).fold(0.0, f64::max)
}

/// The distance that 1 % of samples of independent draws exceed. Drawn by strata, as here, fewer do.
fn critical(count: usize) -> f64 {
    1.63 / (count as f64).sqrt()
}

fn normal(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

#[test]
fn cosine_levels_are_uniform_in_the_angle_of_their_tangent() {
    let config = config(NoiseLevelConfig::cosine(), 0.0);
    let (low, high) = (config.model.sigma_min.atan(), config.model.sigma_max.atan());
    let angles: Vec<f64> = draw(&config)
        .iter()
        .map(|level| level.sigma().atan())
        .collect();
    let limit = critical(angles.len());
    assert!(distance(angles.clone(), |angle| (angle - low) / (high - low)) < limit);
    // The test sees a distribution that is slightly another one.
    assert!(distance(angles, |angle| angle / high) > limit / 4.0);
}

#[test]
fn wavegrad_levels_are_uniform_inside_each_step() {
    for (timesteps, first, last) in [(2000, 1e-6, 1e-2), (7, 0.01, 0.6)] {
        let betas = BetaSchedule::Linear {
            beta_start: first,
            beta_end: last,
        };
        let config = config(
            NoiseLevelConfig {
                distribution: LevelDistribution::Wavegrad { timesteps, betas },
                extra: Vec::new(),
            },
            0.0,
        );
        // √ᾱ after 0, 1, …, T steps by the definition, and a distribution function that is linear between them.
        let mut alphas = vec![1.0];
        let mut product = 1.0;
        for step in 0..timesteps {
            let share = step as f64 / (timesteps - 1) as f64;
            product *= 1.0 - (first + share * (last - first));
            alphas.push(f64::sqrt(product));
        }
        let cumulative = |alpha: f64| {
            let above = alphas.iter().filter(|&&knot| knot > alpha).count();
            let (Some(&upper), Some(&lower)) = (
                alphas.get(above.wrapping_sub(1)),
                alphas.get(above.min(timesteps)),
            ) else {
                return 1.0;
            };
            1.0 - (above as f64 - 1.0 + (upper - alpha) / (upper - lower)) / timesteps as f64
        };
        let drawn: Vec<f64> = draw(&config).iter().map(|level| level.alpha()).collect();
        let limit = critical(drawn.len());
        let found = distance(drawn.clone(), cumulative);
        assert!(found < limit, "T = {timesteps}: {found}");
        assert!(distance(drawn, |alpha| alpha) > 2.0 * limit);
    }
}

#[test]
fn log_normal_levels_have_a_normal_logarithm() {
    let (mean, std) = (-1.2, 1.2);
    let config = config(
        NoiseLevelConfig {
            distribution: LevelDistribution::LogNormal { mean, std },
            extra: Vec::new(),
        },
        0.0,
    );
    let logs: Vec<f64> = draw(&config)
        .iter()
        .map(|level| level.sigma().ln())
        .collect();
    let limit = critical(logs.len());
    assert!(distance(logs.clone(), |log| normal((log - mean) / std)) < limit);
    assert!(distance(logs, |log| normal((log - mean) / 1.1)) > limit / 2.0);
}

#[test]
fn chosen_levels_have_their_share_on_average() {
    let extra = vec![
        ExtraLevel {
            sigma: 0.3,
            fraction: 0.1,
        },
        ExtraLevel {
            sigma: 2.0,
            fraction: 0.25,
        },
    ];
    let distribution = LevelDistribution::Cosine {};
    let config = config(
        NoiseLevelConfig {
            distribution,
            extra,
        },
        0.25,
    );
    config.validate().unwrap();
    let drawn = draw(&config);
    let share = |sigma: f64| {
        let same = drawn.iter().filter(|level| level.sigma() == sigma);
        same.count() as f64 / drawn.len() as f64
    };
    // 0.8 crops of 8: one in four batches of five. The standard error is 0.4 / √600 of a crop.
    assert!((share(0.3) - 0.1).abs() < 4.0 * 0.4 / 8.0 / (STEPS as f64).sqrt());
    assert_eq!(share(2.0), 0.25);
    assert_eq!(share(config.model.sigma_max), 0.25);
}

#[test]
fn the_levels_of_a_step_do_not_depend_on_the_steps_before() {
    let config = config(NoiseLevelConfig::sr3(), 0.5);
    let levels = NoiseLevels::new(&config).unwrap();
    let later = levels.draw(41).unwrap();
    assert_ne!(levels.draw(40).unwrap(), later);
    assert_eq!(NoiseLevels::new(&config).unwrap().draw(41).unwrap(), later);
}

#[test]
fn impossible_levels_are_named() {
    let problems = |text: &str, pure: f64| {
        let levels: NoiseLevelConfig = toml::from_str(text).unwrap();
        let mut config = config(levels, pure);
        config.model.sigma_max = 160.0;
        config
            .validate()
            .err()
            .map_or_else(String::new, |error| error.to_string())
    };
    let sr3 =
        "distribution = { kind = \"wavegrad\", timesteps = 2000, betas = { kind = \"sr3\" } }";
    // exp(Σ β / 2) is about 150.
    assert!(problems(sr3, 0.0).contains("model.sigma_max, where sampling starts, is 160"));
    assert_eq!(problems(sr3, 0.1), "");
    for (text, named) in [
        (
            "distribution = { kind = \"wavegrad\", timesteps = 0, betas = { kind = \"sr3\" } }",
            "timesteps",
        ),
        (
            "distribution = { kind = \"log_normal\", mean = -1.2, std = 0.0 }",
            "std is 0",
        ),
        (
            "distribution = { kind = \"cosine\" }\nextra = [{ sigma = -1.0, fraction = 0.1 }]",
            "sigma is -1",
        ),
        (
            "distribution = { kind = \"cosine\" }\nextra = [{ sigma = 1.0, fraction = 0.95 }]",
            "add up to 1.05",
        ),
    ] {
        let found = problems(text, 0.1);
        assert!(found.contains(named), "{text}: {found}");
    }
}
