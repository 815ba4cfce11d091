//! One file, several addresses, and what is wrong with each.

use std::fs;

use super::server::{Reply, Server};
use super::{Desk, http_source, pairs_manifest, pairs_zip, sha256, tree};
use crate::datasets::fetch::Outcome;

/// Where the files of the small set end up.
const FILES: [&str; 6] = [
    ".receipt.json",
    "LICENCE",
    "test/a/blur/1.png",
    "test/a/sharp/1.png",
    "test/b/blur/1.png",
    "test/b/sharp/1.png",
];

/// A desk with one server for each script, and a pinned file.
fn desk(scripts: Vec<Vec<Reply>>) -> (Desk, Vec<Server>) {
    let pin = format!("sha256 = \"{}\"", sha256(&pairs_zip()));
    desk_with(scripts, &pin)
}

fn desk_with(scripts: Vec<Vec<Reply>>, more: &str) -> (Desk, Vec<Server>) {
    let servers: Vec<Server> = scripts.into_iter().map(Server::start).collect();
    let urls: Vec<String> = servers
        .iter()
        .map(|server| server.url("pairs.zip"))
        .collect();
    let desk = Desk::new(&pairs_manifest(&http_source(&urls, more)));
    (desk, servers)
}

fn assert_fetched(desk: &Desk) {
    let outcome = desk.fetcher.fetch("pairs", None).unwrap();
    assert_eq!(outcome, Outcome::Fetched(desk.set()));
    assert_eq!(tree(&desk.set()), FILES);
    assert!(!desk.downloads().exists());
}

#[test]
fn after_a_missing_file_comes_the_next_mirror() {
    let (desk, servers) = desk(vec![
        vec![Reply::status(404)],
        vec![Reply::ok(&pairs_zip())],
    ]);
    assert_fetched(&desk);
    assert_eq!(servers[0].seen().len(), 1);
    assert!(desk.pauses.lock().unwrap().is_empty());
    let receipt = fs::read_to_string(desk.set().join(".receipt.json")).unwrap();
    assert!(receipt.contains(&servers[1].url("pairs.zip")), "{receipt}");
}

#[test]
fn after_corrupted_bytes_comes_the_next_mirror() {
    let zip = pairs_zip();
    let mut bad = zip.clone();
    bad[100] ^= 1;
    let (desk, _servers) = desk(vec![vec![Reply::ok(&bad)], vec![Reply::ok(&zip)]]);
    assert_fetched(&desk);
}

#[test]
fn the_half_of_one_mirror_is_not_joined_to_the_half_of_another() {
    let zip = pairs_zip();
    let first = vec![Reply::ok(&zip).cut(50), Reply::status(404)];
    let (desk, servers) = desk(vec![first, vec![Reply::ok(&zip)]]);
    assert_fetched(&desk);
    assert_eq!(servers[0].seen().len(), 2);
    assert_eq!(servers[1].seen()[0].header("Range"), None);
}

#[test]
fn a_stopped_download_survives_a_dead_first_mirror() {
    let zip = pairs_zip();
    let half = zip.len() / 2;
    let (desk, servers) = desk(vec![
        vec![Reply::status(404), Reply::status(404)],
        vec![
            Reply::ok(&zip).cut(half),
            Reply::status(404),
            Reply::part(&zip, half),
        ],
    ]);
    desk.fails(None);
    desk.assert_nothing_looks_finished();
    assert_fetched(&desk);
    let range = format!("bytes={half}-");
    assert_eq!(servers[1].seen()[2].header("Range"), Some(range.as_str()));
}

#[test]
fn when_all_mirrors_fail_each_is_named_with_its_cause() {
    let zip = pairs_zip();
    let (desk, servers) = desk(vec![
        vec![Reply::status(404)],
        vec![Reply::ok(&[7; 300])],
        vec![Reply::status(500); 3],
        vec![Reply::ok(&zip).cut(99); 3],
    ]);
    let error = desk.fails(None);
    let line = |server: usize, cause: &str| {
        let url = servers[server].url("pairs.zip");
        let found = error
            .lines()
            .any(|line| line.contains(&url) && line.contains(cause));
        assert!(found, "{url}: {cause}: not in\n{error}");
    };
    line(0, "HTTP status 404");
    line(1, &sha256(&[7; 300]));
    line(1, &sha256(&zip));
    line(2, "HTTP status 500");
    line(3, "cut after 99 of");
    desk.assert_nothing_looks_finished();
}

#[test]
fn without_a_hash_a_web_page_is_not_taken_for_the_archive() {
    let page = b"  <!DOCTYPE html><title>Please log in</title>";
    let (desk, servers) = desk_with(
        vec![vec![Reply::ok(page)], vec![Reply::ok(&pairs_zip())]],
        "",
    );
    assert_fetched(&desk);
    assert_eq!(servers[1].seen().len(), 1);
    let (desk, _servers) = desk_with(vec![vec![Reply::ok(page)]], "");
    let error = desk.fails(None);
    assert!(error.contains("it is a web page, no archive"), "{error}");
    desk.assert_nothing_looks_finished();
}

#[test]
fn a_pinned_archive_that_is_refused_is_refused_at_once() {
    let evil = super::zip_of(&[("../evil", b"evil")]);
    let pin = format!("sha256 = \"{}\"", sha256(&evil));
    let (desk, servers) = desk_with(vec![vec![Reply::ok(&evil)], vec![Reply::ok(&evil)]], &pin);
    let error = desk.fails(None);
    assert!(
        error.contains("`../evil` leads out of the folder"),
        "{error}"
    );
    assert!(servers[1].seen().is_empty());
    assert!(!desk.set().exists());
}

#[test]
fn an_archive_without_what_the_manifest_names_is_not_used() {
    let other = super::zip_of(&[("Other/1.png", b"x")]);
    let (desk, _servers) = desk_with(vec![vec![Reply::ok(&other)]], "");
    let error = desk.fails(None);
    assert!(error.contains("nothing in pairs.zip fits"), "{error}");
    desk.assert_nothing_looks_finished();
}

#[test]
fn what_a_damaged_archive_has_left_does_not_get_into_the_set() {
    // Its first file is in order, and belongs to no set; the damage comes after it. Noise is stored as it is.
    let noise = super::noise(1000);
    let mut damaged = super::zip_of(&[("Pairs/test/evil.png", b"evil"), ("Pairs/LICENCE", &noise)]);
    let at = damaged.windows(20).position(|part| *part == noise[..20]);
    damaged[at.unwrap()] ^= 1;
    let (desk, _servers) = desk_with(
        vec![vec![Reply::ok(&damaged)], vec![Reply::ok(&pairs_zip())]],
        "",
    );
    assert_fetched(&desk);
}

#[test]
fn a_right_download_that_cannot_be_unpacked_is_kept() {
    let evil = super::zip_of(&[("../evil", b"evil")]);
    let pin = format!("sha256 = \"{}\"", sha256(&evil));
    let (desk, servers) = desk_with(vec![vec![Reply::ok(&evil)]], &pin);
    let path = desk.downloads().join("pairs.zip");
    super::write(&path, &evil);
    let error = desk.fails(None);
    assert!(
        error.contains("`../evil` leads out of the folder"),
        "{error}"
    );
    assert_eq!(fs::read(path).unwrap(), evil);
    assert!(servers[0].seen().is_empty());
}

#[test]
fn an_unpinned_download_that_cannot_be_unpacked_is_fetched_again_and_its_error_is_said() {
    let evil = super::zip_of(&[("../evil", b"evil")]);
    let (desk, _servers) = desk_with(vec![vec![Reply::status(404), Reply::ok(&pairs_zip())]], "");
    let path = desk.downloads().join("pairs.zip");
    super::write(&path, &evil);
    let error = desk.fails(None);
    assert!(
        error.contains("downloaded earlier") && error.contains("`../evil` leads out of the folder"),
        "{error}"
    );
    assert!(!path.exists());
    assert_fetched(&desk);
}
