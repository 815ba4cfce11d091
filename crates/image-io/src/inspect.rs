//! What the decoders do not tell: missing ends, what was there before conversion, what is not carried along.

use std::io::Cursor;

use crate::exif::Exif;
use crate::format::Format;
use crate::header::{JpegSegments, PngChunks, webp_is_truncated};
use crate::tiff_fields::{Directory, read_header};

/// The findings about one file.
#[derive(Default)]
pub(crate) struct Inspection {
    /// For [`PhotoInfo::notes`](crate::PhotoInfo::notes).
    pub(crate) notes: Vec<String>,
    /// The file ends before the image does, though the decoder would not mind.
    pub(crate) truncated: bool,
    /// A variant that must not be decoded.
    pub(crate) unsupported: Option<&'static str>,
    /// The colours have been multiplied by alpha.
    pub(crate) premultiplied: bool,
    /// EXIF of a TIFF file; the decoders of the other formats hand it out.
    pub(crate) exif: Option<Vec<u8>>,
    /// ICC profile of a TIFF file.
    pub(crate) icc_profile: Option<Vec<u8>>,
}

impl Inspection {
    pub(crate) fn of(format: Format, bytes: &[u8]) -> Self {
        let mut inspection = Self::default();
        match format {
            Format::Jpeg => inspection.jpeg(bytes),
            Format::Webp => inspection.webp(bytes),
            Format::Png => inspection.png(bytes),
            Format::Tiff => inspection.tiff(bytes),
        }
        inspection
    }

    fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    fn jpeg(&mut self, bytes: &[u8]) {
        let mut segments = JpegSegments::new(bytes);
        let mut components = None;
        for segment in segments.by_ref() {
            if segment.is_start_of_frame() && components.is_none() {
                components = segment.data.get(5).copied();
                self.unsupported = match (segment.marker, segment.data.first()) {
                    (0xc3 | 0xc7 | 0xcb | 0xcf, _) => Some("lossless JPEG"),
                    (0xc5.., _) => Some("JPEG with arithmetic coding or in a hierarchy of frames"),
                    (_, Some(precision)) if *precision != 8 => Some("JPEG with other than 8 bits"),
                    _ => None,
                };
            }
        }
        // The decoder would fill the missing part with grey and call it a success.
        self.truncated = !segments.complete();
        if components == Some(4) {
            self.note("CMYK converted to RGB without colour management");
        }
    }

    fn webp(&mut self, bytes: &[u8]) {
        // Reading bytes in memory fails at their end alone.
        self.truncated =
            webp_is_truncated(&mut Cursor::new(bytes), bytes.len() as u64).unwrap_or(true);
        let extended = bytes.get(12..16) == Some(b"VP8X");
        if extended && bytes.get(20).is_some_and(|flags| flags & 2 != 0) {
            self.note("animation: only its first frame was read");
        }
    }

    fn png(&mut self, bytes: &[u8]) {
        if bytes.get(25) == Some(&3) {
            self.note("palette expanded to RGB");
        } else if let Some(depth) = bytes.get(24).filter(|depth| **depth < 8) {
            self.note(format!("{depth}-bit grey expanded to 8 bit"));
        }
        let (mut gamma, mut colour_known) = (None, false);
        for chunk in PngChunks::new(bytes) {
            match &chunk.kind {
                b"acTL" => self.note("animation: only its first picture was read"),
                b"gAMA" => gamma = chunk.data.try_into().ok().map(u32::from_be_bytes),
                b"iCCP" | b"sRGB" => colour_known = true,
                b"cICP" => self.note("colour space (cICP chunk) not carried"),
                b"IDAT" => break,
                _ => {}
            }
        }
        // 45455 stands for 1/2.2, which everyone takes sRGB for.
        if let Some(gamma) = gamma.filter(|gamma| !colour_known && gamma.abs_diff(45_455) > 500) {
            self.note(format!("gamma {:.4} not carried", f64::from(gamma) / 1e5));
        }
    }

    fn tiff(&mut self, bytes: &[u8]) {
        let Some((endian, offset)) = read_header(bytes) else {
            self.note("BigTIFF: metadata not carried");
            return;
        };
        let Some(directory) = Directory::read(bytes, endian, offset) else {
            return;
        };
        let number = |tag| directory.number(endian, tag);
        let thumbnail_first =
            number(254).is_some_and(|kind| kind & 1 != 0) && number(330).is_some();
        if number(50_706).is_some() || thumbnail_first || bytes.get(8..10) == Some(b"CR") {
            self.unsupported = Some("a camera raw file");
        } else if number(262) == Some(3) {
            self.unsupported = Some("TIFF with a palette");
        }
        if directory.next != 0 {
            self.note("several pages: only the first was read");
        }
        for (tag, name) in [(700, "XMP"), (33_723, "IPTC")] {
            if directory.field(tag).is_some() {
                self.note(format!("{name} metadata not carried"));
            }
        }
        self.premultiplied = number(338) == Some(1);
        self.icc_profile = directory.field(34_675).map(|field| field.data().to_vec());
        self.exif = Exif::parse(bytes).and_then(|mut exif| {
            exif.set_upright();
            exif.to_bytes()
        });
    }
}
