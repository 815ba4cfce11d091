//! Decoding against Pillow and tifffile: the files and the expected samples come from `golden/gen.py`.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::PathBuf;

use image_io::{BitDepth, ColorModel, Format, Limits, Photo, decode, image_size, read};
use safetensors::{Dtype, SafeTensors};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The samples of the photo as `[H, W, C]` in units of the stored integers, for `channels` channels.
fn samples(photo: &Photo, channels: usize) -> Vec<f64> {
    let scale = f64::from(photo.info.bit_depth.max_value());
    let colors = if channels >= 3 { 3 } else { 1 };
    let mut values = Vec::new();
    for y in 0..photo.height() {
        for x in 0..photo.width() {
            for color in 0..colors {
                values.push(f64::from(photo.pixels[[color, y, x]]) * scale);
            }
            if channels.is_multiple_of(2) {
                let alpha = photo.alpha.as_ref().expect("alpha");
                values.push(f64::from(alpha[[y, x]]) * scale);
            }
        }
    }
    values
}

/// Largest difference from the reference, in stored levels, that a file may show.
fn tolerance(name: &str) -> f64 {
    match name {
        // Inverse DCT and colour conversion are integer approximations that differ between decoders (ITU T.83 allows it).
        "baseline-420.jpg" | "progressive-420.jpg" => 4.0,
        "ycck.jpg" => 3.0,
        _ if name.ends_with(".jpg") => 2.0,
        // The bitstream decodes exactly; colour conversion is left to the decoder.
        "lossy.webp" | "lossy-alpha.webp" => 1.0,
        // Pillow rounds (1 - C) (1 - K) through an approximate division by 255.
        "cmyk.tiff" => 1.0,
        // Colour and alpha are rounded by up to 1/2 of 65535 levels each, then divided by alpha >= 1/4.
        "premultiplied.tiff" => 4.0,
        _ => 0.0,
    }
}

#[test]
fn every_file_decodes_to_what_the_reference_says() {
    let bytes = std::fs::read(folder().join("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let mut checked = 0;
    let mut failures = Vec::new();
    for (name, tensor) in expected.tensors() {
        let path = folder().join("files").join(&name);
        let photo = read(&path, &Limits::default()).unwrap();
        let [height, width, channels] = tensor.shape() else {
            panic!("{name}: reference of shape {:?}", tensor.shape());
        };
        let wanted: Vec<f64> = match tensor.dtype() {
            Dtype::U8 => tensor.data().iter().copied().map(f64::from).collect(),
            Dtype::U16 => tensor
                .data()
                .chunks_exact(2)
                .map(|pair| f64::from(u16::from_le_bytes([pair[0], pair[1]])))
                .collect(),
            other => panic!("{name}: reference of type {other:?}"),
        };
        let wide = tensor.dtype() == Dtype::U16;
        let depth = if wide {
            BitDepth::Sixteen
        } else {
            BitDepth::Eight
        };
        assert_eq!(photo.info.bit_depth, depth, "{name}");
        assert_eq!((photo.height(), photo.width()), (*height, *width), "{name}");
        assert_eq!(photo.alpha.is_some(), channels % 2 == 0, "{name}");
        let gray = photo.info.color == ColorModel::Gray;
        assert_eq!(gray, *channels < 3, "{name}");
        assert_eq!(Some(photo.info.format), Format::from_path(&path), "{name}");
        let size = image_size(&path, &Limits::default()).unwrap();
        assert_eq!(size, (*width as u32, *height as u32), "{name}");
        let in_memory = decode(&std::fs::read(&path).unwrap(), &Limits::default()).unwrap();
        assert_eq!(in_memory, photo, "{name}");

        let found = samples(&photo, *channels);
        let worst = found
            .iter()
            .zip(&wanted)
            .map(|(found, wanted)| (found - wanted).abs())
            .fold(0.0, f64::max);
        println!("{name}: {worst:.3}");
        // f32 holds 24 bits: multiplied back to 16 bits, less than 1/100 of a level is lost.
        if worst > tolerance(&name) + 0.01 {
            failures.push(format!("{name}: off by {worst}"));
        }
        checked += 1;
    }
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(
        checked,
        std::fs::read_dir(folder().join("files")).unwrap().count()
    );
}

fn notes(name: &str) -> Vec<String> {
    let path = folder().join("files").join(name);
    read(&path, &Limits::default()).unwrap().info.notes
}

#[test]
fn conversions_are_noted_and_plain_files_have_no_notes() {
    for (name, wanted) in [
        ("cmyk.jpg", "CMYK"),
        ("ycck.jpg", "CMYK"),
        ("cmyk.tiff", "CMYK"),
        ("palette.png", "palette"),
        ("palette-alpha.png", "palette"),
        ("gray1.png", "1-bit"),
        ("gray4.png", "4-bit"),
        ("gray1.tiff", "1-bit"),
        ("animated.png", "animation"),
        ("animated.webp", "animation"),
        ("pages.tiff", "several pages"),
        ("premultiplied.tiff", "premultiplied"),
        ("float32.tiff", "floating point"),
        ("linear-gamma.png", "gamma 1.0000"),
        ("bigtiff.tiff", "BigTIFF"),
        ("rgb-and-depth.tiff", "channels besides"),
    ] {
        let notes = notes(name);
        assert_eq!(notes.len(), 1, "{name}: {notes:?}");
        assert!(notes[0].contains(wanted), "{name}: {notes:?}");
    }
    for name in [
        "rgb16.png",
        "gray8.png",
        "la16.png",
        "baseline-420.jpg",
        "rgba16.tiff",
        "lossy.webp",
        "orientation6.jpg",
        "profile.tiff",
        "white-is-zero.tiff",
        "planar.tiff",
    ] {
        assert_eq!(notes(name), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn profiles_are_carried_byte_for_byte() {
    let profile = std::fs::read(folder().join("srgb.icc")).unwrap();
    for name in ["profile.png", "profile.jpg", "profile.webp", "profile.tiff"] {
        let photo = read(&folder().join("files").join(name), &Limits::default()).unwrap();
        assert_eq!(photo.info.icc_profile.as_ref(), Some(&profile), "{name}");
    }
}

#[test]
fn the_carried_exif_says_upright_and_keeps_the_other_fields() {
    let mut names = vec!["directories.tiff".to_owned()];
    for orientation in 1..=8 {
        names.extend(
            ["png", "jpg", "webp", "tiff"].map(|kind| format!("orientation{orientation}.{kind}")),
        );
    }
    for name in names {
        let photo = read(&folder().join("files").join(&name), &Limits::default()).unwrap();
        let exif = photo.info.exif.unwrap();
        let has = |text: &[u8]| exif.windows(text.len()).any(|window| window == text);
        let found = image::metadata::Orientation::from_exif_chunk(&exif);
        assert_eq!(
            found,
            Some(image::metadata::Orientation::NoTransforms),
            "{name}"
        );
        assert!(has(b"Maker\0") && has(b"2023:05:12 10:11:12\0"), "{name}");
        // Pillow writes no directories for camera and position into TIFF.
        if !name.starts_with("orientation") || !name.ends_with(".tiff") {
            let exposure = [
                [1_u32, 250].map(u32::to_le_bytes),
                [1, 250].map(u32::to_be_bytes),
            ];
            assert!(exposure.iter().any(|bytes| has(&bytes.concat())), "{name}");
            assert!(has(b"N\0"), "{name}");
        }
    }
}
