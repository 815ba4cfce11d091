//! A photo in memory, and what its file said about it.

use ndarray::{Array2, Array3};

use crate::format::Format;

/// Bits per channel in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BitDepth {
    /// 8 bits: values are multiples of 1/255.
    Eight,
    /// 16 bits: values are multiples of 1/65535.
    Sixteen,
}

impl BitDepth {
    /// The stored number that stands for 1.0: 255 or 65535.
    pub fn max_value(self) -> u16 {
        match self {
            Self::Eight => 255,
            Self::Sixteen => 65_535,
        }
    }
}

/// Whether the file holds one grey channel or three of colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColorModel {
    /// One channel. In memory it is three equal planes; it is written back as one.
    Gray,
    /// Red, green, blue.
    Rgb,
}

/// A photo as planes of `f32`.
#[derive(Clone, Debug, PartialEq)]
pub struct Photo {
    /// Red, green, blue; shape `[3, H, W]`, range `[0, 1]`, encoded values as stored in the file (sRGB, or what the ICC
    /// profile says; not linear light). Row 0 is the top, upright: the EXIF orientation has been applied.
    pub pixels: Array3<f32>,
    /// Opacity, not premultiplied; shape `[H, W]`, range `[0, 1]`; `None` when the file has no alpha.
    pub alpha: Option<Array2<f32>>,
    /// Everything else that is carried from the input file to the output file.
    pub info: PhotoInfo,
}

impl Photo {
    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.pixels.dim().2
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.pixels.dim().1
    }

    /// A photo with the same alpha and [`PhotoInfo`] and other pixels, such as a restored version of it.
    ///
    /// `pixels` has shape `[3, H, W]` and range `[0, 1]`; its size is checked against alpha when it is written.
    pub fn with_pixels(&self, pixels: Array3<f32>) -> Self {
        Self {
            pixels,
            alpha: self.alpha.clone(),
            info: self.info.clone(),
        }
    }
}

/// What is kept about a photo besides its pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct PhotoInfo {
    /// The format that the photo was read from (by content, not by name).
    pub format: Format,
    /// Bits per channel; decides how PNG and TIFF are written.
    pub bit_depth: BitDepth,
    /// Grey or colour; decides how it is written.
    pub color: ColorModel,
    /// The embedded ICC colour profile, byte for byte.
    pub icc_profile: Option<Vec<u8>>,
    /// EXIF as a TIFF structure (starts with `II*\0` or `MM\0*`, without the `Exif\0\0` of JPEG), orientation set to 1.
    pub exif: Option<Vec<u8>>,
    /// What was converted or left out while reading, each a short sentence without a full stop.
    pub notes: Vec<String>,
}

impl PhotoInfo {
    /// An 8-bit sRGB image without metadata, for pixels that come from elsewhere than a file.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            bit_depth: BitDepth::Eight,
            color: ColorModel::Rgb,
            icc_profile: None,
            exif: None,
            notes: Vec::new(),
        }
    }
}
