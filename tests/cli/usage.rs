//! Wrong options: exit code 2, one line that says what and why, nothing on stdout, nothing written.

use integration_tests::{Folder, Outcome, model, msdeblur};

use crate::deblur;

/// Calls `deblur` on a good photo with these options, which must be refused in words.
#[track_caller]
fn refused(options: &[&str], words: &[&str]) -> Outcome {
    let folder = Folder::new();
    folder.photo("photo.png", 16, 16);
    let (input, out, model) = (folder.text("photo.png"), folder.text("out"), folder.model());
    let outcome = deblur(&[&[&*input, "-o", &out, "--checkpoint", &model], options].concat())
        .exits(2)
        .silent_on_stdout()
        .says(words);
    assert_eq!(
        folder.names(""),
        ["model.safetensors", "photo.png"],
        "{options:?} left something"
    );
    outcome
}

#[test]
fn numbers_outside_their_range() {
    for (option, value) in [
        ("--steps", "0"),
        ("--steps", "-1"),
        ("--steps", "1001"),
        ("--samples", "0"),
        ("--threads", "0"),
        ("--seed", "-1"),
        ("--seed", "18446744073709551616"),
        ("--tile", "-64"),
        ("--tile", "wide"),
    ] {
        refused(&[option, value], &["error: ", option, value]);
    }
    for tile in ["0", "31"] {
        let words = ["deblur: ", "tile of ", tile, "minimum of 32"];
        let outcome = refused(&["--tile", tile], &words);
        assert!(outcome.stderr.contains("\nhint: "), "{outcome}");
    }
}

#[test]
fn names_that_do_not_exist_get_a_suggestion_or_the_choice() {
    for (options, word, suggestion) in [
        (&["--sampler", "eular"][..], "eular", "'euler'"),
        (&["--mode", "means"], "means", "'mean'"),
        (&["--precision", "float64"], "float64", "float32"),
        (&["--device", "gpu"], "gpu", "cuda:N"),
        (&["--uncertain"], "--uncertain", "'--uncertainty'"),
    ] {
        let outcome = refused(options, &["error: ", word]);
        assert!(outcome.stderr.contains(suggestion), "{outcome}");
    }
    let outcome = Outcome::of(&mut msdeblur(["deblurr"])).exits(2);
    assert!(outcome.stderr.contains("'deblur'"), "{outcome}");
}

#[test]
fn options_that_contradict_each_other() {
    refused(&["--quiet", "--verbose"], &["--quiet", "--verbose"]);
    let outcome = refused(
        &["--uncertainty", "--samples", "1"],
        &["at least 2 samples", "samples is 1"],
    );
    assert!(outcome.stderr.contains("--samples 2"), "{outcome}");
    refused(
        &["--seed", "1", "--seed", "2"],
        &["--seed", "multiple times"],
    );
}

#[test]
fn missing_arguments() {
    let folder = Folder::new();
    folder.photo("photo.png", 16, 16);
    let input = folder.text("photo.png");
    for (arguments, word) in [(&[&*input][..], "--output"), (&["-o", "out"], "INPUT")] {
        let outcome = deblur(arguments).exits(2).silent_on_stdout();
        assert!(outcome.stderr.contains(word), "{outcome}");
    }
}

#[test]
fn options_without_effect_are_pointed_out_and_do_no_harm() {
    let folder = Folder::new();
    folder.photo("photo.png", 16, 16);
    let (input, model) = (folder.text("photo.png"), folder.model());
    for (options, note) in [
        (&["--steps=5"][..], "--steps has no effect with --mode mean"),
        (
            &["--mode=sample", "--steps=1", "--samples=3"],
            "--samples has no effect with --mode sample",
        ),
    ] {
        let out = folder.text(&format!("{}.png", options.len()));
        let arguments = [&*input, "-o", &out, "--force", "--checkpoint", &model];
        let outcome = deblur(&[&arguments, options].concat()).exits(0);
        assert!(outcome.stderr.contains(note), "{outcome}");
    }
}

#[test]
fn choices_that_cost_time_for_nothing_are_warned_of_once() {
    let folder = Folder::new();
    folder.photo("in/a.png", 200, 200);
    folder.photo("in/b.png", 200, 200);
    let (input, out, model) = (folder.text("in"), folder.text("out"), folder.model());
    let arguments = [&*input, "-o", &out, "--force", "--checkpoint", &model];
    let warnings = |options: &[&str]| {
        let outcome = deblur(&[&arguments, options].concat()).exits(0);
        let lines = outcome.stderr.lines();
        lines
            .filter(|line| line.starts_with("warning: "))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let tiles = warnings(&["--tile=32"]);
    let [small] = &tiles[..] else {
        panic!("{tiles:?}")
    };
    assert!(
        small.contains("--tile 32 computes ") && small.contains("; --tile 256 computes 1."),
        "{small}"
    );
    assert_eq!(warnings(&["--tile=128"]), Vec::<String>::new());
    assert_eq!(warnings(&["--tile=32", "--quiet"]), Vec::<String>::new());
    let threads = warnings(&["--threads=1000"]);
    let [many] = &threads[..] else {
        panic!("{threads:?}")
    };
    assert!(many.contains("--threads 1000 is far above"), "{many}");
}

#[test]
fn guidance_is_not_shown_where_there_is_none() {
    let folder = Folder::new();
    folder.photo("photo.png", 16, 16);
    let config = model::unguided();
    folder.write(
        "unguided.safetensors",
        model::checkpoint(&config, &model::weights(&config)),
    );
    let (input, out, model) = (
        folder.text("photo.png"),
        folder.text("out"),
        folder.text("unguided.safetensors"),
    );
    let arguments = [
        &*input,
        "-o",
        &out,
        "--checkpoint",
        &model,
        "--show-guidance",
    ];
    let outcome = deblur(&arguments).exits(0);
    assert!(
        outcome
            .stderr
            .contains("note: --show-guidance has no effect"),
        "{outcome}"
    );
    assert_eq!(folder.names("out"), ["photo.png"]);
}

#[test]
fn cuda_where_there_is_none() {
    let folder = Folder::new();
    folder.photo("photo.png", 16, 16);
    let (input, out, model) = (folder.text("photo.png"), folder.text("out"), folder.model());
    for device in ["cuda", "cuda:99"] {
        let arguments = [
            "deblur",
            &input,
            "-o",
            &out,
            "--checkpoint",
            &model,
            "--device",
            device,
        ];
        // Hidden, should there be some.
        let outcome = Outcome::of(msdeblur(arguments).env("CUDA_VISIBLE_DEVICES", ""))
            .exits(2)
            .silent_on_stdout()
            .says(&["deblur: CUDA is not available: "]);
        let hint = outcome.stderr.lines().nth(1).unwrap_or_default();
        assert!(
            hint.starts_with("hint: ") && hint.contains("--device cpu"),
            "{outcome}"
        );
    }
    // `auto` takes what there is.
    let arguments = [
        "deblur",
        &input,
        "-o",
        &out,
        "--checkpoint",
        &model,
        "--device=auto",
        "--json",
    ];
    let outcome = Outcome::of(msdeblur(arguments).env("CUDA_VISIBLE_DEVICES", "")).exits(0);
    assert_eq!(outcome.only("restored")["device"], "cpu");
}

#[test]
fn variables_stand_in_for_options_and_are_checked_like_them() {
    let folder = Folder::new();
    folder.photo("photo.png", 16, 16);
    let (input, out, model) = (folder.text("photo.png"), folder.text("out"), folder.model());
    let arguments = ["deblur", &input, "-o", &out, "--json", "--force"];
    for (name, value, words) in [
        ("MSDEBLUR_THREADS", "none", &["--threads"][..]),
        ("MSDEBLUR_TILE", "7", &["tile of 7 pixels"]),
        ("MSDEBLUR_CHECKPOINT", "/nowhere/model", &["/nowhere/model"]),
    ] {
        Outcome::of(msdeblur(arguments).env(name, value))
            .exits(2)
            .silent_on_stdout()
            .says(words);
    }
    // An option wins over a variable.
    let mut command = msdeblur(arguments);
    command.env("MSDEBLUR_TILE", "7").args(["--tile", "off"]);
    Outcome::of(command.env("MSDEBLUR_CHECKPOINT", &model)).exits(0);
}

#[test]
fn an_empty_variable_is_not_set() {
    let folder = Folder::new();
    folder.photo("photo.png", 16, 16);
    let (input, out, model) = (folder.text("photo.png"), folder.text("out"), folder.model());
    let arguments = ["deblur", &input, "-o", &out, "--checkpoint", &model];
    let mut command = msdeblur(arguments);
    for name in ["THREADS", "DEVICE", "PRECISION", "TILE", "CHECKPOINT"] {
        command.env(format!("MSDEBLUR_{name}"), "");
    }
    let outcome = Outcome::of(&mut command).exits(0);
    assert_eq!(folder.names("out"), ["photo.png"], "{outcome}");
    // The model inside is meant, not one whose name is empty.
    let mut info = msdeblur(["info"]);
    Outcome::of(info.env("MSDEBLUR_CHECKPOINT", "")).exits(0);
    // An empty option is a mistake all the same.
    deblur(&[&input, "-o", &out, "--threads="])
        .exits(2)
        .says(&["--threads"]);
}

#[test]
fn help_and_version_are_data() {
    for (arguments, word) in [
        (&["--help"][..], "Usage: msdeblur"),
        (&["--version"], "msdeblur 0."),
        (&["deblur", "--help"], "--uncertainty"),
    ] {
        let outcome = Outcome::of(&mut msdeblur(arguments)).exits(0);
        assert!(outcome.stdout.contains(word), "{outcome}");
        assert_eq!(outcome.stderr, "");
    }
}
