//! What is measured.

use image_io::{BitDepth, ColorModel};
use integration_tests::{Folder, photo, workspace};
use ndarray::Array2;
use safetensors::SafeTensors;

use super::{NUMBERS, evaluate, named, pairs, rows, write};

/// Photos that SciPy blurred and sharpened, and what scikit-image says about them.
fn reference(folder: &Folder) -> Vec<(String, [f64; 4])> {
    let path = workspace().join("tests/golden/evaluate/reference.safetensors");
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let mut values = Vec::new();
    for (key, tensor) in tensors.iter() {
        match key.strip_prefix("values/") {
            None => drop(folder.write(&format!("{key}.png"), tensor.data())),
            Some(name) => {
                let (numbers, rest) = tensor.data().as_chunks::<8>();
                assert!(rest.is_empty() && numbers.len() == 4, "{key}");
                let numbers = std::array::from_fn(|index| f64::from_le_bytes(numbers[index]));
                values.push((name.to_owned(), numbers));
            }
        }
    }
    values.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(values.len(), 3);
    values
}

#[test]
fn what_other_programs_made_gets_the_numbers_of_scikit_image() {
    let folder = Folder::new();
    let expected = reference(&folder);
    let [sharp, blurry, restored, table] =
        ["sharp", "blurry", "restored", "table.csv"].map(|name| folder.text(name));
    let folders = [
        "--sharp",
        &sharp,
        "--blurry",
        &blurry,
        "--restored",
        &restored,
    ];
    let outcome = evaluate(&[&folders[..], &NUMBERS, &["--csv", &table]].concat()).exits(0);
    let lines = outcome.json();
    let kinds: Vec<&str> = lines.iter().map(|line| &*line.kind).collect();
    assert_eq!(
        kinds,
        ["started", "image", "image", "image", "summary"],
        "{outcome}"
    );
    let csv = rows(&folder.at("table.csv"));
    assert_eq!(
        csv[0].join(","),
        "name,sharp,blurry,restored,psnr,ssim,input_psnr,input_ssim,seconds,reused,error"
    );
    let mut means = [0.0; 4];
    for (index, (name, values)) in expected.iter().enumerate() {
        let image = &lines[1 + index].data;
        assert_eq!(image["name"], **name, "the order of the names");
        assert_eq!(
            image["restored"],
            folder.text(&format!("restored/{name}.png"))
        );
        assert_eq!(image["seconds"], serde_json::Value::Null);
        let found = ["metrics", "input_metrics"].map(|field| {
            ["psnr", "ssim"].map(|metric| image[field][metric].as_f64().expect("a number"))
        });
        for (at, (found, value)) in found.concat().iter().zip(values).enumerate() {
            // Both in float64; sums in another order.
            assert!(
                (found - value).abs() < 1e-6,
                "{name}, {at}: {found} for {value}"
            );
            means[at] += found / 3.0;
            assert_eq!(csv[1 + index][4 + at], found.to_string(), "{name}, {at}");
        }
        assert_eq!(csv[1 + index][0], *name);
        assert_eq!(csv[1 + index][8..], ["", "false", ""]);
    }
    let summary = outcome.only("summary");
    assert_eq!(
        (&summary["count"], &summary["failed"]),
        (&3.into(), &0.into())
    );
    for (at, (field, metric)) in [
        ("metrics", "psnr"),
        ("metrics", "ssim"),
        ("input_metrics", "psnr"),
        ("input_metrics", "ssim"),
    ]
    .into_iter()
    .enumerate()
    {
        let mean = summary[field][metric]["mean"].as_f64().expect("a number");
        assert!((mean - means[at]).abs() < 1e-12, "{field} {metric}");
    }
    let started = outcome.only("started");
    assert_eq!(started["checkpoint"], serde_json::Value::Null);
    assert_eq!(started["protocols"]["psnr"]["unit"], "dB");
    assert_eq!(started["protocols"]["ssim"]["higher_is_better"], true);

    // The table for people says the same, rounded.
    let outcome = evaluate(&[&folders[..], &["--metrics", "psnr,ssim"]].concat()).exits(0);
    let line = |start: &str| -> Vec<String> {
        let line = outcome.stdout.lines().find(|line| line.starts_with(start));
        let line = line.unwrap_or_else(|| panic!("{start}: {outcome}"));
        line.split_whitespace().map(str::to_owned).collect()
    };
    let [psnr, ssim, input_psnr, input_ssim] = means;
    assert_eq!(
        line("PSNR")[1..5],
        [
            "(dB)".to_owned(),
            format!("{input_psnr:.3}"),
            format!("{psnr:.3}"),
            format!("{:+.3}", psnr - input_psnr)
        ]
    );
    assert_eq!(
        line("SSIM")[1..4],
        [
            format!("{input_ssim:.4}"),
            format!("{ssim:.4}"),
            format!("{:+.4}", ssim - input_ssim)
        ]
    );
}

#[test]
fn saved_pictures_get_the_same_numbers_to_the_last_digit() {
    let folder = pairs();
    // 16 bits with alpha, and grey.
    let mut wide = photo(33, 29, 5);
    wide.pixels.mapv_inplace(|value| value * 0.9 + 0.0171);
    wide.info.bit_depth = BitDepth::Sixteen;
    wide.alpha = Some(Array2::from_elem((29, 33), 0.5));
    write(&folder, "blurry/wide.png", &wide);
    folder.photo("sharp/wide.jpg", 33, 29);
    let mut gray = photo(37, 31, 9);
    let plane = gray.pixels.index_axis(ndarray::Axis(0), 0).to_owned();
    for mut channel in gray.pixels.outer_iter_mut() {
        channel.assign(&plane);
    }
    gray.info.color = ColorModel::Gray;
    write(&folder, "blurry/gray.png", &gray);
    folder.photo("sharp/gray.tif", 37, 31);

    let [sharp, blurry, saved, model] = [
        folder.text("sharp"),
        folder.text("blurry"),
        folder.text("new/saved"),
        folder.model(),
    ];
    let options = [
        "--mode=sample",
        "--steps=2",
        "--seed=3",
        "--checkpoint",
        &model,
    ];
    let own = evaluate(
        &[
            &["--sharp", &*sharp, "--blurry", &blurry, "--save", &saved],
            &options[..],
            &NUMBERS,
        ]
        .concat(),
    )
    .exits(0);
    assert!(own.stderr.contains("wide.png: alpha is ignored"), "{own}");
    let again = evaluate(
        &[
            &[
                "--sharp",
                &*sharp,
                "--blurry",
                &blurry,
                "--restored",
                &saved,
            ],
            &NUMBERS[..],
        ]
        .concat(),
    )
    .exits(0);
    let (own_lines, again_lines) = (own.json(), again.json());
    for name in ["a", "b", "deep/c", "gray", "wide"] {
        let [first, second] = [&own_lines, &again_lines].map(|lines| named(lines, "image", name));
        assert_eq!(first["metrics"], second["metrics"], "{name}");
        assert_eq!(first["input_metrics"], second["input_metrics"], "{name}");
        assert_eq!(
            first["restored"],
            folder.text(&format!("new/saved/{name}.png"))
        );
        assert!(
            first["seconds"]
                .as_f64()
                .is_some_and(|seconds| seconds > 0.0)
        );
    }
    assert_eq!(
        own.only("summary")["metrics"],
        again.only("summary")["metrics"]
    );
    let started = own.only("started");
    assert_eq!(started["checkpoint"]["name"], "integration test");
    assert_eq!(started["options"]["steps"], 2);
    assert_eq!(started["options"]["seed"], 3);

    // `deblur` makes the same picture.
    let (input, output) = (folder.text("blurry/a.png"), folder.text("a.png"));
    crate::deblur(&[&[&*input, "-o", &output], &options[..]].concat()).exits(0);
    let pixels = |name: &str| integration_tests::decode(&folder.at(name)).pixels;
    assert_eq!(pixels("a.png"), pixels("new/saved/a.png"));
}

#[test]
fn pictures_with_16_bits_are_compared_as_8_bits() {
    let folder = Folder::new();
    let sharp = photo(24, 20, 1);
    let mut near = photo(24, 20, 2);
    write(&folder, "sharp/a.png", &sharp);
    write(&folder, "eight/a.png", &near);
    // Less than half a level away: the same 8-bit picture.
    near.pixels.mapv_inplace(|value| value + 0.4 / 255.0);
    near.info.bit_depth = BitDepth::Sixteen;
    write(&folder, "sixteen/a.png", &near);
    let sharp = folder.text("sharp");
    let [eight, sixteen] = ["eight", "sixteen"].map(|name| {
        let restored = folder.text(name);
        evaluate(&[&["--sharp", &*sharp, "--restored", &restored], &NUMBERS[..]].concat())
            .exits(0)
            .only("image")["metrics"]
            .clone()
    });
    assert_eq!(eight, sixteen);
}

#[test]
fn equal_pictures_have_infinite_psnr_and_everybody_says_so() {
    let folder = pairs();
    folder.write("restored/a.png", folder.bytes("sharp/a.png"));
    folder.write("restored/b.png", folder.bytes("sharp/b.png"));
    folder.write("restored/deep/c.png", folder.bytes("blurry/deep/c.png"));
    folder.photo("sharp/deep/c.png", 40, 32);
    // Another picture.
    let mut other = photo(40, 32, 77);
    other.pixels.mapv_inplace(|value| value * 0.5);
    write(&folder, "restored/deep/c.png", &other);
    let [sharp, restored, table] = ["sharp", "restored", "t.csv"].map(|name| folder.text(name));
    let folders = ["--sharp", &*sharp, "--restored", &restored];
    let outcome = evaluate(&[&folders[..], &NUMBERS, &["--csv", &table]].concat()).exits(0);
    let lines = outcome.json();
    assert_eq!(named(&lines, "image", "a")["metrics"]["psnr"], "inf");
    assert_eq!(named(&lines, "image", "a")["metrics"]["ssim"], 1.0);
    assert!(named(&lines, "image", "deep/c")["metrics"]["psnr"].is_f64());
    let psnr = &outcome.only("summary")["metrics"]["psnr"];
    assert_eq!(
        (&psnr["mean"], &psnr["std"]),
        (&"inf".into(), &"nan".into())
    );
    assert_eq!((&psnr["infinite"], &psnr["count"]), (&2.into(), &3.into()));
    assert_eq!(
        outcome.only("summary")["input_metrics"],
        serde_json::Value::Null
    );
    assert_eq!(rows(&folder.at("t.csv"))[1][4], "inf");
    let outcome = evaluate(&[&folders[..], &["--metrics=psnr"]].concat()).exits(0);
    assert!(
        outcome.stdout.contains("infinite for 2 of 3 images"),
        "{outcome}"
    );
}
