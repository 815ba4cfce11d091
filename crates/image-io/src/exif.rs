//! EXIF as a TIFF structure: into and out of TIFF files, whose own directory holds the same fields.

use image::metadata::Orientation;

use crate::tiff_fields::{Directory, Endian, Field, append_directory, directory_size, read_header};

const ORIENTATION: u16 = 0x0112;
const EXIF_DIRECTORY: u16 = 0x8769;
const GPS_DIRECTORY: u16 = 0x8825;
const INTEROPERABILITY_DIRECTORY: u16 = 0xa005;

/// The fields of an EXIF structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exif {
    pub(crate) endian: Endian,
    pub(crate) main: Vec<Field>,
    camera: Vec<Field>,
    position: Vec<Field>,
    interoperability: Vec<Field>,
    /// Whether there was a thumbnail; it is not kept here, since it shows another picture than a restored photo.
    pub(crate) thumbnail: bool,
}

impl Exif {
    /// Reads those fields that say something about the photo, from EXIF bytes or from a whole TIFF file.
    ///
    /// Left out: fields that say how a TIFF file stores its samples, and other metadata (ICC, XMP, IPTC).
    /// `None` when this is no classic TIFF structure, or has no such fields.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (endian, offset) = read_header(bytes)?;
        let directory = Directory::read(bytes, endian, offset)?;
        let child = |fields: &[Field], tag: u16| -> Vec<Field> {
            let pointer = fields.iter().find(|field| field.tag == tag);
            pointer
                .and_then(|field| Directory::read(bytes, endian, field.number(endian)?))
                .map(|directory| directory.fields)
                .unwrap_or_default()
        };
        let mut exif = Self {
            endian,
            camera: child(&directory.fields, EXIF_DIRECTORY),
            position: child(&directory.fields, GPS_DIRECTORY),
            interoperability: Vec::new(),
            thumbnail: directory.next != 0,
            main: directory.fields,
        };
        exif.interoperability = child(&exif.camera, INTEROPERABILITY_DIRECTORY);
        exif.main.retain(|field| describes_photo(field.tag));
        exif.camera
            .retain(|field| field.tag != INTEROPERABILITY_DIRECTORY);
        let empty = exif.main.is_empty() && exif.camera.is_empty() && exif.position.is_empty();
        (!empty).then_some(exif)
    }

    /// Says that the pixels are upright, if the fields say anything about orientation.
    pub(crate) fn set_upright(&mut self) {
        for field in &mut self.main {
            if field.tag == ORIENTATION {
                *field = Field::shorts(self.endian, ORIENTATION, &[1]);
            }
        }
    }

    /// As EXIF bytes. `None` beyond 4 GiB.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut out = self.endian.header(8).to_vec();
        self.append_to(&mut out, Vec::new())?;
        Some(out)
    }

    /// Appends all directories to `out`, whose length must be even, the main one first and together with the fields of
    /// `image`. `None` beyond 4 GiB.
    pub(crate) fn append_to(&self, out: &mut Vec<u8>, image: Vec<Field>) -> Option<()> {
        let pointer = |tag, at: usize| -> Option<Field> {
            let at = u32::try_from(at).ok()?;
            Some(Field::longs(self.endian, tag, &[at]))
        };
        // A pointer takes its place in a directory, whatever it points to: sizes first, with 0 as the offset.
        let mut main = self.main.clone();
        main.extend(image);
        let mut camera = self.camera.clone();
        let mut sizes = [0; 3];
        if !self.interoperability.is_empty() {
            camera.push(pointer(INTEROPERABILITY_DIRECTORY, 0)?);
            sizes[1] = directory_size(&self.interoperability);
        }
        if !camera.is_empty() {
            main.push(pointer(EXIF_DIRECTORY, 0)?);
            sizes[0] = directory_size(&camera);
        }
        if !self.position.is_empty() {
            main.push(pointer(GPS_DIRECTORY, 0)?);
            sizes[2] = directory_size(&self.position);
        }
        let camera_at = out.len() + directory_size(&main);
        let interoperability_at = camera_at + sizes[0];
        let position_at = interoperability_at + sizes[1];
        for field in main.iter_mut().chain(&mut camera) {
            match field.tag {
                EXIF_DIRECTORY => *field = pointer(EXIF_DIRECTORY, camera_at)?,
                GPS_DIRECTORY => *field = pointer(GPS_DIRECTORY, position_at)?,
                INTEROPERABILITY_DIRECTORY => {
                    *field = pointer(INTEROPERABILITY_DIRECTORY, interoperability_at)?;
                }
                _ => {}
            }
        }
        for mut fields in [
            main,
            camera,
            self.interoperability.clone(),
            self.position.clone(),
        ] {
            if !fields.is_empty() {
                fields.sort_by_key(|field| field.tag);
                append_directory(out, self.endian, &fields)?;
            }
        }
        Some(())
    }
}

/// Fields of a first directory that belong to the photo and not to the way a file stores it (EXIF 2.32, tables 3 to 5;
/// TIFF 6.0, section 8; and what Windows Explorer writes).
fn describes_photo(tag: u16) -> bool {
    matches!(
        tag,
        // DocumentName, ImageDescription, Make, Model, Orientation
        269..=272 | ORIENTATION
        // XResolution, YResolution, PageName, ResolutionUnit, TransferFunction
        | 282 | 283 | 285 | 296 | 301
        // Software, DateTime, Artist, HostComputer, WhitePoint, PrimaryChromaticities
        | 305 | 306 | 315 | 316 | 318 | 319
        // Rating, RatingPercent, Copyright, title to subject by Windows
        | 18_246 | 18_249 | 33_432 | 40_091..=40_095
    )
}

/// Sets the orientation in EXIF bytes to 1, in place. Returns what it was, and whether the thumbnail directory was cut
/// off: its picture is stored the way the sensor was held, and would be shown lying on its side when the photo around it
/// is upright.
pub(crate) fn make_upright(exif: &mut [u8]) -> (Orientation, bool) {
    let orientation =
        Orientation::remove_from_exif_chunk(exif).unwrap_or(Orientation::NoTransforms);
    if orientation == Orientation::NoTransforms {
        return (orientation, false);
    }
    let pointer = || -> Option<std::ops::Range<usize>> {
        let (endian, offset) = read_header(exif)?;
        let offset = offset as usize;
        let next = offset + 2 + 12 * usize::from(endian.read_16(exif, offset)?);
        (endian.read_32(exif, next)? != 0).then_some(next..next + 4)
    };
    let Some(pointer) = pointer() else {
        return (orientation, false);
    };
    exif[pointer].fill(0);
    (orientation, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(endian: Endian) -> Exif {
        Exif {
            endian,
            main: vec![
                Field::undefined(271, b"Maker\0"),
                Field::shorts(endian, ORIENTATION, &[6]),
            ],
            camera: vec![
                Field::undefined(0x9000, b"0232"),
                Field::longs(endian, 0xa002, &[640]),
            ],
            position: vec![Field::undefined(29, b"2024:01:01\0")],
            interoperability: vec![Field::undefined(1, b"R98\0")],
            thumbnail: false,
        }
    }

    #[test]
    fn all_directories_survive_and_the_bytes_are_canonical() {
        for endian in [Endian::Little, Endian::Big] {
            let exif = sample(endian);
            let bytes = exif.to_bytes().unwrap();
            let parsed = Exif::parse(&bytes).unwrap();
            assert_eq!(parsed, exif);
            assert_eq!(parsed.to_bytes().unwrap(), bytes);
        }
    }

    #[test]
    fn make_upright_sets_one_and_cuts_the_thumbnail_of_a_turned_photo() {
        for endian in [Endian::Little, Endian::Big] {
            let mut bytes = sample(endian).to_bytes().unwrap();
            // The pointer to a thumbnail directory stands behind the four entries of the first one.
            let next = 8 + 2 + 12 * 4;
            bytes[next..next + 4].copy_from_slice(&endian.bytes_32(26));
            let mut turned = bytes.clone();
            assert_eq!(make_upright(&mut turned), (Orientation::Rotate90, true));
            assert_eq!(turned[next..next + 4], [0; 4]);
            assert_eq!(
                Orientation::from_exif_chunk(&turned),
                Some(Orientation::NoTransforms)
            );
            // Upright already: nothing changes.
            let at = bytes
                .windows(2)
                .position(|pair| pair == endian.bytes_16(ORIENTATION));
            let value = at.unwrap() + 8;
            bytes[value..value + 2].copy_from_slice(&endian.bytes_16(1));
            let before = bytes.clone();
            assert_eq!(make_upright(&mut bytes), (Orientation::NoTransforms, false));
            assert_eq!(bytes, before);
        }
    }
}
