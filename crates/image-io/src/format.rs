//! The file formats, told apart by name or by content.

use std::fmt;
use std::path::Path;

/// A file format that is read and written here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// PNG: lossless, 8 or 16 bit, alpha.
    Png,
    /// JPEG: lossy, 8 bit, no alpha.
    Jpeg,
    /// TIFF: lossless, 8 or 16 bit, alpha.
    Tiff,
    /// WebP: 8 bit, alpha; read lossy and lossless, written lossless.
    Webp,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Png, Self::Jpeg, Self::Tiff, Self::Webp];

    /// The format that a file name asks for by its extension, in any case; `None` for another or no extension.
    pub fn from_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|format| format.extensions().contains(&extension.as_str()))
    }

    /// The format of a file by its first bytes (12 suffice); `None` when it is none of these.
    pub fn from_content(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
            Some(Self::Jpeg)
        } else if [b"II\x2a\0", b"MM\0\x2a", b"II\x2b\0", b"MM\0\x2b"]
            .iter()
            .any(|magic| bytes.starts_with(*magic))
        {
            Some(Self::Tiff)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Some(Self::Webp)
        } else {
            None
        }
    }

    /// The usual extension, without the dot.
    pub fn extension(self) -> &'static str {
        self.extensions()[0]
    }

    /// All extensions that [`Format::from_path`] takes for this format, in lower case, without the dot.
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Png => &["png", "apng"],
            Self::Jpeg => &["jpg", "jpeg", "jpe", "jfif"],
            Self::Tiff => &["tiff", "tif"],
            Self::Webp => &["webp"],
        }
    }

    /// Whether the format can hold 16 bits per channel.
    pub fn holds_sixteen_bit(self) -> bool {
        matches!(self, Self::Png | Self::Tiff)
    }

    /// Whether the format can hold an alpha channel.
    pub fn holds_alpha(self) -> bool {
        !matches!(self, Self::Jpeg)
    }

    /// The largest width and height that the format (as written here) can hold, in pixels.
    pub fn max_side(self) -> usize {
        match self {
            // PNG stores 31 bits (RFC 2083 section 2.1), TIFF 32 bits.
            Self::Png | Self::Tiff => i32::MAX as usize,
            Self::Jpeg => 65_535,
            // What libwebp reads; the lossless bitstream itself could express one more.
            Self::Webp => 16_383,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Tiff => "TIFF",
            Self::Webp => "WebP",
        })
    }
}

/// Whether the file name has the extension of a format that is read and written here. The file is not opened.
pub fn is_supported(path: &Path) -> bool {
    Format::from_path(path).is_some()
}

/// What a file that is none of our formats seems to be, for an error message.
pub(crate) fn describe_unknown(bytes: &[u8]) -> &'static str {
    let brand = bytes.get(4..12).unwrap_or_default();
    if bytes.starts_with(b"GIF8") {
        "a GIF file"
    } else if bytes.starts_with(b"BM") {
        "a BMP file"
    } else if brand.starts_with(b"ftyp") {
        match &brand[4..] {
            b"avif" | b"avis" => "an AVIF file",
            b"heic" | b"heix" | b"mif1" | b"msf1" | b"hevc" => "a HEIC file",
            b"crx " => "a camera raw file (CR3)",
            _ => "a video or another ISO media file",
        }
    } else if bytes.starts_with(b"\0\0\0\x0cJXL ") || bytes.starts_with(&[0xff, 0x0a]) {
        "a JPEG XL file"
    } else if bytes.starts_with(b"\0\0\0\x0cjP  ") {
        "a JPEG 2000 file"
    } else if bytes.starts_with(b"8BPS") {
        "a Photoshop file"
    } else if bytes.starts_with(b"%PDF") {
        "a PDF file"
    } else if bytes.starts_with(b"\x76\x2f\x31\x01") {
        "an OpenEXR file"
    } else if bytes.starts_with(b"FUJIFILM") {
        "a camera raw file (RAF)"
    } else if std::str::from_utf8(bytes).is_ok_and(|text| {
        text.chars()
            .all(|letter| !letter.is_control() || letter.is_whitespace())
    }) {
        "a text file, not an image"
    } else {
        "not an image in a format known here"
    }
}
