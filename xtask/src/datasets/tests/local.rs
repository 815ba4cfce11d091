//! Sets that a person has already.

use std::fs;
use std::path::{Path, PathBuf};

use super::server::{Reply, Server};
use super::{Desk, http_source, pairs_manifest, pairs_zip, png, sha256, tree};
use crate::datasets::cache::State;
use crate::datasets::fetch::Outcome;
use crate::datasets::verify;

const LOCAL: &str = r#"
[[sources]]
kind = "local"
expects = "pairs.zip, or the unpacked folder"
members = [{ glob = "Pairs/test/**", strip = "Pairs/" }]
"#;

/// The unpacked set of a user, with more in it than the manifest needs.
fn own(folder: &Path) -> PathBuf {
    let own = folder.join("own");
    for (path, seed) in [
        ("test/a/sharp/1.png", 1),
        ("test/a/blur/1.png", 2),
        ("test/b/sharp/1.png", 3),
        ("test/b/blur/1.png", 4),
    ] {
        super::write(&own.join(path), &png(8, 6, seed));
    }
    super::write(&own.join("train/a/sharp/1.png"), b"whatever");
    super::write(&own.join(".DS_Store"), b"whatever");
    own
}

#[test]
fn a_folder_is_used_where_it_is() {
    let desk = Desk::new(&pairs_manifest(LOCAL));
    let own = own(desk.folder.path());
    let before = tree(&own);
    let outcome = desk.fetcher.fetch("pairs", Some(&own)).unwrap();
    assert_eq!(outcome, Outcome::Adopted(own.clone()));
    // Nothing is copied, and nothing is written into it.
    assert_eq!(tree(&desk.set()), [".receipt.json"]);
    assert_eq!(tree(&own), before);
    let cache = &desk.fetcher.cache;
    assert_eq!(cache.find("pairs").unwrap().1, own);
    assert_eq!(cache.state("pairs").unwrap(), State::Adopted);
    let outcome = desk.fetcher.fetch("pairs", None).unwrap();
    assert_eq!(outcome, Outcome::WasThere(own.clone()));
    let findings = verify::verify(&desk.fetcher.catalogue, cache, "pairs").unwrap();
    assert_eq!(findings.problems, []);
    assert_eq!((findings.files.len(), findings.pairs), (4, 2));
}

#[test]
fn a_folder_that_is_not_the_set_is_not_used() {
    let desk = Desk::new(&pairs_manifest(LOCAL));
    let own = own(desk.folder.path());
    // Decoded to the end, as `verify` does: the header alone is in order.
    let photo = png(8, 6, 4);
    fs::write(own.join("test/b/blur/1.png"), &photo[..photo.len() - 30]).unwrap();
    fs::remove_file(own.join("test/a/sharp/1.png")).unwrap();
    let error = desk.fails(Some(&own));
    for part in ["corrupt: test/b/blur/1.png", "unpaired: test/a/blur/1.png"] {
        assert!(error.contains(part), "{part}: not in\n{error}");
    }
    assert!(!desk.set().exists());
}

#[test]
fn a_folder_that_is_gone_or_changed_is_named() {
    let desk = Desk::new(&pairs_manifest(LOCAL));
    let own = own(desk.folder.path());
    desk.fetcher.fetch("pairs", Some(&own)).unwrap();
    fs::write(own.join("test/a/blur/1.png"), b"shorter").unwrap();
    let error = desk.fails(None);
    assert!(
        error.contains("1 files of pairs are gone or changed: test/a/blur/1.png"),
        "{error}"
    );
    fs::rename(&own, desk.folder.path().join("moved")).unwrap();
    let cache = &desk.fetcher.cache;
    assert_eq!(cache.state("pairs").unwrap(), State::Absent);
    let error = cache.find("pairs").unwrap_err().to_string();
    assert!(error.contains("which is gone"), "{error}");
    // Another copy takes its place.
    let other = self::own(&desk.folder.path().join("other"));
    let outcome = desk.fetcher.fetch("pairs", Some(&other)).unwrap();
    assert_eq!(outcome, Outcome::Adopted(other));
}

#[test]
fn an_archive_of_any_name_is_taken_where_one_is_expected() {
    let desk = Desk::new(&pairs_manifest(LOCAL));
    let archive = desk.folder.path().join("from-a-friend.zip");
    fs::write(&archive, pairs_zip()).unwrap();
    let outcome = desk.fetcher.fetch("pairs", Some(&archive)).unwrap();
    assert_eq!(outcome, Outcome::Fetched(desk.set()));
    assert_eq!(tree(&desk.set()).len(), 5);
    assert_eq!(fs::read(&archive).unwrap(), pairs_zip());
}

#[test]
fn an_archive_stands_for_the_download_of_its_name() {
    let server = Server::start(vec![]);
    let pin = format!("sha256 = \"{}\"", sha256(&pairs_zip()));
    let desk = Desk::new(&pairs_manifest(&http_source(&[server.url("x")], &pin)));
    let folder = desk.folder.path().join("downloads of mine");
    let archive = folder.join("pairs.zip");
    super::write(&archive, b"another");
    let error = desk.fails(Some(&archive));
    assert!(error.contains(&sha256(b"another")), "{error}");
    assert!(error.contains(&sha256(&pairs_zip())), "{error}");
    fs::write(&archive, pairs_zip()).unwrap();
    // The folder in which it lies will do.
    let outcome = desk.fetcher.fetch("pairs", Some(&folder)).unwrap();
    assert_eq!(outcome, Outcome::Fetched(desk.set()));
    assert!(server.seen().is_empty());
    assert!(archive.exists());
}

#[test]
fn an_unknown_archive_is_not_guessed_at() {
    let server = Server::start(vec![]);
    let desk = Desk::new(&pairs_manifest(&http_source(&[server.url("x")], "")));
    let archive = desk.folder.path().join("something.zip");
    fs::write(&archive, pairs_zip()).unwrap();
    let error = desk.fails(Some(&archive));
    assert!(
        error.contains("something.zip is none of the files of pairs"),
        "{error}"
    );
    let error = desk.fails(Some(&desk.folder.path().join("nowhere")));
    assert!(error.contains("neither a file nor a folder"), "{error}");
}

#[test]
fn what_only_a_person_can_get_is_asked_for() {
    let desk = Desk::new(&pairs_manifest(LOCAL));
    let error = desk.fetcher.fetch("pairs", None).unwrap_err();
    let text = format!("{error:#}");
    assert_eq!(text, "pairs cannot be fetched by a program");
    let text = crate::failure::with_hints(&error, "");
    assert!(
        text.contains("get pairs.zip, or the unpacked folder"),
        "{text}"
    );
    assert!(!desk.set().exists());
}

#[test]
fn a_fetched_set_is_not_replaced_by_a_folder() {
    let server = Server::start(vec![Reply::ok(&pairs_zip())]);
    let desk = Desk::new(&pairs_manifest(&http_source(&[server.url("x")], "")));
    desk.fetcher.fetch("pairs", None).unwrap();
    let own = own(desk.folder.path());
    let error = desk.fails(Some(&own));
    assert!(error.contains("was fetched already"), "{error}");
    assert_eq!(tree(&desk.set()).len(), 6);
}
