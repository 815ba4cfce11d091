//! Inputs that are no photos: each gets one line, and the rest is done.

use std::path::Path;
use std::process::Command;

use integration_tests::{Folder, Outcome, golden, msdeblur};

use crate::deblur;

/// A valid PNG whose header claims another size.
fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = golden("rgb16.png");
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = crc(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// CRC-32 of PNG chunks (RFC 2083, section 15).
fn crc(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// The first half of a file that another program wrote.
fn half(name: &str) -> Vec<u8> {
    let bytes = golden(name);
    bytes[..bytes.len() / 2].to_owned()
}

/// Name, content if there is such a file, and words that the message about it must have.
type BadFile = (&'static str, Option<Vec<u8>>, &'static [&'static str]);

/// Files that cannot be restored, each with words that its message must have.
fn bad_files(folder: &Folder) -> Vec<(String, Vec<&'static str>)> {
    let cases: [BadFile; 15] = [
        ("missing.png", None, &["not found"]),
        ("empty.png", Some(Vec::new()), &["empty", "0 bytes"]),
        ("cut.png", Some(half("rgb16.png")), &["PNG", "truncated"]),
        (
            "cut.jpg",
            Some(half("baseline-444.jpg")),
            &["JPEG", "truncated"],
        ),
        (
            "cut.webp",
            Some(half("lossless.webp")),
            &["WebP", "truncated"],
        ),
        ("cut.tiff", Some(half("rgb8.tiff")), &["TIFF"]),
        (
            "signature.png",
            Some(golden("rgb16.png")[..8].to_owned()),
            &["PNG"],
        ),
        (
            "text.jpg",
            Some(b"Dear photo, ...\n".to_vec()),
            &["a text file"],
        ),
        (
            "moving.png",
            Some(b"GIF89a\x01\0\x01\0\0\0\0;".to_vec()),
            &["a GIF file"],
        ),
        (
            "no-columns.png",
            Some(png_claiming(0, 22)),
            &["no pixels", "0x22"],
        ),
        (
            "no-rows.png",
            Some(png_claiming(37, 0)),
            &["no pixels", "37x0"],
        ),
        (
            "bomb.png",
            Some(png_claiming(100_000, 100_000)),
            &["100000x100000 pixels", "limit"],
        ),
        (
            "damaged.png",
            Some({
                let mut bytes = golden("rgb16.png");
                let middle = bytes.len() / 2;
                bytes[middle..middle + 8].fill(0x55);
                bytes
            }),
            &["cannot decode as PNG"],
        ),
        ("random.webp", Some(vec![0x9d; 400]), &["not an image"]),
        ("raw.dng", Some(golden("rgb8.tiff")), &["camera raw"]),
    ];
    cases
        .into_iter()
        .map(|(name, content, words)| {
            if let Some(content) = content {
                folder.write(name, content);
            }
            (name.to_owned(), words.to_vec())
        })
        .collect()
}

#[test]
fn every_bad_file_gets_one_line_and_the_good_ones_are_restored() {
    let folder = Folder::new();
    let bad = bad_files(&folder);
    folder.photo("first.png", 16, 16);
    folder.photo("last.png", 16, 16);
    let mut inputs = vec![folder.text("first.png")];
    inputs.extend(bad.iter().map(|(name, _)| folder.text(name)));
    inputs.push(folder.text("last.png"));
    let (out, model) = (folder.text("out"), folder.identity());
    let mut arguments: Vec<&str> = inputs.iter().map(String::as_str).collect();
    arguments.extend(["-o", &out, "--checkpoint", &model, "--json"]);
    let outcome = deblur(&arguments).exits(1);

    assert_eq!(folder.names("out"), ["first.png", "last.png"], "{outcome}");
    let lines = outcome.json();
    assert_eq!(lines.len(), inputs.len() + 1, "{outcome}");
    for (index, (name, words)) in bad.iter().enumerate() {
        let line = &lines[index + 1];
        assert_eq!(line.kind, "failed", "{name}: {line:?}");
        assert_eq!(line.data["input"], folder.text(name));
        let message = line.data["message"].as_str().expect("a message");
        let path = folder.text(name);
        assert!(message.starts_with(&path), "{message}");
        assert!(!message.contains('\n'), "{message}");
        for word in words {
            assert!(message.contains(word), "{word:?} is not in {message:?}");
        }
        let hint = line.data["hint"].as_str().unwrap_or_default();
        assert!(!hint.is_empty(), "no hint: {line:?}");
        // On stderr: the same message in one line, its hint in the next, and the name in the summary.
        let shown = format!("{message}\nhint: {hint}\n");
        assert_eq!(
            outcome.stderr.matches(&shown).count(),
            1,
            "{shown}\n{outcome}"
        );
        let named = outcome.stderr.lines().filter(|line| line.contains(&path));
        assert_eq!(named.count(), 2, "{path}\n{outcome}");
    }
    let summary = &lines[lines.len() - 1];
    assert_eq!(summary.kind, "summary");
    assert_eq!(summary.data["restored"], 2);
    assert_eq!(summary.data["failed"], bad.len());
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_waited_for() {
    let folder = Folder::new();
    for name in ["pipe.png", "pipe"] {
        let status = Command::new("mkfifo").arg(folder.at(name)).status();
        assert!(status.expect("mkfifo").success());
    }
    let link = |target: &Path, name: &str| {
        std::os::unix::fs::symlink(target, folder.at(name)).expect("a link");
    };
    link(Path::new("/nowhere/at/all.png"), "dangling.png");
    // Readable by name, but not by content, also for root.
    link(Path::new("/proc/self/mem"), "unreadable.png");
    folder.write("forbidden.png", golden("rgb16.png"));
    forbid(&folder.at("forbidden.png"));
    std::fs::create_dir(folder.at("empty")).expect("a folder");
    let (out, model) = (folder.text("out"), folder.identity());
    for (name, words) in [
        ("pipe.png", &["not a file"][..]),
        ("pipe", &["not a file"]),
        ("dangling.png", &["not found"]),
        ("unreadable.png", &["cannot read", "Input/output error"]),
        ("forbidden.png", &["cannot read", "ermission"]),
        ("empty", &["no PNG, JPEG, TIFF or WebP file in this folder"]),
        ("/dev/null", &["not a file"]),
    ] {
        if name == "unreadable.png" && !Path::new("/proc/self/mem").exists() {
            eprintln!("skipped: no /proc");
            continue;
        }
        if name == "forbidden.png" && std::fs::read(folder.at(name)).is_ok() {
            eprintln!("skipped: this user may read everything");
            continue;
        }
        let path = folder.at(name);
        let path = path.to_str().expect("UTF-8");
        deblur(&[path, "-o", &out, "--checkpoint", &model])
            .exits(1)
            .silent_on_stdout()
            .says(&[&[path], words].concat());
        assert_eq!(folder.names("out"), Vec::<String>::new());
    }
}

#[cfg(unix)]
fn forbid(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let nothing = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(path, nothing).expect("permissions");
}

#[test]
fn a_wrong_name_is_no_obstacle_but_said() {
    let folder = Folder::new();
    folder.write("photo.jpg", golden("rgb16.png"));
    folder.write("scan", golden("rgb8.tiff"));
    let (jpg, scan) = (folder.text("photo.jpg"), folder.text("scan"));
    let (out, model) = (folder.text("out"), folder.identity());
    let outcome = deblur(&[&jpg, &scan, "-o", &out, "--checkpoint", &model]).exits(0);
    assert!(
        outcome
            .stderr
            .contains("named like JPEG, but holds PNG data"),
        "{outcome}"
    );
    // The name decides about the output, and without one the content.
    assert_eq!(folder.names("out"), ["photo.jpg", "scan.tiff"]);
    assert!(folder.bytes("out/photo.jpg").starts_with(&[0xff, 0xd8]));
    assert!(folder.bytes("out/scan.tiff").starts_with(b"II*\0"));
}

#[test]
fn names_may_hold_anything() {
    let folder = Folder::new();
    let names = [
        "two words.png",
        "-dash.png",
        "ümläut 写真.png",
        "star[1]*.png",
        "a.b.c.PNG",
    ];
    for name in names {
        folder.photo(name, 9, 7);
    }
    let inputs: Vec<String> = names.iter().map(|name| folder.text(name)).collect();
    let (out, model) = (folder.text("out"), folder.identity());
    let mut arguments: Vec<&str> = inputs.iter().map(String::as_str).collect();
    arguments.extend(["-o", &out, "--checkpoint", &model]);
    deblur(&arguments).exits(0);
    let mut expected = names.to_vec();
    expected.sort_unstable();
    assert_eq!(folder.names("out"), expected);
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_are_restored_and_reported() {
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new();
    let input = folder
        .at("")
        .join(std::ffi::OsStr::from_bytes(b"caf\xe9.png"));
    std::fs::write(&input, golden("rgb16.png")).expect("a file");
    let (out, model) = (folder.text("out"), folder.identity());
    let mut command = msdeblur(["deblur", "-o", &out, "--checkpoint", &model, "--json"]);
    let outcome = Outcome::of(command.arg(&input)).exits(0);
    let output = folder.at("out").join(input.file_name().expect("a name"));
    assert!(output.is_file(), "{outcome}");
    // JSON is text: the name as well as text can say it, but no line is lost.
    let restored = outcome.only("restored");
    let name = restored["input"].as_str().expect("text");
    assert!(name.ends_with("caf\u{fffd}.png"), "{name}");
}
