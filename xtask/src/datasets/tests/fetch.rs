//! From a manifest to a set, whatever comes between.

use std::fs;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::server::{Reply, Server};
use super::{Desk, http_source, pairs_manifest, pairs_zip, png, settings, sha256, tree, zip_of};
use crate::datasets::cache::State;
use crate::datasets::fetch::Outcome;

fn pinned(server: &Server) -> String {
    let pin = format!("sha256 = \"{}\"", sha256(&pairs_zip()));
    pairs_manifest(&http_source(&[server.url("pairs.zip")], &pin))
}

fn fetch(desk: &Desk) -> Outcome {
    desk.fetcher.fetch("pairs", None).unwrap()
}

#[test]
fn what_is_there_is_not_fetched_again() {
    let server = Server::start(vec![Reply::ok(&pairs_zip())]);
    let desk = Desk::new(&pinned(&server));
    assert_eq!(fetch(&desk), Outcome::Fetched(desk.set()));
    assert_eq!(fetch(&desk), Outcome::WasThere(desk.set()));
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn what_was_damaged_is_fetched_again() {
    let server = Server::start(vec![Reply::ok(&pairs_zip()); 2]);
    let desk = Desk::new(&pinned(&server));
    fetch(&desk);
    let before = tree(&desk.set());
    fs::remove_file(desk.set().join("test/a/blur/1.png")).unwrap();
    assert_eq!(fetch(&desk), Outcome::Fetched(desk.set()));
    assert_eq!(tree(&desk.set()), before);
    // When it cannot be fetched again, what is left of it stays.
    fs::remove_file(desk.set().join("test/a/blur/1.png")).unwrap();
    desk.fails(None);
    assert_eq!(tree(&desk.set()).len(), before.len() - 1);
}

#[test]
fn a_finished_download_of_a_killed_run_is_used() {
    let server = Server::start(vec![]);
    let desk = Desk::new(&pinned(&server));
    super::write(&desk.downloads().join("pairs.zip"), &pairs_zip());
    // Half unpacked, when it was killed.
    super::write(
        &desk
            .folder
            .path()
            .join("cache/.pairs.new-abc/part-0/test/a.png"),
        b"half",
    );
    assert_eq!(desk.fetcher.cache.state("pairs").unwrap(), State::Partial);
    assert_eq!(fetch(&desk), Outcome::Fetched(desk.set()));
    assert!(server.seen().is_empty());
    assert!(!desk.folder.path().join("cache/.pairs.new-abc").exists());
}

#[test]
fn two_runs_do_not_meet() {
    let server = Server::start(vec![Reply::ok(&pairs_zip())]);
    let desk = Desk::new(&pinned(&server));
    let held = desk.fetcher.cache.lock("pairs").unwrap();
    let (sender, receiver) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // A run of its own, as in another terminal.
            let (settings, _) = settings();
            let other = crate::datasets::fetch::Fetcher {
                catalogue: crate::datasets::catalogue::Catalogue::of(
                    &desk.folder.path().join("manifests"),
                ),
                cache: desk.fetcher.cache.clone(),
                transfer: crate::datasets::transfer::Transfer::new(settings),
                hub: crate::datasets::sources::huggingface::Hub {
                    endpoint: String::new(),
                    token: None,
                },
            };
            sender.send(other.fetch("pairs", None)).unwrap();
        });
        let waits = receiver.recv_timeout(Duration::from_millis(300));
        assert!(waits.is_err(), "it did not wait: {waits:?}");
        assert!(server.seen().is_empty());
        drop(held);
        let outcome = receiver.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(outcome.unwrap(), Outcome::Fetched(desk.set()));
    });
    assert_eq!(fetch(&desk), Outcome::WasThere(desk.set()));
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_set_that_is_not_what_the_manifest_says_is_not_put_there() {
    let zip = zip_of(&[
        ("Pairs/LICENCE", b"free"),
        ("Pairs/test/a/sharp/1.png", &png(8, 6, 1)),
        ("Pairs/test/a/blur/1.png", &png(9, 6, 2)),
        ("Pairs/test/b/blur/1.png", b"not a photo"),
    ]);
    let server = Server::start(vec![Reply::ok(&zip)]);
    // Not pinned: what is wrong may be the download, which must not be used again.
    let desk = Desk::new(&pairs_manifest(&http_source(&[server.url("x")], "")));
    let error = desk.fails(None);
    for part in [
        "wrong size: test/a/blur/1.png: is 9×6",
        "unpaired: test/b/blur/1.png",
        "corrupt: test/b/blur/1.png",
    ] {
        assert!(error.contains(part), "{part}: not in\n{error}");
    }
    desk.assert_nothing_looks_finished();
}

#[test]
fn a_folder_that_this_command_has_not_made_is_left_alone() {
    let server = Server::start(vec![]);
    let desk = Desk::new(&pinned(&server));
    super::write(&desk.set().join("thesis.txt"), b"years of work");
    let error = desk.fails(None);
    assert!(error.contains("is in the way"), "{error}");
    assert_eq!(tree(&desk.set()), ["thesis.txt"]);
    assert!(server.seen().is_empty());
}

#[test]
fn a_disk_that_is_too_small_is_noticed_before_unpacking() {
    let zip = pairs_zip();
    let server = Server::start(vec![Reply::ok(&zip)]);
    let (mut settings, pauses) = settings();
    let unpacked: usize = tree_size(&zip);
    assert!(unpacked > 0);
    // Enough for the download alone.
    settings.free_space = Box::new(move |folder: &Path| {
        let is_download = folder.ends_with("downloads/pairs");
        Some(if is_download {
            1 << 30
        } else {
            unpacked as u64 - 1
        })
    });
    let desk = Desk::with(&pinned(&server), settings, pauses);
    let error = desk.fails(None);
    assert!(error.contains("free, pairs needs"), "{error}");
    assert!(!desk.set().exists());
    // The download is right, and stays for the day when there is room.
    assert!(desk.downloads().join("pairs.zip").exists());
}

/// Bytes of the files of the small set, without the one that is not taken.
fn tree_size(zip: &[u8]) -> usize {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap();
    (0..zip.len())
        .map(|index| {
            let entry = zip.by_index(index).unwrap();
            let is_taken = !entry.name().contains("train");
            usize::from(is_taken) * usize::try_from(entry.size()).unwrap()
        })
        .sum()
}

#[test]
fn a_new_manifest_is_compared_with_what_is_there() {
    let server = Server::start(vec![Reply::ok(&pairs_zip())]);
    let desk = Desk::new(&pinned(&server));
    fetch(&desk);
    desk.manifest(&pinned(&server).replace("nobody, 2026", "somebody, 2026"));
    assert_eq!(fetch(&desk), Outcome::WasThere(desk.set()));
    desk.manifest(&pinned(&server).replace("count = 2", "count = 3"));
    let error = desk.fails(None);
    assert!(
        error.contains("count: test: has 2 pairs, expected 3"),
        "{error}"
    );
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn parts_come_together_and_sources_stand_in_for_each_other() {
    let sharp = zip_of(&[
        ("a/sharp/1.png", &png(8, 6, 1)),
        ("b/sharp/1.png", &png(8, 6, 3)),
    ]);
    let blur = zip_of(&[
        ("a/blur/1.png", &png(8, 6, 2)),
        ("b/blur/1.png", &png(8, 6, 4)),
    ]);
    let server = Server::start(vec![
        Reply::ok(&sharp),
        Reply::status(404),
        Reply::ok(&blur),
        Reply::ok(b"free"),
    ]);
    let source = |part: &str, file: &str, members: &str| {
        format!(
            "[[sources]]\nkind = \"http\"\npart = \"{part}\"\nurls = [\"{}\"]\nfile = \"{file}\"\n{members}\n",
            server.url(file)
        )
    };
    let to_test = "members = [{ glob = \"**\", to = \"test\" }]";
    let sources = [
        source("sharp", "sharp.zip", to_test),
        source("blur", "gone.zip", to_test),
        source("blur", "blur.zip", to_test),
        source("licence", "LICENCE", ""),
    ]
    .concat();
    let desk = Desk::new(&pairs_manifest(&sources));
    assert_eq!(fetch(&desk), Outcome::Fetched(desk.set()));
    assert_eq!(tree(&desk.set()).len(), 6);
    assert_eq!(fs::read(desk.set().join("LICENCE")).unwrap(), b"free");
    let asked: Vec<String> = server.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(asked, ["/sharp.zip", "/gone.zip", "/blur.zip", "/LICENCE"]);
}

#[test]
fn two_parts_may_not_bring_the_same_file() {
    let server = Server::start(vec![Reply::ok(b"free"), Reply::ok(b"other")]);
    let source = |part: &str| {
        format!(
            "[[sources]]\nkind = \"http\"\npart = \"{part}\"\nurls = [\"{}\"]\nfile = \"LICENCE\"\nmembers = [{{ glob = \"*\" }}]\nsha256 = \"{}\"\n",
            server.url(part),
            sha256(if part == "a" { b"free" } else { b"other" })
        )
    };
    let desk = Desk::new(&pairs_manifest(&[source("a"), source("b")].concat()));
    let error = desk.fails(None);
    assert!(error.contains("two parts bring LICENCE"), "{error}");
}

#[test]
fn what_can_be_done_is_said_for_each_of_several_sources() {
    let server = Server::start(vec![Reply::ok(&pairs_zip())]);
    let (mut settings, pauses) = settings();
    settings.free_space = Box::new(|_: &Path| Some(0));
    let local = "[[sources]]\nkind = \"local\"\nexpects = \"the archive\"\n";
    let http = http_source(&[server.url("pairs.zip")], "");
    let desk = Desk::with(&pairs_manifest(&format!("{http}{local}")), settings, pauses);
    let error = desk.fails(None);
    let lines: Vec<&str> = error.lines().map(str::trim).collect();
    for (source, hint) in [
        ("http: ", "hint: free some space"),
        ("local: ", "hint: get the archive"),
    ] {
        let at = lines.iter().position(|line| line.starts_with(source));
        let next = at.and_then(|at| lines.get(at + 1));
        assert!(
            next.is_some_and(|line| line.starts_with(hint)),
            "{hint}: not in\n{error}"
        );
    }
}

#[test]
fn a_hint_that_stands_for_all_sources_is_said_once() {
    let server = Server::start(vec![Reply::status(404), Reply::status(404)]);
    let sources = [
        http_source(&[server.url("a")], ""),
        http_source(&[server.url("b")], "").replace("pairs.zip", "other.zip"),
    ];
    let error = Desk::new(&pairs_manifest(&sources.concat())).fails(None);
    assert!(
        error.contains("could not be had from any of 2 sources"),
        "{error}"
    );
    assert!(!error.contains("hint:"), "{error}");
}
