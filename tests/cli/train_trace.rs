//! Where the time of a training run goes.

use std::collections::BTreeMap;

use integration_tests::{Folder, Outcome, msdeblur};
use serde_json::Value;

fn train(folder: &Folder, options: &[&str]) -> Outcome {
    for name in ["photos/a.png", "photos/b.png", "photos/c.png"] {
        if !folder.at(name).exists() {
            folder.photo(name, 176, 176);
        }
    }
    let (photos, out) = (folder.text("photos"), folder.text("run"));
    let fixed = [
        "train", "--photos", &photos, "--out", &out, "--preset", "tiny",
    ];
    Outcome::of(&mut msdeblur(fixed.iter().chain(options)))
}

/// Begin and end in microseconds.
fn interval(event: &Value) -> (f64, f64) {
    let number = |key: &str| event[key].as_f64().expect("a number");
    (number("ts"), number("ts") + number("dur"))
}

#[test]
fn a_trace_holds_the_parts_of_every_step() {
    let folder = Folder::new();
    let trace = folder.text("trace.json");
    let outcome = train(&folder, &["--steps", "3", "--trace", &trace, "--json"]).exits(0);

    let text = std::fs::read_to_string(folder.at("trace.json")).expect("a trace");
    let events: Vec<Value> = serde_json::from_str(&text).expect("one JSON array");
    let mut parts: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for event in &events {
        assert_eq!(event["ph"], "X", "{event}");
        assert!(
            event["dur"].as_f64().is_some_and(|length| length > 0.0),
            "{event}"
        );
        parts
            .entry(event["name"].as_str().expect("a name"))
            .or_default()
            .push(event);
    }
    for (name, count) in [
        ("step", 3),
        ("load", 3),
        ("forward", 3),
        ("noise", 3),
        ("backward", 3),
        ("clip", 3),
        ("optimizer", 3),
        ("ema", 3),
        ("validate", 1),
        ("checkpoint", 1),
    ] {
        assert_eq!(parts.get(name).map(Vec::len), Some(count), "{name}: {text}");
    }
    // Parts lie in their step, one after the other; noise lies in the forward pass.
    for (step, &whole) in parts["step"].iter().enumerate() {
        let at = |name: &str| interval(parts[name][step]);
        let (begin, end) = interval(whole);
        let mut last = begin;
        for name in ["load", "forward", "backward", "clip", "optimizer", "ema"] {
            let (first, done) = at(name);
            assert!(
                last <= first + 1e-3 && done <= end + 1e-3,
                "{name} of step {step}"
            );
            last = done;
        }
        assert!(at("forward").0 <= at("noise").0 && at("noise").1 <= at("forward").1 + 1e-3);
    }

    // The table says the same.
    let rows = outcome.only("trace")["parts"]
        .as_array()
        .expect("rows")
        .clone();
    assert_eq!(rows.len(), parts.len());
    let shares: f64 = rows.iter().filter_map(|row| row["share"].as_f64()).sum();
    assert!((shares - 1.0).abs() < 1e-6, "{shares}");
    for part in ["forward", "backward", "trace: "] {
        assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
    }
}

#[test]
fn a_trace_goes_into_a_new_file() {
    let folder = Folder::new();
    folder.write("there.json", b"mine");
    let outcome = train(&folder, &["--trace", &folder.text("there.json")]).exits(2);
    assert!(
        outcome.stderr.contains("there.json") && outcome.stderr.contains("hint: "),
        "{}",
        outcome.stderr
    );
    assert_eq!(folder.bytes("there.json"), b"mine");
    assert!(!folder.at("run").exists());
}
