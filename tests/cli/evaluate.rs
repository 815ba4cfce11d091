//! `msdeblur evaluate`: numbers, pairs, results kept and found again.

mod networks;
mod numbers;
mod outputs;
mod pairs;
mod reuse;

use std::path::Path;

use image_io::{Photo, WriteOptions};
use integration_tests::{Folder, Line, Outcome, msdeblur};
use serde_json::Value;

/// `msdeblur evaluate ARGUMENTS`, to its end. Weights that lie in the clone change nothing.
#[track_caller]
fn evaluate(arguments: &[&str]) -> Outcome {
    Outcome::of(&mut msdeblur(["evaluate"].iter().chain(arguments)))
}

/// PSNR and SSIM alone, with JSON.
const NUMBERS: [&str; 3] = ["--metrics", "psnr,ssim", "--json"];

/// A folder with `sharp` and `blurry`, both with `a.png`, `b.png` and `deep/c.png`.
fn pairs() -> Folder {
    let folder = Folder::new();
    for name in ["a", "b", "deep/c"] {
        folder.photo(&format!("sharp/{name}.png"), 40, 32);
        folder.photo(&format!("blurry/{name}.png"), 40, 32);
    }
    folder
}

/// The lines of a kind, by name.
#[track_caller]
fn named(lines: &[Line], kind: &str, name: &str) -> Value {
    let found: Vec<&Line> = lines
        .iter()
        .filter(|line| line.kind == kind && line.data["name"] == name)
        .collect();
    assert_eq!(found.len(), 1, "{kind} {name} in {lines:?}");
    found[0].data.clone()
}

/// Rows of a CSV file without quotes in it.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).expect("a table");
    text.lines()
        .map(|line| line.split(',').map(str::to_owned).collect())
        .collect()
}

/// Writes a photo as it is.
fn write(folder: &Folder, name: &str, photo: &Photo) {
    let path = folder.write(name, "");
    let options = WriteOptions {
        overwrite: true,
        ..WriteOptions::default()
    };
    image_io::write(&path, photo, &options).expect("a photo");
}
