//! Everything that can be wrong with a set, by name.

use std::fs;

use super::server::{Reply, Server};
use super::{Desk, http_source, pairs_manifest, pairs_zip, png, sha256};
use crate::datasets::check::{Fault, Problem};
use crate::datasets::verify;

fn fetched() -> Desk {
    let server = Server::start(vec![Reply::ok(&pairs_zip())]);
    let desk = Desk::new(&pairs_manifest(&http_source(&[server.url("x")], "")));
    desk.fetcher.fetch("pairs", None).unwrap();
    desk
}

fn problems(desk: &Desk) -> Vec<Problem> {
    let fetcher = &desk.fetcher;
    verify::verify(&fetcher.catalogue, &fetcher.cache, "pairs")
        .unwrap()
        .problems
}

/// Kind and path of each problem.
fn kinds(problems: &[Problem]) -> Vec<(Fault, &str)> {
    problems
        .iter()
        .map(|problem| (problem.fault, problem.path.as_str()))
        .collect()
}

#[test]
fn a_whole_set_has_no_problem() {
    let desk = fetched();
    let fetcher = &desk.fetcher;
    let findings = verify::verify(&fetcher.catalogue, &fetcher.cache, "pairs").unwrap();
    assert_eq!(findings.problems, []);
    assert_eq!((findings.files.len(), findings.pairs), (5, 2));
    let lines = verify::lines("pairs", &findings);
    assert!(
        lines.starts_with("pairs: all right; 5 files, 2 pairs, "),
        "{lines}"
    );
}

#[test]
fn a_missing_photo_is_named_and_so_is_its_partner() {
    let desk = fetched();
    fs::remove_file(desk.set().join("test/a/sharp/1.png")).unwrap();
    assert_eq!(
        kinds(&problems(&desk)),
        [
            (Fault::Missing, "test/a/sharp/1.png"),
            (Fault::Unpaired, "test/a/blur/1.png")
        ]
    );
}

#[test]
fn what_does_not_belong_there_is_named() {
    let desk = fetched();
    fs::write(desk.set().join("notes.txt"), "mine").unwrap();
    super::write(&desk.set().join("test/c/sharp/1.png"), &png(8, 6, 9));
    super::write(&desk.set().join("test/c/blur/1.png"), &png(8, 6, 9));
    assert_eq!(
        kinds(&problems(&desk)),
        [
            (Fault::Count, "test"),
            (Fault::Extra, "notes.txt"),
            (Fault::Extra, "test/c/blur/1.png"),
            (Fault::Extra, "test/c/sharp/1.png")
        ]
    );
}

#[test]
fn wrong_sizes_are_named() {
    let desk = fetched();
    fs::write(desk.set().join("test/a/blur/1.png"), png(6, 8, 2)).unwrap();
    let problems = problems(&desk);
    let details: Vec<&str> = problems
        .iter()
        .filter(|problem| problem.fault == Fault::WrongSize)
        .map(|problem| problem.detail.as_str())
        .collect();
    assert_eq!(
        details,
        [
            "is 6×8, expected 8×6",
            "is 6×8, its sharp photo test/a/sharp/1.png is 8×6"
        ]
    );
    assert!(
        problems
            .iter()
            .all(|problem| problem.path == "test/a/blur/1.png")
    );
}

#[test]
fn partners_of_different_sizes_are_named_without_a_size_in_the_manifest() {
    let server = Server::start(vec![Reply::ok(&super::zip_of(&[
        ("test/a/sharp/1.png", &png(8, 6, 1)),
        ("test/a/blur/1.png", &png(8, 7, 2)),
        ("test/b/sharp/1.png", &png(4, 4, 1)),
        ("test/b/blur/1.png", &png(4, 4, 2)),
    ]))]);
    let source = format!(
        "[[sources]]\nkind = \"http\"\nurls = [\"{}\"]\nfile = \"x.zip\"\n",
        server.url("x.zip")
    );
    let desk = Desk::new(&pairs_manifest(&source).replace("size = [8, 6]", ""));
    let error = desk.fails(None);
    let expected =
        "wrong size: test/a/blur/1.png: is 8×7, its sharp photo test/a/sharp/1.png is 8×6";
    assert!(error.contains(expected), "{error}");
    assert!(!error.contains("test/b"), "{error}");
}

#[test]
fn a_photo_with_other_contents_is_named_with_both_hashes() {
    let desk = fetched();
    let (old, new) = (png(8, 6, 2), png(8, 6, 77));
    fs::write(desk.set().join("test/a/blur/1.png"), &new).unwrap();
    let problems = problems(&desk);
    assert_eq!(kinds(&problems), [(Fault::Corrupt, "test/a/blur/1.png")]);
    let detail = &problems[0].detail;
    assert!(
        detail.contains(&sha256(&old)) && detail.contains(&sha256(&new)),
        "{detail}"
    );
}

#[test]
fn a_photo_that_does_not_decode_to_its_end_is_named() {
    // As if it had always been so: the receipt agrees with what is there.
    let photo = png(8, 6, 2);
    let cut = &photo[..photo.len() - 20];
    let desk = fetched();
    fs::write(desk.set().join("test/a/blur/1.png"), cut).unwrap();
    let mut receipt = desk.fetcher.cache.receipt("pairs").unwrap().unwrap();
    for file in &mut receipt.files {
        if file.path == "test/a/blur/1.png" {
            file.sha256 = sha256(cut);
        }
    }
    receipt.write(&desk.set()).unwrap();
    assert_eq!(
        kinds(&problems(&desk)),
        [(Fault::Corrupt, "test/a/blur/1.png")]
    );
}

#[test]
fn an_empty_file_is_named() {
    let desk = fetched();
    fs::write(desk.set().join("LICENCE"), "").unwrap();
    let problems = problems(&desk);
    assert!(
        problems.iter().any(|problem| problem.detail == "is empty"),
        "{problems:?}"
    );
    assert!(problems.iter().all(|problem| problem.path == "LICENCE"));
}

/// A flat folder of photos, of which a list says which are for what.
fn listed(more: &str) -> Desk {
    let photos: Vec<Vec<u8>> = (0..4).map(|seed| png(8, 6, seed)).collect();
    let server = Server::start(vec![Reply::ok(&super::zip_of(&[
        ("x/0.png", &photos[0]),
        ("x/1.png", &photos[1]),
        ("x/2.png", &photos[2]),
    ]))]);
    let manifest = format!(
        r#"
schema_version = 1
name = "pairs"
title = "Listed"
homepage = "https://example.org/"
licence = "not stated"
citation = "nobody, 2026"
[[sources]]
kind = "http"
urls = ["{}"]
file = "x.zip"
[[splits]]
name = "train"
role = "train"
sharp = "*.png"
count = 2
files = "pairs.csv"
[[splits]]
name = "tune"
role = "tune"
sharp = "*.png"
count = 1
files = "pairs.csv"
"#,
        server.url("x.zip")
    );
    let desk = Desk::new(&manifest);
    let mut csv = "split,path,width,height,sha256,part,source\n".to_owned();
    for (index, split) in ["train", "train", "tune"].iter().enumerate() {
        let hash = sha256(&photos[index]);
        csv.push_str(&format!(
            "{split},p{index}.png,8,6,{hash},main,x/{index}.png\n"
        ));
    }
    csv.push_str(more);
    fs::write(desk.folder.path().join("manifests/pairs.csv"), csv).unwrap();
    desk
}

#[test]
fn a_list_says_what_is_taken_and_what_belongs_together() {
    let desk = listed("");
    desk.fetcher.fetch("pairs", None).unwrap();
    assert_eq!(
        super::tree(&desk.set()),
        [".receipt.json", "p0.png", "p1.png", "p2.png"]
    );
    assert_eq!(problems(&desk), []);
    fs::remove_file(desk.set().join("p2.png")).unwrap();
    fs::write(desk.set().join("p3.png"), png(8, 6, 3)).unwrap();
    fs::write(desk.set().join("p1.png"), png(8, 6, 99)).unwrap();
    assert_eq!(
        kinds(&problems(&desk)),
        [
            (Fault::Missing, "p2.png"),
            (Fault::Extra, "p3.png"),
            (Fault::Corrupt, "p1.png")
        ]
    );
}

#[test]
fn programs_can_read_the_result() {
    let desk = fetched();
    fs::remove_file(desk.set().join("LICENCE")).unwrap();
    let fetcher = &desk.fetcher;
    let findings = verify::verify(&fetcher.catalogue, &fetcher.cache, "pairs").unwrap();
    let line = verify::json("pairs", &findings);
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["version"], 1);
    assert_eq!(value["type"], "verified");
    assert_eq!(value["data"]["is_whole"], false);
    assert_eq!(value["data"]["problems"][0]["fault"], "missing");
    assert_eq!(value["data"]["problems"][0]["path"], "LICENCE");
    assert!(!line.contains('\n'));
}
