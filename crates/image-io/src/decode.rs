//! Reading: bytes or a file to a [`Photo`].

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use image::codecs::{jpeg::JpegDecoder, png::PngDecoder, tiff::TiffDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{ColorType, ExtendedColorType, ImageDecoder, ImageError};

use crate::error::{Error, IN_MEMORY, Result};
use crate::format::{Format, describe_unknown};
use crate::header::{JpegSegments, claimed_size};
use crate::limits::Limits;
use crate::orientation;
use crate::photo::{BitDepth, ColorModel, Photo, PhotoInfo};
use crate::samples::{check_finite, to_planes};

/// Reads a photo from a file.
///
/// The format is that of the content; a name that says something else earns a note. EXIF orientation is applied to the
/// pixels and set to 1 in [`PhotoInfo::exif`]. Of animations and multi-page files the first picture is read, with a note.
///
/// # Errors
/// Any of [`Error`]'s reading variants; nothing that a file contains makes this panic or take more memory than `limits` allow.
pub fn read(path: &Path, limits: &Limits) -> Result<Photo> {
    let (bytes, format) = load(path, limits)?;
    let mut photo = decode_as(&bytes, format, path, limits)?;
    if let Some(named) = Format::from_path(path).filter(|named| *named != format) {
        photo
            .info
            .notes
            .push(format!("named like {named}, but holds {format} data"));
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
    decode_as(bytes, format, path, limits)
}

/// Width and height in pixels of the upright photo (EXIF orientation applied), without decoding it.
///
/// # Errors
/// As [`read`], as far as the header shows them.
pub fn image_size(path: &Path, limits: &Limits) -> Result<(u32, u32)> {
    let context = Context { path, limits };
    let (mut file, format) = open(path)?;
    let mut head = Vec::new();
    std::io::Read::by_ref(&mut file)
        .take(64)
        .read_to_end(&mut head)
        .and_then(|_| file.rewind())
        .map_err(|source| context.read_error(source))?;
    if format != Format::Jpeg && format != Format::Tiff {
        context.check_claim(claimed_size(format, &head))?;
    }
    let mut decoder = context.decoder(BufReader::new(file), format)?;
    let (width, height) = decoder.dimensions();
    context.check_claim(Some((width, height)))?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok(if orientation::swaps_sides(orientation) {
        (height, width)
    } else {
        (width, height)
    })
}

/// What every step of reading one file needs to know.
struct Context<'a> {
    path: &'a Path,
    limits: &'a Limits,
}

impl Context<'_> {
    fn path(&self) -> PathBuf {
        self.path.to_owned()
    }

    fn read_error(&self, source: std::io::Error) -> Error {
        read_error(self.path, source)
    }

    /// Refuses sizes of zero and sizes beyond the limit.
    fn check_claim(&self, size: Option<(u32, u32)>) -> Result<()> {
        let Some((width, height)) = size else {
            return Ok(());
        };
        if width == 0 || height == 0 {
            return Err(Error::ZeroSize {
                path: self.path(),
                width,
                height,
            });
        }
        if u64::from(width) * u64::from(height) > self.limits.max_pixels {
            return Err(Error::TooLarge {
                path: self.path(),
                width,
                height,
                limit: self.limits.max_pixels,
            });
        }
        Ok(())
    }

    fn too_much_memory(&self) -> Error {
        Error::TooMuchMemory {
            path: self.path(),
            limit: self.limits.max_alloc,
        }
    }

    fn image_error(&self, format: Format, error: ImageError) -> Error {
        match error {
            ImageError::Limits(_) => self.too_much_memory(),
            ImageError::IoError(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
                Error::Truncated {
                    path: self.path(),
                    format,
                }
            }
            ImageError::IoError(source) => self.read_error(source),
            ImageError::Unsupported(error) => Error::Unsupported {
                path: self.path(),
                what: error.to_string(),
            },
            error => Error::Decode {
                path: self.path(),
                format,
                source: Box::new(error),
            },
        }
    }

    fn decoder<'r, R: std::io::BufRead + Seek + 'r>(
        &self,
        reader: R,
        format: Format,
    ) -> Result<Box<dyn ImageDecoder + 'r>> {
        let mut limits = image::Limits::no_limits();
        limits.max_alloc = Some(self.limits.max_alloc);
        let opened: std::result::Result<Box<dyn ImageDecoder + 'r>, ImageError> = match format {
            Format::Png => PngDecoder::with_limits(reader, limits.clone())
                .map(|decoder| Box::new(decoder) as Box<dyn ImageDecoder + 'r>),
            Format::Jpeg => JpegDecoder::new(reader)
                .map(|decoder| Box::new(decoder) as Box<dyn ImageDecoder + 'r>),
            Format::Tiff => TiffDecoder::new(reader)
                .map(|decoder| Box::new(decoder) as Box<dyn ImageDecoder + 'r>),
            Format::Webp => WebPDecoder::new(reader)
                .map(|decoder| Box::new(decoder) as Box<dyn ImageDecoder + 'r>),
        };
        let mut decoder = opened.map_err(|error| self.image_error(format, error))?;
        decoder
            .set_limits(limits)
            .map_err(|error| self.image_error(format, error))?;
        Ok(decoder)
    }
}

fn read_error(path: &Path, source: std::io::Error) -> Error {
    match source.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound {
            path: path.to_owned(),
        },
        std::io::ErrorKind::IsADirectory => Error::NotAFile {
            path: path.to_owned(),
        },
        _ => Error::Read {
            path: path.to_owned(),
            source,
        },
    }
}

/// The format of the content, or the error that says what it is instead.
fn recognise(bytes: &[u8], path: &Path) -> Result<Format> {
    if bytes.is_empty() {
        return Err(Error::Empty {
            path: path.to_owned(),
        });
    }
    Format::from_content(bytes).ok_or_else(|| Error::Unsupported {
        path: path.to_owned(),
        what: describe_unknown(&bytes[..bytes.len().min(512)]).to_owned(),
    })
}

/// Opens a file and looks at its first bytes; the position is back at the start.
fn open(path: &Path) -> Result<(File, Format)> {
    let error = |source| read_error(path, source);
    // Metadata first: opening a named pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(error)?.is_file() {
        return Err(Error::NotAFile {
            path: path.to_owned(),
        });
    }
    let mut file = File::open(path).map_err(error)?;
    let mut head = Vec::new();
    std::io::Read::by_ref(&mut file)
        .take(512)
        .read_to_end(&mut head)
        .map_err(error)?;
    let format = recognise(&head, path)?;
    file.rewind().map_err(error)?;
    Ok((file, format))
}

fn load(path: &Path, limits: &Limits) -> Result<(Vec<u8>, Format)> {
    let (file, format) = open(path)?;
    let error = |source| read_error(path, source);
    let length = file.metadata().map_err(error)?.len();
    let too_large = || Error::TooMuchMemory {
        path: path.to_owned(),
        limit: limits.max_alloc,
    };
    let mut bytes = Vec::new();
    if length > limits.max_alloc || bytes.try_reserve_exact(length as usize).is_err() {
        return Err(too_large());
    }
    // One byte beyond the limit shows that the file has grown past it meanwhile.
    file.take(limits.max_alloc.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(error)?;
    if bytes.len() as u64 > limits.max_alloc {
        return Err(too_large());
    }
    Ok((bytes, format))
}

fn decode_as(bytes: &[u8], format: Format, path: &Path, limits: &Limits) -> Result<Photo> {
    let context = Context { path, limits };
    context.check_claim(claimed_size(format, bytes))?;
    let mut notes = Vec::new();
    inspect(bytes, format, path, &mut notes)?;

    let mut decoder = context.decoder(Cursor::new(bytes), format)?;
    let (width, height) = decoder.dimensions();
    context.check_claim(Some((width, height)))?;
    let color_type = decoder.color_type();
    note_conversions(decoder.original_color_type(), color_type, &mut notes);
    let icc_profile = decoder.icc_profile().unwrap_or_default();
    let mut exif = decoder.exif_metadata().unwrap_or_default();
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    if let Some(exif) = &mut exif {
        let _ = Orientation::remove_from_exif_chunk(exif);
    }

    let length = decoder.total_bytes();
    let mut buffer: Vec<u8> = Vec::new();
    if length > limits.max_alloc || buffer.try_reserve_exact(length as usize).is_err() {
        return Err(context.too_much_memory());
    }
    buffer.resize(length as usize, 0);
    decoder
        .read_image(&mut buffer)
        .map_err(|error| context.image_error(format, error))?;

    let (height, width) = (height as usize, width as usize);
    let channels = usize::from(color_type.channel_count());
    let depth = color_type.bytes_per_pixel() / color_type.channel_count();
    let planes = match depth {
        1 => to_planes(&buffer, height, width, channels),
        2 => {
            let samples: Vec<u16> = buffer
                .chunks_exact(2)
                .map(|pair| u16::from_ne_bytes([pair[0], pair[1]]))
                .collect();
            to_planes(&samples, height, width, channels)
        }
        _ => {
            let samples: Vec<f32> = buffer
                .chunks_exact(4)
                .map(|four| f32::from_ne_bytes([four[0], four[1], four[2], four[3]]))
                .collect();
            to_planes(&samples, height, width, channels)
        }
    };
    drop(buffer);
    let (mut pixels, mut alpha) = planes.ok_or_else(|| context.too_much_memory())?;
    if depth == 4 {
        check_finite(path, &pixels, alpha.as_ref())?;
        pixels.mapv_inplace(|value| value.clamp(0.0, 1.0));
        if let Some(alpha) = &mut alpha {
            alpha.mapv_inplace(|value| value.clamp(0.0, 1.0));
        }
    }

    let mut photo = Photo {
        pixels,
        alpha,
        info: PhotoInfo {
            format,
            bit_depth: if depth == 1 {
                BitDepth::Eight
            } else {
                BitDepth::Sixteen
            },
            color: match color_type {
                ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16 => {
                    ColorModel::Gray
                }
                _ => ColorModel::Rgb,
            },
            icc_profile,
            exif,
            notes,
        },
    };
    orientation::apply(&mut photo, orientation);
    Ok(photo)
}

/// What the decoders do not say: missing ends, and what the file held before it was converted.
fn inspect(bytes: &[u8], format: Format, path: &Path, notes: &mut Vec<String>) -> Result<()> {
    let truncated = || Error::Truncated {
        path: path.to_owned(),
        format,
    };
    match format {
        Format::Jpeg => {
            let mut segments = JpegSegments::new(bytes);
            let mut components = 0;
            for segment in segments.by_ref() {
                if segment.is_start_of_frame() && components == 0 {
                    components = segment.data.get(5).copied().unwrap_or(0);
                }
            }
            // The decoder would fill what is missing with grey.
            if !segments.complete() {
                return Err(truncated());
            }
            if components == 4 {
                notes.push("CMYK converted to RGB without colour management".to_owned());
            }
        }
        Format::Webp => {
            let claimed = bytes
                .get(4..8)
                .map(|size| u32::from_le_bytes([size[0], size[1], size[2], size[3]]));
            if claimed.is_some_and(|size| u64::from(size) + 8 > bytes.len() as u64) {
                return Err(truncated());
            }
            if bytes.get(12..16) == Some(b"VP8X")
                && bytes.get(20).is_some_and(|flags| flags & 2 != 0)
            {
                notes.push("animation: only the first frame was read".to_owned());
            }
        }
        Format::Png => {
            if bytes.get(25) == Some(&3) {
                notes.push("palette expanded to RGB".to_owned());
            } else if bytes.get(24).is_some_and(|depth| *depth < 8) {
                notes.push("less than 8 bits per pixel expanded to 8".to_owned());
            }
        }
        Format::Tiff => {}
    }
    Ok(())
}

fn note_conversions(original: ExtendedColorType, now: ColorType, notes: &mut Vec<String>) {
    match original {
        ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16 => {
            notes.push("CMYK converted to RGB without colour management".to_owned());
        }
        ExtendedColorType::L1 => notes.push("less than 8 bits per pixel expanded to 8".to_owned()),
        _ => {}
    }
    if matches!(now, ColorType::Rgb32F | ColorType::Rgba32F) {
        notes.push("32-bit floating point clamped to [0, 1] and kept as 16 bit".to_owned());
    }
}
