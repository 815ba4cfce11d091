//! The size that a file claims, read from its header before any decoder takes memory for it.

use std::io::{self, Read, Seek, SeekFrom};

use crate::format::Format;
use crate::tiff_fields::{Directory, read_header};

/// Width and height as the header claims (before EXIF orientation), or `None` when it is cut off or too damaged to say.
///
/// Zeros are reported as they stand: decoders would only call them "invalid".
pub(crate) fn claimed_size(format: Format, bytes: &[u8]) -> Option<(u32, u32)> {
    match format {
        Format::Png => png_size(bytes),
        Format::Jpeg => jpeg_size(bytes),
        Format::Webp => webp_size(bytes),
        Format::Tiff => tiff_size(bytes),
    }
}

/// The IHDR chunk is always first (RFC 2083, section 4.1.1).
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    if bytes.get(12..16)? != b"IHDR" {
        return None;
    }
    Some((big_endian_32(bytes, 16)?, big_endian_32(bytes, 20)?))
}

/// Walks the marker segments to the start of frame (ITU T.81, annex B.2.2).
fn jpeg_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut segments = JpegSegments::new(bytes);
    segments.find_map(|segment| {
        if !segment.is_start_of_frame() {
            return None;
        }
        let height = u16::from_be_bytes([*segment.data.get(1)?, *segment.data.get(2)?]);
        let width = u16::from_be_bytes([*segment.data.get(3)?, *segment.data.get(4)?]);
        Some((u32::from(width), u32::from(height)))
    })
}

/// The first chunk is VP8X, VP8L or VP8 (RFC 9649, sections 2.5 to 2.7).
fn webp_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let data = bytes.get(20..)?;
    match bytes.get(12..16)? {
        b"VP8X" => {
            let side = |at: usize| {
                let low = data.get(at..at + 3)?;
                Some(1 + u32::from_le_bytes([low[0], low[1], low[2], 0]))
            };
            Some((side(4)?, side(7)?))
        }
        b"VP8L" => {
            let bits = u32::from_le_bytes(data.get(1..5)?.try_into().ok()?);
            Some((1 + (bits & 0x3fff), 1 + ((bits >> 14) & 0x3fff)))
        }
        b"VP8 " => {
            let side = |at: usize| {
                let pair = data.get(at..at + 2)?;
                Some(u32::from(u16::from_le_bytes([pair[0], pair[1]]) & 0x3fff))
            };
            Some((side(6)?, side(8)?))
        }
        _ => None,
    }
}

/// Whether a WebP file of `length` bytes ends before its container does, or before a chunk that is decoded (RFC 9649,
/// section 2.3). The decoder takes the memory that a chunk claims before it looks for its contents.
///
/// # Errors
/// When reading fails.
pub(crate) fn webp_is_truncated(source: &mut (impl Read + Seek), length: u64) -> io::Result<bool> {
    source.rewind()?;
    let mut riff = [0; 12];
    if length < riff.len() as u64 {
        return Ok(true);
    }
    source.read_exact(&mut riff)?;
    let claimed = u32::from_le_bytes([riff[4], riff[5], riff[6], riff[7]]);
    if u64::from(claimed) + 8 > length {
        return Ok(true);
    }
    let mut at = riff.len() as u64;
    while at + RIFF_HEADER <= length {
        let (kind, end) = riff_chunk(source, at)?;
        if end > length && is_decoded(&kind) {
            return Ok(true);
        }
        if &kind == b"ANMF" && frame_is_truncated(source, at, end, length)? {
            return Ok(true);
        }
        // Chunks begin at even places.
        at = end + (end - at) % 2;
    }
    Ok(false)
}

/// The same for the chunks in one frame of an animation, behind the 16 bytes that describe it.
fn frame_is_truncated(
    source: &mut (impl Read + Seek),
    frame: u64,
    frame_end: u64,
    length: u64,
) -> io::Result<bool> {
    let mut at = frame + RIFF_HEADER + 16;
    while at + RIFF_HEADER <= frame_end.min(length) {
        let (kind, end) = riff_chunk(source, at)?;
        if end > length && is_decoded(&kind) {
            return Ok(true);
        }
        at = end + (end - at) % 2;
    }
    Ok(false)
}

/// Bytes before the contents of a chunk: its kind and their number.
const RIFF_HEADER: u64 = 8;

/// The kind of the chunk at `at`, and where its contents end.
fn riff_chunk(source: &mut (impl Read + Seek), at: u64) -> io::Result<([u8; 4], u64)> {
    source.seek(SeekFrom::Start(at))?;
    let mut header = [[0; 4]; 2];
    source.read_exact(header.as_flattened_mut())?;
    let [kind, size] = header;
    Ok((kind, at + RIFF_HEADER + u64::from(u32::from_le_bytes(size))))
}

/// Whether a decoder looks into chunks of this kind; others may be anything, such as what follows the container.
fn is_decoded(kind: &[u8; 4]) -> bool {
    [
        b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP ",
    ]
    .contains(&kind)
}

/// ImageWidth and ImageLength of the first directory (TIFF 6.0, section 8); not of BigTIFF.
fn tiff_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let (endian, offset) = read_header(bytes)?;
    let directory = Directory::read(bytes, endian, offset)?;
    Some((
        directory.number(endian, 256)?,
        directory.number(endian, 257)?,
    ))
}

fn big_endian_32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// One marker segment of a JPEG file.
pub(crate) struct JpegSegment<'a> {
    pub(crate) marker: u8,
    pub(crate) data: &'a [u8],
}

impl JpegSegment<'_> {
    /// SOF0 to SOF15, without DHT (C4), JPG (C8) and DAC (CC), which share the range.
    pub(crate) fn is_start_of_frame(&self) -> bool {
        matches!(self.marker, 0xc0..=0xcf) && !matches!(self.marker, 0xc4 | 0xc8 | 0xcc)
    }
}

/// The marker segments of a JPEG file in order, entropy-coded data skipped. Ends at the end marker or at the end of
/// the bytes; [`JpegSegments::complete`] tells which.
pub(crate) struct JpegSegments<'a> {
    bytes: &'a [u8],
    at: usize,
    complete: bool,
}

impl<'a> JpegSegments<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        // The start marker FF D8 has no length.
        Self {
            bytes,
            at: 2,
            complete: false,
        }
    }

    /// Whether the walk (so far) has met the end marker.
    pub(crate) fn complete(&self) -> bool {
        self.complete
    }
}

impl<'a> Iterator for JpegSegments<'a> {
    type Item = JpegSegment<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // Anything up to the next marker is entropy-coded data or stray bytes; FF 00 and restart markers belong to it.
            let rest = self.bytes.get(self.at..)?;
            self.at += rest.iter().position(|byte| *byte == 0xff)? + 1;
            let marker = *self.bytes.get(self.at)?;
            match marker {
                // Fill byte: the marker may still come.
                0xff => continue,
                0x00 | 0x01 | 0xd0..=0xd8 => self.at += 1,
                0xd9 => {
                    self.complete = true;
                    self.at = self.bytes.len();
                    return None;
                }
                _ => {
                    let length = self.bytes.get(self.at + 1..self.at + 3)?;
                    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
                    let start = self.at + 3;
                    let end = start + length.checked_sub(2)?;
                    let data = self.bytes.get(start..end)?;
                    self.at = end;
                    return Some(JpegSegment { marker, data });
                }
            }
        }
    }
}

/// One chunk of a PNG file.
pub(crate) struct PngChunk<'a> {
    pub(crate) kind: [u8; 4],
    pub(crate) data: &'a [u8],
}

/// The chunks of a PNG file in order, up to the end or to a chunk that is cut off. Checksums are left to the decoder.
pub(crate) struct PngChunks<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> PngChunks<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        // Behind the signature.
        Self { bytes, at: 8 }
    }
}

impl<'a> Iterator for PngChunks<'a> {
    type Item = PngChunk<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let length = big_endian_32(self.bytes, self.at)? as usize;
        let kind = self.bytes.get(self.at + 4..self.at + 8)?.try_into().ok()?;
        let start = self.at + 8;
        let data = self.bytes.get(start..start.checked_add(length)?)?;
        self.at = start + length + 4;
        Some(PngChunk { kind, data })
    }
}
