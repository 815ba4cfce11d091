//! Training, killed, continued, and used.

use std::path::Path;
#[cfg(unix)]
use std::process::Command;

use integration_tests::{Folder, Outcome, Running, msdeblur};
use serde_json::Value;

use crate::deblur;

const FILES: [&str; 11] = [
    ".lock",
    "best.safetensors",
    "config.toml",
    "curves.svg",
    "metrics.jsonl",
    "model.safetensors",
    "preview.png",
    "previews",
    "state-000000010.safetensors",
    "state.safetensors",
    "tensorboard",
];

/// Three photos of their own in `photos`.
fn photos() -> Folder {
    let folder = Folder::new();
    for name in ["photos/a.png", "photos/b.png", "photos/c.png"] {
        folder.photo(name, 176, 176);
    }
    folder
}

/// The smallest training into `out`.
fn arguments(folder: &Folder, out: &str) -> Vec<String> {
    [
        "train",
        "--photos",
        &folder.text("photos"),
        "--out",
        &folder.text(out),
        "--preset",
        "tiny",
        "--json",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The steps in the log of a run.
fn logged(path: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(path).expect("a log");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let steps = lines.filter(|line: &Value| line["type"] == "step");
    steps
        .map(|line| line["step"].as_u64().expect("a step"))
        .collect()
}

#[test]
fn a_run_that_is_killed_and_interrupted_ends_as_one_that_is_not() {
    let folder = photos();
    let whole = Outcome::of(&mut msdeblur(arguments(&folder, "whole"))).exits(0);
    assert_eq!(whole.only("finished")["steps"], 20);
    assert_eq!(whole.only("finished")["stopped_early"], false);
    assert_eq!(folder.names("whole"), FILES);
    assert_eq!(
        logged(&folder.at("whole/metrics.jsonl")),
        (1..=20).collect::<Vec<_>>()
    );

    // Killed after the checkpoint of step 10.
    let mut running = Running::start(&mut msdeblur(arguments(&folder, "parts")));
    running.until("a checkpoint", |running| {
        running.stdout().contains("\"checkpoint\"")
    });
    running.signal("KILL");
    assert_eq!(running.wait().status.code(), None);

    // Continued and stopped by Ctrl-C.
    let mut again = arguments(&folder, "parts");
    again.push("--resume".into());
    let mut running = Running::start(&mut msdeblur(&again));
    running.until("the start", |running| {
        running.stdout().contains("\"started\"")
    });
    running.signal("INT");
    let stopped = running.wait().exits(130);
    assert_eq!(stopped.only("started")["resumed_at"], 10);
    let finished = stopped.only("finished");
    assert_eq!(finished["interrupted"], true);
    let steps = finished["steps"].as_u64().expect("steps");
    assert!((11..20).contains(&steps), "{finished}");

    let end = Outcome::of(&mut msdeblur(&again)).exits(0);
    assert_eq!(end.only("started")["resumed_at"], steps);
    let kept = folder.names("parts");
    assert!(
        FILES
            .iter()
            .all(|name| kept.iter().any(|kept| kept == name)),
        "{kept:?}"
    );
    // States at 10, at the stop and at the end: the three that are kept.
    assert_eq!(kept.len(), FILES.len() + 1, "{kept:?}");
    assert!(
        folder.bytes("whole/best.safetensors") == folder.bytes("parts/best.safetensors"),
        "the stops left a trace in the best model"
    );
    assert!(
        folder.bytes("whole/model.safetensors") == folder.bytes("parts/model.safetensors"),
        "the stops left a trace in the model"
    );

    // Sheets of both validations and of the stop, and none of what was lost.
    let sheets = folder.names("parts/previews");
    let stop = format!("step-{steps:09}.png");
    assert_eq!(sheets, ["step-000000010.png", &stop, "step-000000020.png"]);
    for sheet in [&sheets[0], &sheets[2]] {
        let bytes = |run: &str| folder.bytes(&format!("{run}/previews/{sheet}"));
        assert!(bytes("whole") == bytes("parts"), "{sheet}");
    }
    let newest = folder.bytes("parts/preview.png");
    assert!(newest == folder.bytes("parts/previews/step-000000020.png"));

    // The model is one like any other.
    folder.photo("photo.png", 48, 40);
    let (input, out, model) = (
        folder.text("photo.png"),
        folder.text("out"),
        folder.text("parts/model.safetensors"),
    );
    deblur(&[&input, "-o", &out, "--checkpoint", &model]).exits(0);
    assert_eq!(folder.names("out"), ["photo.png"]);
    let info = Outcome::of(&mut msdeblur(["info", "--json", "--checkpoint", &model])).exits(0);
    assert_eq!(info.only("model")["provenance"]["steps"], 20);
}

#[test]
fn a_run_is_not_written_over_another() {
    let folder = photos();
    let mut first = arguments(&folder, "run");
    first.extend(["--steps".into(), "1".into()]);
    Outcome::of(&mut msdeblur(&first)).exits(0);
    let before = folder.bytes("run/model.safetensors");
    let outcome = Outcome::of(&mut msdeblur(&first)).exits(2).says(&[
        "train: ",
        &folder.text("run"),
        "holds a training run already",
    ]);
    assert!(outcome.stderr.contains("--resume"), "{outcome}");
    first.extend(["--resume".into(), "--seed".into(), "9".into()]);
    let outcome = Outcome::of(&mut msdeblur(&first))
        .exits(2)
        .says(&["state.safetensors", "differs in seed"]);
    let hint = "\nhint: leave --seed=9 out; if the change is on purpose, start a new run";
    assert!(outcome.stderr.contains(hint), "{outcome}");
    assert_eq!(folder.bytes("run/model.safetensors"), before);

    // A state is no model, which is easily mistaken.
    let (input, out) = (folder.text("photos/a.png"), folder.text("out"));
    let state = folder.text("run/state.safetensors");
    let outcome = deblur(&[&input, "-o", &out, "--checkpoint", &state]).exits(2);
    let hint = "of a training run model.safetensors or best.safetensors, not its state";
    assert!(outcome.stderr.contains(hint), "{outcome}");
}

#[test]
fn a_run_folder_among_the_photos_is_refused() {
    let folder = photos();
    for out in ["photos", "photos/run"] {
        let start = arguments(&folder, out);
        let dry = [&start[..], &["--dry-run".to_owned()]].concat();
        for arguments in [start, dry] {
            let outcome = Outcome::of(&mut msdeblur(&arguments)).exits(2);
            let told = format!("train: {}: the run folder lies in ", folder.text(out));
            assert!(outcome.stderr.contains(&told), "{outcome}");
            let hint = "\nhint: take a folder beside it";
            assert!(outcome.stderr.contains(hint), "{outcome}");
        }
    }
    assert_eq!(folder.names("photos"), ["a.png", "b.png", "c.png"]);
}

#[test]
fn training_without_photos_or_sense_is_refused() {
    let folder = photos();
    folder.write("text/notes.txt", "no photo");
    folder.photo("small/a.png", 40, 40);
    folder.write("file", "");
    folder.write("config.toml", "stepps = 3");
    let text = |name: &str| folder.text(name);
    let out = text("out");
    let usual = ["--photos", &text("photos"), "--out", &out];
    for (options, words) in [
        (
            vec!["--photos", &text("none"), "--out", &out],
            vec!["none", "cannot read the folder"],
        ),
        (
            vec!["--photos", &text("text"), "--out", &out],
            vec!["no photograph"],
        ),
        (
            vec!["--photos", &text("small"), "--out", &out],
            vec!["no photograph", "1 file was skipped"],
        ),
        (vec!["--out", &out], vec!["error: "]),
        (
            vec!["--photos", &text("photos"), "--out", &text("file/run")],
            vec!["file/run", "cannot create the run folder"],
        ),
        (
            vec![&text("config.toml"), "--out", &out],
            vec!["config.toml: ", "problems"],
        ),
        (
            vec![&text("gone.toml"), "--out", &out],
            vec!["gone.toml", "cannot read the configuration"],
        ),
        (
            [&usual[..], &["--preset", "tinny"]].concat(),
            vec!["tinny", "--preset"],
        ),
        (
            [&usual[..], &["--preset", "tiny", "--crop", "33"]].concat(),
            vec!["crop is 33", "multiple of"],
        ),
        ([&usual[..], &["--steps", "0"]].concat(), vec!["--steps"]),
        ([&usual[..], &["--seed", "-1"]].concat(), vec!["--seed"]),
        ([&usual[..], &["--batch", "0"]].concat(), vec!["--batch"]),
        (
            [&usual[..], &["--time-limit", "0"]].concat(),
            vec!["--time-limit"],
        ),
        (
            [&usual[..], &["--time-limit", "1e300"]].concat(),
            vec!["--time-limit"],
        ),
        (
            [
                &usual[..],
                &["--preset", "tiny", "--", &text("config.toml")],
            ]
            .concat(),
            vec!["--preset", "CONFIG"],
        ),
    ] {
        Outcome::of(&mut msdeblur(["train"].iter().chain(&options)))
            .exits(2)
            .silent_on_stdout()
            .says(&words);
    }
    let kept = ["config.toml", "file", "photos", "small", "text"];
    assert_eq!(folder.names(""), kept, "a refused run leaves no folder");
}

/// Runs a line as it was printed for people to type.
#[cfg(unix)]
fn type_in(line: &str) -> Outcome {
    let mut shell = Command::new("sh");
    for (name, value) in msdeblur(["train"]).get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    Outcome::of(shell.args(["-c", line]))
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_last_good_state() {
    let folder = photos();
    let mut start = arguments(&folder, "run");
    start.extend(["--steps".into(), "4".into()]);
    Outcome::of(&mut msdeblur(&start)).exits(0);
    let state = folder.bytes("run/state.safetensors");
    let sheet = folder.bytes("run/preview.png");
    // Files of at most 8 KiB or, where blocks are larger, 16: enough for the configuration and the log, but for no preview.
    let program = msdeblur(["train"]).get_program().to_owned();
    let program = program.to_str().expect("a name").to_owned();
    let out = folder.text("run");
    let line = format!(
        "trap '' XFSZ; ulimit -f 16; exec '{program}' train --resume --out='{out}' --steps=6"
    );
    let outcome = type_in(&line).exits(2);
    for part in [
        "step 6 could not be saved",
        "the last good state is ",
        " of step 4",
        "cannot write the checkpoint: File too large",
    ] {
        assert!(outcome.stderr.contains(part), "{part}: {outcome}");
    }
    assert!(outcome.stderr.contains("\nhint: make room"), "{outcome}");
    // What is for people to look at is told by a note.
    let told = "note: previews could not be written: ";
    assert!(outcome.stderr.contains(told), "{outcome}");
    assert!(folder.bytes("run/preview.png") == sheet, "the one before");
    // It was set aside for the one that could not be written.
    assert!(folder.bytes("run/state-000000004.safetensors") == state);
    let end = type_in(&format!("'{program}' train --resume --out='{out}'")).exits(0);
    assert!(end.stderr.contains("resumed after step 4"), "{end}");
    assert!(end.stderr.contains("6 steps in all"), "{end}");
    let kept = ["step-000000004.png", "step-000000006.png"];
    assert_eq!(folder.names("run/previews"), kept);
}

#[cfg(unix)]
#[test]
fn a_stopped_run_goes_on_as_it_says() {
    let folder = photos();
    let mut start = arguments(&folder, "my run");
    start.extend(["--steps".into(), "30".into(), "--batch".into(), "2".into()]);
    // Too short for 30 steps, and long enough for one.
    start.extend(["--time-limit".into(), "0.0001".into()]);
    let stopped = Outcome::of(&mut msdeblur(&start)).exits(0);
    let steps = stopped.only("finished")["steps"].as_u64().expect("steps");
    assert!((1..30).contains(&steps), "{stopped}");
    let line = stopped
        .stderr
        .lines()
        .find(|line| line.starts_with("stopped after "))
        .unwrap_or_else(|| panic!("{stopped}"));
    let (before, command) = line.split_once("; continue with: ").expect("a command");
    assert_eq!(before, format!("stopped after {steps} of 30 steps"));

    let config = folder.bytes("my run/config.toml");
    let end = type_in(command).exits(0);
    assert!(
        end.stderr
            .contains(&format!(" 2 photos, 30 steps, resumed after step {steps}")),
        "{end}"
    );
    assert!(end.stderr.contains("30 steps in all"), "{end}");
    assert_eq!(folder.bytes("my run/config.toml"), config);
    let all: Vec<u64> = (1..=30).collect();
    assert_eq!(logged(&folder.at("my run/metrics.jsonl")), all);

    // Once more there is nothing left; with more steps there is, and it is said.
    let again = type_in(command).exits(0);
    assert!(
        again.stderr.contains("nothing left to do: 30 steps"),
        "{again}"
    );
    let longer = type_in(&format!("{command} --steps=32")).exits(0);
    assert!(
        longer.stderr.contains(
            "note: the run now ends after 32 steps instead of 30; the learning rate falls"
        ),
        "{longer}"
    );
    assert!(longer.stderr.contains("trained 2 more in "), "{longer}");
    let config = folder.bytes("my run/config.toml");
    let outcome = type_in(&format!("{command} --steps=31")).exits(2);
    assert!(
        outcome
            .stderr
            .contains("32 steps are done already, more than the 31 asked for"),
        "{outcome}"
    );
    assert_eq!(folder.bytes("my run/config.toml"), config);
}

#[test]
fn where_nothing_was_begun_nothing_is_resumed() {
    let folder = photos();
    let out = folder.text("out");
    let outcome = Outcome::of(&mut msdeblur(["train", "--out", &out, "--resume"]))
        .exits(2)
        .says(&[&out, "no run to continue in this folder"]);
    assert!(outcome.stderr.contains("\nhint: "), "{outcome}");
    assert_eq!(folder.names(""), ["photos"]);
}

#[test]
fn one_is_singular() {
    let folder = Folder::new();
    folder.photo("photos/a.png", 176, 176);
    let mut one = arguments(&folder, "run");
    one.extend(["--steps".into(), "1".into()]);
    let outcome = Outcome::of(&mut msdeblur(&one)).exits(0);
    assert!(outcome.stderr.contains(" 1 photo, 1 step\n"), "{outcome}");
    assert!(outcome.stderr.contains("trained 1 step in "), "{outcome}");
    let model = folder.text("run/model.safetensors");
    let info = Outcome::of(&mut msdeblur(["info", "--checkpoint", &model])).exits(0);
    assert!(info.stdout.contains(" 1 step, "), "{info}");
}
