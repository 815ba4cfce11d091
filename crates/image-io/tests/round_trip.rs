//! What is written is what is read again: bit for bit where the format is lossless.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::{Path, PathBuf};

use image_io::{
    BitDepth, ColorModel, Error, Format, Limits, Photo, PhotoInfo, WriteOptions, decode, encode,
    read, write,
};
use ndarray::{Array2, Array3, Axis};
use proptest::prelude::*;

/// A photo whose values are exact levels of its bit depth, different everywhere.
fn photo(
    height: usize,
    width: usize,
    bit_depth: BitDepth,
    color: ColorModel,
    alpha: bool,
) -> Photo {
    let maximum = u32::from(bit_depth.max_value());
    let level = |number: usize| {
        let hashed = (number as u32).wrapping_mul(2_654_435_761) >> 7;
        (hashed % (maximum + 1)) as f32 / maximum as f32
    };
    let mut pixels = Array3::from_shape_fn((3, height, width), |(c, y, x)| {
        level((c * height + y) * width + x)
    });
    if color == ColorModel::Gray {
        let first = pixels.index_axis(Axis(0), 0).to_owned();
        pixels
            .outer_iter_mut()
            .for_each(|mut plane| plane.assign(&first));
    }
    let alpha = alpha
        .then(|| Array2::from_shape_fn((height, width), |(y, x)| level(7 + 3 * (y * width + x))));
    Photo {
        pixels,
        alpha,
        info: PhotoInfo {
            bit_depth,
            color,
            ..PhotoInfo::new(Format::Png)
        },
    }
}

/// EXIF as a camera writes it, in the order and layout that this crate writes too; orientation 1.
fn exif() -> Vec<u8> {
    let file = golden("directories.tiff");
    let exif = read(&file, &Limits::default()).unwrap().info.exif;
    exif.unwrap()
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/files")
        .join(name)
}

fn profile() -> Vec<u8> {
    std::fs::read(golden("../srgb.icc")).unwrap()
}

fn round_trip(photo: &Photo, format: Format) -> Photo {
    let encoded = encode(photo, format, &WriteOptions::default()).unwrap();
    decode(&encoded.bytes, &Limits::default()).unwrap()
}

#[test]
fn png_and_tiff_keep_every_bit_and_all_metadata() {
    for format in [Format::Png, Format::Tiff] {
        for bit_depth in [BitDepth::Eight, BitDepth::Sixteen] {
            for color in [ColorModel::Gray, ColorModel::Rgb] {
                for alpha in [false, true] {
                    for metadata in [false, true] {
                        let mut photo = photo(19, 31, bit_depth, color, alpha);
                        photo.info.format = format;
                        if metadata {
                            photo.info.exif = Some(exif());
                            photo.info.icc_profile = Some(profile());
                        }
                        let encoded = encode(&photo, format, &WriteOptions::default()).unwrap();
                        assert_eq!(encoded.notes, Vec::<String>::new());
                        let back = decode(&encoded.bytes, &Limits::default()).unwrap();
                        assert_eq!(
                            back, photo,
                            "{format} {bit_depth:?} {color:?} {alpha} {metadata}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn webp_keeps_eight_bit_and_says_what_it_cannot() {
    let mut original = photo(19, 31, BitDepth::Eight, ColorModel::Rgb, true);
    original.info.format = Format::Webp;
    original.info.exif = Some(exif());
    original.info.icc_profile = Some(profile());
    assert_eq!(round_trip(&original, Format::Webp), original);

    let gray = photo(5, 4, BitDepth::Sixteen, ColorModel::Gray, false);
    let encoded = encode(&gray, Format::Webp, &WriteOptions::default()).unwrap();
    assert_eq!(encoded.notes.len(), 2, "{:?}", encoded.notes);
    let back = decode(&encoded.bytes, &Limits::default()).unwrap();
    assert_eq!(
        back.pixels.index_axis(Axis(0), 0),
        back.pixels.index_axis(Axis(0), 2)
    );
    let worst = (&back.pixels - &gray.pixels)
        .mapv(f32::abs)
        .into_iter()
        .fold(0.0, f32::max);
    assert!(worst <= 0.5 / 255.0 + 1e-6, "{worst}");
}

#[test]
fn jpeg_keeps_metadata_and_grey_and_says_what_it_drops() {
    let mut rgba = photo(16, 16, BitDepth::Sixteen, ColorModel::Rgb, true);
    // Smooth, as photographs are: what JPEG is made for.
    rgba.pixels = Array3::from_shape_fn((3, 16, 16), |(c, y, x)| (c + y + 2 * x) as f32 / 50.0);
    rgba.info.exif = Some(exif());
    rgba.info.icc_profile = Some(profile());
    let encoded = encode(&rgba, Format::Jpeg, &WriteOptions::default()).unwrap();
    assert_eq!(encoded.notes.len(), 2, "{:?}", encoded.notes);
    assert!(encoded.notes.iter().any(|note| note.contains("alpha")));
    assert!(encoded.notes.iter().any(|note| note.contains("16 bit")));
    let back = decode(&encoded.bytes, &Limits::default()).unwrap();
    assert_eq!(back.info.exif, rgba.info.exif);
    assert_eq!(back.info.icc_profile, rgba.info.icc_profile);
    let worst = (&back.pixels - &rgba.pixels)
        .mapv(f32::abs)
        .into_iter()
        .fold(0.0, f32::max);
    assert!(worst < 4.0 / 255.0, "{worst}");

    let gray = photo(9, 8, BitDepth::Eight, ColorModel::Gray, false);
    assert_eq!(round_trip(&gray, Format::Jpeg).info.color, ColorModel::Gray);
}

#[test]
fn jpeg_colour_is_not_subsampled_and_quality_matters() {
    // Columns of pure red and blue: halving the chroma would mix them to purple.
    let stripes = Array3::from_shape_fn((3, 16, 16), |(c, _, x)| {
        f32::from(u8::from(c == if x % 2 == 0 { 0 } else { 2 }))
    });
    let mut original = photo(16, 16, BitDepth::Eight, ColorModel::Rgb, false);
    original.pixels = stripes;
    let sized = |jpeg_quality| {
        let options = WriteOptions {
            jpeg_quality,
            ..WriteOptions::default()
        };
        encode(&original, Format::Jpeg, &options).unwrap().bytes
    };
    let back = decode(&sized(100), &Limits::default()).unwrap();
    let worst = (&back.pixels - &original.pixels)
        .mapv(f32::abs)
        .into_iter()
        .fold(0.0, f32::max);
    assert!(worst < 0.05, "{worst}");
    assert!(sized(10).len() < sized(50).len() && sized(50).len() < sized(100).len());
    assert_eq!(sized(0), sized(1));
    assert_eq!(sized(255), sized(100));
}

#[test]
fn metadata_that_jpeg_cannot_hold_is_dropped_with_a_note() {
    let mut large = photo(4, 4, BitDepth::Eight, ColorModel::Rgb, false);
    // A thumbnail behind the fields makes EXIF too large for one segment; the fields alone fit.
    let mut with_thumbnail = exif();
    with_thumbnail.resize(70_000, 0);
    large.info.exif = Some(with_thumbnail);
    let encoded = encode(&large, Format::Jpeg, &WriteOptions::default()).unwrap();
    assert_eq!(encoded.notes.len(), 1);
    assert_eq!(
        decode(&encoded.bytes, &Limits::default())
            .unwrap()
            .info
            .exif,
        Some(exif())
    );

    large.info.exif = Some(vec![b'x'; 70_000]);
    let encoded = encode(&large, Format::Jpeg, &WriteOptions::default()).unwrap();
    assert_eq!(encoded.notes.len(), 1);
    assert_eq!(
        decode(&encoded.bytes, &Limits::default())
            .unwrap()
            .info
            .exif,
        None
    );
    // Fields that make no sense have no place in TIFF.
    let encoded = encode(&large, Format::Tiff, &WriteOptions::default()).unwrap();
    assert_eq!(encoded.notes.len(), 1);
    assert_eq!(
        decode(&encoded.bytes, &Limits::default())
            .unwrap()
            .info
            .exif,
        None
    );
}

#[test]
fn a_grey_profile_does_not_go_into_an_rgb_file() {
    let mut gray = photo(4, 4, BitDepth::Eight, ColorModel::Gray, false);
    let mut icc = profile();
    icc[16..20].copy_from_slice(b"GRAY");
    gray.info.icc_profile = Some(icc.clone());
    assert_eq!(round_trip(&gray, Format::Png).info.icc_profile, Some(icc));
    let encoded = encode(&gray, Format::Webp, &WriteOptions::default()).unwrap();
    assert!(encoded.notes.iter().any(|note| note.contains("profile")));
    assert_eq!(
        decode(&encoded.bytes, &Limits::default())
            .unwrap()
            .info
            .icc_profile,
        None
    );
}

#[test]
fn a_grey_photo_with_unequal_planes_is_written_as_luma() {
    let mut gray = photo(1, 1, BitDepth::Sixteen, ColorModel::Gray, false);
    gray.pixels = Array3::from_shape_vec((3, 1, 1), vec![1.0, 0.5, 0.0]).unwrap();
    let back = round_trip(&gray, Format::Png);
    // BT.601: 0.299 R + 0.587 G + 0.114 B
    assert!((f64::from(back.pixels[[1, 0, 0]]) - 0.5925).abs() < 1.0 / 65_535.0);
}

#[test]
fn values_round_half_up_and_clamp() {
    let mut pixel = photo(1, 6, BitDepth::Eight, ColorModel::Gray, false);
    // 2.5/255 has no exact f32; the nearest one above and the one below it must fall to either side.
    let half = (2.5_f64 / 255.0) as f32;
    let (above, below) = if f64::from(half) * 255.0 >= 2.5 {
        (half, half.next_down())
    } else {
        (half.next_up(), half)
    };
    let row = [above, below, -3.0, 7.0, 0.5, -0.0];
    pixel.pixels = Array3::from_shape_fn((3, 1, 6), |(_, _, x)| row[x]);
    let back = round_trip(&pixel, Format::Png);
    let levels: Vec<f32> = (0..6)
        .map(|x| (back.pixels[[0, 0, x]] * 255.0).round())
        .collect();
    // 0.5 * 255 = 127.5 exactly
    assert_eq!(levels, [3.0, 2.0, 0.0, 255.0, 128.0, 0.0]);
}

#[test]
fn sixteen_bit_values_round_half_up_too() {
    let mut pixel = photo(1, 2, BitDepth::Sixteen, ColorModel::Gray, false);
    // 0.5 * 65535 = 32767.5 exactly
    let row = [0.5, 0.5_f32.next_down()];
    pixel.pixels = Array3::from_shape_fn((3, 1, 2), |(_, _, x)| row[x]);
    for format in [Format::Png, Format::Tiff] {
        let back = round_trip(&pixel, format);
        let levels = [0, 1].map(|x| (back.pixels[[0, 0, x]] * 65_535.0).round());
        assert_eq!(levels, [32_768.0, 32_767.0]);
    }
}

#[test]
fn exif_in_webp_may_carry_the_prefix_of_jpeg() {
    let mut turned = exif();
    let orientation = [0x01, 0x12, 0, 3, 0, 0, 0, 1];
    let at = turned
        .windows(8)
        .position(|window| window == orientation)
        .unwrap();
    turned[at + 9] = 6;
    let mut original = photo(3, 5, BitDepth::Eight, ColorModel::Rgb, false);
    original.info.exif = Some([b"Exif\0\0", turned.as_slice()].concat());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("turned.webp");
    write(&path, &original, &WriteOptions::default()).unwrap();
    let back = read(&path, &Limits::default()).unwrap();
    assert_eq!((back.height(), back.width()), (5, 3));
    assert_eq!(back.pixels[[0, 0, 2]], original.pixels[[0, 0, 0]]);
    assert_eq!(back.info.exif, Some(exif()));
    assert_eq!(
        image_io::image_size(&path, &Limits::default()).unwrap(),
        (3, 5)
    );
}

#[test]
fn what_is_no_photo_is_refused() {
    let options = WriteOptions::default();
    let good = photo(3, 4, BitDepth::Eight, ColorModel::Rgb, true);
    for (value, plane) in [(f32::NAN, 0), (f32::INFINITY, 1), (f32::NEG_INFINITY, 2)] {
        let mut bad = good.clone();
        bad.pixels[[plane, 2, 1]] = value;
        let error = encode(&bad, Format::Png, &options).unwrap_err();
        let name = ["red", "green", "blue"][plane];
        assert!(
            matches!(error, Error::NonFinite { plane, x: 1, y: 2, .. } if plane == name),
            "{error}"
        );
    }
    let mut bad = good.clone();
    bad.alpha = Some(Array2::from_elem((3, 4), f32::NAN));
    let error = encode(&bad, Format::Tiff, &options).unwrap_err();
    assert!(
        matches!(
            error,
            Error::NonFinite {
                plane: "alpha",
                x: 0,
                y: 0,
                ..
            }
        ),
        "{error}"
    );
    bad.alpha = Some(Array2::zeros((4, 3)));
    assert!(matches!(
        encode(&bad, Format::Png, &options),
        Err(Error::Shape { .. })
    ));
    bad.alpha = None;
    bad.pixels = Array3::zeros((4, 3, 4));
    assert!(matches!(
        encode(&bad, Format::Png, &options),
        Err(Error::Shape { .. })
    ));
    bad.pixels = Array3::zeros((3, 0, 4));
    assert!(matches!(
        encode(&bad, Format::Png, &options),
        Err(Error::ZeroSize {
            width: 4,
            height: 0,
            ..
        })
    ));
    for (format, side) in [(Format::Webp, 16_384), (Format::Jpeg, 65_536)] {
        bad.pixels = Array3::zeros((3, 1, side));
        let error = encode(&bad, format, &options).unwrap_err();
        assert!(matches!(error, Error::TooLargeForFormat { .. }), "{error}");
        bad.pixels = Array3::zeros((3, 1, side - 1));
        assert_eq!(round_trip(&bad, format).width(), side - 1, "{format}");
    }
}

#[test]
fn planes_in_another_memory_order_are_written_alike() {
    let straight = photo(7, 5, BitDepth::Eight, ColorModel::Rgb, true);
    let mut strange = straight.clone();
    let reordered = strange
        .pixels
        .view()
        .permuted_axes([1, 2, 0])
        .as_standard_layout()
        .into_owned();
    strange.pixels = reordered.permuted_axes([2, 0, 1]);
    assert!(!strange.pixels.is_standard_layout());
    for format in Format::ALL {
        let one = encode(&straight, format, &WriteOptions::default()).unwrap();
        assert_eq!(
            one,
            encode(&strange, format, &WriteOptions::default()).unwrap()
        );
    }
}

#[test]
fn large_images_go_through_several_tasks_and_strips() {
    let mut large = photo(700, 431, BitDepth::Sixteen, ColorModel::Rgb, true);
    for format in [Format::Png, Format::Tiff] {
        large.info.format = format;
        assert_eq!(round_trip(&large, format), large);
    }
}

#[test]
fn a_file_keeps_its_kind_through_read_and_write() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "la16.png",
        "gray16.png",
        "rgba16.tiff",
        "gray8.png",
        "la8.tiff",
        "profile.png",
        "directories.tiff",
    ] {
        let input = read(&golden(name), &Limits::default()).unwrap();
        let output = folder.path().join(name);
        assert_eq!(
            write(&output, &input, &WriteOptions::default()).unwrap(),
            Vec::<String>::new(),
            "{name}"
        );
        assert_eq!(read(&output, &Limits::default()).unwrap(), input, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_size_survives(
        height in 1_usize..40, width in 1_usize..40, sixteen: bool, gray: bool, alpha: bool, tiff: bool,
    ) {
        let depth = if sixteen { BitDepth::Sixteen } else { BitDepth::Eight };
        let color = if gray { ColorModel::Gray } else { ColorModel::Rgb };
        let mut original = photo(height, width, depth, color, alpha);
        original.info.format = if tiff { Format::Tiff } else { Format::Png };
        prop_assert_eq!(&round_trip(&original, original.info.format), &original);
    }
}
