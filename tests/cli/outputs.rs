//! Where results go: nothing is lost, nothing is half written, nothing stays behind.

use std::process::{Command, Stdio};

use integration_tests::{Folder, Outcome, Running, decode, msdeblur, photo, program};

use crate::deblur;

#[test]
fn a_folder_that_cannot_be_written_is_a_set_up_error() {
    let folder = Folder::new();
    folder.photo("photo.png", 16, 16);
    folder.write("file", "not a folder");
    let (input, model) = (folder.text("photo.png"), folder.identity());
    // Root may write everywhere; below a regular file nobody may.
    for (out, words) in [
        (
            "file/out",
            &["file/out", "cannot write into this folder"][..],
        ),
        ("file/out.png", &["file", "cannot write into this folder"]),
        ("file", &["file", "exists and is not a folder"]),
        ("/proc/out", &["/proc/out", "cannot write into this folder"]),
        ("/dev/full", &["/dev/full", "exists and is not a folder"]),
        ("out.gif", &["out.gif", "this format cannot be written"]),
        ("", &["output"]),
    ] {
        let out = if out.is_empty() {
            String::new()
        } else {
            folder.at(out).to_str().expect("UTF-8").to_owned()
        };
        deblur(&[&input, "-o", &out, "--checkpoint", &model])
            .exits(2)
            .silent_on_stdout()
            .says(words);
    }
    assert_eq!(folder.bytes("file"), b"not a folder");
    assert_eq!(
        folder.names(""),
        ["file", "identity.safetensors", "photo.png"]
    );
}

#[test]
fn an_existing_output_is_replaced_only_by_force() {
    let folder = Folder::new();
    folder.photo("photo.png", 16, 16);
    folder.photo("other.png", 16, 16);
    folder.write("out/photo.png", "precious");
    let (input, other) = (folder.text("photo.png"), folder.text("other.png"));
    let (out, file, model) = (
        folder.text("out"),
        folder.text("out/photo.png"),
        folder.identity(),
    );
    deblur(&[&input, "-o", &file, "--checkpoint", &model])
        .exits(1)
        .says(&[&file, "exists already"]);
    let outcome = deblur(&[&input, &other, "-o", &out, "--checkpoint", &model])
        .exits(1)
        .says(&[&file, "exists already"]);
    assert!(outcome.stderr.contains("--force"), "{outcome}");
    assert_eq!(folder.bytes("out/photo.png"), b"precious");
    assert_eq!(folder.names("out"), ["other.png", "photo.png"]);
    deblur(&[&input, "-o", &out, "--checkpoint", &model, "--force"]).exits(0);
    assert_eq!(
        decode(&folder.at("out/photo.png")).pixels,
        decode(&folder.at("photo.png")).pixels
    );
}

#[test]
fn extra_pictures_are_not_written_over_something_either() {
    for (option, name) in [
        ("--compare", "photo.compare.png"),
        ("--uncertainty", "photo.uncertainty.png"),
        ("--show-guidance", "photo.guidance-2.png"),
    ] {
        let folder = Folder::new();
        folder.photo("photo.png", 16, 16);
        folder.write(&format!("out/{name}"), "precious");
        let (input, out, model) = (
            folder.text("photo.png"),
            folder.text("out"),
            folder.identity(),
        );
        deblur(&[&input, "-o", &out, "--checkpoint", &model, option])
            .exits(1)
            .says(&[name, "exists already"]);
        assert_eq!(folder.bytes(&format!("out/{name}")), b"precious");
        assert_eq!(folder.names("out"), [name]);
    }
}

#[test]
fn an_input_is_never_replaced() {
    let folder = Folder::new();
    folder.photo("photo.png", 16, 16);
    let before = folder.bytes("photo.png");
    let (input, here, model) = (folder.text("photo.png"), folder.text(""), folder.model());
    // By its name, by its folder, and by another way to it.
    let detour = format!("{here}/../{}/./photo.png", last_name(&here));
    for out in [&input, &here, &detour] {
        for force in [&[][..], &["--force"]] {
            let arguments = [&*input, "-o", out, "--checkpoint", &model];
            let outcome = deblur(&[&arguments, force].concat())
                .exits(1)
                .says(&["photo.png", "would replace the input"]);
            assert!(!outcome.stderr.contains("--force"), "{outcome}");
            assert_eq!(folder.bytes("photo.png"), before);
        }
    }
    assert_eq!(folder.names(""), ["model.safetensors", "photo.png"]);
}

#[cfg(unix)]
#[test]
fn links_do_not_lead_over_an_input() {
    let folder = Folder::new();
    folder.photo("in/photo.png", 16, 16);
    folder.photo("in/second.png", 16, 16);
    folder.photo("album/photo.png", 16, 16);
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(folder.at(target), folder.at(name)).expect("a link");
    };
    // The output is a link to the input, and the output is another input, which is a link.
    std::fs::create_dir(folder.at("out")).expect("a folder");
    link("in/second.png", "out/second.png");
    link("album/photo.png", "in/z.png");
    let before = ["in/second.png", "album/photo.png"].map(|name| folder.bytes(name));
    let model = folder.identity();
    let (first, second, third) = (
        folder.text("in/photo.png"),
        folder.text("in/second.png"),
        folder.text("in/z.png"),
    );
    let (out, album) = (folder.text("out"), folder.text("album"));
    let options = ["--checkpoint", &model, "--force"];
    deblur(&[&[&*first, &second, "-o", &out], &options[..]].concat())
        .exits(1)
        .says(&["photo.png -> ", "1 of 2"]);
    let outcome = deblur(&[&[&*first, &third, "-o", &album], &options[..]].concat())
        .exits(1)
        .says(&["album/photo.png", "would replace the input", &third]);
    assert!(
        outcome.stderr.contains("1 of 2 photos were restored"),
        "{outcome}"
    );
    let after = ["in/second.png", "album/photo.png"].map(|name| folder.bytes(name));
    assert!(before == after, "an original was replaced");
    assert_eq!(folder.names("album"), ["photo.png", "z.png"]);
}

fn last_name(path: &str) -> &str {
    path.trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(path)
}

#[test]
fn no_empty_folder_stays_behind() {
    let folder = Folder::new();
    folder.write("broken.png", "no photo");
    std::fs::create_dir(folder.at("kept")).expect("a folder");
    let (input, model) = (folder.text("broken.png"), folder.identity());
    for out in ["new", "new/deep/out", "new/out.png", "kept", "kept/out"] {
        deblur(&[&input, "-o", &folder.text(out), "--checkpoint", &model])
            .exits(1)
            .says(&["broken.png"]);
        assert_eq!(
            folder.names(""),
            ["broken.png", "identity.safetensors", "kept"],
            "{out}"
        );
        assert_eq!(folder.names("kept"), Vec::<String>::new(), "{out}");
    }
}

#[test]
fn two_results_of_one_name_are_refused_before_any_work() {
    let folder = Folder::new();
    folder.photo("a/photo.png", 16, 16);
    folder.photo("b/photo.png", 16, 16);
    let (a, b) = (folder.text("a/photo.png"), folder.text("b/photo.png"));
    let (out, model) = (folder.text("out"), folder.identity());
    deblur(&[&a, &b, "-o", &out, "--checkpoint", &model, "--force"])
        .exits(2)
        .silent_on_stdout()
        .says(&[&a, &b, "would both be written to"]);
    let single = folder.text("single.png");
    deblur(&[&a, &b, "-o", &single, "--checkpoint", &model])
        .exits(2)
        .says(&[&single, "several photos cannot go into one file"]);
    assert_eq!(folder.names(""), ["a", "b", "identity.safetensors"]);
}

/// Runs the program in a shell that prepares something first; `$0` is the program and `$@` its arguments.
#[cfg(unix)]
fn in_shell(shell: &[&str], script: &str, arguments: &[&str]) -> Outcome {
    let [name, options @ ..] = shell else {
        panic!("no shell");
    };
    // The clean environment of a usual call.
    let usual = msdeblur(["deblur"]);
    let mut command = Command::new(name);
    for (name, value) in usual.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(options).arg("-c").arg(script).arg(program());
    Outcome::of(command.arg("deblur").args(arguments))
}

#[cfg(unix)]
#[test]
fn a_write_that_fails_in_its_middle_leaves_nothing() {
    let folder = Folder::new();
    // Noise-like, so that its PNG is larger than the limit.
    folder.photo("large.png", 300, 200);
    folder.photo("small.png", 4, 4);
    let (large, small) = (folder.text("large.png"), folder.text("small.png"));
    let (out, model) = (folder.text("out"), folder.model());
    // No file may grow beyond 4 blocks, of 512 or 1024 bytes.
    let outcome = in_shell(
        &["sh"],
        "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\"",
        &[&large, &small, "-o", &out, "--checkpoint", &model],
    )
    .exits(1)
    .silent_on_stdout();
    assert!(
        outcome
            .stderr
            .contains("out/large.png: cannot write: File too large"),
        "{outcome}"
    );
    assert_eq!(folder.names("out"), ["small.png"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named_and_left_clean() {
    let folder = Folder::new();
    folder.photo("large.png", 300, 200);
    folder.photo("small.png", 4, 4);
    std::fs::create_dir(folder.at("disk")).expect("a folder");
    let (large, small) = (folder.text("large.png"), folder.text("small.png"));
    let (disk, model) = (folder.text("disk"), folder.model());
    let shell = ["unshare", "--user", "--map-root-user", "--mount", "sh"];
    let mount = format!("mount -t tmpfs -o size=16k none '{disk}'");
    if !in_shell(&shell, &mount, &[]).status.success() {
        eprintln!("skipped: no file system of its own can be mounted here");
        return;
    }
    // The file system goes away with the shell, so it says what is on it.
    let outcome = in_shell(
        &shell,
        &format!("{mount} && \"$0\" \"$@\"; code=$?; ls -A '{disk}'; exit $code"),
        &[&large, &small, "-o", &disk, "--checkpoint", &model],
    )
    .exits(1);
    assert!(
        outcome
            .stderr
            .contains("disk/large.png: cannot write: No space left on device"),
        "{outcome}"
    );
    assert!(outcome.stderr.contains("free some space"), "{outcome}");
    assert_eq!(outcome.stdout, "small.png\n", "{outcome}");
}

#[cfg(unix)]
#[test]
fn a_killed_program_leaves_whole_photos_only() {
    let folder = Folder::new();
    let inputs: Vec<String> = (0..200)
        .map(|index| {
            let name = format!("in/{index:03}.png");
            folder.photo(&name, 24, 24);
            folder.text(&name)
        })
        .collect();
    let model = folder.identity();
    for (round, finished) in [1, 4, 9].into_iter().enumerate() {
        let name = format!("out{round}");
        let out = folder.text(&name);
        let mut arguments = vec!["deblur"];
        arguments.extend(inputs.iter().map(String::as_str));
        arguments.extend(["-o", &out, "--checkpoint", &model]);
        let mut running = Running::start(&mut msdeblur(&arguments));
        running.until("some results", |_| {
            visible(&folder, &name).len() >= finished
        });
        running.signal("KILL");
        let outcome = running.wait();
        assert_eq!(outcome.status.code(), None, "{outcome}");
        let results = visible(&folder, &name);
        assert!(
            results.len() < inputs.len(),
            "killed too late to show anything"
        );
        for result in results {
            let (before, after) = (
                decode(&folder.at(&format!("in/{result}"))),
                decode(&folder.at(&format!("{name}/{result}"))),
            );
            assert_eq!(before.pixels, after.pixels, "{result}");
        }
        // Trying again finishes the work; what is there already is refused and stays.
        if round == 0 {
            deblur(&arguments[1..]).exits(1);
            assert_eq!(visible(&folder, &name).len(), inputs.len());
        }
    }
}

/// Names that a user sees.
fn visible(folder: &Folder, name: &str) -> Vec<String> {
    let mut names = folder.names(name);
    names.retain(|name| !name.starts_with('.'));
    names
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_does_not_stop_the_work() {
    let folder = Folder::new();
    folder.photo("a.png", 8, 8);
    folder.photo("b.png", 8, 8);
    let (a, b) = (folder.text("a.png"), folder.text("b.png"));
    let (out, model) = (folder.text("out"), folder.identity());
    let outcome = in_shell(
        &["sh"],
        "{ \"$0\" \"$@\"; echo code $? >&2; } | true",
        &[&a, &b, "-o", &out, "--checkpoint", &model, "--json"],
    );
    assert!(outcome.stderr.ends_with("code 0\n"), "{outcome}");
    assert_eq!(folder.names("out"), ["a.png", "b.png"]);
}

/// A file that is always full.
#[cfg(target_os = "linux")]
fn full() -> Stdio {
    let file = std::fs::OpenOptions::new().write(true).open("/dev/full");
    file.expect("/dev/full").into()
}

#[cfg(target_os = "linux")]
#[test]
fn data_that_cannot_be_written_is_no_success() {
    for arguments in [["info", "--json"], ["doctor", "--json"]] {
        let output = msdeblur(arguments).stdout(full()).output().expect("a run");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("No space left on device"), "{text}");
        assert!(!text.contains("panicked"), "{text}");
        assert_ne!(output.status.code(), Some(0), "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn messages_that_cannot_be_written_do_no_harm() {
    let folder = Folder::new();
    folder.photo("photo.png", 16, 16);
    let (input, out, model) = (
        folder.text("photo.png"),
        folder.text("out"),
        folder.identity(),
    );
    for (arguments, code) in [
        (
            &["deblur", &input, "-o", &out, "--checkpoint", &model, "-vv"][..],
            0,
        ),
        (&["deblur", "nowhere.png", "-o", &out], 1),
        (&["info", "--checkpoint", "/nowhere"], 2),
        (&["deblur", "--steps=0"], 2),
    ] {
        let output = msdeblur(arguments).stderr(full()).output().expect("a run");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
    assert_eq!(folder.names("out"), ["photo.png"]);
}

#[test]
fn an_output_that_appears_meanwhile_is_not_replaced() {
    let folder = Folder::new();
    folder.photo("photo.png", 200, 150);
    let (input, out, model) = (folder.text("photo.png"), folder.text("out"), folder.model());
    let arguments = ["deblur", &input, "-o", &out, "--checkpoint", &model];
    let mut command = msdeblur(arguments);
    command.args(["--mode=sample", "--steps=30"]);
    let mut running = Running::start(&mut command);
    // The folder is made when all checks are done.
    running.until("the folder", |_| folder.at("out").is_dir());
    folder.write("out/photo.png", "precious");
    running
        .wait()
        .exits(1)
        .says(&["out/photo.png", "exists already"]);
    assert_eq!(folder.bytes("out/photo.png"), b"precious");
    assert_eq!(folder.names("out"), ["photo.png"]);
}

#[test]
fn the_photo_helper_is_not_uniform() {
    // Several tests here rely on a picture that does not compress to nothing.
    let pixels = photo(300, 200, 0).pixels;
    let levels: std::collections::HashSet<u32> =
        pixels.iter().map(|level| level.to_bits()).collect();
    assert!(levels.len() > 60, "{}", levels.len());
}
