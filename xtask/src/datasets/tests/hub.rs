//! A local stand-in for the Hugging Face Hub.

use std::fs;

use super::server::{Reply, Server};
use super::{Desk, pairs_manifest, pairs_zip, sha256, tree};

fn source(more: &str) -> String {
    pairs_manifest(&format!(
        r#"
[[sources]]
kind = "huggingface"
repo = "someone/pairs"
revision = "0123abc"
{more}
[[sources.files]]
path = "data/all pairs.zip"
size = {}
sha256 = "{}"
members = [{{ glob = "Pairs/test/**", strip = "Pairs/" }}]
[[sources.files]]
path = "LICENCE"

"#,
        pairs_zip().len(),
        sha256(&pairs_zip()),
    ))
}

fn desk(manifest: &str, server: &Server, token: Option<&str>) -> Desk {
    let mut desk = Desk::new(manifest);
    desk.fetcher.hub.endpoint = server.url("").trim_end_matches('/').to_owned();
    desk.fetcher.hub.token = token.map(str::to_owned);
    desk
}

#[test]
fn files_come_from_the_addresses_of_the_hub() {
    let server = Server::start(vec![Reply::ok(&pairs_zip()), Reply::ok(b"free")]);
    let desk = desk(&source(""), &server, None);
    desk.fetcher.fetch("pairs", None).unwrap();
    assert_eq!(tree(&desk.set()).len(), 6);
    assert_eq!(fs::read(desk.set().join("LICENCE")).unwrap(), b"free");
    let asked: Vec<String> = server.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(
        asked,
        [
            "/datasets/someone/pairs/resolve/0123abc/data/all%20pairs.zip",
            "/datasets/someone/pairs/resolve/0123abc/LICENCE"
        ]
    );
    assert_eq!(server.seen()[0].header("Authorization"), None);
}

#[test]
fn models_and_spaces_have_addresses_of_their_own() {
    for (kind, start) in [("model", "/someone/"), ("space", "/spaces/someone/")] {
        let server = Server::start(vec![Reply::ok(&pairs_zip()), Reply::ok(b"free")]);
        let desk = desk(&source(&format!("repo_type = \"{kind}\"")), &server, None);
        desk.fetcher.fetch("pairs", None).unwrap();
        assert!(server.seen()[0].path.starts_with(start));
    }
}

#[test]
fn what_the_hub_sends_is_compared_with_size_and_hash() {
    let mut bad = pairs_zip();
    bad[200] ^= 1;
    let server = Server::start(vec![Reply::ok(&bad)]);
    let desk = desk(&source(""), &server, None);
    let error = desk.fails(None);
    assert!(error.contains(&sha256(&bad)), "{error}");
    desk.assert_nothing_looks_finished();

    let server = Server::start(vec![Reply::ok(&bad[1..])]);
    let desk = self::desk(&source(""), &server, None);
    let error = desk.fails(None);
    assert!(error.contains("the server announces"), "{error}");
}

#[test]
fn the_token_stays_with_the_hub() {
    // The hub hands large files on to a store of its own, at another address.
    let store = Server::start(vec![Reply::ok(&pairs_zip())]);
    let elsewhere = store.url("store").replace("127.0.0.1", "localhost");
    let server = Server::start(vec![
        Reply::status(302).with("Location", &elsewhere),
        Reply::ok(b"free"),
    ]);
    let desk = desk(&source(""), &server, Some("secret"));
    desk.fetcher.fetch("pairs", None).unwrap();
    assert_eq!(
        server.seen()[0].header("Authorization"),
        Some("Bearer secret")
    );
    assert_eq!(store.seen().len(), 1);
    assert_eq!(store.seen()[0].header("Authorization"), None);
}

#[test]
fn a_set_behind_terms_says_so() {
    let server = Server::start(vec![Reply::status(401)]);
    let desk = desk(&source(""), &server, None);
    let error = desk.fails(None);
    assert!(error.contains("terms to accept"), "{error}");
}
