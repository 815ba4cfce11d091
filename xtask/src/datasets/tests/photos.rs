//! The free photos: no photo in two roles, and the same photos as those that the project began with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image_io::Limits;
use rayon::prelude::*;

use crate::datasets::catalogue::Catalogue;
use crate::datasets::convert::to_picture;
use crate::datasets::file_list::Row;
use crate::datasets::lanczos::Picture;
use crate::datasets::likeness::Likeness;
use crate::datasets::manifest::Role;
use crate::hash;
use crate::workspace;

/// Rows of the photos that have a role in learning or measuring, over all manifests.
fn photos() -> Vec<(String, Role, Row)> {
    let catalogue = Catalogue::of(&workspace::root().join("datasets"));
    let mut photos = Vec::new();
    for entry in catalogue.all().unwrap() {
        for split in &entry.manifest.splits {
            if matches!(split.role, Role::Train | Role::Tune | Role::Test) {
                let label = split.label();
                let rows = entry.list.of_split(&label);
                photos
                    .extend(rows.map(|row| (entry.manifest.name.clone(), split.role, row.clone())));
            }
        }
    }
    photos
}

fn count(photos: &[(String, Role, Row)], role: Role) -> usize {
    photos.iter().filter(|photo| photo.1 == role).count()
}

#[test]
fn no_photo_has_two_roles() {
    let photos = photos();
    assert_eq!(count(&photos, Role::Train), 234);
    assert_eq!(count(&photos, Role::Tune), 25);
    assert_eq!(count(&photos, Role::Test), 57 + 12 + 9);
    let mut roles = BTreeMap::<String, (Role, String)>::new();
    for (set, role, row) in &photos {
        for (what, hash) in [
            ("file", &row.sha256),
            ("pixels", &row.pixels_sha256),
            ("source", &row.source_sha256),
            ("reference", &row.reference_sha256),
        ] {
            // Only the sets that the project began with have an older form.
            if what == "reference" && !set.starts_with("free-photos-") {
                continue;
            }
            let hash = hash
                .as_ref()
                .unwrap_or_else(|| panic!("{}: the list has no hash of the {what}", row.path));
            let path = format!("{set}: {}", row.path);
            let seen = roles
                .entry(format!("{what} {hash}"))
                .or_insert((*role, path.clone()));
            assert_eq!(seen.0, *role, "{} and {path} are the same {what}", seen.1);
        }
    }
}

#[test]
fn no_photos_of_two_roles_look_alike() {
    let photos: Vec<(Role, String, Likeness)> = photos()
        .into_iter()
        .map(|(_, role, row)| {
            let likeness = row.likeness.unwrap().parse().unwrap();
            (role, row.path, likeness)
        })
        .collect();
    for (at, (role, path, likeness)) in photos.iter().enumerate() {
        for (other_role, other_path, other) in &photos[..at] {
            let distance = likeness.distance(*other);
            assert!(
                role == other_role || distance >= Likeness::NEAR,
                "{path} and {other_path} differ in {distance} of 256 bits"
            );
        }
    }
}

#[test]
fn tuning_has_whole_packages_for_itself() {
    let mut roles = BTreeMap::new();
    for (set, role, row) in photos() {
        if set == "free-photos-train" {
            let known = *roles.entry(row.part.clone().unwrap()).or_insert(role);
            assert_eq!(known, role, "{:?} is on both sides", row.part);
        }
    }
}

/// The folder with `photos-train` and `photos-test` as the project began with them.
fn reference_folder() -> Option<PathBuf> {
    let named = std::env::var_os("MSDEBLUR_REFERENCE_PHOTOS").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| workspace::root().join("../shared/data"));
    folder.join("photos-train").is_dir().then_some(folder)
}

/// The folder of a set that was fetched.
fn fetched(set: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("MSDEBLUR_DATASETS").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| workspace::root().join("datasets/cache"));
    let folder = cache.join(set);
    folder.join(".receipt.json").is_file().then_some(folder)
}

/// As `sha256(Image.open(path).convert("RGB").tobytes())` with Pillow, for all that is stored without loss.
fn pixels_sha256(picture: &Picture) -> String {
    super::sha256(&picture.samples)
}

fn read(path: &Path) -> Picture {
    let photo = image_io::read(path, &Limits::default());
    to_picture(&photo.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Rows of a set with the folder in which it lies; nothing, and a message, when it was not fetched.
fn rows_of(set: &str) -> Vec<(PathBuf, Row)> {
    let Some(folder) = fetched(set) else {
        eprintln!("skipped: cargo xtask datasets fetch {set} was not run");
        return Vec::new();
    };
    let rows = photos().into_iter().filter(|photo| photo.0 == set);
    rows.map(|(_, _, row)| (folder.join(&row.path), row))
        .collect()
}

#[test]
fn the_lists_say_what_the_photos_are() {
    for set in [
        "free-photos-train",
        "free-photos-test",
        "domain-text",
        "domain-drawn",
    ] {
        rows_of(set).par_iter().for_each(|(path, row)| {
            let picture = read(path);
            assert_eq!(row.width, Some(picture.width as u32), "{}", row.path);
            assert_eq!(row.height, Some(picture.height as u32), "{}", row.path);
            assert_eq!(
                row.sha256,
                Some(hash::sha256(path).unwrap()),
                "{}",
                row.path
            );
            assert_eq!(
                row.pixels_sha256,
                Some(pixels_sha256(&picture)),
                "{}",
                row.path
            );
            let likeness = Likeness::of(&picture).to_string();
            assert_eq!(row.likeness, Some(likeness), "{}", row.path);
        });
    }
}

#[test]
fn the_photos_are_those_that_the_project_began_with() {
    let Some(reference) = reference_folder() else {
        eprintln!(
            "skipped: MSDEBLUR_REFERENCE_PHOTOS names no folder with photos-train and photos-test"
        );
        return;
    };
    for set in ["free-photos-train", "free-photos-test"] {
        let folder = reference.join(set.trim_start_matches("free-"));
        rows_of(set).par_iter().for_each(|(path, row)| {
            let other = folder.join(path.file_name().unwrap());
            let found = hash::sha256(&other).unwrap();
            assert_eq!(row.reference_sha256, Some(found), "{}", row.path);
            let (levels, psnr) = difference(&read(path), &read(&other));
            assert_eq!(row.reference_levels, Some(levels), "{}", row.path);
            // The list has two digits behind the point.
            let expected = row.reference_psnr.unwrap_or(f64::INFINITY);
            let is_equal = psnr == expected || (psnr - expected).abs() < 0.006;
            assert!(
                is_equal,
                "{}: {psnr} dB, the list says {expected}",
                row.path
            );
        });
    }
}

/// Largest difference in 8-bit levels, and PSNR in dB.
fn difference(one: &Picture, other: &Picture) -> (u8, f64) {
    assert_eq!((one.width, one.height), (other.width, other.height));
    let pairs = || one.samples.iter().zip(&other.samples);
    let levels = pairs().map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    let squares = pairs()
        .map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2))
        .sum::<f64>();
    let mean = squares / one.samples.len() as f64;
    (levels, 10.0 * (255.0 * 255.0 / mean).log10())
}
