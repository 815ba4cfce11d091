//! Metrics that need weights, against the programs of their authors. Skipped with a message where the weights are not:
//! `cargo xtask datasets fetch metric-weights`.

use std::path::PathBuf;

use image_io::{Format, Photo, PhotoInfo};
use integration_tests::{Folder, workspace};
use ndarray::Array3;
use safetensors::SafeTensors;
use serde_json::Value;

use super::{evaluate, named, pairs};

/// The folder of weights, if it holds these files.
fn weights(files: &[&str]) -> Option<String> {
    let folder = std::env::var_os("MSDEBLUR_METRIC_WEIGHTS").map_or_else(
        || workspace().join("datasets/cache/metric-weights"),
        PathBuf::from,
    );
    for file in files {
        let path = folder.join(file);
        if !path.is_file() {
            eprintln!("skipped: no {}", path.display());
            return None;
        }
    }
    Some(folder.to_str().expect("UTF-8").to_owned())
}

/// Writes the pictures of the reference of `image-quality` into `sharp` and `restored`; returns the values.
fn reference(folder: &Folder) -> Value {
    let golden = workspace().join("tests/golden/image-quality-networks");
    let text = std::fs::read(golden.join("published.json")).expect("values");
    let values: Value = serde_json::from_slice(&text).expect("JSON");
    let bytes = std::fs::read(golden.join("reference.safetensors")).expect("images");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    for name in values["values"].as_object().expect("pairs").keys() {
        for (kind, which) in [("restored", "a"), ("sharp", "b")] {
            let view = tensors
                .tensor(&format!("{name}.{which}"))
                .expect("a picture");
            let shape: [usize; 3] = view.shape().try_into().expect("three axes");
            let levels = view.data().iter().map(|level| f32::from(*level) / 255.0);
            let pixels = Array3::from_shape_vec(shape, levels.collect()).expect("a picture");
            let photo = Photo {
                pixels,
                alpha: None,
                info: PhotoInfo::new(Format::Png),
            };
            super::write(folder, &format!("{kind}/{name}.png"), &photo);
        }
    }
    values["values"].clone()
}

#[test]
fn distances_are_those_of_the_authors_programs() {
    for (metric, key, files) in [
        ("lpips", "lpips_alexnet", &["lpips_alexnet.safetensors"][..]),
        ("lpips-vgg", "lpips_vgg16", &["lpips_vgg16.safetensors"]),
        (
            "dists",
            "dists",
            &["lpips_vgg16.safetensors", "dists_alpha_beta.safetensors"],
        ),
    ] {
        let Some(weights) = weights(files) else {
            continue;
        };
        let folder = Folder::new();
        let values = reference(&folder);
        let (sharp, restored) = (folder.text("sharp"), folder.text("restored"));
        let options = ["--weights", &*weights, "--metrics", metric, "--json"];
        let folders = ["--sharp", &*sharp, "--restored", &restored];
        let outcome = evaluate(&[&folders[..], &options].concat()).exits(0);
        let lines = outcome.json();
        for (name, expected) in values.as_object().expect("pairs") {
            let found = named(&lines, "image", name)["metrics"][metric]
                .as_f64()
                .expect("a number");
            let expected = expected[key].as_f64().expect("a number");
            // Ours in float32, the reference in float64.
            assert!(
                (found - expected).abs() < 1e-5 * expected,
                "{metric} {name}: {found} for {expected}"
            );
        }
        let started = outcome.only("started");
        assert_eq!(started["protocols"][metric]["higher_is_better"], false);
        assert_eq!(
            started["weights"].as_object().expect("hashes").len(),
            files.len()
        );
    }
}

#[test]
fn sets_are_compared_also_when_they_come_from_earlier_runs() {
    let Some(weights) = weights(&["inception/default_1.pt"]) else {
        return;
    };
    let folder = pairs();
    let [sharp, restored, results] =
        ["sharp", "blurry", "results.jsonl"].map(|name| folder.text(name));
    let call = |restored: &str| {
        let folders = [
            "--sharp",
            &*sharp,
            "--restored",
            restored,
            "--blurry",
            restored,
        ];
        let options = [
            "--weights",
            &weights,
            "--metrics=fid,kid",
            "--reuse",
            &results,
            "--json",
        ];
        evaluate(&[&folders[..], &options].concat()).exits(0)
    };
    let first = call(&restored);
    let second = call(&restored);
    assert_eq!(named(&second.json(), "image", "a")["reused"], true);
    let (first, second) = (first.only("summary"), second.only("summary"));
    assert!(
        first["set_metrics"]["fid"]
            .as_f64()
            .is_some_and(|fid| fid > 0.0),
        "{first}"
    );
    assert!(
        first["set_metrics"]["kid"]["mean"].is_f64() && first["set_metrics"]["kid"]["std"].is_f64()
    );
    for field in ["set_metrics", "input_set_metrics"] {
        assert_eq!(
            first[field], second[field],
            "features are kept to the last bit"
        );
    }
    assert_eq!(first["set_metrics"], first["input_set_metrics"]);
    // The same pictures are at no distance, within the rounding of a matrix root.
    let same = call(&sharp).only("summary");
    assert!(
        same["set_metrics"]["fid"]
            .as_f64()
            .is_some_and(|fid| fid.abs() < 1e-3),
        "{same}"
    );
}
