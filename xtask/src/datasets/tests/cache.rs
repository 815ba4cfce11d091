//! What `list` and `path` say.

use std::fs;

use super::server::{Reply, Server};
use super::{Desk, http_source, pairs_manifest, pairs_zip};
use crate::datasets::cache::State;
use crate::datasets::list;
use crate::failure::Failure;

fn state(desk: &Desk) -> State {
    desk.fetcher.cache.state("pairs").unwrap()
}

#[test]
fn a_set_goes_from_absent_over_partial_to_fetched() {
    let zip = pairs_zip();
    let half = zip.len() / 2;
    let server = Server::start(vec![
        Reply::ok(&zip).cut(half),
        Reply::status(404),
        Reply::part(&zip, half),
    ]);
    let more = format!("size = {}", zip.len());
    let desk = Desk::new(&pairs_manifest(&http_source(&[server.url("x")], &more)));
    assert_eq!(state(&desk), State::Absent);
    let error = desk.fetcher.cache.find("pairs").unwrap_err();
    assert!(error.to_string().contains("pairs is not in"), "{error}");
    desk.fails(None);
    assert_eq!(state(&desk), State::Partial);
    desk.fetcher.cache.find("pairs").unwrap_err();
    desk.fetcher.fetch("pairs", None).unwrap();
    assert_eq!(state(&desk), State::Fetched);
    assert_eq!(desk.fetcher.cache.find("pairs").unwrap().1, desk.set());

    let lines = list::list(&desk.fetcher.catalogue, &desk.fetcher.cache).unwrap();
    let table = list::table(&lines);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows[0],
        ["name", "title", "roles", "size", "licence", "state"]
    );
    assert_eq!(
        rows[1],
        ["pairs", "Pairs", "test", "0.0", "MB", "CC0-1.0", "fetched"]
    );
    let json: serde_json::Value = serde_json::from_str(&list::json(&lines)).unwrap();
    assert_eq!(json["data"][0]["name"], "pairs");
    assert_eq!(json["data"][0]["roles"][0], "test");
    assert_eq!(json["data"][0]["bytes"], zip.len());
    assert_eq!(json["data"][0]["state"], "fetched");
    assert_eq!(json["data"][0]["path"], desk.set().to_str().unwrap());
}

#[test]
fn a_damaged_receipt_is_an_error_and_no_panic() {
    let server = Server::start(vec![Reply::ok(&pairs_zip())]);
    let desk = Desk::new(&pairs_manifest(&http_source(&[server.url("x")], "")));
    desk.fetcher.fetch("pairs", None).unwrap();
    for text in ["", "{", "{\"schema_version\": 9}"] {
        fs::write(desk.set().join(".receipt.json"), text).unwrap();
        let error = desk.fails(None);
        assert!(
            error.contains("is damaged, or of another version"),
            "{error}"
        );
    }
}

#[test]
fn an_unknown_name_gets_a_suggestion() {
    let desk = Desk::new(&pairs_manifest(&http_source(&["http://x/".to_owned()], "")));
    let hint = |name: &str| {
        let error = desk.fetcher.catalogue.get(name).unwrap_err();
        assert_eq!(error.to_string(), format!("there is no data set {name}"));
        // Its debug form has the hint.
        format!("{:?}", error.downcast_ref::<Failure>().unwrap())
    };
    for name in ["pair", "Pairs", "piars"] {
        assert!(hint(name).contains("did you mean pairs?"), "{}", hint(name));
    }
    for name in ["xyz", "../../etc", ""] {
        assert!(!hint(name).contains("did you mean"), "{}", hint(name));
    }
}
