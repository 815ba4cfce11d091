//! The folders that `path` prints.

use super::{Desk, png};
use crate::datasets::photos::folder_of_split;

/// A set with one photo of each path, in the splits `train` and `tune`.
fn desk(train: &[&str], tune: &[&str], globs: [&str; 2]) -> Desk {
    let split = |name: &str, glob: &str, count: usize| {
        format!(
            "[[splits]]\nname = \"{name}\"\nrole = \"{name}\"\nsharp = \"{glob}\"\ncount = {count}\n"
        )
    };
    let manifest = format!(
        r#"
schema_version = 1
name = "pairs"
title = "Photos"
homepage = "https://example.org/"
licence = "CC0-1.0"
citation = "nobody, 2026"
[[sources]]
kind = "local"
expects = "the folder"
{}{}
"#,
        split("train", globs[0], train.len()),
        split("tune", globs[1], tune.len())
    );
    let desk = Desk::new(&manifest);
    let own = desk.folder.path().join("own");
    for (seed, path) in train.iter().chain(tune).enumerate() {
        super::write(&own.join(path), &png(8, 6, seed as u8));
    }
    desk.fetcher.fetch("pairs", Some(&own)).unwrap();
    desk
}

fn path_of(desk: &Desk, label: &str) -> anyhow::Result<String> {
    let fetcher = &desk.fetcher;
    let place = folder_of_split(&fetcher.catalogue, &fetcher.cache, "pairs", label)?;
    let own = desk.folder.path().join("own");
    let place = place.strip_prefix(own)?.to_str().unwrap().to_owned();
    Ok(place.replace('\\', "/"))
}

#[test]
fn a_split_has_the_folder_in_which_it_lies_alone() {
    let desk = desk(
        &["photos/train/a/1.png", "photos/train/b/2.png"],
        &["photos/tune/3.png"],
        ["photos/train/*/*.png", "photos/tune/*.png"],
    );
    assert_eq!(path_of(&desk, "train").unwrap(), "photos/train");
    assert_eq!(path_of(&desk, "tune").unwrap(), "photos/tune");
    let error = path_of(&desk, "test").unwrap_err().to_string();
    assert_eq!(error, "the data set pairs has no split test");
}

#[test]
fn a_folder_is_not_taken_for_another_with_a_longer_name() {
    let desk = desk(&["train/1.png"], &["train2/2.png"], ["train/*", "train2/*"]);
    assert_eq!(path_of(&desk, "train").unwrap(), "train");
}

#[test]
fn a_split_that_is_mixed_with_another_has_no_folder() {
    let desk = desk(
        &["a/1.png", "b/2.png"],
        &["a/tune/3.png"],
        ["*/*.png", "a/tune/*.png"],
    );
    let error = path_of(&desk, "train").unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("no folder of its own") && text.contains("a/tune/3.png of the split tune"),
        "{text}"
    );
    assert!(crate::failure::with_hints(&error, "").contains("put the files that fit */*.png"));
    assert_eq!(path_of(&desk, "tune").unwrap(), "a/tune");
}

#[test]
fn a_split_without_files_has_no_folder() {
    let desk = desk(&["train/1.png"], &["tune/2.png"], ["train/*", "tune/*"]);
    std::fs::remove_file(desk.folder.path().join("own/train/1.png")).unwrap();
    let error = path_of(&desk, "train").unwrap_err().to_string();
    assert!(
        error.contains("the split train of pairs has no file in"),
        "{error}"
    );
}
