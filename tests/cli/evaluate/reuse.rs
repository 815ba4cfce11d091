//! Results of earlier runs.

use integration_tests::{Folder, Outcome, Running, msdeblur, program};

use super::{NUMBERS, evaluate, pairs};

/// One bool per image: whether it was found in the file of results.
#[track_caller]
fn reused(outcome: &Outcome) -> Vec<bool> {
    let images = outcome
        .json()
        .into_iter()
        .filter(|line| line.kind == "image");
    images
        .map(|line| line.data["reused"].as_bool().expect("a bool"))
        .collect()
}

struct Run {
    folder: Folder,
    arguments: Vec<String>,
}

impl Run {
    fn new(options: &[&str]) -> Self {
        let folder = pairs();
        let mut arguments = vec!["evaluate".to_owned()];
        for (option, value) in [
            ("--sharp", folder.text("sharp")),
            ("--blurry", folder.text("blurry")),
            ("--checkpoint", folder.model()),
            ("--reuse", folder.text("results.jsonl")),
            ("--save", folder.text("saved")),
        ] {
            arguments.extend([option.to_owned(), value]);
        }
        arguments.extend(NUMBERS.iter().chain(options).map(|text| (*text).to_owned()));
        Self { folder, arguments }
    }

    #[track_caller]
    fn with(&self, more: &[&str]) -> Outcome {
        let more = more.iter().map(|text| (*text).to_owned());
        Outcome::of(&mut msdeblur(self.arguments.iter().cloned().chain(more)))
    }
}

#[cfg(target_os = "linux")]
#[test]
fn results_of_another_build_are_not_taken_over() {
    let run = Run::new(&[]);
    run.with(&[]).exits(0);
    // The same program with a byte behind its end, which nobody reads.
    let mut rebuilt = std::fs::read(program()).expect("the program");
    rebuilt.push(0);
    let file = run.folder.at("rebuilt");
    std::fs::write(&file, rebuilt).expect("a file");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&file, executable).expect("an executable");
    let first = |outcome: &Outcome| reused(outcome)[0];
    let rerun = |file| {
        let usual = msdeblur(&run.arguments);
        let mut command = std::process::Command::new(file);
        command.args(usual.get_args());
        for (name, value) in usual.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Outcome::of(&mut command)
    };
    // It may not replace the pictures of the first, nor does it: they are the same.
    assert!(!first(&rerun(&file).exits(0)));
    assert!(first(&rerun(&file).exits(0)));
    assert!(first(&run.with(&[]).exits(0)), "both are kept");
}

#[test]
fn what_was_computed_from_the_same_is_not_computed_again() {
    let run = Run::new(&[]);
    let first = run.with(&[]).exits(0);
    assert_eq!(reused(&first), [false, false, false]);
    let second = run.with(&[]).exits(0);
    assert_eq!(reused(&second), [true, true, true]);
    for (a, b) in first.json().iter().zip(second.json()).take(4) {
        assert_eq!(a.data["metrics"], b.data["metrics"]);
        assert_eq!(a.data["seconds"], b.data["seconds"]);
    }
    assert_eq!(
        first.only("summary")["metrics"],
        second.only("summary")["metrics"]
    );

    // Other content under the same name, and the same content under another name.
    run.folder.photo("blurry/b.png", 40, 32);
    run.folder
        .write("blurry/b.png", run.folder.bytes("sharp/deep/c.png"));
    assert_eq!(
        reused(&run.with(&["--force"]).exits(0)),
        [true, false, true]
    );
    // A picture that is gone is made again.
    std::fs::remove_file(run.folder.at("saved/a.png")).expect("a file");
    assert_eq!(reused(&run.with(&[]).exits(0)), [false, true, true]);
    assert!(run.folder.at("saved/a.png").is_file());
    // Other options, other metrics: other results.
    for options in [
        &["--mode=sample", "--steps=1", "--force"][..],
        &["--seed=1", "--force"],
    ] {
        assert_eq!(
            reused(&run.with(options).exits(0)),
            [false, false, false],
            "{options:?}"
        );
    }
    // What cannot change the result does not.
    assert_eq!(
        reused(&run.with(&["--seed=1", "--tile=off", "--quiet"]).exits(0)),
        [true, true, true]
    );
}

#[test]
fn scored_pictures_are_reused_whatever_the_model() {
    let folder = pairs();
    let [sharp, restored, results] =
        ["sharp", "blurry", "results.jsonl"].map(|name| folder.text(name));
    let call = |metrics: &str, options: &[&str]| {
        let always = [
            "--sharp",
            &*sharp,
            "--restored",
            &restored,
            "--reuse",
            &results,
            "--json",
        ];
        evaluate(&[&always[..], &["--metrics", metrics], options].concat()).exits(0)
    };
    assert_eq!(reused(&call("psnr", &[])), [false; 3]);
    assert_eq!(reused(&call("psnr", &["--seed=5"])), [true; 3]);
    assert_eq!(reused(&call("psnr,ssim", &[])), [false; 3]);
    assert_eq!(reused(&call("ssim,psnr", &[])), [true; 3]);
}

/// Starts a long run and waits until the results of one image are in the file.
fn begun(run: &Run) -> Running {
    let mut running = Running::start(&mut msdeblur(&run.arguments));
    running.until("the first image", |_| {
        std::fs::read(run.folder.at("results.jsonl")).is_ok_and(|bytes| bytes.contains(&b'\n'))
    });
    running
}

#[cfg(unix)]
#[test]
fn a_killed_run_goes_on_where_it_was() {
    // Hundreds of passes for each of three small photos.
    let run = Run::new(&["--mode=sample", "--steps=150", "--tile=32"]);
    let running = begun(&run);
    running.signal("KILL");
    running.wait();
    // As if the kill had come in the middle of a line.
    let mut bytes = run.folder.bytes("results.jsonl");
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    assert!((1..3).contains(&lines), "{lines} of 3 images were done");
    bytes.extend_from_slice(b"{\"version\":1,\"key\":\"0123");
    run.folder.write("results.jsonl", bytes);
    let resumed = run.with(&[]).exits(0);
    let expected: Vec<bool> = (0..3).map(|index| index < lines).collect();
    assert_eq!(reused(&resumed), expected);
    // The numbers are those of a run that was never stopped.
    std::fs::remove_file(run.folder.at("results.jsonl")).expect("a file");
    let whole = run.with(&[]).exits(0);
    assert_eq!(reused(&whole), [false; 3]);
    assert_eq!(
        whole.only("summary")["metrics"],
        resumed.only("summary")["metrics"]
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_cleanly_and_keeps_what_is_finished() {
    let run = Run::new(&["--mode=sample", "--steps=150", "--tile=32"]);
    let running = begun(&run);
    running.signal("INT");
    let outcome = running.wait().exits(130);
    let summary = outcome.only("summary");
    assert_eq!(summary["interrupted"], true);
    let count = summary["count"].as_u64().expect("a number") as usize;
    assert!((1..3).contains(&count), "{outcome}");
    assert!(
        outcome
            .stderr
            .contains(&format!("interrupted; {count} of 3 images scored")),
        "{outcome}"
    );
    let lines = String::from_utf8(run.folder.bytes("results.jsonl")).expect("text");
    assert_eq!(lines.lines().count(), count);
    assert_eq!(
        reused(&run.with(&[]).exits(0))
            .iter()
            .filter(|reused| **reused)
            .count(),
        count
    );
}
