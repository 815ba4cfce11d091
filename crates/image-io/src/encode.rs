//! Encoding a [`Photo`] into the bytes of a file.

use std::io::Cursor;
use std::path::Path;

use image::codecs::{
    jpeg::JpegEncoder,
    png::{CompressionType, FilterType, PngEncoder},
    tiff::TiffEncoder,
    webp::WebPEncoder,
};
use image::{ExtendedColorType, ImageEncoder, ImageResult};

use crate::error::{Error, IN_MEMORY, Result};
use crate::format::Format;
use crate::photo::{BitDepth, ColorModel, Photo};
use crate::samples::{check_finite, from_planes};

/// How a photo is encoded and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// Whether an existing file may be replaced. Default `false`.
    pub overwrite: bool,
    /// JPEG quality, 1 (smallest) to 100 (best), in the scale of libjpeg; other values are clamped to it. Default 95.
    /// Colour is never subsampled (4:4:4).
    pub jpeg_quality: u8,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            overwrite: false,
            jpeg_quality: 95,
        }
    }
}

/// The bytes of a file, and what it could not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// What was converted or left out because the format cannot hold it, each a short sentence.
    pub notes: Vec<String>,
}

/// Encodes a photo in memory. Values are clamped to `[0, 1]`, scaled to 255 or 65535 and rounded half up.
///
/// # Errors
/// [`Error::NonFinite`], [`Error::Shape`], [`Error::ZeroSize`], [`Error::TooLargeForFormat`], [`Error::Encode`], with the path [`IN_MEMORY`].
pub fn encode(photo: &Photo, format: Format, options: &WriteOptions) -> Result<Encoded> {
    encode_for(Path::new(IN_MEMORY), photo, format, options)
}

/// [`encode`], with the path that errors should name.
pub(crate) fn encode_for(
    path: &Path,
    photo: &Photo,
    format: Format,
    options: &WriteOptions,
) -> Result<Encoded> {
    let (height, width) = check(path, photo, format)?;
    let mut notes = Vec::new();
    let gray = photo.info.color == ColorModel::Gray;
    if gray && format == Format::Webp {
        notes.push("WebP has no grey images: stored as RGB".to_owned());
    }
    let sixteen = photo.info.bit_depth == BitDepth::Sixteen && format.holds_sixteen_bit();
    if photo.info.bit_depth == BitDepth::Sixteen && !sixteen {
        notes.push(format!("16 bit reduced to 8 bit: {format} holds no more"));
    }
    let mut alpha = photo.alpha.as_ref().map(|alpha| alpha.view());
    if alpha.is_some() && !format.holds_alpha() {
        alpha = None;
        notes.push(format!("alpha dropped: {format} holds none"));
    }

    let color = match (gray, alpha.is_some(), sixteen) {
        (true, false, false) => ExtendedColorType::L8,
        (true, true, false) => ExtendedColorType::La8,
        (false, false, false) => ExtendedColorType::Rgb8,
        (false, true, false) => ExtendedColorType::Rgba8,
        (true, false, true) => ExtendedColorType::L16,
        (true, true, true) => ExtendedColorType::La16,
        (false, false, true) => ExtendedColorType::Rgb16,
        (false, true, true) => ExtendedColorType::Rgba16,
    };
    let samples: Vec<u8> = if sixteen {
        from_planes::<u16>(photo.pixels.view(), alpha, gray)
            .into_iter()
            .flat_map(u16::to_ne_bytes)
            .collect()
    } else {
        from_planes::<u8>(photo.pixels.view(), alpha, gray)
    };

    let mut bytes = Vec::new();
    let (width, height) = (width as u32, height as u32);
    let out = Cursor::new(&mut bytes);
    let result = match format {
        Format::Png => finish(
            PngEncoder::new_with_quality(out, CompressionType::Default, FilterType::Adaptive),
            photo,
            &samples,
            width,
            height,
            color,
        ),
        Format::Jpeg => finish(
            JpegEncoder::new_with_quality(out, options.jpeg_quality.clamp(1, 100)),
            photo,
            &samples,
            width,
            height,
            color,
        ),
        Format::Tiff => finish(TiffEncoder::new(out), photo, &samples, width, height, color),
        Format::Webp => finish(
            WebPEncoder::new_lossless(out),
            photo,
            &samples,
            width,
            height,
            color,
        ),
    };
    result.map_err(|error| Error::Encode {
        path: path.to_owned(),
        format,
        source: Box::new(error),
    })?;
    Ok(Encoded { bytes, notes })
}

fn finish<E: ImageEncoder>(
    mut encoder: E,
    photo: &Photo,
    samples: &[u8],
    width: u32,
    height: u32,
    color: ExtendedColorType,
) -> ImageResult<()> {
    if let Some(icc_profile) = &photo.info.icc_profile {
        let _ = encoder.set_icc_profile(icc_profile.clone());
    }
    if let Some(exif) = &photo.info.exif {
        let _ = encoder.set_exif_metadata(exif.clone());
    }
    encoder.write_image(samples, width, height, color)
}

/// Height and width, once the arrays are known to be a photo that the format can hold.
fn check(path: &Path, photo: &Photo, format: Format) -> Result<(usize, usize)> {
    let (planes, height, width) = photo.pixels.dim();
    let alpha_fits = photo
        .alpha
        .as_ref()
        .is_none_or(|alpha| alpha.dim() == (height, width));
    if planes != 3 || !alpha_fits {
        return Err(Error::Shape {
            path: path.to_owned(),
            pixels: photo.pixels.shape().to_vec(),
            alpha: photo
                .alpha
                .as_ref()
                .map(|alpha| alpha.shape().to_vec())
                .unwrap_or_default(),
        });
    }
    if height == 0 || width == 0 {
        return Err(Error::ZeroSize {
            path: path.to_owned(),
            width: width as u32,
            height: height as u32,
        });
    }
    if width.max(height) > format.max_side() {
        return Err(Error::TooLargeForFormat {
            path: path.to_owned(),
            width,
            height,
            format,
            limit: format.max_side(),
        });
    }
    check_finite(path, &photo.pixels, photo.alpha.as_ref())?;
    Ok((height, width))
}
