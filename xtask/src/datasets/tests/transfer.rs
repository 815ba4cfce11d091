//! Downloads from a server that does one thing wrong at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::server::{Reply, Server};
use super::{noise, settings, sha256};
use crate::datasets::sources::FetchedFile;
use crate::datasets::transfer::{Request, Settings, Transfer, Trouble};

/// More than one piece, and more than the servers of the system hold back.
const LENGTH: usize = 1_000_000;

struct Bench {
    folder: tempfile::TempDir,
    transfer: Transfer,
    pauses: super::Pauses,
}

impl Bench {
    fn new() -> Self {
        let (settings, pauses) = settings();
        Self::with(settings, pauses)
    }

    fn with(settings: Settings, pauses: super::Pauses) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            transfer: Transfer::new(settings),
            pauses,
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("file.bin")
    }

    fn partial(&self) -> PathBuf {
        self.folder.path().join("file.bin.partial")
    }

    fn get(
        &self,
        url: &str,
        size: Option<u64>,
        sha256: Option<&str>,
    ) -> Result<FetchedFile, Trouble> {
        self.transfer.download(&Request {
            url,
            token: None,
            path: &self.file(),
            size,
            sha256,
        })
    }

    fn pauses(&self) -> Vec<u64> {
        let pauses = self.pauses.lock().unwrap();
        pauses.iter().map(Duration::as_secs).collect()
    }

    /// As a run that was killed leaves it.
    fn leave(&self, url: &str, bytes: &[u8], validator: &str, total: usize) {
        fs::write(self.partial(), bytes).unwrap();
        let record = serde_json::json!({ "url": url, "validator": validator, "total": total });
        fs::write(
            self.folder.path().join("file.bin.download.json"),
            record.to_string(),
        )
        .unwrap();
    }
}

fn refused(outcome: Result<FetchedFile, Trouble>) -> String {
    match outcome.unwrap_err() {
        Trouble::Mirror(error) => format!("{error:#}"),
        Trouble::Local(error) => panic!("not because of the address: {error:#}"),
    }
}

#[test]
fn a_cut_connection_is_gone_on_with() {
    let body = noise(LENGTH);
    let cut = 400_000;
    let server = Server::start(vec![Reply::ok(&body).cut(cut), Reply::part(&body, cut)]);
    let bench = Bench::new();
    let url = server.url("file.bin");
    let fetched = bench.get(&url, None, Some(&sha256(&body))).unwrap();
    assert_eq!(fs::read(bench.file()).unwrap(), body);
    assert_eq!(fetched.sha256, sha256(&body));
    assert_eq!((fetched.size, fetched.origin), (LENGTH as u64, url));
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].header("Range"), None);
    // The second request asks for the rest alone, of the same version: nothing is fetched twice.
    assert_eq!(seen[1].header("Range"), Some("bytes=400000-"));
    assert_eq!(seen[1].header("If-Range"), Some("\"v1\""));
    assert_eq!(bench.pauses(), [1]);
    assert!(!bench.partial().exists());
}

#[test]
fn a_server_that_ignores_ranges_is_read_anew() {
    let body = noise(LENGTH);
    let server = Server::start(vec![Reply::ok(&body).cut(400_000), Reply::ok(&body)]);
    let bench = Bench::new();
    let hash = sha256(&body);
    let fetched = bench.get(&server.url("x"), None, Some(&hash)).unwrap();
    assert_eq!(fetched.sha256, hash);
    assert_eq!(fs::read(bench.file()).unwrap(), body);
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn two_versions_are_never_mixed() {
    // Without a hash in the manifest, so that nothing but the version can find it out.
    let (old, new) = (noise(LENGTH), vec![7; LENGTH]);
    let changed = |reply: Reply| reply.with("ETag", "\"v2\"");
    // What a right server does with If-Range, and what a wrong one does.
    for script in [
        vec![Reply::ok(&old).cut(400_000), changed(Reply::ok(&new))],
        vec![
            Reply::ok(&old).cut(400_000),
            changed(Reply::part(&new, 400_000)),
            changed(Reply::ok(&new)),
        ],
    ] {
        let requests = script.len();
        let server = Server::start(script);
        let bench = Bench::new();
        bench.get(&server.url("x"), None, None).unwrap();
        assert_eq!(fs::read(bench.file()).unwrap(), new);
        assert_eq!(server.seen().len(), requests);
        assert_eq!(
            server.seen().last().unwrap().header("Range").is_some(),
            requests == 2
        );
    }
}

#[test]
fn a_part_that_does_not_join_is_not_joined() {
    let body = noise(LENGTH);
    let other_start = Reply::part(&body, 300_000);
    let other_total =
        Reply::part(&body, 400_000).with("Content-Range", "bytes 400000-999998/999999");
    let no_range = Reply::part(&body, 400_000).without("Content-Range");
    for wrong in [other_start, other_total, no_range] {
        let server = Server::start(vec![Reply::ok(&body).cut(400_000), wrong, Reply::ok(&body)]);
        let bench = Bench::new();
        bench.get(&server.url("x"), None, None).unwrap();
        assert_eq!(fs::read(bench.file()).unwrap(), body);
        assert_eq!(server.seen()[2].header("Range"), None);
    }
}

#[test]
fn without_a_version_nothing_is_resumed() {
    let body = noise(LENGTH);
    for (tag, date, validator) in [
        (None, None, None),
        (Some("W/\"v1\""), None, None),
        (
            Some("W/\"v1\""),
            Some("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some("Sun, 06 Nov 1994 08:49:37 GMT"),
        ),
    ] {
        let named = |reply: Reply| {
            let reply = reply.without("ETag");
            let reply = tag.map_or(reply.clone(), |tag| reply.with("ETag", tag));
            date.map_or(reply.clone(), |date| reply.with("Last-Modified", date))
        };
        let server = Server::start(vec![
            named(Reply::ok(&body).cut(400_000)),
            named(Reply::ok(&body)),
        ]);
        let bench = Bench::new();
        bench.get(&server.url("x"), None, None).unwrap();
        assert_eq!(fs::read(bench.file()).unwrap(), body);
        assert_eq!(server.seen()[1].header("If-Range"), validator);
        assert_eq!(
            server.seen()[1].header("Range").is_some(),
            validator.is_some()
        );
    }
}

#[test]
fn a_killed_run_is_gone_on_with() {
    let body = noise(LENGTH);
    let server = Server::start(vec![Reply::part(&body, 600_000)]);
    let bench = Bench::new();
    let url = server.url("file.bin");
    bench.leave(&url, &body[..600_000], "\"v1\"", LENGTH);
    let fetched = bench.get(&url, None, None).unwrap();
    // The hash is over the part of the earlier run too.
    assert_eq!(fetched.sha256, sha256(&body));
    assert_eq!(fs::read(bench.file()).unwrap(), body);
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("Range"), Some("bytes=600000-"));
}

#[test]
fn a_run_that_was_killed_at_the_end_asks_for_nothing() {
    let body = noise(1000);
    let server = Server::start(vec![]);
    let bench = Bench::new();
    let url = server.url("x");
    bench.leave(&url, &body, "\"v1\"", 1000);
    bench.get(&url, None, Some(&sha256(&body))).unwrap();
    assert_eq!(fs::read(bench.file()).unwrap(), body);
    assert!(server.seen().is_empty());
}

#[test]
fn what_another_address_left_is_not_gone_on_with() {
    let body = noise(1000);
    let server = Server::start(vec![Reply::ok(&body)]);
    let bench = Bench::new();
    bench.leave("http://example.org/x", &[7; 500], "\"v1\"", 1000);
    bench.get(&server.url("x"), None, None).unwrap();
    assert_eq!(fs::read(bench.file()).unwrap(), body);
    assert_eq!(server.seen()[0].header("Range"), None);
}

#[test]
fn a_damaged_record_is_no_record() {
    let body = noise(1000);
    let server = Server::start(vec![Reply::ok(&body)]);
    let bench = Bench::new();
    fs::write(bench.partial(), [7; 500]).unwrap();
    fs::write(bench.folder.path().join("file.bin.download.json"), "{").unwrap();
    bench.get(&server.url("x"), None, None).unwrap();
    assert_eq!(fs::read(bench.file()).unwrap(), body);
}

#[test]
fn a_part_longer_than_the_file_is_dropped() {
    let body = noise(1000);
    let server = Server::start(vec![Reply::status(416), Reply::ok(&body)]);
    let bench = Bench::new();
    let url = server.url("x");
    bench.leave(&url, &[7; 900], "\"v1\"", 2000);
    bench.get(&url, None, None).unwrap();
    assert_eq!(fs::read(bench.file()).unwrap(), body);
    assert_eq!(server.seen()[1].header("Range"), None);
}

#[test]
fn a_length_that_is_too_long_is_found() {
    let body = noise(1000);
    let lie = || Reply::ok(&body).with("Content-Length", "1500");
    let rest = || {
        Reply::part(&body, 999)
            .with("Content-Range", "bytes 1000-1499/1500")
            .cut(0)
    };
    let server = Server::start(vec![lie(), rest(), rest()]);
    let bench = Bench::new();
    let found = refused(bench.get(&server.url("x"), None, None));
    assert!(found.contains("cut after 1000 of 1500 bytes"), "{found}");
    assert!(!bench.file().exists());
    // With the size in the manifest the lie is seen before anything is read.
    let server = Server::start(vec![lie()]);
    let found = refused(Bench::new().get(&server.url("x"), Some(1000), None));
    assert_eq!(found, "the server announces 1500 bytes, expected 1000");
}

#[test]
fn a_length_that_is_too_short_is_found() {
    let body = noise(1000);
    let lie = || Reply::ok(&body).with("Content-Length", "600");
    let server = Server::start(vec![lie(), lie()]);
    let bench = Bench::new();
    let found = refused(bench.get(&server.url("x"), Some(1000), None));
    assert_eq!(found, "the server announces 600 bytes, expected 1000");
    let found = refused(bench.get(&server.url("x"), None, Some(&sha256(&body))));
    assert!(
        found.contains(&sha256(&body)) && found.contains(&sha256(&body[..600])),
        "{found}"
    );
    assert!(!bench.file().exists() && !bench.partial().exists());
}

#[test]
fn a_body_without_length_is_bounded_by_the_manifest() {
    let body = noise(LENGTH);
    let endless = || Reply::ok(&body).without("Content-Length");
    let server = Server::start(vec![endless(), endless()]);
    let bench = Bench::new();
    let found = refused(bench.get(&server.url("x"), Some(1000), None));
    assert!(
        found.contains("more than the 1000 bytes expected"),
        "{found}"
    );
    assert!(!bench.file().exists() && !bench.partial().exists());
    bench
        .get(&server.url("x"), Some(LENGTH as u64), None)
        .unwrap();
    assert_eq!(fs::read(bench.file()).unwrap(), body);
}

#[test]
fn a_cut_body_without_length_is_gone_on_with() {
    // Such a body ends with the connection; only the manifest knows that it is too short.
    let body = noise(LENGTH);
    let server = Server::start(vec![
        Reply::ok(&body).without("Content-Length").cut(400_000),
        Reply::part(&body, 400_000),
    ]);
    let bench = Bench::new();
    bench
        .get(&server.url("x"), Some(LENGTH as u64), None)
        .unwrap();
    assert_eq!(fs::read(bench.file()).unwrap(), body);
    assert_eq!(server.seen()[1].header("Range"), Some("bytes=400000-"));
}

#[test]
fn a_missing_file_is_not_asked_for_twice() {
    for status in [404, 410, 403, 400] {
        let server = Server::start(vec![Reply::status(status)]);
        let bench = Bench::new();
        let found = refused(bench.get(&server.url("x"), None, None));
        assert!(found.contains(&status.to_string()), "{found}");
        assert_eq!(server.seen().len(), 1);
        assert!(bench.pauses().is_empty());
    }
}

#[test]
fn a_busy_server_is_given_the_time_that_it_asks_for() {
    let body = noise(1000);
    let busy = |pause: &str| Reply::status(429).with("Retry-After", pause);
    let server = Server::start(vec![busy("7"), Reply::ok(&body)]);
    let bench = Bench::new();
    bench.get(&server.url("x"), None, None).unwrap();
    assert_eq!(bench.pauses(), [7]);
    // But not any time.
    let server = Server::start(vec![busy("4000")]);
    let bench = Bench::new();
    let found = refused(bench.get(&server.url("x"), None, None));
    assert!(found.contains("wants a pause of 66 min 40 s"), "{found}");
    assert!(bench.pauses().is_empty());
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_server_that_fails_twice_and_then_works_is_used() {
    let body = noise(1000);
    let server = Server::start(vec![
        Reply::status(500),
        Reply::status(503),
        Reply::ok(&body),
    ]);
    let bench = Bench::new();
    bench.get(&server.url("x"), None, None).unwrap();
    // Twice as long each time.
    assert_eq!(bench.pauses(), [1, 2]);
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn a_server_that_fails_for_ever_is_given_up() {
    let server = Server::start(vec![Reply::status(502); 9]);
    let bench = Bench::new();
    let found = refused(bench.get(&server.url("x"), None, None));
    assert!(
        found.contains("gave up after 3 failures") && found.contains("502"),
        "{found}"
    );
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn progress_is_not_failure() {
    // Every connection is cut, but each brings more than a mebibyte.
    let step = 1_200_000;
    let body = noise(step * 5);
    let mut script = vec![Reply::ok(&body).cut(step)];
    script.extend((1..5).map(|at| Reply::part(&body, at * step).cut(step)));
    let server = Server::start(script);
    let bench = Bench::new();
    bench
        .get(&server.url("x"), None, Some(&sha256(&body)))
        .unwrap();
    assert_eq!(server.seen().len(), 5);
}

#[test]
fn a_silent_server_is_a_cut_connection() {
    let body = noise(LENGTH);
    let (mut settings, pauses) = settings();
    settings.idle = Duration::from_millis(300);
    let server = Server::start(vec![
        Reply::ok(&body).stall(400_000),
        Reply::part(&body, 400_000),
    ]);
    let bench = Bench::with(settings, pauses);
    bench
        .get(&server.url("x"), None, Some(&sha256(&body)))
        .unwrap();
    assert_eq!(server.seen()[1].header("Range"), Some("bytes=400000-"));
}

#[test]
fn another_content_is_deleted_and_both_hashes_are_named() {
    let (good, bad) = (noise(1000), vec![7; 1000]);
    let server = Server::start(vec![Reply::ok(&bad)]);
    let bench = Bench::new();
    let found = refused(bench.get(&server.url("x"), None, Some(&sha256(&good))));
    assert!(
        found.contains(&sha256(&good)) && found.contains(&sha256(&bad)),
        "{found}"
    );
    assert_eq!(fs::read_dir(bench.folder.path()).unwrap().count(), 0);
}

#[test]
fn an_encoded_body_is_refused() {
    let server = Server::start(vec![Reply::ok(b"x").with("Content-Encoding", "gzip")]);
    let found = refused(Bench::new().get(&server.url("x"), None, None));
    assert!(found.contains("encoded as gzip"), "{found}");
    assert_eq!(server.seen()[0].header("Accept-Encoding"), Some("identity"));
}

#[test]
fn what_does_not_fit_on_the_disk_is_not_begun() {
    let body = noise(1000);
    let (mut settings, pauses) = settings();
    settings.free_space = Box::new(|_: &Path| Some(999));
    let server = Server::start(vec![Reply::ok(&body)]);
    let bench = Bench::with(settings, pauses);
    let Err(Trouble::Local(error)) = bench.get(&server.url("x"), None, None) else {
        panic!("no other mirror would help");
    };
    assert!(
        error.to_string().contains("free, the download needs"),
        "{error}"
    );
    assert_eq!(fs::read_dir(bench.folder.path()).unwrap().count(), 0);
}

#[test]
fn what_is_finished_is_used_if_it_is_right() {
    let body = noise(1000);
    let bench = Bench::new();
    let hash = sha256(&body);
    let finished = |hash: &str| bench.transfer.finished(&bench.file(), None, Some(hash));
    assert_eq!(finished(&hash).unwrap(), None);
    fs::write(bench.file(), &body).unwrap();
    assert_eq!(finished(&hash).unwrap().unwrap().sha256, hash);
    assert_eq!(finished(&sha256(b"other")).unwrap(), None);
    assert!(!bench.file().exists());
}

#[test]
fn a_wrong_beginning_does_not_cost_the_address() {
    let (body, bad) = (noise(LENGTH), vec![7; LENGTH]);
    let hash = sha256(&body);
    // What a killed run left is damaged: in the middle, and with all bytes there.
    for left in [600_000, LENGTH] {
        let rest = Reply::part(&body, left.min(LENGTH - 1));
        let rest = (left < LENGTH).then_some(rest);
        let script = |last: &[u8]| rest.iter().cloned().chain([Reply::ok(last)]).collect();
        let server = Server::start(script(&body));
        let bench = Bench::new();
        let url = server.url("x");
        bench.leave(&url, &bad[..left], "\"v1\"", LENGTH);
        bench.get(&url, None, Some(&hash)).unwrap();
        assert_eq!(fs::read(bench.file()).unwrap(), body);
        let seen = server.seen();
        assert_eq!(seen.last().unwrap().header("Range"), None);
        // But only once: from zero it is the address that is wrong.
        let server = Server::start(script(&bad));
        let bench = Bench::new();
        let url = server.url("x");
        bench.leave(&url, &bad[..left], "\"v1\"", LENGTH);
        let found = refused(bench.get(&url, None, Some(&hash)));
        assert!(found.contains(&sha256(&bad)), "{found}");
        assert_eq!(server.seen().len(), seen.len());
        assert!(!bench.file().exists() && !bench.partial().exists());
    }
}

#[test]
fn a_body_of_unknown_length_stops_before_the_disk_is_full() {
    let body = vec![7; 18 << 20];
    // No room at the first piece; room at first, and none 16 MiB later.
    for looks in [1, 2] {
        let (mut settings, pauses) = settings();
        let left = std::cell::Cell::new(looks);
        settings.free_space = Box::new(move |_: &Path| {
            let has_room = left.get() > 0;
            left.set(left.get() - 1);
            Some(if has_room { 1 << 40 } else { 1000 })
        });
        let server = Server::start(vec![Reply::ok(&body).without("Content-Length")]);
        let bench = Bench::with(settings, pauses);
        let Err(Trouble::Local(error)) = bench.get(&server.url("x"), None, None) else {
            panic!("no other mirror would help");
        };
        assert!(
            error.to_string().contains("does not say how long"),
            "{error}"
        );
        assert_eq!(fs::read_dir(bench.folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_body_of_unknown_length_has_a_limit() {
    let body = noise(LENGTH);
    let endless = || Reply::ok(&body).without("Content-Length");
    let server = Server::start(vec![endless(), endless()]);
    for (most_bytes, is_enough) in [(LENGTH as u64, true), (LENGTH as u64 - 1, false)] {
        let (mut settings, pauses) = settings();
        settings.most_bytes = most_bytes;
        let bench = Bench::with(settings, pauses);
        let outcome = bench.get(&server.url("x"), None, None);
        if is_enough {
            outcome.unwrap();
            continue;
        }
        let found = refused(outcome);
        assert!(found.contains("sends more than"), "{found}");
        assert_eq!(fs::read_dir(bench.folder.path()).unwrap().count(), 0);
    }
}
