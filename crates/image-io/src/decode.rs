//! Reading: bytes or a file to a [`Photo`].

use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use image::ImageDecoder;
use image::codecs::{jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder};
use image::metadata::Orientation;

use crate::context::Context;
use crate::decode_tiff::Tiff;
use crate::error::{IN_MEMORY, Result};
use crate::exif::make_upright;
use crate::format::Format;
use crate::header::{claimed_size, webp_is_truncated};
use crate::inspect::Inspection;
use crate::limits::Limits;
use crate::orientation;
use crate::photo::{BitDepth, ColorModel, Photo, PhotoInfo};
use crate::samples::{Channel, Planes, Sample, divide_by_alpha, to_planes};
use crate::source::{load, open_within, read_error, recognise};

/// Most bytes that the PNG decoder may take for metadata (which may be compressed) and rows in the making.
const MAX_WORKING_BYTES: u64 = 256 << 20;

/// Reads a photo from a file.
///
/// The format is that of the content; a name that says something else earns a note. EXIF orientation is applied to the
/// pixels and set to 1 in [`PhotoInfo::exif`]. Of animations and multi-page files the first picture is read, with a note.
///
/// # Errors
/// Any of [`Error`](crate::Error)'s reading variants; nothing that a file contains makes this panic or take more memory than `limits` allow.
pub fn read(path: &Path, limits: &Limits) -> Result<Photo> {
    let (bytes, format) = load(path, limits)?;
    let mut photo = Context { path, limits }.decode(&bytes, format)?;
    if let Some(named) = Format::from_path(path).filter(|named| *named != format) {
        let note = format!("named like {named}, but holds {format} data");
        photo.info.notes.push(note);
    }
    Ok(photo)
}

/// Reads a photo from the bytes of a file. Like [`read`]; errors carry the path [`IN_MEMORY`].
///
/// # Errors
/// As [`read`], without those of the file system.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Photo> {
    let path = Path::new(IN_MEMORY);
    let format = recognise(bytes, path)?;
    Context { path, limits }.decode(bytes, format)
}

/// Width and height in pixels of the upright photo (EXIF orientation applied), without decoding it.
///
/// # Errors
/// As [`read`], as far as the header shows them.
pub fn image_size(path: &Path, limits: &Limits) -> Result<(u32, u32)> {
    let context = Context { path, limits };
    // The decoder of JPEG reads the whole file.
    let (file, format, length) = open_within(path, limits)?;
    let size = context.guarded(format, || {
        let mut reader = BufReader::new(file);
        match format {
            Format::Png => Ok(upright_size(context.png(reader)?)),
            Format::Jpeg => Ok(upright_size(context.jpeg(reader)?)),
            Format::Webp => {
                let failed = |source| read_error(path, source);
                if webp_is_truncated(&mut reader, length).map_err(failed)? {
                    return Err(context.truncated(format));
                }
                reader.rewind().map_err(failed)?;
                Ok(upright_size(context.webp(reader)?))
            }
            Format::Tiff => {
                let mut tiff = Tiff::open(context, reader)?;
                Ok(turned(tiff.size, tiff.orientation()))
            }
        }
    });
    match size {
        Ok(size) => {
            context.check_claim(Some(size))?;
            Ok(size)
        }
        // Decoders call a size of zero or beyond their limits just "invalid": look for ourselves.
        Err(error) => {
            let (bytes, format) = load(path, limits)?;
            context.check_claim(claimed_size(format, &bytes))?;
            Err(error)
        }
    }
}

fn upright_size(mut decoder: impl ImageDecoder) -> (u32, u32) {
    let exif = plain_exif(decoder.exif_metadata()).unwrap_or_default();
    let orientation = exif.as_deref().and_then(Orientation::from_exif_chunk);
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    turned(decoder.dimensions(), orientation)
}

fn turned((width, height): (u32, u32), orientation: Orientation) -> (u32, u32) {
    if orientation::swaps_sides(orientation) {
        (height, width)
    } else {
        (width, height)
    }
}

impl Context<'_> {
    fn decode(&self, bytes: &[u8], format: Format) -> Result<Photo> {
        self.check_claim(claimed_size(format, bytes))?;
        let inspection = Inspection::of(format, bytes);
        if let Some(what) = inspection.unsupported {
            return Err(self.unsupported(what));
        }
        if inspection.truncated {
            return Err(self.truncated(format));
        }
        self.guarded(format, || {
            let premultiplied = inspection.premultiplied;
            let reader = Cursor::new(bytes);
            let (mut photo, orientation) = match format {
                Format::Png => self.decode_with(self.png(reader)?, format, inspection)?,
                Format::Jpeg => self.decode_with(self.jpeg(reader)?, format, inspection)?,
                Format::Webp => self.decode_with(self.webp(reader)?, format, inspection)?,
                Format::Tiff => self.decode_tiff(reader, inspection)?,
            };
            if let Some(alpha) = photo.alpha.as_ref().filter(|_| premultiplied) {
                divide_by_alpha(&mut photo.pixels, alpha);
                let note = "premultiplied alpha divided out".to_owned();
                photo.info.notes.push(note);
            }
            orientation::apply(&mut photo.pixels, orientation);
            if let Some(alpha) = &mut photo.alpha {
                orientation::apply(alpha, orientation);
            }
            Ok(photo)
        })
    }

    fn decode_tiff(
        &self,
        reader: Cursor<&[u8]>,
        inspection: Inspection,
    ) -> Result<(Photo, Orientation)> {
        let mut tiff = Tiff::open(*self, reader)?;
        let orientation = tiff.orientation();
        let samples = tiff.samples()?;
        let mut notes = inspection.notes;
        notes.extend(samples.notes);
        let (pixels, alpha) = samples.planes;
        let info = PhotoInfo {
            format: Format::Tiff,
            bit_depth: samples.bit_depth,
            color: samples.color,
            icc_profile: carried_profile(Ok(inspection.icc_profile), &mut notes),
            exif: inspection.exif,
            notes,
        };
        let photo = Photo {
            pixels,
            alpha,
            info,
        };
        Ok((photo, orientation))
    }

    fn decode_with<D: ImageDecoder>(
        &self,
        mut decoder: D,
        format: Format,
        inspection: Inspection,
    ) -> Result<(Photo, Orientation)> {
        self.check_claim(Some(decoder.dimensions()))?;
        let mut notes = inspection.notes;
        let color_type = decoder.color_type();
        let icc_profile = carried_profile(decoder.icc_profile(), &mut notes);
        let (exif, orientation) = carried_exif(decoder.exif_metadata(), &mut notes);
        if matches!(decoder.xmp_metadata(), Ok(Some(_))) {
            notes.push("XMP metadata not carried".to_owned());
        }
        if matches!(decoder.iptc_metadata(), Ok(Some(_))) {
            notes.push("IPTC metadata not carried".to_owned());
        }
        let wide = color_type.bytes_per_pixel() > color_type.channel_count();
        let (pixels, alpha) = if wide {
            self.planes::<u16>(decoder, format)?
        } else {
            self.planes::<u8>(decoder, format)?
        };
        let info = PhotoInfo {
            format,
            bit_depth: if wide {
                BitDepth::Sixteen
            } else {
                BitDepth::Eight
            },
            color: if color_type.has_color() {
                ColorModel::Rgb
            } else {
                ColorModel::Gray
            },
            icc_profile,
            exif,
            notes,
        };
        let photo = Photo {
            pixels,
            alpha,
            info,
        };
        Ok((photo, orientation))
    }

    fn png<R: BufRead + Seek>(&self, reader: R) -> Result<PngDecoder<R>> {
        let mut limits = image::Limits::no_limits();
        limits.max_alloc = Some(self.limits.max_alloc.min(MAX_WORKING_BYTES));
        PngDecoder::with_limits(reader, limits)
            .map_err(|error| self.image_error(Format::Png, error))
    }

    fn jpeg<R: BufRead + Seek>(&self, reader: R) -> Result<JpegDecoder<R>> {
        JpegDecoder::new(reader).map_err(|error| self.image_error(Format::Jpeg, error))
    }

    fn webp<R: BufRead + Seek>(&self, reader: R) -> Result<WebPDecoder<R>> {
        WebPDecoder::new(reader).map_err(|error| self.image_error(Format::Webp, error))
    }

    /// Decodes into samples of the type that the file holds, then into planes.
    fn planes<S: Sample>(&self, decoder: impl ImageDecoder, format: Format) -> Result<Planes> {
        let (width, height) = decoder.dimensions();
        let channels = usize::from(decoder.color_type().channel_count());
        let length = decoder.total_bytes();
        if length > self.limits.max_alloc {
            return Err(self.too_much_memory());
        }
        let count = length as usize / size_of::<S>();
        let mut samples = Vec::new();
        samples
            .try_reserve_exact(count)
            .map_err(|_| self.too_much_memory())?;
        samples.resize(count, S::default());
        decoder
            .read_image(bytemuck::cast_slice_mut(&mut samples))
            .map_err(|error| self.image_error(format, error))?;
        let (color, alpha) = Channel::interleaved(channels);
        to_planes(&samples, (height as usize, width as usize), color, alpha)
            .ok_or_else(|| self.too_much_memory())
    }
}

/// The ICC profile, unless it speaks of inks that the pixels are no longer made of (ICC.1:2022, 7.2.6).
fn carried_profile(
    found: image::ImageResult<Option<Vec<u8>>>,
    notes: &mut Vec<String>,
) -> Option<Vec<u8>> {
    let Ok(profile) = found else {
        notes.push("damaged ICC profile not carried".to_owned());
        return None;
    };
    let profile = profile.filter(|profile| !profile.is_empty())?;
    if profile.get(16..20) == Some(b"CMYK") {
        notes.push("CMYK colour profile not carried".to_owned());
        return None;
    }
    Some(profile)
}

/// EXIF without the prefix that belongs to JPEG but that some writers put into WebP.
fn plain_exif(found: image::ImageResult<Option<Vec<u8>>>) -> image::ImageResult<Option<Vec<u8>>> {
    Ok(found?.map(|mut exif| {
        if exif.starts_with(b"Exif\0\0") {
            exif.drain(..6);
        }
        exif
    }))
}

/// EXIF with the orientation set to 1, and the orientation that it spoke of.
fn carried_exif(
    found: image::ImageResult<Option<Vec<u8>>>,
    notes: &mut Vec<String>,
) -> (Option<Vec<u8>>, Orientation) {
    let Ok(exif) = plain_exif(found) else {
        notes.push("damaged EXIF not carried".to_owned());
        return (None, Orientation::NoTransforms);
    };
    let Some(mut exif) = exif.filter(|exif| !exif.is_empty()) else {
        return (None, Orientation::NoTransforms);
    };
    let (orientation, thumbnail_cut) = make_upright(&mut exif);
    if thumbnail_cut {
        notes.push("EXIF thumbnail not carried: it was not upright".to_owned());
    }
    (Some(exif), orientation)
}
