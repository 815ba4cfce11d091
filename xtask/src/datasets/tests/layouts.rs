//! The manifests of the public sets, with tiny sets in the layouts that their authors publish.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Desk, png, zip_of};
use crate::datasets::fetch::Outcome;
use crate::workspace;

/// A public set in small.
struct Case {
    name: &'static str,
    /// Relative to the set.
    files: &'static [&'static str],
    /// Of the splits, in the order of the manifest.
    counts: &'static [u64],
    /// The published archive, and the folder that is around everything in it.
    archive: Option<(&'static str, &'static str)>,
    /// Without this file the set is not whole, for this reason.
    victim: (&'static str, &'static str),
}

const CASES: &[Case] = &[
    Case {
        name: "gopro",
        files: &[
            "train/GOPR0372_07_00/blur/000047.png",
            "train/GOPR0372_07_00/blur_gamma/000047.png",
            "train/GOPR0372_07_00/sharp/000047.png",
            "test/GOPR0384_11_00/blur/000001.png",
            "test/GOPR0384_11_00/blur/000002.png",
            "test/GOPR0384_11_00/blur_gamma/000001.png",
            "test/GOPR0384_11_00/blur_gamma/000002.png",
            "test/GOPR0384_11_00/sharp/000001.png",
            "test/GOPR0384_11_00/sharp/000002.png",
        ],
        counts: &[1, 1, 2, 2],
        archive: Some(("GOPRO_Large.zip", "GOPRO_Large/")),
        victim: ("test/GOPR0384_11_00/sharp/000002.png", "unpaired"),
    },
    Case {
        name: "gopro",
        files: &[
            "train/a/blur/1.png",
            "train/a/blur_gamma/1.png",
            "train/a/sharp/1.png",
            "test/b/blur/1.png",
            "test/b/blur_gamma/1.png",
            "test/b/sharp/1.png",
        ],
        counts: &[1, 1, 1, 1],
        archive: Some(("GOPRO_Large.zip", "")),
        victim: ("test/b/blur_gamma/1.png", "count"),
    },
    Case {
        name: "hide",
        files: &[
            "GT/1fromGOPR0950.png",
            "GT/2fromGOPR0950.png",
            "GT/3fromGOPR1096.MP4.png",
            "train/1fromGOPR0950.png",
            "test/test-close-ups/2fromGOPR0950.png",
            "test/test-long-shot/3fromGOPR1096.MP4.png",
        ],
        counts: &[1, 2],
        archive: Some(("HIDE_dataset.zip", "HIDE_dataset/")),
        victim: ("test/test-long-shot/3fromGOPR1096.MP4.png", "unpaired"),
    },
    Case {
        name: "realblur-j",
        files: &["input/scene230_7.png", "target/scene230_7.png"],
        counts: &[1],
        archive: None,
        victim: ("target/scene230_7.png", "unpaired"),
    },
    Case {
        name: "realblur-r",
        files: &["input/scene230_7.png", "target/scene230_7.png"],
        counts: &[1],
        archive: None,
        victim: ("input/scene230_7.png", "unpaired"),
    },
    Case {
        name: "reds",
        files: &[
            "val_blur/000/00000000.png",
            "val_blur/029/00000099.png",
            "val_sharp/000/00000000.png",
            "val_sharp/029/00000099.png",
        ],
        counts: &[2],
        archive: None,
        victim: ("val_sharp/029/00000099.png", "unpaired"),
    },
    Case {
        name: "rsblur",
        files: &[
            "0001/000001/real_blur/real_blur.png",
            "0001/000001/avg65_img/avg_blur.png",
            "0001/000001/avg65_mask_100/avg_blur.png",
            "0001/000001/gt/gt_sharp.png",
        ],
        counts: &[1, 1],
        archive: Some(("RSBlur.zip", "RSBlur/")),
        victim: ("0001/000001/gt/gt_sharp.png", "unpaired"),
    },
    Case {
        name: "koehler",
        files: &["Blurry1_1.png", "Blurry4_12.png"],
        counts: &[2],
        archive: None,
        victim: ("Blurry4_12.png", "count"),
    },
    Case {
        name: "levin-kernels",
        files: &[
            "Levin09blurdata/im05_flit01.mat",
            "Levin09blurdata/im08_flit08.mat",
        ],
        counts: &[2],
        archive: None,
        victim: ("Levin09blurdata/im08_flit08.mat", "count"),
    },
];

/// The manifest of the repository, for photos of 8×6 pixels, other numbers, and archives of any content.
fn small(case: &Case) -> String {
    let path = workspace::root().join(format!("datasets/{}.toml", case.name));
    let text = fs::read_to_string(path).unwrap();
    let mut counts = case.counts.iter();
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.starts_with("count = ") {
            lines.push(format!("count = {}", counts.next().unwrap()));
        } else if line.starts_with("name = ") && lines.len() < 3 {
            lines.push("name = \"pairs\"".to_owned());
        } else if line == "size = [1280, 720]" {
            lines.push("size = [8, 6]".to_owned());
        } else if !line.starts_with("sha256 = ") {
            lines.push(line.to_owned());
        }
    }
    assert_eq!(counts.next(), None, "{} has fewer splits", case.name);
    lines.join("\n")
}

fn content(file: &str) -> Vec<u8> {
    if file.ends_with(".png") {
        png(8, 6, file.len() as u8)
    } else {
        b"MATLAB 5.0 MAT-file".to_vec()
    }
}

fn lay_out(case: &Case, folder: &Path) -> PathBuf {
    let set = folder.join("set");
    for file in case.files {
        let path = set.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content(file)).unwrap();
    }
    set
}

#[test]
fn an_unpacked_set_is_used_and_an_incomplete_one_refused() {
    for case in CASES {
        let desk = Desk::new(&small(case));
        let set = lay_out(case, desk.folder.path());
        let (victim, fault) = case.victim;
        let away = desk.folder.path().join("away");
        fs::rename(set.join(victim), &away).unwrap();
        let error = desk.fails(Some(&set));
        assert!(error.contains(fault), "{}: {error}", case.name);
        fs::rename(&away, set.join(victim)).unwrap();
        let outcome = desk.fetcher.fetch("pairs", Some(&set));
        assert_eq!(outcome.unwrap(), Outcome::Adopted(set), "{}", case.name);
    }
}

#[test]
fn the_published_archive_is_unpacked() {
    for case in CASES {
        let Some((file, around)) = case.archive else {
            continue;
        };
        let desk = Desk::new(&small(case));
        let entries: Vec<(String, Vec<u8>)> = case
            .files
            .iter()
            .map(|file| (format!("{around}{file}"), content(file)))
            .collect();
        let entries: Vec<(&str, &[u8])> = entries
            .iter()
            .map(|(name, content)| (name.as_str(), content.as_slice()))
            .collect();
        let archive = desk.folder.path().join(file);
        fs::write(&archive, zip_of(&entries)).unwrap();
        let outcome = desk.fetcher.fetch("pairs", Some(&archive));
        assert_eq!(
            outcome.unwrap(),
            Outcome::Fetched(desk.set()),
            "{}",
            case.name
        );
    }
}

#[test]
fn reds_is_taken_from_a_folder_with_both_archives() {
    let case = CASES.iter().find(|case| case.name == "reds").unwrap();
    let desk = Desk::new(&small(case));
    let folder = desk.folder.path().join("downloads");
    fs::create_dir(&folder).unwrap();
    for kind in ["blur", "sharp"] {
        let names = ["000/00000000.png", "029/00000099.png"];
        let names = names.map(|name| format!("val/val_{kind}/{name}"));
        let photo = png(8, 6, 1);
        let entries = names
            .each_ref()
            .map(|name| (name.as_str(), photo.as_slice()));
        fs::write(folder.join(format!("val_{kind}.zip")), zip_of(&entries)).unwrap();
    }
    let outcome = desk.fetcher.fetch("pairs", Some(&folder)).unwrap();
    assert_eq!(outcome, Outcome::Fetched(desk.set()));
}
