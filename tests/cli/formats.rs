//! What a photo is besides its colours must come out as it went in. The model changes nothing, so the pixels must come out too.

use std::path::Path;

use image_io::{BitDepth, ColorModel, Photo};
use integration_tests::{Folder, decode};
use ndarray::Array3;

use crate::deblur;

/// Restores files that other programs wrote with a model that changes nothing; returns what each was and has become.
#[track_caller]
fn unchanged(names: &[&str]) -> Vec<(Photo, Photo, Vec<u8>, Vec<String>)> {
    let folder = Folder::new();
    let inputs: Vec<String> = names
        .iter()
        .map(|name| {
            folder.golden(name);
            folder.text(name)
        })
        .collect();
    let (out, model) = (folder.text("out"), folder.identity());
    let mut arguments: Vec<&str> = inputs.iter().map(String::as_str).collect();
    arguments.extend(["-o", &out, "--checkpoint", &model, "--json"]);
    let outcome = deblur(&arguments).exits(0);
    let lines = outcome.json();
    names
        .iter()
        .zip(lines)
        .map(|(name, line)| {
            let output = format!("out/{name}");
            assert_eq!(line.data["output"], folder.text(&output));
            let notes = line.data["notes"].as_array().expect("notes");
            let notes: Vec<String> = notes
                .iter()
                .map(|note| note.as_str().expect("text").to_owned())
                .collect();
            // Notes are said on stderr as well.
            for note in &notes {
                assert!(outcome.stderr.contains(note), "{note}\n{outcome}");
            }
            (
                decode(&folder.at(name)),
                decode(&folder.at(&output)),
                folder.bytes(&output),
                notes,
            )
        })
        .collect()
}

/// Bit depth and colour type in the header of a PNG file (RFC 2083, section 4.1.1).
fn png_kind(bytes: &[u8]) -> (u8, u8) {
    assert_eq!(&bytes[12..16], b"IHDR");
    (bytes[24], bytes[25])
}

#[test]
fn png_keeps_depth_colour_and_alpha() {
    const GRAY: u8 = 0;
    const RGB: u8 = 2;
    const GRAY_ALPHA: u8 = 4;
    const RGBA: u8 = 6;
    let cases = [
        ("gray1.png", (8, GRAY), Some("1-bit grey expanded to 8 bit")),
        ("gray8.png", (8, GRAY), None),
        ("gray16.png", (16, GRAY), None),
        ("la8.png", (8, GRAY_ALPHA), None),
        ("la16.png", (16, GRAY_ALPHA), None),
        ("rgb16.png", (16, RGB), None),
        ("rgba8.png", (8, RGBA), None),
        ("rgba16.png", (16, RGBA), None),
        ("palette.png", (8, RGB), Some("palette expanded to RGB")),
        (
            "palette-alpha.png",
            (8, RGBA),
            Some("palette expanded to RGB"),
        ),
    ];
    let results = unchanged(&cases.map(|(name, ..)| name));
    for ((name, kind, note), (before, after, bytes, notes)) in cases.iter().zip(results) {
        assert_eq!(png_kind(&bytes), *kind, "{name}");
        assert_eq!(before.alpha, after.alpha, "{name}: alpha");
        assert_eq!(before.pixels, after.pixels, "{name}: pixels");
        assert_eq!(after.alpha.is_some(), kind.1 >= GRAY_ALPHA, "{name}");
        assert_eq!(
            notes,
            note.map_or_else(Vec::new, |note| vec![note.to_owned()]),
            "{name}"
        );
    }
}

#[test]
fn tiff_and_webp_keep_depth_colour_and_alpha() {
    let names = [
        "gray16.tiff",
        "la8.tiff",
        "rgb8-lzw.tiff",
        "rgb16-big-endian.tiff",
        "rgba16.tiff",
        "white-is-zero.tiff",
        "lossless-alpha.webp",
    ];
    for (name, (before, after, _, _)) in names.iter().zip(unchanged(&names)) {
        assert_eq!(before.pixels, after.pixels, "{name}: pixels");
        assert_eq!(before.alpha, after.alpha, "{name}: alpha");
        assert_eq!(before.info.bit_depth, after.info.bit_depth, "{name}");
        assert_eq!(before.info.color, after.info.color, "{name}");
        assert_eq!(before.info.format, after.info.format, "{name}");
    }
}

fn largest_difference(a: &Array3<f32>, b: &Array3<f32>) -> f32 {
    assert_eq!(a.dim(), b.dim());
    a.iter()
        .zip(b)
        .fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}

#[test]
fn jpeg_of_any_kind_becomes_a_usual_jpeg() {
    let names = ["gray.jpg", "cmyk.jpg", "ycck.jpg", "progressive-420.jpg"];
    for (name, (before, after, bytes, notes)) in names.iter().zip(unchanged(&names)) {
        // Coded at quality 95; a few levels are lost in noise-like pictures.
        let difference = largest_difference(&before.pixels, &after.pixels);
        assert!(difference < 24.0 / 255.0, "{name}: {difference}");
        assert_eq!(before.info.color, after.info.color, "{name}");
        let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]);
        let components = bytes[frame.expect("a baseline frame") + 9];
        let expected = if *name == "gray.jpg" { 1 } else { 3 };
        assert_eq!(components, expected, "{name}");
        let converted = notes.iter().any(|note| note.contains("CMYK converted"));
        assert_eq!(
            converted,
            ["cmyk.jpg", "ycck.jpg"].contains(name),
            "{notes:?}"
        );
    }
}

#[test]
fn profile_exif_and_orientation_are_carried() {
    let names = [
        "profile.png",
        "profile.jpg",
        "profile.tiff",
        "profile.webp",
        "orientation6.png",
        "orientation8.tiff",
        "orientation3.webp",
        "orientation5.jpg",
    ];
    for (name, (before, after, bytes, notes)) in names.iter().zip(unchanged(&names)) {
        assert_eq!(before.info.icc_profile, after.info.icc_profile, "{name}");
        assert_eq!(notes, Vec::<String>::new(), "{name}");
        if name.starts_with("profile") {
            let profile = after.info.icc_profile.as_deref().expect("a profile");
            assert_eq!(&profile[36..40], b"acsp", "{name}");
            continue;
        }
        let exif = after.info.exif.as_deref().expect("EXIF");
        let contains = |text: &[u8]| exif.windows(text.len()).any(|part| part == text);
        assert!(contains(b"Maker") && contains(b"2023:05:12"), "{name}");
        // Upright, and saying so: a viewer that heeds the tag must not turn it again.
        let sideways = name.contains(['5', '6', '8']);
        let size = if sideways { (13, 9) } else { (9, 13) };
        assert_eq!((after.height(), after.width()), size, "{name}");
        assert_eq!(orientation(exif), 1, "{name}");
        if !name.ends_with("jpg") {
            assert_eq!(before.pixels, after.pixels, "{name}");
        }
        assert!(!bytes.is_empty());
    }
}

/// Tag 274 in the first directory of EXIF (TIFF 6.0, section 2).
fn orientation(exif: &[u8]) -> u16 {
    let little = exif.starts_with(b"II");
    let short = |at: usize| {
        let pair = [exif[at], exif[at + 1]];
        if little {
            u16::from_le_bytes(pair)
        } else {
            u16::from_be_bytes(pair)
        }
    };
    // Offsets here are far below 65536, whose half lies first or last.
    let first = usize::from(short(if little { 4 } else { 6 }));
    (0..usize::from(short(first)))
        .map(|index| first + 2 + 12 * index)
        .find(|entry| short(*entry) == 274)
        .map(|entry| short(entry + 8))
        .expect("an orientation")
}

#[test]
fn what_a_format_cannot_hold_is_said() {
    let folder = Folder::new();
    folder.golden("rgba16.png");
    folder.golden("la8.png");
    let (wide, gray, model) = (
        folder.text("rgba16.png"),
        folder.text("la8.png"),
        folder.identity(),
    );
    for (input, output, words) in [
        (
            &wide,
            "a.jpg",
            &["16 bit reduced to 8 bit", "alpha dropped"][..],
        ),
        (&wide, "a.webp", &["16 bit reduced to 8 bit"]),
        (&gray, "b.jpg", &["alpha dropped"]),
        (&gray, "b.webp", &["grey stored as RGB"]),
        (&wide, "a.tif", &[]),
    ] {
        let out = folder.text(output);
        let outcome = deblur(&[input, "-o", &out, "--checkpoint", &model]).exits(0);
        let notes = outcome
            .stderr
            .lines()
            .filter(|line| line.starts_with("note: "));
        assert_eq!(notes.count(), words.len(), "{outcome}");
        for word in words {
            assert!(outcome.stderr.contains(word), "{word}\n{outcome}");
        }
    }
    let tiff = decode(Path::new(&folder.text("a.tif")));
    assert_eq!(tiff.info.bit_depth, BitDepth::Sixteen);
    assert_eq!(tiff.pixels, decode(Path::new(&wide)).pixels);
    assert_eq!(decode(&folder.at("b.jpg")).info.color, ColorModel::Gray);
}

#[test]
fn every_size_from_one_pixel_on_keeps_its_size() {
    let folder = Folder::new();
    let sizes = [(1, 1), (1, 9), (8, 1), (3, 5), (33, 31), (130, 2)];
    let inputs: Vec<String> = sizes
        .iter()
        .map(|(width, height)| {
            let name = format!("{width}x{height}.png");
            folder.photo(&name, *width, *height);
            folder.text(&name)
        })
        .collect();
    let (out, model) = (folder.text("out"), folder.identity());
    let mut arguments: Vec<&str> = inputs.iter().map(String::as_str).collect();
    arguments.extend(["-o", &out, "--checkpoint", &model]);
    deblur(&arguments).exits(0);
    for name in folder.names("out") {
        let (before, after) = (
            decode(&folder.at(&name)),
            decode(&folder.at(&format!("out/{name}"))),
        );
        assert_eq!(before.pixels, after.pixels, "{name}");
    }
    assert_eq!(folder.names("out").len(), sizes.len());
}
