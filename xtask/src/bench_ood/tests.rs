//! The run as a whole, with the real program where it is built.

mod parts;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Parser;
use image_io::{Format, Photo, PhotoInfo};
use ndarray::Array3;

use super::results::MethodKind;
use super::shard::Shard;
use super::*;
use crate::synth::SharpPhoto;

const SUITE: &str = r#"
schema_version = 1
name = "smoke"
description = "two photos under two conditions"
seed = 7
crop = [48, 40]
in_domain = [{ domain = "photos", condition = "disc" }]

[[conditions]]
name = "disc"
blur = { family = "defocus", radius = 1.5 }

[[conditions]]
name = "zoom"
blur = { family = "zoom", extent = 6.0, center = [0.5, 0.5] }

[[domains]]
name = "photos"
dataset = "free-photos-test"
split = "test"
"#;

fn photo(seed: usize) -> Photo {
    let pixels = Array3::from_shape_fn((3, 72, 80), |(channel, row, column)| {
        let block = ((row / 9 + column / 7 + seed) % 3) as f32 * 0.25;
        block + ((row * (channel + 2) + column * (seed + 1)) % 17) as f32 / 60.0 + 0.1
    });
    Photo {
        pixels,
        alpha: None,
        info: PhotoInfo::new(Format::Png),
    }
}

/// Two photos under two conditions below `out`.
fn pairs(root: &Path, out: &Path) -> Pairs {
    let suite: Suite = toml::from_str(SUITE).unwrap();
    let photos: Vec<SharpPhoto> = ["one", "two"]
        .iter()
        .enumerate()
        .map(|(seed, name)| {
            let path = format!("{name}.png");
            let file = root.join("sharp").join(&path);
            std::fs::create_dir_all(root.join("sharp")).unwrap();
            crate::synth::write_photo(&file, &photo(seed)).unwrap();
            SharpPhoto { file, path }
        })
        .collect();
    let group = suite::Group {
        domain: suite.domains[0].clone(),
        recipe: suite.recipe_of_all(),
        folder: root.join("sharp"),
        photos,
    };
    let mut pairs = Pairs::default();
    let folder = out.join(pairs::FOLDER);
    std::fs::create_dir_all(&folder).unwrap();
    pairs::of_group(&suite, &group, &folder, &mut pairs).unwrap();
    pairs
}

/// The program, if it is built and can evaluate.
fn program() -> Option<PathBuf> {
    let given = std::env::var_os("MSDEBLUR_BINARY").map(PathBuf::from);
    let program = given.unwrap_or_else(workspace::msdeblur);
    let help = Command::new(&program)
        .args(["evaluate", "--help"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let is_usable = help.is_ok_and(|status| status.success());
    if !is_usable {
        eprintln!("skipped: {} is not built", program.display());
    }
    is_usable.then_some(program)
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn arguments(line: &[&str]) -> Arguments {
    let line = std::iter::once("bench-ood").chain(line.iter().copied());
    Line::try_parse_from(line).unwrap().arguments
}

fn record(pairs: &Pairs, shard: Option<Shard>) -> RunRecord {
    let suite = SuiteInfo {
        name: "smoke".to_owned(),
        description: String::new(),
        seed: 7,
        crop: Some([48, 40]),
        sha256: "ab".to_owned(),
    };
    let started = "2026-01-01T00:00:00Z".to_owned();
    let mut record = RunRecord::new(suite, &[], shard, 0, started);
    record.set_pairs(pairs);
    record
}

/// Measures and assembles as `run` does.
fn measured(line: &[&str], program: &Path, pairs: &Pairs, out: &Path) -> Results {
    let settings = Settings {
        program: program.to_owned(),
        metrics: vec!["psnr".to_owned(), "ssim".to_owned()],
        weights: None,
        seed: 0,
    };
    let plan = methods::plan(&arguments(line), program).unwrap();
    let measured = measure_all(plan.methods, pairs, &settings, out).unwrap();
    let mut record = record(pairs, None);
    record.setup = Setup::of(&measured);
    let provenance = provenance::of(program, record.started.clone(), 1.0);
    let results = assemble::results(
        &record,
        &pairs.conditions,
        &measured,
        provenance,
        plan.notes,
        out,
    );
    results.check().unwrap();
    results
}

#[test]
fn two_photos_under_two_conditions_with_the_real_program() {
    let Some(program) = program() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let out = root.join("out");
    let pairs = pairs(&root, &out);
    // What another program made: the blurry pictures themselves, one missing and one of another size.
    let elsewhere = root.join("elsewhere");
    for condition in &pairs.conditions {
        for pair in &condition.pairs {
            let file = folder::file(&elsewhere, condition, &pair.name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::copy(&pair.blurry, file).unwrap();
        }
    }
    std::fs::remove_file(elsewhere.join("photos/disc/two.png")).unwrap();
    std::fs::copy(
        root.join("sharp/one.png"),
        elsewhere.join("photos/zoom/two.png"),
    )
    .unwrap();
    let given = format!("mine={}", elsewhere.display());
    let line = [
        "--steps",
        "1",
        "--samples",
        "2",
        "--average-steps",
        "1",
        "--method",
        &given,
    ];
    let results = measured(&line, &program, &pairs, &out);

    let names: Vec<&str> = results
        .methods
        .iter()
        .map(|method| method.name.as_str())
        .collect();
    for name in [
        "input",
        "richardson-lucy",
        "wiener",
        "guided",
        "guided-sample-1",
        "guided-average",
        "mine",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    let image = |method: &str, condition: &str, name: &str| {
        results
            .images
            .iter()
            .find(|image| {
                (
                    image.method.as_str(),
                    image.condition.as_str(),
                    image.name.as_str(),
                ) == (method, condition, name)
            })
            .unwrap_or_else(|| panic!("no {condition}/{name} of {method}"))
    };
    for method in &results.methods {
        let is_oracle = matches!(method.kind, MethodKind::Classical);
        assert_eq!(method.oracle, is_oracle);
        for condition in ["photos/disc", "photos/zoom"] {
            let cannot = results
                .not_applicable
                .iter()
                .any(|entry| entry.method == method.name && entry.condition == condition);
            assert_eq!(cannot, is_oracle && condition == "photos/zoom");
            if method.name != "mine" && !cannot {
                for name in ["one", "two"] {
                    let image = image(&method.name, condition, name);
                    assert!(image.metrics["psnr"].is_finite(), "{image:?}");
                    assert_eq!(image.photo, format!("free-photos-test/{name}.png"));
                }
            }
        }
    }
    // The true kernel helps, and pictures made elsewhere are scored as our own.
    let psnr = |method: &str| image(method, "photos/disc", "one").metrics["psnr"];
    assert!(psnr("richardson-lucy") > psnr("input") + 1.0);
    assert!(psnr("wiener") > psnr("input"));
    assert_eq!(psnr("mine"), psnr("input"));
    let missing = image("mine", "photos/disc", "two").error.clone().unwrap();
    assert!(missing.contains("there is no"), "{missing}");
    let size = image("mine", "photos/zoom", "two").error.clone().unwrap();
    assert!(size.contains("80 x 72"), "{size}");
    assert_eq!(failures(&results), 2);
    assert_eq!(results.metrics["psnr"].unit, "dB");
    let kept = results
        .pictures
        .iter()
        .filter(|picture| out.join(&picture.file).is_file());
    assert_eq!(kept.count(), results.pictures.len());
    let maps = |picture: &&results::Picture| picture.kind == results::PictureKind::Uncertainty;
    assert_eq!(results.pictures.iter().filter(maps).count(), 4);

    // Going on computes nothing again: no restored picture is written anew, and the numbers are the same.
    let time = |file: &str| {
        std::fs::metadata(out.join(file))
            .unwrap()
            .modified()
            .unwrap()
    };
    let files = [
        "restored/guided/photos/disc/one.png",
        "restored/wiener/photos/disc/one.png",
    ];
    let times = files.map(time);
    let again = measured(&line, &program, &pairs, &out);
    assert_eq!(again.images, results.images);
    assert_eq!(files.map(time), times);
}

#[test]
fn a_photo_that_cannot_be_read_any_more_has_no_pairs() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let out = root.join("out");
    assert_eq!(pairs(&root, &out).conditions[0].pairs.len(), 2);
    let suite: Suite = toml::from_str(SUITE).unwrap();
    std::fs::write(root.join("sharp/two.png"), "cut off").unwrap();
    let group = suite::Group {
        domain: suite.domains[0].clone(),
        recipe: suite.recipe_of_all(),
        folder: root.join("sharp"),
        photos: crate::synth::in_folder(&root.join("sharp")).unwrap(),
    };
    let mut pairs = Pairs::default();
    pairs::of_group(&suite, &group, &out.join(pairs::FOLDER), &mut pairs).unwrap();
    assert_eq!(pairs.failures.len(), 1, "{:?}", pairs.failures);
    for condition in &pairs.conditions {
        let names: Vec<&str> = condition.pairs.iter().map(|pair| &*pair.name).collect();
        assert_eq!(names, ["one"]);
    }
}
