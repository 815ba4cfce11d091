//! Files that are broken, mislabelled or malicious: an error that says so, never a panic, never much memory.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::{Path, PathBuf};

use image_io::{Error, Format, Limits, decode, image_size, is_supported, read};
use proptest::prelude::*;

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/files")
}

fn decode_error(bytes: &[u8]) -> Error {
    match decode(bytes, &Limits::default()) {
        Ok(photo) => panic!("decoded to {:?}", photo.pixels.dim()),
        Err(error) => error,
    }
}

/// Reads and measures the bytes as a file of that name; both must fail in the same way.
fn file_error(name: &str, bytes: &[u8]) -> Error {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let error = read(&path, &Limits::default()).unwrap_err();
    let sized = image_size(&path, &Limits::default()).unwrap_err();
    assert_eq!(
        std::mem::discriminant(&error),
        std::mem::discriminant(&sized),
        "{error} / {sized}"
    );
    assert_eq!(error.path(), path);
    let line = error.to_string();
    assert!(
        line.starts_with(&path.display().to_string()) && !line.contains('\n'),
        "{line}"
    );
    error
}

fn crc(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

/// A valid PNG whose header says another size.
fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = golden("rgb16.png");
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = crc(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn jpeg_claiming(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = golden("baseline-444.jpg");
    let frame = bytes
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

fn tiff_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = golden("directories.tiff");
    for (tag, side) in [(256_u16, width), (257, height)] {
        let entry = [tag.to_be_bytes().as_slice(), &[0, 4, 0, 0, 0, 1]].concat();
        let at = bytes.windows(8).position(|window| window == entry).unwrap();
        bytes[at + 8..at + 12].copy_from_slice(&side.to_be_bytes());
    }
    bytes
}

fn webp_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0".to_vec();
    bytes.extend(&(width - 1).to_le_bytes()[..3]);
    bytes.extend(&(height - 1).to_le_bytes()[..3]);
    bytes.resize(34, 0);
    bytes
}

#[test]
fn huge_claims_are_refused_by_their_size() {
    for (name, bytes, size) in [
        ("a.png", png_claiming(100_000, 100_000), (100_000, 100_000)),
        ("b.png", png_claiming(u32::MAX >> 1, 1), (u32::MAX >> 1, 1)),
        ("c.jpg", jpeg_claiming(65_535, 65_535), (65_535, 65_535)),
        (
            "d.tiff",
            tiff_claiming(100_000, 100_000),
            (100_000, 100_000),
        ),
        (
            "e.tiff",
            tiff_claiming(u32::MAX, u32::MAX),
            (u32::MAX, u32::MAX),
        ),
        ("f.webp", webp_claiming(1 << 24, 255), (1 << 24, 255)),
    ] {
        let error = file_error(name, &bytes);
        assert!(
            matches!(error, Error::TooLarge { width, height, limit: 268_435_456, .. } if (width, height) == size),
            "{name}: {error}"
        );
        assert!(error.hint().is_some());
    }
}

#[test]
fn images_without_pixels_are_refused() {
    for (name, bytes) in [
        ("a.png", png_claiming(0, 7)),
        ("b.png", png_claiming(7, 0)),
        ("c.jpg", jpeg_claiming(0, 7)),
        ("d.jpg", jpeg_claiming(7, 0)),
        ("e.tiff", tiff_claiming(0, 7)),
        ("f.tiff", tiff_claiming(7, 0)),
    ] {
        let error = file_error(name, &bytes);
        assert!(matches!(error, Error::ZeroSize { .. }), "{name}: {error}");
    }
}

#[test]
fn limits_count() {
    // 37 x 22 pixels, 16 bit RGB
    let bytes = golden("rgb16.png");
    let limits = |max_pixels, max_alloc| Limits {
        max_pixels,
        max_alloc,
    };
    assert!(decode(&bytes, &limits(37 * 22, 1 << 20)).is_ok());
    let error = decode(&bytes, &limits(37 * 22 - 1, 1 << 20)).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                width: 37,
                height: 22,
                limit: 813,
                ..
            }
        ),
        "{error}"
    );
    for name in [
        "rgb16.png",
        "baseline-444.jpg",
        "rgb8.tiff",
        "lossless.webp",
    ] {
        let error = decode(&golden(name), &limits(1 << 20, 2000)).unwrap_err();
        assert!(
            matches!(error, Error::TooMuchMemory { limit: 2000, .. }),
            "{name}: {error}"
        );
        let path = folder().join(name);
        let small = limits(1 << 20, 500);
        for error in [
            read(&path, &small).unwrap_err(),
            image_size(&path, &small).unwrap_err(),
        ] {
            assert!(
                matches!(error, Error::TooMuchMemory { limit: 500, .. }),
                "{name}: {error}"
            );
        }
    }
}

#[test]
fn every_truncation_is_an_error() {
    for name in [
        "baseline-444.jpg",
        "progressive-420.jpg",
        "restart.jpg",
        "rgb16.png",
        "palette.png",
        "rgb8.tiff",
        "rgb16-deflate.tiff",
        "lossy.webp",
        "lossless-alpha.webp",
        "animated.webp",
    ] {
        let bytes = golden(name);
        // What may be missing without a pixel being lost: PNG ends in a checksum and an end marker of 12 bytes, Deflate
        // in a checksum.
        let end = match name {
            "rgb16-deflate.tiff" => bytes.len() - 4,
            _ if name.ends_with(".png") => bytes.len() - 16,
            _ => bytes.len(),
        };
        for length in 0..end {
            let Err(error) = decode(&bytes[..length], &Limits::default()) else {
                panic!(
                    "{name} of {} bytes, cut to {length}, was decoded",
                    bytes.len()
                );
            };
            match length {
                0 => assert!(matches!(error, Error::Empty { .. }), "{error}"),
                1..12 => {}
                _ => assert!(
                    matches!(error, Error::Truncated { .. } | Error::Decode { .. }),
                    "{name} cut to {length}: {error}"
                ),
            }
        }
        let half = decode_error(&bytes[..bytes.len() / 2]);
        assert!(
            matches!(half, Error::Truncated { .. }) || name.ends_with(".tiff"),
            "{name}: {half}"
        );
        assert!(half.hint().is_some());
    }
}

#[test]
fn a_chunk_of_webp_ends_inside_the_file() {
    // Of a photo, of metadata behind it, of the colour profile before it, and of a frame and what is in it.
    for (name, kind) in [
        ("lossy.webp", b"VP8 "),
        ("lossless.webp", b"VP8L"),
        ("lossy-alpha.webp", b"ALPH"),
        ("orientation6.webp", b"EXIF"),
        ("profile.webp", b"ICCP"),
        ("animated.webp", b"ANMF"),
        ("animated.webp", b"VP8L"),
    ] {
        let good = golden(name);
        let Some(at) = good.windows(4).position(|window| window == kind) else {
            panic!("{name} has no such chunk");
        };
        let mut bytes = good.clone();
        bytes[at + 4..at + 8].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
        let error = file_error("photo.webp", &bytes);
        assert!(matches!(error, Error::Truncated { .. }), "{name}: {error}");
        // What follows the container belongs to nobody.
        let mut longer = good;
        longer.extend(b"trailing bytes");
        assert!(decode(&longer, &Limits::default()).is_ok(), "{name}");
    }
}

#[test]
fn files_of_other_kinds_are_named() {
    for (bytes, words) in [
        (b"Dear Sir,\nplease find attached".as_slice(), "text"),
        ("Grüße".as_bytes(), "text"),
        (b"GIF89a\x01\0\x01\0", "GIF"),
        (b"BM\0\0\0\0", "BMP"),
        (b"\0\0\0\x1cftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
        (b"\0\x01\x02\x03\xff\xfe\xfd", "not an image"),
    ] {
        let error = file_error("photo.png", bytes);
        assert!(
            matches!(&error, Error::Unsupported { what, .. } if what.contains(words)),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("PNG"));
    }
    let error = file_error("photo.png", b"");
    assert!(matches!(error, Error::Empty { .. }), "{error}");
}

#[test]
fn camera_raw_is_not_taken_for_its_thumbnail() {
    let error = file_error("photo.NEF", &golden("rgb8.tiff"));
    assert!(
        matches!(&error, Error::Unsupported { what, .. } if what.contains("raw")),
        "{error}"
    );
    // DNGVersion in place of the camera maker
    let mut bytes = golden("directories.tiff");
    let maker = bytes
        .windows(4)
        .position(|window| window == [1, 15, 0, 2])
        .unwrap();
    bytes[maker..maker + 2].copy_from_slice(&50_706_u16.to_be_bytes());
    bytes[maker + 2..maker + 8].copy_from_slice(&[0, 3, 0, 0, 0, 1]);
    let error = decode_error(&bytes);
    assert!(
        matches!(&error, Error::Unsupported { what, .. } if what.contains("raw")),
        "{error}"
    );
}

#[test]
fn variants_that_are_not_decoded_say_so() {
    let mut arithmetic = golden("baseline-444.jpg");
    let frame = arithmetic
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    arithmetic[frame + 1] = 0xc9;
    let mut twelve_bit = golden("baseline-444.jpg");
    twelve_bit[frame + 4] = 12;
    let mut palette = golden("directories.tiff");
    let photometric = palette
        .windows(8)
        .position(|window| window == [1, 6, 0, 3, 0, 0, 0, 1])
        .unwrap();
    palette[photometric + 9] = 3;
    for (bytes, words) in [
        (arithmetic, "arithmetic"),
        (twelve_bit, "8 bits"),
        (palette, "palette"),
    ] {
        let error = decode_error(&bytes);
        assert!(
            matches!(&error, Error::Unsupported { what, .. } if what.contains(words)),
            "{error}"
        );
    }
}

#[test]
fn the_content_decides_and_a_wrong_name_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content, format) in [
        ("a.png", "baseline-444.jpg", Format::Jpeg),
        ("b.jpg", "rgb16.png", Format::Png),
        ("c.webp", "rgb8.tiff", Format::Tiff),
        ("d.tif", "lossy.webp", Format::Webp),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, golden(content)).unwrap();
        let photo = read(&path, &Limits::default()).unwrap();
        assert_eq!(photo.info.format, format);
        assert_eq!(photo.info.notes.len(), 1, "{:?}", photo.info.notes);
        assert_eq!(image_size(&path, &Limits::default()).unwrap(), (37, 22));
    }
    // No extension says nothing that could be wrong.
    let path = folder.path().join("photo");
    std::fs::write(&path, golden("rgb16.png")).unwrap();
    assert!(
        read(&path, &Limits::default())
            .unwrap()
            .info
            .notes
            .is_empty()
    );
}

#[test]
fn what_is_no_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits::default();
    let missing = folder.path().join("missing.png");
    assert!(matches!(read(&missing, &limits), Err(Error::NotFound { path }) if path == missing));
    assert!(matches!(
        image_size(&missing, &limits),
        Err(Error::NotFound { .. })
    ));
    assert!(matches!(
        read(folder.path(), &limits),
        Err(Error::NotAFile { .. })
    ));
    #[cfg(unix)]
    assert!(matches!(
        read(Path::new("/dev/null"), &limits),
        Err(Error::NotAFile { .. })
    ));
    // A path through a file
    let file = folder.path().join("file.png");
    std::fs::write(&file, golden("rgb16.png")).unwrap();
    assert!(read(&file.join("x.png"), &limits).is_err());
}

#[test]
fn names_are_judged_by_their_extension() {
    for name in [
        "a.png", "a.JPG", "b/c.jpeg", "a.tif", "a.TIFF", "x.y.webp", "a.jfif",
    ] {
        assert!(is_supported(Path::new(name)), "{name}");
    }
    for name in ["a.gif", "png", ".png", "a.png.txt", "", "a.", "a.dng"] {
        assert!(!is_supported(Path::new(name)), "{name}");
    }
}

/// Decoding must end in a photo or an error. The limits keep mutated headers from making the test slow.
fn must_not_panic(bytes: &[u8]) {
    let limits = Limits {
        max_pixels: 1 << 20,
        max_alloc: 1 << 26,
    };
    if let Ok(photo) = decode(bytes, &limits) {
        let (planes, height, width) = photo.pixels.dim();
        assert!(planes == 3 && height > 0 && width > 0);
        assert!(photo.pixels.iter().all(|value| (0.0..=1.0).contains(value)));
    }
}

fn any_golden() -> impl Strategy<Value = Vec<u8>> {
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    proptest::sample::select(names).prop_map(|path| std::fs::read(path).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_never_panic(
        bytes in any_golden(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let mut bytes = bytes;
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        must_not_panic(&bytes);
    }

    #[test]
    fn mutated_headers_never_panic(
        bytes in any_golden(),
        changes in proptest::collection::vec((0_usize..160, any::<u8>()), 1..5),
    ) {
        let mut bytes = bytes;
        for (at, value) in changes {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        must_not_panic(&bytes);
    }

    #[test]
    fn random_bytes_behind_a_magic_number_never_panic(
        magic in proptest::sample::select(vec![
            b"\x89PNG\r\n\x1a\n".as_slice(), &[0xff, 0xd8, 0xff], b"II\x2a\0\x08\0\0\0", b"MM\0\x2b", b"RIFF\x40\0\0\0WEBPVP8L", b"",
        ]),
        tail in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        must_not_panic(&[magic, &tail].concat());
    }
}
