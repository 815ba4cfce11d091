//! What mixes, scenarios and recipes draw, and how records are written and read.

use blur_synth::{
    Blur, BlurMix, Camera, Chroma, Condition, CustomKernel, Degradation, Error, Family,
    HighlightMix, Highlights, Jpeg, JpegMix, Preset, Recipe, Response, Scenario,
};
use ndarray::Array3;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Records of the standard mix as the crate wrote them at commit 1e26aea, before moving layers, warps, polygons,
/// highlights and JPEG were added: models are trained on these draws, by seed.
const EARLIER: [(u64, &str); 5] = [
    (
        0,
        r#"{"schema_version":1,"blur":{"family":"camera_shake","extent":10.219558,"anxiety":0.026992654,"exposure":0.58291554,"seed":738346127361288},"response":{"curve":"srgb"},"shot_noise":0.0000100405605,"read_noise":0.0024842646,"quantise_bits":8,"seed":1937543411229314}"#,
    ),
    (
        1,
        r#"{"schema_version":1,"blur":{"family":"linear_motion","length":3.129791,"angle_degrees":50.387836},"response":{"curve":"srgb"},"shot_noise":0.00042458827,"read_noise":0.001091427,"quantise_bits":8,"seed":7483144056449384}"#,
    ),
    (
        6,
        r#"{"schema_version":1,"blur":{"family":"defocus","radius":2.7753444},"response":{"curve":"srgb"},"shot_noise":0.0003564065,"read_noise":0.0023296792,"quantise_bits":8,"seed":8999023494941972}"#,
    ),
    (
        42,
        r#"{"schema_version":1,"blur":{"family":"gaussian","sigma":2.3854697,"angle_degrees":0.0},"response":{"curve":"srgb"},"shot_noise":0.0004565419,"read_noise":0.0003561897,"quantise_bits":8,"seed":1129867294262566}"#,
    ),
    (
        u64::MAX,
        r#"{"schema_version":1,"blur":{"family":"defocus","radius":2.4403558},"response":{"curve":"srgb"},"shot_noise":0.0003093023,"read_noise":0.0027757187,"quantise_bits":8,"seed":2592849355905175}"#,
    ),
];
/// FNV-1a of the records of the seeds 0 to 1999 at the same commit, one after the other.
const EARLIER_HASH: u64 = 0x84b3_30eb_963c_9e1d;
/// The standard mix itself at the same commit.
const EARLIER_MIX: &str = r#"{"schema_version":1,"families":[{"family":"camera_shake","weight":1.0,"min":4.0,"max":24.0},{"family":"linear_motion","weight":1.0,"min":3.0,"max":24.0},{"family":"defocus","weight":1.0,"min":1.0,"max":6.0},{"family":"gaussian","weight":1.0,"min":0.6,"max":3.0}],"camera_shake_anxiety":[0.005,0.1],"camera_shake_exposure":[0.0625,1.0],"gaussian_axis_ratio":[1.0,1.0],"shot_noise":[0.00001,0.0005],"read_noise":[0.0002,0.003],"response":{"curve":"srgb"},"quantise_bits":8}"#;

#[test]
fn the_standard_mix_draws_what_it_drew() {
    let mix = BlurMix::standard();
    assert_eq!(serde_json::to_string(&mix).unwrap(), EARLIER_MIX);
    for (seed, record) in EARLIER {
        let earlier: Degradation = serde_json::from_str(record).unwrap();
        assert_eq!(mix.sample(seed).unwrap(), earlier, "seed {seed}");
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for seed in 0..2000 {
        let record = serde_json::to_string(&mix.sample(seed).unwrap()).unwrap();
        // A disc has a rotation since, without effect.
        for byte in record.replace(r#","rotation_degrees":0.0"#, "").bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    assert_eq!(hash, EARLIER_HASH);
}

#[test]
fn scenarios_draw_valid_records_within_their_margin() {
    for scenario in Scenario::ALL {
        for severity in 1..=5 {
            let mix = scenario.mix(severity).unwrap();
            let size = scenario.sizes()[usize::from(severity) - 1];
            assert_eq!(mix.families[0].max, size);
            let margin = mix.max_margin().unwrap();
            for seed in 0..200 {
                let degradation = mix.sample(seed).unwrap();
                let name = format!("{scenario} {severity}, seed {seed}: {degradation:?}");
                degradation.validate().expect(&name);
                assert_eq!(degradation.blur.family(), scenario.family(), "{name}");
                assert!(degradation.margin().expect(&name) <= margin, "{name}");
                assert_eq!(degradation.jpeg, None);
                let night = scenario == Scenario::NightShake;
                assert_eq!(degradation.highlights.is_some(), night, "{name}");
                if let Blur::Defocus { blades, .. } = degradation.blur {
                    let polygon = scenario == Scenario::DefocusPolygon;
                    assert_eq!(blades.is_some(), polygon, "{name}");
                }
            }
        }
        for severity in [0, 6, 255] {
            assert!(scenario.mix(severity).is_err(), "{scenario} {severity}");
        }
        assert_eq!(
            serde_json::to_string(&scenario).unwrap(),
            format!("\"{}\"", scenario.name())
        );
    }
}

#[test]
fn additions_to_a_mix_draw_in_their_ranges_and_change_nothing_else() {
    let plain = BlurMix::standard();
    let added = BlurMix {
        polygon_share: 0.5,
        highlights: Some(HighlightMix {
            share: 0.4,
            threshold: 0.9,
            gain: [3.0, 30.0],
        }),
        jpeg: Some(JpegMix {
            share: 0.7,
            quality: [60, 95],
            chroma: Chroma::Half,
        }),
        ..plain.clone()
    };
    let margin = added.max_margin().unwrap();
    let (mut discs, mut polygons, mut bright) = (0, 0, 0);
    let (mut qualities, mut blades_drawn) = (Vec::new(), Vec::new());
    let count = 1000;
    for seed in 0..count {
        let mut drawn = added.sample(seed).unwrap();
        drawn.validate().unwrap();
        if let Blur::Defocus {
            ref mut blades,
            ref mut rotation_degrees,
            ..
        } = drawn.blur
        {
            match blades.take() {
                Some(blades) => {
                    polygons += 1;
                    assert!((5..=9).contains(&blades));
                    blades_drawn.push(blades);
                }
                None => discs += 1,
            }
            assert!((0.0..=120.0).contains(rotation_degrees));
            *rotation_degrees = 0.0;
            assert!(added.sample(seed).unwrap().margin().unwrap() <= margin);
        }
        if let Some(highlights) = drawn.highlights.take() {
            bright += 1;
            assert_eq!(highlights.threshold, 0.9);
            assert!((3.0..=30.0).contains(&highlights.gain));
        }
        if let Some(jpeg) = drawn.jpeg.take() {
            assert_eq!(jpeg.chroma, Chroma::Half);
            qualities.push(jpeg.quality);
        }
        assert_eq!(drawn, plain.sample(seed).unwrap(), "seed {seed}");
    }
    // Five standard deviations about the expected numbers, 400 and 700 of 1000, and a half of the discs.
    assert!((323..477).contains(&bright), "{bright}");
    assert!((628..772).contains(&qualities.len()), "{}", qualities.len());
    let half = (discs + polygons) / 2;
    assert!(half > 80 && (half - 40..half + 40).contains(&polygons));
    assert!(*qualities.iter().min().unwrap() <= 61 && *qualities.iter().max().unwrap() >= 94);
    assert!(qualities.iter().all(|quality| (60..=95).contains(quality)));
    for blades in 5..=9 {
        assert!(blades_drawn.contains(&blades), "never {blades} blades");
    }
}

/// Conditions of every kind.
fn recipe() -> Recipe {
    let empty = Condition {
        name: String::new(),
        scenario: None,
        severity: None,
        preset: None,
        mix: None,
        blur: None,
        kernels: None,
        kernel_files: None,
        camera: None,
        per_photo: 1,
    };
    let kernels = (1..4).map(|count| CustomKernel {
        name: format!("kernel {count}"),
        taps: vec![vec![0.25; count]; 2],
    });
    let camera = Camera {
        response: Some(Response::Gamma { gamma: 2.2 }),
        shot_noise: Some(0.0),
        read_noise: Some(0.5e-3),
        quantise_bits: Some(10),
        highlights: Some(Highlights {
            threshold: 0.75,
            gain: 4.0,
        }),
        jpeg: Some(Jpeg {
            quality: 70,
            chroma: Chroma::Half,
        }),
    };
    let mut conditions: Vec<Condition> = Scenario::ALL
        .map(|scenario| Condition {
            name: format!("{scenario}-3"),
            scenario: Some(scenario),
            severity: Some(3),
            per_photo: 2,
            ..empty.clone()
        })
        .into();
    conditions.push(Condition {
        name: "preset".to_owned(),
        preset: Some(Preset::Standard),
        camera: Some(camera),
        ..empty.clone()
    });
    conditions.push(Condition {
        name: "mix".to_owned(),
        mix: Some(Scenario::NightShake.mix(2).expect("a severity")),
        ..empty.clone()
    });
    conditions.push(Condition {
        name: "blur".to_owned(),
        blur: Some(Blur::Zoom {
            extent: 9.5,
            center: [0.25, 0.75],
        }),
        ..empty.clone()
    });
    conditions.push(Condition {
        name: "kernels".to_owned(),
        kernels: Some(kernels.collect()),
        per_photo: 12,
        ..empty
    });
    Recipe {
        schema_version: 1,
        name: "everything".to_owned(),
        description: "one condition of every kind".to_owned(),
        seed: 20_261_123,
        conditions,
    }
}

/// Through JSON and TOML and back; and refused with a field too many, at every depth.
fn assert_survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(record: &T) {
    let json = serde_json::to_string(record).expect("JSON");
    assert_eq!(&serde_json::from_str::<T>(&json).expect(&json), record);
    let text = toml::to_string(record).expect("TOML");
    assert_eq!(&toml::from_str::<T>(&text).expect(&text), record);
    let value: Value = serde_json::from_str(&json).expect(&json);
    let objects = count_objects(&value);
    assert!(objects > 0);
    for place in 0..objects {
        let mut value = value.clone();
        add_field(&mut value, &mut (place as isize));
        let text = value.to_string();
        let result = serde_json::from_value::<T>(value);
        assert!(result.is_err(), "taken: {text}");
    }
}

fn count_objects(value: &Value) -> usize {
    match value {
        Value::Object(fields) => 1 + fields.values().map(count_objects).sum::<usize>(),
        Value::Array(values) => values.iter().map(count_objects).sum(),
        _ => 0,
    }
}

/// Adds a field to the object at `place`, counted in order.
fn add_field(value: &mut Value, place: &mut isize) {
    match value {
        Value::Object(fields) => {
            for value in fields.values_mut() {
                add_field(value, place);
            }
            if *place == 0 {
                fields.insert("colour".to_owned(), Value::from(1));
            }
            *place -= 1;
        }
        Value::Array(values) => values.iter_mut().for_each(|value| add_field(value, place)),
        _ => {}
    }
}

#[test]
fn records_survive_json_and_toml_and_take_nothing_unknown() {
    let recipe = recipe();
    recipe.validate().unwrap();
    assert_survives(&recipe);
    assert_survives(&BlurMix::standard());
    for condition in &recipe.conditions {
        assert_survives(condition);
        if let (Some(scenario), Some(severity)) = (condition.scenario, condition.severity) {
            assert_survives(&scenario.mix(severity).unwrap());
        }
        for index in 0..5 {
            let degradation = recipe.degradation(condition, "photo.png", index).unwrap();
            assert_survives(&degradation);
            assert_survives(&degradation.blur);
        }
    }
    assert_survives(&Degradation::noiseless(Blur::FrameAverage { frames: 7 }));
}

#[test]
fn pictures_depend_on_their_own_names_alone() {
    let small = recipe();
    let mut large = small.clone();
    let first = Condition {
        name: "a-new-one".to_owned(),
        ..small.conditions[0].clone()
    };
    large.conditions.insert(0, first.clone());
    large.name = "another name".to_owned();
    let mut seen: Vec<Degradation> = Vec::new();
    for condition in &small.conditions {
        for photo in ["a.png", "b/a.png", "b"] {
            for index in 0..2 {
                let drawn = small.degradation(condition, photo, index).unwrap();
                assert_eq!(drawn, large.degradation(condition, photo, index).unwrap());
                assert!(
                    !seen.iter().any(|other| other.seed == drawn.seed),
                    "{} {photo} {index}",
                    condition.name
                );
                seen.push(drawn);
            }
        }
    }
    // The name counts, not what the condition is; and the seed.
    let drawn = small.degradation(&small.conditions[0], "a.png", 0).unwrap();
    assert_ne!(large.degradation(&first, "a.png", 0).unwrap(), drawn);
    large.seed += 1;
    assert_ne!(
        large.degradation(&small.conditions[0], "a.png", 0).unwrap(),
        drawn
    );
    // Every kernel comes up, and the camera is the one asked for.
    let condition = |name: &str| {
        let found = small.conditions.iter().find(|other| other.name == name);
        found.unwrap()
    };
    let mut names: Vec<String> = (0..40)
        .map(|index| {
            match small
                .degradation(condition("kernels"), "a.png", index)
                .unwrap()
                .blur
            {
                Blur::CustomKernel(kernel) => kernel.name,
                other => panic!("{other:?}"),
            }
        })
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names, ["kernel 1", "kernel 2", "kernel 3"]);
    let drawn = small.degradation(condition("preset"), "a.png", 0).unwrap();
    assert_eq!(drawn.response, Response::Gamma { gamma: 2.2 });
    assert_eq!((drawn.shot_noise, drawn.read_noise), (0.0, 0.5e-3));
    assert_eq!(drawn.quantise_bits, Some(10));
    assert_eq!(drawn.highlights.unwrap().gain, 4.0);
    assert_eq!(drawn.jpeg.unwrap().quality, 70);
}

#[test]
fn all_faults_of_a_recipe_are_listed_with_their_condition() {
    let mut recipe = recipe();
    recipe.schema_version = 2;
    let good = recipe.conditions[0].clone();
    let change = |name: &str, change: &dyn Fn(&mut Condition)| {
        let mut condition = Condition {
            name: name.to_owned(),
            ..good.clone()
        };
        change(&mut condition);
        condition
    };
    let camera = Camera {
        quantise_bits: Some(17),
        shot_noise: Some(-1.0),
        ..Camera::default()
    };
    recipe.conditions = vec![
        good.clone(),
        good.clone(),
        change("Große Unschärfe", &|_| {}),
        change("no-source", &|condition| {
            condition.scenario = None;
            condition.severity = None;
        }),
        change("two-sources", &|condition| {
            condition.preset = Some(Preset::Standard)
        }),
        change("severity-six", &|condition| condition.severity = Some(6)),
        change("no-severity", &|condition| condition.severity = None),
        change("lone-severity", &|condition| {
            condition.scenario = None;
            condition.preset = Some(Preset::Standard);
        }),
        change("none-each", &|condition| condition.per_photo = 0),
        change("bad-camera", &|condition| {
            condition.camera = Some(camera.clone())
        }),
        change("bad-blur", &|condition| {
            condition.scenario = None;
            condition.severity = None;
            condition.blur = Some(Blur::disc(-2.0));
        }),
        change("no-kernels", &|condition| {
            condition.scenario = None;
            condition.severity = None;
            condition.kernels = Some(Vec::new());
        }),
    ];
    let Err(Error::InvalidRecipe { problems }) = recipe.validate() else {
        panic!("must be refused")
    };
    let expected = [
        "schema_version = 2",
        "condition 2 `camera_shake-3`: the name is used twice",
        "condition 3 `Große Unschärfe`: the name must have",
        "condition 4 `no-source`: exactly one of",
        "condition 5 `two-sources`: exactly one of scenario, preset, mix, blur, kernels, kernel_files must be given (scenario, preset is)",
        "condition 6 `severity-six`: severity = 6 must be",
        "condition 7 `no-severity`: severity must be",
        "condition 8 `lone-severity`: severity is given without a scenario",
        "condition 9 `none-each`: per_photo = 0",
        "condition 10 `bad-camera`: invalid parameters: shot_noise = -1 (must be finite and at least 0); quantise_bits = 17",
        "condition 11 `bad-blur`: invalid parameters: radius = -2",
        "condition 12 `no-kernels`: the list of kernels is empty",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(expected) {
        assert!(problem.starts_with(start), "{problem}\nis not\n{start}");
    }
    recipe.conditions.clear();
    assert!(
        recipe
            .validate()
            .unwrap_err()
            .to_string()
            .contains("there is none")
    );
    // Drawing does not rely on a check before.
    let unread = change("unread", &|condition| {
        condition.scenario = None;
        condition.kernel_files = Some(vec!["a.png".to_owned()]);
    });
    let error = recipe.degradation(&unread, "a.png", 0).unwrap_err();
    assert!(error.to_string().contains("`unread`"), "{error}");
}

#[test]
fn the_target_is_the_input_but_for_highlights() {
    // All levels of 8 bits.
    let levels = Array3::from_shape_fn((3, 16, 16), |(_, y, x)| (16 * y + x) as f32 / 255.0);
    let plain = BlurMix::standard()
        .sample_family(Family::Gaussian, 1)
        .unwrap();
    assert_eq!(plain.target(levels.view()).unwrap(), levels);
    let (threshold, gain) = (0.6_f32, 5.0_f32);
    let bright = Degradation {
        highlights: Some(Highlights { threshold, gain }),
        ..plain
    };
    let target = bright.target(levels.view()).unwrap();
    let exact = Degradation {
        quantise_bits: None,
        ..bright.clone()
    };
    let exact = exact.target(levels.view()).unwrap();
    let (mut below, mut clipped) = (0, 0);
    for ((&level, &target), &exact) in levels.iter().zip(&target).zip(&exact) {
        // The curve of IEC 61966-2-1.
        let encoded = f64::from(level);
        let light = if encoded <= 0.04045 {
            encoded / 12.92
        } else {
            ((encoded + 0.055) / 1.055).powf(2.4)
        };
        if light <= f64::from(threshold) {
            below += 1;
            assert_eq!(target, level);
            continue;
        }
        let factor =
            f64::from(gain) * (light - f64::from(threshold)) / (1.0 - f64::from(threshold));
        let expanded = (light * (1.0 + factor)).min(1.0);
        let expected = 1.055 * expanded.powf(1.0 / 2.4) - 0.055;
        // Two tables of the response, each within 3e-7, and a slope of at most 12.
        assert!(
            (f64::from(exact) - expected).abs() < 4e-6,
            "{level}: {exact} is not {expected}"
        );
        assert!(target >= level);
        clipped += usize::from(target == 1.0);
    }
    assert!(below > 300 && clipped > 100, "{below} {clipped}");
    let mut bad = levels;
    bad[[2, 1, 3]] = f32::NAN;
    assert!(matches!(
        bright.target(bad.view()),
        Err(Error::NonFinitePixel {
            channel: 2,
            row: 1,
            column: 3
        })
    ));
}
