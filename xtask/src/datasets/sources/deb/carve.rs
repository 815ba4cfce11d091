//! Pictures inside container files: found by their first bytes, in the order in which they lie there.
//!
//! The containers (Eet files of Enlightenment, resource files of Qt) store JPEG and WebP pictures unchanged. Their
//! tables of contents are not needed to find them, and differ between versions; the number of a picture in its file does
//! not change as long as the file does not, and every package has a fixed hash.

use std::ops::Range;

/// More pictures than any container that is used holds.
const MOST_PICTURES: usize = 4096;

/// Where the pictures lie in `container`: complete JPEG and WebP files, none inside another.
pub(super) fn pictures(container: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < container.len() && found.len() < MOST_PICTURES {
        let rest = &container[at..];
        let length = match rest[0] {
            0xff => jpeg_length(rest),
            b'R' => webp_length(rest),
            _ => None,
        };
        match length {
            Some(length) => {
                found.push(at..at + length);
                at += length;
            }
            None => at += 1,
        }
    }
    found
}

/// The length of the WebP file that `bytes` begin with (RFC 9649, section 2.4).
fn webp_length(bytes: &[u8]) -> Option<usize> {
    if bytes.get(..4)? != b"RIFF" || bytes.get(8..12)? != b"WEBP" {
        return None;
    }
    let size = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
    // The size counts what follows it, and is even; `WEBP` and one chunk header are the least there is.
    let length = usize::try_from(size).ok()?.checked_add(8)?;
    (size >= 12 && size % 2 == 0 && length <= bytes.len()).then_some(length)
}

/// The length of the JPEG file that `bytes` begin with (ITU-T T.81, annex B), if it has a picture in it.
///
/// Segments are followed by their lengths, so that a thumbnail inside of one does not end the picture.
fn jpeg_length(bytes: &[u8]) -> Option<usize> {
    if bytes.get(..3)? != [0xff, 0xd8, 0xff] {
        return None;
    }
    let mut has_scan = false;
    let mut at = 2;
    loop {
        if *bytes.get(at)? != 0xff {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        match marker {
            // Fill bytes.
            0xff => at += 1,
            // End of image.
            0xd9 => return has_scan.then_some(at + 2),
            // Restart markers and TEM stand alone.
            0x01 | 0xd0..=0xd7 => at += 2,
            0x00 | 0xd8 => return None,
            _ => {
                let length = bytes.get(at + 2..at + 4)?;
                let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
                if length < 2 {
                    return None;
                }
                at += 2 + length;
                if marker == 0xda {
                    has_scan = true;
                    at = scan_end(bytes, at)?;
                }
            }
        }
    }
}

/// Where the entropy-coded data that begin at `at` end: at the first marker that is neither stuffing nor a restart.
fn scan_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        match *bytes.get(at + 1)? {
            0x00 | 0xd0..=0xd7 => at += 2,
            _ => return Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_io::{Format, Limits, Photo, PhotoInfo, WriteOptions};
    use proptest::prelude::*;

    fn picture(format: Format, side: usize) -> Vec<u8> {
        let pixels = ndarray::Array3::from_shape_fn((3, side, side), |(channel, y, x)| {
            ((channel + 3 * y + 7 * x) % 17) as f32 / 16.0
        });
        let photo = Photo {
            pixels,
            alpha: None,
            info: PhotoInfo::new(format),
        };
        let encoded = image_io::encode(&photo, format, &WriteOptions::default());
        encoded.unwrap().bytes
    }

    fn whole(file: &[u8]) -> Range<usize> {
        0..file.len()
    }

    #[test]
    fn pictures_are_cut_out_whole_and_in_order() {
        let jpeg = picture(Format::Jpeg, 40);
        let webp = picture(Format::Webp, 24);
        let mut container = b"\xffhead\xff\xd8\xffRIFF".to_vec();
        let mut expected = Vec::new();
        for file in [&jpeg, &webp, &jpeg] {
            container.extend(b"name RIFF \xff\xd8");
            expected.push(container.len()..container.len() + file.len());
            container.extend(file);
        }
        container.extend(b"end");
        let found = pictures(&container);
        assert_eq!(found, expected);
        for range in found {
            image_io::decode(&container[range], &Limits::default()).unwrap();
        }
    }

    #[test]
    fn a_thumbnail_is_part_of_its_picture() {
        let outer = picture(Format::Jpeg, 40);
        let thumbnail = picture(Format::Jpeg, 8);
        let mut file = outer[..2].to_vec();
        file.extend([0xff, 0xe1]);
        file.extend(((thumbnail.len() + 2) as u16).to_be_bytes());
        file.extend(&thumbnail);
        file.extend(&outer[2..]);
        assert_eq!(pictures(&file), vec![whole(&file)]);
    }

    #[test]
    fn what_is_cut_off_is_no_picture() {
        for format in [Format::Jpeg, Format::Webp] {
            let file = picture(format, 20);
            for length in 0..file.len() {
                assert!(pictures(&file[..length]).is_empty(), "{format} {length}");
            }
            assert_eq!(pictures(&file), vec![whole(&file)]);
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_or_lie_outside(
            bytes in prop::collection::vec(
                prop::sample::select(vec![0_u8, 1, 2, 8, 0xff, 0xd8, 0xd9, 0xda, 0xe0, b'R', b'I', b'F', b'W', b'E', b'B', b'P']),
                0..400,
            ),
        ) {
            let mut end = 0;
            for range in pictures(&bytes) {
                prop_assert!(range.start >= end && range.end <= bytes.len() && !range.is_empty());
                end = range.end;
            }
        }
    }
}
