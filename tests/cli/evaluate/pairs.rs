//! Which photos belong together, and what happens where they do not.

use integration_tests::Folder;

use super::{NUMBERS, evaluate, named, pairs};

#[test]
fn folders_that_do_not_match_are_refused_with_every_mismatch() {
    let folder = pairs();
    folder.photo("blurry/new.png", 40, 32);
    folder.photo("sharp/old.png", 40, 32);
    folder.photo("sharp/deep/c.jpg", 40, 32);
    folder.photo("blurry/b.png", 32, 40);
    let (sharp, blurry, reuse) = (
        folder.text("sharp"),
        folder.text("blurry"),
        folder.text("r"),
    );
    let outcome = evaluate(
        &[
            &["--sharp", &*sharp, "--blurry", &blurry, "--reuse", &reuse],
            &NUMBERS[..],
        ]
        .concat(),
    )
    .exits(2)
    .silent_on_stdout()
    .says(&["evaluate: ", "do not match", "4 names"]);
    let lines: Vec<&str> = outcome.stderr.lines().skip(1).collect();
    for (line, words) in [
        (0, &["b: different sizes: sharp 40x32, blurry 32x40"][..]),
        (1, &["deep/c: more than one file: ", "c.jpg", "c.png"]),
        (2, &["new: missing in ", "/sharp"]),
        (3, &["old: missing in ", "/blurry"]),
        (4, &["hint: ", "--pairs"]),
    ] {
        for word in words {
            assert!(lines[line].contains(word), "{word}: {outcome}");
        }
    }
    assert_eq!(lines.len(), 5, "{outcome}");
    assert!(!folder.at("r").exists(), "nothing is begun");
}

#[test]
fn a_bad_picture_fails_alone() {
    let folder = pairs();
    folder.write("restored/a.png", folder.bytes("blurry/a.png"));
    // Its header is sound.
    folder.write("restored/b.png", &folder.bytes("blurry/b.png")[..120]);
    folder.write("restored/deep/c.png", folder.bytes("blurry/deep/c.png"));
    // Too small for the window of SSIM.
    folder.photo("restored/small.png", 8, 8);
    folder.photo("sharp/small.png", 8, 8);
    let [sharp, restored, table] = ["sharp", "restored", "t.csv"].map(|name| folder.text(name));
    let outcome = evaluate(
        &[
            &["--sharp", &*sharp, "--restored", &restored, "--csv", &table],
            &NUMBERS[..],
        ]
        .concat(),
    )
    .exits(1);
    let lines = outcome.json();
    let kinds: Vec<&str> = lines.iter().map(|line| &*line.kind).collect();
    assert_eq!(
        kinds,
        ["started", "image", "failure", "image", "failure", "summary"]
    );
    let broken = named(&lines, "failure", "b");
    assert!(
        broken["error"]
            .as_str()
            .is_some_and(|text| text.contains("restored/b.png: ")),
        "{broken}"
    );
    let small = named(&lines, "failure", "small");
    assert!(
        small["error"]
            .as_str()
            .is_some_and(|text| text.contains("SSIM: ")),
        "{small}"
    );
    let summary = outcome.only("summary");
    assert_eq!(
        (&summary["count"], &summary["failed"]),
        (&2.into(), &2.into())
    );
    assert_eq!(summary["metrics"]["psnr"]["count"], 2);
    assert!(
        outcome
            .stderr
            .contains("2 of 4 images scored, 2 failed:\n  b\n  small\n"),
        "{outcome}"
    );
    let text = String::from_utf8(folder.bytes("t.csv")).expect("text");
    assert_eq!(text.lines().count(), 5);
    assert!(
        text.lines()
            .nth(4)
            .is_some_and(|line| line.contains("SSIM: ")),
        "{text}"
    );
}

#[test]
fn a_list_of_pairs_restores_what_is_not_restored_and_keeps_its_order() {
    let folder = pairs();
    let model = folder.model();
    folder.photo("other/result.png", 40, 32);
    folder.photo("other/large.png", 60, 32);
    folder.write(
        "list/pairs.jsonl",
        concat!(
            "{\"name\": \"z\", \"sharp\": \"../sharp/a.png\", \"blurry\": \"../blurry/a.png\"}\n",
            "{\"name\": \"done/1\", \"sharp\": \"../sharp/b.png\", \"restored\": \"../other/result.png\"}\n",
            "{\"name\": \"gone\", \"sharp\": \"../sharp/b.png\", \"restored\": \"../other/none.png\"}\n",
            "{\"name\": \"large\", \"sharp\": \"../sharp/b.png\", \"blurry\": \"../other/large.png\"}\n",
        ),
    );
    let (list, save) = (folder.text("list/pairs.jsonl"), folder.text("kept"));
    let outcome = evaluate(
        &[
            &["--pairs", &*list, "--checkpoint", &model, "--save", &save],
            &NUMBERS[..],
        ]
        .concat(),
    )
    .exits(1);
    let lines = outcome.json();
    let names: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.data["name"].as_str())
        .collect();
    assert_eq!(names, ["z", "done/1", "gone", "large"]);
    assert_eq!(folder.names("kept"), ["z.png"]);
    let done = named(&lines, "image", "done/1");
    assert_eq!(done["input_metrics"], serde_json::Value::Null);
    assert!(named(&lines, "image", "z")["input_metrics"]["psnr"].is_f64());
    for (name, words) in [
        ("gone", "none.png: the restored photo is missing"),
        ("large", "different sizes: sharp 40x32, blurry 60x32"),
    ] {
        let failure = named(&lines, "failure", name);
        assert!(
            failure["error"]
                .as_str()
                .is_some_and(|text| text.contains(words)),
            "{failure}"
        );
    }
}

#[test]
fn lists_that_say_nothing_useful_are_refused() {
    let folder = pairs();
    folder.write(
        "bad.jsonl",
        "{\"name\": \"../x\", \"sharp\": \"a\", \"blurry\": \"b\"}\n{}\n",
    );
    let list = folder.text("bad.jsonl");
    let outcome = evaluate(&["--pairs", &list])
        .exits(2)
        .silent_on_stdout()
        .says(&["bad.jsonl: 2 problems"]);
    for words in ["line 1: the name \"../x\"", "line 2: missing field"] {
        assert!(outcome.stderr.contains(words), "{outcome}");
    }
    let missing = folder.text("none.jsonl");
    evaluate(&["--pairs", &missing])
        .exits(2)
        .says(&["none.jsonl: cannot read"]);
    let empty = Folder::new();
    let (sharp, nothing) = (folder.text("sharp"), empty.text(""));
    evaluate(&["--sharp", &sharp, "--restored", &nothing])
        .exits(2)
        .says(&["no PNG"]);
}
