//! Many photos in one call: folders, patterns, what is printed and where.

use integration_tests::{Folder, Outcome, golden, msdeblur};

use crate::deblur;

/// A folder `in` with three photos, two files that are none, and things that do not concern the program.
fn holiday() -> Folder {
    let folder = Folder::new();
    for name in ["in/b.png", "in/a.jpg", "in/c.webp"] {
        folder.photo(name, 16, 12);
    }
    folder.write("in/broken.png", &golden("rgb16.png")[..200]);
    folder.write("in/empty.tif", "");
    folder.write("in/notes.txt", "not for the program");
    folder.write("in/.hidden.png", golden("rgb16.png"));
    folder.photo("in/deep/d.png", 16, 12);
    folder
}

#[test]
fn a_folder_with_bad_files_is_done_as_far_as_it_goes() {
    let folder = holiday();
    let (input, out, model) = (folder.text("in"), folder.text("new/out"), folder.identity());
    let outcome = deblur(&[&input, "-o", &out, "--checkpoint", &model])
        .exits(1)
        .silent_on_stdout();
    assert_eq!(folder.names("new/out"), ["a.jpg", "b.png", "c.webp"]);
    let summary = outcome
        .stderr
        .split("3 of 5 photos were restored, 2 failed:\n")
        .nth(1)
        .unwrap_or_else(|| panic!("{outcome}"));
    let named: Vec<&str> = summary.lines().map(str::trim).collect();
    assert_eq!(
        named,
        [folder.text("in/broken.png"), folder.text("in/empty.tif")]
    );
    for name in ["a.jpg", "b.png", "c.webp"] {
        let line = format!(
            "{} -> {}",
            folder.text(&format!("in/{name}")),
            folder.text(&format!("new/out/{name}"))
        );
        assert!(outcome.stderr.contains(&line), "{line}\n{outcome}");
    }
}

#[test]
fn json_lines_tell_the_whole_story_on_stdout() {
    let folder = holiday();
    let (input, out, model) = (folder.text("in"), folder.text("out"), folder.model());
    let options = [
        "--json",
        "--mode=sample",
        "--steps=2",
        "--seed=7",
        "--compare",
    ];
    let arguments = [&*input, "-o", &out, "--checkpoint", &model];
    let outcome = deblur(&[&arguments[..], &options].concat()).exits(1);
    let lines = outcome.json();
    let kinds: Vec<&str> = lines.iter().map(|line| &*line.kind).collect();
    assert_eq!(
        kinds,
        [
            "restored", "restored", "failed", "restored", "failed", "summary"
        ],
        "{outcome}"
    );
    let data = &lines[1].data;
    assert_eq!(data["input"], folder.text("in/b.png"));
    assert_eq!(data["output"], folder.text("out/b.png"));
    assert_eq!(data["compare"], folder.text("out/b.compare.png"));
    for (field, value) in [
        ("width", serde_json::json!(16)),
        ("height", 12.into()),
        ("mode", "sample".into()),
        ("sampler", "dpmpp-2m".into()),
        ("steps", 2.into()),
        ("samples", 1.into()),
        ("seed", 7.into()),
        ("device", "cpu".into()),
        ("precision", "float32".into()),
        ("denoiser_calls", 2.into()),
        ("tiles", 1.into()),
        ("uncertainty", serde_json::Value::Null),
        ("mean_spread", serde_json::Value::Null),
    ] {
        assert_eq!(data[field], value, "{field}");
    }
    assert!(
        data["seconds"]
            .as_f64()
            .is_some_and(|seconds| seconds > 0.0)
    );
    assert_eq!(lines[2].data["input"], folder.text("in/broken.png"));
    let summary = &lines[5].data;
    assert_eq!(
        (&summary["inputs"], &summary["restored"], &summary["failed"]),
        (&5.into(), &3.into(), &2.into())
    );
    assert_eq!(summary["interrupted"], false);
}

#[test]
fn patterns_choose_files() {
    let folder = holiday();
    let model = folder.identity();
    for (index, (pattern, expected)) in [
        ("in/*.[jp][pn]g", &["a.jpg", "b.png"][..]),
        ("in/?.webp", &["c.webp"]),
        ("in/**/d.png", &["d.png"]),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("out{index}");
        let (pattern, out) = (folder.text(pattern), folder.text(&name));
        let code = i32::from(index == 0);
        // The first pattern also takes the broken file.
        deblur(&[&pattern, "-o", &out, "--checkpoint", &model]).exits(code);
        assert_eq!(folder.names(&name), expected, "{pattern}");
    }
    let out = folder.text("out");
    for (pattern, words) in [
        ("in/*.gif", "no file matches this pattern"),
        ("in/*.txt", "none is a PNG, JPEG, TIFF or WebP file"),
        ("in/[.png", "not a valid pattern"),
    ] {
        deblur(&[&folder.text(pattern), "-o", &out, "--checkpoint", &model])
            .exits(1)
            .says(&[words]);
    }
    assert_eq!(folder.names("out"), Vec::<String>::new());
}

#[test]
fn a_file_that_is_named_twice_is_restored_once() {
    let folder = Folder::new();
    folder.photo("in/a.png", 9, 9);
    let (input, file, out) = (
        folder.text("in"),
        folder.text("in/a.png"),
        folder.text("out"),
    );
    let pattern = folder.text("in/*.png");
    let model = folder.identity();
    let arguments = [
        &*input,
        &file,
        &pattern,
        "-o",
        &out,
        "--checkpoint",
        &model,
        "--json",
    ];
    let outcome = deblur(&arguments).exits(0);
    assert_eq!(outcome.only("summary")["inputs"], 1);
}

#[test]
fn quiet_is_silent_and_verbose_says_more() {
    let folder = Folder::new();
    folder.photo("a.png", 9, 9);
    folder.golden("palette.png");
    let (a, b) = (folder.text("a.png"), folder.text("palette.png"));
    let (out, model) = (folder.text("out"), folder.identity());
    let arguments = [&*a, &b, "-o", &out, "--checkpoint", &model, "--force"];
    let run = |options: &[&str]| deblur(&[&arguments, options].concat()).exits(0);
    let quiet = run(&["-q"]).silent_on_stdout();
    assert_eq!(quiet.stderr, "");
    let quiet = run(&["-q", "--json"]);
    assert_eq!(quiet.stderr, "");
    assert_eq!(quiet.json().len(), 3);
    let usual = run(&[]).silent_on_stdout();
    assert!(
        usual.stderr.contains("note: ") && usual.stderr.contains("palette"),
        "{usual}"
    );
    // No bar, and nothing else for terminals, where there is none.
    assert!(!usual.stderr.contains(['\r', '\u{1b}']), "{usual}");
    let more = run(&["-vv"]).silent_on_stdout();
    assert!(
        more.stderr.lines().count() > usual.stderr.lines().count(),
        "{more}"
    );
    // Errors are said also to those who want quiet.
    let missing = folder.text("missing.png");
    deblur(&[&missing, "-o", &out, "--checkpoint", &model, "-q"])
        .exits(1)
        .silent_on_stdout()
        .says(&[&missing, "not found"]);
}

#[test]
fn nothing_to_do_is_not_success() {
    let folder = Folder::new();
    std::fs::create_dir(folder.at("empty")).expect("a folder");
    let (input, out) = (folder.text("empty"), folder.text("out"));
    deblur(&[&input, "-o", &out])
        .exits(1)
        .says(&[&input, "no PNG"]);
    assert_eq!(
        folder.names(""),
        ["empty"],
        "nothing to write, so no folder for it"
    );
}

#[test]
fn what_is_passed_over_is_said_once() {
    let folder = Folder::new();
    folder.photo("in/a.png", 16, 12);
    let model = folder.model();
    let extras = [
        "--compare",
        "--uncertainty",
        "--show-guidance",
        "--samples=2",
        "--steps=1",
    ];
    // Its own pictures beside the photo, and photos that it cannot read.
    let out = folder.text("in/b.png");
    let arguments = [
        &*folder.text("in/a.png"),
        "-o",
        &out,
        "--checkpoint",
        &model,
    ];
    deblur(&[&arguments, &extras[..]].concat()).exits(0);
    for name in ["c.heic", "d.CR3", "e.gif"] {
        folder.write(&format!("in/{name}"), "some bytes");
    }
    for typed in ["in", "in/*"] {
        let out = folder.text("out");
        let typed = folder.text(typed);
        let arguments = [
            &*typed,
            "-o",
            &out,
            "--checkpoint",
            &model,
            "--force",
            "--json",
        ];
        let outcome = deblur(&arguments).exits(0);
        assert_eq!(folder.names("out"), ["a.png", "b.png"], "{outcome}");
        assert_eq!(outcome.only("summary")["inputs"], 2);
        let notes: Vec<&str> = outcome
            .stderr
            .lines()
            .filter(|line| line.contains("passed over"))
            .collect();
        let [own, others] = notes[..] else {
            panic!("{outcome}")
        };
        assert!(
            own.starts_with(&format!("note: {typed}: passed over 4 pictures ")),
            "{own}"
        );
        assert!(
            own.contains("b.compare.png") && own.contains("b.guidance-2.png"),
            "{own}"
        );
        assert!(
            others.contains("3 images in a format that is not read here (c.heic, d.CR3, e.gif)")
                && others.contains("convert to PNG"),
            "{others}"
        );
    }
    // Who names one wants it.
    let sheet = folder.text("in/b.compare.png");
    let sheets = folder.text("sheets");
    deblur(&[&sheet, "-o", &sheets, "--checkpoint", &model]).exits(0);
    assert_eq!(folder.names("sheets"), ["b.compare.png"]);
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_read_does_not_hide_the_others() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let folder = Folder::new();
    folder.photo("in/good/a.png", 16, 12);
    folder.photo("in/locked/b.png", 16, 12);
    folder.photo("in/other/c.png", 16, 12);
    std::fs::create_dir(folder.at("out")).expect("a folder");
    let permit = |name: &str, mode: u32| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.at(name), permissions).expect("permissions");
    };
    permit("", 0o755);
    permit("out", 0o777);
    permit("in/locked", 0o000);
    let (pattern, out, model) = (
        folder.text("in/*/*.png"),
        folder.text("out"),
        folder.identity(),
    );
    // Root may read everything, so the program runs as nobody then.
    let root = std::fs::read_dir(folder.at("in/locked")).is_ok();
    let run = |arguments: &[&str]| {
        let mut command = msdeblur(arguments);
        if root {
            command.uid(65534).gid(65534);
        }
        command
    };
    if root
        && !run(&["--version"])
            .status()
            .is_ok_and(|status| status.success())
    {
        eprintln!("skipped: nobody may not run the program here");
        return;
    }
    let arguments = [
        "deblur",
        &pattern,
        "-o",
        &out,
        "--checkpoint",
        &model,
        "--json",
    ];
    let outcome = Outcome::of(&mut run(&arguments)).exits(1);
    permit("in/locked", 0o755);
    assert_eq!(folder.names("out"), ["a.png", "c.png"], "{outcome}");
    let failed = outcome.only("failed");
    let message = failed["message"].as_str().expect("a message");
    let locked = folder.text("in/locked");
    assert!(
        message.starts_with(&format!(
            "{locked}: cannot read the folder: Permission denied"
        )),
        "{message}"
    );
    assert_eq!(outcome.only("summary")["restored"], 2);
}
