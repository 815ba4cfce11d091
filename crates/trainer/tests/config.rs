//! Configurations from files, presets and settings: what they become, and that everything that is wrong is said at once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::PathBuf;

use trainer::{ConfigProblem, Draft, Error, PRESETS, Place, Scene, TrainConfig};

/// What a file with this text becomes, after these settings.
fn read(text: &str, settings: &[&str]) -> trainer::Result<TrainConfig> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    let mut draft = Draft::from_file(&path, None)?;
    for setting in settings {
        draft.set(setting);
    }
    draft.finish()
}

#[track_caller]
fn problems(text: &str, settings: &[&str]) -> Vec<ConfigProblem> {
    match read(text, settings) {
        Err(Error::Configuration { problems, .. }) => problems,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn says(problems: &[ConfigProblem], place: &Place, words: &str) {
    let found = problems
        .iter()
        .any(|problem| problem.place == *place && problem.text.contains(words));
    assert!(found, "{place:?} {words}: {problems:#?}");
}

const START: &str = "preset = 'tiny'\nphotos = ['photos']\nout = 'run'\n";

fn tiny() -> TrainConfig {
    TrainConfig::tiny(vec!["photos".into()], "run".into())
}

#[test]
fn a_file_gives_what_differs_from_its_preset() {
    assert_eq!(read(START, &[]).unwrap(), tiny());
    let text = format!(
        "{START}steps = 7\nlearning_rate = 1\n[model]\nsigma_min = 0.5\n[model.unet]\nmid_layers = 2\n[blur.jpeg]\nshare = 0.5\nquality = [40, 90]\n"
    );
    let config = read(&text, &[]).unwrap();
    let mut expected = tiny();
    expected.steps = 7;
    expected.learning_rate = 1.0;
    expected.model.sigma_min = 0.5;
    expected.model.unet.mid_layers = 2;
    expected.blur.jpeg = Some(blur_synth::JpegMix {
        share: 0.5,
        quality: [40, 90],
        chroma: Default::default(),
    });
    assert_eq!(config, expected);
}

#[test]
fn every_preset_is_valid_and_comes_back_from_its_text() {
    for name in PRESETS {
        let config = TrainConfig::preset(name, vec!["photos".into()], "run".into()).unwrap();
        config.validate().unwrap();
        assert_eq!(config.name, name);
        let text = config.to_toml().unwrap();
        assert_eq!(read(&text, &[]).unwrap(), config, "{name}");
        if let Some(guided) = name.strip_suffix("-unguided") {
            let guided = TrainConfig::preset(guided, Vec::new(), PathBuf::new()).unwrap();
            assert_eq!(config.model.scales(), 0);
            let (with, without) = (
                guided.model.parameter_count(),
                config.model.parameter_count(),
            );
            assert!(
                (with - without).abs() * 20 <= with,
                "{name}: {with} {without}"
            );
        }
    }
    assert!(TrainConfig::preset("papper", Vec::new(), PathBuf::new()).is_none());
    let problem = Draft::from_preset("papper").unwrap_err().to_string();
    assert!(problem.contains("did you mean `paper`"), "{problem}");
}

#[test]
fn a_file_from_before_the_newer_fields_means_what_it_meant() {
    // What the first version wrote: schema 1, none of the fields that came later.
    let text = r#"
schema_version = 1
name = "old"
photos = ["photos"]
data_description = ""
out = "run"
steps = 20
batch = 4
crop = 32
seed = 1
learning_rate = 8e-4
lr_warmup_images = 8
lr_decay_images = 80
weight_decay = 1e-4
max_gradient_norm = 1.0
ema_half_life_images = 20.0
pure_noise_fraction = 0.625
loss = "l1"
guidance_weight = 1.0
guidance_scale_weights = [1.0, 1.0, 1.0]
validation_photos = 1
validation_crops = 1
validation_crop = 32
validate_every = 10
checkpoint_every = 10
log_every = 1

[blur]
schema_version = 1
camera_shake_anxiety = [0.005, 0.1]
camera_shake_exposure = [0.0625, 1.0]
gaussian_axis_ratio = [1.0, 1.0]
shot_noise = [1e-5, 5e-4]
read_noise = [2e-4, 3e-3]
quantise_bits = 8
[blur.response]
curve = "srgb"
[[blur.families]]
family = "gaussian"
weight = 1.0
min = 0.6
max = 3.0

[model]
schema_version = 1
guidance_blocks = 1
prediction_type = "v_prediction"
sigma_max = 80.0
sigma_min = 0.02
[model.target.residual]
scale = 0.1
[model.unet]
schema_version = 1
in_channels = 6
out_channels = 3
block_out_channels = [8, 12, 16]
layers_per_block = [1, 1, 1]
mid_layers = 1
embedding_channels = 16
stem = "space_to_depth"
guidance_channels = [4, 6, 8]
"#;
    let mut expected = TrainConfig {
        name: "old".into(),
        ..tiny()
    };
    expected
        .blur
        .families
        .retain(|entry| entry.family == blur_synth::Family::Gaussian);
    assert_eq!(read(text, &[]).unwrap(), expected);

    for (version, words) in [(0, "never was"), (2, "for a newer msdeblur")] {
        let text = text.replacen(
            "schema_version = 1",
            &format!("schema_version = {version}"),
            1,
        );
        let found = problems(&format!("{text}\n[news]\nwhat = 1\n"), &[]);
        assert_eq!(found.len(), 1, "{found:#?}");
        says(&found, &Place::Line(2), words);
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let text = r#"preset = "tiny"
photos = ["photos"]
out = "run"
stepps = 3
batch = "many"
crop = 33
loss = "l3"
seed = -1

[model.unet]
mid_layer = 2
embedding_channels = 7

[model.target.residual]
scal = 1

[[blur.families]]
family = "gausian"
weight = 1.0
min = 1.0
max = 2.0

[[pairs]]
name = "a"
folder = "f"
blurry = "*"
wieght = 2.0
"#;
    let found = problems(
        text,
        &[
            "steps=x",
            "model.sigma_min=200",
            "nosuch=1",
            "pairs[3].weight=1",
        ],
    );
    for (line, words) in [
        (4, "unknown key `stepps`; did you mean `steps`?"),
        (5, "`batch`: is \"many\", expected a whole number"),
        (6, "crop is 33"),
        (7, "`loss` cannot be `l3`; did you mean `l1`?"),
        (8, "`seed`"),
        (
            11,
            "unknown key `model.unet.mid_layer`; did you mean `mid_layers`?",
        ),
        (12, "embedding_channels is 7"),
        (
            15,
            "unknown key `model.target.residual.scal`; did you mean `scale`?",
        ),
        (
            18,
            "`blur.families[0].family` cannot be `gausian`; did you mean `gaussian`?",
        ),
        (27, "unknown key `pairs[0].wieght`; did you mean `weight`?"),
    ] {
        says(&found, &Place::Line(line), words);
    }
    let setting = |text: &str| Place::Setting(format!("--set {text}"));
    says(
        &found,
        &setting("steps=x"),
        "`steps`: is \"x\", expected a whole",
    );
    says(&found, &setting("model.sigma_min=200"), "sigma_min");
    says(&found, &setting("nosuch=1"), "unknown key `nosuch`");
    says(&found, &setting("pairs[3].weight=1"), "no element 3");
    says(
        &found,
        &Place::Nowhere,
        "`pairs[0].sharp`, `pairs[0].pairing` are missing",
    );
    assert_eq!(found.len(), 15, "nothing is said twice: {found:#?}");

    let text = match read(text, &[]) {
        Err(error) => error.to_string(),
        Ok(config) => panic!("{config:?}"),
    };
    assert!(text.contains("config.toml: 11 problems\n  line "), "{text}");
}

#[test]
fn a_file_without_preset_must_be_whole() {
    let whole = tiny().to_toml().unwrap();
    let text = whole
        .replacen("crop = 32\n", "", 1)
        .replacen("mid_layers = 1\n", "", 1);
    let found = problems(&text, &[]);
    assert_eq!(found.len(), 1, "{found:#?}");
    says(
        &found,
        &Place::Nowhere,
        "`crop`, `model.unet.mid_layers` are missing",
    );
}

#[test]
fn mistakes_of_toml_have_lines() {
    let found = problems("preset = 'tiny'\nsteps 3\nbatch = 1\ncrop = = 3\n", &[]);
    assert_eq!(found.len(), 2, "{found:#?}");
    says(&found, &Place::Line(2), "");
    says(&found, &Place::Line(4), "");
}

#[test]
fn settings_reach_everywhere_and_need_no_quotes() {
    let text = format!(
        "{START}[[pairs]]\nname = 'gopro'\nfolder = 'data'\nblurry = '*/blur/*'\nsharp = '*/sharp/*'\n\
         pairing = {{ sharp = '/sharp/', blurry = '/blur/' }}\n"
    );
    let config = read(
        &text,
        &[
            "steps=1000",
            "model.unet.mid_layers=2",
            "model.unet.block_out_channels=[8, 8, 8]",
            "name=my model",
            "licence=12",
            "photos=[a, b]",
            "freeze=guidance.",
            "pairs[0].weight=3",
            "pairs.gopro.scene=name",
            "pairs.gopro.pairing=same_stem",
            "blur.families.gaussian.max=9",
            "model.target=image",
            "noise_levels.distribution={ kind = 'log_normal', mean = -1.2, std = 1.2 }",
            "micro_batch=2",
        ],
    )
    .unwrap();
    assert_eq!(config.steps, 1000);
    assert_eq!(config.model.unet.mid_layers, 2);
    assert_eq!(config.model.unet.block_out_channels, [8, 8, 8]);
    assert_eq!((&*config.name, &*config.licence), ("my model", "12"));
    assert_eq!(config.photos, [PathBuf::from("a"), PathBuf::from("b")]);
    assert_eq!(config.freeze, ["guidance."]);
    assert_eq!(config.pairs[0].weight, 3.0);
    assert_eq!(config.pairs[0].scene, Scene::Name);
    assert_eq!(
        config.pairs[0].pairing,
        trainer::Pairing::Rule(trainer::PairingRule::SameStem)
    );
    let gaussian = config.blur.families.iter();
    let mut gaussian = gaussian.filter(|entry| entry.family == blur_synth::Family::Gaussian);
    assert_eq!(gaussian.next().unwrap().max, 9.0);
    assert_eq!(config.model.target, ms_guidance::Target::Image);
    assert!(matches!(
        config.noise_levels.distribution,
        trainer::LevelDistribution::LogNormal { .. }
    ));
    assert_eq!(config.micro_batch, Some(2));
    // Back to a form with keys, step by step.
    let config = read(
        START,
        &["model.target=image", "model.target.residual.scale=0.25"],
    )
    .unwrap();
    let residual = ms_guidance::Target::Residual { scale: 0.25 };
    assert_eq!(config.model.target, residual);

    let found = problems(START, &["steps", "stepps=3", "steps=[1"]);
    assert_eq!(found.len(), 3, "{found:#?}");
    says(&found, &Place::Setting("--set steps".into()), "KEY=VALUE");
    says(
        &found,
        &Place::Setting("--set stepps=3".into()),
        "did you mean `steps`?",
    );
}

#[test]
fn what_does_not_go_together_is_told_at_its_place() {
    let text = format!("{START}micro_batch = 3\nvalidate_every = 0\n");
    let found = problems(&text, &["batch=8"]);
    assert_eq!(found.len(), 2, "{found:#?}");
    says(
        &found,
        &Place::Line(4),
        "micro_batch is 3, it must divide the batch of 8",
    );
    says(&found, &Place::Line(5), "validate_every must be at least 1");
    let found = problems("preset = 'tiny'\n", &[]);
    says(&found, &Place::Nowhere, "at least one folder is needed");
    says(&found, &Place::Nowhere, "out is empty");
}
