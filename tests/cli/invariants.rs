//! What a result depends on, and what it must not depend on. The model is one of noise, so that every input matters.

use image_io::{BitDepth, WriteOptions};
use integration_tests::{Folder, decode, photo};
use ndarray::Array3;

use crate::{deblur, restored};

/// Largest difference in levels of 8 bits.
fn levels(a: &Array3<f32>, b: &Array3<f32>) -> f32 {
    assert_eq!(a.dim(), b.dim());
    let most = a
        .iter()
        .zip(b)
        .fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    most * 255.0
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_gives_others() {
    for options in [
        &["--mode=mean"][..],
        &["--mode=sample", "--steps=2", "--sampler=ddpm"],
        &["--mode=average", "--samples=2", "--steps=2"],
    ] {
        let with = |seed: &str| restored(&[options, &[seed]].concat());
        let first = with("--seed=5");
        assert!(first == with("--seed=5"), "{options:?}: not repeatable");
        assert!(
            first != with("--seed=6"),
            "{options:?}: the seed does nothing"
        );
    }
}

#[test]
fn modes_samplers_and_steps_all_make_a_difference() {
    let all = [
        &["--mode=mean"][..],
        &["--mode=sample", "--steps=4"],
        &["--mode=sample", "--steps=5"],
        &["--mode=average", "--steps=4", "--samples=2"],
        &["--mode=sample", "--steps=4", "--sampler=heun"],
        &["--mode=sample", "--steps=4", "--sampler=ddpm"],
        &["--mode=sample", "--steps=4", "--sampler=dpmpp-2m-sde"],
    ];
    let results: Vec<Vec<u8>> = all.iter().map(|options| restored(options)).collect();
    for (index, result) in results.iter().enumerate() {
        for (other, earlier) in results[..index].iter().enumerate() {
            assert!(result != earlier, "{:?} is {:?}", all[index], all[other]);
        }
    }
    // What is chosen by default, spelled out.
    let spelled = restored(&[
        "--mode=sample",
        "--steps=4",
        "--sampler=dpmpp-2m",
        "--seed=0",
    ]);
    assert!(spelled == results[1]);
}

#[test]
fn samples_do_not_depend_on_how_many_are_drawn() {
    let steps = "--steps=3";
    let alone = restored(&["--mode=sample", steps]);
    let among = restored(&["--mode=sample", steps, "--uncertainty", "--samples=4"]);
    assert!(alone == among);
    let average_of_one = restored(&["--mode=average", steps, "--samples=1"]);
    assert!(alone == average_of_one);
    let mean = restored(&["--mode=mean"]);
    assert!(mean == restored(&["--mode=mean", "--uncertainty", "--samples=2", steps]));
}

#[test]
fn what_is_shown_besides_changes_nothing() {
    let options = ["--mode=sample", "--steps=2"];
    let shown = [
        "--compare",
        "--show-guidance",
        "--json",
        "-vv",
        "--no-progress",
    ];
    assert!(restored(&options) == restored(&[&options[..], &shown].concat()));
}

#[test]
fn tiles_do_not_show() {
    let folder = Folder::new();
    // In 16 bits, because what lies at the edge of the receptive field changes little.
    let mut wide = photo(150, 107, 0);
    wide.info.bit_depth = BitDepth::Sixteen;
    image_io::write(&folder.at("photo.png"), &wide, &WriteOptions::default()).expect("a photo");
    let (input, out, model) = (
        folder.text("photo.png"),
        folder.text("out.png"),
        folder.model(),
    );
    for mode in [&["--mode=mean"][..], &["--mode=sample", "--steps=3"]] {
        let run = |tile: &str, tiles: usize| {
            let arguments = [&*input, "-o", &out, "--checkpoint", &model];
            let options = ["--json", "--force", "--tile", tile];
            let outcome = deblur(&[&arguments[..], mode, &options].concat()).exits(0);
            assert_eq!(outcome.only("restored")["tiles"], tiles, "{tile}");
            decode(&folder.at("out.png")).pixels
        };
        let whole = run("off", 1);
        for (tile, tiles) in [("32", 5 * 4), ("64", 3 * 2)] {
            let difference = levels(&whole, &run(tile, tiles));
            eprintln!("--tile {tile}, {mode:?}: {difference} levels");
            // One level is promised; only rounding is there.
            assert!(difference < 0.02, "--tile {tile}: {difference} levels");
        }
        // A restoration that did nothing would pass all this.
        let changed = levels(&whole, &decode(&folder.at("photo.png")).pixels);
        assert!(changed > 8.0, "{changed}");
    }
}

#[test]
fn threads_do_not_show() {
    let folder = Folder::new();
    folder.photo("photo.png", 96, 64);
    let (input, model) = (folder.text("photo.png"), folder.model());
    let run = |threads: &str| {
        let out = folder.text("out.png");
        let arguments = [&*input, "-o", &out, "--checkpoint", &model, "--force"];
        let options = ["--mode=sample", "--steps=3", "--threads", threads];
        deblur(&[&arguments[..], &options].concat()).exits(0);
        decode(&folder.at("out.png")).pixels
    };
    let one = run("1");
    let difference = levels(&one, &run("3"));
    assert!(difference < 1.01, "{difference} levels");
}

#[test]
fn a_photo_does_not_depend_on_its_company() {
    let folder = Folder::new();
    for name in ["in/a.png", "in/b.png", "in/c.png"] {
        folder.photo(name, 24, 20);
    }
    let (all, one, model) = (folder.text("in"), folder.text("in/b.png"), folder.model());
    let options = ["--mode=sample", "--steps=2", "--checkpoint", &model];
    let (many, alone) = (folder.text("many"), folder.text("alone"));
    deblur(&[&[&*all, "-o", &many], &options[..]].concat()).exits(0);
    deblur(&[&[&*one, "-o", &alone], &options[..]].concat()).exits(0);
    assert_eq!(folder.bytes("many/b.png"), folder.bytes("alone/b.png"));
    assert_ne!(folder.bytes("many/a.png"), folder.bytes("many/b.png"));
}

#[test]
fn bfloat16_is_close_to_float32() {
    let exact = restored(&["--precision=float32"]);
    let rounded = restored(&["--precision=bfloat16"]);
    assert!(exact != rounded, "bfloat16 was not used");
    let folder = Folder::new();
    let (exact, rounded) = (folder.write("a.png", exact), folder.write("b.png", rounded));
    let difference = levels(&decode(&exact).pixels, &decode(&rounded).pixels);
    // 8 significant bits of the residual, which spans a tenth of the range with this model.
    assert!(difference < 6.0, "{difference} levels");
}
