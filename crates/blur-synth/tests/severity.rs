//! Severities mean what they say: more of the picture is lost from one to the next.

use blur_synth::{Error, Scenario};
use ndarray::Array3;

const SIDE: usize = 128;

/// Discs of random size, place and colour over each other, as leaves on the ground: edges of all sizes.
fn leaves() -> Array3<f32> {
    let mut state = 12345_u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32
    };
    let mut picture = Array3::from_elem((3, SIDE, SIDE), 0.5);
    for _ in 0..500 {
        let (x, y) = (random() * SIDE as f32, random() * SIDE as f32);
        let radius = 1.5 / (0.05 + random());
        let colour = [random(), random(), random()];
        for ((channel, row, column), value) in picture.indexed_iter_mut() {
            let (dx, dy) = (column as f32 - x, row as f32 - y);
            if dx * dx + dy * dy < radius * radius {
                *value = colour[channel];
            }
        }
    }
    picture
}

#[test]
fn each_severity_loses_more_than_the_one_before() {
    let picture = leaves();
    for scenario in Scenario::ALL {
        let losses: Vec<f64> = (1..=5)
            .map(|severity| {
                let mix = scenario.mix(severity).expect("1 to 5");
                let draws = 5;
                let total: f64 = (0..draws)
                    .map(|seed| {
                        let degradation = mix.sample(seed).expect("valid");
                        let sharp = degradation.target(picture.view()).expect("finite");
                        let blurry = degradation.apply(picture.view()).expect("large enough");
                        blurry
                            .iter()
                            .zip(&sharp)
                            .map(|(a, b)| f64::from(a - b).powi(2))
                            .sum::<f64>()
                    })
                    .sum();
                // dB, so that steps can be compared.
                10.0 * (total / f64::from(draws as u32) / picture.len() as f64).log10()
            })
            .collect();
        for pair in losses.windows(2) {
            assert!(pair[1] > pair[0] + 0.3, "{scenario}: {losses:?}");
        }
    }
}

#[test]
fn there_are_five() {
    for scenario in Scenario::ALL {
        for severity in [0, 6, 255] {
            let error = scenario.mix(severity).expect_err("no such severity");
            assert!(matches!(error, Error::InvalidParameters { .. }), "{error}");
        }
        assert!(scenario.sizes().windows(2).all(|pair| pair[1] > pair[0]));
        let text = serde_json::to_string(&scenario).expect("a name");
        assert_eq!(text, format!("\"{scenario}\""));
    }
}
