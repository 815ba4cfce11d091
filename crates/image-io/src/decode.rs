//! Reading: bytes or a file to a [`Photo`].

use std::io::{BufRead, BufReader, Cursor, ErrorKind, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use image::codecs::{jpeg::JpegDecoder, png::PngDecoder, tiff::TiffDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{ColorType, ExtendedColorType, ImageDecoder, ImageError};
use ndarray::{Array2, Array3};

use crate::error::{Error, IN_MEMORY, Result};
use crate::exif::make_upright;
use crate::format::Format;
use crate::header::claimed_size;
use crate::inspect::Inspection;
use crate::limits::Limits;
use crate::orientation;
use crate::photo::{BitDepth, ColorModel, Photo, PhotoInfo};
use crate::samples::{Sample, check_finite, divide_by_alpha, to_planes};
use crate::source::{load, open, read_error, recognise};

/// Most bytes that the decoders may take for metadata and for rows in the making, besides the samples themselves.
const MAX_WORKING_BYTES: u64 = 256 << 20;

/// Reads a photo from a file.
///
/// The format is that of the content; a name that says something else earns a note. EXIF orientation is applied to the
/// pixels and set to 1 in [`PhotoInfo::exif`]. Of animations and multi-page files the first picture is read, with a note.
///
/// # Errors
/// Any of [`Error`]'s reading variants; nothing that a file contains makes this panic or take more memory than `limits` allow.
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
    let (file, format) = open(path)?;
    let size = context.guarded(format, || {
        let mut decoder = context.decoder(BufReader::new(file), format)?;
        let (width, height) = decoder.dimensions();
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        Ok(if orientation::swaps_sides(orientation) {
            (height, width)
        } else {
            (width, height)
        })
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

/// What every step of reading one file needs to know.
struct Context<'a> {
    path: &'a Path,
    limits: &'a Limits,
}

impl Context<'_> {
    fn decode(&self, bytes: &[u8], format: Format) -> Result<Photo> {
        self.check_claim(claimed_size(format, bytes))?;
        let inspection = Inspection::of(format, bytes);
        if let Some(what) = inspection.unsupported {
            return Err(Error::Unsupported {
                path: self.path(),
                what: what.to_owned(),
            });
        }
        if inspection.truncated {
            return Err(self.truncated(format));
        }
        self.guarded(format, || self.decode_inspected(bytes, format, inspection))
    }

    fn decode_inspected(
        &self,
        bytes: &[u8],
        format: Format,
        inspection: Inspection,
    ) -> Result<Photo> {
        let mut decoder = self.decoder(Cursor::new(bytes), format)?;
        let mut notes = inspection.notes;
        let color_type = decoder.color_type();
        note_conversions(decoder.original_color_type(), color_type, &mut notes);
        let icc_profile = carried_profile(decoder.icc_profile(), &mut notes);
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let exif = match inspection.exif {
            Some(exif) => Some(exif),
            None => carried_exif(decoder.exif_metadata(), &mut notes),
        };
        if matches!(decoder.xmp_metadata(), Ok(Some(_))) {
            notes.push("XMP metadata not carried".to_owned());
        }
        if matches!(decoder.iptc_metadata(), Ok(Some(_))) {
            notes.push("IPTC metadata not carried".to_owned());
        }

        let (mut pixels, mut alpha) = match bytes_per_sample(color_type) {
            1 => self.planes::<u8>(decoder, format)?,
            2 => self.planes::<u16>(decoder, format)?,
            _ => {
                let (mut pixels, mut alpha) = self.planes::<f32>(decoder, format)?;
                check_finite(self.path, &pixels, alpha.as_ref())?;
                pixels.par_mapv_inplace(|value| value.clamp(0.0, 1.0));
                if let Some(alpha) = &mut alpha {
                    alpha.par_mapv_inplace(|value| value.clamp(0.0, 1.0));
                }
                (pixels, alpha)
            }
        };
        if let Some(alpha) = alpha.as_ref().filter(|_| inspection.premultiplied) {
            divide_by_alpha(&mut pixels, alpha);
            notes.push("premultiplied alpha divided out".to_owned());
        }
        orientation::apply(&mut pixels, orientation);
        if let Some(alpha) = &mut alpha {
            orientation::apply(alpha, orientation);
        }
        Ok(Photo {
            pixels,
            alpha,
            info: PhotoInfo {
                format,
                bit_depth: match bytes_per_sample(color_type) {
                    1 => BitDepth::Eight,
                    _ => BitDepth::Sixteen,
                },
                color: if color_type.has_color() {
                    ColorModel::Rgb
                } else {
                    ColorModel::Gray
                },
                icc_profile,
                exif,
                notes,
            },
        })
    }

    /// Opens the decoder, checks the size that it reports and sets its limits.
    fn decoder<'r, R: BufRead + Seek + 'r>(
        &self,
        reader: R,
        format: Format,
    ) -> Result<Box<dyn ImageDecoder + 'r>> {
        let failed = |error| self.image_error(format, error);
        let mut limits = image::Limits::no_limits();
        limits.max_alloc = Some(self.limits.max_alloc.min(MAX_WORKING_BYTES));
        let mut decoder: Box<dyn ImageDecoder + 'r> = match format {
            Format::Png => {
                Box::new(PngDecoder::with_limits(reader, limits.clone()).map_err(failed)?)
            }
            Format::Jpeg => Box::new(JpegDecoder::new(reader).map_err(failed)?),
            Format::Tiff => Box::new(TiffDecoder::new(reader).map_err(failed)?),
            Format::Webp => Box::new(WebPDecoder::new(reader).map_err(failed)?),
        };
        self.check_claim(Some(decoder.dimensions()))?;
        // The samples count towards the limit of the TIFF decoder; four of CMYK become three.
        let samples = decoder.total_bytes().saturating_mul(2);
        let max_alloc = samples.saturating_add(MAX_WORKING_BYTES);
        limits.max_alloc = Some(max_alloc.min(self.limits.max_alloc));
        decoder.set_limits(limits).map_err(failed)?;
        Ok(decoder)
    }

    /// Decodes into samples of the type that the file holds, then into planes.
    fn planes<S: Sample>(
        &self,
        decoder: Box<dyn ImageDecoder + '_>,
        format: Format,
    ) -> Result<(Array3<f32>, Option<Array2<f32>>)> {
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
            .read_image_boxed(bytemuck::cast_slice_mut(&mut samples))
            .map_err(|error| self.image_error(format, error))?;
        to_planes(&samples, height as usize, width as usize, channels)
            .ok_or_else(|| self.too_much_memory())
    }

    /// Turns a panic inside a decoder into an error: one malicious file must not end the work on a whole folder.
    fn guarded<T>(&self, format: Format, work: impl FnOnce() -> Result<T>) -> Result<T> {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            Err(Error::Decode {
                path: self.path(),
                format,
                source: "the decoder gave up on damaged data".into(),
            })
        })
    }

    /// Refuses sizes of zero and sizes beyond the limit.
    fn check_claim(&self, size: Option<(u32, u32)>) -> Result<()> {
        let Some((width, height)) = size else {
            return Ok(());
        };
        let path = self.path();
        if width == 0 || height == 0 {
            return Err(Error::ZeroSize {
                path,
                width,
                height,
            });
        }
        let limit = self.limits.max_pixels;
        if u64::from(width) * u64::from(height) > limit {
            return Err(Error::TooLarge {
                path,
                width,
                height,
                limit,
            });
        }
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.path.to_owned()
    }

    fn truncated(&self, format: Format) -> Error {
        Error::Truncated {
            path: self.path(),
            format,
        }
    }

    fn too_much_memory(&self) -> Error {
        Error::TooMuchMemory {
            path: self.path(),
            limit: self.limits.max_alloc,
        }
    }

    fn image_error(&self, format: Format, error: ImageError) -> Error {
        let path = self.path();
        match error {
            ImageError::Limits(_) => self.too_much_memory(),
            ImageError::IoError(source) => match source.kind() {
                ErrorKind::UnexpectedEof => self.truncated(format),
                // The codecs wrap what they find in the data into I/O errors, too.
                ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::Other => {
                    Error::Decode {
                        path,
                        format,
                        source: Box::new(source),
                    }
                }
                _ => read_error(self.path, source),
            },
            ImageError::Unsupported(error) => Error::Unsupported {
                path,
                what: format!("this variant of {format} ({error})"),
            },
            error => Error::Decode {
                path,
                format,
                source: Box::new(error),
            },
        }
    }
}

fn bytes_per_sample(color_type: ColorType) -> u8 {
    color_type.bytes_per_pixel() / color_type.channel_count()
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

/// EXIF with the orientation set to 1, without the prefix that belongs to JPEG but that some writers put into WebP.
fn carried_exif(
    found: image::ImageResult<Option<Vec<u8>>>,
    notes: &mut Vec<String>,
) -> Option<Vec<u8>> {
    let Ok(exif) = found else {
        notes.push("damaged EXIF not carried".to_owned());
        return None;
    };
    let mut exif = exif?;
    if exif.starts_with(b"Exif\0\0") {
        exif.drain(..6);
    }
    if make_upright(&mut exif) {
        notes.push("EXIF thumbnail not carried: it was not upright".to_owned());
    }
    Some(exif).filter(|exif| !exif.is_empty())
}

fn note_conversions(original: ExtendedColorType, now: ColorType, notes: &mut Vec<String>) {
    match original {
        ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16 => {
            notes.push("CMYK converted to RGB without colour management".to_owned());
        }
        ExtendedColorType::L1 => notes.push("1-bit grey expanded to 8 bit".to_owned()),
        _ => {}
    }
    if matches!(now, ColorType::Rgb32F | ColorType::Rgba32F) {
        notes.push("32-bit floating point clamped to [0, 1] and kept as 16 bit".to_owned());
    }
}
