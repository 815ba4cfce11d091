//! What is written, and what is not.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use integration_tests::{decode, msdeblur};

use super::{NUMBERS, evaluate, pairs};

#[test]
fn maps_of_uncertainty_lie_beside_the_pictures_and_are_no_photos() {
    let folder = pairs();
    let [sharp, blurry, saved, model] = [
        folder.text("sharp"),
        folder.text("blurry"),
        folder.text("saved"),
        folder.model(),
    ];
    let options = [
        "--checkpoint",
        &model,
        "--save",
        &saved,
        "--mode=average",
        "--samples=2",
        "--steps=2",
        "--uncertainty",
    ];
    let outcome = evaluate(
        &[
            &["--sharp", &*sharp, "--blurry", &blurry],
            &options[..],
            &NUMBERS,
        ]
        .concat(),
    )
    .exits(0);
    assert_eq!(
        folder.names("saved"),
        [
            "a.png",
            "a.uncertainty.png",
            "b.png",
            "b.uncertainty.png",
            "deep"
        ]
    );
    assert_eq!(folder.names("saved/deep"), ["c.png", "c.uncertainty.png"]);
    let image = &outcome.json()[1].data;
    assert_eq!(image["uncertainty"], folder.text("saved/a.uncertainty.png"));
    assert_eq!(decode(&folder.at("saved/a.uncertainty.png")).width(), 40);
    let again =
        evaluate(&[&["--sharp", &*sharp, "--restored", &saved], &NUMBERS[..]].concat()).exits(0);
    assert_eq!(again.only("summary")["count"], 3);
    assert!(
        again
            .stderr
            .contains("passed over 3 pictures made by msdeblur"),
        "{again}"
    );
}

#[test]
fn nothing_that_exists_is_replaced_without_force_and_an_input_never() {
    let folder = pairs();
    let [sharp, blurry, model] = [folder.text("sharp"), folder.text("blurry"), folder.model()];
    let call = |options: &[&str]| {
        let always = [
            "--sharp",
            &*sharp,
            "--blurry",
            &blurry,
            "--checkpoint",
            &model,
            "--metrics=psnr",
        ];
        evaluate(&[&always[..], options].concat())
    };
    folder.write("saved/b.png", "mine");
    folder.write("table.csv", "mine");
    let (saved, table) = (folder.text("saved"), folder.text("table.csv"));
    for options in [["--save", &*saved], ["--csv", &table]] {
        call(&options)
            .exits(2)
            .silent_on_stdout()
            .says(&["exists already"]);
    }
    assert_eq!(folder.bytes("saved/b.png"), b"mine");
    assert_eq!(folder.names("saved"), ["b.png"]);
    // With results of earlier runs, pictures of these are expected; others fail when they are known to be others.
    let reuse = folder.text("reuse.jsonl");
    let outcome = call(&["--save", &saved, "--reuse", &reuse]).exits(1);
    assert!(
        outcome.stderr.contains("saved/b.png: exists already"),
        "{outcome}"
    );
    assert_eq!(folder.bytes("saved/b.png"), b"mine");
    call(&["--save", &saved, "--csv", &table, "--force"]).exits(0);
    assert_eq!(decode(&folder.at("saved/b.png")).width(), 40);
    assert!(folder.bytes("table.csv").starts_with(b"name,"));
    for options in [["--save", &*blurry], ["--save", &sharp]] {
        let before = folder.bytes("blurry/a.png");
        call(&[&options[..], &["--force"]].concat())
            .exits(2)
            .says(&["would replace the input"]);
        assert_eq!(folder.bytes("blurry/a.png"), before);
    }
    let input = folder.text("sharp/a.png");
    for option in ["--csv", "--reuse"] {
        call(&[option, &input, "--force"])
            .exits(2)
            .says(&["would replace the input"]);
    }
}

#[cfg(unix)]
#[test]
fn no_link_leads_out_of_the_folder() {
    let folder = pairs();
    std::fs::create_dir(folder.at("outside")).expect("a folder");
    std::fs::create_dir(folder.at("saved")).expect("a folder");
    std::os::unix::fs::symlink(folder.at("outside"), folder.at("saved/deep")).expect("a link");
    let [sharp, blurry, saved, model] = [
        folder.text("sharp"),
        folder.text("blurry"),
        folder.text("saved"),
        folder.model(),
    ];
    evaluate(&[
        "--sharp",
        &sharp,
        "--blurry",
        &blurry,
        "--save",
        &saved,
        "--checkpoint",
        &model,
        "--metrics=psnr",
    ])
    .exits(2)
    .says(&["a link leads out"]);
    assert_eq!(folder.names("outside"), Vec::<String>::new());
}

#[test]
fn wrong_usage_is_told_before_any_work() {
    let folder = pairs();
    let (sharp, blurry, weights) = (
        folder.text("sharp"),
        folder.text("blurry"),
        folder.text("none"),
    );
    let both = ["--sharp", &*sharp, "--blurry", &blurry];
    let table = folder.text("none/table");
    for (options, words) in [
        (&["--metrics=psnr,lipps"][..], &["error: ", "lipps"][..]),
        (&["--protocol=grb"], &["error: ", "grb"]),
        (&["--uncertainty"], &["error: "]),
        (&["--pairs=x"], &["error: ", "--pairs"]),
        (
            &["--metrics=lpips,dists", "--weights", &weights],
            &[
                "none: weights are missing",
                "LPIPS needs lpips_alexnet.safetensors",
                "DISTS needs lpips_vgg16.safetensors",
                "dists_alpha_beta.safetensors",
            ],
        ),
        (
            &["--weights", &weights],
            &[
                "none: weights are missing",
                "LPIPS needs lpips_alexnet.safetensors",
            ],
        ),
        (
            &["--checkpoint=none.safetensors", "--metrics=psnr"],
            &["none.safetensors: "],
        ),
        (&["--steps=0"], &["error: "]),
        (
            &["--metrics=psnr", "--csv", &table],
            &["none: there is no such folder", "--csv"],
        ),
        (
            &["--metrics=psnr", "--reuse", &table],
            &["none: there is no such folder", "--reuse"],
        ),
        (
            &["--metrics=psnr", "--force", "--csv", &folder.text("")],
            &["is a folder", "--csv"],
        ),
    ] {
        let outcome = evaluate(&[&both[..], options].concat())
            .exits(2)
            .silent_on_stdout();
        outcome.says(words);
    }
    let outcome = evaluate(&[&both[..], &["--metrics=lpisp"]].concat()).exits(2);
    assert!(outcome.stderr.contains("'lpips'"), "{outcome}");
    evaluate(&["--sharp", &sharp]).exits(2).says(&["error: "]);
    let outcome = evaluate(&[
        "--sharp",
        &sharp,
        "--restored",
        &blurry,
        "--steps=3",
        "--save=x",
        "--mode=sample",
        "--seed=5",
        "--checkpoint",
        &folder.model(),
    ])
    .exits(0);
    for words in [
        "--mode has no effect",
        "--seed has no effect",
        "--checkpoint has no effect",
        "--steps has no effect",
        "--save has no effect",
        "LPIPS is left out",
    ] {
        assert!(outcome.stderr.contains(words), "{outcome}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = pairs();
    let (sharp, blurry) = (folder.text("sharp"), folder.text("blurry"));
    let mut child = msdeblur([
        "evaluate",
        "--sharp",
        &sharp,
        "--restored",
        &blurry,
        "--json",
    ])
    .stdin(Stdio::null())
    .stdout(Stdio::piped())
    .stderr(Stdio::null())
    .spawn()
    .expect("the program");
    let mut first = String::new();
    // The pipe is closed behind the first line.
    BufReader::new(child.stdout.take().expect("stdout"))
        .read_line(&mut first)
        .expect("a line");
    assert!(first.contains("\"started\""), "{first}");
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}
